"""Calendar arithmetic in a time zone, as PHP's ``DateTime`` does it."""

from __future__ import annotations

import datetime
from dataclasses import dataclass


@dataclass(frozen=True)
class Period:
    """Days and months of the calendar: a day across a change of the clock has 23 or 25 hours."""

    days: int = 0
    months: int = 0


def shift(time: int, period: Period, zone: datetime.tzinfo, *, back: bool = False) -> int:
    """Add a period to a Unix time, or subtract it.

    A day that a month does not have runs over into the next one: 31 January and a month are 3 March, or 2 March in a
    leap year. An hour that the clock leaps over is read with the offset before the leap; one that comes twice is the
    first.
    """
    sign = -1 if back else 1
    local = datetime.datetime.fromtimestamp(time, zone)
    month = local.year * 12 + local.month - 1 + sign * period.months
    first = datetime.datetime(month // 12, month % 12 + 1, 1, local.hour, local.minute, local.second)
    moved = first + datetime.timedelta(days=local.day - 1 + sign * period.days)
    return int(moved.replace(tzinfo=zone).timestamp())
