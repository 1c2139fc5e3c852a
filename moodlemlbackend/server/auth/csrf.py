"""Where a request comes from, as the browser says.

Browsers send a login by HTTP Basic on their own, with whatever page asks them to.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from moodlemlbackend.errors import RequestError
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
