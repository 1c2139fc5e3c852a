"""The past of a course: what could be seen of it at each moment, and what came of its students.

What is seen at a moment is read from the site as it was then (:meth:`.Site.at`); only what happened in the end, against
which predictions are held, is read from the site of today.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from moodlemlbackend.analytics.features import answers
from moodlemlbackend.analytics.features.analysables import Courses
from moodlemlbackend.analytics.features.analysis import Hooks, analyse
from moodlemlbackend.analytics.features.ranges import Ranges
from moodlemlbackend.analytics.lifecycle.analysing import is_data

if TYPE_CHECKING:
    from moodlemlbackend.analytics.features.analysis import Analysis, Result
    from moodlemlbackend.analytics.features.time_splitting import TimeSplitting
    from moodlemlbackend.analytics.site import CourseRow, Site

Integers = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Seen:
    """The rows of one prediction: features (rows, columns), the samples' ids (rows,), and the number of the range."""

    moment: int
    range_index: int
    features: Floats
    samples: Integers


@dataclass(frozen=True, eq=False)
class CoursePast:
    """A course that is over.

    ``samples`` (students,) are those whose outcome is known, ``labels`` and ``last_visits`` (students,) their class
    and the Unix time of their last log row up to the course's end, 0 without any. ``learned`` is what a training at
    its end takes from it, features and labels by interval; ``seen`` the predictions by interval.
    """

    row: CourseRow
    samples: Integers
    labels: Integers
    last_visits: Integers
    teachers: Integers
    learned: dict[str, tuple[Floats, Integers]] = field(default_factory=dict)
    seen: dict[str, list[Seen]] = field(default_factory=dict)


class _OneCourse(Hooks):
    """An analysis of one course."""

    def __init__(self, course: int) -> None:
        self._course = course

    def order(self, rows: Sequence[Any]) -> Sequence[Any]:
        """The course."""
        return [row for row in rows if row.id == self._course]


def read_course(site: Site, analysis: Analysis, row: CourseRow) -> CoursePast:
    """Read a course; ``analysis.now`` is today."""
    past = _outcomes(site.at(analysis.now), analysis, row)
    for result in _analyse(site, replace(analysis, now=row.end, training=True), row):
        assert result.features is not None
        assert result.labels is not None
        past.learned[_id(result)] = result.features.values, result.labels.astype(np.int64)
    for moment, methods in _moments(site, analysis, row).items():
        for result in _analyse(site, replace(analysis, now=moment, training=False, methods=methods), row):
            assert result.features is not None
            assert result.samples is not None
            assert result.ranges is not None
            samples = result.samples.ids[result.features.samples]
            seen = Seen(moment, int(result.ranges.indexes[0]), result.features.values, samples)
            past.seen.setdefault(_id(result), []).append(seen)
    return past


def _outcomes(site: Site, analysis: Analysis, row: CourseRow) -> CoursePast:
    """What came of the students of a course; of none where its end teaches nothing."""
    [course] = Courses(site, [row], analysis.now)
    inside = Ranges.of([(0, row.end, 0)])
    course.plan_logs({row.end, *answers.log_bounds(analysis.target, course)})
    samples = analysis.analyser.samples(course)
    teachers = np.intersect1d(course.teachers, course.enrolments.users)
    if answers.refusal(analysis.target, course, training=True) or not len(samples):
        nobody = np.empty(0, np.int64)
        return CoursePast(row, nobody, nobody, nobody, teachers)
    samples = samples.take(answers.valid_samples(analysis.target, samples, training=True))
    labels = answers.labels(analysis.target, samples)
    judged = np.flatnonzero(~np.isnan(labels))
    samples, labels = samples.take(judged), labels[judged]
    logs = course.logs({row.end})
    assert samples.users is not None
    last_visits = logs.latest(logs.within(inside)[0], samples.users)
    return CoursePast(row, samples.ids, labels.astype(np.int64), last_visits, teachers)


def _analyse(site: Site, analysis: Analysis, row: CourseRow) -> Iterator[Result]:
    """Analyse a course as it was at the analysis' time."""
    return filter(is_data, analyse(site.at(analysis.now), analysis, _OneCourse(row.id)))


def _moments(site: Site, analysis: Analysis, row: CourseRow) -> dict[int, list[TimeSplitting]]:
    """At which times a course is predicted, and by which methods."""
    [course] = Courses(site, [row], analysis.now)
    methods: dict[int, list[TimeSplitting]] = {}
    for method in analysis.methods:
        for moment in answers.moments(method, course, site.zone):
            methods.setdefault(moment, []).append(method)
    return methods


def _id(result: Result) -> str:
    assert result.method is not None
    return result.method.id
