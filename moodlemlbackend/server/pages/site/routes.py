"""Addresses of the pages of the Moodle site."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

from fastapi import FastAPI, Query, Request
from fastapi import Path as InPath
from fastapi.responses import HTMLResponse, Response

from moodlemlbackend.errors import RequestError
from moodlemlbackend.server.auth.login import Anybody, logged
from moodlemlbackend.server.pages.site import managers, notifications, teachers
from moodlemlbackend.server.pages.site.forms import FIELD, PageForm, read_form
from moodlemlbackend.server.pages.site.responses import Page, refusal
from moodlemlbackend.server.pages.texts import say

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from moodlemlbackend.server.pages.site.request_context import RequestContext, RequestContexts

_MOST_ID = 2**62
Id = Annotated[int, InPath(ge=1, le=_MOST_ID)]
AskedId = Annotated[int | None, Query(ge=1, le=_MOST_ID)]
PageNumber = Annotated[int, Query(ge=1, le=10_000)]
Word = Annotated[str, Query(pattern="^[a-z]{0,20}$")]
Number = Annotated[int, Query(ge=0, le=10_000)]
File = Annotated[str, InPath(pattern=r"^(report\.html|[a-z0-9-]{1,64}\.png)$")]
Part = Literal["predictions", "invalid", "log"]
Change = Literal["enable", "disable", "clear", "evaluate", "train", "predict", "stop"]

_HIDDEN: dict[str, Any] = {"include_in_schema": False, "response_class": HTMLResponse}


def add_site_pages(app: FastAPI) -> None:
    """Add the pages to the application, whose state has the desk."""
    _add_insights(app)
    _add_models(app)


def _add_insights(app: FastAPI) -> None:
    @app.get("/insights", **_HIDDEN)
    async def insights(
        request: Request, user: Anybody, context: AskedId = None, model: AskedId = None, page: PageNumber = 1,
        select: Word = "", show: Word = "", done: Word = "", number: Number = 0,
    ) -> Response:  # fmt: skip
        if context is None:
            return await _show(request, user, teachers.index)
        if show == "done":
            return await _show(request, user, lambda visit: teachers.dealt_with(visit, context, page))
        asked = teachers.Asked(context, model, page, everything=select == "all", done=done, number=number)
        return await _show(request, user, lambda visit: teachers.context(visit, asked))

    @app.get("/insights/{predictionid}", **_HIDDEN)
    async def insight(
        request: Request, user: Anybody, predictionid: Id, done: Word = "", number: Number = 0
    ) -> Response:
        return await _show(request, user, lambda visit: teachers.insight(visit, predictionid, done, number))

    @app.post("/insights/act", **_HIDDEN)
    async def act(request: Request, user: Anybody) -> Response:
        return await _take(request, user, teachers.act)

    @app.get("/notifications", **_HIDDEN)
    async def told(request: Request, user: Anybody, done: Word = "") -> Response:
        return await _show(request, user, lambda visit: notifications.index(visit, done))

    @app.post("/notifications", **_HIDDEN)
    async def take(request: Request, user: Anybody) -> Response:
        return await _take(request, user, notifications.take)


def _add_models(app: FastAPI) -> None:
    @app.get("/analytics", **_HIDDEN)
    async def models(request: Request, user: Anybody) -> Response:
        return await _show(request, user, managers.index)

    @app.get("/analytics/models/{modelid}", **_HIDDEN)
    async def model(request: Request, user: Anybody, modelid: Id, done: Word = "") -> Response:
        return await _show(request, user, lambda visit: managers.model(visit, modelid, done))

    @app.get("/analytics/models/{modelid}/run", **_HIDDEN)
    async def run(request: Request, user: Anybody, modelid: Id, refresh: Word = "on") -> Response:
        return await _show(request, user, lambda visit: managers.progress(visit, modelid, refresh=refresh != "off"))

    @app.get("/analytics/models/{modelid}/{part}", **_HIDDEN)
    async def about(request: Request, user: Anybody, modelid: Id, part: Part, page: PageNumber = 1) -> Response:
        if part == "invalid":
            return await _show(request, user, lambda visit: managers.invalid(visit, modelid, page))
        make = managers.predictions if part == "predictions" else managers.log
        return await _show(request, user, lambda visit: make(visit, modelid))

    @app.get("/analytics/models/{modelid}/evaluations/{logid}", **_HIDDEN)
    async def evaluation(request: Request, user: Anybody, modelid: Id, logid: Id) -> Response:
        return await _show(request, user, lambda visit: managers.evaluation(visit, modelid, logid))

    @app.get("/analytics/models/{modelid}/evaluations/{logid}/{name}", **_HIDDEN)
    async def file(request: Request, user: Anybody, modelid: Id, logid: Id, name: File) -> Response:
        return await _show(request, user, lambda visit: managers.evaluation_file(visit, modelid, logid, name))

    @app.post("/analytics/models/{modelid}/{action}", **_HIDDEN)
    async def change(request: Request, user: Anybody, modelid: Id, action: Change) -> Response:
        return await _take(request, user, lambda visit, form: managers.change(visit, modelid, action, form))


async def _show(request: Request, user: str, make: Callable[[RequestContext], Page | Response]) -> Response:
    """Answer with a page."""
    desk: RequestContexts = request.app.state.desk
    return await _told(request, user, desk.ask(user, lambda visit: _response(request, visit, make(visit))))


async def _take(request: Request, user: str, make: Callable[[RequestContext, PageForm], Page | Response]) -> Response:
    """Take a form that was sent from a page of ours, and answer."""

    def checked(visit: RequestContext, form: PageForm) -> Response:
        if not visit.tokens.hold(user, form.text(FIELD)):
            raise RequestError(say("stale form"), 403)
        return _response(request, visit, make(visit, form))

    async def answer() -> Response:
        form = await read_form(request)
        desk: RequestContexts = request.app.state.desk
        return await desk.ask(user, lambda visit: checked(visit, form))

    return await _told(request, user, answer())


def _response(request: Request, visit: RequestContext, made: Page | Response) -> Response:
    person_only = request.app.state.gate.is_person(visit.user)
    return made.response(visit, person_only=person_only) if isinstance(made, Page) else made


async def _told(request: Request, user: str, answer: Awaitable[Response]) -> Response:
    """Answer; what is refused has a page, too."""
    try:
        return await answer
    except RequestError as error:
        logged(request)["refused"] = error.code
        headers = {} if error.retry_after is None else {"Retry-After": str(error.retry_after)}
        if request.method == "POST":
            headers["Connection"] = "close"  # its form may not have been read
        person_only = request.app.state.gate.is_person(user)
        return refusal(str(error), error.code, headers, person_only=person_only)
