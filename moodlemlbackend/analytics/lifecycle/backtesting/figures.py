"""How good predictions of the past were, in time, and how much work; each figure with its range over courses.

Intervals are ranked (:func:`rank`) by an F1 score: of the precision of the warnings, and of the share of those who
left that were warned while they still came. So are early warnings rated in intensive care, by the precision of alarms
and the recall of events that had an alarm in time (Hyland et al. 2020, Nature Medicine 26, 364-373). Who warns of
everybody has a high share in time and a low precision; who warns of the surest cases only, the other way round.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from moodlemlbackend.metrics import brier_score, matthews_correlation, roc_auc

Integers = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]

DRAWS = 200
INSIDE = (5, 95)
"""Percentiles of the figures of courses drawn with replacement, between which a figure is said to lie."""

BOUNDED = (
    "precision", "recall", "mcc", "auc", "brier", "precision_top_tenth", "in_time", "in_time_f1", "days_median",
)  # fmt: skip
"""Figures of which bounds are given."""

TOP_SHARE = 0.1
MOST_FLAGGED = 0.5
DAY, WEEK = 86_400, 604_800


@dataclass(frozen=True, eq=False)
class Predictions:
    """All predictions of an interval: arrays of shape (predictions,).

    ``courses`` and ``students`` are positions, a student's -1 where the outcome is not known; ``samples`` the ids of
    the samples, ``moments`` Unix times.
    """

    courses: Integers
    samples: Integers
    students: Integers
    ranges: Integers
    moments: Integers
    probabilities: Floats
    warned: Flags


@dataclass(frozen=True, eq=False)
class Students:
    """Students whose outcome is known: arrays of shape (students,); ``last_visits`` are Unix times, 0 for none."""

    courses: Integers
    labels: Integers
    last_visits: Integers


@dataclass(frozen=True, eq=False)
class PredictedCourse:
    """A course that was predicted."""

    id: int
    name: str
    start: int
    end: int
    teachers: Integers


def figures(courses: Sequence[PredictedCourse], predictions: Predictions, students: Students) -> dict[str, Any]:
    """The figures of an interval: in all, ``by_range`` and ``by_course``; those of nothing are None."""
    rows, people = np.arange(len(predictions.courses)), np.arange(len(students.courses))
    every = _Figures(predictions, students)
    rows_of = [np.flatnonzero(predictions.courses == at) for at in range(len(courses))]
    people_of = [np.flatnonzero(students.courses == at) for at in range(len(courses))]
    by_course = [
        {
            "course": course.id,
            "name": course.name,
            **every.of(rows_of[at], people_of[at]),
            "flagged": _flagged(predictions, rows_of[at]),
        }
        for at, course in enumerate(courses)
    ]
    result: dict[str, Any] = _plain(
        {
            "first": predictions.moments.min(initial=2**62),
            "last": predictions.moments.max(initial=0),
            "courses": len(courses),
            **every.of(rows, people),
            "calibration_factor": _calibration_factor(by_course),
            "bounds": _bounds(every, rows_of, people_of),
            "load": _load(courses, by_course),
            "by_range": [
                {"range": index, **every.of(rows[predictions.ranges == index])}
                for index in np.unique(predictions.ranges)
            ],
            "by_course": by_course,
        }
    )
    return result


class _Figures:
    """Figures of some of the predictions and students, given by position."""

    def __init__(self, predictions: Predictions, students: Students) -> None:
        self._predictions, self._students = predictions, students
        known = predictions.students >= 0
        self._labels = np.full(len(known), -1, np.int64)
        self._labels[known] = students.labels[predictions.students[known]]
        self._first = np.full(len(students.labels), np.iinfo(np.int64).max)
        warned = known & predictions.warned
        np.minimum.at(self._first, predictions.students[warned], predictions.moments[warned])
        self._warned = self._first < np.iinfo(np.int64).max
        self._in_time = self._warned & (self._first < students.last_visits)

    def of(self, rows: Integers, people: Integers | None = None) -> dict[str, Any]:
        """The figures; recall is of predictions unless people are given, then of those of them who left."""
        warnings = int(self._predictions.warned[rows].sum())
        rows = rows[self._labels[rows] >= 0]
        labels, warned = self._labels[rows], self._predictions.warned[rows]
        chances = self._predictions.probabilities[rows]
        right = int(labels[warned].sum())
        top = np.argsort(-chances, kind="stable")[: math.ceil(TOP_SHARE * len(rows))]
        promised, real = float(chances.sum()), int(labels.sum())
        values = {
            "predictions": len(rows),
            "warnings": warnings,
            "right": right,
            "precision": _share(right, int(warned.sum())),
            "recall": _share(right, real),
            "mcc": matthews_correlation(warned, labels) if len(rows) else math.nan,
            "auc": roc_auc(chances, labels),
            "brier": brier_score(chances, labels),
            "promised": promised,
            "real": real,
            "precision_top_tenth": _share(int(labels[top].sum()), len(top)),
        }
        if people is not None:
            values |= self._of_people(people)
            values["in_time_f1"] = f1_score(values["precision"], values["in_time"])
        return values

    def _of_people(self, people: Integers) -> dict[str, Any]:
        """Of those who left: how many were warned, how many while they still came, and how many days before."""
        left = people[self._students.labels[people] == 1]
        in_time = left[self._in_time[left]]
        days = (self._students.last_visits[in_time] - self._first[in_time]) / DAY
        quartiles = np.percentile(days, (25, 50, 75)) if len(days) else np.full(3, math.nan)
        return {
            "left": len(left),
            "recall": _share(int(self._warned[left].sum()), len(left)),
            "in_time": _share(len(in_time), len(left)),
            **dict(zip(("days_lower_quartile", "days_median", "days_upper_quartile"), quartiles, strict=True)),
        }


def f1_score(precision: float, recall: float) -> float:
    """The harmonic mean; NaN where either is."""
    return 2 * precision * recall / (precision + recall) if precision + recall else 0.0


def overloads(past: Mapping[str, Any]) -> bool:
    """Whether more than half of the students would be flagged in more than half of the courses."""
    return "load" in past and past["load"]["courses_flagged_by_more_than_half"] > MOST_FLAGGED * past["courses"]


def rank(past: Mapping[str, Any]) -> tuple[bool, bool, float]:
    """A key that is highest for the interval that gives most in time, given its figures or nothing."""
    return not overloads(past), "load" in past, past.get("in_time_f1") or 0.0


def _bounds(every: _Figures, rows: Sequence[Integers], people: Sequence[Integers]) -> dict[str, tuple[float, float]]:
    """Between which bounds each figure lies when other courses of the same kind come: a bootstrap over courses."""
    random, courses = np.random.default_rng(0), len(rows)
    drawn = [
        every.of(np.concatenate([rows[at] for at in chosen]), np.concatenate([people[at] for at in chosen]))
        for chosen in random.integers(courses, size=(DRAWS if courses > 1 else 0, courses))
    ]
    bounds = {}
    for name in BOUNDED:
        values = np.array([draw[name] for draw in drawn], np.float64)
        values = values[~np.isnan(values)]
        if len(values):
            low, high = np.percentile(values, INSIDE)
            bounds[name] = (float(low), float(high))
    return bounds


def _calibration_factor(by_course: Sequence[Mapping[str, Any]]) -> float:
    """By which factor the promised number of cases of a course is too high or too low, in the mean of logarithms.

    Half a case is added to both numbers.
    """
    predicted = [course for course in by_course if course["predictions"]]
    logarithms = [abs(math.log((course["promised"] + 0.5) / (course["real"] + 0.5))) for course in predicted]
    return math.exp(float(np.mean(logarithms))) if logarithms else math.nan


def _load(courses: Sequence[PredictedCourse], by_course: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """How much work the warnings make; a teacher's weeks are those in which a course of theirs went on."""
    weeks: set[tuple[int, int]] = set()
    received = 0
    flagged = [row["flagged"] for row in by_course]
    for course, row in zip(courses, by_course, strict=True):
        teachers = course.teachers.tolist()
        weeks |= {
            (teacher, week) for teacher in teachers for week in range(course.start // WEEK, course.end // WEEK + 1)
        }
        received += len(teachers) * row["warnings"]
    return {
        "teachers": len({teacher for teacher, _ in weeks}),
        "warnings_a_teacher_and_week": _share(received, len(weeks)),
        "flagged": float(np.mean(flagged)) if flagged else math.nan,
        "courses_flagged_by_more_than_half": sum(share > MOST_FLAGGED for share in flagged),
    }


def _flagged(predictions: Predictions, rows: Integers) -> float:
    """The largest share of a course that is flagged at one moment."""
    warned, moments = predictions.warned[rows], predictions.moments[rows]
    shares = [float(warned[moments == moment].mean()) for moment in np.unique(moments)]
    return max(shares, default=math.nan)


def _share(part: float, whole: float) -> float:
    return part / whole if whole else math.nan


def _plain(value: Any) -> Any:
    """A value as JSON can hold it: numbers of NumPy as Python's, one that is not defined as None."""
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, (float, np.floating)):
        return None if math.isnan(value) else round(float(value), 4)
    return int(value) if isinstance(value, np.integer) else value
