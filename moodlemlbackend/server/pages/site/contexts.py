"""Contexts of the site as people know them: a course, a person, the whole site; and which of them concern a person."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from moodlemlbackend.analytics.insights.capabilities import COURSE, LIST_INSIGHTS, USER, Context
from moodlemlbackend.server.pages.texts import say

if TYPE_CHECKING:
    from collections.abc import Collection

    from moodlemlbackend.server.pages.site.request_context import RequestContext

_AT_ONCE = 5000


@dataclass(frozen=True)
class NamedContext:
    """A context: what it is called, and its id."""

    id: int
    name: str
    own: bool = False


def named(ctx: RequestContext, contextids: Collection[int]) -> dict[int, NamedContext]:
    """The contexts that there are still, by id."""
    courses = {course.context: course for course in ctx.site.courses}
    found = {}
    for context in _contexts(ctx, contextids):
        course = next((courses[above] for above in reversed(context.path) if above in courses), None)
        own = context.level == USER and context.instance == ctx.person.id
        if own:
            name = say("yourself")
        elif context.level == USER:
            name = say("person", id=context.instance)
        elif context.level >= COURSE and course:
            name = course.fullname or course.shortname
        else:
            name = say("whole site")
        found[context.id] = NamedContext(context.id, name, own)
    return found


def concerning(ctx: RequestContext, contextids: Collection[int]) -> set[int]:
    """The contexts of a list of courses: those in which a person has any role, and the person's own; a cheap sieve."""
    person = ctx.person.id
    found = [context for context in _contexts(ctx, contextids) if context.level != USER or context.instance == person]
    everywhere = ctx.capabilities.may(person, LIST_INSIGHTS, ctx.site.system_context)
    rows = ctx.site.database.rows("SELECT contextid FROM {role_assignments} WHERE userid = :user", user=person)
    with_role = {context for (context,) in rows}
    return {context.id for context in found if everywhere or context.level == USER or with_role & set(context.path)}


def _contexts(ctx: RequestContext, contextids: Collection[int]) -> list[Context]:
    ids = sorted(contextids)
    found = []
    for start in range(0, len(ids), _AT_ONCE):
        rows = ctx.site.database.rows(
            "SELECT id, contextlevel, instanceid, path FROM {context} WHERE id IN :ids",
            ids=ids[start : start + _AT_ONCE],
        )
        for key, level, instance, path in rows:
            above = tuple(int(part) for part in (path or "").split("/") if part)
            found.append(Context(key, level, instance, above or (key,)))
    return found
