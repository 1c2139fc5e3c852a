"""What is answered in place of what was asked for: one sentence, whatever went wrong."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from http import HTTPStatus
from typing import TYPE_CHECKING

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import PlainTextResponse, Response
from starlette.exceptions import HTTPException

from moodlemlbackend.errors import BackendError, RequestError
from moodlemlbackend.server.auth.login import logged
from moodlemlbackend.storage.archives import MIB

if TYPE_CHECKING:
    from fastapi import FastAPI

DRAIN_BYTES, DRAIN_SECONDS = 16 * MIB, 5.0
"""Of a body that is refused: read to its end within these, lest the client miss the answer."""

STORE_OUT_OF_REACH = "The server cannot reach its model store; its administrator can find out more in the log."


def add_refusals(app: FastAPI) -> None:
    """Have the application answer every error with a sentence."""
    app.add_exception_handler(BackendError, _on_backend_error)
    app.add_exception_handler(HTTPException, _on_http_exception)
    app.add_exception_handler(RequestValidationError, _on_invalid)


async def _on_backend_error(request: Request, error: Exception) -> Response:
    if not isinstance(error, RequestError):
        logged(request)["fault"] = type(error).__name__
        error = RequestError(STORE_OUT_OF_REACH, 500)
    headers: dict[str, str] = {}
    if error.code == HTTPStatus.UNAUTHORIZED:
        headers["WWW-Authenticate"] = 'Basic realm="moodlemlbackend", charset="UTF-8"'
    if error.retry_after is not None:
        headers["Retry-After"] = str(error.retry_after)
    return await _sentence(request, str(error), error.code, headers)


def refusal_headers(request: Request, error: RequestError) -> dict[str, str]:
    """Headers of a page that refuses: when to come again, and no more on a connection whose form may not be read."""
    headers = {} if error.retry_after is None else {"Retry-After": str(error.retry_after)}
    return {**headers, "Connection": "close"} if request.method == "POST" else headers


async def _on_http_exception(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    sentences = {
        404: "There is nothing at this address.",
        405: "This address does not support this request method.",
    }
    text = sentences.get(error.status_code, "The request is not valid.")
    return await _sentence(request, text, error.status_code, dict(error.headers or {}))


async def _on_invalid(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    place = error.errors()[0]["loc"]
    name = next((repr(part) for part in reversed(place) if isinstance(part, str)), "a field")
    return await _sentence(request, f"The field {name[:60]} is missing or cannot be used.", 400, {})


async def _sentence(request: Request, text: str, code: int, headers: dict[str, str]) -> Response:
    """Answer with a sentence, once what the client is sending has been read, if that is soon."""
    return PlainTextResponse(text, code, {**headers, **await read_to_end(request)})


async def read_to_end(request: Request) -> dict[str, str]:
    """Read what the client is sending, if that is soon, and return headers of the answer."""
    if request.method in ("GET", "HEAD"):
        return {}
    with suppress(asyncio.TimeoutError, RuntimeError):
        await asyncio.wait_for(_drain(request), DRAIN_SECONDS)
    return {"Connection": "close"}


async def _drain(request: Request) -> None:
    declared = request.headers.get("content-length", "")
    if "expect" in request.headers or (declared.isdecimal() and int(declared) > DRAIN_BYTES):
        return
    total, more = 0, not request.scope["state"].get("body_read", False)
    while more and total < DRAIN_BYTES:
        message = await request.receive()
        total += len(message.get("body", b""))
        more = message["type"] == "http.request" and message.get("more_body", False)
