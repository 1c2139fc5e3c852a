"""The activities of a course, and the time each belongs to."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import numpy.typing as npt

from moodlemlbackend.analytics.features.ranges import Ranges
from moodlemlbackend.analytics.site.database import Integers
from moodlemlbackend.analytics.site.schema import TABLES
from moodlemlbackend.analytics.site.site import Site
from moodlemlbackend.analytics.site.tables import ids, rows_by_key

if TYPE_CHECKING:
    from moodlemlbackend.analytics.features.analysables.course import Course

SECONDS_A_WEEK = 604_800

EARLY_SECONDS = 7_200
"""By which Moodle 4 takes the end of a week for over; 3.7 does not."""

FROM, UNTIL = ">=", "<"
"""Directions of a date condition."""

Flags = npt.NDArray[np.bool_]
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

    def belong(self, course: Course, ranges: Ranges) -> Flags:
        """Which activities are due in which range: (ranges, activities).

        An activity's closing time decides; without one the first date condition that does, its own before its
        section's; without any, its section.
        """
        starts, ends = ranges.starts[:, None], ranges.ends[:, None]
        closes = _inside(self.closes, starts, ends)
        belongs: Flags = np.where(self.closes != 0, closes, self._by_section(course, starts, ends))
        for at in np.flatnonzero(self.closes == 0):
            for dates in (self.section_dates[at], self.dates[at]):
                _restrict(belongs[:, at], dates, ranges)
        return belongs

    def _by_section(self, course: Course, starts: Integers, ends: Integers) -> Flags:
        """Which sections end in which range, in the course's format."""
        if course.in_weeks:
            early = 0 if course.site.is_37 else EARLY_SECONDS
            times = course.start + SECONDS_A_WEEK * np.maximum(self.sections, 1) - early
            return _inside(times, starts, ends)
        dated: Flags = np.full(len(ends), bool(course.start and course.end))[:, None] & (self.sections != 0)
        if not course.uses_sections:
            return dated
        length = np.floor((course.end - course.start) / max(self.section_count, 1) + 0.5)
        times = course.start + length * self.sections
        return dated & _inside(times, starts, ends)


Activities.NONE = Activities([], *(np.empty(0, np.int64),) * 6, [], [])


def _inside(times: npt.NDArray[Any], starts: Integers, ends: Integers) -> Flags:
    inside: Flags = (starts < times) & (times <= ends)
    return inside


def _restrict(belongs: Flags, dates: Dates, ranges: Ranges) -> None:
    """Let the first date condition that decides say whether an activity belongs to a range; in place."""
    open_ = np.ones(len(ranges), bool)
    for direction, time in dates:
        if direction == FROM:
            no, yes = time > ranges.ends, np.zeros(len(ranges), bool)
        else:
            no = (time < ranges.starts) | (time > ranges.ends)
            yes = (ranges.starts < time) & (time < ranges.ends)
        belongs[open_ & no] = False
        belongs[open_ & yes] = True
        open_ &= ~(no | yes)


def activities(site: Site, courses: Sequence[Course]) -> dict[int, Activities]:
    """The activities of each course, with one query for each kind of table."""
    wanted = ids(courses)
    modules = rows_by_key(
        site,
        "SELECT m.course, m.id, n.name, m.instance, m.availability, x.id FROM {course_modules} m "
        "JOIN {modules} n ON n.id = m.module JOIN {context} x ON x.contextlevel = 70 AND x.instanceid = m.id "
        "WHERE m.course IN :courses ORDER BY m.id",
        courses=wanted,
    )
    sections = rows_by_key(
        site,
        "SELECT course, section, sequence, availability FROM {course_sections} "
        "WHERE course IN :courses ORDER BY section",
        courses=wanted,
    )
    counts = {
        course: {name: int(value) for name, value in rows if str(value or "").isdigit()}
        for course, rows in rows_by_key(
            site,
            "SELECT courseid, format, value FROM {course_format_options} "
            "WHERE courseid IN :courses AND name = 'numsections' AND sectionid = 0",
            courses=wanted,
        ).items()
    }
    settings = _settings(site, wanted, {row[1] for rows in modules.values() for row in rows})
    return {
        course.id: _arranged(
            modules[course.id], sections.get(course.id, []), settings, counts.get(course.id, {}).get(course.format, 0)
        )
        for course in courses
        if course.id in modules
    }


def _arranged(
    modules: list[tuple[Any, ...]], sections: list[tuple[Any, ...]], settings: dict[tuple[str, int], tuple[int, int]],
    numsections: int,
) -> Activities:  # fmt: skip
    by_id = {row[0]: row[1:] for row in modules}
    listed = []
    for number, sequence, availability in sections:
        section_dates = _dates(availability)
        for text in str(sequence or "").split(","):
            if text.strip().isdigit() and (module := by_id.pop(int(text), None)):
                name, instance, restriction, context = module
                close, option = settings.get((name, instance), (0, 0))
                numbers = (int(text), instance, context, number, close, option)
                listed.append((name, numbers, _dates(restriction), section_dates))
    table = np.array([row[1] for row in listed], np.int64).reshape(-1, 6)
    count = numsections or len(sections) - any(row[0] == 0 for row in sections)
    return Activities(
        [row[0] for row in listed],
        table[:, 0], table[:, 1], table[:, 2], table[:, 3], table[:, 4], table[:, 5],
        [row[2] for row in listed],
        [row[3] for row in listed],
        count,
    )  # fmt: skip


def _settings(site: Site, courses: list[int], present: set[str]) -> dict[tuple[str, int], tuple[int, int]]:
    """When each activity closes and its option, by type and instance, of the types that have either."""
    from moodlemlbackend.analytics.features.indicators.modules import MODULES

    parts = [
        f"SELECT '{module.name}', id, {module.close or 0}, {module.option or 0} FROM {{{module.name}}} "
        "WHERE course IN :courses"
        for module in MODULES.values()
        if module.name in present and module.name in TABLES and (module.close or module.option)
    ]
    if not parts:
        return {}
    rows = site.database.rows(" UNION ALL ".join(parts), courses=courses)
    return {(name, instance): (close or 0, option or 0) for name, instance, close, option in rows}


def _dates(availability: str | None) -> Dates:
    if not availability or '"date"' not in availability:
        return ()
    try:
        return tuple(_conditions(json.loads(availability)))
    except (ValueError, RecursionError):
        return ()


def _conditions(node: Any) -> Iterator[tuple[str, int]]:
    if not isinstance(node, dict):
        return
    if node.get("type") == "date" and node.get("d") in (FROM, UNTIL) and isinstance(node.get("t"), (int, float)):
        yield node["d"], int(node["t"])
    for child in node.get("c") or ():
        yield from _conditions(child)
