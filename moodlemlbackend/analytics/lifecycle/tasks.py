"""The scheduled tasks: train, predict, clean up. Each may run while another does, on this machine or another."""

from __future__ import annotations

import time
import traceback
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from sqlalchemy import delete, select

from moodlemlbackend.analytics import lifecycle
from moodlemlbackend.analytics.db import dataset_files, models
from moodlemlbackend.analytics.db.schema import (
    DELIVERIES,
    EXPLANATIONS,
    INDICATOR_CALC,
    MODELS,
    NOTIFICATIONS,
    PREDICT_SAMPLES,
    PREDICTION_ACTIONS,
    PREDICTIONS,
    RUNS,
    TRAIN_SAMPLES,
    USED_ANALYSABLES,
)
from moodlemlbackend.analytics.features import definitions
from moodlemlbackend.analytics.lifecycle.run_result import RunResult
from moodlemlbackend.analytics.notifications import outbox
from moodlemlbackend.errors import BackendError, BusyError, NotTrainedError, Status
from moodlemlbackend.files import storage_errors

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    from sqlalchemy import Connection

    from moodlemlbackend.analytics.db.models import AnalyticsModel
    from moodlemlbackend.analytics.features.analysis import Result
    from moodlemlbackend.analytics.site import Site
    from moodlemlbackend.analytics.workspace import Workspace

    Shown = Callable[[AnalyticsModel], Callable[[Result], None] | None]

DAY = 86_400
RUNS_KEPT_SECONDS = 400 * DAY
ERROR_LOG = "errors.log"
_AT_ONCE = 500


@dataclass
class TaskSummary:
    """What a task did: an outcome a model, and what was sent."""

    task: str
    outcomes: list[RunResult] = field(default_factory=list)
    delivered: outbox.Delivered | None = None
    info: list[str] = field(default_factory=list)
    removed: dict[str, int] = field(default_factory=dict)
    seconds: float = 0.0

    @property
    def failed(self) -> bool:
        """Whether a model met an error; one with nothing to do, or left to another run, did not."""
        return any(outcome.status & Status.GENERAL_ERROR for outcome in self.outcomes)

    def as_dict(self) -> dict[str, Any]:
        """As JSON can hold it."""
        return {
            "task": self.task,
            "failed": self.failed,
            "info": self.info,
            "models": [outcome.summary() for outcome in self.outcomes],
            "delivered": vars(self.delivered) if self.delivered else None,
            "removed": self.removed,
            "seconds": self.seconds,
        }


def train_models(workspace: Workspace, site: Site, *, shown: Shown | None = None) -> TaskSummary:
    """Train every enabled model that learns and has an interval."""
    return _each(workspace, site, "train", lifecycle.train, shown)


def predict_models(workspace: Workspace, site: Site, *, shown: Shown | None = None) -> TaskSummary:
    """Have every enabled and trained model predict, and tell people of it."""
    summary = _each(workspace, site, "predict", lifecycle.predict, shown)
    summary.delivered = outbox.deliver(workspace)
    return summary


def clean_up(workspace: Workspace, site: Site) -> TaskSummary:
    """Remove what belongs to contexts and analysables that are gone, calculations past their time, and lost files.

    Messages that could not be sent before are tried again.
    """
    begun = time.perf_counter()
    summary = TaskSummary("cleanup")
    contexts = {context for (context,) in site.database.rows("SELECT id FROM {context}")}
    with workspace.store.write() as connection:
        oldest = workspace.clock() - RUNS_KEPT_SECONDS
        summary.removed["runs"] = connection.execute(delete(RUNS).where(RUNS.c.timestarted < oldest)).rowcount
        summary.removed["predictions"] = _forget_contexts(connection, contexts)
        summary.removed["calculations"] = _forget_calculations(connection, workspace, contexts)
    with workspace.store.read() as connection:
        found = models.listed(connection)
        known = set(connection.execute(select(MODELS.c.id)).scalars())
    for model in found:
        summary.removed["registers"] = summary.removed.get("registers", 0) + _forget_analysables(workspace, site, model)
    summary.removed["files"] = dataset_files.remove_unknown(workspace, time.time() - DAY)
    summary.removed["folders"] = _remove_folders(workspace, known)
    summary.delivered = outbox.deliver(workspace)
    summary.seconds = round(time.perf_counter() - begun, 3)
    return summary


def _each(
    workspace: Workspace,
    site: Site,
    task: str,
    run: Callable[..., RunResult],
    shown: Shown | None,
) -> TaskSummary:
    """Run a task on each of its models; what happens to one is no matter of the others."""
    begun = time.perf_counter()
    summary = TaskSummary(task)
    if site.config.get("enableanalytics", "1") in ("", "0"):
        summary.info.append("Analytics is switched off on the site; nothing was done.")
        return summary
    with workspace.store.read() as connection:
        found = models.listed(connection, enabled=True)
    chosen = [model for model in found if model.trained] if task == "predict" else _learning(found)
    if not chosen:
        need = "enabled and trained" if task == "predict" else "enabled, learns and has an analysis interval"
        summary.info.append(f"No model is {need}; nothing was done.")
    for model in chosen:
        try:
            outcome = run(workspace, site, model.id, shown=shown(model) if shown else None)
        except (BusyError, NotTrainedError) as error:
            outcome = RunResult(task, model.id, model.name, Status.NO_DATASET, [str(error)])
        except BackendError as error:
            outcome = RunResult(task, model.id, model.name, error.status | Status.GENERAL_ERROR, [str(error)])
        except Exception as error:
            outcome = RunResult(task, model.id, model.name, Status.GENERAL_ERROR, [_unexpected(workspace, error)])
        summary.outcomes.append(outcome)
    summary.seconds = round(time.perf_counter() - begun, 3)
    return summary


def _learning(found: Sequence[AnalyticsModel]) -> list[AnalyticsModel]:
    return [model for model in found if not model.static and model.interval]


def _unexpected(workspace: Workspace, error: Exception) -> str:
    """Write an error that nobody foresaw to the log, and say where."""
    path = workspace.folder / ERROR_LOG
    with storage_errors(path), path.open("a", encoding="utf-8") as log:
        log.write(f"{time.strftime('%Y-%m-%dT%H:%M:%SZ', time.gmtime())}\n")
        traceback.print_exception(error, file=log)
    text = " ".join(str(error).split())[:300]
    return f"An unexpected error: {type(error).__name__}: {text}. The details are in {path}."


def _forget_contexts(connection: Connection, contexts: Collection[int]) -> int:
    """Remove predictions, and what belongs to them, of contexts that no longer exist."""
    used = set(connection.execute(select(PREDICTIONS.c.contextid).distinct()).scalars())
    used |= set(connection.execute(select(NOTIFICATIONS.c.contextid).distinct()).scalars())
    removed = 0
    for gone in _parts(sorted(used - set(contexts))):
        of_gone = select(PREDICTIONS.c.id).where(PREDICTIONS.c.contextid.in_(gone))
        for table in (PREDICTION_ACTIONS, EXPLANATIONS):
            connection.execute(delete(table).where(table.c.predictionid.in_(of_gone)))
        told = select(NOTIFICATIONS.c.id).where(NOTIFICATIONS.c.contextid.in_(gone))
        connection.execute(delete(DELIVERIES).where(DELIVERIES.c.notificationid.in_(told)))
        connection.execute(delete(NOTIFICATIONS).where(NOTIFICATIONS.c.contextid.in_(gone)))
        removed += connection.execute(delete(PREDICTIONS).where(PREDICTIONS.c.contextid.in_(gone))).rowcount
    return removed


def _forget_calculations(connection: Connection, workspace: Workspace, contexts: Collection[int]) -> int:
    """Remove stored calculations of contexts that no longer exist, and those that have been kept long enough."""
    used = set(connection.execute(select(INDICATOR_CALC.c.contextid).distinct()).scalars())
    removed = 0
    for gone in _parts(sorted(used - set(contexts))):
        removed += connection.execute(delete(INDICATOR_CALC).where(INDICATOR_CALC.c.contextid.in_(gone))).rowcount
    if days := workspace.settings.calculations_lifetime:
        oldest = workspace.clock() - days * DAY
        removed += connection.execute(delete(INDICATOR_CALC).where(INDICATOR_CALC.c.timecreated < oldest)).rowcount
    return removed


def _forget_analysables(workspace: Workspace, site: Site, model: AnalyticsModel) -> int:
    """Remove the registers of analysables that the model's analyser no longer finds."""
    rows = definitions.analyser(model.target).rows(site)
    there = {int(getattr(row, "id", site.system_context)) for row in rows}
    removed = 0
    with workspace.store.write() as connection:
        for table in (TRAIN_SAMPLES, PREDICT_SAMPLES, USED_ANALYSABLES):
            of_model = table.c.modelid == model.id
            used = set(connection.execute(select(table.c.analysableid).where(of_model).distinct()).scalars())
            for gone in _parts(sorted(used - there)):
                removed += connection.execute(delete(table).where(of_model, table.c.analysableid.in_(gone))).rowcount
    return removed


def _remove_folders(workspace: Workspace, known: Collection[int]) -> int:
    """Remove what a deletion that was interrupted has left of models."""
    removed = 0
    for root in (workspace.folder / "models", workspace.folder / "datasets"):
        with storage_errors(root):
            for folder in root.iterdir() if root.is_dir() else ():
                if folder.name.isdecimal() and int(folder.name) not in known:
                    workspace.remove(folder)
                    removed += 1
    return removed


def _parts(ids: Sequence[int]) -> list[Sequence[int]]:
    return [ids[start : start + _AT_ONCE] for start in range(0, len(ids), _AT_ONCE)]
