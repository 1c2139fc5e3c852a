"""A Moodle site, read-only: its database or a folder of its tables."""

from __future__ import annotations

from moodlemlbackend.analytics.site.site import CourseRow, Site, open_configured, open_site

__all__ = ["CourseRow", "Site", "open_configured", "open_site"]
