"""The share of a course's students who are active in each week, beside that of earlier courses of the same kind.

A course is of the same kind when it is in the same category and its short name differs only in what dates it, a year or
a term: ``BIO-101-WS25`` and ``BIO-101-WS24``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING

from moodlemlbackend.analytics.features.analysables import facts
from moodlemlbackend.analytics.features.weeks import SECONDS_A_WEEK
from moodlemlbackend.analytics.site.logs import users_by_segment

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from moodlemlbackend.analytics.site import Site
    from moodlemlbackend.analytics.site.site import CourseRow

EARLIER_COURSES = 3
"""At most, the latest ones."""
FEWEST_STUDENTS = 5
"""In an earlier course, below which its shares say little, and say it about known people."""
MOST_WEEKS = 60

_PARTS = re.compile(r"[^\W_]+")
_DATING = re.compile(
    r"(19|20)\d\d(ws|ss|[stq]\d)?|(ws|ss|wise|sose|fs|hs|sem|semester|term|trimester)(\d\d|\d\d\d\d)?"
    r"|(spring|summer|fall|autumn|winter)\d*|[stq]\d"
)
_SHORT_YEAR = re.compile(r"\d\d")


@dataclass(frozen=True)
class WeeklyActivity:
    """Which users did something in each week of a course that is over, by week; ``weeks`` are ids of users."""

    weeks: tuple[frozenset[int], ...]

    def shares(self, students: Collection[int]) -> list[float]:
        """The share of some students who were active in each week."""
        chosen = set(students)
        return [len(week & chosen) / len(chosen) for week in self.weeks] if chosen else []


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
    if not course.start or until < course.start + SECONDS_A_WEEK:
        return WeeklyActivity(())
    number = min((until - course.start) // SECONDS_A_WEEK, MOST_WEEKS)
    bounds = [course.start + week * SECONDS_A_WEEK for week in range(number + 1)]
    weeks: list[set[int]] = [set() for _ in range(number)]
    for segment, user in users_by_segment(site, course.id, bounds).tolist():
        weeks[segment - 1].add(user)
    return WeeklyActivity(tuple(map(frozenset, weeks)))


def earlier_shares(site: Site, courses: Sequence[CourseRow], now: int) -> list[float]:
    """The median share of active students, week by week, in earlier courses; empty when there are too few students.

    Students are those who have the role and an enrolment still, of whatever status.
    """
    enrolled, learners = facts.enrolments(site, courses), facts.students(site, courses)
    shares: list[list[float]] = []
    for course in courses:
        if course.id in enrolled:
            students = set(learners[course.id].tolist()) & set(enrolled[course.id].users.tolist())
            if len(students) >= FEWEST_STUDENTS:
                shares.append(read_weekly_activity(site, course, now).shares(students))
    longest = max(map(len, shares), default=0)
    return [median([of_course[week] for of_course in shares if week < len(of_course)]) for week in range(longest)]
