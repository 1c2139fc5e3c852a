"""Who may do what, by Moodle's role tables.

A user has the roles that are assigned in a context and in those above it, and the role of every user at the top. For
each role the permission nearest to the context counts; a prohibition counts wherever it stands. One role that allows is
enough unless another prohibits. Administrators may do everything, but are told only what their roles allow.

In a course with separate groups, students are seen by those who share a group with them, or may access all groups.
"""

from __future__ import annotations

from functools import cache
from itertools import pairwise
from typing import TYPE_CHECKING

from moodlemlbackend.analytics.db.insights import GroupLimit
from moodlemlbackend.analytics.features import definitions
from moodlemlbackend.analytics.site.contexts import COURSE, USER, Context, read_contexts
from moodlemlbackend.analytics.site.enrolments import left_courses
from moodlemlbackend.analytics.site.groups import enrolments_in_own_groups, separate_courses
from moodlemlbackend.analytics.site.people import ENROLMENTS, enrolled_users, existing_users
from moodlemlbackend.analytics.site.roles import (
    ALLOW,
    PROHIBIT,
    assignments,
    assignments_of,
    default_role,
    permissions,
)

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from moodlemlbackend.analytics.site import Site
    from moodlemlbackend.analytics.site.groups import SeparateCourse

MANAGE_MODELS = "moodle/analytics:managemodels"
LIST_INSIGHTS = "moodle/analytics:listinsights"
LIST_OWN_INSIGHTS = "moodle/analytics:listowninsights"
ACCESS_ALL_GROUPS = "moodle/site:accessallgroups"
VIEW_GRADES = "moodle/grade:viewall"
VIEW_IDENTITY = "moodle/site:viewuseridentity"

_DEFAULT_ROLES = {
    MANAGE_MODELS: ("manager",),
    LIST_INSIGHTS: ("manager", "editingteacher", "teacher"),
    LIST_OWN_INSIGHTS: ("user",),
    ACCESS_ALL_GROUPS: ("manager", "editingteacher"),
    VIEW_GRADES: ("manager", "editingteacher", "teacher"),
    VIEW_IDENTITY: ("manager", "editingteacher", "teacher"),
}
"""Archetypes allowed by default, for a site whose table of permissions is missing."""


class Capabilities:
    """What the users of a site may do; answers are kept, so one object is for one run."""

    def __init__(self, site: Site, now: int) -> None:
        self._site = site
        self._now = now
        self._contexts: dict[int, Context | None] = {}
        self._default_role = default_role(site)
        self.users = cache(self._users)
        self.course_users = cache(self._course_users)
        self._permissions = cache(self._read_permissions)
        self._left = cache(lambda userid: left_courses(site, userid, now))
        self._existing = cache(self._read_existing)
        self._roles = cache(self._roles_on)
        self._assigned = cache(self._read_assigned)
        self._separate = cache(lambda: separate_courses(site))
        self._group_limit = cache(self._read_group_limit)

    def load(self, contextids: Iterable[int]) -> None:
        """Read contexts that :meth:`context` will be asked for, all at once."""
        wanted = set(contextids) - self._contexts.keys()
        self._contexts |= dict.fromkeys(wanted) | {context.id: context for context in read_contexts(self._site, wanted)}

    def context(self, contextid: int) -> Context | None:
        """A context, None when there is none of this id."""
        if contextid not in self._contexts:
            self.load([contextid])
        return self._contexts[contextid]

    def may(self, userid: int, capability: str, contextid: int) -> bool:
        """Whether a user has a capability in a context; administrators have every one."""
        if userid in self._site.administrators:
            return True
        context = self.context(contextid)
        if context is None or userid not in self._existing():
            return False
        allowing, prohibiting = self._roles(capability, context.path)
        above = set(context.path)
        roles = {role for role, place in self._assigned(userid) if place in above} | {self._default_role}
        return bool(roles & allowing) and not roles & prohibiting

    def may_enter(self, userid: int, capability: str, contextid: int) -> bool:
        """Whether a user has a capability in a context, and not merely a role in a course that the user has left.

        Those have left whose enrolments there are all suspended or over; a role alone, or one given above, suffices.
        """
        if not self.may(userid, capability, contextid):
            return False
        context, left = self.context(contextid), self._left(userid)
        for above, place in pairwise(context.path if context and left else ()):
            course = self.context(place)
            if course and course.level == COURSE and course.instance in left:
                return self.may(userid, capability, above)
        return True

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
            course = next((above for above in map(self.context, context.path) if above and above.level == COURSE), None)
            allowed = allowed & self.course_users(course.instance) if course else frozenset()
        return sorted(allowed)

    def own_groups(self, readers: Mapping[int, Collection[int]]) -> dict[tuple[int, int], set[int]]:
        """Of readers by context, those limited to their groups: the enrolments that they see, by context and reader."""
        limited: set[tuple[int, int]] = set()
        courses: dict[SeparateCourse, set[int]] = {}
        separate = self._separate()
        self.load(readers if separate else ())
        for contextid, users in readers.items() if separate else ():
            context = self.context(contextid)
            for place in (above for above in (context.path if context else ()) if above in separate):
                own = {user for user in users if not self.may(user, ACCESS_ALL_GROUPS, place)}
                limited |= {(contextid, user) for user in own}
                courses.setdefault(separate[place], set()).update(own)
        shared = enrolments_in_own_groups(self._site, courses)
        return {key: shared.get(key[1], set()) for key in limited}

    def sees(self, userid: int, target: str, contextid: int, sampleid: int) -> bool:
        """Whether separate groups let a user see a prediction of a model with a target."""
        limit = self.group_limit(userid, [contextid])
        return limit is None or limit.allows(target, contextid, sampleid)

    def group_limit(self, userid: int, contextids: Iterable[int]) -> GroupLimit | None:
        """What a user does not see in these contexts for separate groups; None where they see all."""
        return self._group_limit(userid, frozenset(contextids))

    def _read_group_limit(self, userid: int, contextids: frozenset[int]) -> GroupLimit | None:
        limited = self.own_groups(dict.fromkeys(contextids, (userid,)))
        if not limited:
            return None
        exempt = {target for target in definitions.targets() if definitions.analyser(target).origin != ENROLMENTS}
        return GroupLimit({contextid for contextid, _ in limited}, set().union(*limited.values()), exempt)

    def _users(self, capability: str, contextid: int) -> frozenset[int]:
        """Ids of the users whose roles give them a capability in a context."""
        context = self.context(contextid)
        if context is None:
            return frozenset()
        allowing, prohibiting = self._roles(capability, context.path)
        assigned = assignments(self._site, context.path)
        allowed = {user for role, user in assigned if role in allowing}
        default = self._default_role
        if default in allowing:
            allowed |= self._existing()
        prohibited = {user for role, user in assigned if role in prohibiting}
        if default in prohibiting:
            return frozenset()
        return frozenset((allowed - prohibited) & self._existing())

    def _roles_on(self, capability: str, path: tuple[int, ...]) -> tuple[set[int], set[int]]:
        """Roles that allow a capability at the end of a path, and roles that prohibit it."""
        allowing, prohibiting = set(), set()
        for role, by_context in self._permissions(capability).items():
            permissions = [by_context[context] for context in path if by_context.get(context)]
            if PROHIBIT in permissions:
                prohibiting.add(role)
            elif permissions and permissions[-1] == ALLOW:
                allowing.add(role)
        return allowing, prohibiting

    def _read_permissions(self, capability: str) -> dict[int, dict[int, int]]:
        """Permission by role and context."""
        by_role = permissions(self._site, capability)
        if by_role is None:
            roles = self._site.roles(*_DEFAULT_ROLES.get(capability, ()))
            return {int(role): {self._site.system_context: ALLOW} for role in roles}
        return by_role

    def _read_assigned(self, userid: int) -> list[tuple[int, int]]:
        return assignments_of(self._site, userid)

    def _course_users(self, courseid: int) -> frozenset[int]:
        return enrolled_users(self._site, courseid, self._now)

    def _read_existing(self) -> frozenset[int]:
        return existing_users(self._site)
