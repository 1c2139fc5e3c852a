"""Targets that follow from their indicators, without a model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from moodlemlbackend.analytics.features.analysable_samples import AnalysableSamples
from moodlemlbackend.analytics.features.analysables import Course
from moodlemlbackend.analytics.features.refusal import (
    END_BEFORE_START,
    FINISHED,
    HIDDEN,
    NO_STUDENTS,
    NOT_YET_STARTED,
    Refusal,
)
from moodlemlbackend.analytics.features.targets.enrolments import CourseEnrolments
from moodlemlbackend.analytics.features.targets.target import (
    NOT_USEFUL,
    USEFUL,
    WHOLE,
    Action,
    Target,
    Values,
    Window,
)
from moodlemlbackend.analytics.features.time_splitting import AfterStart, Family, PastPeriodic, TimeSplitting

WEEK = 604_800

ANY_COURSE_ACCESS = r"\core\analytics\indicator\any_course_access"
NO_TEACHER = r"\core_course\analytics\indicator\no_teacher"
NO_STUDENT = r"\core_course\analytics\indicator\no_student"
ACTIVITIES_DUE = r"\core_course\analytics\indicator\activities_due"


class _NoAccess(CourseEnrolments):
    """Students who did not come to a course that is going on."""

    static = True
    warns_in_time = False
    indicators = (ANY_COURSE_ACCESS,)

    def refuses(self, analysable: Course, *, training: bool) -> Refusal | None:
        """Courses need neither an end nor sections."""
        course = analysable
        if not course.was_started:
            return NOT_YET_STARTED
        if not len(course.students):
            return NO_STUDENTS
        if not training and not course.visible:
            return HIDDEN
        if course.end and course.end < course.start:
            return END_BEFORE_START
        if not training and course.is_finished:
            return FINISHED
        return None

    def of_course(self, course: Course, samples: AnalysableSamples, indicators: Mapping[str, Values]) -> Values:  # noqa: ARG002
        """1 without any access in the range."""
        accesses = indicators.get(ANY_COURSE_ACCESS, np.zeros(len(samples)))
        return np.where(accesses == -1, 1.0, 0.0)


class NoRecentAccesses(_NoAccess):
    """Students who have not accessed the course recently."""

    id = r"\core_course\analytics\target\no_recent_accesses"
    name = ("target:norecentaccesses", "course")
    title = "Students who have not accessed the course recently"
    time_splitting = r"\core\analytics\time_splitting\past_month"

    def accepts(self, method: TimeSplitting) -> bool:
        """Past periods."""
        return isinstance(method, PastPeriodic)


class NoAccessSinceCourseStart(_NoAccess):
    """Students who have not accessed the course yet."""

    id = r"\core_course\analytics\target\no_access_since_course_start"
    name = ("target:noaccesssincecoursestart", "course")
    title = "Students who have not accessed the course yet"
    time_splitting = r"\core\analytics\time_splitting\one_month_after_start"

    def accepts(self, method: TimeSplitting) -> bool:
        """Some time after the start."""
        return isinstance(method, AfterStart)


class NoTeaching(Target):
    """Courses at risk of not starting: no teacher, or no student, around the start."""

    id = r"\core_course\analytics\target\no_teaching"
    name = ("target:noteachingactivity", "course")
    title = "Courses at risk of not starting"
    analyser = r"\core\analytics\analyser\site_courses"
    static = True
    indicators = (NO_TEACHER, NO_STUDENT)
    time_splitting = r"\core\analytics\time_splitting\single_range"
    actions = (
        Action("viewcourse", "view", url="/course/view.php?id={course}"),
        Action("viewparticipants", "participants", url="/user/index.php?id={course}"),
    )

    def accepts(self, method: TimeSplitting) -> bool:
        """The whole time."""
        return method.id == self.time_splitting

    def refuses(self, analysable: Any, *, training: bool) -> Refusal | None:  # noqa: ARG002
        """Never."""
        return None

    def valid_samples(self, samples: AnalysableSamples, *, training: bool) -> npt.NDArray[np.bool_]:  # noqa: ARG002
        """Courses from a week before their start to a week after it."""
        now = samples.analysable.now
        by_id = {course.id: course for course in samples.courses}
        return np.array([_about_to_start(by_id[course], now) for course in samples.ids.tolist()], bool)

    def calculate(self, samples: AnalysableSamples, window: Window = WHOLE) -> Values:
        """1 without a teacher or without a student."""
        missing = [window.indicators.get(name, np.zeros(len(samples))) == -1 for name in self.indicators]
        return np.where(missing[0] | missing[1], 1.0, 0.0)


def _about_to_start(course: Course, now: int) -> bool:
    over = course.end and course.end < now
    return bool(course.start and not over and course.start - WEEK <= now <= course.start + WEEK)


class UpcomingActivitiesDue(Target):
    """Users with something to do in the days to come."""

    id = r"\core_user\analytics\target\upcoming_activities_due"
    name = ("target:upcomingactivitiesdue", "user")
    title = "Upcoming activities due"
    analyser = r"\core\analytics\analyser\users"
    static = True
    family = Family.AFTER_NOW
    always_update_analysis_time = False
    link_insights_report = False
    indicators = (ACTIVITIES_DUE,)
    time_splitting = r"\core\analytics\time_splitting\upcoming_week"
    actions = (Action("viewupcoming", "viewupcoming", url="/calendar/view.php?view=upcoming&lookahead=30"),)
    bulk_actions = (USEFUL, NOT_USEFUL)

    def refuses(self, analysable: Any, *, training: bool) -> Refusal | None:  # noqa: ARG002
        """Never."""
        return None

    def calculate(self, samples: AnalysableSamples, window: Window = WHOLE) -> Values:
        """1 when something is due."""
        return np.where(window.indicators.get(ACTIVITIES_DUE, np.zeros(len(samples))) == 1, 1.0, 0.0)
