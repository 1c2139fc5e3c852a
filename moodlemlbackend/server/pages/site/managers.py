"""What managers of models see, and what they can have done."""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fastapi.responses import Response

from moodlemlbackend.analytics import models
from moodlemlbackend.analytics.db import facts, feedback
from moodlemlbackend.analytics.db import predictions as stored_predictions
from moodlemlbackend.analytics.db.history import evaluations, last_evaluations, runs
from moodlemlbackend.analytics.features import definitions
from moodlemlbackend.analytics.features.invalid import invalid_elements
from moodlemlbackend.analytics.insights import listing
from moodlemlbackend.analytics.insights.names import indicator_name
from moodlemlbackend.analytics.lifecycle import backend, losses, most_flagged
from moodlemlbackend.analytics.lifecycle.evaluation import MODES, TRAINED_MODEL
from moodlemlbackend.dataset.columns import indicators_of
from moodlemlbackend.errors import BackendError, RequestError
from moodlemlbackend.report.both_splits import BothSplits, both_splits
from moodlemlbackend.report.captions import CAPTIONS, TITLES
from moodlemlbackend.report.record import read_result
from moodlemlbackend.server import limits
from moodlemlbackend.server.jobs.page_runs import TASKS, PageRun
from moodlemlbackend.server.pages.charts import calibration_chart, score_chart
from moodlemlbackend.server.pages.model_index import FIGURE, RunFacts
from moodlemlbackend.server.pages.site import contexts
from moodlemlbackend.server.pages.site.confirmations import about_loss, ask
from moodlemlbackend.server.pages.site.responses import Page, go
from moodlemlbackend.server.texts import say

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from moodlemlbackend.analytics.db import Connection
    from moodlemlbackend.analytics.lifecycle.most_flagged import MostFlagged
    from moodlemlbackend.analytics.models import AnalyticsModel
    from moodlemlbackend.server.pages.charts import ScoreChart
    from moodlemlbackend.server.pages.site.confirmations import Question
    from moodlemlbackend.server.pages.site.forms import PageForm
    from moodlemlbackend.server.pages.site.request_context import RequestContext

REFRESH_SECONDS = 3
REPORT = "report.html"
NOTICES = ("enable", "disable", "clear", "stop", "create", "edit", "import")
"""What has just been done to a model, that its page can say."""
SHOWN_EVALUATIONS = 6
"""Latest evaluations on the page of a model; all are on that of its log."""

_REPORT_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; img-src data:; style-src 'unsafe-inline'; frame-ancestors 'none'; "
    "base-uri 'none'; form-action 'none'; sandbox"
}


@dataclass(frozen=True)
class ModelRow:
    """A model in the list: how the interval in use was last evaluated, and how much the model has predicted.

    ``evaluated`` says whether any interval ever was; ``withheld`` is the number of courses about which no one was
    notified.
    """

    model: AnalyticsModel
    evaluation: dict[str, Any] | None
    evaluated: bool
    predictions: int
    withheld: int


@dataclass(frozen=True)
class Withheld:
    """A course about which no one was notified; ``url`` leads to its insights, or to it in Moodle, or is empty."""

    name: str
    url: str
    course: MostFlagged


@dataclass(frozen=True)
class IntervalScores:
    """Scores of one interval over time."""

    interval: str
    chart: ScoreChart


def index(ctx: RequestContext, done: str = "") -> Page:
    """All models."""
    ctx.require_manager()
    with ctx.workspace.store.read() as connection:
        predicted = stored_predictions.by_model(connection)
        evaluated = last_evaluations(connection)
        withheld = most_flagged.counts(connection, ctx.workspace.clock())
        rows = [
            ModelRow(
                model, evaluated.get(model.id, {}).get(model.interval or ""), model.id in evaluated,
                predicted.get(model.id, 0), withheld.get(models.most_flagged_fact(model.id), 0),
            )
            for model in models.listed(connection)
        ]  # fmt: skip
    notice = say("notice delete") if done == "delete" else ""
    return Page("models.html", {"rows": rows, "on": ctx.workspace.settings.notifications, "notice": notice})


def model(ctx: RequestContext, modelid: int, done: str = "") -> Page:
    """One model: what it is, what can be done with it, and how its evaluations went."""
    shown = model_for_manager(ctx, modelid)
    intervals = definitions.intervals_for(shown.target)
    with ctx.workspace.store.read() as connection:
        log = _evaluations(ctx, connection, modelid)
        predicted = stored_predictions.count(connection, modelid)
        withheld = most_flagged.listed(connection, modelid, ctx.workspace.clock())
    in_use = next((entry for entry in log if entry["timesplitting"] == shown.interval), None)
    values = {
        "model": shown, "run": ctx.runs.latest(modelid), "predicted": predicted, "evaluations": log[:SHOWN_EVALUATIONS],
        "evaluation": in_use,
        "more": len(log) > SHOWN_EVALUATIONS, "scores_by_interval": _scores_by_interval(log),
        "indicators": [indicator_name(column.name, column.label) for column in indicators_of(shown.indicators)],
        "intervals": intervals, "modes": MODES,
        "contexts": contexts.named(ctx, shown.contexts or ()), "minimum": backend.MINIMUM_SCORE,
        "processor": shown.processor or say("processor of the site"),
        "has_past": definitions.has_past(shown.target), "audience": definitions.audience(shown.target) or "nobody",
        "notice": say(f"notice {done}") if done in NOTICES else "",
        "withheld": _withheld(ctx, shown, withheld),
    }  # fmt: skip
    return Page("model.html", values)


def progress(ctx: RequestContext, modelid: int, *, refresh: bool) -> Page | Response:
    """What a run is doing, or came to; refreshes itself while it goes on, unless that is not wanted."""
    model, run = model_for_manager(ctx, modelid), ctx.runs.latest(modelid)
    if run is None:
        return go(f"/analytics/models/{modelid}")
    again = REFRESH_SECONDS if run.active and refresh else None
    info = ctx.hidden_paths.hide_in(run.info)
    return Page(
        "run.html",
        {
            "model": model,
            "run": run,
            "info": info,
            "refreshes": bool(again),
            "minimum": backend.MINIMUM_SCORE,
            "now": time.time(),
        },
        again,
    )


def predictions(ctx: RequestContext, modelid: int) -> Page:
    """Where a model has predicted, and how much; with a link where the person may read."""
    model = model_for_manager(ctx, modelid)
    with ctx.workspace.store.read() as connection:
        counted = stored_predictions.by_context(connection, modelid)
        flagged = most_flagged.listed(connection, modelid, ctx.workspace.clock())
    withheld = {course.context: course for course in flagged}
    names = contexts.named(ctx, counted)
    readable = _readable(ctx, model, names)
    rows = sorted(
        ((named, *counted[contextid]) for contextid, named in names.items()), key=lambda row: row[0].name.lower()
    )
    values = {"model": model, "rows": rows, "readable": readable, "withheld": withheld}
    return Page("predictions.html", values)


def backtest(ctx: RequestContext, modelid: int) -> Page:
    """What a model would have done in the past of the site: the figures of its last backtest."""
    model = model_for_manager(ctx, modelid)
    with ctx.workspace.store.read() as connection:
        kept = facts.read(connection, models.backtest_fact(modelid)) or {"intervals": {}, "time": 0, "version": 0}
    intervals = kept["intervals"]
    charts = {name: calibration_chart(figures["by_course"]) for name, figures in intervals.items() if "load" in figures}
    changed = kept["version"] != model.version
    values = {"model": model, "intervals": intervals, "charts": charts, "time": kept["time"], "changed": changed}
    return Page("backtest.html", values)


def invalid(ctx: RequestContext, modelid: int, page: int) -> Page:
    """What on the site a model can neither learn from nor predict, and why."""
    model = model_for_manager(ctx, modelid)
    first = (page - 1) * limits.PAGE_ELEMENTS
    elements = invalid_elements(ctx.site, model, ctx.workspace.clock())
    shown = [*islice(elements, first, first + limits.PAGE_ELEMENTS + 1)]
    more = len(shown) > limits.PAGE_ELEMENTS
    return Page("invalid.html", {"model": model, "elements": shown[: limits.PAGE_ELEMENTS], "page": page, "more": more})


def log(ctx: RequestContext, modelid: int) -> Page:
    """Everything that has been done with a model."""
    model = model_for_manager(ctx, modelid)
    with ctx.workspace.store.read() as connection:
        judged, past_runs = _evaluations(ctx, connection, modelid), runs(connection, modelid)
        marks = feedback.listed(connection, modelid)
    for run in past_runs:
        run["info"] = ctx.hidden_paths.hide_in(run["info"])
    values = {"model": model, "evaluations": judged, "runs": past_runs, "marks": marks[::-1]}
    return Page("log.html", {**values, "minimum": backend.MINIMUM_SCORE})


def evaluation(ctx: RequestContext, modelid: int, logid: int) -> Page:
    """One evaluation with its figures."""
    model = model_for_manager(ctx, modelid)
    evaluation = _evaluation(ctx, modelid, logid)
    folder = _folder(ctx, model, evaluation)
    names = sorted(path.name for path in folder.iterdir() if path.is_file()) if folder else []
    values = {
        "model": model, "evaluation": evaluation,
        "figures": _figures(names), "report": REPORT in names,
        "minimum": backend.MINIMUM_SCORE, "both": _both_splits(folder), "has_past": definitions.has_past(model.target),
    }  # fmt: skip
    return Page("evaluation.html", values)


def _figures(names: Sequence[str]) -> list[tuple[str, str, str]]:
    """The figures among some files: file, title and caption; in the order of the report."""
    files = {name[: -len(".png")]: name for name in names if FIGURE.fullmatch(name)}
    known = [(files[name], title, CAPTIONS[name]) for name, title in TITLES.items() if name in files]
    return [*known, *((file, name.replace("-", " "), "") for name, file in files.items() if name not in TITLES)]


def evaluation_file(ctx: RequestContext, modelid: int, logid: int, name: str) -> Response:
    """A figure or the report of an evaluation."""
    model = model_for_manager(ctx, modelid)
    folder = _folder(ctx, model, _evaluation(ctx, modelid, logid))
    path = folder / name if folder else None
    if path is None or not path.is_file() or path.is_symlink():
        raise RequestError(say("no such file"), 404)
    if name == REPORT:
        text = ctx.hidden_paths.hide(path.read_text("utf-8", "replace"))
        return Response(text, media_type="text/html; charset=utf-8", headers=_REPORT_HEADERS)
    return Response(path.read_bytes(), media_type="image/png", headers={"Cache-Control": "private, max-age=86400"})


def change(ctx: RequestContext, modelid: int, action: str, form: PageForm) -> Page | Response:
    """Do what a form says; what deletes something is asked about first."""
    model = model_for_manager(ctx, modelid)
    if action in TASKS:
        ctx.runs.start(PageRun(action, modelid, ctx.person.id, _options(model, action, form)))
        return go(f"/analytics/models/{modelid}/run")
    if action == "enable":
        interval = form.text("interval") or model.interval or ""
        if interval and interval not in definitions.intervals_for(model.target):
            raise RequestError(say("bad interval"), 400)
        if question := ask(form, _about_interval(ctx, model, interval)):
            return question
        models.enable(ctx.workspace, modelid, interval)
    elif action == "stop":
        ctx.runs.stop(modelid)
    elif action == "disable":
        models.edit(ctx.workspace, modelid, enabled=False)
    elif action == "clear":
        if question := ask(form, about_loss(model, action, losses.if_cleared(ctx.workspace, modelid))):
            return question
        models.clear(ctx.workspace, modelid)
    elif action == "delete":
        if question := ask(form, about_loss(model, action, losses.if_removed(ctx.workspace, modelid))):
            return question
        models.remove(ctx.workspace, modelid)
        return go(f"/analytics?done={action}")
    return go(f"/analytics/models/{modelid}?done={action}")


def _about_interval(ctx: RequestContext, model: AnalyticsModel, interval: str) -> Question:
    """The question before a model is enabled with an interval that cannot help, or another one than it has now."""
    lost = losses.if_edited(ctx.workspace, model.id, enabled=True, interval=interval)
    why_not = definitions.cannot_help(model.target, interval)
    return about_loss(model, "enable", lost, [why_not] if why_not else [], [("interval", interval)])


def _options(model: AnalyticsModel, action: str, form: PageForm) -> dict[str, Any]:
    """Options of a run."""
    if action not in ("evaluate", "backtest"):
        return {}
    mode, interval = form.text("mode") or MODES[0], form.text("interval")
    if mode not in MODES or (interval and interval not in definitions.intervals_for(model.target)):
        raise RequestError(say("bad interval"), 400)
    if action == "backtest":
        return {"intervals": [interval] if interval else []}
    return {"mode": mode, "interval": None if mode == TRAINED_MODEL else interval or None}


def model_for_manager(ctx: RequestContext, modelid: int) -> AnalyticsModel:
    """A model for a manager; RequestError of 403 or 404."""
    ctx.require_manager()
    with ctx.workspace.store.read() as connection:
        model = models.by_id(connection, [modelid]).get(modelid)
    if model is None:
        raise RequestError(say("no model", id=modelid), 404)
    return model


def _readable(ctx: RequestContext, model: AnalyticsModel, contextids: Collection[int]) -> set[int]:
    """In which contexts a person may read a model's insights."""
    if not model.enabled or not model.trained:
        return set()
    return listing.readable(ctx.capabilities, ctx.person.id, model.target, contextids)


def _withheld(ctx: RequestContext, model: AnalyticsModel, flagged: Sequence[MostFlagged]) -> list[Withheld]:
    """The courses that are still there of those about which no one was notified."""
    names = contexts.named(ctx, [course.context for course in flagged])
    readable, ids = _readable(ctx, model, names), {course.context: course.id for course in ctx.site.courses}
    settings = ctx.workspace.settings
    rows = []
    for course in flagged:
        if course.context in names:
            url = f"{settings.wwwroot}/course/view.php?id={ids[course.context]}" if settings.wwwroot else ""
            if course.context in readable:
                url = f"/insights?context={course.context}&model={model.id}"
            rows.append(Withheld(names[course.context].name, url, course))
    return rows


def _evaluations(ctx: RequestContext, connection: Connection, modelid: int) -> list[dict[str, Any]]:
    """The log of a model's evaluations, newest first, for a page."""
    log = evaluations(connection, modelid)
    for entry in log:
        entry["info"] = ctx.hidden_paths.hide_in(entry["info"])
    return log


def _evaluation(ctx: RequestContext, modelid: int, logid: int) -> dict[str, Any]:
    with ctx.workspace.store.read() as connection:
        log = _evaluations(ctx, connection, modelid)
    evaluation = next((entry for entry in log if entry["id"] == logid), None)
    if evaluation is None:
        raise RequestError(say("no evaluation"), 404)
    return evaluation


def _folder(ctx: RequestContext, model: AnalyticsModel, evaluation: dict[str, Any]) -> Path | None:
    """Where an evaluation left its figures, None when it is gone; nothing outside the model's own folder counts."""
    if not evaluation["dir"]:
        return None
    folder, own = Path(ctx.workspace.absolute(evaluation["dir"])).resolve(), ctx.workspace.modeldir(model).resolve()
    return folder if folder.is_relative_to(own) and folder.is_dir() else None


def _both_splits(folder: Path | None) -> BothSplits | None:
    """Figures of an evaluation in new and in seen courses; None where its record is gone or has one kind only."""
    if folder is None:
        return None
    with suppress(BackendError):
        return both_splits(read_result(folder))
    return None


def _scores_by_interval(log: Sequence[dict[str, Any]]) -> list[IntervalScores]:
    """Scores over time of each interval that was evaluated more than once."""
    by_interval: dict[str, list[RunFacts]] = {}
    for entry in log:
        facts = RunFacts(entry["timecreated"] * 1000, {"score": entry["score"], "min_score": backend.MINIMUM_SCORE})
        by_interval.setdefault(entry["timesplitting"] or "", []).append(facts)
    charts = [(interval, score_chart(facts)) for interval, facts in by_interval.items() if len(facts) > 1]
    return [IntervalScores(interval, chart) for interval, chart in charts if chart is not None]
