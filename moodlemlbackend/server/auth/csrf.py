"""Proof that a request comes from a page of ours.

Browsers send a login on their own, with whatever page asks them to. So what they say of where a request comes from must
fit, and a form carries a token that only a page of ours can have shown, made for a user, a session and a day.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from itsdangerous import BadData

from moodlemlbackend.errors import RequestError
from moodlemlbackend.server import limits
from moodlemlbackend.server.texts import say

if TYPE_CHECKING:
    from fastapi import Request

    from moodlemlbackend.server.auth.shared import SharedLogins


def check_origin(request: Request) -> None:
    """Raise RequestError of 403 for what a page of another site asks for; other programs say nothing, and pass."""
    fetched = request.headers.get("sec-fetch-site")
    origin = request.headers.get("origin")
    if fetched is not None:
        if fetched != "same-origin":
            raise RequestError(say("from elsewhere"), 403)
    elif origin is not None and origin.partition("://")[2].lower() != request.headers.get("host", "").lower():
        raise RequestError(say("from elsewhere"), 403)


class FormTokens:
    """Makes and knows the tokens of forms; a login by a header has the session ``""``."""

    def __init__(self, shared: SharedLogins) -> None:
        self._shared = shared

    def make(self, user: str, session: str) -> str:
        """Return a token for a user in a session, with the time until which it holds."""
        return self._shared.signer("form").dumps([user, session, int(time.time()) + limits.FORM_SECONDS])

    def hold(self, user: str, session: str, token: str) -> bool:
        """Whether a token was made for this user in this session, and is still good."""
        try:
            made_for, made_in, until = self._shared.signer("form").loads(token)
        except BadData:
            return False
        return bool((made_for, made_in) == (user, session) and time.time() <= until)
