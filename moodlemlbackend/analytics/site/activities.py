"""Activities and sections of courses, and the settings of both."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from moodlemlbackend.analytics.site.modules import MODULES
from moodlemlbackend.analytics.site.schema import TABLES
from moodlemlbackend.analytics.site.site import Site
from moodlemlbackend.analytics.site.tables import rows_by_key

_SUBSECTION = "mod_subsection"
"""``component`` of the section that holds what is in a subsection."""


class CourseModule(NamedTuple):
    """An activity in a course; ``module`` is the name of its type, ``availability`` its restrictions as JSON."""

    id: int
    module: str
    instance: int
    availability: str | None
    context: int


class Section(NamedTuple):
    """A section of a course; ``sequence`` holds the ids of its course modules, separated by commas.

    A subsection has the number of the section that it is in.
    """

    number: int
    sequence: str | None
    availability: str | None


def course_modules(site: Site, courses: Sequence[int]) -> dict[int, list[CourseModule]]:
    """Activities of every type by course, hidden ones included, by id."""
    by_course = rows_by_key(
        site,
        "SELECT m.course, m.id, n.name, m.instance, m.availability, x.id FROM {course_modules} m "
        "JOIN {modules} n ON n.id = m.module JOIN {context} x ON x.contextlevel = 70 AND x.instanceid = m.id "
        "WHERE m.course IN :courses ORDER BY m.id",
        courses=courses,
    )
    return {course: [CourseModule(*row) for row in rows] for course, rows in by_course.items()}


def course_module_ids(site: Site, courses: Sequence[int]) -> dict[tuple[str, int], int]:
    """Ids of course modules by type and instance."""
    rows = site.database.rows(
        "SELECT n.name, m.instance, m.id FROM {course_modules} m JOIN {modules} n ON n.id = m.module "
        "WHERE m.course IN :courses",
        courses=courses,
    )
    return {(name, instance): module for name, instance, module in rows}


def sections(site: Site, courses: Sequence[int]) -> dict[int, list[Section]]:
    """Sections by course, subsections last."""
    around = _sections_around(site, courses)
    by_course = rows_by_key(
        site,
        "SELECT course, section, sequence, availability, component, itemid FROM {course_sections} "
        "WHERE course IN :courses ORDER BY section",
        courses=courses,
    )
    return {
        course: [
            Section(around.get(item, number) if component == _SUBSECTION else number, sequence, availability)
            for number, sequence, availability, component, item in rows
        ]
        for course, rows in by_course.items()
    }


def _sections_around(site: Site, courses: Sequence[int]) -> dict[int, int]:
    """The number of the section that each subsection is in, by its instance."""
    if "subsection" not in site.modules:
        return {}
    rows = site.database.rows(
        "SELECT m.instance, s.section FROM {course_modules} m JOIN {modules} n ON n.id = m.module "
        "JOIN {course_sections} s ON s.id = m.section WHERE n.name = 'subsection' AND m.course IN :courses",
        courses=courses,
    )
    return dict(rows)


def last_sections(site: Site, courses: Sequence[int]) -> dict[int, int]:
    """The highest number of a section by course; those of plugins, such as subsections, are numbered after it."""
    rows = site.database.rows(
        "SELECT course, MAX(section) FROM {course_sections} WHERE course IN :courses "
        "AND COALESCE(component, '') = '' GROUP BY course",
        courses=courses,
    )
    return {course: int(number) for course, number in rows}


def format_options(site: Site, courses: Sequence[int], name: str) -> dict[tuple[int, str], str]:
    """An option of the courses' formats, by course and format; a course may have left its options in former formats."""
    rows = site.database.rows(
        "SELECT courseid, format, value FROM {course_format_options} "
        "WHERE courseid IN :courses AND name = :name AND sectionid = 0",
        courses=courses,
        name=name,
    )
    return {(course, kind): str(value or "") for course, kind, value in rows}


def activity_settings(
    site: Site, courses: Sequence[int], present: Iterable[str]
) -> dict[tuple[str, int], tuple[int, int]]:
    """When each activity closes (a Unix time, or 0) and its option, by type and instance, of the types with either."""
    wanted = set(present)
    parts = [
        f"SELECT '{module.name}', id, {module.close or 0}, {module.option or 0} FROM {{{module.name}}} "
        "WHERE course IN :courses"
        for module in MODULES.values()
        if module.name in wanted and module.name in TABLES and (module.close or module.option)
    ]
    rows: list[tuple[Any, ...]] = site.database.rows(" UNION ALL ".join(parts), courses=courses) if parts else []
    return {(name, instance): (close or 0, option or 0) for name, instance, close, option in rows}


class VisibleModule(NamedTuple):
    """Whether the completion of a course module is tracked, and whether it is for some people only."""

    tracked: bool
    restricted: bool


def visible_modules(site: Site, course: int) -> dict[int, VisibleModule]:
    """Course modules of a course that students see, by id."""
    rows = site.database.rows(
        "SELECT id, completion, availability FROM {course_modules} WHERE course = :course AND visible = 1",
        course=course,
    )
    return {module: VisibleModule(bool(completion), for_some_only(rule)) for module, completion, rule in rows}


def for_some_only(availability: str | None) -> bool:
    """Whether an activity's restrictions, JSON, name anything but dates, such as a group."""
    return any(f'"type":"{kind}"' in "".join((availability or "").split()) for kind in ("group", "grouping", "profile"))


def activity_names(site: Site, course: int, present: Iterable[str]) -> dict[tuple[str, int], str]:
    """Names of activities as they are stored, by type and instance; those of unknown types are missing."""
    known = sorted(set(present) & MODULES.keys())
    parts = [f"SELECT '{name}', id, name FROM {{{name}}} WHERE course = :course" for name in known]
    rows: list[tuple[Any, ...]] = site.database.rows(" UNION ALL ".join(parts), course=course) if parts else []
    return {(kind, instance): str(name or "") for kind, instance, name in rows}
