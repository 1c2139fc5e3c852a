"""What managers of models see, and what they can have done."""

from __future__ import annotations

import re
from dataclasses import dataclass
from html import escape
from itertools import islice
from typing import TYPE_CHECKING, Any

from fastapi.responses import Response

from moodlemlbackend.analytics import models
from moodlemlbackend.analytics.db import feedback
from moodlemlbackend.analytics.db import predictions as stored_predictions
from moodlemlbackend.analytics.db.history import evaluations, runs
from moodlemlbackend.analytics.features import definitions
from moodlemlbackend.analytics.features.invalid import invalid_elements
from moodlemlbackend.analytics.insights import listing
from moodlemlbackend.analytics.lifecycle import backend
from moodlemlbackend.analytics.lifecycle.evaluation import MODES, TRAINED_MODEL
from moodlemlbackend.dataset.columns import indicators_of
from moodlemlbackend.errors import RequestError
from moodlemlbackend.server import limits
from moodlemlbackend.server.jobs.page_runs import TASKS, PageRun
from moodlemlbackend.server.pages.model_index import FIGURE, RunFacts, chart
from moodlemlbackend.server.pages.site import contexts
from moodlemlbackend.server.pages.site.responses import Page, go
from moodlemlbackend.server.pages.texts import indicator_name, say

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from moodlemlbackend.analytics.db import Connection
    from moodlemlbackend.analytics.models import AnalyticsModel
    from moodlemlbackend.server.pages.model_index import Chart
    from moodlemlbackend.server.pages.site.forms import PageForm
    from moodlemlbackend.server.pages.site.request_context import RequestContext

REFRESH_SECONDS = 3
REPORT = "report.html"
SHOWN_EVALUATIONS = 6
"""Latest evaluations on the page of a model; all are on that of its log."""

_REPORT_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; img-src data:; style-src 'unsafe-inline'; frame-ancestors 'none'; "
    "base-uri 'none'; form-action 'none'; sandbox"
}


@dataclass(frozen=True)
class Listed:
    """A model in the list: when it was last evaluated and how well, and how much it has predicted."""

    model: AnalyticsModel
    evaluation: dict[str, Any] | None
    predictions: int


@dataclass(frozen=True)
class Plotted:
    """Scores of one interval over time."""

    interval: str
    chart: Chart


def index(visit: RequestContext) -> Page:
    """All models."""
    visit.require_manager()
    with visit.workspace.store.read() as connection:
        predicted = stored_predictions.by_model(connection)
        found = [
            Listed(model, next(iter(evaluations(connection, model.id)), None), predicted.get(model.id, 0))
            for model in models.listed(connection)
        ]
    return Page("models.html", {"rows": found})


def model(visit: RequestContext, modelid: int, done: str = "") -> Page:
    """One model: what it is, what can be done with it, and how its evaluations went."""
    found = _model(visit, modelid)
    with visit.workspace.store.read() as connection:
        judged = _evaluations(visit, connection, modelid)
        predicted = stored_predictions.count(connection, modelid)
    values = {
        "model": found, "run": visit.runs.latest(modelid), "predicted": predicted, "judged": judged[:SHOWN_EVALUATIONS],
        "more": len(judged) > SHOWN_EVALUATIONS, "plotted": _plotted(judged),
        "indicators": [indicator_name(one.name, one.label) for one in indicators_of(found.indicators)],
        "intervals": definitions.intervals_for(found.target), "modes": MODES,
        "contexts": contexts.named(visit, found.contexts or ()), "minimum": backend.MINIMUM_SCORE,
        "processor": found.processor or say("processor of the site"),
        "notice": say(f"notice {done}") if done in ("enable", "disable", "clear", "stop") else "",
    }  # fmt: skip
    return Page("model.html", values)


def progress(visit: RequestContext, modelid: int, *, refresh: bool) -> Page | Response:
    """What a run is doing, or came to; refreshes itself while it goes on, unless that is not wanted."""
    found, run = _model(visit, modelid), visit.runs.latest(modelid)
    if run is None:
        return go(f"/analytics/models/{modelid}")
    again = REFRESH_SECONDS if run.active and refresh else None
    info = [_without_paths(visit, text) for text in run.info]
    return Page(
        "run.html",
        {"model": found, "run": run, "info": info, "refreshes": bool(again), "minimum": backend.MINIMUM_SCORE},
        again,
    )


def predictions(visit: RequestContext, modelid: int) -> Page:
    """Where a model has predicted, and how much; with a link where the person may read."""
    found = _model(visit, modelid)
    with visit.workspace.store.read() as connection:
        counted = stored_predictions.by_context(connection, modelid)
    names = contexts.named(visit, counted)
    readable: set[int] = set()
    if found.enabled and found.trained:
        readable = listing.readable(visit.capabilities, visit.person.id, found.target, names)
    rows = sorted(((names[one], *counted[one]) for one in names), key=lambda row: row[0].name.lower())
    return Page("predictions.html", {"model": found, "rows": rows, "readable": readable})


def invalid(visit: RequestContext, modelid: int, page: int) -> Page:
    """What on the site a model can neither learn from nor predict, and why."""
    found = _model(visit, modelid)
    first = (page - 1) * limits.PAGE_ELEMENTS
    elements = invalid_elements(visit.site, found, visit.workspace.clock())
    shown = [*islice(elements, first, first + limits.PAGE_ELEMENTS + 1)]
    more = len(shown) > limits.PAGE_ELEMENTS
    return Page("invalid.html", {"model": found, "elements": shown[: limits.PAGE_ELEMENTS], "page": page, "more": more})


def log(visit: RequestContext, modelid: int) -> Page:
    """Everything that has been done with a model."""
    found = _model(visit, modelid)
    with visit.workspace.store.read() as connection:
        judged, ran = _evaluations(visit, connection, modelid), runs(connection, modelid)
        marks = feedback.listed(connection, modelid)
    for one in ran:
        one["info"] = [_without_paths(visit, text) for text in one["info"]]
    values = {"model": found, "judged": judged, "runs": ran, "marks": marks[::-1]}
    return Page("log.html", {**values, "minimum": backend.MINIMUM_SCORE})


def evaluation(visit: RequestContext, modelid: int, logid: int) -> Page:
    """One evaluation with its figures."""
    found = _model(visit, modelid)
    one = _evaluation(visit, modelid, logid)
    folder = _folder(visit, found, one)
    names = sorted(path.name for path in folder.iterdir() if path.is_file()) if folder else []
    values = {
        "model": found, "one": one,
        "figures": [name for name in names if FIGURE.fullmatch(name)], "report": REPORT in names,
        "minimum": backend.MINIMUM_SCORE,
    }  # fmt: skip
    return Page("evaluation.html", values)


def evaluation_file(visit: RequestContext, modelid: int, logid: int, name: str) -> Response:
    """A figure or the report of an evaluation."""
    found = _model(visit, modelid)
    folder = _folder(visit, found, _evaluation(visit, modelid, logid))
    path = folder / name if folder else None
    if path is None or not path.is_file() or path.is_symlink():
        raise RequestError(say("no such file"), 404)
    if name == REPORT:
        text = _without_paths(visit, path.read_text("utf-8", "replace"))
        return Response(text, media_type="text/html; charset=utf-8", headers=_REPORT_HEADERS)
    return Response(path.read_bytes(), media_type="image/png", headers={"Cache-Control": "private, max-age=86400"})


def change(visit: RequestContext, modelid: int, action: str, form: PageForm) -> Response:
    """Do what a form says."""
    found = _model(visit, modelid)
    if action in TASKS:
        visit.runs.start(PageRun(action, modelid, visit.person.id, _options(found, action, form)))
        return go(f"/analytics/models/{modelid}/run")
    if action == "enable":
        interval = form.text("interval")
        if interval and interval not in definitions.intervals_for(found.target):
            raise RequestError(say("bad interval"), 400)
        models.enable(visit.workspace, modelid, interval or None)
    elif action == "stop":
        visit.runs.stop(modelid)
    elif action == "disable":
        models.edit(visit.workspace, modelid, enabled=False)
    elif action == "clear":
        if form.text("sure") != "yes":
            raise RequestError(say("not sure"), 400)
        models.clear(visit.workspace, modelid)
    return go(f"/analytics/models/{modelid}?done={action}")


def _options(found: AnalyticsModel, action: str, form: PageForm) -> dict[str, Any]:
    """Options of a run."""
    if action != "evaluate":
        return {}
    mode, interval = form.text("mode") or MODES[0], form.text("interval")
    if mode not in MODES or (interval and interval not in definitions.intervals_for(found.target)):
        raise RequestError(say("bad interval"), 400)
    return {"mode": mode, "interval": None if mode == TRAINED_MODEL else interval or None}


def _model(visit: RequestContext, modelid: int) -> AnalyticsModel:
    """A model for a manager; RequestError of 403 or 404."""
    visit.require_manager()
    with visit.workspace.store.read() as connection:
        found = next((one for one in models.listed(connection) if one.id == modelid), None)
    if found is None:
        raise RequestError(say("no model", id=modelid), 404)
    return found


def _evaluations(visit: RequestContext, connection: Connection, modelid: int) -> list[dict[str, Any]]:
    """The log of a model's evaluations, newest first, for a page."""
    found = evaluations(connection, modelid)
    for one in found:
        one["info"] = [_without_paths(visit, text) for text in one["info"]]
    return found


def _evaluation(visit: RequestContext, modelid: int, logid: int) -> dict[str, Any]:
    with visit.workspace.store.read() as connection:
        found = next((one for one in _evaluations(visit, connection, modelid) if one["id"] == logid), None)
    if found is None:
        raise RequestError(say("no evaluation"), 404)
    return found


def _folder(visit: RequestContext, found: AnalyticsModel, one: dict[str, Any]) -> Path | None:
    """Where an evaluation left its figures, None when it is gone; nothing outside the model's own folder counts."""
    if not one["dir"]:
        return None
    folder, own = (visit.workspace.folder / one["dir"]).resolve(), visit.workspace.modeldir(found).resolve()
    return folder if folder.is_relative_to(own) and folder.is_dir() else None


def _plotted(judged: Sequence[dict[str, Any]]) -> list[Plotted]:
    """Scores over time of each interval that was evaluated more than once."""
    by_interval: dict[str, list[RunFacts]] = {}
    for one in judged:
        facts = RunFacts(one["timecreated"] * 1000, {"score": one["score"], "min_score": backend.MINIMUM_SCORE})
        by_interval.setdefault(one["timesplitting"] or "", []).append(facts)
    drawn = [(interval, chart(facts)) for interval, facts in by_interval.items() if len(facts) > 1]
    return [Plotted(interval, one) for interval, one in drawn if one is not None]


def _without_paths(visit: RequestContext, text: str) -> str:
    """A text for a page, which may be HTML: without the folders of the server."""
    folder = str(visit.workspace.folder)
    return re.sub(rf"({re.escape(folder)}|{re.escape(escape(folder))})[^\s;,<>\"']*", say("server folder"), text)
