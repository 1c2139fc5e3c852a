"""Who comes to a course, what they do there, and who stops coming.

Every student has an engagement that develops week by week: it decides how often they come, whether they open and do
what is due, and how likely they are to leave for good. Good grades and answers of teachers raise it, missed and hard
work lowers it, so that those who leave have shown it before, though never with certainty.

Arrays are indexed by student (S), activity (A), session (K) or piece of work (P: an activity that a student opened).
Times are Unix times; 0 is never.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

import numpy as np

from moodlemlbackend.simulation.site.course import (
    APPEAL,
    BY_PEOPLE,
    GRADED,
    WORKED_ON,
    SimulatedActivities,
    SimulatedCourse,
)
from moodlemlbackend.simulation.site.plan import DAY, FIRST, WEEK, SitePlan

if TYPE_CHECKING:
    from moodlemlbackend.simulation.site.plan import Booleans, Floats, Integers

USUAL_SESSIONS = 2.2  # a week
WEEKS_AFTER = 3  # in which some look at their grades
_HOURS = np.array([1, 0, 0, 0, 0, 0, 1, 2, 4, 6, 7, 7, 6, 6, 7, 7, 7, 6, 6, 7, 7, 6, 4, 2])
"""How many of the sessions begin in which hour."""


@dataclass(frozen=True, eq=False)
class Sessions:
    """Visits to the course, ordered by person and time."""

    person: Integers  # (K,) index of the student or teacher
    time: Integers  # (K,)
    week: Integers  # (K,) from -1, before the start, to the number of weeks, after the end


@dataclass(frozen=True, eq=False)
class Work:
    """What students did with activities, each (P,)."""

    student: Integers
    activity: Integers
    opened: Integers
    written: Integers
    grade: Floats  # 0 to 100, where graded
    graded: Integers
    read: Integers  # when they looked at the grade or the answers
    again: Integers

    def select(self, chosen: Booleans) -> Work:
        """Return some of the work."""
        return Work(*(getattr(self, column.name)[chosen] for column in fields(self)))


@dataclass(frozen=True, eq=False)
class Behaviour:
    """All that happens in a course until now."""

    students: Sessions
    teachers: Sessions
    work: Work


def live(course: SimulatedCourse, site: SitePlan, random: np.random.Generator) -> Behaviour:
    """Let students and teachers live through the course until now."""
    plan, activities = course.plan, course.activities
    size, weeks = len(plan.students), plan.weeks
    person = plan.students - FIRST
    ability, participation = site.ability[person], random.normal(0, 0.6, size=size)
    engagement = 0.5 + 0.7 * site.drive[person] + random.normal(0, 0.5, size=size) - 0.4 * plan.demand
    present = _presence(course)
    due = _weeks_of_work(activities, size, weeks, random)
    chance_to_open, chance_to_write = random.random((2, *due.shape))
    noise = random.normal(0, 12, size=due.shape)
    graded, by_people = GRADED[activities.kind], BY_PEOPLE[activities.kind]

    counts = np.zeros((size, weeks + 2), dtype=np.int64)
    counts[:, 0] = random.poisson(0.4 * plan.open_early * present[:, 0])
    opened, written = np.zeros((2, *due.shape), dtype=bool)
    grade = np.zeros(due.shape)
    stays = random.random(size) < _sigmoid(4 + engagement)  # a few never come
    for week in range(weeks):
        rate = USUAL_SESSIONS * np.exp(0.55 * np.clip(engagement, -4, 2.2) - 0.15) * stays * present[:, week + 1]
        counts[:, week + 1] = random.poisson(rate)
        absent = (counts[:, week + 1] == 0)[:, None]
        if week + 1 < weeks:
            due[(due == week) & absent & (activities.closes == 0) & (chance_to_open < 0.7)] += 1
        now = (due == week) & ~absent
        willing = (
            engagement[:, None] + 1.3 * graded + 1.5 * activities.criterion + np.log(APPEAL[activities.kind] + 1e-9)
        )
        opened |= now & (chance_to_open < _sigmoid(1.0 + willing))
        able = willing + participation[:, None] - 0.5 * activities.difficulty
        does = now & opened & WORKED_ON[activities.kind] & (chance_to_write < _sigmoid(0.1 + able))
        written |= does
        grade += does * np.clip(60 + 12 * ability + 6 * engagement, 5, 95)[:, None]
        grade += does * np.clip(noise - 12 * activities.difficulty, -40, 40)

        seen = does & graded & (~by_people | activities.answered)
        pleased = (seen * (grade - 52) / 40).sum(axis=1) + 0.15 * (does & activities.answered).sum(axis=1)
        missed = ((due == week) & graded & ~does).sum(axis=1) * present[:, week + 1]
        engagement += 0.3 * np.tanh(pleased - 0.4 * missed) + random.normal(-0.04, 0.25, size=size)
        leaves = random.random(size) < _sigmoid(-5.0 - 1.7 * engagement) * 12 / weeks
        stays &= ~(leaves & (present[:, week + 1] > 0))
    counts[:, -1] = random.poisson((0.8 * _sigmoid(engagement) * stays + 0.01) * present[:, -1])

    sessions = _hold_sessions(counts, course, random)
    work = _do_work(opened, written, np.clip(grade, 0, 100), due, counts, sessions, course, random)
    return Behaviour(
        students=_until(sessions, site.now),
        teachers=_until(_teach(course, random), site.now),
        work=_know(work, site.now),
    )


def _presence(course: SimulatedCourse) -> Floats:
    """Whether the enrolment covers the week before the start, each week, and the time after the end, (S, weeks + 2)."""
    plan, enrolments = course.plan, course.enrolments
    begin = plan.start + WEEK * np.arange(-1, plan.weeks + 1)
    covered = (begin >= enrolments.first[:, None]) & (begin + WEEK <= enrolments.last[:, None])
    return (covered & ~enrolments.suspended[:, None]).astype(np.float64)


def _weeks_of_work(activities: SimulatedActivities, size: int, weeks: int, random: np.random.Generator) -> Integers:
    """In which week each student turns to each activity, (S, A); those of no week have one of the student's own."""
    own = (weeks * random.random((size, len(activities))) ** 1.5).astype(np.int64)
    return np.where(activities.week < 0, own, activities.week)


def _hold_sessions(counts: Integers, course: SimulatedCourse, random: np.random.Generator) -> Sessions:
    """Spread ``counts`` (persons, weeks + 2) sessions over the days and hours of their weeks."""
    plan = course.plan
    person, column = (np.repeat(index.ravel(), counts.ravel()) for index in np.indices(counts.shape))
    begin = plan.start + (column - 1) * WEEK
    begin = np.where(column > plan.weeks, plan.end, begin)
    length = np.where(column > plan.weeks, WEEKS_AFTER * WEEK, np.minimum(WEEK, plan.end - begin))
    length = np.where(column == 0, WEEK, length)
    day = (begin + length * random.random(len(begin))).astype(np.int64) // DAY * DAY
    hour = random.choice(24, size=len(begin), p=_HOURS / _HOURS.sum())
    time = np.clip(day + 3600 * hour + random.integers(3600, size=len(begin)), begin + 60, begin + length - 60)
    order = np.lexsort((time, person))
    return Sessions(person, time[order], (column - 1)[order])


def _teach(course: SimulatedCourse, random: np.random.Generator) -> Sessions:
    """The teachers' sessions, more of them where they are responsive."""
    plan = course.plan
    counts = random.poisson(1.5 + 3 * plan.responsive, size=(len(plan.teachers), plan.weeks + 2))
    return _hold_sessions(counts, course, random)


def _do_work(
    opened: Booleans,
    written: Booleans,
    grade: Floats,
    due: Integers,
    counts: Integers,
    sessions: Sessions,
    course: SimulatedCourse,
    random: np.random.Generator,
) -> Work:
    """Put the work into sessions of its week, let it be graded, and the student come back to it."""
    activities = course.activities
    student, activity = np.nonzero(opened)
    first = (np.cumsum(counts.ravel()) - counts.ravel()).reshape(counts.shape)
    column = due[student, activity] + 1
    number = counts[student, column]
    session = first[student, column] + (number * random.random(len(student))).astype(np.int64)

    def later(least: float, mean: float) -> Integers:
        return (least + random.exponential(mean, size=len(student))).astype(np.int64)

    closes = np.where(activities.closes > 0, activities.closes, np.iinfo(np.int64).max)[activity]
    opens = np.minimum(sessions.time[session] + later(20, 400), closes - 120)
    writes = np.where(written[student, activity], np.minimum(opens + later(60, 600), closes - 60), 0)
    kind = activities.kind[activity]
    delay = np.where(BY_PEOPLE[kind], later(0.5 * DAY, (7 - 5 * course.plan.responsive) * DAY), 5)
    gets_grade = (writes > 0) & GRADED[kind] & (~BY_PEOPLE[kind] | activities.answered[activity])
    graded = np.where(gets_grade, writes + delay, 0)

    known = np.where(GRADED[kind], graded, writes)
    back = _next_session(sessions, student, known)
    reads = np.where((known > 0) & (back > 0) & (random.random(len(student)) < 0.7), back + later(20, 300), 0)
    repeats = (reads > 0) & (random.random(len(student)) < 0.2)
    again = np.where(repeats & (reads + 3600 < closes), reads + later(60, 600), 0)
    return Work(student, activity, opens, writes, grade[student, activity], graded, reads, again)


def _next_session(sessions: Sessions, student: Integers, time: Integers) -> Integers:
    """The time of each student's first session after ``time``, 0 if there is none."""
    if not len(sessions.time):
        return np.zeros_like(time)
    span = 1 << 34  # more than any Unix time
    index = np.searchsorted(sessions.person * span + sessions.time, student * span + time, side="right")
    after = np.minimum(index, len(sessions.time) - 1)
    return np.where((index < len(sessions.time)) & (sessions.person[after] == student), sessions.time[after], 0)


def _until(sessions: Sessions, now: int) -> Sessions:
    past = sessions.time <= now - 3600
    return Sessions(sessions.person[past], sessions.time[past], sessions.week[past])


def _know(work: Work, now: int) -> Work:
    """Only what has happened until now."""

    def known(time: Integers) -> Integers:
        return np.where(time <= now, time, 0)

    past = Work(
        work.student,
        work.activity,
        known(work.opened),
        known(work.written),
        work.grade,
        known(work.graded),
        known(work.read),
        known(work.again),
    )
    return past.select(past.opened > 0)


def _sigmoid(x: Floats) -> Floats:
    return 1 / (1 + np.exp(-x))
