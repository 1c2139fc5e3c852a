"""Numbers behind figures and page, from a run's record: curves on a common grid, calibration, thresholds, intervals."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from moodlemlbackend import metrics
from moodlemlbackend.report.record import Held, Record

Floats = npt.NDArray[np.float64]

GRID: Floats = np.linspace(0, 1, 101)
CALIBRATION_BINS = 10
LEAST_IN_BIN = 5.0
"""Samples that a calibration bin needs, all splits together."""

THRESHOLDS = (0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)

MORE_FIGURES = ("average precision", "Brier score", "calibration error")


class Calibration(NamedTuple):
    """By bin of the predicted probability, (bins,): its mean, the share observed, samples a split; NaN where few."""

    predicted: Floats
    observed: Floats
    deviation: Floats
    counts: Floats


@dataclass(frozen=True)
class Warned:
    """Who is warned from a threshold on: mean and standard deviation over the splits, each a share of 1.

    ``warned`` of all samples, ``right`` of those warned that are of the class, ``recalled`` of the class that are
    warned; a mean is NaN where no split defines it.
    """

    threshold: float
    chosen: bool
    warned: tuple[float, float]
    right: tuple[float, float]
    recalled: tuple[float, float]


def rating(held: Held) -> metrics.Rating:
    """The rating that a record keeps."""
    return metrics.Rating(held.labels, held.probabilities.astype(np.float64), held.threshold, held.weights)


def figures_of(held: Held) -> dict[str, float]:
    """The metrics that Moodle gets, and :data:`MORE_FIGURES`."""
    rated = rating(held)
    score, of_class = rated.probabilities[:, 1], (held.labels, held.weights)
    more = (
        metrics.average_precision(score, *of_class),
        metrics.brier_score(score, *of_class),
        metrics.expected_calibration_error(rated.probabilities, *of_class),
    )
    return {**rated.figures(), **dict(zip(MORE_FIGURES, more, strict=True))}


def classes_shown(record: Record) -> list[int]:
    """Classes that have a curve of their own: of two the second, of more all."""
    return [1] if len(record.classes) == 2 else [*range(len(record.classes))]


def roc_heights(record: Record, k: int) -> Floats:
    """True positive rate of class k on :data:`GRID`, (splits, 101); without splits that lack it or the others."""
    heights = []
    for held in record.held:
        curve = metrics.roc_curve(held.probabilities[:, k], held.labels == k, held.weights)
        if not np.isnan(curve.true_positive_rate[-1] + curve.false_positive_rate[-1]):
            height = np.interp(GRID, curve.false_positive_rate, curve.true_positive_rate)
            height[0] = 0
            heights.append(height)
    return np.array(heights).reshape(-1, len(GRID))


def precision_heights(record: Record, k: int) -> Floats:
    """Precision of class k at the recall of :data:`GRID`, (splits, 101); without splits that lack the class."""
    heights = []
    for held in record.held:
        curve = metrics.precision_recall_curve(held.probabilities[:, k], held.labels == k, held.weights)
        if not np.isnan(curve.recall[0]):
            place = np.searchsorted(-curve.recall, -GRID, side="right") - 1  # the last point of at least that recall
            heights.append(curve.precision[np.clip(place, 0, len(curve.recall) - 1)])
    return np.array(heights).reshape(-1, len(GRID))


def areas(record: Record, k: int) -> tuple[Floats, Floats]:
    """Area under the ROC curve and average precision of class k, each (splits,), NaN where not defined."""
    under, precision = [], []
    for held in record.held:
        of_class = held.probabilities[:, k], held.labels == k, held.weights
        under.append(metrics.roc_auc(*of_class))
        precision.append(metrics.average_precision(*of_class))
    return np.array(under), np.array(precision)


def share_of_class(record: Record, k: int) -> float:
    """Share of the held-out samples that are of class k."""
    of_class = sum(float(held.weights[held.labels == k].sum()) for held in record.held)
    return of_class / sum(float(held.weights.sum()) for held in record.held)


def calibration(record: Record, k: int) -> Calibration:
    """Compare the probability of class k with how often it occurs; the deviation is that over the splits."""
    shape = len(record.held), CALIBRATION_BINS
    counts, predicted, observed = np.zeros(shape), np.zeros(shape), np.zeros(shape)
    for number, held in enumerate(record.held):
        chance = held.probabilities[:, k].astype(np.float64)
        place = np.minimum((chance * CALIBRATION_BINS).astype(np.int64), CALIBRATION_BINS - 1)
        for table, values in ((counts, 1.0), (predicted, chance), (observed, held.labels == k)):
            table[number] = np.bincount(place, held.weights * values, CALIBRATION_BINS)
    total = counts.sum(axis=0)
    enough = total >= LEAST_IN_BIN
    with np.errstate(divide="ignore", invalid="ignore"):
        of_split = np.where(counts > 0, observed / counts, np.nan)
        mean_predicted, mean_observed = (
            np.where(enough, table.sum(axis=0) / total, np.nan) for table in (predicted, observed)
        )
    several = (~np.isnan(of_split)).sum(axis=0) > 1
    deviation = np.zeros(CALIBRATION_BINS)
    if several.any():
        deviation[several] = np.nanstd(of_split[:, several], axis=0)
    return Calibration(mean_predicted, mean_observed, deviation, total / len(record.held))


def confusion(record: Record) -> Floats:
    """Held-out samples of each true class (row) predicted as each class (column), mean over the splits."""
    classes = len(record.classes)
    tables = []
    for held in record.held:
        predicted = metrics.decide(held.probabilities.astype(np.float64), held.threshold)[0]
        tables.append(metrics.confusion_matrix(predicted, held.labels, held.weights, classes=classes))
    mean: Floats = np.mean(tables, axis=0)
    return mean


def warned(record: Record, k: int = 1) -> list[Warned]:
    """Say who is warned of class k at :data:`THRESHOLDS`, and with two classes at the decision threshold."""
    own = float(np.mean([held.threshold for held in record.held]))
    rows = [(threshold, False) for threshold in THRESHOLDS]
    if len(record.classes) == 2:
        rows = sorted([*(row for row in rows if round(row[0], 2) != round(own, 2)), (own, True)])
    table = []
    for threshold, chosen in rows:
        shares = []
        for held in record.held:
            score, weight, of_class = held.probabilities[:, k], held.weights, held.labels == k
            flagged = score >= (held.threshold if chosen else threshold)
            hits, all_flagged = weight[flagged & of_class].sum(), weight[flagged].sum()
            in_class = weight[of_class].sum()
            shares.append(
                (all_flagged / weight.sum(), _share(hits, all_flagged), _share(hits, in_class)),
            )
        table.append(Warned(threshold, chosen, *(mean_and_deviation(column) for column in np.array(shares).T)))
    return table


def mean_and_deviation(values: npt.ArrayLike) -> tuple[float, float]:
    """Mean and standard deviation of the values that are numbers; NaN when none is."""
    numbers = np.asarray(values, np.float64)
    numbers = numbers[~np.isnan(numbers)]
    return (float(numbers.mean()), float(numbers.std())) if len(numbers) else (math.nan, math.nan)


def _share(part: float, whole: float) -> float:
    return float(part / whole) if whole > 0 else math.nan
