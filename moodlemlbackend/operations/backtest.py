"""Train a model again and again as its samples grew, and predict with each state of it what came next."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from moodlemlbackend.cluster import using
from moodlemlbackend.processor import get_processor
from moodlemlbackend.runtime.environment import import_quietly
from moodlemlbackend.runtime.progress import stage

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from moodlemlbackend.cluster import Arrays, Cluster, Files
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
    with using(settings.cluster, settings.cluster_files) as cluster:
        progress = stage(reporter, "Training")
        for number, file in enumerate(files):
            with np.load(file) as given:
                data = dict(given)
            trainings = len(data["trainings"])
            answer = {
                "probabilities": np.zeros(len(data["asked"])), "labels": np.zeros(len(data["asked"]), np.int64),
                "scores": np.zeros(len(data["asked"])),
            }  # fmt: skip
            for training, predicted in enumerate(_predictions(cluster, data, settings)):
                chosen = data["training_of"] == training
                for name, values in predicted.items():
                    answer[name][chosen] = values
                progress(number * trainings + training + 1, len(files) * trainings)
            np.savez(file, **answer)  # type: ignore[arg-type]
    return {"status": 0, "info": []}


def _predictions(cluster: Cluster | None, data: Arrays, settings: Settings) -> Iterator[Arrays]:
    """What each training predicts, in order; here or on a cluster."""
    trainings = range(len(data["trainings"]))
    if cluster is None:
        yield from (_train(data, training, settings) for training in trainings)
        return
    names = data["columns"].tolist()
    file = cluster.files.write({"columns": names}, {name: own for name, own in data.items() if name != "columns"})
    for done in cluster.each(partial(_train_elsewhere, file, settings), trainings):
        yield cluster.files.read(done, last=True)[1]
    cluster.files.remove(file)


def _train_elsewhere(file: str, settings: Settings, files: Files, training: int) -> str:
    """Train, and predict, on a worker; returns the name of the file of the predictions."""
    facts, arrays = files.read(file)
    import_quietly(*get_processor(settings.processor).libraries)
    data = {**arrays, "columns": np.array(facts["columns"])}
    return files.write({}, _train(data, training, settings))


def _train(data: Arrays, training: int, settings: Settings) -> Arrays:
    """Train with the rows of one training, and predict those that are asked of it."""
    from moodlemlbackend.dataset.data_set import DataSet, Header
    from moodlemlbackend.metrics import decide
    from moodlemlbackend.operations.train import seed_of
    from moodlemlbackend.processor.processor import checked, code_of
    from moodlemlbackend.processor.training_rows import samples_of

    rows = int(data["trainings"][training])
    header = Header("", {}, tuple(map(str, data["columns"])), CLASSES, "target")
    known = DataSet(header, data["features"][:rows].astype(np.float32), data["labels"][:rows], None)
    samples = samples_of(known, data["courses"][:rows])
    processor = get_processor(settings.processor)
    asked = data["asked"][data["training_of"] == training].astype(np.float32)
    with code_of(processor.name, "backtesting"):
        fitted = processor.fit(samples, seed=seed_of(settings, samples))
        probabilities = checked(fitted.classifier.probabilities(asked), len(asked), len(CLASSES))
    labels, scores = decide(probabilities, fitted.threshold)
    return {"probabilities": probabilities[:, 1], "labels": labels, "scores": scores}
