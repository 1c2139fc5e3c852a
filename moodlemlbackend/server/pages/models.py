"""Pages for people: the models of server mode, their runs and the queue; plain HTML that needs no script.

Those of the Moodle site, for managers of its models and for teachers, are in :mod:`.site`.
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Annotated, Any, Literal

from fastapi import FastAPI, Request
from fastapi import Path as InPath
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from moodlemlbackend.errors import RequestError
from moodlemlbackend.language import ENGLISH, choose, language_of
from moodlemlbackend.operations.trained_models import MODEL_ID
from moodlemlbackend.server import limits
from moodlemlbackend.server.auth.login import AnyLogin, PageUserLogin, log_out_token, session_of
from moodlemlbackend.server.jobs.job import DIRHASH, RUNID
from moodlemlbackend.server.pages import model_index
from moodlemlbackend.server.pages.assets import add_assets
from moodlemlbackend.server.pages.charts import score_chart
from moodlemlbackend.server.pages.rendering import HEADERS, render

if TYPE_CHECKING:
    from moodlemlbackend.server.jobs.job import Parts

UniqueId = Annotated[str, InPath(pattern=f"^{MODEL_ID.pattern}$")]
DirHash = Annotated[str, InPath(pattern=f"^{DIRHASH.pattern}$")]
RunId = Annotated[str, InPath(pattern=f"^{RUNID.pattern}$")]
Figure = Annotated[str, InPath(pattern=f"^{model_index.FIGURE.pattern}$")]

REFRESH_SECONDS = 30
"""Between two looks at the list of models and the queue."""

_POLICY_OF_REPORTS = (
    "default-src 'none'; img-src data:; style-src 'unsafe-inline'; frame-ancestors 'none'; base-uri 'none'; "
    "form-action 'none'; sandbox"
)
"""A report comes with its style and its pictures in it, and needs nothing else."""

_HIDDEN: dict[str, Any] = {"include_in_schema": False, "response_class": HTMLResponse}


def add_pages(app: FastAPI) -> None:
    """Add the pages to the application."""

    @app.get("/", **_HIDDEN)
    async def index(request: Request, user: AnyLogin, refresh: Literal["on", "off"] = "on") -> Response:
        state = request.app.state
        if state.authenticator.is_person(user):
            return RedirectResponse("/insights", 303)
        owner = _owner(request, user)
        local = "://" not in state.settings.directory
        entries = await asyncio.to_thread(model_index.entries, state.storage, owner, read_models=local)
        queues, seconds = _queues(request, user), REFRESH_SECONDS if refresh == "on" else None
        return await _page(request, "index.html", user, seconds, entries=entries, queues=queues, refresh=seconds)

    @app.get("/models/{uniqueid}/{dirhash}", **_HIDDEN)
    async def model(request: Request, user: PageUserLogin, uniqueid: UniqueId, dirhash: DirHash) -> Response:
        storage, parts = request.app.state.storage, (*_owner(request, user), uniqueid, dirhash)

        def look() -> tuple[list[model_index.RunFacts], model_index.ModelFacts | None]:
            numbers = model_index.run_numbers(storage, parts)[: limits.PAGE_RUNS]
            runs = [model_index.run_facts(storage, parts, number) for number in numbers]
            return runs, model_index.model_facts(storage, parts)

        runs, facts = await asyncio.to_thread(look)
        if not runs and facts is None:
            raise RequestError("There is no such model.", 404)
        chart = score_chart(runs)
        return await _page(
            request, "model.html", user, uniqueid=uniqueid, dirhash=dirhash, runs=runs, model=facts, chart=chart
        )  # fmt: skip

    @app.get(f"/models/{{uniqueid}}/{{dirhash}}/runs/{{runid}}/{model_index.REPORT}", **_HIDDEN)
    async def report(
        request: Request, user: PageUserLogin, uniqueid: UniqueId, dirhash: DirHash, runid: RunId
    ) -> Response:
        parts = (*_owner(request, user), uniqueid, dirhash)
        storage = request.app.state.storage
        content = await asyncio.to_thread(model_index.content, storage, parts, runid, model_index.REPORT)
        if content is None:
            raise RequestError("There is no such report.", 404)
        return HTMLResponse(content, headers={"Content-Security-Policy": _POLICY_OF_REPORTS})

    @app.get("/models/{uniqueid}/{dirhash}/runs/{runid}/{name}", **_HIDDEN)
    async def figure(
        request: Request, user: PageUserLogin, uniqueid: UniqueId, dirhash: DirHash, runid: RunId, name: Figure
    ) -> Response:
        parts = (*_owner(request, user), uniqueid, dirhash)
        content = await asyncio.to_thread(model_index.content, request.app.state.storage, parts, runid, name)
        if content is None:
            raise RequestError("There is no such figure.", 404)
        return Response(content, media_type="image/png", headers={"Cache-Control": "private, max-age=86400"})

    @app.get("/docs", **_HIDDEN)
    async def docs(request: Request) -> Response:
        session = await session_of(request)
        return await _page(request, "docs.html", session.user if session else None, document=request.app.openapi())

    add_assets(app)


def _owner(request: Request, user: str) -> Parts:
    return (user,) if request.app.state.settings.namespaces else ()


def _queues(request: Request, user: str) -> list[dict[str, Any]]:
    """The queue; with namespaces on, what others have in it has no name."""
    apart = request.app.state.settings.namespaces
    now = time.monotonic()
    return [
        {
            "name": queue.pool.name,
            "workers": queue.pool.ready,
            "size": queue.pool.size,
            "most": queue.most,
            "tickets": [
                {
                    "kind": ticket.kind,
                    "state": ticket.state,
                    "seconds": now - ticket.began,
                    "name": ticket.name if ticket.user == user or not apart else "",
                }
                for ticket in queue.tickets
            ],
        }
        for queue in request.app.state.jobs.queues.values()
    ]


async def _page(request: Request, template: str, user: str | None, again: int | None = None, **values: Any) -> Response:
    choose(language_of(ENGLISH))  # administrators', whose templates have no other
    links = navigation(logged_in=user is not None, site=request.app.state.request_contexts is not None)

    def make() -> Response:
        log_out = log_out_token(request)
        headers = {**(HEADERS if log_out else {}), **({"Refresh": str(again)} if again else {})}
        return render(template, headers=headers, user=user, log_out=log_out, links=links, **values)

    return await asyncio.to_thread(make)


def navigation(*, logged_in: bool, site: bool) -> list[tuple[str, str]]:
    """Addresses, and names of their texts, of what every page of the server leads to."""
    links = [("/", "models"), ("/docs", "interface")]
    return [*links, ("/insights", "insights")] if site and logged_in else links
