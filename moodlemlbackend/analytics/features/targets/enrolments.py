"""Targets of students in a course (``\\core_course\\analytics\\target``)."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from moodlemlbackend.analytics.features.analysable_samples import AnalysableSamples
from moodlemlbackend.analytics.features.analysables import Course, facts
from moodlemlbackend.analytics.features.analysables.facts import CourseGrade
from moodlemlbackend.analytics.features.ranges import Ranges
from moodlemlbackend.analytics.features.refusal import (
    END_BEFORE_START,
    FINISHED,
    HIDDEN,
    NO_ACTIVITY,
    NO_COMPETENCIES,
    NO_COMPLETION,
    NO_END,
    NO_GRADE_TO_PASS,
    NO_SECTIONS,
    NO_STUDENTS,
    NOT_YET_FINISHED,
    NOT_YET_STARTED,
    TOO_LONG,
    Refusal,
)
from moodlemlbackend.analytics.features.targets.target import WHOLE, Action, Target, Values, Window

LONGEST_COURSE = 365 * 86_400 + 4 * 604_800
"""Seconds, a year and four weeks, beyond which a course is too long to compare its parts."""

ENROLMENT_SHARE = 0.7
"""Part of a range during which an enrolment must have been active."""

FEWEST_LOGS = 10
"""Log rows a student, on average, below which a finished course has nothing to teach."""

VALUE_GRADE = 1
"""``gradetype`` of numbers."""

_MESSAGE = Action("studentmessage", "sendmessage")
_OUTLINE = Action(
    "viewoutlinereport", "outlinereport", url="/report/outline/user.php?id={user}&course={course}&mode=outline"
)


class CourseEnrolments(Target):
    """What the targets of students in a course have in common."""

    analyser = r"\core\analytics\analyser\student_enrolments"
    warns_in_time = True
    actions = (_OUTLINE,)
    bulk_actions = (_MESSAGE, *Target.bulk_actions)

    def refuses(self, analysable: Course, *, training: bool) -> Refusal | None:
        """The first rule that a course breaks."""
        course = analysable
        if not course.was_started:
            return NOT_YET_STARTED
        if not training and not course.visible:
            return HIDDEN
        if not len(course.students):
            return NO_STUDENTS
        if not course.uses_sections:
            return NO_SECTIONS
        if not course.end:
            return NO_END
        if course.end < course.start:
            return END_BEFORE_START
        if course.end - course.start > LONGEST_COURSE:
            return TOO_LONG
        if not training and course.is_finished:
            return FINISHED
        if training and not course.is_finished:
            return NOT_YET_FINISHED
        return self.refuses_valid(course, training=training)

    def refuses_valid(self, course: Course, *, training: bool) -> Refusal | None:  # noqa: ARG002
        """What a target asks beyond these rules."""
        return None

    def valid_samples(self, samples: AnalysableSamples, *, training: bool) -> npt.NDArray[np.bool_]:
        """Enrolments that overlap the course and are not out of date."""
        course, enrolments = samples.analysable, samples.enrolments
        assert enrolments is not None
        begins = np.where(enrolments.starts != 0, enrolments.starts, enrolments.created)
        invalid = (enrolments.ends != 0) & (course.start > enrolments.ends)
        invalid |= begins < course.start - LONGEST_COURSE
        if course.end:
            invalid |= begins > course.end
        invalid |= (enrolments.starts != 0) & (course.now < enrolments.starts)
        if not training:
            invalid |= (enrolments.ends != 0) & (enrolments.ends < course.now)
        valid: npt.NDArray[np.bool_] = ~invalid
        return valid

    def calculate(self, samples: AnalysableSamples, window: Window = WHOLE) -> Values:
        """Null for enrolments that were active for too little of the range."""
        assert isinstance(samples.analysable, Course)
        values = self.of_course(samples.analysable, samples, window.indicators)
        active = active_enrolments(samples, window.start, window.end)
        return np.where(active, values, np.nan) if np.shape(values) == active.shape else values

    @abstractmethod
    def of_course(self, course: Course, samples: AnalysableSamples, indicators: Mapping[str, Values]) -> Values:
        """Return the class of each sample: (samples,)."""


def active_enrolments(samples: AnalysableSamples, start: int, end: int) -> npt.NDArray[np.bool_]:
    """Which enrolments were active for enough of a range; every one that meets it when a bound is 0."""
    enrolments = samples.enrolments
    assert enrolments is not None
    begins = np.where(enrolments.starts != 0, enrolments.starts, enrolments.created)
    stops = np.where(enrolments.ends != 0, enrolments.ends, np.iinfo(np.int64).max // 2)
    active = np.ones(len(samples), bool)
    if end:
        active &= end >= begins
    if start:
        active &= stops >= start
    if not start or not end:
        return active
    around = (begins < start) & (end < stops)
    seconds = np.select(
        [(start <= begins) & (stops <= end), (begins <= start) & (stops <= end), (start <= begins) & (end <= stops)],
        [stops - begins, stops - start, end - begins],
    )
    with np.errstate(divide="ignore", invalid="ignore"):
        return active & (around | (seconds / (end - start) >= ENROLMENT_SHARE))


class CourseDropout(CourseEnrolments):
    """Students at risk of dropping out."""

    id = r"\core_course\analytics\target\course_dropout"
    name = ("target:coursedropout", "course")
    title = "Students at risk of dropping out"

    def log_bounds(self, analysable: Course) -> set[int]:
        """The course itself."""
        return {analysable.start, analysable.end - 1}

    def refuses_valid(self, course: Course, *, training: bool) -> Refusal | None:
        """A finished course must have seen some activity."""
        if not training:
            return None
        inside = Ranges.of([(course.start, course.end - 1, 0)])
        logs = course.logs(inside.bounds)
        actions = int(logs.count(~logs.anonymous, course.students, inside).sum())
        return NO_ACTIVITY if actions / len(course.students) < FEWEST_LOGS else None

    def of_course(self, course: Course, samples: AnalysableSamples, indicators: Mapping[str, Values]) -> Values:  # noqa: ARG002
        """1 without completion; where that is not tracked, 1 without any log after the third quarter."""
        assert samples.users is not None
        if course.completion_enabled and course.completion_criteria:
            return _not_completed(course, samples)
        logs = course.logs()
        limit = int(course.end - (course.end - course.start) / 4)
        latest = logs.latest(np.ones(len(logs), bool), samples.users, -1)
        return np.where(latest > limit, 0.0, 1.0)


class CourseCompletion(CourseEnrolments):
    """Students at risk of not meeting the conditions for completing the course."""

    id = r"\core_course\analytics\target\course_completion"
    name = ("target:coursecompletion", "course")
    title = "Students at risk of not meeting the course completion conditions"

    def refuses_valid(self, course: Course, *, training: bool) -> Refusal | None:  # noqa: ARG002
        """Completion must be tracked."""
        return None if course.completion_enabled and course.completion_criteria else NO_COMPLETION

    def of_course(self, course: Course, samples: AnalysableSamples, indicators: Mapping[str, Values]) -> Values:  # noqa: ARG002
        """1 without completion."""
        return _not_completed(course, samples)


def _not_completed(course: Course, samples: AnalysableSamples) -> Values:
    assert samples.users is not None
    completed = course.fact(facts.completed, np.empty(0, np.int64))
    return np.where(np.isin(samples.users, completed), 0.0, 1.0)


class CourseCompetencies(CourseEnrolments):
    """Students at risk of not achieving the competencies of the course."""

    id = r"\core_course\analytics\target\course_competencies"
    name = ("target:coursecompetencies", "course")
    title = "Students at risk of not achieving the competencies assigned to a course"

    def refuses_valid(self, course: Course, *, training: bool) -> Refusal | None:  # noqa: ARG002
        """There must be competencies."""
        if not course.site.competencies_enabled:
            return NO_COMPETENCIES
        return None if course.fact(facts.competencies, _NO_COMPETENCY) else NO_COMPETENCIES

    def of_course(self, course: Course, samples: AnalysableSamples, indicators: Mapping[str, Values]) -> Values:  # noqa: ARG002
        """1 unless the student is rated proficient in as many competencies as the course has."""
        assert samples.users is not None
        linked = course.fact(facts.competencies, _NO_COMPETENCY)
        ratings: list[tuple[int, int]] = course.fact(facts.proficiencies, [])
        rated = np.array([user for user, competency in ratings if competency in linked], np.int64)
        users, counts = np.unique(rated, return_counts=True)
        proficient = users[counts == len(linked)]
        return np.where(np.isin(samples.users, proficient), 0.0, 1.0)


class CourseGradeToPass(CourseEnrolments):
    """Students at risk of not achieving the grade to pass the course."""

    id = r"\core_course\analytics\target\course_gradetopass"
    name = ("target:coursegradetopass", "course")
    title = "Students at risk of not achieving the minimum grade to pass the course"

    def refuses_valid(self, course: Course, *, training: bool) -> Refusal | None:  # noqa: ARG002
        """The course must have a grade to pass."""
        grade = course.fact(facts.course_grades, _NO_GRADE)
        return None if grade.gradetype == VALUE_GRADE and grade.pass_grade != 0 else NO_GRADE_TO_PASS

    def of_course(self, course: Course, samples: AnalysableSamples, indicators: Mapping[str, Values]) -> Values:  # noqa: ARG002
        """1 below that grade, and without one."""
        assert samples.users is not None
        grade = course.fact(facts.course_grades, _NO_GRADE)
        passed = [user for user, value in grade.grades.items() if value >= grade.pass_grade]
        return np.where(np.isin(samples.users, passed), 0.0, 1.0)


_NO_GRADE = CourseGrade(0, 0.0, {})
_NO_COMPETENCY: frozenset[int] = frozenset()
