"""How good predictions are: the figures of an evaluation, and the threshold that turns a probability into a class.

Every function takes what the model says and then the truth:

``predicted``      (n,) int, class indices
``scores``         (n,) float in [0, 1], the probability of class 1
``probabilities``  (n, k) float in [0, 1], rows that sum to 1
``labels``         (n,) int, class indices 0 … k − 1; beside ``scores`` class 1 is positive, every other one negative
``weights``        (n,) float ≥ 0, how many samples a row stands for; one each when omitted

Two numbers are kept apart: the calibrated probability, for people and reports, and the decision score, which Moodle
gets. The score of class 1 is its probability with the log-odds shifted so that .5 is the decision threshold; that of
the predicted class is never under .5, nor under 1 / K with K classes.

A figure that the given rows do not define is 0 or NaN, as its function says, and never a warning. NumPy only:
scikit-learn has most of these too, but its import costs a second of every evaluation.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]

FIGURES = ("mcc", "auc", "accuracy", "balanced accuracy", "precision", "recall", "f1_score")

HELD_OUT_SHARE = 0.2
"""Part of the samples that a split rates."""

CALIBRATION_BINS = 15
BOOTSTRAP_DRAWS = 32

_HAIR = 1e-12  # Matthews correlations this close are equal
_NEARLY_0 = 1e-12  # the odds of probabilities nearer to 0 or 1 are those of this one
_SATURATED = 1e-6  # probabilities nearer to 0 or 1 than this share one logit


@dataclass(frozen=True, eq=False)
class Rating:
    """A classifier on samples it has not seen.

    ``labels`` (rows,) the true classes, ``probabilities`` (rows, K) calibrated, ``threshold`` the decision threshold
    on that of class 1; ``weights`` (rows,) how many samples each row stands for, one each when omitted.
    """

    labels: NDArray[np.int64]
    probabilities: NDArray[np.float64]
    threshold: float
    weights: NDArray[np.float32] | None = None

    def figures(self) -> dict[str, float]:
        """The metrics by the names that Moodle gets: see :data:`FIGURES`.

        They are those of probabilities rounded to float32, as a run's record keeps them: so the report, made of that,
        never shows other figures than the answer.
        """
        probabilities = self.probabilities.astype(np.float32).astype(np.float64)
        predicted = decide(probabilities, self.threshold)[0]
        values = (
            matthews_correlation(predicted, self.labels, self.weights),
            roc_auc(probabilities[:, 1], self.labels, self.weights),
            accuracy(predicted, self.labels, self.weights),
            balanced_accuracy(predicted, self.labels, self.weights),
            *weighted_scores(predicted, self.labels, self.weights),
        )
        return dict(zip(FIGURES, map(float, values), strict=True))


class WeightedScores(NamedTuple):
    """Precision, recall and F1 of each class, averaged by the class's share of the samples; all in [0, 1]."""

    precision: float
    recall: float
    f1: float


class RocCurve(NamedTuple):
    """Points of a ROC curve from (0, 0) to (1, 1), by falling threshold; each (m,)."""

    false_positive_rate: Floats
    true_positive_rate: Floats
    thresholds: Floats


class PrecisionRecallCurve(NamedTuple):
    """Points of a precision–recall curve to precision 1 and recall 0, by rising threshold; each (m,)."""

    precision: Floats
    recall: Floats
    thresholds: Floats


def confusion_matrix(
    predicted: ArrayLike, labels: ArrayLike, weights: ArrayLike | None = None, *, classes: int | None = None
) -> Floats:
    """Weight of the rows of each true class (row) that were predicted as each class (column).

    Returns (k, k) with k = ``classes``, or else the largest class index that occurs plus one.
    """
    assigned, true = np.asarray(predicted, dtype=np.intp), np.asarray(labels, dtype=np.intp)
    k = int(max(assigned.max(initial=0), true.max(initial=0))) + 1 if classes is None else classes
    counts = np.bincount(true * k + assigned, None if weights is None else np.asarray(weights, np.float64), k * k)
    return counts.reshape(k, k).astype(np.float64)


def matthews_correlation(predicted: ArrayLike, labels: ArrayLike, weights: ArrayLike | None = None) -> float:
    """Matthews correlation coefficient in [−1, 1]; for k classes R_k (Gorodkin 2004); 0 when undefined."""
    matrix = confusion_matrix(predicted, labels, weights)
    true, assigned = matrix.sum(axis=1), matrix.sum(axis=0)
    total = true.sum()
    spread = (total**2 - true @ true) * (total**2 - assigned @ assigned)
    if spread <= 0:
        return 0.0
    correlation = (matrix.trace() * total - true @ assigned) / np.sqrt(spread)
    return float(np.clip(correlation, -1, 1))


def accuracy(predicted: ArrayLike, labels: ArrayLike, weights: ArrayLike | None = None) -> float:
    """Share of the samples whose class is predicted right, in [0, 1]; NaN without rows."""
    matrix = confusion_matrix(predicted, labels, weights)
    return _ratio(matrix.trace(), matrix.sum())


def balanced_accuracy(predicted: ArrayLike, labels: ArrayLike, weights: ArrayLike | None = None) -> float:
    """Recall averaged over the classes present in ``labels``, in [0, 1]; NaN without rows."""
    matrix = confusion_matrix(predicted, labels, weights)
    support = matrix.sum(axis=1)
    return _ratio(_divide(matrix.diagonal(), support).sum(), int(np.count_nonzero(support)))


def weighted_scores(predicted: ArrayLike, labels: ArrayLike, weights: ArrayLike | None = None) -> WeightedScores:
    """Precision, recall and F1 averaged over the classes, 0 where a class leaves one undefined; NaN without rows."""
    matrix = confusion_matrix(predicted, labels, weights)
    support, assigned, hits = matrix.sum(axis=1), matrix.sum(axis=0), matrix.diagonal()
    per_class = (_divide(hits, assigned), _divide(hits, support), _divide(2 * hits, assigned + support))
    return WeightedScores(*(_ratio(np.dot(support, figure), support.sum()) for figure in per_class))


def brier_score(scores: ArrayLike, labels: ArrayLike, weights: ArrayLike | None = None) -> float:
    """Mean squared distance between class 1's probability and its truth (0 or 1), in [0, 1]; NaN without rows."""
    distance = np.asarray(scores, np.float64) - (np.asarray(labels) == 1)
    weight = _weights(weights, len(distance))
    return _ratio(np.dot(weight, distance**2), weight.sum())


def expected_calibration_error(
    probabilities: ArrayLike, labels: ArrayLike, weights: ArrayLike | None = None, *, bins: int = CALIBRATION_BINS
) -> float:
    """Distance between confidence and accuracy, averaged over the samples, in [0, 1]; NaN without rows.

    The predicted class is the most probable one and its probability the confidence; both are compared within
    ``bins`` bins of equal width on [0, 1] (Guo et al. 2017).
    """
    chances = np.asarray(probabilities, np.float64)
    confidence = chances.max(axis=1)
    weight = _weights(weights, len(confidence))
    excess = weight * (confidence - (chances.argmax(axis=1) == np.asarray(labels)))
    bin_of = np.minimum((confidence * bins).astype(np.intp), bins - 1)
    return _ratio(np.abs(np.bincount(bin_of, excess, bins)).sum(), weight.sum())


def roc_auc(scores: ArrayLike, labels: ArrayLike, weights: ArrayLike | None = None) -> float:
    """Area under the ROC curve of class 1 against the rest, in [0, 1]; NaN when one of the two is missing.

    The chance that a positive sample scores higher than a negative one, a tie counting half (Mann–Whitney).
    """
    _, positives, negatives = _cumulative(scores, labels, weights)
    area = np.dot(np.diff(negatives), positives[1:] + positives[:-1])
    return _ratio(area, 2 * positives[-1] * negatives[-1])


def roc_curve(scores: ArrayLike, labels: ArrayLike, weights: ArrayLike | None = None) -> RocCurve:
    """ROC curve of class 1 without the points on a straight line between their neighbours.

    A sample counts as positive when its score is at least the threshold; the first threshold is infinity. The rate
    of a class that is missing is NaN.
    """
    thresholds, positives, negatives = _cumulative(scores, labels, weights)
    rise, run = np.diff(positives), np.diff(negatives)
    corner = np.ones(len(thresholds), dtype=bool)
    corner[1:-1] = rise[:-1] * run[1:] != rise[1:] * run[:-1]
    return RocCurve(_rate(negatives)[corner], _rate(positives)[corner], thresholds[corner])


def precision_recall_curve(
    scores: ArrayLike, labels: ArrayLike, weights: ArrayLike | None = None
) -> PrecisionRecallCurve:
    """Precision–recall curve of class 1 without the points whose recall is that of both neighbours.

    A sample counts as positive when its score is at least the threshold; the last threshold is infinity, where
    precision is 1 by convention. The recall is NaN when no sample is positive.
    """
    thresholds, positives, negatives = _cumulative(scores, labels, weights)
    precision = np.ones(len(thresholds))
    precision[1:] = positives[1:] / (positives[1:] + negatives[1:])
    moves = np.diff(positives) > 0
    keep = np.ones(len(thresholds), dtype=bool)
    keep[2:-1] = moves[1:-1] | moves[2:]
    return PrecisionRecallCurve(precision[keep][::-1], _rate(positives)[keep][::-1], thresholds[keep][::-1])


def average_precision(scores: ArrayLike, labels: ArrayLike, weights: ArrayLike | None = None) -> float:
    """Precision averaged over the steps in recall, in [0, 1]; NaN when no sample is positive."""
    _, positives, negatives = _cumulative(scores, labels, weights)
    precision = positives[1:] / (positives[1:] + negatives[1:])
    return _ratio(np.dot(np.diff(positives), precision), positives[-1])


def best_threshold(scores: ArrayLike, labels: ArrayLike, weights: ArrayLike | None = None) -> float:
    """Probability from which on a sample is best taken for class 1: where the Matthews correlation is largest.

    It lies midway, in logits, between the two distinct scores that it parts; of equally good ones it is the nearest
    to .5, and .5 itself when no threshold is better than chance.
    """
    distinct, positives, negatives = _cumulative(scores, labels, weights)
    cuts, correlation = _cut_points(distinct), _matthews_at_cuts(positives, negatives)
    if correlation.max(initial=0) <= _HAIR:
        return 0.5
    equal = cuts[correlation >= correlation.max() - _HAIR]
    return float(equal[np.abs(equal - 0.5).argmin()])


def smooth_threshold(
    scores: ArrayLike, labels: ArrayLike, weights: ArrayLike | None = None, *, draws: int = BOOTSTRAP_DRAWS
) -> float:
    """Like :func:`best_threshold`, less moved by single samples: for few positives, to be used on other samples.

    The mean logit of the best thresholds of ``draws`` Bayesian bootstraps (Rubin 1981), in which every sample has a
    random weight of mean one. The random weights are the same on every call.
    """
    distinct, positives, negatives = _cumulative(scores, labels, weights)
    cuts = _cut_points(distinct)
    if _matthews_at_cuts(positives, negatives).max(initial=0) <= _HAIR:
        return 0.5
    random = np.random.default_rng(0)
    at_score = np.diff(positives), np.diff(negatives)
    chosen = np.empty(draws, dtype=np.intp)
    for draw in range(draws):
        # NOTE: exponential weights of w samples add up to one gamma weight of shape w
        reweighted = (np.append(0.0, np.cumsum(random.standard_gamma(weight))) for weight in at_score)
        chosen[draw] = _matthews_at_cuts(*reweighted).argmax()
    return float(cuts[chosen[0]] if np.ptp(chosen) == 0 else _sigmoid(_logit(cuts[chosen]).mean()))


def _cumulative(scores: ArrayLike, labels: ArrayLike, weights: ArrayLike | None) -> tuple[Floats, Floats, Floats]:
    """Weight of the positives and of the negatives that score at least each threshold.

    Returns thresholds (infinity, then the m distinct scores, falling), positives and negatives; each (m + 1,).
    """
    score, positive = np.asarray(scores, np.float64), np.asarray(labels) == 1
    weight = _weights(weights, len(score))
    if not weight.all():
        score, positive, weight = score[weight > 0], positive[weight > 0], weight[weight > 0]
    order = np.argsort(-score)
    score, weight, positive = score[order], weight[order], positive[order]
    last = np.append(np.flatnonzero(np.diff(score)), np.arange(len(score))[-1:])
    positives, negatives = np.cumsum(weight * positive)[last], np.cumsum(weight * ~positive)[last]
    return np.append(np.inf, score[last]), np.append(0.0, positives), np.append(0.0, negatives)


def _matthews_at_cuts(positives: Floats, negatives: Floats) -> Floats:
    """Matthews correlation at each cut between two distinct scores, (m − 1,); 0 when undefined."""
    hits, false_alarms = positives[1:-1], negatives[1:-1]
    assigned, total = hits + false_alarms, positives[-1] + negatives[-1]
    spread = positives[-1] * negatives[-1] * assigned * (total - assigned)
    return _divide(hits * negatives[-1] - false_alarms * positives[-1], np.sqrt(np.maximum(spread, 0)))


def _cut_points(thresholds: Floats) -> Floats:
    """Midpoints, in logits, of neighbouring distinct scores: thresholds (m + 1,) of ``_cumulative`` to (m − 1,)."""
    above, below = thresholds[1:-1], thresholds[2:]
    return np.clip(_sigmoid((_logit(above) + _logit(below)) / 2), np.nextafter(below, np.inf), above)


def _logit(probability: Floats) -> Floats:
    """Log-odds, of probabilities kept off 0 and 1."""
    inside = np.clip(probability, _SATURATED, 1 - _SATURATED)
    return np.log(inside) - np.log1p(-inside)


def _sigmoid(logit: Floats) -> Floats:
    return 1 / (1 + np.exp(-logit))


def _rate(cumulative: Floats) -> Floats:
    """Cumulative weights as a share of their last; NaN when that is 0."""
    return cumulative / cumulative[-1] if cumulative[-1] > 0 else np.full_like(cumulative, np.nan)


def _weights(weights: ArrayLike | None, rows: int) -> Floats:
    return np.ones(rows) if weights is None else np.asarray(weights, np.float64)


def _divide(numerator: ArrayLike, denominator: ArrayLike) -> Floats:
    """Quotient, 0 where the denominator is 0."""
    below = np.asarray(denominator, np.float64)
    return np.divide(numerator, below, out=np.zeros_like(below), where=below > 0)


def _ratio(numerator: float, denominator: float) -> float:
    """Quotient, NaN when the denominator is 0."""
    return float(numerator / denominator) if denominator > 0 else float("nan")


def decide(probabilities: ArrayLike, threshold: float) -> tuple[NDArray[np.int64], Floats]:
    """Return the predicted class (rows,) and its decision score (rows,) of (rows, K) probabilities."""
    chances = np.asarray(probabilities, np.float64)
    if chances.shape[1] != 2:
        labels = chances.argmax(axis=1)
        return labels, chances[np.arange(len(labels)), labels]
    score = decision_scores(chances[:, 1], threshold)
    labels = (score >= 0.5).astype(np.int64)
    return labels, np.where(labels == 1, score, 1 - score)


def decision_scores(probability: ArrayLike, threshold: float) -> Floats:
    """Probability of class 1 (rows,) with its log-odds shifted so that ``threshold`` becomes .5."""
    inside = np.clip(np.asarray(probability, np.float64), _NEARLY_0, 1 - _NEARLY_0)
    odds = inside / (1 - inside) * (1 - threshold) / threshold
    return odds / (1 + odds)


def standard_error(values: ArrayLike) -> float:
    """Standard error of the mean over repeated splits, which share their rows (Nadeau & Bengio 2003); NaN of one."""
    numbers = np.asarray(values, np.float64)
    if len(numbers) < 2:
        return math.nan
    inflation = 1 / len(numbers) + HELD_OUT_SHARE / (1 - HELD_OUT_SHARE)
    return float(np.sqrt(inflation * numbers.var(ddof=1)))
