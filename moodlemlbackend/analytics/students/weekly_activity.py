"""The share of a course's students who are active in each week, beside that of earlier courses of the same kind.

A course is of the same kind when it is in the same category and its short name differs only in what dates it, a year or
a term: ``BIO-101-WS25`` and ``BIO-101-WS24``. Weeks whose log Moodle has deleted are left out, here and there.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING

from moodlemlbackend.analytics.features.analysables import facts
from moodlemlbackend.analytics.features.weeks import SECONDS_A_WEEK
from moodlemlbackend.analytics.site.logs import oldest_log, users_by_segment

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from moodlemlbackend.analytics.site import Site
    from moodlemlbackend.analytics.site.site import CourseRow

EARLIER_COURSES = 3
"""At most, the latest ones."""
FEWEST_STUDENTS = 5
"""In an earlier course, below which its shares say little, and say it about known people."""
MOST_WEEKS = 60
"""Of a longer course the last ones are shown."""

_PARTS = re.compile(r"[^\W_]+")
_DATING = re.compile(
    r"(19|20)\d\d(ws|ss|[stq]\d)?|(ws|ss|wise|sose|fs|hs|sem|semester|term|trimester)(\d\d|\d\d\d\d)?"
    r"|(spring|summer|fall|autumn|winter)\d*|[stq]\d"
)
_SHORT_YEAR = re.compile(r"\d\d")


@dataclass(frozen=True)
class WeeklyActivity:
    """Ids of the users who did something in a week of a course that is over, by the number of the week, from 1."""

    weeks: Mapping[int, frozenset[int]]

    def shares(self, students: Collection[int]) -> dict[int, float]:
        """The share of some students who were active, by the number of the week, in the order of weeks."""
        chosen = set(students)
        return {number: len(week & chosen) / len(chosen) for number, week in self.weeks.items()} if chosen else {}


def same_kind(courses: Sequence[CourseRow], course: CourseRow, now: int) -> list[CourseRow]:
    """The latest courses of the same kind that are over and began before a course."""
    stem = _stem(course.shortname)
    alike = [
        other
        for other in courses
        if other.id != course.id
        and other.path[:-1] == course.path[:-1]
        and 0 < other.start < course.start
        and other.start < other.end <= now
        and stem
        and _stem(other.shortname) == stem
    ]
    return sorted(alike, key=lambda other: -other.start)[:EARLIER_COURSES]


def _stem(short_name: str) -> tuple[str, ...]:
    """The parts of a short name that do not date it; none of a name that nothing dates."""
    kept: list[str] = []
    dated = after = False
    for part in _PARTS.findall(short_name.casefold()):
        after = bool(_DATING.fullmatch(part)) or (after and bool(_SHORT_YEAR.fullmatch(part)))
        dated = dated or after
        if not after:
            kept.append(part)
    return tuple(kept) if dated else ()


def read_weekly_activity(site: Site, course: CourseRow, now: int) -> WeeklyActivity:
    """Read who was active in each week of a course that is over by a time."""
    until = min(now, course.end) if course.end else now
    number = (until - course.start) // SECONDS_A_WEEK if course.start else 0
    deleted = -((course.start - oldest_log(site, now)) // SECONDS_A_WEEK)
    left_out = max(deleted, number - MOST_WEEKS, 0)
    if left_out >= number:
        return WeeklyActivity({})
    bounds = [course.start + week * SECONDS_A_WEEK for week in range(left_out, number + 1)]
    weeks: dict[int, set[int]] = {week: set() for week in range(left_out + 1, number + 1)}
    for segment, user in users_by_segment(site, course.id, bounds).tolist():
        weeks[left_out + segment].add(user)
    return WeeklyActivity({week: frozenset(users) for week, users in weeks.items()})


def earlier_shares(site: Site, courses: Sequence[CourseRow], now: int) -> dict[int, float]:
    """The median share of active students in earlier courses, by the number of the week; none of too few students.

    Students are those who have the role and an enrolment still, of whatever status.
    """
    enrolled, learners = facts.enrolments(site, courses), facts.students(site, courses)
    shares: dict[int, list[float]] = {}
    for course in courses:
        if course.id in enrolled:
            students = set(learners[course.id].tolist()) & set(enrolled[course.id].users.tolist())
            if len(students) >= FEWEST_STUDENTS:
                for week, share in read_weekly_activity(site, course, now).shares(students).items():
                    shares.setdefault(week, []).append(share)
    return {week: median(shares[week]) for week in sorted(shares)}
