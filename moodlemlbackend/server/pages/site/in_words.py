"""What several pages of a course's students, and their table as CSV, say in the same words."""

from __future__ import annotations

from typing import TYPE_CHECKING

from moodlemlbackend.analytics.site.names import format_name
from moodlemlbackend.analytics.students.alerts import AlertKind, days_between
from moodlemlbackend.server.texts import say

if TYPE_CHECKING:
    from datetime import tzinfo

    from moodlemlbackend.analytics.students.alerts import Alert


def ago(time: int, now: int, zone: tzinfo) -> str:
    """How many days ago something was, by the days of the calendar; both are Unix times."""
    days = days_between(time, now, zone)
    if days < 1:
        return say("access today")
    return say("access yesterday") if days == 1 else say("access days", count=days)


def alert_in_words(alert: Alert, language: str) -> str:
    """An alert, with the name of what closes in a language of Moodle."""
    if alert.kind is not AlertKind.DUE:
        return say(f"alert {alert.kind.value}", count=alert.days)
    day = "today" if alert.today else "tomorrow"
    if len(alert.activities) == 1:
        return say(f"alert due named {day}", name=format_name(alert.activities[0].name, language))
    return say(f"alert due {day}", count=len(alert.activities))
