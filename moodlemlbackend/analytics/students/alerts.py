"""Alerts about a student in a running course: facts that ask for a look, whatever a model predicts."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, time, timedelta
from enum import Enum
from typing import TYPE_CHECKING

from moodlemlbackend.language.dates import local_time

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import tzinfo

    from moodlemlbackend.analytics.site.site import CourseRow
    from moodlemlbackend.analytics.students.course_facts import Activity, CourseFacts

ABSENT_DAYS = 7
"""Without a visit to the course."""
SETTLING_DAYS = 3
"""That a student has to open a course for the first time."""

_NOBODY = 0
"""Has no dates of one's own."""


class AlertKind(Enum):
    """What an alert is about; the order is that of urgency."""

    NEVER = "never"
    """The student has never opened the course."""
    ABSENT = "absent"
    """The student has not been in the course for some days."""
    DUE = "due"
    """Something closes today or tomorrow, and the student has not done it."""


@dataclass(frozen=True)
class Alert:
    """An alert.

    Attributes
    ----------
    days
        since the last visit, or since the student could have opened the course.
    activities
        what closes.
    today
        whether the first of them closes today.
    """

    kind: AlertKind
    days: int = 0
    activities: tuple[Activity, ...] = ()
    today: bool = False


def alerts_in(course: CourseRow, facts: CourseFacts, zone: tzinfo) -> Callable[[int], tuple[Alert, ...]]:
    """What gives the alerts about a user of a course, the most urgent first; there are none unless the course runs."""
    now = facts.now
    if now < course.start or (course.end and now >= course.end):
        return lambda _: ()
    today, tomorrow = _ends_of_days(now, zone)
    for_all = facts.closing(_NOBODY, tomorrow)

    def alerts(userid: int) -> tuple[Alert, ...]:
        raised = []
        last = facts.last_access.get(userid)
        since = max(course.start, facts.enrolled.get(userid, now))
        days = days_between(since if last is None else last, now, zone)
        if last is None and days >= SETTLING_DAYS:
            raised.append(Alert(AlertKind.NEVER, days))
        elif last is not None and days >= ABSENT_DAYS:
            raised.append(Alert(AlertKind.ABSENT, days))
        done = facts.done.get(userid, frozenset())
        closing = facts.closing(userid, tomorrow) if userid in facts.own_dates else for_all
        if missing := [(closes, activity) for closes, activity in closing if activity.id not in done]:
            raised.append(Alert(AlertKind.DUE, 0, tuple(activity for _, activity in missing), missing[0][0] <= today))
        return tuple(raised)

    return alerts


def days_between(then: int, now: int, zone: tzinfo) -> int:
    """How many midnights of a time zone lie between two Unix times."""
    first, last = (local_time(moment, zone).date() for moment in (then, now))
    return (last - first).days


def _ends_of_days(now: int, zone: tzinfo) -> tuple[int, int]:
    """Unix times at which today and tomorrow end in a time zone."""
    today = local_time(now, zone).date()
    ends = (datetime.combine(today + timedelta(days), time(), zone) for days in (1, 2))
    first, second = (int(end.timestamp()) for end in ends)
    return first, second
