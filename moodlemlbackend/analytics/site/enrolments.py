"""Enrolments, role assignments and groups: who belongs to which course."""

from __future__ import annotations

from collections.abc import Sequence

from moodlemlbackend.analytics.site.database import Integers
from moodlemlbackend.analytics.site.site import Site
from moodlemlbackend.analytics.site.tables import integers_by_key

NOT_OVER = "u.status = 0 AND e.status = 0 AND (u.timeend = 0 OR u.timeend > :now)"
"""SQL for a user enrolment ``u`` by a method ``e`` that is neither suspended nor over."""


def user_enrolments(site: Site, courses: Sequence[int]) -> dict[int, Integers]:
    """User enrolments of every method and status by course, by id: (enrolments, 6).

    The columns are id, user, start and end (Unix times, 0 when not set), time of creation, and 1 where neither the
    enrolment is suspended nor its method switched off.
    """
    return integers_by_key(
        site,
        "SELECT e.courseid, u.id, u.userid, u.timestart, u.timeend, u.timecreated, "
        "CASE WHEN u.status = 0 AND e.status = 0 THEN 1 ELSE 0 END "
        "FROM {user_enrolments} u JOIN {enrol} e ON e.id = u.enrolid WHERE e.courseid IN :courses ORDER BY u.id",
        6,
        courses=courses,
    )


def enrolled_courses(site: Site, users: Sequence[int], now: int) -> list[tuple[int, int]]:
    """User and course of the enrolments in force at a time."""
    rows = site.database.rows(
        "SELECT DISTINCT u.userid, e.courseid FROM {user_enrolments} u JOIN {enrol} e ON e.id = u.enrolid "
        f"WHERE u.userid IN :users AND u.timestart < :now AND {NOT_OVER}",
        users=users,
        now=now,
    )
    return [(user, course) for user, course in rows]


def left_courses(site: Site, userid: int, now: int) -> frozenset[int]:
    """Ids of the courses in which a user has enrolments, none of them in force at a time."""
    rows = site.database.rows(
        f"SELECT e.courseid, MAX(CASE WHEN u.timestart <= :now AND {NOT_OVER} THEN 1 ELSE 0 END) "
        "FROM {user_enrolments} u JOIN {enrol} e ON e.id = u.enrolid WHERE u.userid = :user GROUP BY e.courseid",
        user=userid,
        now=now,
    )
    return frozenset(course for course, in_force in rows if not in_force)


def role_assignments(
    site: Site,
    roles: Sequence[int] | Integers | None,
    *,
    contexts: Sequence[int] | None = None,
    users: Sequence[int] | None = None,
) -> dict[int, Integers]:
    """Ids of the users to whom one of the roles (None: any) is assigned in each context itself, by context.

    ``contexts`` and ``users`` say which are looked at.
    """
    given = {"contextid": contexts, "userid": users, "roleid": roles}
    wanted = {column: values for column, values in given.items() if values is not None}
    conditions = " AND ".join(f"{column} IN :{column}" for column in wanted)
    by_context = integers_by_key(
        site,
        f"SELECT DISTINCT contextid, userid FROM {{role_assignments}} WHERE {conditions}",
        1,
        **wanted,
    )
    return {context: table[:, 0] for context, table in by_context.items()}


def roles_with_capability(site: Site, capabilities: Sequence[str]) -> list[int]:
    """Ids of the roles whose definition allows one of the capabilities."""
    rows = site.database.rows(
        "SELECT DISTINCT roleid FROM {role_capabilities} "
        "WHERE contextid = :system AND permission = 1 AND capability IN :capabilities",
        system=site.system_context,
        capabilities=capabilities,
    )
    return [int(role) for (role,) in rows]


def group_members(site: Site, users: Sequence[int]) -> dict[int, set[int]]:
    """Ids of the groups of each user."""
    rows = site.database.rows("SELECT userid, groupid FROM {groups_members} WHERE userid IN :users", users=users)
    groups: dict[int, set[int]] = {}
    for user, group in rows:
        groups.setdefault(user, set()).add(group)
    return groups
