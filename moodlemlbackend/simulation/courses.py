"""Data sets as Moodle writes them for its model of students at risk of dropping out, from simulated courses.

Causes are drawn, cells are computed: courses have a length, a demand and activities; students have a drive and a way
to go through the course (engaged, fading, leaving, late, lurking), hence so many sessions in each quarter, in which
they open and answer so many activities; from these follow Moodle's indicators and, by its rule, who dropped out.
Arrays are indexed by course (C), activity type (T), student (S: a student in a course, ordered by course) and
quarter (Q).
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from moodlemlbackend.errors import StorageError, UsageError

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Booleans = NDArray[np.bool_]

QUARTERS = 4


class ActivityType(NamedTuple):
    """A kind of Moodle activity, what its Community of Inquiry indicators can reach, and how courses use it."""

    name: str
    cognitive: int  # levels of cognitive depth
    social: int  # levels of social breadth
    feedback: tuple[int, ...]  # cognitive levels that feedback may lift all who open it to
    feedback_is_social: bool
    popularity: float  # share of the courses that have it
    number: float  # mean number in such a course of twelve weeks
    appeal: float  # how readily a student opens it


ACTIVITY_TYPES = (
    ActivityType("assign", 5, 2, (3, 5), True, 0.80, 5, 1.2),
    ActivityType("book", 1, 1, (), False, 0.30, 2, 0.7),
    ActivityType("chat", 4, 2, (4,), True, 0.12, 2, 0.5),
    ActivityType("choice", 3, 2, (), False, 0.25, 2, 1.0),
    ActivityType("data", 2, 1, (), False, 0.08, 1, 0.7),
    ActivityType("feedback", 3, 2, (), False, 0.30, 1, 0.7),
    ActivityType("folder", 1, 1, (), False, 0.40, 3, 0.7),
    ActivityType("forum", 4, 2, (3, 4), False, 0.85, 3, 0.7),
    ActivityType("glossary", 2, 1, (), False, 0.10, 1, 0.5),
    ActivityType("imscp", 1, 1, (), False, 0.02, 1, 0.7),
    ActivityType("label", 1, 1, (), False, 0.70, 6, 0.0),
    ActivityType("lesson", 5, 2, (3, 5), True, 0.12, 2, 0.9),
    ActivityType("lti", 3, 2, (3,), True, 0.10, 2, 0.8),
    ActivityType("page", 1, 1, (), False, 0.50, 4, 0.8),
    ActivityType("quiz", 5, 2, (3, 5), True, 0.65, 4, 1.2),
    ActivityType("resource", 1, 1, (), False, 0.80, 8, 0.8),
    ActivityType("scorm", 3, 2, (3,), True, 0.12, 2, 0.9),
    ActivityType("survey", 2, 1, (), False, 0.03, 1, 0.7),
    ActivityType("url", 1, 1, (), False, 0.60, 4, 0.6),
    ActivityType("wiki", 2, 1, (), False, 0.07, 1, 0.6),
    ActivityType("workshop", 5, 2, (3, 4, 5), True, 0.08, 1, 0.9),
)

_COGNITIVE = np.array([kind.cognitive for kind in ACTIVITY_TYPES])
_SOCIAL = np.array([kind.social for kind in ACTIVITY_TYPES])
_FEEDBACK_IS_SOCIAL = np.array([kind.feedback_is_social for kind in ACTIVITY_TYPES])
_APPEAL = np.array([kind.appeal for kind in ACTIVITY_TYPES])

_WAYS = {  # through a course: how likely, in log-odds to the first, and how that changes with drive
    "engaged": (0.0, 0.0),
    "fading": (-2.2, -1.0),
    "leaving": (-2.75, -1.5),
    "late": (-2.6, 0.0),
    "lurking": (-2.4, -1.0),
}

_INDICATORS = {
    r"\core\analytics\indicator\any_access_after_end": "binary",
    r"\core\analytics\indicator\any_access_before_start": "binary",
    r"\core\analytics\indicator\any_write_action_in_course": "binary",
    r"\core\analytics\indicator\read_actions": "linear",
    r"\core_course\analytics\indicator\completion_enabled": "binary",
    r"\core_course\analytics\indicator\potential_cognitive_depth": "linear",
    r"\core_course\analytics\indicator\potential_social_breadth": "linear",
} | {
    rf"\mod_{kind.name}\analytics\indicator\{depth}": "linear"
    for kind in ACTIVITY_TYPES
    for depth in ("cognitive_depth", "social_breadth")
}
_HAS_COLUMN = np.array([[True, kind == "linear"] for kind in _INDICATORS.values()]).ravel()  # the value's, the mean's

COLUMNS = (
    *(f"range/{quarter}" for quarter in range(QUARTERS)),
    *np.array([[name, f"{name}/mean"] for name in _INDICATORS]).ravel()[_HAS_COLUMN].tolist(),
)
"""The columns of features, in Moodle's order."""

TARGETS = {
    2: r"\core_course\analytics\target\course_dropout",
    3: r"\local_simulator\analytics\target\course_outcome",
}
"""The target by its number of classes; Moodle has the first, the second is the simulator's own."""


@dataclass(frozen=True, eq=False)
class SimulatedDataSet:
    """Samples of students in courses, one row for each quarter.

    ``features`` is (rows, 98) float64 with two decimals and NaN for an empty cell, ``labels`` (rows,) int64; a sample
    id is ``{enrolment}-{quarter}``.
    """

    metadata: dict[str, str]
    columns: tuple[str, ...]
    features: Floats
    labels: Integers
    sample_ids: list[str]
    target: str


@dataclass(frozen=True)
class DemoFiles:
    """The files of a demo: finished courses of two terms, labelled; ongoing ones, not labelled; what became of these.

    ``answers`` is a CSV file with the columns sampleid and class.
    """

    training: Path
    evaluation: Path
    prediction: Path
    answers: Path


def simulate(courses: int = 30, students: int = 40, *, seed: int = 0, classes: int = 2) -> SimulatedDataSet:
    """Simulate finished courses with ``students`` students each on average; the same seed gives the same data.

    With two classes, class 1 has dropped out by Moodle's rule: the course not completed where completion is tracked,
    else no access from the last quarter on. With three, class 2 has not been seen from the last quarter on, class 1
    has but falls behind the work required, and class 0 completes.
    """
    if classes not in TARGETS:
        raise ValueError(f"classes must be 2 or 3, not {classes}")
    _check_size(courses, students)
    site = _simulate_site(np.ones(courses, dtype=bool), students, np.random.default_rng(seed))
    return site.data_set(classes=classes)


def write_demo(folder: Path, *, courses: int = 30, students: int = 40, seed: int = 0) -> DemoFiles:
    """Write the files of a demo into ``folder``, made if need be: ``courses`` finished courses of each of two terms.

    A quarter as many, at least one, are ongoing: they have passed their first, second or third quarter, and their
    students' rows are of that quarter alone, as when Moodle asks for predictions. The same arguments write the same
    bytes. Raises :class:`StorageError` when the folder cannot be written.
    """
    from moodlemlbackend.dataset import data_set

    _check_size(courses, students)
    random = np.random.default_rng(seed)
    term = np.repeat([0, 1, 2], [courses, courses, max(1, courses // 4)])
    last_quarter = random.integers(QUARTERS - 1, size=len(term))
    site = _simulate_site(term < 2, students, random)
    trained, evaluated = (site.data_set(term[site.course] == finished) for finished in (0, 1))
    ongoing = site.data_set((term[site.course] == 2) & (site.quarter == last_quarter[site.course]))

    files = DemoFiles(*(folder / f"{name}.csv" for name in ("training", "evaluation", "prediction", "answers")))
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for path, data in ((files.training, trained), (files.evaluation, evaluated)):
            data_set.write(path, data.metadata, data.columns, data.features, labels=data.labels)
        data_set.write(files.prediction, ongoing.metadata, COLUMNS, ongoing.features, sample_ids=ongoing.sample_ids)
        with files.answers.open("w", newline="", encoding="utf-8") as file:
            answers = csv.writer(file, lineterminator="\n")
            answers.writerow(("sampleid", "class"))
            answers.writerows(zip(ongoing.sample_ids, ongoing.labels.tolist(), strict=True))
    except OSError as error:
        reason = error.strerror or error
        raise StorageError(f"The demo cannot be written to {folder} ({reason}); choose another directory.") from error
    return files


def _check_size(courses: int, students: int) -> None:
    if min(courses, students) < 1:
        raise UsageError(
            f"A simulation needs at least one course and one student per course, not {courses} and {students}."
        )


@dataclass(frozen=True, eq=False)
class _Courses:
    """What a course is made of, and how it is taught."""

    finished: Booleans  # (C,)
    weeks: Integers  # (C,)
    demand: Floats  # (C,) time that an activity takes, around 1
    activities: Integers  # (C, T, Q) due in the quarter
    answered: Integers  # (C, T, Q) those of them in which somebody sees feedback
    feedback_level: Integers  # (C, T) cognitive level that feedback lifts to
    tracked: Booleans  # (C,) completion has criteria
    required: Floats  # (C,) share of the work that completes the course
    open_early: Booleans  # (C,) students find it before it starts


@dataclass(frozen=True, eq=False)
class _Students:
    """Who takes the courses, and how often they come."""

    course: Integers  # (S,)
    drive: Floats  # (S,) around 0
    participation: Floats  # (S,) chance to contribute to an activity once it is open
    sessions: Integers  # (S, Q)


@dataclass(frozen=True, eq=False)
class _Work:
    """What students did with the activities that are due in one quarter; each (S, T), a number of activities."""

    opened: Integers  # without feedback
    contributed: Integers  # of these
    opened_answered: Integers  # with feedback
    contributed_answered: Integers  # of these


@dataclass(frozen=True, eq=False)
class _Site:
    """Every sample of every course: rows by course, quarter and student."""

    cells: Floats  # (rows, columns)
    course: Integers  # (rows,)
    quarter: Integers  # (rows,)
    student: Integers  # (rows,)
    silent: Booleans  # (S,) not seen from the last quarter on
    behind: Booleans  # (S,) less than the work required
    dropped_out: Booleans  # (S,) by Moodle's rule

    def data_set(self, rows: Booleans | slice = slice(None), classes: int = 2) -> SimulatedDataSet:
        """The rows chosen, or else all, as a data set with two or three classes."""
        outcome = self.dropped_out if classes == 2 else np.where(self.silent, 2, self.behind)
        target = TARGETS[classes]
        metadata = {
            "timesplitting": r"\core\analytics\time_splitting\quarters",
            "nfeatures": str(len(COLUMNS)),
            "moodleversion": "2023042403",
            "targetcolumn": target,
            "targettype": "discrete",
            "targetclasses": "[" + ",".join(map(str, range(classes))) + "]",
        }
        ids = zip((self.student[rows] + 1).tolist(), self.quarter[rows].tolist(), strict=True)
        return SimulatedDataSet(
            metadata,
            COLUMNS,
            self.cells[rows],
            outcome[self.student[rows]].astype(np.int64),
            [f"{enrolment}-{quarter}" for enrolment, quarter in ids],
            target,
        )


def _simulate_site(finished: Booleans, students: int, random: np.random.Generator) -> _Site:
    """Simulate one course for each of ``finished`` (C,), with ``students`` students each on average."""
    courses = _draw_courses(finished, random)
    enrolled = _draw_students(courses, students, random)
    course, sessions = enrolled.course, enrolled.sessions
    student = np.arange(len(course))
    seen_late = sessions[:, -1] > 0
    seen_early = random.random(len(course)) < 0.6 * _sigmoid(enrolled.drive) * courses.open_early[course]
    seen_after = random.random(len(course)) < 0.5 * _sigmoid(enrolled.drive) * np.where(seen_late, 1, 0.05)

    size = np.bincount(course, minlength=len(finished))
    first = np.cumsum(size) - size
    cells = np.empty((QUARTERS * len(course), len(COLUMNS)))
    origin = np.empty((3, len(cells)), dtype=np.int64)
    done = np.zeros(len(course))
    for quarter in range(QUARTERS):
        work = _draw_work(courses, enrolled, quarter, random)
        done += np.where(_COGNITIVE > 1, work.contributed + work.contributed_answered, work.opened).sum(axis=1)
        indicators = np.column_stack(
            [
                _sign(seen_after & finished[course]),
                _sign(seen_early),
                _sign((work.contributed + work.contributed_answered).sum(axis=1) > 0),
                _read_actions(random.poisson(1.5 * sessions[:, quarter]), courses.weeks[course] / QUARTERS),
                _sign(courses.tracked)[course],
                *(potential[course] for potential in _potentials(courses)),
                _community_of_inquiry(courses, course, work, quarter),
            ]
        )
        rows = (QUARTERS - 1) * first[course] + quarter * size[course] + student
        cells[rows, :QUARTERS] = np.arange(QUARTERS) == quarter
        cells[rows, QUARTERS:] = _columns(indicators, first, size)
        origin[:, rows] = course, np.full(len(course), quarter), student

    silent = ~(seen_late | seen_after)
    behind = done < (courses.required * _workload(courses))[course]
    return _Site(
        cells=cells,
        course=origin[0],
        quarter=origin[1],
        student=origin[2],
        silent=silent,
        behind=behind,
        dropped_out=np.where(courses.tracked[course], behind, silent),
    )


def _draw_courses(finished: Booleans, random: np.random.Generator) -> _Courses:
    """Draw length, demand, activities and teaching of the courses."""
    shape = len(finished), len(ACTIVITY_TYPES)
    weeks = random.choice([6, 8, 10, 12, 14, 16, 32], size=len(finished))
    has_type = random.random(shape) < [kind.popularity for kind in ACTIVITY_TYPES]
    number = 1 + random.poisson(weeks[:, None] / 12 * [max(kind.number - 1, 0.2) for kind in ACTIVITY_TYPES])
    share = random.dirichlet([6, 7, 7, 5], size=len(finished))
    activities = random.multinomial(number * has_type, share[:, None, :])
    gives_feedback = np.array([bool(kind.feedback) for kind in ACTIVITY_TYPES])
    responsive = random.beta(2, 2, size=len(finished))[:, None] * gives_feedback
    return _Courses(
        finished=finished,
        weeks=weeks,
        demand=random.lognormal(0, 0.35, size=len(finished)),
        activities=activities,
        answered=random.binomial(activities, responsive[:, :, None]),
        feedback_level=np.column_stack(
            [random.choice(kind.feedback or (0,), size=len(finished)) for kind in ACTIVITY_TYPES]
        ),
        tracked=random.random(len(finished)) < 0.4,
        required=random.uniform(0.07, 0.24, size=len(finished)),
        open_early=random.random(len(finished)) < 0.5,
    )


def _draw_students(courses: _Courses, students: int, random: np.random.Generator) -> _Students:
    """Draw the students of the courses, their ways to go through them and their sessions."""
    size = np.maximum(2, random.poisson(students * random.gamma(4, 1 / 4, size=len(courses.weeks))))
    course = np.repeat(np.arange(len(size)), size)
    drive = random.normal(-0.4 * np.log(courses.demand[course]), 0.8)

    likely, per_drive = np.array(list(_WAYS.values())).T
    tendency = likely + per_drive * drive[:, None] + random.gumbel(size=(len(course), len(_WAYS)))
    tendency[:, list(_WAYS).index("leaving")] += random.normal(0, 0.5, size=len(size))[course]  # by course
    way = tendency.argmax(axis=1)
    fading, leaving, late, lurking = (way == index for index in range(1, len(_WAYS)))

    start = np.where(late, random.uniform(0.3, 2.5, size=len(course)), 0)
    stop = np.where(leaving, QUARTERS * random.beta(1, 2.2, size=len(course)), QUARTERS)
    quarter = np.arange(QUARTERS)
    presence = np.clip(np.minimum(stop[:, None], quarter + 1) - np.maximum(start[:, None], quarter), 0, 1)
    fade = np.where(fading, random.uniform(0.3, 1.3, size=len(course)), 0)[:, None]
    cooling = np.where(leaving[:, None], np.clip((stop[:, None] - quarter) / 4, 0.2, 1), 1)
    usual = 2.7 * np.exp(0.8 * drive) * np.where(lurking, 0.4, 1)
    weekly = usual[:, None] * presence * cooling * np.exp(-fade * quarter + random.normal(0, 0.25, presence.shape))
    return _Students(
        course=course,
        drive=drive,
        participation=_sigmoid(random.normal(1.5 + drive, 0.7)) * np.where(lurking, 0.1, 1),
        sessions=random.poisson(weekly * courses.weeks[course, None] / QUARTERS),
    )


def _draw_work(courses: _Courses, students: _Students, quarter: int, random: np.random.Generator) -> _Work:
    """Draw what each student does with the activities of a quarter, given the sessions there."""
    course = students.course
    answered = courses.answered[course, :, quarter]
    ignored = courses.activities[course, :, quarter] - answered
    pace = students.sessions[:, quarter] / (courses.weeks[course] / QUARTERS) / courses.demand[course]
    opens = 1 - np.exp(-0.6 * _APPEAL * pace[:, None])
    opened, opened_answered = random.binomial(ignored, opens), random.binomial(answered, opens)
    contributes = students.participation[:, None] * (_COGNITIVE > 1)
    return _Work(
        opened, random.binomial(opened, contributes), opened_answered, random.binomial(opened_answered, contributes)
    )


def _workload(courses: _Courses) -> Integers:
    """Number of activities of the whole course that a student can do something with, (C,)."""
    workload: Integers = (courses.activities.sum(axis=2) * (_APPEAL > 0)).sum(axis=1)
    return workload


def _community_of_inquiry(courses: _Courses, course: Integers, work: _Work, quarter: int) -> Floats:
    """Cognitive depth and social breadth of each type, (S, 2 T), NaN where the quarter has no such activity.

    An activity counts with the level reached as a share of the levels there are. Feedback lifts all who opened the
    activity; without it one level is opening and the second, in cognitive depth, contributing.
    """
    number = courses.activities[course, :, quarter]
    depth = work.opened + work.contributed + courses.feedback_level[course] * work.opened_answered
    breadth = work.opened + np.where(_FEEDBACK_IS_SOCIAL, 2, 1) * work.opened_answered
    reached = np.stack([depth / _COGNITIVE, breadth / _SOCIAL], axis=2)
    reached /= np.where(number > 0, number, np.nan)[:, :, None]
    return (2 * reached - 1).reshape(len(course), -1)


def _potentials(courses: _Courses) -> tuple[Floats, Floats]:
    """Potential cognitive depth and social breadth of the courses, each (C,)."""
    has_type = courses.activities.any(axis=2)
    depth, breadth = (has_type * _COGNITIVE).max(axis=1), (has_type * _SOCIAL).max(axis=1)
    return np.maximum(0.5 * depth - 1.5, -1), np.where(breadth > 1, 1.0, -1.0)


def _read_actions(reads: Integers, weeks: Floats) -> Floats:
    """Moodle's four steps of reading: none, up to three a week, up to thirty a week, more."""
    return np.select([reads == 0, reads <= 3 * weeks, reads <= 30 * weeks], [-1, -0.33, 0.33], 1.0)


def _columns(indicators: Floats, first: Integers, size: Integers) -> Floats:
    """Indicators (S, 49) and, beside the linear ones, their mean over the course, (S, 94) with two decimals.

    As in Moodle an empty value counts as 0 in a mean, and a mean of empty values is empty.
    """
    empty = np.isnan(indicators)
    sums = np.add.reduceat(np.where(empty, 0, indicators), first)
    means = np.where(np.logical_and.reduceat(empty, first), np.nan, sums / size[:, None])
    both = np.stack([indicators, np.repeat(means, size, axis=0)], axis=2).reshape(len(indicators), -1)
    return _two_decimals(both[:, _HAS_COLUMN])


def _two_decimals(values: Floats) -> Floats:
    """Rounded as PHP does, halves away from zero; never −0."""
    return np.copysign(np.floor(np.abs(values) * 100 + 0.5 + 1e-9), values) / 100 + 0.0


def _sign(flags: Booleans) -> Floats:
    """A binary indicator: 1 for true, −1 for false."""
    return np.where(flags, 1.0, -1.0)


def _sigmoid(values: Floats) -> Floats:
    return 1 / (1 + np.exp(-values))
