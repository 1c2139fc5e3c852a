"""Targets: what is predicted of a sample, and of whom it can be said."""

from __future__ import annotations

from moodlemlbackend.analytics.targets.base import Reason, Target, Window
from moodlemlbackend.analytics.targets.enrolments import (
    CourseCompetencies,
    CourseCompletion,
    CourseDropout,
    CourseEnrolments,
    CourseGradeToPass,
)
from moodlemlbackend.analytics.targets.static import (
    NoAccessSinceCourseStart,
    NoRecentAccesses,
    NoTeaching,
    UpcomingActivitiesDue,
)

CORE: tuple[type[Target], ...] = (
    CourseDropout, CourseCompletion, CourseCompetencies, CourseGradeToPass, NoRecentAccesses, NoAccessSinceCourseStart,
    NoTeaching, UpcomingActivitiesDue,
)  # fmt: skip
"""The targets that Moodle ships."""

__all__ = ["CORE", "CourseEnrolments", "Reason", "Target", "Window"]
