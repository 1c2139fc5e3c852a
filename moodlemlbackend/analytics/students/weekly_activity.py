"""The share of a course's students who are active in each week, beside that of earlier courses of the same kind.

A course is of the same kind when it is in the same category and its short name differs only in what dates it, a year or
a term: ``BIO-101-WS25`` and ``BIO-101-WS24``. Weeks whose log Moodle has deleted are left out, here and there.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING

from moodlemlbackend.analytics.features.analysables import facts
from moodlemlbackend.analytics.site.logs import actions_between, oldest_log
from moodlemlbackend.analytics.students.timeline import FEWEST_STUDENTS, MOST_WEEKS, week_bounds

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from moodlemlbackend.analytics.site import Site
    from moodlemlbackend.analytics.site.site import CourseRow

EARLIER_COURSES = 3
"""At most, the latest ones."""

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
    """Read who was active in each week of a course that is over by a time; weeks are those of :mod:`.timeline`."""
    until = min(now, course.end) if course.end else now
    if not 0 < course.start <= until:
        return WeeklyActivity({})
    bounds = [bound for bound in week_bounds(course.start, until, site.zone) if bound <= until]
    left_out = max(len(bounds) - 1 - MOST_WEEKS, bisect_left(bounds, oldest_log(site, now)))
    weeks: dict[int, set[int]] = {number: set() for number in range(left_out + 1, len(bounds))}
    if weeks:
        for user, part, _ in actions_between(site, course.id, bounds[left_out:]).tolist():
            weeks[left_out + part + 1].add(user)
    return WeeklyActivity({number: frozenset(users) for number, users in weeks.items()})


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
