"""Proof that a request comes from a page of ours.

Browsers send a login by HTTP Basic on their own, with whatever page asks them to. So what they say of where a request
comes from must fit, and a form carries a token that only a page of ours can have shown, made for a user and a day.
"""

from __future__ import annotations

import hashlib
import hmac
import time
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from moodlemlbackend.errors import RequestError
from moodlemlbackend.server import limits
from moodlemlbackend.server.texts import say

if TYPE_CHECKING:
    from fastapi import Request


def check_origin(request: Request) -> None:
    """Raise RequestError of 403 for what a page of another site asks for; other programs say nothing, and pass."""
    fetched = request.headers.get("sec-fetch-site")
    origin = request.headers.get("origin")
    if fetched is not None:
        if fetched != "same-origin":
            raise RequestError(say("from elsewhere"), 403)
    elif origin is not None and urlsplit(origin).netloc.lower() != request.headers.get("host", "").lower():
        raise RequestError(say("from elsewhere"), 403)


class FormTokens:
    """Makes and knows the tokens of forms; ``key`` is a secret that all servers of one store share."""

    def __init__(self, key: bytes) -> None:
        self._key = key

    def make(self, user: str) -> str:
        """Return a token for a user, with the time until which it holds."""
        until = int(time.time()) + limits.FORM_SECONDS
        return f"{until}.{self._digest(user, until)}"

    def hold(self, user: str, token: str) -> bool:
        """Whether a token was made for this user, and is still good."""
        until, _, digest = token.partition(".")
        if not until.isdecimal() or not until.isascii() or len(until) > 12 or not digest.isascii():
            return False
        return hmac.compare_digest(digest, self._digest(user, int(until))) and time.time() <= int(until)

    def _digest(self, user: str, until: int) -> str:
        return hmac.new(self._key, f"form\0{user}\0{until}".encode(), hashlib.sha256).hexdigest()
