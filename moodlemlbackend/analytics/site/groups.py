"""Separate groups: courses whose members may see those of their own groups only."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from moodlemlbackend.analytics.site.site import Site

_SEPARATE = 1
_COURSES_A_QUERY = 500

_SHARED = (
    "SELECT DISTINCT o.userid, r.id FROM {groups} g JOIN {groups_members} o ON o.groupid = g.id "
    "JOIN {groups_members} m ON m.groupid = g.id JOIN {enrol} e ON e.courseid = g.courseid "
    "JOIN {user_enrolments} r ON r.enrolid = e.id AND r.userid = m.userid "
    "WHERE g.courseid IN :courses AND o.userid IN :users"
)
_SHARED_IN_GROUPING = (
    f"{_SHARED} AND EXISTS (SELECT 1 FROM {{groupings_groups}} p JOIN {{course}} c "
    "ON c.defaultgroupingid = p.groupingid WHERE c.id = g.courseid AND p.groupid = g.id)"
)


class SeparateCourse(NamedTuple):
    """A course with separate groups; ``grouping`` is its default grouping, to which they are limited, 0 for none."""

    id: int
    grouping: int


class Group(NamedTuple):
    """A group of a course, with the ids of its members."""

    id: int
    name: str
    members: frozenset[int]


def separate_courses(site: Site) -> dict[int, SeparateCourse]:
    """The courses with separate groups, by context."""
    rows = site.database.rows(
        "SELECT x.id, c.id, c.defaultgroupingid FROM {course} c "
        "JOIN {context} x ON x.contextlevel = 50 AND x.instanceid = c.id WHERE c.groupmode = :separate",
        separate=_SEPARATE,
    )
    return {context: SeparateCourse(course, grouping or 0) for context, course, grouping in rows}


def enrolments_in_own_groups(site: Site, readers: Mapping[SeparateCourse, Collection[int]]) -> dict[int, set[int]]:
    """Ids of the enrolments, in courses with separate groups, of those who share a group with a reader, by reader.

    A site without the tables of groups is refused with :class:`SiteError`: who is in which group cannot be told.
    """
    enrolments: dict[int, set[int]] = {}
    for query, in_grouping in ((_SHARED, False), (_SHARED_IN_GROUPING, True)):
        courses = [course for course in readers if bool(course.grouping) is in_grouping]
        for start in range(0, len(courses), _COURSES_A_QUERY):
            part = courses[start : start + _COURSES_A_QUERY]
            users = sorted({user for course in part for user in readers[course]})
            for user, enrolment in site.database.rows(query, courses=[course.id for course in part], users=users):
                enrolments.setdefault(user, set()).add(enrolment)
    return enrolments


def course_groups(site: Site, course: int) -> list[Group]:
    """The groups of a course by name; none in a site without the table."""
    if not site.database.schema.has("groups"):
        return []
    members: dict[tuple[str, int], set[int]] = {}
    for group, name, user in site.database.rows(
        "SELECT g.id, g.name, m.userid FROM {groups} g LEFT JOIN {groups_members} m ON m.groupid = g.id "
        "WHERE g.courseid = :course",
        course=course,
    ):
        members.setdefault((str(name or ""), group), set()).update(() if user is None else (user,))
    return [Group(group, name, frozenset(users)) for (name, group), users in sorted(members.items())]
