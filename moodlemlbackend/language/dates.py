"""Times as the reader writes them, in the time zone of the site."""

from __future__ import annotations

from datetime import datetime, time, tzinfo

from moodlemlbackend.language import current
from moodlemlbackend.language.numbers import MISSING
from moodlemlbackend.language.texts import Texts

ENGLISH = {
    "span": "{start} to {end}",
    "days": "from {start} to {end}",
    "on day": "on {day}",
}

say = Texts(ENGLISH).say

_LATEST = 32503680000


def local_time(seconds: float, zone: tzinfo) -> datetime:
    """A Unix time in a time zone; what lies before 1970 or after the year 2999 is moved there.

    So a wrong time in a table of Moodle spoils a date, not a page.
    """
    return datetime.fromtimestamp(min(max(seconds, 0), _LATEST), zone)


class Dates:
    """Writes Unix times."""

    def __init__(self, zone: tzinfo) -> None:
        self._zone = zone

    @property
    def zone(self) -> str:
        """Name of the time zone."""
        return str(self._zone)

    def minute(self, seconds: float | None) -> str:
        """Day and time of day, short enough for a table."""
        from babel.dates import format_date, format_time, get_datetime_format

        if not seconds:
            return MISSING
        moment, locale = self._at(seconds), current().locale
        day, time = format_date(moment, "medium", locale), format_time(moment, "short", locale=locale)
        form = str(get_datetime_format("medium", locale=locale))
        return form.replace("'", "").format(time, day)

    def day(self, seconds: float | None) -> str:
        """The day alone, short enough for a table."""
        from babel.dates import format_date

        return format_date(self._at(seconds), "medium", current().locale) if seconds else MISSING

    def long_day(self, seconds: float, near: float) -> str:
        """The day as part of a sentence, without its year if that is the year of another time."""
        from babel.dates import format_date, format_skeleton

        day, locale = self._at(seconds), current().locale
        if day.year == self._at(near).year:
            return format_skeleton("MMMMd", day, locale=locale)
        return format_date(day, "long", locale)

    def short_day(self, seconds: float) -> str:
        """The day without its year."""
        from babel.dates import format_skeleton

        return format_skeleton("MMMd", self._at(seconds), locale=current().locale)

    def span(self, start: float, end: float) -> str:
        """From one day to another, which may be the same."""
        first, last = self._ends(start, end)
        return say("span", start=first, end=last) if first else last

    def days(self, start: float, end: float) -> str:
        """The same as part of a sentence."""
        first, last = self._ends(start, end)
        return say("days", start=first, end=last) if first else say("on day", day=last)

    def hour(self, clock: time) -> str:
        """A time of the day."""
        from babel.dates import format_time

        return format_time(clock, "short", locale=current().locale)

    def weekday(self, day: int) -> str:
        """A day of the week, 0 for Monday."""
        from babel.dates import get_day_names

        return str(get_day_names("wide", locale=current().locale)[day])

    def _ends(self, start: float, end: float) -> tuple[str, str]:
        """Two days in words, the first without its year if that is the other's, and empty if both are the same."""
        from babel.dates import format_date, format_skeleton

        first, last, locale = self._at(start), self._at(end), current().locale
        if first.date() == last.date():
            return "", format_date(last, "long", locale)
        if first.year == last.year:
            return format_skeleton("MMMMd", first, locale=locale), format_date(last, "long", locale)
        return format_date(first, "long", locale), format_date(last, "long", locale)

    def _at(self, seconds: float) -> datetime:
        return local_time(seconds, self._zone)
