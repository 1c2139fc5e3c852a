"""Targets: what is predicted of a sample, and of whom it can be said."""

from __future__ import annotations

from moodlemlbackend.analytics.features.refusal import Refusal
from moodlemlbackend.analytics.features.targets.enrolments import (
    CourseCompetencies,
    CourseCompletion,
    CourseDropout,
    CourseEnrolments,
    CourseGradeToPass,
)
from moodlemlbackend.analytics.features.targets.static import (
    NoAccessSinceCourseStart,
    NoRecentAccesses,
    NoTeaching,
    UpcomingActivitiesDue,
)
from moodlemlbackend.analytics.features.targets.target import Target, Window

CORE: tuple[type[Target], ...] = (
    CourseDropout, CourseCompletion, CourseCompetencies, CourseGradeToPass, NoRecentAccesses, NoAccessSinceCourseStart,
    NoTeaching, UpcomingActivitiesDue,
)  # fmt: skip
"""The targets that Moodle ships."""

__all__ = ["CORE", "CourseEnrolments", "Refusal", "Target", "Window"]
