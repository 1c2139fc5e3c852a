"""What a site is made of, before anything happens there: its courses and who belongs to which.

Courses are finished, ongoing or just starting; some cannot be analysed, and some enrolments are odd. Students have an
ability and a drive that they bring to every course. Arrays of users are indexed by user id minus ``FIRST``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Booleans = NDArray[np.bool_]

DAY, WEEK = 86_400, 604_800
GUEST, ADMIN, MANAGER, FIRST = 1, 2, 3, 4  # ids of users; teachers come first, then students

KINDS = ("finished", "ongoing", "starting", "no end", "end before start", "too long")
TOO_LONG = 62  # weeks; Moodle analyses a year and four weeks at most


class CoursePlan(NamedTuple):
    """A course; ``end`` is when teaching ends, ``enddate`` what Moodle believes."""

    number: int  # from 0
    kind: str
    start: int
    end: int
    enddate: int
    format: str
    visible: bool
    category: int  # from 0
    tracked: bool  # completion has criteria
    competencies: bool
    has_gradepass: bool
    open_early: bool
    demand: float  # around 0; makes work harder
    responsive: float  # 0 to 1: how readily teachers grade
    teachers: Integers  # user ids
    students: Integers  # user ids, sorted

    @property
    def weeks(self) -> int:
        """Weeks of teaching, the last one maybe shorter."""
        return -((self.start - self.end) // WEEK)


@dataclass(frozen=True, eq=False)
class SitePlan:
    """All courses and users; ``now`` is the Unix time at which the site is looked at."""

    now: int
    courses: list[CoursePlan]
    categories: int
    teachers: int
    ability: Floats  # (users,) around 0
    drive: Floats  # (users,) around 0
    created: Integers  # (users,) Unix time

    @property
    def students(self) -> Integers:
        """The ids of all students."""
        return np.arange(FIRST + self.teachers, FIRST + len(self.drive))


def plan_site(courses: int, students: int, seed: int, now: int) -> SitePlan:
    """Plan a site with ``students`` students a course on average, each in three courses or so."""
    random = np.random.default_rng([seed, 0])
    kinds = _draw_kinds(courses)
    sizes = np.maximum(2, random.poisson(students * random.gamma(5, 1 / 5, size=courses)))
    if courses >= 12:
        sizes[kinds.index("finished")] = 0
        sizes[len(kinds) - 1 - kinds[::-1].index("starting")] = 0
    teachers = max(2, courses // 2)
    users = max(int(sizes.max()), round(sizes.sum() / 3))
    categories = min(6, 1 + courses // 4)
    planned = [
        _draw_course(number, kind, int(size), now, categories, teachers, users, random)
        for number, (kind, size) in enumerate(zip(kinds, sizes, strict=True))
    ]
    opening = min(course.start for course in planned) - 60 * DAY
    return SitePlan(
        now=now,
        courses=planned,
        categories=categories,
        teachers=teachers,
        ability=random.normal(size=teachers + users),
        drive=random.normal(size=teachers + users),
        created=opening - random.integers(30 * DAY, size=teachers + users),
    )


def _draw_kinds(courses: int) -> list[str]:
    """Return the kind of each course: one in six ongoing, some starting and invalid ones where there are enough."""
    ongoing = max(1, round(courses / 6)) if courses > 1 else 0
    starting = max(2, round(courses / 15)) if courses >= 12 else 0
    invalid = max(3, round(courses / 15)) if courses >= 12 else 0
    kinds = ["finished"] * (courses - ongoing - starting - invalid) + ["ongoing"] * ongoing + ["starting"] * starting
    return kinds + [KINDS[3 + number % 3] for number in range(invalid)]


def _draw_course(
    number: int,
    kind: str,
    size: int,
    now: int,
    categories: int,
    teachers: int,
    users: int,
    random: np.random.Generator,
) -> CoursePlan:
    weeks = TOO_LONG if kind == "too long" else int(random.choice([8, 10, 12, 12, 14, 16, 20]))
    ago = {
        "finished": WEEK * weeks + DAY * random.uniform(10, 500),
        "ongoing": WEEK * weeks * random.uniform(0.2, 0.9),
        "starting": DAY * random.uniform(1, 6) * (1 if number % 2 else -1),
    }.get(kind, WEEK * weeks + DAY * random.uniform(10, 200))
    start = (now - int(ago)) // DAY * DAY
    end = start + weeks * WEEK
    visible = random.random() > 0.06
    second, early = random.random(2)
    known = FIRST + random.choice(teachers, size=1 + int(second < 0.4), replace=False)
    enrolled = FIRST + teachers + random.choice(users, size=size, replace=False)
    return CoursePlan(
        number=number,
        kind=kind,
        start=start,
        end=end,
        enddate={"no end": 0, "end before start": start - 60 * DAY}.get(kind, end),
        format={10: "social", 11: "singleactivity"}.get(number % 24, "weeks" if number % 4 == 3 else "topics"),
        visible=bool(visible),
        category=int(random.integers(categories)),
        tracked=number % 5 in {1, 3},
        competencies=number % 4 == 2,
        has_gradepass=number % 3 > 0,
        open_early=bool(early < 0.5),
        demand=float(random.normal(0, 0.35)),
        responsive=float(random.beta(3, 2)),
        teachers=known[:0] if kind == "starting" and number % 2 else known,
        students=np.sort(enrolled),
    )
