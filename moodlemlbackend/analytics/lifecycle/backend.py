"""Calls of the processors, on data sets of models.

Training and evaluation run in processes of their own, which take TensorFlow, its memory and whatever may go wrong there
with them when they end; predictions are computed here, for they need NumPy alone.
"""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING, Any, NamedTuple

from moodlemlbackend.errors import Status
from moodlemlbackend.operations.predict import predict as predict_samples
from moodlemlbackend.operations.trained_models import trained_model
from moodlemlbackend.runtime.progress import QuietReporter
from moodlemlbackend.settings.backend import load_settings
from moodlemlbackend.storage.model_store import ModelStore

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from moodlemlbackend.analytics.models import AnalyticsModel
    from moodlemlbackend.analytics.workspace import Workspace
    from moodlemlbackend.processor.explanation import Explanations

MINIMUM_SCORE = 0.7
ACCEPTED_DEVIATION = 0.05
ITERATIONS = 10


class Predicted(NamedTuple):
    """A predicted sample: its unique id, the class, and the score of that class on the scale where .5 decides."""

    id: str
    prediction: float
    score: float


class Verdict(NamedTuple):
    """What a processor says of a training or evaluation."""

    status: Status
    info: list[str]
    score: float = 0.0
    dir: str = ""
    result: dict[str, Any] = {}  # noqa: RUF012  never changed


def train(workspace: Workspace, model: AnalyticsModel, dataset: Path, *, afresh: bool = False) -> Verdict:
    """Train a model, from nothing if it is ``afresh``."""
    options = ["--afresh"] if afresh else []
    return _run(
        "train", workspace.unique_id(model), workspace.executiondir(model), dataset, *options, *_processor(model)
    )


def evaluate(
    workspace: Workspace, model: AnalyticsModel, interval: str, dataset: Path, *, trained: bool = False
) -> Verdict:
    """Judge what can be learned from a data set, or what the trained model has learned."""
    options = ["--trained-model", str(workspace.executiondir(model))] if trained else []
    return _run(
        "evaluate",
        workspace.unique_id(model),
        workspace.evaluationdir(model, interval),
        dataset,
        f"--minimum-score={MINIMUM_SCORE}",
        f"--accepted-deviation={ACCEPTED_DEVIATION}",
        f"--iterations={ITERATIONS}",
        *options,
        *_processor(model),
    )


def predict(workspace: Workspace, model: AnalyticsModel, dataset: Path) -> list[Predicted]:
    """Predict the samples of an unlabelled data set; errors are those of the operation."""
    answer = predict_samples(
        QuietReporter(),
        workspace.unique_id(model),
        str(workspace.executiondir(model)),
        str(dataset),
        settings=load_settings(processor=model.processor),
    )
    return [Predicted(sample, float(label), float(score)) for sample, label, score in answer["predictions"]]


def explain(
    workspace: Workspace, model: AnalyticsModel, columns: tuple[str, ...], features: Any, samples: Sequence[str]
) -> Explanations:
    """Why the trained model predicts samples as it does; errors as of :func:`.processor.explanation.explain`."""
    from moodlemlbackend.processor.explanation import explain as explain_rows

    trained, _ = trained_model(ModelStore(workspace.executiondir(model)))
    return explain_rows(trained, columns, features, samples)


def published(workspace: Workspace, model: AnalyticsModel) -> str | None:
    """Name what is trained now, None for nothing: it changes with every training that succeeds."""
    found = ModelStore(workspace.executiondir(model)).published()
    return None if found is None else " ".join(found)


def _processor(model: AnalyticsModel) -> Sequence[str]:
    return [f"--processor={model.processor}"] if model.processor else []


def _run(command: str, *arguments: Path | str) -> Verdict:
    """Run a command of ours in another process and read the line that it answers with."""
    called = subprocess.run(
        [sys.executable, "-m", "moodlemlbackend", command, *map(str, arguments)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        check=False,
    )
    line = called.stdout.decode(errors="replace").strip().rpartition("\n")[2]
    try:
        result = json.loads(line)
        errors = result.get("errors") or result.get("info") or []
        info = result.get("info") or ([errors] if isinstance(errors, str) else errors)
        return Verdict(
            Status(int(result["status"])), [str(one) for one in info], float(result.get("score") or 0.0),
            str(result.get("dir") or ""), result,
        )  # fmt: skip
    except (ValueError, KeyError, TypeError, AttributeError):
        text = f"The command {command} ended with the exit code {called.returncode} and no result."
        return Verdict(Status.GENERAL_ERROR, [text])
