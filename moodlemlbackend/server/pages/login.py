"""The form by which people log in, and the button by which they log out."""

from __future__ import annotations

import asyncio
import logging
from typing import Annotated, Any, Literal
from urllib.parse import urlencode

from fastapi import FastAPI, Query, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from moodlemlbackend.errors import RequestError
from moodlemlbackend.server import limits
from moodlemlbackend.server.auth.login import (
    LAUNCHED_COOKIE,
    LoginNeededError,
    allow_frames,
    begin_session,
    client_of,
    cookies_of,
    encrypted,
    end_session,
    holds,
    local_address,
    own_machine,
    session_of,
    set_framed_cookie,
)
from moodlemlbackend.server.auth.registrations import launched
from moodlemlbackend.server.pages.rendering import HEADERS, render
from moodlemlbackend.server.pages.site.forms import FIELD, read_form
from moodlemlbackend.server.refusals import read_to_end, refusal_headers
from moodlemlbackend.server.texts import say

log = logging.getLogger("moodlemlbackend.server")

_HIDDEN: dict[str, Any] = {"include_in_schema": False, "response_class": HTMLResponse}

Done = Annotated[Literal["", "out", "lost"], Query()]


def add_login(app: FastAPI) -> None:
    """Add the addresses, and have pages that need a login lead there."""
    app.add_exception_handler(LoginNeededError, _on_login_needed)

    @app.get("/login", **_HIDDEN)
    async def show(request: Request, next: str = "/", done: Done = "") -> Response:  # noqa: A002
        address = local_address(next)
        if await session_of(request) is not None:
            return RedirectResponse(address, 303)
        return await _form(request, address, notice=say(f"notice {done}") if done else "")

    @app.post("/login", **_HIDDEN)
    async def enter(request: Request) -> Response:
        address, user = "/", ""
        try:
            form = await read_form(request)
            address, user = local_address(form.text("next")), form.text("user").strip()
            await request.app.state.authenticator.check(user, form.text("password"), client_of(request))
        except RequestError as error:
            trouble = {401: say("wrong login"), 429: say("too many logins")}.get(error.code, str(error))
            shown = await _form(request, address, user[: limits.USER_CHARACTERS], trouble=trouble, code=error.code)
            shown.headers.update(refusal_headers(request, error))
            return shown
        session = await begin_session(request, user)
        log.info("Logged in", extra={"user": user, "client": client_of(request), "session": session.name})
        return RedirectResponse(address, 303)

    @app.post("/logout", **_HIDDEN)
    async def leave(request: Request) -> Response:
        session = await session_of(request)
        if session is not None:
            form = await read_form(request)
            if not await asyncio.to_thread(holds, request, session.user, form.text(FIELD)):
                raise RequestError(say("stale form"), 403)
            await end_session(request)
            log.info("Logged out", extra={"user": session.user, "client": client_of(request), "session": session.name})
            if launched(session.user):
                return await asyncio.to_thread(launch_page, say("notice out"), say("launch again"))
        return RedirectResponse("/login?done=out", 303)


async def _form(
    request: Request, address: str, user: str = "", *, notice: str = "", trouble: str = "", code: int = 200
) -> Response:
    open_to_all = not encrypted(request) and not own_machine(request)
    links = [("/docs", "interface")]
    return await asyncio.to_thread(
        render, "login.html", code, HEADERS, user=None, log_out="", links=links, next=address, name=user, notice=notice,
        trouble=trouble, open_to_all=open_to_all,
    )  # fmt: skip


async def _on_login_needed(request: Request, error: Exception) -> Response:
    assert isinstance(error, LoginNeededError)
    headers = await read_to_end(request)
    registrations = request.app.state.authenticator.registrations.values()
    framed = bool(registrations) and request.headers.get("sec-fetch-dest") == "iframe"
    if framed or LAUNCHED_COOKIE in cookies_of(request):
        allow_frames(request, [registration.origin for registration in registrations])
        set_framed_cookie(request, LAUNCHED_COOKIE, "", "; Max-Age=0")
        text = say("launch lost") if error.lost else say("launch again")
        return await asyncio.to_thread(launch_page, say("launch over"), text, 403, headers)
    query = {"next": error.address, **({"done": "lost"} if error.lost else {})}
    return RedirectResponse(f"/login?{urlencode(query)}", 303, headers)


def launch_page(
    title: str, text: str, code: int = 200, headers: dict[str, str] | None = None, link: str = ""
) -> HTMLResponse:
    """A page about a launch from Moodle, for somebody without a session; not for the event loop."""
    return render(
        "launch.html", code, {**HEADERS, **(headers or {})}, user=None, log_out="", links=[], title=title,
        text=text, link=link,
    )  # fmt: skip
