"""When a person gets e-mail: one by one or gathered in a digest, not in quiet hours, not more a week than the maximum.

Hours and days are those of the person's time zone. A week is today and the six days before, so that a digest that is
sent at the same hour every day never waits for one that was sent some minutes later a week ago.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, time, timedelta, tzinfo
from typing import TYPE_CHECKING

from moodlemlbackend.settings.analytics import NO_QUIET_HOURS, WEEKDAYS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from moodlemlbackend.settings.analytics import AnalyticsSettings

OFF, WEEKLY = "off", "weekly"
WEEK_DAYS = 7


@dataclass(frozen=True)
class Schedule:
    """When one person gets e-mail.

    ``digest`` and ``quiet_hours`` are as the settings have them, ``most`` is the maximum of a week, 0 for none.
    """

    digest: str
    hour: int
    weekday: int
    quiet_hours: str
    most: int
    zone: tzinfo

    def due(self, written: int, sent: Sequence[int], now: int) -> int:
        """When an e-mail with what was written at a time is sent, not before ``now``; all times are Unix times.

        ``sent`` are the times at which the person got e-mails before.
        """
        moment = self._slot(written)
        while True:
            free = self._free(moment, sent)
            if free > moment:
                moment = self._slot(free)
                continue
            loud = self.loud(moment)
            if loud == moment:
                break
            moment = loud
        return moment if moment > now else self.loud(now)

    def loud(self, moment: int) -> int:
        """The moment itself, or the end of the quiet hours in which it is."""
        if self.quiet_hours == NO_QUIET_HOURS:
            return moment
        start, end = map(time.fromisoformat, self.quiet_hours.split("-"))
        local = datetime.fromtimestamp(moment, self.zone)
        clock = local.time()
        over_midnight = start > end
        quiet = (clock >= start or clock < end) if over_midnight else start <= clock < end
        if not quiet:
            return moment
        day = local.date() + timedelta(days=1) if over_midnight and clock >= start else local.date()
        return max(moment, self._at(day, end), self._at(day, end, fold=1) if local.fold else 0)

    def gathers(self, messages: int, written: int, sent: Sequence[int], now: int) -> bool:
        """Whether messages, the first written at a time, go in one e-mail: by choice, or because of the maximum."""
        if messages < 2 or self.digest != OFF:
            return messages > 1
        left, left_then = (self.most - len(self._of_week(sent, moment)) for moment in (now, written))
        return bool(self.most) and (messages > left or left_then <= 0)

    def _slot(self, written: int) -> int:
        """The first moment of a digest at a time or after it; the time itself without digests."""
        if self.digest == OFF:
            return written
        day = datetime.fromtimestamp(written, self.zone).date()
        if self.digest == WEEKLY:
            day += timedelta(days=(self.weekday - day.weekday()) % WEEK_DAYS)
        slot = self._at(day, time(self.hour))
        step = WEEK_DAYS if self.digest == WEEKLY else 1
        return slot if slot >= written else self._at(day + timedelta(days=step), time(self.hour))

    def _free(self, moment: int, sent: Sequence[int]) -> int:
        """The moment itself, or the midnight from which on the maximum allows another e-mail."""
        days = self._of_week(sent, moment)
        if not self.most or len(days) < self.most:
            return moment
        return self._at(days[len(days) - self.most] + timedelta(days=WEEK_DAYS), time())

    def _of_week(self, sent: Sequence[int], moment: int) -> list[date]:
        """The days of the e-mails that the person got in the week before a moment, earliest first."""
        before = datetime.fromtimestamp(moment, self.zone).date() - timedelta(days=WEEK_DAYS)
        days = sorted(datetime.fromtimestamp(at, self.zone).date() for at in sent)
        return [day for day in days if day > before]

    def _at(self, day: date, clock: time, *, fold: int = 0) -> int:
        return int(datetime.combine(day, clock.replace(fold=fold), tzinfo=self.zone).timestamp())


def schedule(settings: AnalyticsSettings, zone: tzinfo, digest: str = "", quiet_hours: str = "") -> Schedule:
    """The schedule of the site, or of a person who chose otherwise."""
    return Schedule(
        digest or settings.digest,
        settings.digest_hour,
        WEEKDAYS.index(settings.digest_weekday),
        quiet_hours or settings.quiet_hours,
        settings.mails_a_week,
        zone,
    )
