"""Contexts of the site as people know them: a course, a person, the whole site; and which of them concern a person."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from moodlemlbackend.analytics.insights.capabilities import LIST_INSIGHTS
from moodlemlbackend.analytics.site.contexts import COURSE, USER, read_contexts
from moodlemlbackend.analytics.site.names import format_name
from moodlemlbackend.analytics.site.roles import assignments_of
from moodlemlbackend.server.texts import say

if TYPE_CHECKING:
    from collections.abc import Collection

    from moodlemlbackend.server.pages.site.request_context import RequestContext


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
    for context in read_contexts(ctx.site, contextids):
        course = next((courses[above] for above in reversed(context.path) if above in courses), None)
        own = context.level == USER and context.instance == ctx.person.id
        if own:
            name = say("yourself")
        elif context.level == USER:
            name = say("person", id=context.instance)
        elif context.level >= COURSE and course:
            name = format_name(course.fullname or course.shortname, ctx.site.language)
        else:
            name = say("whole site")
        found[context.id] = NamedContext(context.id, name, own)
    return found


def concerning(ctx: RequestContext, contextids: Collection[int]) -> set[int]:
    """The contexts of a list of courses: those in which a person has any role, and the person's own; a cheap sieve."""
    person = ctx.person.id
    every = read_contexts(ctx.site, contextids)
    found = [context for context in every if context.level != USER or context.instance == person]
    everywhere = ctx.capabilities.may(person, LIST_INSIGHTS, ctx.site.system_context)
    with_role = {context for _, context in assignments_of(ctx.site, person)}
    return {context.id for context in found if everywhere or context.level == USER or with_role & set(context.path)}
