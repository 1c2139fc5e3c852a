"""The whole site as an analysable."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cached_property

from moodlemlbackend.analytics.features.analysables.analysable import MAX_TIME
from moodlemlbackend.analytics.features.analysables.course import Courses
from moodlemlbackend.analytics.site.site import Site
from moodlemlbackend.analytics.site.users import first_access


class SiteWide:
    """``\\core_analytics\\site``: from the first access of an administrator until now, with all its courses."""

    name = "Site"

    def __init__(self, site: Site, now: int, events: Iterable[str] = ()) -> None:
        self.site = site
        self.end = self.now = now
        self.courses = Courses(site, site.courses, now, events)

    @cached_property
    def id(self) -> int:
        """Id of the system context."""
        return self.site.system_context

    @property
    def context(self) -> int:
        """Id of the system context."""
        return self.id

    @cached_property
    def start(self) -> int:
        """Earliest first access of the administrators."""
        earliest = first_access(self.site, self.site.administrators)
        return MAX_TIME if earliest is None else earliest
