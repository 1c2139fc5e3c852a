"""Indicators: what is calculated of every sample and range."""

from __future__ import annotations

from moodlemlbackend.analytics.indicators.base import CourseIndicator, Indicator, Kind
from moodlemlbackend.analytics.indicators.calendar import ActivitiesDue
from moodlemlbackend.analytics.indicators.community_of_inquiry import CognitiveDepth, SocialBreadth
from moodlemlbackend.analytics.indicators.course import (
    CompletionEnabled,
    NoStudent,
    NoTeacher,
    PotentialCognitiveDepth,
    PotentialSocialBreadth,
)
from moodlemlbackend.analytics.indicators.general import (
    AnyAccessAfterEnd,
    AnyAccessBeforeStart,
    AnyCourseAccess,
    AnyWriteAction,
    AnyWriteActionInCourse,
    ReadActions,
)
from moodlemlbackend.analytics.indicators.modules import MODULES, Module
from moodlemlbackend.analytics.indicators.user import UserProfileSet, UserTrackForums

CORE: tuple[Indicator, ...] = (
    AnyAccessAfterEnd(), AnyAccessBeforeStart(), AnyCourseAccess(), AnyWriteAction(), AnyWriteActionInCourse(),
    ReadActions(), ActivitiesDue(), CompletionEnabled(), NoStudent(), NoTeacher(), PotentialCognitiveDepth(),
    PotentialSocialBreadth(), UserProfileSet(), UserTrackForums(),
    *(indicator for module in MODULES.values() for indicator in (CognitiveDepth(module), SocialBreadth(module))),
)  # fmt: skip
"""The indicators that Moodle ships."""

__all__ = ["CORE", "MODULES", "CognitiveDepth", "CourseIndicator", "Indicator", "Kind", "Module", "SocialBreadth"]
