"""Time zones by the names that Moodle has for them."""

from __future__ import annotations

import datetime
from contextlib import suppress
from zoneinfo import ZoneInfo

SITES_ZONE = "99"
"""Stands for the zone of the site, in a user's profile."""


def zone_named(name: str) -> datetime.tzinfo | None:
    """The zone of a name such as ``Europe/Madrid``, or of an offset in hours, as old sites hold it; None if unknown."""
    for read in (_offset, ZoneInfo):
        with suppress(KeyError, ValueError, OverflowError, OSError):
            return read(name)
    return None


def name_of(zone: datetime.tzinfo) -> str:
    """The name by which :func:`zone_named` finds a zone again."""
    if isinstance(zone, ZoneInfo) and zone.key:
        return zone.key
    offset = zone.utcoffset(None)
    return str((offset or datetime.timedelta()).total_seconds() / 3600)


def _offset(hours: str) -> datetime.tzinfo:
    return datetime.timezone(datetime.timedelta(hours=float(hours)))
