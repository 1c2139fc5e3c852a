"""Sessions of browsers: who logged in by the form, in a signed cookie that every server of the directory can read.

A session ends when nothing is asked for a while, at its age, by the button, and with the user or the password. The
cookie is renewed while the session is used; one that was copied earlier ends with the session, or by itself.
"""

from __future__ import annotations

import hmac
import secrets
import time
from dataclasses import astuple, dataclass, replace
from typing import TYPE_CHECKING

from itsdangerous import BadData

from moodlemlbackend.server import limits

if TYPE_CHECKING:
    from collections.abc import Callable

    from moodlemlbackend.server.auth.shared import SharedLogins


@dataclass(frozen=True)
class BrowserSession:
    """A session; times are in seconds, ``mark`` stands for the user's password entry."""

    id: str
    user: str
    mark: str
    begun: int
    renewed: int

    @property
    def name(self) -> str:
        """What it is called in the log."""
        return self.id[:8]

    @property
    def until(self) -> int:
        """When it ends, however much it is used."""
        return self.begun + limits.SESSION_SECONDS


class NoSessionError(Exception):
    """A cookie that is no session, or none any more; the text says why, for the log."""


class BrowserSessions:
    """Begins sessions, knows them again, and ends them; its methods are not for the event loop."""

    def __init__(self, shared: SharedLogins, fingerprint: Callable[[str], bytes | None]) -> None:
        self._shared = shared
        self._fingerprint = fingerprint

    def begin(self, user: str) -> BrowserSession:
        """Begin a session of a user who has just logged in."""
        now = int(time.time())
        return BrowserSession(secrets.token_urlsafe(16), user, self._mark(user) or "", now, now)

    def cookie(self, session: BrowserSession) -> str:
        """The value of a session's cookie."""
        return self._shared.signer("session").dumps(astuple(session))

    def read(self, cookie: str) -> BrowserSession:
        """Return the session of a cookie; NoSessionError when it is none, or none any more."""
        if len(cookie) > limits.COOKIE_CHARACTERS:
            raise NoSessionError("too long")
        try:
            session = BrowserSession(*self._shared.signer("session").loads(cookie))
        except (BadData, TypeError) as error:
            raise NoSessionError("not ours") from error
        now = time.time()
        if now > session.until:
            raise NoSessionError("over")
        if now > session.renewed + limits.SESSION_IDLE_SECONDS:
            raise NoSessionError("idle")
        mark = self._mark(session.user)
        if mark is None or not hmac.compare_digest(session.mark, mark):
            raise NoSessionError("user or password changed")
        if self._shared.has_ended(session.id, session.until):
            raise NoSessionError("logged out")
        return session

    def renew(self, session: BrowserSession) -> BrowserSession | None:
        """The session as it is used now; None when it was renewed a moment ago."""
        now = int(time.time())
        return replace(session, renewed=now) if now > session.renewed + limits.SESSION_RENEWAL_SECONDS else None

    def end(self, session: BrowserSession) -> None:
        """End a session, with all of its cookies, at every server."""
        self._shared.end(session.id, session.until)

    def _mark(self, user: str) -> str | None:
        """Stands for the entry of a user, without saying anything of it; None for no user."""
        fingerprint = self._fingerprint(user)
        return None if fingerprint is None else hmac.digest(self._shared.key(), fingerprint, "sha256").hex()[:32]
