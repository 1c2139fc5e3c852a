"""The contract of targets."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any, ClassVar, NamedTuple, TypeVar

import numpy as np
import numpy.typing as npt

from moodlemlbackend.analytics.features.analysable_samples import AnalysableSamples
from moodlemlbackend.analytics.features.refusal import Refusal
from moodlemlbackend.analytics.features.time_splitting.time_splitting import Family, TimeSplitting

PREDICTION_MIN_SCORE = 0.6
"""Score from which a prediction is kept, unless a target says otherwise."""

Values = npt.NDArray[np.float64]

OfOne = TypeVar("OfOne", float, npt.NDArray[Any])
"""What is said of class 1: a probability, or several, or labels."""


class Window(NamedTuple):
    """The range over which a target is calculated.

    ``start`` and ``end`` are Unix times, both 0 for the whole time, as in training; ``indicators`` the values of each
    indicator in the range, (samples,) by its id, for static targets.
    """

    start: int = 0
    end: int = 0
    indicators: Mapping[str, Values] = {}


WHOLE = Window()


class Tone(Enum):
    """How an action is meant: good news about a prediction, neither, or bad."""

    POSITIVE = "positive"
    NEUTRAL = "neutral"
    NEGATIVE = "negative"


@dataclass(frozen=True)
class Action:
    """Something that the receiver of an insight can do.

    ``label`` is the identifier of its text in Moodle; ``url`` its destination in Moodle with ``{prediction}``,
    ``{user}`` and ``{course}`` to be filled in, empty for a mere mark.
    """

    name: str
    label: str
    tone: Tone = Tone.POSITIVE
    url: str = ""


USEFUL = Action("useful", "useful")
NOT_USEFUL = Action("notuseful", "notuseful", Tone.NEGATIVE)
ACKNOWLEDGED = Action("fixed", "fixedack")
NOT_APPLICABLE = Action("notapplicable", "notapplicable", Tone.NEUTRAL)
INCORRECTLY_FLAGGED = Action("incorrectlyflagged", "incorrectlyflagged", Tone.NEGATIVE)


class Target(ABC):
    """A target.

    A subclass sets ``id`` (Moodle's class name with its leading backslash), ``title`` and ``analyser``, and says which
    analysables and samples it can judge and what the truth about them is. It is registered by an entry point of the
    group ``moodlemlbackend.targets``.
    """

    id: ClassVar[str]
    name: ClassVar[tuple[str, str]]
    """Identifier and component of the name in Moodle."""
    title: ClassVar[str]
    """What people call it."""
    analyser: ClassVar[str]
    """Id of the analyser that finds its samples."""
    static: ClassVar[bool] = False
    """Whether it follows from the indicators by assumption, without a model."""
    linear: ClassVar[bool] = False
    """Whether the values are numbers from ``minimum`` to ``maximum`` and not classes."""
    classes: ClassVar[tuple[int, ...]] = (0, 1)
    minimum: ClassVar[float] = 0.0
    maximum: ClassVar[float] = 1.0
    ignored_classes: ClassVar[tuple[int, ...]] = (0,)
    """Predicted classes that are no news to anybody."""
    minimum_score: ClassVar[float] = PREDICTION_MIN_SCORE
    always_update_analysis_time: ClassVar[bool] = True
    link_insights_report: ClassVar[bool] = True
    uses_insights: ClassVar[bool] = True
    warns_in_time: ClassVar[bool] = False
    """Whether it finds those at risk by what a model has learned, so that somebody can still help them."""
    family: ClassVar[Family] = Family.BEFORE_NOW
    """Which time splitting methods it accepts."""
    indicators: ClassVar[tuple[str, ...]] = ()
    """Ids of the indicators of its core model; empty: those of students at risk of dropping out."""
    time_splitting: ClassVar[str] = ""
    """Id of the method of its core model."""
    bulk_actions: ClassVar[tuple[Action, ...]] = (ACKNOWLEDGED, NOT_APPLICABLE, INCORRECTLY_FLAGGED)
    actions: ClassVar[tuple[Action, ...]] = ()

    @property
    def flags_some(self) -> bool:
        """Whether it warns of some students among others: what it says of the others is no news."""
        return self.warns_in_time and not self.linear and bool(self.ignored_classes)

    def of_risk(self, values: OfOne) -> OfOne:
        """Probabilities or labels of class 1 as those of the class that is news: class 0 where only 1 is ignored."""
        return 1 - values if 1 in self.ignored_classes and 0 not in self.ignored_classes else values

    def accepts(self, method: TimeSplitting) -> bool:
        """Whether a time splitting method can be used."""
        return method.family is self.family

    def log_bounds(self, analysable: Any) -> set[int]:  # noqa: ARG002
        """Unix times at which :meth:`refuses` will have the logs of a course cut, so that they are read once."""
        return set()

    @abstractmethod
    def refuses(self, analysable: Any, *, training: bool) -> Refusal | None:
        """Why an analysable cannot be used for training, or for prediction; None when it can."""

    def valid_samples(self, samples: AnalysableSamples, *, training: bool) -> npt.NDArray[np.bool_]:  # noqa: ARG002
        """Which samples can be judged: (samples,)."""
        return np.ones(len(samples), bool)

    @abstractmethod
    def calculate(self, samples: AnalysableSamples, window: Window = WHOLE) -> Values:
        """Return the class, or the number, of each sample, NaN for null: (samples,)."""
