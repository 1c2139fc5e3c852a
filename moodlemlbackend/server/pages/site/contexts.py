"""Contexts of the site as people know them: a course, a person, the whole site; and which of them concern a person."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from moodlemlbackend.analytics.insights.capabilities import LIST_INSIGHTS
from moodlemlbackend.analytics.site.contexts import COURSE, USER, read_contexts
from moodlemlbackend.analytics.site.roles import assignments_of
from moodlemlbackend.server.pages.texts import say

if TYPE_CHECKING:
    from collections.abc import Collection

    from moodlemlbackend.server.pages.site.request_context import RequestContext


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
    for context in read_contexts(visit.site, contextids):
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
    found = [
        context
        for context in read_contexts(visit.site, contextids)
        if context.level != USER or context.instance == person
    ]
    everywhere = visit.capabilities.may(person, LIST_INSIGHTS, visit.site.system_context)
    with_role = {context for _, context in assignments_of(visit.site, person)}
    return {context.id for context in found if everywhere or context.level == USER or with_role & set(context.path)}
