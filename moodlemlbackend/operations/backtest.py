"""Train a model again and again as its samples grew, and predict with each state of it what came next."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from moodlemlbackend.processor import get_processor
from moodlemlbackend.runtime.progress import stage

if TYPE_CHECKING:
    from collections.abc import Sequence

    from moodlemlbackend.runtime.progress import Reporter
    from moodlemlbackend.settings.backend import Settings

CLASSES = ("0", "1")


def backtest(reporter: Reporter, files: Sequence[str], *, settings: Settings) -> dict[str, Any]:
    """Train on the first rows of each file, as many as each of its trainings has, and predict the rows of that one.

    A file of NumPy (``.npz``) holds ``columns``; ``features`` (rows, columns), ``labels`` (rows,) 0 or 1 and
    ``courses`` (rows,) in the order of time; ``trainings`` (trainings,) numbers of rows; ``asked`` (asked, columns)
    rows to predict and ``training_of`` (asked,) the training that predicts each. What comes of it takes its place:
    ``probabilities`` (asked,) of class 1, ``labels`` and decision ``scores`` (asked,). No training sees a row beyond
    its own, not even in its encoding or its seed.
    """
    from moodlemlbackend.dataset.data_set import DataSet, Header
    from moodlemlbackend.metrics import decide
    from moodlemlbackend.operations.train import seed_of
    from moodlemlbackend.processor.training_rows import samples_of

    processor = get_processor(settings.processor)
    progress = stage(reporter, "Training")
    for number, file in enumerate(files):
        with np.load(file) as given:
            data = dict(given)
        header = Header(file, {}, tuple(map(str, data["columns"])), CLASSES, "target")
        asked, training_of = data["asked"].astype(np.float32), data["training_of"]
        answer = {
            "probabilities": np.zeros(len(asked)), "labels": np.zeros(len(asked), np.int64),
            "scores": np.zeros(len(asked)),
        }  # fmt: skip
        for training, rows in enumerate(data["trainings"].tolist()):
            known = DataSet(header, data["features"][:rows].astype(np.float32), data["labels"][:rows], None)
            samples = samples_of(known, data["courses"][:rows])
            fitted = processor.fit(samples, seed=seed_of(settings, samples))
            chosen = training_of == training
            probabilities = fitted.classifier.probabilities(asked[chosen])
            answer["probabilities"][chosen] = probabilities[:, 1]
            answer["labels"][chosen], answer["scores"][chosen] = decide(probabilities, fitted.threshold)
            progress(number * len(data["trainings"]) + training + 1, len(files) * len(data["trainings"]))
        np.savez(file, **answer)  # type: ignore[arg-type]
    return {"status": 0, "info": []}
