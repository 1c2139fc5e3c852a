"""The application: Moodle's calls, health and metrics; :mod:`.pages` adds what people look at."""

from __future__ import annotations

import asyncio
import logging
import math
import re
import shutil
import tempfile
from contextlib import asynccontextmanager, suppress
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import FastAPI, Query, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import FileResponse, PlainTextResponse, Response
from starlette.exceptions import HTTPException

from moodlemlbackend import __version__
from moodlemlbackend.errors import BackendError, RequestError, UsageError
from moodlemlbackend.operations.trained_models import MODEL_ID
from moodlemlbackend.server import metrics
from moodlemlbackend.server.api import openapi
from moodlemlbackend.server.api.uploads import Scratch, UploadForm, receive
from moodlemlbackend.server.auth.authenticator import Authenticator
from moodlemlbackend.server.auth.login import User, logged
from moodlemlbackend.server.jobs.queue import Jobs
from moodlemlbackend.server.jobs.worker import DIRHASH, RUNID, Job
from moodlemlbackend.server.middleware import Surroundings
from moodlemlbackend.server.pages import models
from moodlemlbackend.settings.backend import reported_version
from moodlemlbackend.storage import open_storage
from moodlemlbackend.storage.archives import MIB

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from starlette.types import Receive, Scope, Send

    from moodlemlbackend.server.jobs.worker import WorkerReply
    from moodlemlbackend.settings.analytics import AnalyticsSettings
    from moodlemlbackend.settings.server import ServerSettings

log = logging.getLogger("moodlemlbackend.server")

STORE_CHECK_SECONDS = 15.0
DRAIN_BYTES, DRAIN_SECONDS = 16 * MIB, 5.0
"""Of a body that is refused: read to its end within these, lest the client miss the answer."""

_STORE_LOST = "The server cannot reach its store of models; its administrator finds more in the log."


UniqueId = Annotated[str, Query(pattern=f"^{MODEL_ID.pattern}$", description="Moodle's id of the model")]
DirHash = Annotated[str, Query(pattern=f"^{DIRHASH.pattern}$", description="md5 of Moodle's output directory")]
RunId = Annotated[str, Query(pattern=f"^{RUNID.pattern}$", description="runid of an evaluation's answer")]


def create_app(settings: ServerSettings, analytics: AnalyticsSettings | None = None) -> FastAPI:
    """Return the application; its workers start with it, and end with it.

    ``analytics`` names the Moodle site and the store whose pages are shown; there are none without.

    Raises
    ------
    UsageError
        The users or the base directory cannot be used, or the extra of the pages is not installed.
    """
    counted = metrics.Metrics()
    app = FastAPI(
        title="moodlemlbackend", version=__version__, description=openapi.ABOUT, docs_url=None, redoc_url=None,
        lifespan=_lifespan, servers=[{"url": "/"}],
    )  # fmt: skip
    app.state.settings = settings
    app.state.metrics = counted
    app.state.gate = Authenticator(settings.users, settings.people, counted.failed_logins.inc)
    app.state.storage = open_storage(settings.directory)
    app.state.store_reached = False
    app.state.analytics = analytics if analytics and analytics.site else None
    app.state.desk = None
    app.add_middleware(Surroundings, metrics=counted)
    app.add_exception_handler(BackendError, _on_backend_error)
    app.add_exception_handler(HTTPException, _on_http_exception)
    app.add_exception_handler(RequestValidationError, _on_invalid)
    _add_calls(app)
    _add_health(app)
    models.add_pages(app)
    if app.state.analytics is not None:
        _add_site_pages(app)
    return app


def _add_site_pages(app: FastAPI) -> None:
    try:
        from moodlemlbackend.server.pages.site.routes import add_site_pages
    except ModuleNotFoundError as error:
        raise UsageError(
            f"The pages of the Moodle site need the package {error.name}: install moodlemlbackend[server,analytics], "
            "or set no site."
        ) from error
    add_site_pages(app)


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    state = app.state
    state.scratch = Path(tempfile.mkdtemp(prefix="moodlemlbackend-server-", dir=state.settings.scratch or None))
    state.loop = asyncio.get_running_loop()
    state.jobs = Jobs(state.settings, state.metrics)
    state.jobs.start()
    if state.analytics is not None:
        from moodlemlbackend.server.pages.site.request_context import RequestContexts

        state.desk = RequestContexts(state.settings, state.analytics, state.gate.is_person)
    watch = asyncio.ensure_future(_watch_store(app))
    try:
        yield
    finally:
        watch.cancel()
        if state.desk is not None:
            await state.desk.close()
        await state.jobs.close()
        shutil.rmtree(state.scratch, ignore_errors=True)


async def _watch_store(app: FastAPI) -> None:
    """Look at the store now and then, so that health is answered without it."""
    while True:
        try:
            await asyncio.to_thread(app.state.storage.describe)
            app.state.store_reached = True
        except BackendError as error:
            app.state.store_reached = False
            log.error("The store of models cannot be reached", extra={"fault": type(error).__name__})
        await asyncio.sleep(STORE_CHECK_SECONDS)


# ---- Moodle's calls ----


def _add_calls(app: FastAPI) -> None:
    @app.get("/version", response_class=PlainTextResponse, tags=["Moodle"], summary="Version that Moodle is told")
    async def version() -> str:
        return reported_version()

    @app.post("/training", **openapi.call("training"))
    async def training(request: Request, user: User) -> Response:
        return await _upload(request, user, "training", "dataset")

    @app.post("/prediction", **openapi.call("prediction"))
    async def prediction(request: Request, user: User) -> Response:
        return await _upload(request, user, "prediction", "dataset")

    @app.post("/evaluation", **openapi.call("evaluation"))
    async def evaluation(request: Request, user: User) -> Response:
        return await _upload(request, user, "evaluation", "dataset")

    @app.get("/evaluationlog", **openapi.call("evaluationlog"))
    async def evaluationlog(
        request: Request, user: User, uniqueid: UniqueId, dirhash: DirHash, runid: RunId
    ) -> Response:
        form = UploadForm({"uniqueid": uniqueid, "dirhash": dirhash, "runid": runid})
        return await _fetch(request, user, "evaluationlog", form)

    @app.get("/export", **openapi.call("export"))
    async def export(request: Request, user: User, uniqueid: UniqueId, dirhash: DirHash) -> Response:
        return await _fetch(request, user, "export", UploadForm({"uniqueid": uniqueid, "dirhash": dirhash}))

    @app.post("/import", **openapi.call("import"))
    async def import_model(request: Request, user: User) -> Response:
        return await _upload(request, user, "import", "importzip")

    @app.post("/deletemodel", **openapi.call("deletemodel"))
    async def deletemodel(request: Request, user: User) -> Response:
        return await _upload(request, user, "deletemodel", None)


async def _upload(request: Request, user: str, kind: str, file: str | None) -> Response:
    """Receive a form, have its job done, and answer."""

    async def form_of(scratch: Scratch) -> UploadForm:
        files = () if file is None else (file,)
        form = await receive(request, scratch, files=files, allowed=request.app.state.settings.limits)
        if file is not None and file not in form.files:
            raise RequestError(f"The file {file!r} is missing; send it in the form.")
        return form

    return await _perform(request, user, kind, form_of)


async def _fetch(request: Request, user: str, kind: str, form: UploadForm) -> Response:
    """Have a job without a form done, and answer."""

    async def form_of(_scratch: Scratch) -> UploadForm:
        return form

    return await _perform(request, user, kind, form_of)


async def _perform(
    request: Request, user: str, kind: str, form_of: Callable[[Scratch], Awaitable[UploadForm]]
) -> Response:
    """Take a place, have the job of a form done, and answer; a scratch folder that nobody needs any more goes."""
    state = request.app.state
    with state.jobs.admit(kind, user) as ticket:
        scratch = Scratch(state.scratch)
        try:
            form = await form_of(scratch)
            return await _answer(request, ticket, _job(state.settings, user, kind, form, scratch), scratch)
        except BaseException:
            _remove(scratch)
            raise


async def _answer(request: Request, ticket: Any, job: Job, scratch: Scratch) -> Response:
    logged(request)["uniqueid"] = job.uniqueid

    async def gone() -> None:
        while (await request.receive())["type"] != "http.disconnect":
            pass

    reply: WorkerReply = await request.app.state.jobs.perform(ticket, job, gone)
    logged(request).update(status=reply.status, rows=reply.rows, **({"fault": reply.fault} if reply.fault else {}))
    if reply.file is not None:
        return _ScratchFile(scratch, reply.file, reply.media)
    _remove(scratch)
    if reply.code != 200:
        raise RequestError(reply.body.decode("utf-8", "replace"), reply.code)
    return Response(reply.body, media_type=reply.media)


class _ScratchFile(FileResponse):
    """A file that is removed with its scratch folder once it was sent, or could not be."""

    def __init__(self, scratch: Scratch, name: str, media: str) -> None:
        super().__init__(scratch.folder / name, media_type=media)
        self._scratch = scratch

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            _remove(self._scratch)


def _remove(scratch: Scratch) -> None:
    """Remove a scratch folder in a thread; nobody waits for it."""
    asyncio.get_running_loop().run_in_executor(None, scratch.remove)


def _job(settings: ServerSettings, user: str, kind: str, form: UploadForm, scratch: Scratch) -> Job:
    """Read the fields of a call; RequestError for one that is missing or cannot be used."""
    values: dict[str, Any] = {}
    uniqueid = _field(form, "uniqueid", MODEL_ID, "letters, digits, - and _, at most 128 of them")
    hexadecimal = "32 digits 0 to 9 and a to f"
    dirhash = "" if kind == "deletemodel" else _field(form, "dirhash", DIRHASH, hexadecimal)
    if kind == "evaluation":
        values = {name: _number(form, name) for name in ("minscore", "maxdeviation", "niterations")}
        values["niterations"] = int(values["niterations"])
        trained = form.values.get("trainedmodeldirhash")
        values["trained"] = _field(form, "trainedmodeldirhash", DIRHASH, hexadecimal) if trained else None
    if kind == "evaluationlog":
        values["runid"] = _field(form, "runid", RUNID, "a number")
    owner = (user,) if settings.namespaces else ()
    return Job(kind, owner, uniqueid, str(scratch.folder), dirhash, values)


def _field(form: UploadForm, name: str, pattern: re.Pattern[str], allowed: str) -> str:
    value = form.values.get(name)
    if value is None:
        raise RequestError(f"The field {name!r} is missing; send it in the form.")
    if not pattern.fullmatch(value):
        raise RequestError(f"The field {name!r} cannot be used; it must be {allowed}.")
    return value


def _number(form: UploadForm, name: str) -> float:
    try:
        number = float(_field(form, name, re.compile("[0-9.eE+-]{1,32}"), "a number of 0 or more"))
    except ValueError:
        number = math.nan
    if not 0 <= number < 1e9:
        raise RequestError(f"The field {name!r} cannot be used; it must be a number of 0 or more.")
    return number


# ---- health and metrics ----


def _add_health(app: FastAPI) -> None:
    @app.get("/health/live", response_class=PlainTextResponse, tags=["Operation"], summary="The process answers")
    async def live() -> str:
        return "live"

    @app.get(
        "/health/ready", response_class=PlainTextResponse, tags=["Operation"], summary="Work is taken",
        responses={503: {"description": "Workers are starting, the store is out of reach, or the server stops"}},
    )  # fmt: skip
    async def ready() -> Response:
        if not app.state.jobs.ready:
            return PlainTextResponse("The workers are not there yet, or the server is being stopped.", 503)
        if not app.state.store_reached:
            return PlainTextResponse(_STORE_LOST, 503)
        return PlainTextResponse("ready")

    @app.get(
        "/metrics", response_class=PlainTextResponse, tags=["Operation"], summary="For Prometheus",
        responses=openapi.errors(401, 429),
    )  # fmt: skip
    async def told(_user: User) -> Response:
        return Response(app.state.metrics.text(app.state.jobs), media_type=metrics.CONTENT_TYPE)


# ---- what goes wrong ----


async def _on_backend_error(request: Request, error: Exception) -> Response:
    if not isinstance(error, RequestError):
        logged(request)["fault"] = type(error).__name__
        error = RequestError(_STORE_LOST, 500)
    headers: dict[str, str] = {}
    if error.code == HTTPStatus.UNAUTHORIZED:
        headers["WWW-Authenticate"] = 'Basic realm="moodlemlbackend", charset="UTF-8"'
    if error.retry_after is not None:
        headers["Retry-After"] = str(error.retry_after)
    return await _sentence(request, str(error), error.code, headers)


async def _on_http_exception(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    sentences = {
        404: "There is nothing at this address.",
        405: "This address does not know the method of the request.",
    }
    text = sentences.get(error.status_code, "The request cannot be understood.")
    return await _sentence(request, text, error.status_code, dict(error.headers or {}))


async def _on_invalid(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    place = error.errors()[0]["loc"]
    name = next((repr(part) for part in reversed(place) if isinstance(part, str)), "a field")
    return await _sentence(request, f"The field {name[:60]} is missing or cannot be used.", 400, {})


async def _sentence(request: Request, text: str, code: int, headers: dict[str, str]) -> Response:
    """Answer with a sentence, once what the client is sending has been read, if that is soon."""
    if request.method not in ("GET", "HEAD"):
        headers["Connection"] = "close"
        with suppress(asyncio.TimeoutError, RuntimeError):
            await asyncio.wait_for(_drain(request), DRAIN_SECONDS)
    return PlainTextResponse(text, code, headers)


async def _drain(request: Request) -> None:
    declared = request.headers.get("content-length", "")
    if "expect" in request.headers or (declared.isdigit() and int(declared) > DRAIN_BYTES):
        return
    total, more = 0, not request.scope["state"].get("body_read", False)
    while more and total < DRAIN_BYTES:
        message = await request.receive()
        total += len(message.get("body", b""))
        more = message["type"] == "http.request" and message.get("more_body", False)
