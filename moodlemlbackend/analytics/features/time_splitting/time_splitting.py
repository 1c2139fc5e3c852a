"""The contract of time splitting methods."""

from __future__ import annotations

import datetime
from abc import ABC, abstractmethod
from dataclasses import dataclass
from enum import Enum
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from moodlemlbackend.analytics.features.analysables.analysable import Analysable
from moodlemlbackend.analytics.features.ranges import Ranges


class Family(Enum):
    """Where a method's ranges lie: Moodle's marker interfaces."""

    BEFORE_NOW = "before_now"
    AFTER_NOW = "after_now"
    NONE = "none"


@dataclass(frozen=True)
class Clock:
    """The moment of an analysis.

    ``now`` is a Unix time, ``zone`` the site's time zone, ``first_analysis`` when this model first analysed the
    analysable, None when it has not.
    """

    now: int
    zone: datetime.tzinfo = datetime.timezone.utc
    first_analysis: int | None = None


class TimeSplitting(ABC):
    """A time splitting method.

    A subclass sets ``id`` (Moodle's class name with its leading backslash) and says in :meth:`define` how it cuts. It
    is registered by an entry point of the group ``moodlemlbackend.time_splittings``.
    """

    id: ClassVar[str]
    family: ClassVar[Family] = Family.BEFORE_NOW
    range_columns: ClassVar[int] = 0
    """Number of ranges when a data set tells them apart by a column each, else 0."""
    caches_calculations: ClassVar[bool] = True
    valid_for_evaluation: ClassVar[bool] = True

    def accepts(self, analysable: Analysable, clock: Clock) -> bool:  # noqa: ARG002
        """Whether the analysable has the dates that the method needs."""
        return True

    @abstractmethod
    def define(self, analysable: Analysable, clock: Clock) -> Ranges:
        """Cut the analysable's time."""

    def ready_to_predict(self, ranges: Ranges, clock: Clock) -> npt.NDArray[np.bool_]:
        """Which ranges may be predicted now: (ranges,)."""
        return ranges.times <= clock.now

    def ready_to_train(self, ranges: Ranges, clock: Clock) -> npt.NDArray[np.bool_]:
        """Which ranges are over: (ranges,)."""
        return (ranges.times <= clock.now) & (ranges.ends <= clock.now)

    def training_ranges(self, ranges: Ranges, clock: Clock) -> Ranges:  # noqa: ARG002
        """The ranges that training and evaluation use."""
        return ranges

    def prediction_ranges(self, ranges: Ranges, clock: Clock) -> Ranges:
        """The range that a prediction uses: the last one that is ready, or none."""
        return ranges.take(np.flatnonzero(self.ready_to_predict(ranges, clock))[-1:])

    def moments(self, analysable: Analysable, zone: datetime.tzinfo) -> list[int]:
        """Unix times at which another range of an analysable with a start and an end becomes ready, before its end."""
        clock = Clock(analysable.end - 1, zone)
        if not self.accepts(analysable, clock):
            return []
        ready = {max(int(time), analysable.start) for time in self.define(analysable, clock).times}
        return sorted(time for time in ready if time < analysable.end)
