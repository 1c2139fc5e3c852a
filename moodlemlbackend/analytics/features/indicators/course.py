"""Moodle's indicators of how a course is set up (``\\core_course\\analytics\\indicator``)."""

from __future__ import annotations

import numpy as np

from moodlemlbackend.analytics.features.analysables import Course, facts
from moodlemlbackend.analytics.features.indicators.community_of_inquiry import potential_levels
from moodlemlbackend.analytics.features.indicators.indicator import CourseIndicator, Kind, Values, yes_or_no
from moodlemlbackend.analytics.features.ranges import Ranges
from moodlemlbackend.analytics.features.refusal import NOT_MEASURED, Refusal
from moodlemlbackend.analytics.site.database import Integers

HIGHEST_SOCIAL_LEVEL = 2
"""Beyond which the potential social breadth of a course does not count."""


def _everywhere(value: float, users: Integers | None, ranges: Ranges) -> Values:
    return np.full((len(ranges), 1 if users is None else len(users)), value)


class CompletionEnabled(CourseIndicator):
    """Whether completing the course is tracked and has criteria."""

    id = r"\core_course\analytics\indicator\completion_enabled"
    kind = Kind.BINARY
    requires = frozenset({"course"})

    def of_course(self, course: Course, users: Integers | None, ranges: Ranges) -> Values:
        """One value for all."""
        return _everywhere(1.0 if course.completion_enabled and course.completion_criteria else -1.0, users, ranges)


class NoStudent(CourseIndicator):
    """1 when a student's role is assigned in the course itself, -1 when there is none."""

    id = r"\core_course\analytics\indicator\no_student"
    kind = Kind.BINARY
    requires = frozenset({"course", "context"})

    def of_course(self, course: Course, users: Integers | None, ranges: Ranges) -> Values:
        """One value for all."""
        return _everywhere(float(yes_or_no(course.fact(facts.has_student, default=False))), users, ranges)


class NoTeacher(CourseIndicator):
    """1 when a teacher's role is assigned in the course itself, -1 when there is none."""

    id = r"\core_course\analytics\indicator\no_teacher"
    kind = Kind.BINARY
    requires = frozenset({"course", "context"})

    def of_course(self, course: Course, users: Integers | None, ranges: Ranges) -> Values:
        """One value for all."""
        return _everywhere(float(yes_or_no(course.fact(facts.has_teacher, default=False))), users, ranges)


class _PotentialLevel(CourseIndicator):
    """What a course's activities admit; a course with none of a kind that has levels is not used.

    Moodle calculates a value out of range there, and its whole analysis fails.
    """

    requires = frozenset({"course"})

    def refuses(self, course: Course) -> Refusal | None:
        """A course whose activities all are of kinds without these indicators."""
        if not len(course.activities) or potential_levels(course.activities)[0].any():
            return None
        return NOT_MEASURED


class PotentialCognitiveDepth(_PotentialLevel):
    """The deepest cognitive level that the course's activities admit."""

    id = r"\core_course\analytics\indicator\potential_cognitive_depth"

    def of_course(self, course: Course, users: Integers | None, ranges: Ranges) -> Values:
        """From -1 for level 1 to 1 for level 5."""
        if not len(course.activities):
            return _everywhere(-1.0, users, ranges)
        level = int(potential_levels(course.activities)[0].max())
        return _everywhere(-1 + 0.5 * level - 0.5, users, ranges)


class PotentialSocialBreadth(_PotentialLevel):
    """The broadest social level that the course's activities admit, up to the second."""

    id = r"\core_course\analytics\indicator\potential_social_breadth"

    def of_course(self, course: Course, users: Integers | None, ranges: Ranges) -> Values:
        """-1 for level 1, 1 for level 2."""
        if not len(course.activities):
            return _everywhere(-1.0, users, ranges)
        level = min(int(potential_levels(course.activities)[1].max()), HIGHEST_SOCIAL_LEVEL)
        return _everywhere(-1 + 2.0 * level - 2, users, ranges)
