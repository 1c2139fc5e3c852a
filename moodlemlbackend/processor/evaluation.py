"""Judging a model: repeated splits, metrics, verdict.

A configuration is judged by training on some of the samples and rating the rest, several times over (see
:mod:`.splits`); a trained model by rating it once on all samples.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from moodlemlbackend.errors import Status
from moodlemlbackend.metrics import FIGURES, Rating

if TYPE_CHECKING:
    from moodlemlbackend.processor.processor import Fitted
    from moodlemlbackend.processor.splits import Split

Indices = npt.NDArray[np.int64]
Figures = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Smaller:
    """A classifier trained on a part of a split's training rows: how many samples, of which split, how good."""

    split: int
    rows: int
    rating: Rating


@dataclass(frozen=True, eq=False)
class SplitRatings:
    """What judging a configuration came to; iterates over the rating and the fit of each split.

    Attributes
    ----------
    kind:
        how the rows were parted, one of :data:`~moodlemlbackend.processor.splits.SPLITS`.
    reason:
        why not as was asked for, as the end of a sentence; empty where they were.
    learning_curve:
        no entry unless it was asked for.
    seen:
        ratings of splits by row, whose courses were trained on, too; empty where ``splits`` are by row themselves.
    """

    splits: list[Split]
    rated: list[tuple[Rating, Fitted]]
    learning_curve: list[Smaller]
    kind: str = "row"
    reason: str = ""
    seen: list[Rating] = field(default_factory=list)

    def __iter__(self) -> Iterator[tuple[Rating, Fitted]]:
        return iter(self.rated)


def verdict(
    ratings: list[Rating],
    *,
    minimum_score: float,
    accepted_deviation: float,
    score: str,
    seen: list[Rating] | None = None,
) -> tuple[dict[str, Any], list[str]]:
    """Turn ratings into the object for Moodle, without ``dir`` and ``runid``, and sentences for its ``info``.

    ``score`` chooses the score: ``mcc``, the Matthews correlation scaled to 0..1, or ``f1``, the weighted F1. ``seen``
    are ratings by row of the same configuration: whole courses differ more than rows do, so whether there is enough
    data is judged by those, as Moodle does, and the splitting alone never makes it too little.
    """
    table, scores = _scored(ratings, score)
    of_seen = _scored(seen, score) if seen else None
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
            f"The evaluated model does not predict well enough: its score is {result['score']:.4f}, but should be "
            f"at least {minimum_score:g}."
        )
    judged = scores if of_seen is None else min(scores, of_seen[1], key=np.std)
    if judged.std() > accepted_deviation:
        status |= Status.NOT_ENOUGH_DATA
        info.append(
            f"The scores of the {len(judged)} evaluations differ too much: their standard deviation is "
            f"{judged.std():.4f} but should be at most {accepted_deviation:g}; more data is needed."
        )
    if of_seen is not None:
        result["seen"] = {name: float(values.mean()) for name, values in of_seen[0].items()}
        result["seen"]["score"] = float(of_seen[1].mean())
    result["status"] = int(status)
    return result, info


def figures_by_name(ratings: list[Rating]) -> dict[str, Figures]:
    """The figures of ratings by name, (ratings,) each."""
    figures = [rating.figures() for rating in ratings]
    return {name: np.array([of_rating[name] for of_rating in figures]) for name in FIGURES}


def _scored(ratings: list[Rating], score: str) -> tuple[dict[str, Figures], Figures]:
    """The figures of ratings by name, (ratings,) each, and their scores."""
    table = figures_by_name(ratings)
    return table, (table["mcc"] + 1) / 2 if score == "mcc" else table["f1_score"]


def mean_figures(result: Mapping[str, Any]) -> str:
    """The main figures of a verdict as a line for the log."""
    names = ("score", "mcc", "auc", "accuracy", "balanced accuracy", "f1_score")
    return ", ".join(f"{name} {result[name]:.4f}" for name in names)
