"""Methods that look once, some time after the start, at all that has happened since."""

from __future__ import annotations

import datetime
from typing import ClassVar

from moodlemlbackend.analytics.features.analysables.analysable import Analysable
from moodlemlbackend.analytics.features.calendar_time import Period, shift
from moodlemlbackend.analytics.features.ranges import Ranges
from moodlemlbackend.analytics.features.time_splitting.time_splitting import Clock, TimeSplitting


class AfterStart(TimeSplitting):
    """From the start until now, once ``period`` has gone by."""

    period: ClassVar[Period]
    caches_calculations = False

    def accepts(self, analysable: Analysable, clock: Clock) -> bool:
        """Whether the period has gone by since the start."""
        return analysable.start != 0 and analysable.start <= shift(clock.now, self.period, clock.zone, back=True)

    def define(self, analysable: Analysable, clock: Clock) -> Ranges:
        """One range, which ends now."""
        return Ranges.of([(analysable.start, clock.now, clock.now)])

    def moments(self, analysable: Analysable, zone: datetime.tzinfo) -> list[int]:
        """Once the period has gone by, if that is before the end."""
        moment = self._ready(analysable, zone)
        return [moment] if moment < analysable.end and self.accepts(analysable, Clock(moment, zone)) else []

    def _ready(self, analysable: Analysable, zone: datetime.tzinfo) -> int:
        return shift(analysable.start, self.period, zone)


class OneWeekAfterStart(AfterStart):
    """A week after the start."""

    id = r"\core\analytics\time_splitting\one_week_after_start"
    period = Period(days=7)


class OneMonthAfterStart(AfterStart):
    """A month after the start."""

    id = r"\core\analytics\time_splitting\one_month_after_start"
    period = Period(months=1)


class TenPercentAfterStart(AfterStart):
    """A tenth of the duration after the start; needs an end that is not before the start."""

    id = r"\core\analytics\time_splitting\ten_percent_after_start"
    period = Period()

    def accepts(self, analysable: Analysable, clock: Clock) -> bool:
        """Whether a tenth of the duration has gone by."""
        start, end = analysable.start, analysable.end
        return start != 0 and end >= start and end != 0 and start <= clock.now - int((end - start) / 10)

    def _ready(self, analysable: Analysable, zone: datetime.tzinfo) -> int:  # noqa: ARG002
        return analysable.start + int((analysable.end - analysable.start) / 10)
