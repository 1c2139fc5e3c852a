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
class Place:
    """A context: what it is called, and its id."""

    id: int
    name: str
    own: bool = False


def named(visit: RequestContext, contextids: Collection[int]) -> dict[int, Place]:
    """The contexts that there are still, by id."""
    courses = {course.context: course for course in visit.site.courses}
    found = {}
    for context in _contexts(visit, contextids):
        course = next((courses[one] for one in reversed(context.path) if one in courses), None)
        own = context.level == USER and context.instance == visit.person.id
        if own:
            name = say("yourself")
        elif context.level == USER:
            name = say("person", id=context.instance)
        elif context.level >= COURSE and course:
            name = course.fullname or course.shortname
        else:
            name = say("whole site")
        found[context.id] = Place(context.id, name, own)
    return found


def concerning(visit: RequestContext, contextids: Collection[int]) -> set[int]:
    """The contexts of a list of courses: those in which a person has any role, and the person's own; a cheap sieve."""
    person = visit.person.id
    found = [context for context in _contexts(visit, contextids) if context.level != USER or context.instance == person]
    everywhere = visit.capabilities.may(person, LIST_INSIGHTS, visit.site.system_context)
    rows = visit.site.database.rows("SELECT contextid FROM {role_assignments} WHERE userid = :user", user=person)
    with_role = {context for (context,) in rows}
    return {context.id for context in found if everywhere or context.level == USER or with_role & set(context.path)}


def _contexts(visit: RequestContext, contextids: Collection[int]) -> list[Context]:
    ids = sorted(contextids)
    found = []
    for start in range(0, len(ids), _AT_ONCE):
        rows = visit.site.database.rows(
            "SELECT id, contextlevel, instanceid, path FROM {context} WHERE id IN :ids",
            ids=ids[start : start + _AT_ONCE],
        )
        for key, level, instance, path in rows:
            above = tuple(int(part) for part in (path or "").split("/") if part)
            found.append(Context(key, level, instance, above or (key,)))
    return found
