"""The contract of indicators."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from moodlemlbackend.analytics.features.analysable_samples import AnalysableSamples
from moodlemlbackend.analytics.features.analysables import Course
from moodlemlbackend.analytics.features.ranges import Ranges
from moodlemlbackend.analytics.features.refusal import Refusal
from moodlemlbackend.analytics.site.database import Integers
from moodlemlbackend.errors import IndicatorError

MINIMUM, MAXIMUM = -1.0, 1.0
"""Every value lies between these."""

LEAST_CLASSMATES = 5
"""With fewer nobody is compared with the course."""

Values = npt.NDArray[np.float64]
"""Values of an indicator: (ranges, samples), NaN for null."""


class Kind(Enum):
    """What an indicator's values mean, and so which columns they fill."""

    BINARY = "binary"
    """-1 or 1: one column."""
    LINEAR = "linear"
    """Anything between: a column rounded to two decimals, and one with the mean of the analysable's samples."""
    DISCRETE = "discrete"
    """One of ``classes``: a column of 0 and 1 for each."""


@dataclass(frozen=True)
class ComparedCount:
    """A student's count; ``low`` and ``high`` are the course's 25th and 75th percentile without the student.

    They are None where fewer than :data:`LEAST_CLASSMATES` classmates can be compared. More than half of the classmates
    lie between the two, both included.
    """

    own: int
    low: int | None = None
    high: int | None = None


@dataclass(frozen=True)
class OwnCounts:
    """What is counted of one student for an indicator: its value, and its :meth:`Indicator.counts` by name."""

    value: float
    counts: Mapping[str, ComparedCount]


class Indicator(ABC):
    """An indicator.

    A subclass sets ``id`` (Moodle's class name with its leading backslash), ``kind`` and ``requires``, and calculates
    all samples of an analysable over all its ranges at once. It is registered by an entry point of the group
    ``moodlemlbackend.indicators``.
    """

    id: str
    kind: Kind = Kind.LINEAR
    requires: frozenset[str] = frozenset()
    """What a sample must have: of ``user``, ``course``, ``context``, ``user_enrolments``."""
    classes: tuple[int, ...] = ()
    """Of a discrete indicator, its values in the order of their columns."""
    average: bool = True
    """Whether a linear indicator has a column with the mean."""
    events: tuple[str, ...] = ()
    """Events, such as ``\\mod_quiz\\event\\attempt_submitted``, that the indicator must tell apart in the logs."""
    known_in_time: ClassVar[bool] = True
    """Whether it can be known while a course goes on, and not only once it is over."""

    def refuses(self, course: Course) -> Refusal | None:  # noqa: ARG002
        """Why the indicator cannot be calculated in a course, so that the course is not used; None when it can."""
        return None

    @abstractmethod
    def calculate(self, samples: AnalysableSamples, ranges: Ranges) -> Values:
        """Return the values, -1 to 1 and NaN for null, in the shape (ranges, samples)."""

    def counts(self, samples: AnalysableSamples, ranges: Ranges) -> Mapping[str, npt.ArrayLike]:  # noqa: ARG002
        """Whole numbers by name, of the shape (ranges, samples), that :meth:`sentence` will need to name."""
        return {}

    def sentence(self, own: OwnCounts) -> str | None:  # noqa: ARG002
        """Say in the reader's language what a student did, for people; None leaves that to the indicator's name."""
        return None


class CourseIndicator(Indicator):
    """An indicator of samples that belong to courses, calculated course by course."""

    def calculate(self, samples: AnalysableSamples, ranges: Ranges) -> Values:
        """Return the values of every course's samples: (ranges, samples)."""
        shape = len(ranges), len(samples)
        if len(samples.courses) == 1:
            return shaped(
                self, self.of_course(samples.courses[0], samples.users, ranges), shape, samples.courses[0].name
            )
        values = np.full(shape, np.nan)
        for course, where in samples.by_course():
            users = None if samples.users is None else samples.users[where]
            made = self.of_course(course, users, ranges)
            values[:, where] = shaped(self, made, (len(ranges), len(where)), course.name)
        return values

    def counts(self, samples: AnalysableSamples, ranges: Ranges) -> Mapping[str, npt.ArrayLike]:
        """Those of the only course of some samples."""
        [course] = samples.courses
        return self.counts_of_course(course, samples.users, ranges)

    def counts_of_course(
        self, course: Course, users: Integers | None, ranges: Ranges  # noqa: ARG002
    ) -> Mapping[str, npt.ArrayLike]:  # fmt: skip
        """Whole numbers by name, of the shape (ranges, users), that :meth:`sentence` will need to name."""
        return {}

    @abstractmethod
    def of_course(self, course: Course, users: Integers | None, ranges: Ranges) -> Values:
        """Return the values of a course's samples, which may be broadcast to (ranges, samples).

        ``users`` holds the user id of each sample; None when the samples are courses.
        """


def as_floats(values: npt.ArrayLike) -> Values:
    """Values as floats; what a masked array hides is NaN."""
    if isinstance(values, np.ma.MaskedArray):
        values = np.where(np.ma.getmaskarray(values), np.nan, values.data)
    return np.asarray(values, np.float64)


def shaped(indicator: Indicator, values: npt.ArrayLike, shape: tuple[int, int], analysable: str) -> Values:
    """Return what an indicator calculated as floats of a shape; raises :class:`IndicatorError` when it has another."""
    made = as_floats(values)
    if made.shape == shape:
        return made
    try:
        return np.broadcast_to(made, shape)
    except ValueError:
        raise IndicatorError(
            f"The indicator {indicator.id} returned values of shape {made.shape} for {analysable}; "
            f"the shape must be (ranges, samples), in this case {shape}."
        ) from None


def yes_or_no(condition: npt.ArrayLike) -> Values:
    """1 where the condition holds, else -1."""
    return np.where(condition, MAXIMUM, MINIMUM)


def events_of(indicators: Iterable[Indicator]) -> frozenset[str]:
    """All the events that some indicators tell apart."""
    return frozenset(event for indicator in indicators for event in indicator.events)
