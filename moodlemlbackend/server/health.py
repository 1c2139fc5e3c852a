"""Whether the server can work, and its metrics: for whoever operates it."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from fastapi.responses import PlainTextResponse, Response

from moodlemlbackend.errors import BackendError
from moodlemlbackend.server import metrics
from moodlemlbackend.server.api import openapi
from moodlemlbackend.server.auth.login import UserLogin
from moodlemlbackend.server.refusals import STORE_OUT_OF_REACH

if TYPE_CHECKING:
    from fastapi import FastAPI

log = logging.getLogger("moodlemlbackend.server")

STORE_CHECK_SECONDS = 15.0


def add_health(app: FastAPI) -> None:
    """Add the addresses to the application."""

    @app.get("/health/live", response_class=PlainTextResponse, tags=["Operation"], summary="The process is responding")
    async def live() -> str:
        return "live"

    @app.get(
        "/health/ready", response_class=PlainTextResponse, tags=["Operation"], summary="The server accepts work",
        responses={503: {"description": "Workers are starting, the store cannot be reached, "
                   "or the server is being stopped"}},
    )  # fmt: skip
    async def ready() -> Response:
        if not app.state.jobs.ready:
            return PlainTextResponse("The workers are not ready yet, or the server is being stopped.", 503)
        if not app.state.store_reached:
            return PlainTextResponse(STORE_OUT_OF_REACH, 503)
        return PlainTextResponse("ready")

    @app.get(
        "/metrics", response_class=PlainTextResponse, tags=["Operation"], summary="For Prometheus",
        responses=openapi.errors(401, 429),
    )  # fmt: skip
    async def prometheus(_user: UserLogin) -> Response:
        app.state.jobs.count_requests()
        return Response(app.state.metrics.text(), media_type=metrics.CONTENT_TYPE)


async def watch_store(app: FastAPI) -> None:
    """Look at the store now and then, so that health is answered without it."""
    while True:
        try:
            await asyncio.to_thread(app.state.storage.describe)
            app.state.store_reached = True
        except BackendError as error:
            app.state.store_reached = False
            log.error("The model store cannot be reached", extra={"fault": type(error).__name__})
        await asyncio.sleep(STORE_CHECK_SECONDS)
