"""What is analysed: a course, the site, a user; each over its own time."""

from __future__ import annotations

from moodlemlbackend.analytics.features.analysables.analysable import MAX_TIME, Analysable
from moodlemlbackend.analytics.features.analysables.course import Course, Courses
from moodlemlbackend.analytics.features.analysables.site_wide import SiteWide
from moodlemlbackend.analytics.features.analysables.user import User, Users

__all__ = ["MAX_TIME", "Analysable", "Course", "Courses", "SiteWide", "User", "Users"]
