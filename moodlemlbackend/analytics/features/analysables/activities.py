"""The activities of a course."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from moodlemlbackend.analytics.site import activities as site_activities
from moodlemlbackend.analytics.site.activities import CourseModule, Section
from moodlemlbackend.analytics.site.database import Integers
from moodlemlbackend.analytics.site.site import CourseRow, Site

FROM, UNTIL = ">=", "<"
"""Directions of a date condition."""

Settings = dict[tuple[str, int], tuple[int, int]]
"""Closing time and option by type and instance."""

Dates = tuple[tuple[str, int], ...]
"""Date conditions: direction and Unix time, in the order of the restriction."""


@dataclass(frozen=True, eq=False)
class Activities:
    """Activities of a course in the order of its page; arrays of shape (activities,).

    ``modules`` are the names of their types, such as ``assign``; ``sections`` the numbers of their sections;
    ``closes`` Unix times, 0 when they do not close; ``options`` the setting on which a type's rules depend, or 0.
    ``dates`` and ``section_dates`` are the date conditions of their own and of their sections.
    """

    modules: list[str]
    ids: Integers
    instances: Integers
    contexts: Integers
    sections: Integers
    closes: Integers
    options: Integers
    dates: list[Dates]
    section_dates: list[Dates]
    section_count: int = 0
    """Sections of the course but the general one, or its format's setting of them."""

    NONE: ClassVar[Activities]

    def __len__(self) -> int:
        return len(self.modules)

    def of(self, module: str) -> Integers:
        """Positions of the activities of a type."""
        return np.array([i for i, name in enumerate(self.modules) if name == module], np.int64)


Activities.NONE = Activities([], *(np.empty(0, np.int64),) * 6, [], [])


def activities(site: Site, courses: Sequence[CourseRow]) -> dict[int, Activities]:
    """The activities of each course, with one query for each kind of table."""
    ids = [course.id for course in courses]
    modules = site_activities.course_modules(site, ids)
    sections = site_activities.sections(site, ids)
    numbers = site_activities.format_options(site, ids, "numsections")
    present = {module.module for of_course in modules.values() for module in of_course}
    settings = site_activities.activity_settings(site, ids, present)
    return {
        course.id: _arranged(
            modules[course.id], sections.get(course.id, []), settings, numbers.get((course.id, course.format), "")
        )
        for course in courses
        if course.id in modules
    }


def _arranged(
    modules: Sequence[CourseModule], sections: Sequence[Section], settings: Settings, numsections: str
) -> Activities:
    by_id = {module.id: module for module in modules}
    listed = []
    for section in sections:
        section_dates = _dates(section.availability)
        for text in str(section.sequence or "").split(","):
            if text.strip().isdecimal() and (module := by_id.pop(int(text), None)):
                close, option = settings.get((module.module, module.instance), (0, 0))
                numbers = (module.id, module.instance, module.context, section.number, close, option)
                listed.append((module.module, numbers, _dates(module.availability), section_dates))
    table = np.array([row[1] for row in listed], np.int64).reshape(-1, 6)
    chosen = int(numsections) if numsections.isdecimal() else 0
    return Activities(
        [row[0] for row in listed],
        table[:, 0], table[:, 1], table[:, 2], table[:, 3], table[:, 4], table[:, 5],
        [row[2] for row in listed],
        [row[3] for row in listed],
        chosen or len({section.number for section in sections} - {0}),
    )  # fmt: skip


def _dates(availability: str | None) -> Dates:
    if not availability or '"date"' not in availability:
        return ()
    try:
        return tuple(_conditions(json.loads(availability)))
    except (ValueError, TypeError, OverflowError, RecursionError):
        return ()


def _conditions(node: Any) -> Iterator[tuple[str, int]]:
    if not isinstance(node, dict):
        return
    if node.get("type") == "date" and node.get("d") in (FROM, UNTIL) and isinstance(node.get("t"), (int, float)):
        yield node["d"], int(node["t"])
    for child in node.get("c") or ():
        yield from _conditions(child)
