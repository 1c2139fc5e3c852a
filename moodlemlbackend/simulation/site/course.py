"""What one course is made of: sections and activities, when they are due, and how its students are enrolled.

Arrays are indexed by activity (A), ordered by section, or by student (S), ordered by user id.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from moodlemlbackend.simulation.courses import ACTIVITY_TYPES
from moodlemlbackend.simulation.site.activities import KINDS
from moodlemlbackend.simulation.site.plan import DAY, WEEK

if TYPE_CHECKING:
    from collections.abc import Collection

    from moodlemlbackend.simulation.site.plan import Booleans, CoursePlan, Floats, Integers

NAMES = tuple(KINDS)
GRADED = np.array([bool(kind.grading) for kind in KINDS.values()])
BY_PEOPLE = np.array([kind.grading in {"teacher", "peer"} for kind in KINDS.values()])
WORKED_ON = np.array([kind.is_worked_on for kind in KINDS.values()])
CLOSES = np.array([bool(kind.close) for kind in KINDS.values()])
_USE = {kind.name: (kind.popularity, kind.number, kind.appeal) for kind in ACTIVITY_TYPES}
_USE |= {"bigbluebuttonbn": (0.06, 1.5, 0.7)}
_POPULARITY, _NUMBER, APPEAL = np.array([_USE[name] for name in NAMES]).T
ODD = ("late", "short", "old", "after", "suspended", "twice")
"""How enrolments can be odd: after the start, over before the end, long ago, after the end, suspended, double."""

_SHOWN_IN = 4  # of the first courses, every kind is in one at least
_SHOWN_UNTIL = 12


@dataclass(frozen=True, eq=False)
class SimulatedActivities:
    """The activities of a course, each (A,)."""

    kind: Integers  # index of NAMES
    section: Integers  # its number
    week: Integers  # in which students work on it, from 0; -1 for none in particular
    closes: Integers  # Unix time, 0 for never
    difficulty: Floats  # around 0
    answered: Booleans  # a person will grade it
    criterion: Booleans  # completing the course needs it
    hidden: Booleans
    available_from: Integers  # Unix time, 0 for always

    def __len__(self) -> int:
        return len(self.kind)


@dataclass(frozen=True, eq=False)
class SimulatedEnrolments:
    """How the students are enrolled, each (S,); ``first`` and ``last`` bound when they are there, as Unix time."""

    timestart: Integers
    timeend: Integers
    timecreated: Integers
    suspended: Booleans
    twice: Booleans
    first: Integers
    last: Integers


@dataclass(frozen=True, eq=False)
class SimulatedCourse:
    """A course with its activities and students."""

    plan: CoursePlan
    sections: int  # with section 0
    activities: SimulatedActivities
    enrolments: SimulatedEnrolments
    completion: bool  # is tracked for activities
    has_criteria: bool


def draw_course(plan: CoursePlan, available: Collection[str], now: int, random: np.random.Generator) -> SimulatedCourse:
    """Draw the activities, of the ``available`` kinds, and the enrolments of a course, none made after ``now``."""
    kinds = _draw_kinds(plan, available, random)
    week = random.integers(plan.weeks, size=len(kinds))
    week[GRADED[kinds]] = _spread(int(GRADED[kinds].sum()), plan.weeks, random)
    general = (random.random(len(kinds)) < 0.08) & ~GRADED[kinds]
    general |= (kinds == NAMES.index("forum")) & (np.cumsum(kinds == NAMES.index("forum")) == 1)
    sections = _number_of_sections(plan, random)
    if sections == 1:
        general[:] = True
    section = np.where(general, 0, 1 + week * (sections - 1) // plan.weeks)
    closing = CLOSES[kinds] & (random.random(len(kinds)) < 0.9) & ((section > 0) | (sections == 1))
    week = np.where(general & (sections > 1), -1, week)
    order = np.lexsort((week, section))
    kinds, section, week, closing = kinds[order], section[order], week[order], closing[order]

    criterion = _choose_criteria(plan, kinds, week, random)
    weekend = np.minimum(plan.start + (week + 1) * WEEK, plan.end)
    activities = SimulatedActivities(
        kind=kinds,
        section=section,
        week=week,
        closes=np.where(closing & ~criterion, weekend - 3600, 0),
        difficulty=plan.demand + random.normal(0, 0.4, size=len(kinds)),
        answered=BY_PEOPLE[kinds] & (random.random(len(kinds)) < plan.responsive) & bool(len(plan.teachers)),
        criterion=criterion,
        hidden=random.random(len(kinds)) < 0.03,
        available_from=np.where((week > 0) & (random.random(len(kinds)) < 0.06), plan.start + week * WEEK, 0),
    )
    has_criteria = bool(activities.criterion.any())
    completion = has_criteria or bool(random.random() < 0.3)
    return SimulatedCourse(plan, sections, activities, _draw_enrolments(plan, now, random), completion, has_criteria)


def _draw_kinds(plan: CoursePlan, available: Collection[str], random: np.random.Generator) -> Integers:
    """Return the kind of each activity."""
    if plan.format == "singleactivity":
        return np.array([NAMES.index("quiz" if plan.number % 2 else "assign")])
    has = random.random(len(NAMES)) < _POPULARITY
    if plan.number < _SHOWN_UNTIL:
        has |= np.arange(len(NAMES)) % _SHOWN_IN == plan.number % _SHOWN_IN
    has[NAMES.index("assign")] |= not has[NAMES.index("quiz")]
    if plan.format == "social":
        has = np.isin(NAMES, ["forum", "resource"])
    weeks = min(plan.weeks, 30)
    number = 1 + random.poisson(weeks / 12 * np.maximum(_NUMBER - 1, 0.2))
    assessed_by = NAMES.index("assign" if has[NAMES.index("assign")] else "quiz")
    number[assessed_by] = max(number[assessed_by], weeks // 2)
    return np.repeat(np.arange(len(NAMES)), np.where(has & np.isin(NAMES, list(available)), number, 0))


def _spread(number: int, weeks: int, random: np.random.Generator) -> Integers:
    """Return ``number`` weeks, in no order but evenly over the course."""
    place = (random.permutation(number) + random.random(number)) / max(number, 1)
    return (weeks * place).astype(np.int64)


def _number_of_sections(plan: CoursePlan, random: np.random.Generator) -> int:
    if plan.format == "weeks":
        return 1 + plan.weeks
    if plan.format == "topics":
        return 1 + max(3, round(plan.weeks / float(random.choice([1, 2, 2, 3]))))
    return 1


def _choose_criteria(plan: CoursePlan, kinds: Integers, week: Integers, random: np.random.Generator) -> Booleans:
    """Choose what completing the course needs: an activity of the first half, and up to two of the second."""
    chosen = np.zeros(len(kinds), dtype=bool)
    if plan.tracked:
        possible = GRADED[kinds] & (week >= 0)
        late = week >= plan.weeks / 2
        for candidates, number in ((possible & ~late, 1), (possible & late, 1 + int(random.random() < 0.4))):
            drawn = random.permutation(np.flatnonzero(candidates))
            chosen[drawn[:number]] = True
    return chosen


def _draw_enrolments(plan: CoursePlan, now: int, random: np.random.Generator) -> SimulatedEnrolments:
    """Enrol the students, some of them oddly, at least one."""
    size = len(plan.students)
    length = plan.end - plan.start
    created = plan.start - random.integers(DAY, 21 * DAY, size=size)
    odd = random.choice(["", *ODD], size=size, p=[0.88, 0.05, 0.02, 0.01, 0.01, 0.01, 0.02])
    odd[: min(size, 1)] = ODD[plan.number % len(ODD)]
    late = plan.start + (random.uniform(0.05, 0.4, size=size) * length).astype(np.int64)
    created = np.where(odd == "late", late, created)
    created = np.where(odd == "old", plan.start - 400 * DAY, created)
    created = np.where(odd == "after", plan.end + DAY, created)
    begins = np.where(random.random(size) < 0.5, np.maximum(created, plan.start - 7 * DAY * (odd != "old")), 0)
    begins = np.where(odd == "old", created, begins)
    short = plan.start + (random.uniform(-0.1, 0.9, size=size) * length).astype(np.int64)
    ends = np.where(odd == "short", short, np.where(random.random(size) < 0.1, plan.end + 90 * DAY, 0))
    return SimulatedEnrolments(
        timestart=np.where((ends > 0) & (begins > ends), created, begins),
        timeend=ends,
        timecreated=np.minimum(created, now - 2 * DAY),
        suspended=odd == "suspended",
        twice=odd == "twice",
        first=np.maximum(created, begins),
        last=np.where(odd == "short", ends, np.iinfo(np.int64).max // 2),
    )
