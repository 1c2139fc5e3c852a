"""What every address of the site's pages has in common: who asks, which form was sent, and how a refusal looks."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import Path as InPath
from fastapi import Query, Request
from fastapi.responses import HTMLResponse, Response
from pydantic import Field

from moodlemlbackend.errors import BusyError, NotTrainedError, RequestError, UsageError
from moodlemlbackend.server.api.uploads import Scratch, receive
from moodlemlbackend.server.auth.csrf import check_origin
from moodlemlbackend.server.auth.login import form_token, holds, log_out_token, logged
from moodlemlbackend.server.pages.site.forms import FIELD, PageForm, read_form
from moodlemlbackend.server.pages.site.responses import Page, refusal
from moodlemlbackend.server.refusals import refusal_headers
from moodlemlbackend.server.texts import say

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    from moodlemlbackend.server.pages.site.request_context import RequestContext, RequestContexts

MOST_ID = 2**62
Id = Annotated[int, InPath(ge=1, le=MOST_ID)]
AskedId = Annotated[int | None, Query(ge=1, le=MOST_ID)]
PageNumber = Annotated[int, Query(ge=1, le=10_000)]
Word = Annotated[str, Query(pattern="^[a-z]{0,20}$")]
Ids = Annotated[list[Annotated[int, Field(ge=1, le=MOST_ID)]] | None, Query(alias="id")]

HIDDEN: dict[str, Any] = {"include_in_schema": False, "response_class": HTMLResponse}


async def answer(request: Request, user: str, make: Callable[[RequestContext], Page | Response]) -> Response:
    """Answer with a page."""
    request_contexts: RequestContexts = request.app.state.request_contexts
    return await _or_refusal(request, user, request_contexts.ask(user, lambda ctx: _response(request, ctx, make(ctx))))


async def take_form(
    request: Request, user: str, make: Callable[[RequestContext, PageForm], Page | Response]
) -> Response:
    """Take a form that was sent from a page of ours, and answer."""

    def checked(ctx: RequestContext, form: PageForm) -> Response:
        if not holds(request, user, form.text(FIELD)):
            raise RequestError(say("stale form"), 403)
        return _response(request, ctx, make(ctx, form))

    async def taken() -> Response:
        form = await read_form(request)
        request_contexts: RequestContexts = request.app.state.request_contexts
        return await request_contexts.ask(user, lambda ctx: checked(ctx, form))

    return await _or_refusal(request, user, taken())


async def take_file(
    request: Request, user: str, name: str, make: Callable[[RequestContext, Path | None], Page | Response]
) -> Response:
    """Take a form with a file that a manager sent from a page of ours; the file is None when it is missing."""
    request_contexts: RequestContexts = request.app.state.request_contexts

    async def taken() -> Response:
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

    return await _or_refusal(request, user, taken())


def _response(request: Request, ctx: RequestContext, made: Page | Response) -> Response:
    if not isinstance(made, Page):
        return made
    person_only = request.app.state.authenticator.is_person(ctx.user)
    token, log_out = form_token(request, ctx.user), log_out_token(request)
    return made.response(ctx, person_only=person_only, token=token, log_out=log_out)


async def _or_refusal(request: Request, user: str, pending: Awaitable[Response]) -> Response:
    """Answer; what is refused has a page, too."""
    try:
        return await pending
    except RequestError as error:
        logged(request)["refused"] = error.code
        headers = refusal_headers(request, error)
        person_only = request.app.state.authenticator.is_person(user)
        log_out = await asyncio.to_thread(log_out_token, request)
        english = isinstance(error.__cause__, (BusyError, NotTrainedError, UsageError))  # for administrators
        return refusal(str(error), error.code, headers, person_only=person_only, log_out=log_out, english=english)
