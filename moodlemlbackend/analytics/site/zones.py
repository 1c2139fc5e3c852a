"""Time zones by the names that Moodle has for them."""

from __future__ import annotations

import datetime
from zoneinfo import ZoneInfo

SITES_ZONE = "99"
"""Stands for the zone of the site, in a user's profile."""

_MOST_HOURS = 24


def zone_named(name: str) -> datetime.tzinfo | None:
    """The zone of a name such as ``Europe/Madrid``, or of an offset in hours, as old sites hold it; None if unknown."""
    try:
        hours = float(name)
    except ValueError:
        try:
            return ZoneInfo(name)
        except (KeyError, ValueError, OSError):
            return None
    return datetime.timezone(datetime.timedelta(hours=hours)) if abs(hours) < _MOST_HOURS else None


def name_of(zone: datetime.tzinfo) -> str:
    """The name by which :func:`zone_named` finds a zone again."""
    if isinstance(zone, ZoneInfo) and zone.key:
        return zone.key
    offset = zone.utcoffset(None)
    return str((offset or datetime.timedelta()).total_seconds() / 3600)
