"""Indicators: what is calculated of every sample and range."""

from __future__ import annotations

from moodlemlbackend.analytics.features.indicators.calendar import ActivitiesDue
from moodlemlbackend.analytics.features.indicators.community_of_inquiry import CognitiveDepth, SocialBreadth
from moodlemlbackend.analytics.features.indicators.course import (
    CompletionEnabled,
    NoStudent,
    NoTeacher,
    PotentialCognitiveDepth,
    PotentialSocialBreadth,
)
from moodlemlbackend.analytics.features.indicators.general import (
    AnyAccessAfterEnd,
    AnyAccessBeforeStart,
    AnyCourseAccess,
    AnyWriteAction,
    AnyWriteActionInCourse,
    ReadActions,
)
from moodlemlbackend.analytics.features.indicators.indicator import CourseIndicator, Indicator, Kind
from moodlemlbackend.analytics.features.indicators.user import UserProfileSet, UserTrackForums
from moodlemlbackend.analytics.site.modules import MODULES, Module

CORE: tuple[Indicator, ...] = (
    AnyAccessAfterEnd(), AnyAccessBeforeStart(), AnyCourseAccess(), AnyWriteAction(), AnyWriteActionInCourse(),
    ReadActions(), ActivitiesDue(), CompletionEnabled(), NoStudent(), NoTeacher(), PotentialCognitiveDepth(),
    PotentialSocialBreadth(), UserProfileSet(), UserTrackForums(),
    *(indicator for module in MODULES.values() for indicator in (CognitiveDepth(module), SocialBreadth(module))),
)  # fmt: skip
"""The indicators that Moodle ships."""

__all__ = ["CORE", "MODULES", "CognitiveDepth", "CourseIndicator", "Indicator", "Kind", "Module", "SocialBreadth"]
