"""The two addresses of the tool: where Moodle has a login begin, and where it sends who has logged in.

A launch is tied to the browser by a cookie, and can be used once: the state, signed here, holds the nonce, a digest of
the cookie, the registration and a time. Whether the browser keeps such a cookie is tried before Moodle is asked, as
Moodle lets an activity be asked for once.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import logging
import re
import secrets
import time
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlencode, urlsplit

from fastapi import FastAPI, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from itsdangerous import BadData

from moodlemlbackend.analytics.site.contexts import course_context
from moodlemlbackend.errors import RequestError
from moodlemlbackend.server import limits
from moodlemlbackend.server.auth.login import (
    allow_frames,
    begin_session,
    client_of,
    cookies_of,
    encrypted,
    logged,
    own_machine,
    session_of,
    set_framed_cookie,
)
from moodlemlbackend.server.lti.keys import KeysLostError, PlatformKeys
from moodlemlbackend.server.lti.messages import UnknownDeploymentError, UntrustedMessageError, read_launch
from moodlemlbackend.server.pages.login import launch_page
from moodlemlbackend.server.pages.site.forms import PageForm, read_fields
from moodlemlbackend.server.refusals import refusal_headers
from moodlemlbackend.server.texts import say

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from moodlemlbackend.server.auth.registrations import Registration
    from moodlemlbackend.server.pages.site.request_context import RequestContext

log = logging.getLogger("moodlemlbackend.server")

LAUNCH_SECONDS = 600
"""From the begin of a login until Moodle's answer to it."""
COOKIE = "__Host-moodlemlbackend-launch"

_FIELDS = ("iss", "login_hint", "target_link_uri", "lti_message_hint", "client_id", "lti_deployment_id")
_BROWSER = re.compile(r"[\w-]{22}", re.ASCII)
_PROBED = "probed"
_LAUNCH = "/lti/launch"
_HIDDEN: dict[str, Any] = {"include_in_schema": False, "response_class": HTMLResponse}


def add_lti(app: FastAPI) -> None:
    """Add the addresses to the application."""
    keys: dict[str, PlatformKeys] = {}

    @app.get("/lti/login", **_HIDDEN)
    async def begin(request: Request) -> Response:
        return await _or_refusal(request, lambda: _begin(request, _query(request)))

    @app.post("/lti/login", **_HIDDEN)
    async def begin_by_form(request: Request) -> Response:
        async def answer() -> Response:
            return await _begin(request, await read_fields(request))

        return await _or_refusal(request, answer)

    @app.get(_LAUNCH, **_HIDDEN)  # as by Enter in the address bar, which sends no form
    @app.post(_LAUNCH, **_HIDDEN)
    async def launch(request: Request) -> Response:
        return await _or_refusal(request, lambda: _launch(request, keys))


async def _begin(request: Request, form: PageForm) -> Response:
    """Send the browser to Moodle, which says who is in front of it."""
    fields = {name: form.text(name) for name in _FIELDS if form.text(name)}
    if "login_hint" not in fields or any(len(value) > limits.ADDRESS_CHARACTERS for value in fields.values()):
        raise RequestError(say("launch incomplete"), 400)
    registration = _registered(request, fields)
    _check_target(request, fields.get("target_link_uri", ""))
    browser = cookies_of(request).get(COOKIE, "")
    if not _BROWSER.fullmatch(browser):
        again = f"/lti/login?{urlencode(fields)}"
        if form.text(_PROBED):
            return await asyncio.to_thread(launch_page, say("window title"), say("window why"), link=again)
        set_framed_cookie(request, COOKIE, secrets.token_urlsafe(16))
        return RedirectResponse(f"{again}&{_PROBED}=1", 303)
    nonce, until = secrets.token_urlsafe(16), int(time.time()) + LAUNCH_SECONDS
    state = [nonce, _digest(browser), registration.name, until]
    signer = await asyncio.to_thread(request.app.state.shared_logins.signer, "launch")
    asked = {
        "scope": "openid", "response_type": "id_token", "response_mode": "form_post", "prompt": "none",
        "client_id": registration.client, "redirect_uri": _base(request) + _LAUNCH, "nonce": nonce,
        "state": signer.dumps(state), "login_hint": fields["login_hint"],
        **({"lti_message_hint": fields["lti_message_hint"]} if "lti_message_hint" in fields else {}),
    }  # fmt: skip
    return RedirectResponse(f"{registration.auth}?{urlencode(asked)}", 303)


async def _launch(request: Request, keys: dict[str, PlatformKeys]) -> Response:
    """Begin the session of whom Moodle names, and go to the insights of the course."""
    form = await read_fields(request) if request.method == "POST" else PageForm({})
    shared = request.app.state.shared_logins
    signer = await asyncio.to_thread(shared.signer, "launch")
    try:
        nonce, browser, name, until = signer.loads(form.text("state"))
    except (BadData, ValueError, TypeError):
        raise _refused(request, "state", say("launch stale")) from None
    same_browser = hmac.compare_digest(browser, _digest(cookies_of(request).get(COOKIE, "")))
    if not same_browser or time.time() > until:
        raise _refused(request, "time" if same_browser else "browser", say("launch stale"))
    registration = request.app.state.authenticator.registrations.get(name)
    if registration is None:
        raise _refused(request, "registration", say("launch unregistered"))
    if form.text("error"):
        raise _refused(request, f"Moodle: {form.text('error')[:60]}", say("launch denied"))
    platform = keys.setdefault(registration.keys, PlatformKeys(registration.keys))
    try:
        launch = await read_launch(form.text("id_token"), registration, nonce, platform)
    except UnknownDeploymentError as error:
        raise _refused(request, str(error), say("launch unregistered")) from error
    except UntrustedMessageError as error:
        raise _refused(request, str(error), say("launch untrusted")) from error
    except KeysLostError as error:
        logged(request)["launch"] = f"keys: {error}"
        raise RequestError(say("launch keys"), 503, retry_after=limits.RETRY_SECONDS) from error
    _check_target(request, launch.target)
    if not await asyncio.to_thread(shared.use, nonce, until):
        raise _refused(request, "used", say("launch stale"))
    user = registration.user(launch.userid)

    def known(ctx: RequestContext) -> bool:
        return launch.courseid is not None and course_context(ctx.site, launch.courseid) is not None

    in_course = await request.app.state.request_contexts.ask(user, known)
    session = await session_of(request)
    soon = time.time() + limits.SESSION_IDLE_SECONDS
    if session is None or session.user != user or session.until < soon:  # else forms in other windows would expire
        session = await begin_session(request, user)
    log.info("Logged in", extra={"user": user, "client": client_of(request), "session": session.name})
    return RedirectResponse(f"/courses/{launch.courseid}" if in_course else "/insights", 303)


async def _or_refusal(request: Request, answer: Callable[[], Awaitable[Response]]) -> Response:
    """Answer; what is refused has a page, which pages of Moodle may frame."""
    registrations = request.app.state.authenticator.registrations.values()
    allow_frames(request, [registration.origin for registration in registrations])
    try:
        if not encrypted(request) and not own_machine(request):
            raise RequestError(say("launch plain"), 400)
        return await answer()
    except RequestError as error:
        logged(request)["refused"] = error.code
        headers = refusal_headers(request, error)
        return await asyncio.to_thread(launch_page, say("failed"), str(error), error.code, headers)


def _registered(request: Request, fields: dict[str, str]) -> Registration:
    """The registration that a login names; Moodle says the client id, too."""
    known = request.app.state.authenticator.registrations.values()
    issuer, client = fields.get("iss"), fields.get("client_id")
    named = [tool for tool in known if tool.issuer == issuer and client in (None, tool.client)]
    if len(named) != 1:
        raise _refused(request, "issuer or client_id", say("launch unregistered"))
    registration: Registration = named[0]
    if fields.get("lti_deployment_id", min(registration.deployments)) not in registration.deployments:
        raise _refused(request, "lti_deployment_id", say("launch unregistered"))
    return registration


def _refused(request: Request, reason: str, sentence: str) -> RequestError:
    logged(request)["launch"] = reason
    return RequestError(sentence, 403)


def _check_target(request: Request, target: str) -> None:
    """Raise RequestError unless Moodle has the launch at this very server."""
    own = _base(request) + _LAUNCH
    try:
        parts = urlsplit(target)
    except ValueError:
        parts = urlsplit("")
    if f"{parts.scheme}://{parts.netloc.lower()}{parts.path}" != own:
        logged(request)["launch"] = "target_link_uri"
        raise RequestError(say("launch elsewhere", address=own), 400)


def _base(request: Request) -> str:
    return f"{request.scope['scheme']}://{request.headers.get('host', '').lower()}"


def _digest(browser: str) -> str:
    return hashlib.sha256(browser.encode("utf-8", "surrogatepass")).hexdigest()


def _query(request: Request) -> PageForm:
    query = request.scope["query_string"].decode("latin-1")
    try:
        return PageForm(parse_qs(query, keep_blank_values=True, max_num_fields=limits.FORM_FIELDS))
    except ValueError:
        return PageForm({})
