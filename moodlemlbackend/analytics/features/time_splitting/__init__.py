"""Time splitting methods (analysis intervals): how an analysable's time is cut, and when each range may be used."""

from __future__ import annotations

from moodlemlbackend.analytics.features.time_splitting.after_start import (
    AfterStart,
    OneMonthAfterStart,
    OneWeekAfterStart,
    TenPercentAfterStart,
)
from moodlemlbackend.analytics.features.time_splitting.parts import (
    Accumulative,
    Deciles,
    DecilesAccum,
    EqualParts,
    NoSplitting,
    Quarters,
    QuartersAccum,
    SingleRange,
)
from moodlemlbackend.analytics.features.time_splitting.periodic import (
    Past3Days,
    PastMonth,
    PastPeriodic,
    PastWeek,
    Upcoming3Days,
    UpcomingFortnight,
    UpcomingPeriodic,
    UpcomingWeek,
)
from moodlemlbackend.analytics.features.time_splitting.time_splitting import Clock, Family, TimeSplitting

CORE: tuple[type[TimeSplitting], ...] = (
    SingleRange, NoSplitting, Quarters, QuartersAccum, Deciles, DecilesAccum, Past3Days, PastWeek, PastMonth,
    Upcoming3Days, UpcomingWeek, UpcomingFortnight, OneWeekAfterStart, OneMonthAfterStart, TenPercentAfterStart,
)  # fmt: skip
"""The methods that Moodle ships."""

__all__ = [
    "CORE", "Accumulative", "AfterStart", "Clock", "EqualParts", "Family", "PastPeriodic", "TimeSplitting",
    "UpcomingPeriodic",
]  # fmt: skip
