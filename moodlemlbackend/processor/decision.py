"""From probabilities to classes.

Two numbers are kept apart: the calibrated probability, for people and reports, and the decision score, which Moodle
gets. The score of class 1 is its probability with the log-odds shifted so that .5 is the decision threshold; that of
the predicted class is never under .5, nor under 1 / K with K classes.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from moodlemlbackend.metrics import smooth_threshold

Floats = npt.NDArray[np.float64]

LEAST_HELD_OUT = 5.0
"""Held-out samples of each of two classes from which on a threshold is worth finding."""

MOST_HELD_OUT = 20_000
"""Held-out rows that a threshold is found on; of more, every second, third … is taken."""

_SATURATED = 1e-12


def decision_threshold(probabilities: Floats | None, targets: npt.NDArray[np.float32] | None) -> float:
    """Return the probability of class 1 that parts the classes best (largest Matthews correlation) on held-out rows.

    Both are (rows, K). It is .5 where there are not two classes, or too few held-out rows.
    """
    if probabilities is None or targets is None or targets.shape[1] != 2:
        return 0.5
    if (targets.sum(axis=0) < LEAST_HELD_OUT).any():
        return 0.5
    some = slice(None, None, len(targets) // MOST_HELD_OUT + 1)
    probabilities, targets = probabilities[some], targets[some]
    scores = np.repeat(probabilities[:, 1], 2)
    labels = np.tile([0, 1], len(targets))
    return smooth_threshold(scores, labels, targets.reshape(-1))


def decide(probabilities: Floats, threshold: float) -> tuple[npt.NDArray[np.int64], Floats]:
    """Return the predicted class (rows,) and its decision score (rows,) of (rows, K) probabilities."""
    if probabilities.shape[1] != 2:
        labels = probabilities.argmax(axis=1)
        return labels, probabilities[np.arange(len(labels)), labels]
    score = decision_scores(probabilities[:, 1], threshold)
    labels = (score >= 0.5).astype(np.int64)
    return labels, np.where(labels == 1, score, 1 - score)


def decision_scores(probability: Floats, threshold: float) -> Floats:
    """Probability of class 1 (rows,) with its log-odds shifted so that ``threshold`` becomes .5."""
    inside = np.clip(probability, _SATURATED, 1 - _SATURATED)
    odds = inside / (1 - inside) * (1 - threshold) / threshold
    return odds / (1 + odds)
