"""The scheduled tasks: train, predict, clean up. Each may run while another does, on this machine or another."""

from __future__ import annotations

import time
import traceback
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from moodlemlbackend.analytics import lifecycle, models
from moodlemlbackend.analytics.db import (
    calculations,
    choices,
    dataset_files,
    follow_ups,
    history,
    insights,
    notifications,
    predictions,
    risks,
    templates,
    used_samples,
)
from moodlemlbackend.analytics.db import models as rows_of_models
from moodlemlbackend.analytics.features import definitions
from moodlemlbackend.analytics.lifecycle.preview import PlannedMessage, Preview, rehearse_model
from moodlemlbackend.analytics.lifecycle.run_result import RunResult
from moodlemlbackend.analytics.lifecycle.sending import send_due
from moodlemlbackend.analytics.lifecycle.training import begin_training
from moodlemlbackend.analytics.notifications import switch
from moodlemlbackend.analytics.site.contexts import context_ids
from moodlemlbackend.analytics.site.people import existing_samples, existing_users
from moodlemlbackend.analytics.students import messages
from moodlemlbackend.cluster import current
from moodlemlbackend.errors import BackendError, BusyError, NotTrainedError, Status
from moodlemlbackend.files import storage_errors

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    from moodlemlbackend.analytics.db import Connection
    from moodlemlbackend.analytics.features.analysis import Result
    from moodlemlbackend.analytics.models import AnalyticsModel
    from moodlemlbackend.analytics.notifications.attempts import Delivered
    from moodlemlbackend.analytics.site import Site
    from moodlemlbackend.analytics.workspace import Workspace
    from moodlemlbackend.cluster import Cluster

    Shown = Callable[[AnalyticsModel], Callable[[Result], None] | None]

Done = TypeVar("Done")

DAY = 86_400
MOST_TRAININGS = 4
"""So many models are trained at once on a cluster: each has a process here, and holds a connection to the store."""
RUNS_KEPT_SECONDS = 400 * DAY
ERROR_LOG = "errors.log"
_AT_ONCE = 500


@dataclass
class TaskSummary:
    """What a task did: a result a model, the notifications that were sent, and the teachers' messages."""

    task: str
    results: list[RunResult] = field(default_factory=list)
    delivered: Delivered | None = None
    messages: messages.SentMessages | None = None
    info: list[str] = field(default_factory=list)
    removed: dict[str, int] = field(default_factory=dict)
    seconds: float = 0.0

    @property
    def failed(self) -> bool:
        """Whether a model met an error; one with nothing to do, or left to another run, did not."""
        return any(run_result.status & Status.GENERAL_ERROR for run_result in self.results)

    def as_dict(self) -> dict[str, Any]:
        """As JSON can hold it."""
        return {
            "task": self.task,
            "failed": self.failed,
            "info": self.info,
            "models": [run_result.summary() for run_result in self.results],
            "delivered": vars(self.delivered) if self.delivered else None,
            "messages": vars(self.messages) if self.messages else None,
            "removed": self.removed,
            "seconds": self.seconds,
        }


def train_models(workspace: Workspace, site: Site, *, shown: Shown | None = None) -> TaskSummary:
    """Train every enabled model that learns and has an interval; on a cluster while the next ones are analysed."""
    return _each(workspace, site, "train", lifecycle.train, shown)


def predict_models(workspace: Workspace, site: Site, *, shown: Shown | None = None) -> TaskSummary:
    """Have every enabled and trained model predict, and notify people if notifications are on."""
    summary = _each(workspace, site, "predict", lifecycle.predict, shown)
    summary.delivered = send_due(workspace, site)
    summary.messages = messages.deliver(workspace)
    if workspace.settings.notifications and (warning := switch.also_by_moodle(site, on=True)):
        summary.info.append(warning)
    return summary


def rehearse_models(workspace: Workspace, site: Site, *, shown: Shown | None = None) -> tuple[TaskSummary, Preview]:
    """What :func:`predict_models` would give now, and who would be notified; nothing is kept, and nobody notified."""
    messages: list[PlannedMessage] = []

    def run(workspace: Workspace, site: Site, modelid: int, *, shown: Any) -> RunResult:
        run_result, preview = rehearse_model(workspace, site, modelid, shown=shown)
        messages.extend(preview.messages)
        return run_result

    return _each(workspace, site, "predict", run, shown), Preview(messages)


def clean_up(workspace: Workspace, site: Site) -> TaskSummary:
    """Remove what belongs to contexts, analysables and samples that are gone, old calculations, and lost files.

    Messages that could not be sent before are tried again.
    """
    begun = time.perf_counter()
    summary = TaskSummary("cleanup")
    contexts = context_ids(site)
    with workspace.store.write() as connection:
        oldest = workspace.clock() - RUNS_KEPT_SECONDS
        summary.removed["runs"] = history.forget_runs(connection, oldest)
        summary.removed["predictions"] = _forget_contexts(connection, contexts)
        summary.removed["calculations"] = _forget_calculations(connection, workspace, contexts)
        courses, users = {course.id for course in site.courses}, existing_users(site)
        summary.removed["follow-ups"] = _forget_follow_ups(connection, courses, users)
        summary.removed["templates"] = _forget_templates(connection, courses, users)
        left = _parts(sorted(choices.people(connection) - users))
        summary.removed["choices"] = sum(choices.forget_people(connection, part) for part in left)
    with workspace.store.read() as connection:
        listed = models.listed(connection)
        known = rows_of_models.ids(connection)
    for model in listed:
        summary.removed["registers"] = summary.removed.get("registers", 0) + _forget_analysables(workspace, site, model)
        summary.removed["insights"] = summary.removed.get("insights", 0) + _forget_insights(workspace, site, model)
    summary.removed["files"] = dataset_files.remove_unknown(workspace, time.time() - DAY)
    summary.removed["folders"] = _remove_folders(workspace, known)
    summary.delivered = send_due(workspace, site)
    summary.messages = messages.deliver(workspace)
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
    if not site.analytics_enabled:
        summary.info.append("Analytics is switched off on the site; nothing was done.")
        return summary
    with workspace.store.read() as connection:
        enabled = models.listed(connection, enabled=True)
    chosen = [model for model in enabled if model.trained] if task == "predict" else _learning(enabled)
    if not chosen:
        need = "is enabled and trained" if task == "predict" else "is enabled, has an interval and can learn"
        summary.info.append(f"No model {need}; nothing was done.")
    if task == "train" and (cluster := current()) is not None:
        summary.results = _side_by_side(cluster, workspace, site, chosen, shown)
    else:
        for model in chosen:
            show = shown(model) if shown else None
            summary.results.append(
                _attempt(workspace, task, model, partial(run, workspace, site, model.id, shown=show))
            )
    summary.seconds = round(time.perf_counter() - begun, 3)
    return summary


def _side_by_side(
    cluster: Cluster, workspace: Workspace, site: Site, chosen: Sequence[AnalyticsModel], shown: Shown | None
) -> list[RunResult]:
    """Have workers train models while the next ones are analysed; the results are in the order of the models.

    The analyses do not overlap: each has work for all workers, and uses what the former ones have calculated.
    """
    most = min(cluster.workers(), MOST_TRAININGS)
    with ThreadPoolExecutor(most) as threads:
        begun: list[RunResult | Future[RunResult]] = []
        try:
            for model in chosen:
                _wait_for_less(most, begun)
                show = shown(model) if shown else None
                begin = partial(begin_training, workspace, site, model.id, shown=show)
                ready = _attempt(workspace, "train", model, begin)
                begun.append(
                    ready
                    if isinstance(ready, RunResult)
                    else threads.submit(_attempt, workspace, "train", model, ready)
                )
            return [one if isinstance(one, RunResult) else one.result() for one in begun]
        except BaseException:
            threads.shutdown(cancel_futures=True)
            raise


def _wait_for_less(most: int, begun: Sequence[RunResult | Future[RunResult]]) -> None:
    """Wait until fewer than ``most`` trainings go on."""
    going_on = [one for one in begun if isinstance(one, Future) and not one.done()]
    if len(going_on) >= most:
        wait(going_on, return_when=FIRST_COMPLETED)


def _attempt(workspace: Workspace, task: str, model: AnalyticsModel, run: Callable[[], Done]) -> Done | RunResult:
    """What a run gives, or for an error a result that says so."""
    try:
        return run()
    except (BusyError, NotTrainedError) as error:
        return RunResult(task, model.id, model.name, Status.NO_DATASET, [str(error)])
    except BackendError as error:
        return RunResult(task, model.id, model.name, error.status | Status.GENERAL_ERROR, [str(error)])
    except Exception as error:
        return RunResult(task, model.id, model.name, Status.GENERAL_ERROR, [_unexpected(workspace, error)])


def _learning(enabled: Sequence[AnalyticsModel]) -> list[AnalyticsModel]:
    return [model for model in enabled if not model.static and model.interval]


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
    used = predictions.contexts(connection) | notifications.contexts(connection) | risks.contexts(connection)
    removed = 0
    for gone in _parts(sorted(used - set(contexts))):
        notifications.forget(connection, gone)
        risks.forget(connection, gone)
        removed += predictions.forget(connection, gone)
    return removed


def _forget_follow_ups(connection: Connection, courses: Collection[int], users: Collection[int]) -> int:
    """Remove what teachers did, in courses that no longer exist and about students who no longer do."""
    gone = _parts(sorted(follow_ups.courses(connection) - set(courses)))
    removed = sum(follow_ups.forget(connection, courseids=part) for part in gone)
    left = _parts(sorted(follow_ups.students(connection) - set(users)))
    return removed + sum(follow_ups.forget(connection, studentids=part) for part in left)


def _forget_templates(connection: Connection, courses: Collection[int], users: Collection[int]) -> int:
    """Remove the message templates of courses and people that no longer exist."""
    of_courses, of_people = templates.owners(connection)
    removed = sum(templates.forget(connection, courseids=part) for part in _parts(sorted(of_courses - set(courses))))
    return removed + sum(templates.forget(connection, userids=part) for part in _parts(sorted(of_people - set(users))))


def _forget_calculations(connection: Connection, workspace: Workspace, contexts: Collection[int]) -> int:
    """Remove stored calculations of contexts that no longer exist, and those that have been kept long enough."""
    used = calculations.contexts(connection)
    removed = sum(calculations.forget(connection, gone) for gone in _parts(sorted(used - set(contexts))))
    if days := workspace.settings.calculations_lifetime:
        removed += calculations.forget_older(connection, workspace.clock() - days * DAY)
    return removed


def _forget_analysables(workspace: Workspace, site: Site, model: AnalyticsModel) -> int:
    """Remove the registers of analysables that the model's analyser no longer finds."""
    rows = definitions.analyser(model.target).rows(site)
    there = {int(getattr(row, "id", site.system_context)) for row in rows}
    with workspace.store.write() as connection:
        return used_samples.forget_others(connection, model.id, there)


def _forget_insights(workspace: Workspace, site: Site, model: AnalyticsModel) -> int:
    """Remove the insights about samples that are gone, which no list shows; Moodle keeps these predictions."""
    with workspace.store.read() as connection:
        listed = insights.samples(connection, model.id)
    there = existing_samples(site, definitions.analyser(model.target).origin, listed)
    with workspace.store.write() as connection:
        return sum(insights.forget(connection, model.id, part) for part in _parts(sorted(listed - there)))


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
