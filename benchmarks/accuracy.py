"""How good the network is, beside logistic regression and, with ``--peers``, boosted trees.

``python benchmarks/accuracy.py [DATASET ...] [--splits 10] [--peers]`` prints a table a data set: means over stratified
80/20 splits, the same for all. ``--classes 3,10`` takes simulated data sets of so many classes. In place of the
table ``--rows 30,100,300`` trains on few rows and rates the others, ``--continue`` trains on one half and then on the
other, and ``--curve FILE.png`` draws accuracy against seconds for networks of several sizes.
"""

from __future__ import annotations

import argparse
import importlib
import os
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from data import data_sets, simulated

from moodlemlbackend.metrics import Rating, best_threshold, expected_calibration_error, roc_auc
from moodlemlbackend.model.fitting import fit_splits
from moodlemlbackend.model.training import Options
from moodlemlbackend.processor.decision import decision_threshold
from moodlemlbackend.processor.logistic_regression import LogisticRegression
from moodlemlbackend.processor.neural_network import NeuralNetwork
from moodlemlbackend.processor.processor import Processor, TrainedModel
from moodlemlbackend.processor.splits import Split, row_splits
from moodlemlbackend.processor.training_rows import TrainingRows
from moodlemlbackend.runtime.run import Run
from moodlemlbackend.storage.model_store import ModelStore
from moodlemlbackend.storage.stored_model import StoredModel, read_model

Floats = npt.NDArray[np.float64]
Indices = npt.NDArray[np.int64]
Method = Callable[[TrainingRows, list[Split], int], list[Rating]]
"""Trains on the training rows of each split and rates the held-out ones; the last argument is the seed."""

FIGURES = ("MCC", "AUC", "balanced accuracy", "Brier", "ECE")
HIDDEN = (16, 32, 64, 128)
EPOCHS = (2, 3, 4, 6, 8, 12, 16)
TICKS = (1, 2, 5, 10, 20, 50)


# ---- who is judged ----


def evaluated(processor: Processor) -> Method:
    """The processor's own evaluation; it draws the same splits from the same seed."""
    return lambda samples, splits, seed: [
        rating for rating, _ in processor.evaluate(samples, iterations=len(splits), seed=seed)
    ]


def trained(processor: Processor) -> Method:
    """A training for each split, which does not see even the features of the held-out rows."""

    def rate(samples: TrainingRows, splits: list[Split], seed: int) -> list[Rating]:
        ratings = []
        for split in splits:
            fitted = processor.fit(samples.take(split.training), seed=seed)
            features, labels = _features(samples, split.held_out)
            ratings.append(Rating(labels, fitted.classifier.probabilities(features), fitted.threshold))
        return ratings

    return rate


def peer(make: Callable[[int], Any]) -> Method:
    """A scikit-learn classifier, made from a seed; its threshold is tuned on a fifth of the training rows."""

    def rate(samples: TrainingRows, splits: list[Split], seed: int) -> list[Rating]:
        ratings = []
        for split in splits:
            threshold = 0.5
            if len(samples.classes) == 2:
                [inner] = row_splits(samples.take(split.training), 1, seed)
                seen, aside = split.training[inner.training], split.training[inner.held_out]
                scores = _predicted(make(seed), samples, seen, aside)[:, 1]
                threshold = best_threshold(scores, samples.labels[aside])
            probabilities = _predicted(make(seed), samples, split.training, split.held_out)
            ratings.append(Rating(samples.labels[split.held_out], probabilities, threshold))
        return ratings

    return rate


def _predicted(model: Any, samples: TrainingRows, training: Indices, held_out: Indices) -> Floats:
    """Probabilities (held-out rows, K) after training."""
    probabilities: Floats = model.fit(*_features(samples, training)).predict_proba(_features(samples, held_out)[0])
    return probabilities


def _features(samples: TrainingRows, rows: Indices) -> tuple[npt.NDArray[np.float32], Indices]:
    """Features (rows, columns) with NaN for empty cells, and labels (rows,)."""
    return samples.coded.take(rows).decode(), samples.labels[rows]


def _lightgbm(seed: int) -> Any:
    from lightgbm import LGBMClassifier

    return LGBMClassifier(
        n_estimators=1000,
        learning_rate=0.04,
        num_leaves=50,
        min_child_samples=40,
        subsample=0.75,
        subsample_freq=1,
        random_state=seed,
        verbose=-1,
    )


def _catboost(seed: int) -> Any:
    from catboost import CatBoostClassifier  # type: ignore[import-untyped]

    return CatBoostClassifier(
        iterations=600, learning_rate=0.08, depth=6, random_seed=seed, verbose=False, allow_writing_files=False
    )


def _scikit_learn(seed: int) -> Any:
    from sklearn.impute import SimpleImputer
    from sklearn.linear_model import LogisticRegression as ScikitLogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    return make_pipeline(
        SimpleImputer(strategy="constant", fill_value=0, add_indicator=True, keep_empty_features=True),
        StandardScaler(),
        ScikitLogisticRegression(C=0.1, max_iter=500, random_state=seed),
    )


def _histograms(seed: int) -> Any:
    from sklearn.ensemble import HistGradientBoostingClassifier
    from sklearn.impute import SimpleImputer
    from sklearn.pipeline import make_pipeline

    known = SimpleImputer(strategy="constant", fill_value=-2, keep_empty_features=True)  # it refuses empty columns
    return make_pipeline(known, HistGradientBoostingClassifier(random_state=seed))


PEERS: Mapping[str, Method] = {
    "LightGBM": peer(_lightgbm),
    "CatBoost": peer(_catboost),
    "HistGradientBoosting": peer(_histograms),
    "logistic regression (scikit-learn)": peer(_scikit_learn),
}


def methods(ours: Callable[[Processor], Method], *, peers: bool) -> dict[str, Method]:
    """The two processors, each as ``ours`` runs it, and their peers."""
    processors = {"network": ours(NeuralNetwork()), "logistic regression": ours(LogisticRegression())}
    return {**processors, **(PEERS if peers else {})}


# ---- how ----


def figures(rating: Rating) -> Floats:
    """The :data:`FIGURES` of one split.

    AUC is the mean over the classes, each against the rest. Brier is half the squared distance from the truth: with
    two classes the score of class 1.
    """
    truth = np.eye(rating.probabilities.shape[1])[rating.labels]
    named = rating.figures()
    auc = np.mean([roc_auc(score, of_class) for score, of_class in zip(rating.probabilities.T, truth.T, strict=True)])
    brier = ((rating.probabilities - truth) ** 2).sum(axis=1).mean() / 2
    ece = expected_calibration_error(rating.probabilities, rating.labels)
    return np.array([named["mcc"], auc, named["balanced accuracy"], brier, ece])


def judge(title: str, samples: TrainingRows, splits: list[Split], seed: int, contestants: Mapping[str, Method]) -> None:
    """Print the table of one data set."""
    shape = f"{len(samples):,} × {len(samples.columns)}, mean of {len(splits)} splits"
    print(f"\n{title}: {shape}\n\n| | {' | '.join(FIGURES)} | seconds a split |\n|---|{'---|' * (len(FIGURES) + 1)}")
    for name, rate in contestants.items():
        start = time.perf_counter()
        ratings = rate(samples, splits, seed)
        seconds = (time.perf_counter() - start) / len(splits)
        mean = np.mean([figures(rating) for rating in ratings], axis=0)
        print(f"| {name} | {' | '.join(f'{value:.4f}' for value in mean)} | {seconds:.2f} |", flush=True)


def few_rows(samples: TrainingRows, rows: int, repeats: int, seed: int) -> list[Split]:
    """Draw training sets of so many rows with their share of every class, two of each at least; the rest is rated."""
    rng = np.random.default_rng(seed)
    by_class = [np.flatnonzero(samples.labels == k) for k in range(len(samples.classes))]
    splits = []
    for _ in range(repeats):
        shuffled = [rng.permutation(members) for members in by_class]
        counts = [max(2, round(rows * len(members) / len(samples))) for members in by_class]
        training = np.concatenate([members[:count] for members, count in zip(shuffled, counts, strict=True)])
        splits.append(Split(np.sort(training), np.setdiff1d(np.arange(len(samples)), training)))
    return splits


def load_libraries(*, peers: bool) -> None:
    """Import what is slow to import and train a first network, so that no table counts it."""
    for name in ("sklearn.linear_model", *(("lightgbm", "catboost") if peers else ())):
        importlib.import_module(name)
    NeuralNetwork().fit(simulated(2, quick=True), seed=0)


# ---- training that goes on ----


def go_on(title: str, samples: TrainingRows, splits: list[Split], seed: int) -> None:
    """Print what is left of one half of the rows after training goes on with the other half."""
    courses = ("one half", "then the other half", "the same, from an exported model", "both at once")
    mcc = np.array([list(_course(samples, split, seed)) for split in splits])
    print(f"\n{title}, training that goes on: mean of {len(splits)} splits\n\n| trained on | MCC |\n|---|---|")
    for name, value in zip(courses, mcc.mean(axis=0), strict=True):
        print(f"| {name} | {value:.4f} |", flush=True)


def _course(samples: TrainingRows, split: Split, seed: int) -> Iterator[float]:
    """MCC on the held-out rows after each way to train on the others."""
    rng = np.random.default_rng(seed)
    rows = rng.permutation(split.training)
    rows = rows[np.argsort(samples.labels[rows], kind="stable")]  # alternately to both halves: each has every class
    halves = samples.take(rows[::2]), samples.take(rows[1::2])
    features, labels = _features(samples, split.held_out)
    processor = NeuralNetwork()

    with tempfile.TemporaryDirectory() as folder, Run.start(Path(folder)) as run:

        def mcc(name: str, part: TrainingRows, former: StoredModel | None = None) -> float:
            store = ModelStore(Path(folder) / name)
            known = None if former is None else (processor.load(former), former)
            with store.lock():
                processor.train(store, part, run, former=known, seed=seed)
            model = _in_force(store, processor)
            return Rating(labels, model.classifier.probabilities(features), model.threshold).figures()["mcc"]

        first, second = halves
        yield mcc("first", first)
        stored = ModelStore(Path(folder) / "first").current()
        assert stored is not None
        yield mcc("on", second, stored)
        processor.export(stored, Path(folder) / "exported")
        yield mcc("exported-on", second, read_model(Path(folder) / "exported"))
        yield mcc("both", samples.take(split.training))


def _in_force(store: ModelStore, processor: Processor) -> TrainedModel:
    stored = store.current()
    assert stored is not None
    return processor.load(stored)


# ---- accuracy against time ----


def curve(path: Path, title: str, samples: TrainingRows, splits: list[Split], seed: int, *, peers: bool) -> None:
    """Print and draw MCC and AUC against seconds, for networks of several widths and numbers of epochs."""
    import matplotlib as mpl

    mpl.use("agg")
    from matplotlib import pyplot as plt

    print(f"\n{title}: {len(splits)} splits\n\n| | MCC | AUC | seconds |\n|---|---|---|---|")
    figure, axes = plt.subplots(1, 2, figsize=(10, 3.4), layout="constrained")

    def point(name: str, rate: Method) -> tuple[float, float, float]:
        start = time.perf_counter()
        ratings = rate(samples, splits, seed)
        seconds = time.perf_counter() - start
        mcc, auc = np.mean([figures(rating)[:2] for rating in ratings], axis=0)
        print(f"| {name} | {mcc:.4f} | {auc:.4f} | {seconds:.1f} |", flush=True)
        return seconds, mcc, auc

    for hidden in HIDDEN:
        points = [
            point(
                f"2 × {hidden} units, {epochs} epochs", _network(Options(hidden=hidden, epochs=epochs, least_steps=1))
            )
            for epochs in EPOCHS
        ]
        _draw(axes, points, marker="o", markersize=3, label=f"2 × {hidden} units")
        if hidden == Options().hidden:
            chosen = [points[EPOCHS.index(Options().epochs)]]
            _draw(axes, chosen, marker="o", markersize=9, fillstyle="none", color="black", linestyle="", label="chosen")
    for name, marker in ("LightGBM", "^"), ("CatBoost", "s"):
        if peers:
            _draw(axes, [point(name, PEERS[name])], marker=marker, color="grey", linestyle="", label=name)
    for axis, label in zip(axes, ("MCC", "AUC"), strict=True):
        axis.set(xscale="log", xlabel=f"seconds for {len(splits)} splits", ylabel=label)
        axis.set_xticks(TICKS, labels=map(str, TICKS))
        axis.minorticks_off()
        axis.grid(visible=True, alpha=0.3)
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside right center", fontsize=8)
    figure.savefig(path, dpi=80)


def _network(options: Options) -> Method:
    """The network with other options than its own, as an evaluation trains it."""

    def rate(samples: TrainingRows, splits: list[Split], seed: int) -> list[Rating]:
        training = [split.training for split in splits]
        ratings = []
        fits = fit_splits(samples.coded, samples.targets, training, seed=seed, options=options)
        for fit, split in zip(fits, splits, strict=True):
            features, labels = _features(samples, split.held_out)
            threshold = decision_threshold(fit.held_out.probabilities, fit.held_out.targets)
            ratings.append(Rating(labels, fit.network.probabilities(features), threshold))
        return ratings

    return rate


def _draw(axes: Any, points: list[tuple[float, float, float]], **style: Any) -> None:
    """Draw (seconds, MCC, AUC) points into both axes."""
    seconds, *values = zip(*points, strict=True)
    for axis, value in zip(axes, values, strict=True):
        axis.plot(seconds, value, **style)


def main() -> None:
    def numbers(text: str) -> list[int]:
        return [int(number) for number in text.split(",")]

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dataset", nargs="*", type=Path, help="labelled data set files; default: those there are")
    parser.add_argument("--splits", type=int, default=10, help="splits, or repeats of --rows (default: 10)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--peers", action="store_true", help="needs lightgbm and catboost: see requirements.txt")
    parser.add_argument("--rows", type=numbers, default=[], metavar="N,...", help="train on so few rows")
    parser.add_argument("--classes", type=numbers, default=[], metavar="K,...", help="simulated data: 2, 3, 10 classes")
    parser.add_argument("--continue", dest="go_on", action="store_true", help="train on one half, then on the other")
    parser.add_argument("--curve", type=Path, metavar="FILE.png", help="draw accuracy against seconds")
    parser.add_argument("--quick", action="store_true", help="two splits of a small simulated data set: does it run?")
    arguments = parser.parse_args()
    count, seed, peers = 2 if arguments.quick else arguments.splits, arguments.seed, arguments.peers

    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ.setdefault("TF_USE_LEGACY_KERAS", "1")
    load_libraries(peers=peers)
    simulations = {
        f"simulated, {classes} classes": simulated(classes, quick=arguments.quick) for classes in arguments.classes
    }
    for name, samples in (simulations or data_sets(arguments.dataset, quick=arguments.quick)).items():
        splits = row_splits(samples, count, seed)
        for rows in arguments.rows:
            few = few_rows(samples, rows, count, seed)
            judge(f"{name}, {rows} rows to train on", samples, few, seed, methods(trained, peers=peers))
        if arguments.go_on:
            go_on(name, samples, splits, seed)
        if arguments.curve:
            curve(arguments.curve, name, samples, splits, seed, peers=peers)
        if not (arguments.rows or arguments.go_on or arguments.curve):
            judge(name, samples, splits, seed, methods(evaluated, peers=peers))


if __name__ == "__main__":
    main()
