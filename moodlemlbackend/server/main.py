"""``moodlemlbackend serve``: the process around the application."""

from __future__ import annotations

import asyncio
import logging
import multiprocessing
import signal
import socket
from pathlib import Path
from typing import TYPE_CHECKING

import uvicorn

from moodlemlbackend.errors import BackendError, UsageError
from moodlemlbackend.files import explain, keep_private
from moodlemlbackend.interpreter import keep_spawned_processes_safe
from moodlemlbackend.runtime.environment import collect_garbage_seldom
from moodlemlbackend.server import limits, logs
from moodlemlbackend.server.app import create_app
from moodlemlbackend.server.connections import Connection, allow_files
from moodlemlbackend.settings.analytics import load_analytics_settings
from moodlemlbackend.settings.backend import load_settings
from moodlemlbackend.settings.server import load_server_settings

if TYPE_CHECKING:
    from types import FrameType

    from fastapi import FastAPI

    from moodlemlbackend.settings.server import ServerSettings

log = logging.getLogger("moodlemlbackend.server")

BACKLOG = 2048
KEEP_ALIVE_SECONDS = 15


class _Server(uvicorn.Server):
    """Tells the queue of a signal to stop, so that work ends in time."""

    def __init__(self, config: uvicorn.Config, app: FastAPI) -> None:
        super().__init__(config)
        self._app = app

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Stop: new work is refused, running work goes on for a while."""
        super().handle_exit(sig, frame)
        state = self._app.state
        if hasattr(state, "jobs") and not state.jobs.stopping:
            state.loop.call_soon_threadsafe(self._stop)

    def handle_reload(self, _number: int, _frame: FrameType | None) -> None:
        """Read the settings users, people and lti again."""
        state = self._app.state
        if hasattr(state, "jobs"):
            state.loop.call_soon_threadsafe(self._read_users)

    def _read_users(self) -> None:
        state = self._app.state
        try:
            settings = load_server_settings(directory=state.settings.directory)
            state.authenticator.replace_users(settings.users, settings.people, settings.lti)
        except BackendError as error:
            log.error("Users not read; the previous ones may still log in", extra={"reason": str(error)})
            return
        state.jobs.users = state.authenticator.users
        log.info("Users read", extra={"users": state.jobs.users, "people": state.authenticator.people})

    def _stop(self) -> None:
        log.info("Stopping")
        self._stopping = asyncio.ensure_future(self._app.state.jobs.stop())


def run_server(settings: ServerSettings) -> None:
    """Serve until a signal comes.

    Raises
    ------
    UsageError
        The settings cannot be used, or the address is taken.
    StorageError
        The base directory cannot be used.
    """
    load_settings()
    keep_spawned_processes_safe()
    keep_private(Path(settings.directory))
    logs.configure()
    app = create_app(settings, load_analytics_settings())
    place = app.state.storage.describe()
    listener = listen(settings.host, settings.port)
    host, port = listener.getsockname()[:2]
    if settings.host not in ("127.0.0.1", "::1", "localhost"):
        log.warning(
            "This address can be reached from other machines, and passwords sent to it without TLS can be intercepted; "
            "put a proxy with TLS in front of the server."
        )
    log.info("Listening", extra={"host": host, "port": port, "remote": not place.startswith("the directory")})
    allow_files()
    config = uvicorn.Config(
        app,
        http=Connection,
        proxy_headers=bool(settings.proxies),
        forwarded_allow_ips=settings.proxies,
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=int(settings.stop_wait) + 5,
        limit_concurrency=limits.CONNECTIONS,
        lifespan="on",
    )
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _ended)
    collect_garbage_seldom()
    server = _Server(config, app)
    if hasattr(signal, "SIGHUP"):
        signal.signal(signal.SIGHUP, server.handle_reload)
    try:
        server.run(sockets=[listener])
    finally:
        for left in multiprocessing.active_children():
            left.kill()
    log.info("Stopped")


def _ended(_number: int, _frame: FrameType | None) -> None:
    """The signal that uvicorn raises once more when it is done: nothing is left to do."""


def listen(host: str, port: int) -> socket.socket:
    """Listen; connections inherit that small answers leave at once, without the 40 ms for which Nagle's rule waits."""
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        listener = socket.create_server((host, port), family=family, backlog=BACKLOG)
    except (OSError, UnicodeError) as error:
        reason = explain(error) if isinstance(error, OSError) and not error.strerror else getattr(error, "strerror", "")
        raise UsageError(f"The server cannot listen on {host}, port {port}: {reason}; set host and port.") from error
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listener
