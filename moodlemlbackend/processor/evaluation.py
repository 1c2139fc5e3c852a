"""Judging a model: repeated splits, metrics, verdict.

A configuration is judged by training on 80 % of the samples and rating the rest, several times over; a trained model
by rating it once on all samples.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from moodlemlbackend.errors import NotEnoughDataError, Status
from moodlemlbackend.metrics import FIGURES, HELD_OUT_SHARE, Rating

if TYPE_CHECKING:
    from moodlemlbackend.processor.processor import Fitted
    from moodlemlbackend.processor.training_rows import TrainingRows

Indices = npt.NDArray[np.int64]

FEW_SAMPLES = 4_000
FEW_SHARES = (0.125, 0.25, 0.5)
SHARES = (0.125, 0.35)
"""Parts of the training rows that a learning curve is drawn through, with that few samples and with more."""

MOST_SPLITS = 3
SPLITS_FOR_ONE = 5
"""A learning curve is drawn from three splits; with more samples from one in five, which costs a third more time."""

LEAST_OF_CLASS = 5


@dataclass(frozen=True)
class Split:
    """Indices of the rows to train on and of those to rate."""

    training: Indices
    held_out: Indices


@dataclass(frozen=True)
class Smaller:
    """A classifier trained on a part of a split's training rows: how many samples, of which split, how good."""

    split: int
    rows: int
    rating: Rating


@dataclass(frozen=True, eq=False)
class SplitRatings:
    """What judging a configuration came to; iterates over the rating and the fit of each split.

    ``learning_curve`` has no entry unless it was asked for.
    """

    splits: list[Split]
    rated: list[tuple[Rating, Fitted]]
    learning_curve: list[Smaller]

    def __iter__(self) -> Iterator[tuple[Rating, Fitted]]:
        return iter(self.rated)


def smaller_splits(samples: TrainingRows, splits: list[Split], seed: int) -> list[tuple[int, Indices]]:
    """Draw parts of the splits' training rows for a learning curve; the number of each one's split and its rows.

    Where there are few samples, which take little time to train on, more parts of more splits. Each has its share of
    every class, and five samples of each at least.
    """
    few = len(samples) <= FEW_SAMPLES
    shares, most = (FEW_SHARES, MOST_SPLITS) if few else (SHARES, len(splits) // SPLITS_FOR_ONE)
    labels = samples.labels
    rng = np.random.default_rng((seed, len(splits)))
    drawn = []
    for number, split in enumerate(splits[: min(most, MOST_SPLITS)]):
        shuffled = rng.permutation(split.training)
        by_class = [shuffled[labels[shuffled] == k] for k in range(len(samples.classes))]
        for share in shares:
            parts = [rows[: max(LEAST_OF_CLASS, round(share * len(rows)))] for rows in by_class]
            if all(len(part) < len(rows) for part, rows in zip(parts, by_class, strict=True)):
                drawn.append((number, np.sort(np.concatenate(parts))))
    return drawn


def stratified_splits(samples: TrainingRows, iterations: int, seed: int) -> list[Split]:
    """Draw splits that hold out a fifth of every class, and at least one sample of it.

    Raises
    ------
    NotEnoughDataError
        A class has fewer than two samples.
    """
    labels = samples.labels
    by_class = [np.flatnonzero(labels == k) for k in range(len(samples.classes))]
    for name, rows in zip(samples.classes, by_class, strict=True):
        if len(rows) < 2:
            raise NotEnoughDataError(
                f"There {'is 1 sample' if len(rows) else 'is no sample'} of class {name} among {len(labels)}; "
                "an evaluation needs two or more of every class: wait for more courses to finish."
            )
    rng = np.random.default_rng(seed)
    splits = []
    for _ in range(iterations):
        training, held_out = [], []
        for rows in by_class:
            shuffled = rng.permutation(rows)
            count = max(1, round(len(rows) * HELD_OUT_SHARE))
            held_out.append(shuffled[:count])
            training.append(shuffled[count:])
        splits.append(Split(np.sort(np.concatenate(training)), np.sort(np.concatenate(held_out))))
    return splits


def verdict(
    ratings: list[Rating], *, minimum_score: float, accepted_deviation: float, score: str
) -> tuple[dict[str, Any], list[str]]:
    """Turn ratings into the object for Moodle, without ``dir`` and ``runid``, and sentences for its ``info``.

    ``score`` chooses the score: ``mcc``, the Matthews correlation scaled to 0..1, or ``f1``, the weighted F1.
    """
    figures = [rating.figures() for rating in ratings]
    table = {name: np.array([one[name] for one in figures]) for name in FIGURES}
    scores = (table["mcc"] + 1) / 2 if score == "mcc" else table["f1_score"]
    result: dict[str, Any] = {
        "auc": float(table["auc"].mean()),
        "auc_deviation": float(table["auc"].std()),
        **{name: float(table[name].mean()) for name in FIGURES if name not in ("auc", "mcc")},
        "mcc": float(table["mcc"].mean()),
        "mcc_deviation": float(table["mcc"].std()),
        "score": float(scores.mean()),
        "score_deviation": float(scores.std()),
        "min_score": minimum_score,
        "accepted_deviation": accepted_deviation,
    }
    status, info = Status.OK, []
    if result["score"] < minimum_score:
        status |= Status.LOW_SCORE
        info.append(
            f"The evaluated model does not predict well enough: its score is {result['score']:.4f} and should be "
            f"{minimum_score:g} or more."
        )
    if result["score_deviation"] > accepted_deviation:
        status |= Status.NOT_ENOUGH_DATA
        info.append(
            f"The scores of the {len(ratings)} evaluations differ too much: their standard deviation is "
            f"{result['score_deviation']:.4f} and should be {accepted_deviation:g} or less; more data is needed."
        )
    result["status"] = int(status)
    return result, info


def mean_figures(result: Mapping[str, Any]) -> str:
    """The main figures of a verdict as a line for the log."""
    names = ("score", "mcc", "auc", "accuracy", "balanced accuracy", "f1_score")
    return ", ".join(f"{name} {result[name]:.4f}" for name in names)
