"""Around every request: its id, its line in the log, its metrics, headers for browsers, and the last resort."""

from __future__ import annotations

import logging
import re
import time
import uuid
from typing import TYPE_CHECKING

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse

from moodlemlbackend.language import choose, preferred
from moodlemlbackend.server.logs import REQUEST_ID

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from moodlemlbackend.server.metrics import Metrics

log = logging.getLogger("moodlemlbackend.server")

_GIVEN_ID = re.compile(r"[A-Za-z0-9._-]{1,64}", re.ASCII)
CONTENT_POLICY = (
    "default-src 'none'; img-src 'self' data:; style-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action "
)
_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": f"{CONTENT_POLICY}'none'",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}


class RequestMiddleware:
    """ASGI middleware; plain, so that a client that goes away is noticed inside."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        choose(preferred(headers.get("accept-language", "")))
        given = headers.get("x-request-id", "")
        request_id = given if _GIVEN_ID.fullmatch(given) else uuid.uuid4().hex
        token = REQUEST_ID.set(request_id)
        scope.setdefault("state", {})
        began, code, sent, received = time.monotonic(), 0, 0, 0

        async def count_sent(message: Message) -> None:
            nonlocal code, sent
            if message["type"] == "http.response.start":
                code = message["status"]
                answer = MutableHeaders(scope=message)
                answer["X-Request-ID"] = request_id
                for name, value in _HEADERS.items():
                    answer.setdefault(name, value)
                if "frames" in scope["state"]:
                    policy = answer["Content-Security-Policy"]
                    answer["Content-Security-Policy"] = policy.replace(
                        "frame-ancestors 'none'", f"frame-ancestors {scope['state']['frames']}"
                    )
                for cookie in scope["state"].get("cookies", {}).values():
                    answer.append("Set-Cookie", cookie)
            sent += len(message.get("body", b""))
            await send(message)

        async def count_received() -> Message:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            return message

        try:
            await self._app(scope, count_received, count_sent)
        except Exception as error:
            log.error("Unexpected error", exc_info=error)
            if not code:
                sentence = "An unexpected error ended the request; find it in the server's log under the number "
                await PlainTextResponse(f"{sentence}{request_id}.", 500)(scope, receive, count_sent)
        finally:
            route = scope.get("route")
            path = getattr(route, "path", "other")
            self._metrics.requests.labels(path, str(code)).inc()
            client = scope.get("client")
            log.log(
                logging.DEBUG if path.startswith("/health") else logging.INFO,
                "Request",
                extra={
                    "method": scope["method"] if len(scope["method"]) < 16 else "other",
                    "path": path,
                    "code": code,
                    "seconds": round(time.monotonic() - began, 4),
                    "bytes_in": received,
                    "bytes_out": sent,
                    "client": client[0] if client else None,
                    **scope["state"].get("logged", {}),
                },
            )
            REQUEST_ID.reset(token)
