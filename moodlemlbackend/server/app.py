"""The application, put together: Moodle's calls (:mod:`.api`), :mod:`.health`, and :mod:`.pages` for people."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from fastapi import FastAPI

from moodlemlbackend import __version__
from moodlemlbackend.errors import UsageError
from moodlemlbackend.interpreter import install_line
from moodlemlbackend.server.api import openapi
from moodlemlbackend.server.api.routes import add_calls
from moodlemlbackend.server.auth.authenticator import Authenticator
from moodlemlbackend.server.auth.csrf import FormTokens
from moodlemlbackend.server.auth.sessions import BrowserSessions
from moodlemlbackend.server.auth.shared import SharedLogins
from moodlemlbackend.server.health import add_health, watch_store
from moodlemlbackend.server.jobs.queue import Jobs
from moodlemlbackend.server.metrics import Metrics
from moodlemlbackend.server.middleware import RequestMiddleware
from moodlemlbackend.server.pages.login import add_login
from moodlemlbackend.server.pages.models import add_pages
from moodlemlbackend.server.refusals import add_refusals
from moodlemlbackend.storage import open_storage
from moodlemlbackend.storage.object_store import open_shared

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from moodlemlbackend.settings.analytics import AnalyticsSettings
    from moodlemlbackend.settings.server import ServerSettings


def create_app(settings: ServerSettings, analytics: AnalyticsSettings | None = None) -> FastAPI:
    """Return the application; its workers start with it, and end with it.

    ``analytics`` names the Moodle site and the store whose pages are shown; there are none without.

    Raises
    ------
    UsageError
        The users or the base directory cannot be used, or the extra of the pages is not installed.
    """
    metrics = Metrics()
    app = FastAPI(
        title="moodlemlbackend", version=__version__, description=openapi.ABOUT, docs_url=None, redoc_url=None,
        lifespan=_lifespan, servers=[{"url": "/"}],
    )  # fmt: skip
    app.state.settings = settings
    app.state.metrics = metrics
    app.state.authenticator = Authenticator(settings.users, settings.people, metrics.failed_logins.inc, settings.lti)
    app.state.storage = open_storage(settings.directory)
    shared = SharedLogins(open_shared(settings.directory))
    app.state.sessions = BrowserSessions(shared, app.state.authenticator.fingerprint)
    app.state.shared_logins = shared
    app.state.form_tokens = FormTokens(shared)
    app.state.store_reached = False
    app.state.analytics = analytics if analytics and analytics.site else None
    app.state.request_contexts = None
    app.add_middleware(RequestMiddleware, metrics=metrics)
    add_refusals(app)
    add_calls(app)
    add_health(app)
    add_login(app)
    add_pages(app)
    if app.state.analytics is not None:
        _add_site_pages(app)
    if settings.lti:
        _add_lti(app)
    return app


def _add_site_pages(app: FastAPI) -> None:
    try:
        from moodlemlbackend.server.pages.site.routes import add_site_pages
    except ModuleNotFoundError as error:
        raise UsageError(
            f"The pages of the Moodle site need the package {error.name}: "
            f"{install_line('server', 'analytics')}, or set no site."
        ) from error
    add_site_pages(app)


def _add_lti(app: FastAPI) -> None:
    if app.state.analytics is None:
        raise UsageError("The lti setting needs the pages of a Moodle site; set site, or remove lti.")
    try:
        from moodlemlbackend.server.lti.routes import add_lti
    except ModuleNotFoundError as error:
        raise UsageError(
            f"The lti setting needs the package {str(error.name).partition('.')[0]}: "
            f"{install_line('server', 'analytics', 'lti')}, or remove lti."
        ) from error
    add_lti(app)


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    state = app.state
    state.scratch = Path(tempfile.mkdtemp(prefix="moodlemlbackend-server-", dir=state.settings.scratch or None))
    state.loop = asyncio.get_running_loop()
    state.jobs = Jobs(state.settings, state.metrics, state.authenticator.users)
    state.jobs.start()
    if state.analytics is not None:
        from moodlemlbackend.server.pages.site.request_context import RequestContexts

        state.request_contexts = RequestContexts(state.settings, state.analytics, state.authenticator.is_person)
    watch = asyncio.ensure_future(watch_store(app))
    try:
        yield
    finally:
        watch.cancel()
        if state.request_contexts is not None:
            await state.request_contexts.close()
        await state.jobs.close()
        shutil.rmtree(state.scratch, ignore_errors=True)
