"""What every route that needs a login asks for, and what it may add to the request's line in the log.

Programs log in by HTTP Basic: Moodle's calls and metrics know nothing else. Pages know it, too, but what a browser has
is a session, which :func:`begin_session` begins.
"""

from __future__ import annotations

import asyncio
import re
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import Depends, Request
from fastapi.security import HTTPBasic

from moodlemlbackend.errors import RequestError
from moodlemlbackend.server import limits
from moodlemlbackend.server.auth.csrf import check_origin
from moodlemlbackend.server.auth.registrations import launched
from moodlemlbackend.server.auth.sessions import NoSessionError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from moodlemlbackend.server.auth.sessions import BrowserSession

LAUNCHED_COOKIE = "__Host-moodlemlbackend-lti"
"""Of a session that began with a launch from Moodle; browsers take it with TLS, or from their own machine."""

_OWN_MACHINE = re.compile(r"(?:localhost|127\.0\.0\.1|\[::1\])(?::\d+)?", re.ASCII | re.IGNORECASE)
_PATH = re.compile(r"/(?![/\\])[!-\[\]-~]*", re.ASCII)
"""A path of this server, with its query: printable, without a backslash, and with one slash at its begin."""


class LoginNeededError(Exception):
    """A page was asked for without a login; ``address`` is to be shown after one.

    ``lost`` when a form was sent, with which nothing is done.
    """

    def __init__(self, address: str, *, lost: bool) -> None:
        super().__init__(address)
        self.address = address
        self.lost = lost


class _Authorization(HTTPBasic):
    """The header as it is; :class:`.authenticator.Authenticator` judges it."""

    async def __call__(self, request: Request) -> str:  # type: ignore[override]
        return request.headers.get("authorization", "")


async def header_login(request: Request, authorization: Annotated[str, Depends(_Authorization())]) -> str:
    """Return the name of a user or of one of the people; RequestError of 401 or 429."""
    user: str = await request.app.state.authenticator.enter(authorization, client_of(request))
    logged(request)["user"] = user
    return user


async def user_login(request: Request, user: Annotated[str, Depends(header_login)]) -> str:
    """Return the user's name; RequestError also of 403 for people, who may see the pages of the site only.

    What changes something must not have been asked for by a page of another site, either.
    """
    if request.method == "POST":
        check_origin(request)
    return _no_person(request, user)


UserLogin = Annotated[str, Depends(user_login)]


async def page_login(request: Request) -> str:
    """Return who has a session, or logs in by the header; LoginNeededError for nobody, else as header_login."""
    session = await session_of(request)
    if session is not None:
        return session.user
    authorization = request.headers.get("authorization", "")
    if authorization:
        return await header_login(request, authorization)
    if request.method == "POST":
        raise LoginNeededError(_referring_page(request), lost=True)
    raise LoginNeededError(_address(request), lost=False)


AnyLogin = Annotated[str, Depends(page_login)]


async def page_user_login(request: Request, user: AnyLogin) -> str:
    """The same for pages that are not for people; RequestError of 403."""
    return _no_person(request, user)


PageUserLogin = Annotated[str, Depends(page_user_login)]


async def session_of(request: Request) -> BrowserSession | None:
    """Return the session whose cookie the browser sent, renewed if it is time to; None when there is none."""
    sessions = request.app.state.sessions
    for name in (LAUNCHED_COOKIE, _cookie_name(request)):
        cookie = cookies_of(request).get(name)
        if not cookie:
            continue
        try:
            session: BrowserSession = await asyncio.to_thread(sessions.read, cookie)
        except NoSessionError as error:
            logged(request)["no_session"] = str(error)
            continue
        if (launched(session.user) is not None) == (name == LAUNCHED_COOKIE):
            return _used(request, session)
    return None


def cookies_of(request: Request) -> dict[str, str]:
    """The cookies as they were sent: ours have no quotes, and taking away a stranger's can block older Pythons."""
    pairs = (part.partition("=") for part in request.headers.get("cookie", "").split(";"))
    return {name.strip(): value.strip() for name, _, value in pairs}


def _used(request: Request, session: BrowserSession) -> BrowserSession:
    """A session that was read, renewed if it is time to."""
    sessions = request.app.state.sessions
    renewed = sessions.renew(session)
    if renewed is not None:
        _keep(request, renewed)
    request.state.session = session
    registration = request.app.state.authenticator.registration(session.user)
    if registration is not None:
        allow_frames(request, [registration.origin])
    logged(request).update(user=session.user, session=session.name)
    return session


def form_token(request: Request, user: str) -> str:
    """The token of forms of the page that is made now; not for the event loop."""
    token: str = request.app.state.form_tokens.make(user, _session_id(request))
    return token


def log_out_token(request: Request) -> str:
    """The same for the button to log out; empty without a session, which has no such button."""
    session: BrowserSession | None = getattr(request.state, "session", None)
    return form_token(request, session.user) if session else ""


def holds(request: Request, user: str, token: str) -> bool:
    """Whether a form's token was made for this user and session; not for the event loop."""
    held: bool = request.app.state.form_tokens.hold(user, _session_id(request), token)
    return held


async def begin_session(request: Request, user: str) -> BrowserSession:
    """Have the browser of a user who has just logged in keep a new session; one that it had ends."""
    await end_session(request)
    session: BrowserSession = await asyncio.to_thread(request.app.state.sessions.begin, user)
    _keep(request, session)
    logged(request).update(user=user, session=session.name)
    return session


async def end_session(request: Request) -> None:
    """End the browser's sessions, and have it forget them: one of a launch, and one of the form below it."""
    for _ in range(2):
        session = await session_of(request)
        if session is None:
            return
        await asyncio.to_thread(request.app.state.sessions.end, session)
        _keep(request, session, ended=True)


def local_address(text: str) -> str:
    """A path of this server as it was given; ``/`` for whatever leads elsewhere."""
    return text if len(text) <= limits.ADDRESS_CHARACTERS and _PATH.fullmatch(text) else "/"


def encrypted(request: Request) -> bool:
    """Whether the browser speaks TLS, with this server or with a proxy that is believed."""
    return bool(request.scope["scheme"] == "https")


def own_machine(request: Request) -> bool:
    """Whether the browser is on this machine, which needs no TLS."""
    return bool(_OWN_MACHINE.fullmatch(request.headers.get("host", "")))


def allow_frames(request: Request, origins: Iterable[str]) -> None:
    """Have pages of these origins frame the answer."""
    request.scope["state"]["frames"] = " ".join(sorted(set(origins)))


def client_of(request: Request) -> str:
    """The client's address."""
    return request.client.host if request.client else ""


def logged(request: Request) -> dict[str, Any]:
    """Return what the request's line in the log says beside the usual."""
    facts: dict[str, Any] = request.scope["state"].setdefault("logged", {})
    return facts


def _no_person(request: Request, user: str) -> str:
    if request.app.state.authenticator.is_person(user):
        raise RequestError("You can use this login only for the Moodle site's insights, at /insights.", 403)
    return user


def _session_id(request: Request) -> str:
    session: BrowserSession | None = getattr(request.state, "session", None)
    return session.id if session else ""


def _cookie_name(request: Request) -> str:
    """With TLS a name that browsers take from this very host only, with TLS."""
    return "__Host-moodlemlbackend" if encrypted(request) else "moodlemlbackend"


def _keep(request: Request, session: BrowserSession, *, ended: bool = False) -> None:
    """Have the answer, whatever it will be, set the cookie of a session, or remove that of one that has ended."""
    value = "" if ended else request.app.state.sessions.cookie(session)
    more = "; Max-Age=0" if ended else ""
    if launched(session.user):
        set_framed_cookie(request, LAUNCHED_COOKIE, value, more)
        return
    secure = "; Secure" if encrypted(request) else ""
    name = _cookie_name(request)
    _cookies(request)[name] = f"{name}={value}; Path=/; HttpOnly; SameSite=Lax{secure}{more}"


def set_framed_cookie(request: Request, name: str, value: str, more: str = "") -> None:
    """The same for a cookie that also a frame in a page of Moodle keeps, for that site alone."""
    attributes = "Path=/; HttpOnly; SameSite=None; Secure; Partitioned"
    _cookies(request)[name] = f"{name}={value}; {attributes}{more}"


def _cookies(request: Request) -> dict[str, str]:
    cookies: dict[str, str] = request.scope["state"].setdefault("cookies", {})
    return cookies


def _address(request: Request) -> str:
    path, query = request.scope["raw_path"].decode("latin-1"), request.scope["query_string"].decode("latin-1")
    return f"{path}?{query}" if query else path


def _referring_page(request: Request) -> str:
    """The page of this server that sent a form, as far as the browser says; the one above if a form led there, too."""
    host, slash, path = request.headers.get("referer", "").partition("://")[2].partition("/")
    if host.lower() != request.headers.get("host", "").lower():
        return "/"
    address = local_address(slash + path)
    above = address.rpartition("/")[0]
    return above if above and address == request.scope["path"] else address
