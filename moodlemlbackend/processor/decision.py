"""The threshold that parts two classes best, from held-out rows."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from moodlemlbackend.metrics import best_threshold, smooth_threshold

Floats = npt.NDArray[np.float64]

LEAST_HELD_OUT = 5.0
"""Held-out samples of each of two classes from which on a threshold is worth finding."""

MOST_HELD_OUT = 20_000
"""Held-out rows that a threshold is found on; of more, every second, third … is taken."""

_SATURATED = 1e-12
_CALIBRATION_STEPS = 12


def decision_threshold(probabilities: Floats | None, targets: npt.NDArray[np.float32] | None) -> float:
    """Return the probability of class 1 that parts the classes best (largest Matthews correlation).

    Both are (rows, K), of held-out rows. The threshold lies midway, in logits, between the one that is best by the
    classes of these rows and the one that their calibrated probabilities call for, which single rows cannot move.
    It is .5 where there are not two classes, or too few held-out rows.
    """
    if probabilities is None or targets is None or targets.shape[1] != 2:
        return 0.5
    if (targets.sum(axis=0) < LEAST_HELD_OUT).any():
        return 0.5
    some = slice(None, None, len(targets) // MOST_HELD_OUT + 1)
    probabilities, targets = probabilities[some], targets[some]
    scores, labels = np.repeat(probabilities[:, 1], 2), np.tile([0, 1], len(targets))
    by_class = smooth_threshold(scores, labels, targets.reshape(-1))
    by_probability = best_threshold(scores, labels, _expected(probabilities[:, 1], targets).reshape(-1))
    odds = np.sqrt(by_class / (1 - by_class) * by_probability / (1 - by_probability))
    return float(odds / (1 + odds))


def _expected(probability: Floats, targets: npt.NDArray[np.float32]) -> Floats:
    """How often each row should occur with each class, (rows, 2), by its probability of class 1.

    The probabilities are calibrated first, should a processor not have done that: a logistic regression on their
    log-odds by Newton's method, with a Gaussian prior of deviation 1 around leaving them as they are (Platt 1999).
    """
    inside = np.clip(probability, _SATURATED, 1 - _SATURATED)
    inputs = np.stack([np.ones(len(inside)), np.log(inside / (1 - inside))])
    rows = targets.sum(axis=1)
    unchanged = np.array([0.0, 1.0])
    base_rate = targets[:, 1].sum() / rows.sum()
    fitted = np.array([np.log(base_rate / (1 - base_rate)), 0.0])  # from here Newton's steps are never too long
    for _ in range(_CALIBRATION_STEPS):
        chance = 0.5 + 0.5 * np.tanh(fitted @ inputs / 2)
        gradient = inputs @ (rows * chance - targets[:, 1]) + fitted - unchanged
        curvature = (inputs * (rows * chance * (1 - chance))) @ inputs.T + np.eye(2)
        fitted -= np.linalg.solve(curvature, gradient)
    chance = 0.5 + 0.5 * np.tanh(fitted @ inputs / 2)
    expected: Floats = rows[:, None] * np.stack([1 - chance, chance], axis=1)
    return expected
