"""What a run leaves in its folder for people: figures, and event files for TensorBoard.

::

    logs/{runid}/roc-curve.png, precision-recall.png
    logs/{runid}/tensor/          figures and settings of the run
    logs/{runid}/tensor/split-1/  curves of the first split, and so on
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

from moodlemlbackend import __version__
from moodlemlbackend._files import explain

LIBRARIES_OF_TRAINING = ("tensorboard.summary.writer.record_writer", "tensorboard.plugins.hparams.summary_v2")
LIBRARIES_OF_EVALUATION = ("matplotlib.figure", "matplotlib.backends.backend_agg", *LIBRARIES_OF_TRAINING)
"""Modules slow to import that the functions here need."""

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from moodlemlbackend.processor.base import Fitted
    from moodlemlbackend.processor.evaluation import Rating
    from moodlemlbackend.processor.samples import Samples
    from moodlemlbackend.report.tensorboard import EventWriter
    from moodlemlbackend.runs import Run


def write_training(run: Run, fitted: Fitted, samples: Samples, *, processor: str, seed: int) -> None:
    """Write the course of a training."""
    from moodlemlbackend.report.tensorboard import EventWriter

    with _dispensable(run), EventWriter(run.tensor_dir) as events:
        events.text("about", _about(samples, processor=processor, seed=seed))
        _curves(events, fitted)
        figures = fitted.history[-1] if fitted.history else {}
        events.hyperparameters(_settings(samples, processor, seed), {"threshold": fitted.threshold, **figures})


def write_evaluation(
    run: Run,
    rated: list[tuple[Rating, Fitted | None]],
    samples: Samples,
    result: Mapping[str, Any],
    *,
    processor: str,
    seed: int,
    score: str,
) -> None:
    """Write figures and event files of an evaluation; ``rated`` has no fit where a trained model was rated."""
    from moodlemlbackend.report import figures
    from moodlemlbackend.report.tensorboard import EventWriter

    with _dispensable(run):
        ratings = [rating for rating, _ in rated]
        drawn = {
            "roc-curve": (figures.roc_curve, run.dir / "roc-curve.png"),
            "precision-recall": (figures.precision_recall, run.dir / "precision-recall.png"),
        }
        for draw, path in drawn.values():
            draw(ratings, path)
        for number, (rating, fitted) in enumerate(rated, start=1):
            _write_split(run.tensor_dir / f"split-{number}", rating, fitted)
        with EventWriter(run.tensor_dir) as events:
            events.text("about", _about(samples, processor=processor, seed=seed, score=score, splits=len(ratings)))
            for name, (_, path) in drawn.items():
                events.image(name, path)
            labels = np.concatenate([rating.labels for rating in ratings]) == 1
            chances = np.concatenate([rating.probabilities[:, 1] for rating in ratings])
            events.pr_curve("precision and recall", chances, labels)
            chosen = {name: float(result[name]) for name in ("score", "mcc", "auc", "f1_score", "balanced accuracy")}
            events.hyperparameters({**_settings(samples, processor, seed), "score": score}, chosen)


def _write_split(folder: Path, rating: Rating, fitted: Fitted | None) -> None:
    """Write the course of one split's training, if there was one, and its figures on the rows held out."""
    from moodlemlbackend.report.tensorboard import EventWriter, roc_points

    positive = rating.labels == 1
    with EventWriter(folder) as events:
        if fitted is not None:
            _curves(events, fitted)
        events.pr_curve("precision and recall", rating.probabilities[:, 1], positive)
        for percent, share in roc_points(rating.probabilities[:, 1], positive):
            events.scalar("roc (by percent of false positives)", share, percent)
        for name, value in rating.figures().items():
            events.scalar(f"held out/{name}", value, 0)


@contextmanager
def _dispensable(run: Run) -> Iterator[None]:
    """Tell of a report that cannot be written; what the run has come to stands without it."""
    try:
        yield
    except OSError as error:
        run.tell(f"The figures of this run are not complete. {explain(error, run.dir)}")


def _curves(events: EventWriter, fitted: Fitted) -> None:
    for epoch, figures in enumerate(fitted.history):
        for name, value in figures.items():
            events.scalar(f"training/{name}", value, epoch)


def _settings(samples: Samples, processor: str, seed: int) -> dict[str, Any]:
    return {"processor": processor, "seed": seed, "rows": len(samples), "columns": len(samples.columns)}


def _about(samples: Samples, **settings: Any) -> str:
    """Facts of the data set and settings of the run, as a Markdown table."""
    codes = samples.coded.codes
    counts = ", ".join(f"{name}: {count:g}" for name, count in zip(samples.classes, samples.class_counts, strict=True))
    rows = {
        "moodlemlbackend": __version__,
        **settings,
        "samples": len(samples),
        "samples by class": counts,
        "columns": len(samples.columns),
        "columns that vary": int(samples.coded.varies.sum()),
        "empty cells": f"{1 - np.count_nonzero(codes) / codes.size:.1%}",
    }
    return "| fact | value |\n|---|---|\n" + "\n".join(f"| {name} | {value} |" for name, value in rows.items())
