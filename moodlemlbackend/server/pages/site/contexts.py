"""Contexts of the site as people know them: a course, a person, the whole site; and which of them concern a person."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING

from moodlemlbackend.analytics.insights.capabilities import LIST_INSIGHTS
from moodlemlbackend.analytics.site.categories import categories
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
    of_categories = categories(ctx.site)
    by_id = {}
    for context in read_contexts(ctx.site, contextids):
        course = next((courses[above] for above in reversed(context.path) if above in courses), None)
        own = context.level == USER and context.instance == ctx.person.id
        if own:
            name = say("yourself")
        elif context.level == USER:
            name = say("person", id=context.instance)
        elif context.level >= COURSE and course:
            name = format_name(course.fullname or course.shortname, ctx.site.language)
        elif context.id in of_categories:
            name = say("category", name=of_categories[context.id])
        else:
            name = say("whole site")
        by_id[context.id] = NamedContext(context.id, name, own)
    return by_id


def search(ctx: RequestContext, text: str, most: int) -> list[NamedContext]:
    """Categories and courses whose name has a text, categories first; one more than ``most`` where there are more."""
    wanted = text.casefold()
    names = {context: say("category", name=name) for context, name in categories(ctx.site).items()}
    for course in ctx.site.courses:
        full, short = (format_name(name, ctx.site.language) for name in (course.fullname, course.shortname))
        names[course.context] = f"{full or short} ({short})" if short not in ("", full) else full
    matching = (NamedContext(context, name) for context, name in names.items() if wanted in name.casefold())
    return [*islice(matching, most + 1)]


def concerning(ctx: RequestContext, contextids: Collection[int]) -> set[int]:
    """The contexts of a list of courses: those in which a person has any role, and the person's own; a cheap sieve."""
    person = ctx.person.id
    every = read_contexts(ctx.site, contextids)
    visible = [context for context in every if context.level != USER or context.instance == person]
    everywhere = ctx.capabilities.may(person, LIST_INSIGHTS, ctx.site.system_context)
    with_role = {context for _, context in assignments_of(ctx.site, person)}
    return {context.id for context in visible if everywhere or context.level == USER or with_role & set(context.path)}
