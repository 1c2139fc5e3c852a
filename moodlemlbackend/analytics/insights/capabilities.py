"""Who may do what, by Moodle's role tables.

A user has the roles that are assigned in a context and in those above it, and the role of every user at the top. For
each role the permission nearest to the context counts; a prohibition counts wherever it stands. One role that allows is
enough unless another prohibits. Administrators may do everything, but are told only what their roles allow.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from moodlemlbackend.analytics.site import Site

MANAGE_MODELS = "moodle/analytics:managemodels"
LIST_INSIGHTS = "moodle/analytics:listinsights"
LIST_OWN_INSIGHTS = "moodle/analytics:listowninsights"

SYSTEM, USER, CATEGORY, COURSE, MODULE = 10, 30, 40, 50, 70
"""Levels of contexts."""

_ALLOW, _PROHIBIT = 1, -1000

_DEFAULT_ROLES = {
    MANAGE_MODELS: ("manager",),
    LIST_INSIGHTS: ("manager", "editingteacher", "teacher"),
    LIST_OWN_INSIGHTS: ("user",),
}
"""Archetypes allowed by default, for a site whose table of permissions is missing."""


@dataclass(frozen=True)
class Context:
    """A context: its level, the id of what it is of, and the ids of the contexts from the top down to itself."""

    id: int
    level: int
    instance: int
    path: tuple[int, ...]


class Capabilities:
    """What the users of a site may do; answers are kept, so one object is for one run."""

    def __init__(self, site: Site, now: int) -> None:
        self._site = site
        self._now = now
        self.context = cache(self._context)
        self.users = cache(self._users)
        self.course_users = cache(self._course_users)
        self._permissions = cache(self._read_permissions)
        self._existing = cache(self._read_existing)

    def may(self, userid: int, capability: str, contextid: int) -> bool:
        """Whether a user has a capability in a context; administrators have every one."""
        if userid in self._site.administrators:
            return True
        return userid in self.users(capability, contextid)

    def recipients(self, contextid: int) -> list[int]:
        """Ids of the users who are told of insights in a context.

        In a user's own context that user; in a course, or in a part of it, those who are actively enrolled; above,
        whoever has the role: each only with the capability that lists insights.
        """
        context = self.context(contextid)
        if context is None:
            return []
        if context.level == USER:
            own = [context.instance] if context.instance in self._existing() else []
            return [user for user in own if self.may(user, LIST_OWN_INSIGHTS, contextid)]
        allowed = self.users(LIST_INSIGHTS, contextid)
        if context.level >= COURSE:
            course = next((one for one in map(self.context, context.path) if one and one.level == COURSE), None)
            allowed = allowed & self.course_users(course.instance) if course else frozenset()
        return sorted(allowed)

    def _users(self, capability: str, contextid: int) -> frozenset[int]:
        """Ids of the users whose roles give them a capability in a context."""
        context = self.context(contextid)
        if context is None:
            return frozenset()
        allowing, prohibiting = self._roles(capability, context.path)
        assigned = self._site.database.rows(
            "SELECT roleid, userid FROM {role_assignments} WHERE contextid IN :contexts", contexts=list(context.path)
        )
        allowed = {user for role, user in assigned if role in allowing}
        default = self._default_role
        if default in allowing:
            allowed |= self._existing()
        prohibited = {user for role, user in assigned if role in prohibiting}
        if default in prohibiting:
            return frozenset()
        return frozenset((allowed - prohibited) & self._existing())

    def _roles(self, capability: str, path: tuple[int, ...]) -> tuple[set[int], set[int]]:
        """Roles that allow a capability at the end of a path, and roles that prohibit it."""
        allowing, prohibiting = set(), set()
        for role, by_context in self._permissions(capability).items():
            found = [by_context[context] for context in path if by_context.get(context)]
            if _PROHIBIT in found:
                prohibiting.add(role)
            elif found and found[-1] == _ALLOW:
                allowing.add(role)
        return allowing, prohibiting

    def _read_permissions(self, capability: str) -> dict[int, dict[int, int]]:
        """Permission by role and context."""
        if not self._site.database.schema.has("role_capabilities"):
            roles = self._site.roles(*_DEFAULT_ROLES.get(capability, ()))
            return {int(role): {self._site.system_context: _ALLOW} for role in roles}
        found: dict[int, dict[int, int]] = {}
        for role, context, permission in self._site.database.rows(
            "SELECT roleid, contextid, permission FROM {role_capabilities} WHERE capability = :capability",
            capability=capability,
        ):
            found.setdefault(role, {})[context] = permission
        return found

    @property
    def _default_role(self) -> int:
        found = self._site.config.get("defaultuserroleid", "")
        return int(found) if found.isdigit() else 0

    def _context(self, contextid: int) -> Context | None:
        rows = self._site.database.rows(
            "SELECT contextlevel, instanceid, path FROM {context} WHERE id = :id", id=contextid
        )
        if not rows:
            return None
        level, instance, path = rows[0]
        above = tuple(int(part) for part in (path or "").split("/") if part)
        return Context(contextid, level, instance, above or (contextid,))

    def _course_users(self, courseid: int) -> frozenset[int]:
        """Ids of the users with an enrolment in a course that is in force now."""
        rows = self._site.database.rows(
            "SELECT DISTINCT u.userid FROM {user_enrolments} u JOIN {enrol} e ON e.id = u.enrolid "
            "WHERE e.courseid = :course AND u.status = 0 AND e.status = 0 AND u.timestart <= :now "
            "AND (u.timeend = 0 OR u.timeend > :now)",
            course=courseid,
            now=self._now,
        )
        return frozenset(user for (user,) in rows)

    def _read_existing(self) -> frozenset[int]:
        """Ids of the users who are not deleted, the guest left out."""
        rows = self._site.database.rows("SELECT id FROM {user} WHERE deleted = 0 AND username <> 'guest'")
        return frozenset(user for (user,) in rows)
