"""The fields of forms that pages of ours send; that they come from there is proved in :mod:`...auth.csrf`."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING
from urllib.parse import parse_qs

from starlette.requests import ClientDisconnect

from moodlemlbackend.errors import RequestError
from moodlemlbackend.server import limits
from moodlemlbackend.server.auth.csrf import check_origin
from moodlemlbackend.server.texts import say

if TYPE_CHECKING:
    from fastapi import Request

FIELD = "token"


class PageForm:
    """The fields of a form that was sent."""

    def __init__(self, values: dict[str, list[str]]) -> None:
        self._values = values

    def text(self, name: str) -> str:
        """The first value of a field; empty when there is none."""
        return self._values.get(name, [""])[0]

    def texts(self, name: str) -> list[str]:
        """All values of a field."""
        return self._values.get(name, [])

    def number(self, name: str) -> int | None:
        """A field that is an id; None when it is empty, RequestError when it is something else."""
        return whole(self.text(name)) if self.text(name) else None

    def numbers(self, name: str) -> list[int]:
        """All values of a field, each an id."""
        return [whole(text) for text in self._values.get(name, [])]


def whole(text: str) -> int:
    """An id of a database; RequestError for anything else."""
    if not (text.isascii() and text.isdecimal() and len(text) <= 18 and int(text) > 0):
        raise RequestError(say("bad id"), 400)
    return int(text)


async def read_form(request: Request) -> PageForm:
    """Read the form of a request that came from a page of ours, as far as the browser says.

    Raises
    ------
    RequestError
        403 for a request from elsewhere, 400, 408, 413 or 415 for what is no form of ours.
    """
    check_origin(request)
    return await read_fields(request)


async def read_fields(request: Request) -> PageForm:
    """The same wherever the request came from."""
    if request.headers.get("content-type", "").partition(";")[0].strip() != "application/x-www-form-urlencoded":
        raise RequestError(say("no form"), 415)
    try:
        body = await asyncio.wait_for(_body(request), limits.IDLE_SECONDS)
    except (asyncio.TimeoutError, ClientDisconnect):
        raise RequestError(say("form stopped"), 408) from None
    try:
        values = parse_qs(body.decode("ascii"), keep_blank_values=True, max_num_fields=limits.FORM_FIELDS)
    except ValueError:
        raise RequestError(say("no form"), 400) from None
    return PageForm(values)


async def _body(request: Request) -> bytes:
    body = b""
    async for part in request.stream():
        body += part
        if len(body) > limits.FORM_BYTES:
            raise RequestError(say("form too large"), 413)
    request.state.body_read = True
    return body
