"""Moodle's calls: an upload is received, its job is done by a worker, and what came of it is the answer."""

from __future__ import annotations

import asyncio
import math
import re
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import FastAPI, Query, Request
from fastapi.responses import FileResponse, PlainTextResponse, Response

from moodlemlbackend.errors import RequestError
from moodlemlbackend.operations.trained_models import MODEL_ID
from moodlemlbackend.server.api import openapi
from moodlemlbackend.server.api.uploads import Scratch, UploadForm, receive
from moodlemlbackend.server.auth.login import UserLogin, logged
from moodlemlbackend.server.jobs.job import DIRHASH, RUNID, Job
from moodlemlbackend.settings.backend import reported_version

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from starlette.types import Receive, Scope, Send

    from moodlemlbackend.server.jobs.job import WorkerReply
    from moodlemlbackend.server.jobs.queue import Ticket
    from moodlemlbackend.settings.server import ServerSettings

UniqueId = Annotated[str, Query(pattern=f"^{MODEL_ID.pattern}$", description="Moodle's id of the model")]
DirHash = Annotated[str, Query(pattern=f"^{DIRHASH.pattern}$", description="md5 of Moodle's output directory")]
RunId = Annotated[str, Query(pattern=f"^{RUNID.pattern}$", description="runid from an evaluation's response")]


def add_calls(app: FastAPI) -> None:
    """Add them to the application."""

    @app.get("/version", response_class=PlainTextResponse, tags=["Moodle"], summary="Version reported to Moodle")
    async def version() -> str:
        return reported_version()

    @app.post("/training", **openapi.call("training"))
    async def training(request: Request, user: UserLogin) -> Response:
        return await _upload(request, user, "training", "dataset")

    @app.post("/prediction", **openapi.call("prediction"))
    async def prediction(request: Request, user: UserLogin) -> Response:
        return await _upload(request, user, "prediction", "dataset")

    @app.post("/evaluation", **openapi.call("evaluation"))
    async def evaluation(request: Request, user: UserLogin) -> Response:
        return await _upload(request, user, "evaluation", "dataset")

    @app.get("/evaluationlog", **openapi.call("evaluationlog"))
    async def evaluationlog(
        request: Request, user: UserLogin, uniqueid: UniqueId, dirhash: DirHash, runid: RunId
    ) -> Response:
        form = UploadForm({"uniqueid": uniqueid, "dirhash": dirhash, "runid": runid})
        return await _fetch(request, user, "evaluationlog", form)

    @app.get("/export", **openapi.call("export"))
    async def export(request: Request, user: UserLogin, uniqueid: UniqueId, dirhash: DirHash) -> Response:
        return await _fetch(request, user, "export", UploadForm({"uniqueid": uniqueid, "dirhash": dirhash}))

    @app.post("/import", **openapi.call("import"))
    async def import_model(request: Request, user: UserLogin) -> Response:
        return await _upload(request, user, "import", "importzip")

    @app.post("/deletemodel", **openapi.call("deletemodel"))
    async def deletemodel(request: Request, user: UserLogin) -> Response:
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


async def _answer(request: Request, ticket: Ticket, job: Job, scratch: Scratch) -> Response:
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
        raise RequestError(f"The field {name!r} cannot be used; use a number of 0 or more.")
    return number
