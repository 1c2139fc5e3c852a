"""A student's time line: what the student did, week by week, beside the course's middle half.

Weeks begin with the day on which the course does, at midnight in the site's time zone, and have seven days of the
calendar: one in which the clock changes is an hour shorter or longer. A student counts from the week of the enrolment
on, or from that of the first action if that was earlier.
"""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from moodlemlbackend.analytics.features.analysables import facts
from moodlemlbackend.analytics.features.calendar_time import Period, shift
from moodlemlbackend.analytics.site.logs import actions_between, oldest_log
from moodlemlbackend.analytics.students.course_students import course_students

if TYPE_CHECKING:
    from datetime import tzinfo

    from moodlemlbackend.analytics.site import Site
    from moodlemlbackend.analytics.site.database import Integers
    from moodlemlbackend.analytics.site.site import CourseRow

FEWEST_STUDENTS = 5
"""With fewer, a middle half would be about single people."""

MOST_WEEKS = 60
"""Of a longer course the last ones are shown."""

_DAY = 86_400


@dataclass(frozen=True)
class CourseActivity:
    """What the students of a course did, by week.

    Attributes
    ----------
    bounds
        Unix times at which the weeks begin, and at which the last one ends: (weeks + 1,).
    first
        the number of the first of these weeks, 1 for the course's first: earlier ones are no longer in the log, or
        too many.
    until
        up to when it was read, a Unix time: what has passed of the last week ends there.
    users
        ids of the students, sorted.
    actions
        how often they did something: (students, weeks).
    since
        position of the first week in which each student counts: (students,).
    """

    bounds: tuple[int, ...]
    first: int
    until: int
    users: Integers
    actions: Integers
    since: Integers


class Week(NamedTuple):
    """A week of a time line.

    Attributes
    ----------
    number
        from 1, the course's first.
    start, end
        Unix times; the end is not part of it.
    actions
        what the student did; None before the student counts.
    a_day
        the same for a day, of those that have passed.
    middle
        between which values the middle half of the students lie, for a day; None with too few students.
    """

    number: int
    start: int
    end: int
    actions: int | None
    a_day: float | None
    middle: tuple[float, float] | None


def week_bounds(start: int, end: int, zone: tzinfo) -> tuple[int, ...]:
    """When the weeks of a course from one Unix time to another begin, and the last one ends."""
    local = datetime.fromtimestamp(start, zone)
    midnight = int(local.replace(hour=0, minute=0, second=0, microsecond=0).timestamp())
    bounds = [midnight]
    while bounds[-1] < end or len(bounds) < 2:
        bounds.append(shift(midnight, Period(days=7 * len(bounds)), zone))
    return tuple(bounds)


def read_activity(site: Site, course: CourseRow, now: int) -> CourseActivity | None:
    """Read what the students did in a course until now or its end.

    None before it begins, without a start date, and when Moodle no longer has the log of any of its weeks.
    """
    if not 0 < course.start <= now:
        return None
    until = min(now, course.end) if course.end > course.start else now
    bounds = week_bounds(course.start, until + 1, site.zone)
    first = max(len(bounds) - 1 - MOST_WEEKS, bisect_left(bounds, oldest_log(site, now)))
    bounds = bounds[first:]
    if len(bounds) < 2:
        return None
    since = _enrolled_since(site, course, now)
    users = np.array(sorted(since), np.int64)
    actions = np.zeros((len(users), len(bounds) - 1), np.int64)
    counted = actions_between(site, course.id, [*bounds[:-1], until + 1])
    counted = counted[np.isin(counted[:, 0], users)]
    actions[np.searchsorted(users, counted[:, 0]), counted[:, 1]] = counted[:, 2]
    begins = np.array([since[user] for user in users.tolist()], np.int64)
    enrolled = np.maximum(np.searchsorted(bounds, begins, side="right") - 1, 0)
    active = np.where(actions.any(axis=1), (actions > 0).argmax(axis=1), len(bounds))
    return CourseActivity(bounds, first + 1, until, users, actions, np.minimum(enrolled, active))


def _enrolled_since(site: Site, course: CourseRow, now: int) -> dict[int, int]:
    """Since when the students of a course are enrolled, of those who are now: Unix times by user."""
    enrolments = facts.enrolments(site, [course]).get(course.id)
    if enrolments is None:
        return {}
    students = course_students(site, course, now)
    return {user: begin for user, begin in enrolments.since(now).items() if user in students}


def weeks_of(activity: CourseActivity, userid: int) -> list[Week]:
    """The weeks of a student, the first one first."""
    at = int(np.searchsorted(activity.users, userid))
    known = at < len(activity.users) and activity.users[at] == userid
    weeks = []
    for place, (start, end) in enumerate(pairwise(activity.bounds)):
        days = max(min(end, activity.until) - start, _DAY) / _DAY
        actions = int(activity.actions[at, place]) if known and activity.since[at] <= place else None
        a_day = None if actions is None else actions / days
        weeks.append(Week(activity.first + place, start, end, actions, a_day, _middle(activity, place, days)))
    return weeks


def _middle(activity: CourseActivity, place: int, days: float) -> tuple[float, float] | None:
    counting = activity.actions[activity.since <= place, place]
    if len(counting) < FEWEST_STUDENTS:
        return None
    low, high = np.percentile(counting, (25, 75)) / days
    return float(low), float(high)
