"""Methods that look at a period of the calendar again and again: past ones, and upcoming ones."""

from __future__ import annotations

from abc import abstractmethod
from typing import ClassVar

import numpy as np

from moodlemlbackend.analytics.features.analysables.analysable import Analysable
from moodlemlbackend.analytics.features.calendar_time import Period, shift
from moodlemlbackend.analytics.features.ranges import Ranges
from moodlemlbackend.analytics.features.time_splitting.time_splitting import Clock, Family, TimeSplitting

Triple = tuple[int, int, int]


class _Periodic(TimeSplitting):
    """Ranges one period apart, for as long as they are ready and the analysable is not over."""

    period: ClassVar[Period]

    def accepts(self, analysable: Analysable, clock: Clock) -> bool:  # noqa: ARG002
        """Whether the analysable has a start."""
        return analysable.start != 0

    def define(self, analysable: Analysable, clock: Clock) -> Ranges:
        """The ranges that are ready now."""
        time = self._first(analysable, clock)
        next_range = self._range(time, analysable, clock)
        if next_range is None:
            time = shift(time, self.period, clock.zone)
            next_range = self._range(time, analysable, clock)
        ranges: list[Triple] = []
        over = False
        while next_range is not None and not over and next_range[2] <= clock.now:
            ranges.append(next_range)
            time = shift(time, self.period, clock.zone)
            next_range = self._range(time, analysable, clock)
            over = bool(analysable.end) and time > analysable.end
        if ranges and not over:
            ranges[-1] = self._adjusted(ranges[-1], clock)
        return Ranges.of(ranges)

    def training_ranges(self, ranges: Ranges, clock: Clock) -> Ranges:
        """The ranges that are over."""
        return ranges.take(np.flatnonzero(self.ready_to_train(ranges, clock)))

    @abstractmethod
    def _first(self, analysable: Analysable, clock: Clock) -> int:
        """Where the first range stands."""

    @abstractmethod
    def _range(self, time: int, analysable: Analysable, clock: Clock) -> Triple | None:
        """The range that stands at a time: its start, its end, and when it may be used."""

    def _adjusted(self, last: Triple, clock: Clock) -> Triple:  # noqa: ARG002
        return last


class PastPeriodic(_Periodic):
    """The period up to now. Its number grows by one every period since the analysable's start."""

    def _first(self, analysable: Analysable, clock: Clock) -> int:  # noqa: ARG002
        return analysable.start

    def _range(self, time: int, analysable: Analysable, clock: Clock) -> Triple | None:
        start = shift(time, self.period, clock.zone, back=True)
        return None if start < analysable.start else (start, time, time)

    def _adjusted(self, last: Triple, clock: Clock) -> Triple:
        later = clock.now - last[2]
        return last[0] + later, last[1] + later, last[2] + later


class UpcomingPeriodic(_Periodic):
    """The period from now on, and once more every period after the first analysis."""

    family = Family.AFTER_NOW
    caches_calculations = False
    valid_for_evaluation = False

    def _first(self, analysable: Analysable, clock: Clock) -> int:  # noqa: ARG002
        return clock.now if clock.first_analysis is None else clock.first_analysis

    def _range(self, time: int, analysable: Analysable, clock: Clock) -> Triple | None:  # noqa: ARG002
        return time, shift(time, self.period, clock.zone), time


class Past3Days(PastPeriodic):
    """The past three days."""

    id = r"\core\analytics\time_splitting\past_3_days"
    period = Period(days=3)


class PastWeek(PastPeriodic):
    """The past week."""

    id = r"\core\analytics\time_splitting\past_week"
    period = Period(days=7)


class PastMonth(PastPeriodic):
    """The past month."""

    id = r"\core\analytics\time_splitting\past_month"
    period = Period(months=1)


class Upcoming3Days(UpcomingPeriodic):
    """The next three days."""

    id = r"\core\analytics\time_splitting\upcoming_3_days"
    period = Period(days=3)


class UpcomingWeek(UpcomingPeriodic):
    """The next week."""

    id = r"\core\analytics\time_splitting\upcoming_week"
    period = Period(days=7)


class UpcomingFortnight(UpcomingPeriodic):
    """The next two weeks."""

    id = r"\core\analytics\time_splitting\upcoming_fortnight"
    period = Period(days=14)
