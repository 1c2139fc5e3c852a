"""Core seconds of pages of the server, as JSON: ``python benchmarks/asking.py SITE DIRECTORY {"PAGE": [ID, ...]}``.

Each page is made in this process as for a request, the text included: once cold, and of five times after that the
quickest.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import Callable

from moodlemlbackend.runtime.environment import collect_garbage_seldom
from moodlemlbackend.server.pages.site import course, courses, managers, teachers
from moodlemlbackend.server.pages.site.request_context import RequestContext, RequestContexts
from moodlemlbackend.server.pages.site.responses import Page
from moodlemlbackend.settings.analytics import AnalyticsSettings
from moodlemlbackend.settings.server import ServerSettings

LOGIN = "admin"
WARM = 5

PAGES: dict[str, Callable[..., Page]] = {
    "page of insights": teachers.index,
    "page of a course’s insights": lambda ctx, context, model: teachers.context(
        ctx, teachers.InsightsQuery(context, model)
    ),
    "page of an insight": teachers.insight,
    "page of models": managers.index,
    "page of a model": managers.model,
    "page of courses": lambda ctx: courses.index(ctx, courses.CoursesQuery()),
    "page of a course": lambda ctx, courseid: course.index(ctx, course.CourseQuery(courseid)),
}


async def ask(contexts: RequestContexts, name: str, ids: list[int]) -> float:
    """Core seconds of a page, all threads counted."""
    begun = time.process_time()

    def made(ctx: RequestContext) -> object:
        return PAGES[name](ctx, *ids).response(ctx, person_only=False)

    await contexts.ask(LOGIN, made)
    return time.process_time() - begun


async def main() -> dict[str, float]:
    """Ask for all pages."""
    site, directory, asked = sys.argv[1:]
    collect_garbage_seldom()
    contexts = RequestContexts(ServerSettings(), AnalyticsSettings(site=site, directory=directory), lambda _: True)
    seconds = {}
    for name, ids in json.loads(asked).items():
        seconds[f"{name}, cold"] = await ask(contexts, name, ids)
        seconds[name] = min([await ask(contexts, name, ids) for _ in range(WARM)])
    await contexts.close()
    return seconds


if __name__ == "__main__":
    print(json.dumps(asyncio.run(main())))
