"""Calls of the processors, on data sets of models.

Training and evaluation run in processes of their own, which take TensorFlow, its memory and whatever may go wrong there
with them when they end; predictions are computed here, for they need NumPy alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from moodlemlbackend.analytics.features.definitions import classes, last_part, target_name
from moodlemlbackend.analytics.insights.names import interval_name
from moodlemlbackend.analytics.insights.texts import class_label
from moodlemlbackend.analytics.lifecycle.analysing import masked_columns
from moodlemlbackend.cluster import current
from moodlemlbackend.errors import Status
from moodlemlbackend.operations import backtest as past
from moodlemlbackend.operations import evaluate as evaluation
from moodlemlbackend.operations import train as training
from moodlemlbackend.operations.isolated import run_isolated
from moodlemlbackend.operations.predict import PredictedSamples, predict_to_explain
from moodlemlbackend.runtime.progress import QuietReporter, reporter_of_process
from moodlemlbackend.settings.backend import load_settings
from moodlemlbackend.storage.model_store import ModelStore

if TYPE_CHECKING:
    from pathlib import Path

    from moodlemlbackend.analytics.models import AnalyticsModel
    from moodlemlbackend.analytics.workspace import Workspace
    from moodlemlbackend.settings.backend import Settings

MINIMUM_SCORE = 0.7
ACCEPTED_DEVIATION = 0.05
ITERATIONS = 10


class Verdict(NamedTuple):
    """What a processor says of a training or evaluation."""

    status: Status
    info: list[str]
    score: float = 0.0
    dir: str = ""
    result: dict[str, Any] = {}  # noqa: RUF012  never changed


Parts = Sequence[tuple[int, int]]
"""Courses, or what else is analysed, with their rows in a data set, in its order; none where that is not known."""


def train(
    workspace: Workspace, model: AnalyticsModel, dataset: Path, *, parts: Parts = (), afresh: bool = False
) -> Verdict:
    """Train a model, from nothing if it is ``afresh``."""
    verdict = _verdict(
        run_isolated(
            "training",
            training.train,
            reporter_of_process(),
            workspace.unique_id(model),
            str(workspace.executiondir(model)),
            str(dataset),
            settings=_settings(model),
            afresh=afresh,
            origin=_origin(model, model.interval or "", "train"),
            parts=parts,
            masked=masked_columns(workspace, model),
        )
    )
    if verdict.status == Status.NO_DATASET:  # the file is this run's own: its disk is away
        return verdict._replace(status=Status.GENERAL_ERROR)
    return verdict


def evaluate(
    workspace: Workspace,
    model: AnalyticsModel,
    interval: str,
    dataset: Path,
    *,
    parts: Parts = (),
    trained: bool = False,
) -> Verdict:
    """Judge what can be learned from a data set, or what the trained model has learned."""
    how = ("--mode", "trainedmodel") if trained else ("--interval", last_part(interval))
    return _verdict(
        run_isolated(
            "evaluation",
            evaluation.evaluate,
            reporter_of_process(),
            workspace.unique_id(model),
            str(workspace.evaluationdir(model, interval)),
            str(dataset),
            minscore=MINIMUM_SCORE,
            accepted_deviation=ACCEPTED_DEVIATION,
            iterations=ITERATIONS,
            trained_model_dir=str(workspace.executiondir(model)) if trained else None,
            settings=_settings(model),
            origin=_origin(model, interval, "evaluate", *how),
            parts=parts,
            masked=masked_columns(workspace, model),
        )
    )


def backtest(model: AnalyticsModel, files: Sequence[Path]) -> Verdict:
    """Train and predict as the files say, which then hold the answers: see :mod:`.operations.backtest`."""
    return _verdict(
        run_isolated(
            "backtest",
            past.backtest,
            reporter_of_process(),
            [str(file) for file in files],
            settings=_settings(model),
        )
    )


def predict(workspace: Workspace, model: AnalyticsModel, dataset: Path) -> PredictedSamples:
    """Predict the samples of an unlabelled data set; errors are those of the operation."""
    return predict_to_explain(
        QuietReporter(), workspace.unique_id(model), str(workspace.executiondir(model)), str(dataset)
    )  # fmt: skip


def published(workspace: Workspace, model: AnalyticsModel) -> str | None:
    """Name what is trained now, None for nothing: it changes with every training that succeeds."""
    names = ModelStore(workspace.executiondir(model)).published()
    return None if names is None else " ".join(names)


def wait_for_former_process(workspace: Workspace, model: AnalyticsModel) -> None:
    """Wait until the training of a run that was killed has ended; StorageError when it does not."""
    store = ModelStore(workspace.executiondir(model))
    if store.folder.is_dir():
        with store.lock(load_settings().lock_wait):
            return


def _settings(model: AnalyticsModel) -> Settings:
    """The settings of a call about a model, which uses the cluster that this process uses."""
    cluster = current()
    used = {} if cluster is None else {"cluster": cluster.address, "cluster_files": cluster.files.location}
    return load_settings(processor=model.processor, **used)


def _origin(model: AnalyticsModel, interval: str, task: str, *options: str) -> list[Any]:
    """What a report calls a run and what it is about, and the command that repeats it."""
    return [
        f"{model.name} (model {model.id})",
        ["moodlemlbackend", "models", task, str(model.id), *options],
        target_name(model.target),
        interval_name(interval),
        {str(label): class_label(model.target, label) for label in classes(model.target)},
    ]


def _verdict(result: dict[str, Any]) -> Verdict:
    return Verdict(
        Status(result["status"]), result["info"], float(result.get("score") or 0.0), str(result.get("dir", "")), result
    )
