"""Times as people of the site read them: in its time zone, in a form that is the same in every language."""

from __future__ import annotations

from datetime import datetime, tzinfo


class Dates:
    """Writes Unix times."""

    def __init__(self, zone: tzinfo) -> None:
        self._zone = zone

    @property
    def zone(self) -> str:
        """Name of the time zone."""
        return str(self._zone)

    def minute(self, seconds: float | None) -> str:
        """Day and time of day."""
        return self._at(seconds).strftime("%Y-%m-%d %H:%M") if seconds else "–"

    def day(self, seconds: float | None) -> str:
        """The day alone."""
        return self._at(seconds).strftime("%Y-%m-%d") if seconds else "–"

    def span(self, start: int | None, end: int | None) -> str:
        """From one day to another, which may be the same."""
        first, last = self.day(start), self.day(end)
        return first if first == last else f"{first} – {last}"

    def _at(self, seconds: float) -> datetime:
        return datetime.fromtimestamp(min(max(seconds, 0), 32503680000), self._zone)
