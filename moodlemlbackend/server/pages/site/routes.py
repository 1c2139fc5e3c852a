"""Addresses of the pages of the Moodle site: insights and notifications here, the others by what they are about."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastapi import Request
from fastapi.responses import Response

from moodlemlbackend.server.auth.login import AnyLogin
from moodlemlbackend.server.pages.site import course_routes, model_routes, notifications, teachers
from moodlemlbackend.server.pages.site.routing import HIDDEN, AskedId, Id, Ids, PageNumber, Word, answer, take_form

if TYPE_CHECKING:
    from fastapi import FastAPI


def add_site_pages(app: FastAPI) -> None:
    """Add the pages to the application, whose state has the request contexts."""
    _add_insights(app)
    course_routes.add_course_pages(app)
    model_routes.add_model_pages(app)


def _add_insights(app: FastAPI) -> None:
    @app.get("/insights", **HIDDEN)
    async def insights(
        request: Request, user: AnyLogin, context: AskedId = None, model: AskedId = None, page: PageNumber = 1,
        select: Word = "", show: Word = "", done: Word = "", about: Ids = None,
    ) -> Response:  # fmt: skip
        if context is None:
            return await answer(request, user, teachers.index)
        if show == "done":
            return await answer(request, user, lambda ctx: teachers.dealt_with(ctx, context, page))
        query = teachers.InsightsQuery(context, model, page, everything=select == "all", done=done, about=about or ())
        return await answer(request, user, lambda ctx: teachers.context(ctx, query))

    @app.get("/insights/{predictionid}", **HIDDEN)
    async def insight(request: Request, user: AnyLogin, predictionid: Id, done: Word = "") -> Response:
        return await answer(request, user, lambda ctx: teachers.insight(ctx, predictionid, done))

    @app.post("/insights/act", **HIDDEN)
    async def act(request: Request, user: AnyLogin) -> Response:
        return await take_form(request, user, teachers.act)

    @app.get("/notifications", **HIDDEN)
    async def list_notifications(request: Request, user: AnyLogin, done: Word = "") -> Response:
        return await answer(request, user, lambda ctx: notifications.index(ctx, done))

    @app.post("/notifications", **HIDDEN)
    async def take(request: Request, user: AnyLogin) -> Response:
        return await take_form(request, user, notifications.take)
