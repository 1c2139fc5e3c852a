"""Addresses of the pages of the Moodle site."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Annotated, Any, Literal

from fastapi import FastAPI, Query, Request
from fastapi import Path as InPath
from fastapi.responses import HTMLResponse, Response
from pydantic import Field

from moodlemlbackend.errors import BusyError, NotTrainedError, RequestError, UsageError
from moodlemlbackend.server.api.uploads import Scratch, receive
from moodlemlbackend.server.auth.csrf import check_origin
from moodlemlbackend.server.auth.login import AnyLogin, form_token, holds, log_out_token, logged
from moodlemlbackend.server.pages.site import managers, model_forms, notifications, packages, recipients, teachers
from moodlemlbackend.server.pages.site.forms import FIELD, PageForm, read_form
from moodlemlbackend.server.pages.site.responses import Page, refusal
from moodlemlbackend.server.refusals import refusal_headers
from moodlemlbackend.server.texts import say

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    from moodlemlbackend.server.pages.site.request_context import RequestContext, RequestContexts

_MOST_ID = 2**62
Id = Annotated[int, InPath(ge=1, le=_MOST_ID)]
AskedId = Annotated[int | None, Query(ge=1, le=_MOST_ID)]
PageNumber = Annotated[int, Query(ge=1, le=10_000)]
Word = Annotated[str, Query(pattern="^[a-z]{0,20}$")]
Ids = Annotated[list[Annotated[int, Field(ge=1, le=_MOST_ID)]] | None, Query(alias="id")]
Target = Annotated[str, Query(max_length=255)]
File = Annotated[str, InPath(pattern=r"^(report\.html|[a-z0-9-]{1,64}\.png)$")]
Part = Literal["backtest", "predictions", "invalid", "log"]
Change = Literal["enable", "disable", "clear", "delete", "evaluate", "backtest", "train", "predict", "stop"]

_HIDDEN: dict[str, Any] = {"include_in_schema": False, "response_class": HTMLResponse}


def add_site_pages(app: FastAPI) -> None:
    """Add the pages to the application, whose state has the request contexts."""
    _add_insights(app)
    _add_models(app)


def _add_insights(app: FastAPI) -> None:
    @app.get("/insights", **_HIDDEN)
    async def insights(
        request: Request, user: AnyLogin, context: AskedId = None, model: AskedId = None, page: PageNumber = 1,
        select: Word = "", show: Word = "", done: Word = "", about: Ids = None,
    ) -> Response:  # fmt: skip
        if context is None:
            return await _show(request, user, teachers.index)
        if show == "done":
            return await _show(request, user, lambda ctx: teachers.dealt_with(ctx, context, page))
        query = teachers.InsightsQuery(context, model, page, everything=select == "all", done=done, about=about or ())
        return await _show(request, user, lambda ctx: teachers.context(ctx, query))

    @app.get("/insights/{predictionid}", **_HIDDEN)
    async def insight(request: Request, user: AnyLogin, predictionid: Id, done: Word = "") -> Response:
        return await _show(request, user, lambda ctx: teachers.insight(ctx, predictionid, done))

    @app.post("/insights/act", **_HIDDEN)
    async def act(request: Request, user: AnyLogin) -> Response:
        return await _take(request, user, teachers.act)

    @app.get("/notifications", **_HIDDEN)
    async def list_notifications(request: Request, user: AnyLogin, done: Word = "") -> Response:
        return await _show(request, user, lambda ctx: notifications.index(ctx, done))

    @app.post("/notifications", **_HIDDEN)
    async def take(request: Request, user: AnyLogin) -> Response:
        return await _take(request, user, notifications.take)


def _add_models(app: FastAPI) -> None:
    @app.get("/analytics", **_HIDDEN)
    async def models(request: Request, user: AnyLogin, done: Word = "") -> Response:
        return await _show(request, user, lambda ctx: managers.index(ctx, done))

    @app.get("/analytics/notifications", **_HIDDEN)
    async def list_recipients(request: Request, user: AnyLogin, page: PageNumber = 1) -> Response:
        return await _show(request, user, lambda ctx: recipients.index(ctx, page))

    @app.get("/analytics/models/new", **_HIDDEN)
    async def new(request: Request, user: AnyLogin, target: Target = "") -> Response:
        return await _show(request, user, lambda ctx: model_forms.new(ctx, target))

    @app.post("/analytics/models/new", **_HIDDEN)
    async def create(request: Request, user: AnyLogin) -> Response:
        return await _take(request, user, model_forms.create)

    @app.get("/analytics/import", **_HIDDEN)
    async def upload(request: Request, user: AnyLogin) -> Response:
        return await _show(request, user, packages.upload)

    @app.post("/analytics/import", **_HIDDEN)
    async def receive_package(request: Request, user: AnyLogin) -> Response:
        return await _take_file(request, user, packages.FILE, packages.receive)

    @app.post("/analytics/import/take", **_HIDDEN)
    async def take_package(request: Request, user: AnyLogin) -> Response:
        return await _take(request, user, packages.take)

    @app.get("/analytics/models/{modelid}/edit", **_HIDDEN)
    async def edit(request: Request, user: AnyLogin, modelid: Id) -> Response:
        return await _show(request, user, lambda ctx: model_forms.edit(ctx, modelid))

    @app.post("/analytics/models/{modelid}/edit", **_HIDDEN)
    async def change_model(request: Request, user: AnyLogin, modelid: Id) -> Response:
        return await _take(request, user, lambda ctx, form: model_forms.change(ctx, modelid, form))

    @app.get("/analytics/models/{modelid}/package", **_HIDDEN)
    async def export(request: Request, user: AnyLogin, modelid: Id, weights: Word = "") -> Response:
        return await _show(request, user, lambda ctx: packages.export(ctx, modelid, weights=weights == "yes"))

    @app.get("/analytics/models/{modelid}", **_HIDDEN)
    async def model(request: Request, user: AnyLogin, modelid: Id, done: Word = "") -> Response:
        return await _show(request, user, lambda ctx: managers.model(ctx, modelid, done))

    @app.get("/analytics/models/{modelid}/run", **_HIDDEN)
    async def run(request: Request, user: AnyLogin, modelid: Id, refresh: Word = "on") -> Response:
        return await _show(request, user, lambda ctx: managers.progress(ctx, modelid, refresh=refresh != "off"))

    @app.get("/analytics/models/{modelid}/{part}", **_HIDDEN)
    async def about(request: Request, user: AnyLogin, modelid: Id, part: Part, page: PageNumber = 1) -> Response:
        if part == "invalid":
            return await _show(request, user, lambda ctx: managers.invalid(ctx, modelid, page))
        make = {"backtest": managers.backtest, "predictions": managers.predictions, "log": managers.log}[part]
        return await _show(request, user, lambda ctx: make(ctx, modelid))

    @app.get("/analytics/models/{modelid}/evaluations/{logid}", **_HIDDEN)
    async def evaluation(request: Request, user: AnyLogin, modelid: Id, logid: Id) -> Response:
        return await _show(request, user, lambda ctx: managers.evaluation(ctx, modelid, logid))

    @app.get("/analytics/models/{modelid}/evaluations/{logid}/{name}", **_HIDDEN)
    async def file(request: Request, user: AnyLogin, modelid: Id, logid: Id, name: File) -> Response:
        return await _show(request, user, lambda ctx: managers.evaluation_file(ctx, modelid, logid, name))

    @app.post("/analytics/models/{modelid}/{action}", **_HIDDEN)
    async def change(request: Request, user: AnyLogin, modelid: Id, action: Change) -> Response:
        return await _take(request, user, lambda ctx, form: managers.change(ctx, modelid, action, form))


async def _show(request: Request, user: str, make: Callable[[RequestContext], Page | Response]) -> Response:
    """Answer with a page."""
    request_contexts: RequestContexts = request.app.state.request_contexts
    return await _or_refusal(request, user, request_contexts.ask(user, lambda ctx: _response(request, ctx, make(ctx))))


async def _take(request: Request, user: str, make: Callable[[RequestContext, PageForm], Page | Response]) -> Response:
    """Take a form that was sent from a page of ours, and answer."""

    def checked(ctx: RequestContext, form: PageForm) -> Response:
        if not holds(request, user, form.text(FIELD)):
            raise RequestError(say("stale form"), 403)
        return _response(request, ctx, make(ctx, form))

    async def answer() -> Response:
        form = await read_form(request)
        request_contexts: RequestContexts = request.app.state.request_contexts
        return await request_contexts.ask(user, lambda ctx: checked(ctx, form))

    return await _or_refusal(request, user, answer())


async def _take_file(
    request: Request, user: str, name: str, make: Callable[[RequestContext, Path | None], Page | Response]
) -> Response:
    """Take a form with a file that a manager sent from a page of ours; the file is None when it is missing."""
    request_contexts: RequestContexts = request.app.state.request_contexts

    async def answer() -> Response:
        check_origin(request)
        await request_contexts.ask(user, lambda ctx: ctx.require_manager())
        scratch = Scratch(request.app.state.scratch)
        try:
            form = await receive(request, scratch, files=(name,), allowed=request.app.state.settings.limits)

            def checked(ctx: RequestContext) -> Response:
                if not holds(request, user, form.values.get(FIELD, "")):
                    raise RequestError(say("stale form"), 403)
                return _response(request, ctx, make(ctx, scratch.folder / name if name in form.files else None))

            return await request_contexts.ask(user, checked)
        finally:
            await asyncio.to_thread(scratch.remove)

    return await _or_refusal(request, user, answer())


def _response(request: Request, ctx: RequestContext, made: Page | Response) -> Response:
    if not isinstance(made, Page):
        return made
    person_only = request.app.state.authenticator.is_person(ctx.user)
    token, log_out = form_token(request, ctx.user), log_out_token(request)
    return made.response(ctx, person_only=person_only, token=token, log_out=log_out)


async def _or_refusal(request: Request, user: str, answer: Awaitable[Response]) -> Response:
    """Answer; what is refused has a page, too."""
    try:
        return await answer
    except RequestError as error:
        logged(request)["refused"] = error.code
        headers = refusal_headers(request, error)
        person_only = request.app.state.authenticator.is_person(user)
        log_out = await asyncio.to_thread(log_out_token, request)
        english = isinstance(error.__cause__, (BusyError, NotTrainedError, UsageError))  # for administrators
        return refusal(str(error), error.code, headers, person_only=person_only, log_out=log_out, english=english)
