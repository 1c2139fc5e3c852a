"""Categories of courses: their names, by context."""

from __future__ import annotations

from typing import TYPE_CHECKING

from moodlemlbackend.analytics.site.contexts import CATEGORY
from moodlemlbackend.analytics.site.names import format_name

if TYPE_CHECKING:
    from moodlemlbackend.analytics.site.site import Site


def categories(site: Site) -> dict[int, str]:
    """The names of all categories by their contexts; empty for a site without the table."""
    if not site.database.schema.has("course_categories"):
        return {}
    rows = site.database.rows(
        "SELECT c.id, k.name FROM {course_categories} k JOIN {context} c ON c.instanceid = k.id "
        "WHERE c.contextlevel = :level",
        level=CATEGORY,
    )
    return {context: format_name(name, site.language) for context, name in rows}
