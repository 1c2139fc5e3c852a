"""Which member of a network trains on which rows, and what is learned from the rows it did not see.

Rows come as kinds with counts: ``targets[i, k]`` says how often the distinct row i occurs with class k. A count is
dealt out over the folds like cards, so that every fold has its share of every class; member m then trains without
fold m (cross-fitting), which gives every row a prediction by a member that never saw it.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from moodlemlbackend.model.codes import Floats
from moodlemlbackend.model.network import Logits, blend_logits, log_softmax

Blend = npt.NDArray[np.float64]

DEFAULT_BLEND: Blend = np.array([0.1, 0.9])
"""Weights of the deep and the linear logits where too few rows were held out to fit them."""

LEAST_HELD_OUT = 5.0
"""Held-out rows that each of two classes needs for a blend to be fitted."""

MOST_HELD_OUT = 50_000
"""Held-out rows that a blend is fitted on; of more, every second, third … is taken."""

_PRIOR = 3.0  # precision
_STEPS = 30
_CONVERGED = 1e-5


def deal(targets: Floats, folds: int, rng: np.random.Generator, groups: npt.NDArray[np.int64] | None = None) -> Floats:
    """Deal (rows, classes) counts out over the folds; returns (folds, rows, classes), which add up to ``targets``.

    With ``groups`` (rows,), the number of each row's course, all rows of a course go into one fold, unless fewer
    courses than folds have rows. A class with a single row is in no fold: every member has to see it.
    """
    dealt = None if groups is None else _deal_groups(targets, folds, rng, groups)
    if dealt is None:
        dealt = _deal_rows(targets, folds, rng)
    dealt[:, :, targets.sum(axis=0) <= 1] = 0
    return dealt


def _deal_rows(targets: Floats, folds: int, rng: np.random.Generator) -> Floats:
    whole = np.floor(targets / folds)
    rest = targets - whole * folds
    cards = np.ceil(rest).astype(np.int64)
    offset = (np.cumsum(cards, axis=0) - cards + rng.integers(folds, size=targets.shape[1])) % folds
    dealt = np.empty((folds, *targets.shape), np.float32)
    for fold in range(folds):
        dealt[fold] = whole + np.clip(rest - (fold - offset) % folds, 0, 1)
    return dealt


def _deal_groups(targets: Floats, folds: int, rng: np.random.Generator, groups: npt.NDArray[np.int64]) -> Floats | None:
    counts = np.zeros((int(groups.max(initial=-1)) + 1, targets.shape[1]))
    np.add.at(counts, groups, targets)
    present = np.flatnonzero(counts.any(axis=1))
    if len(present) < folds:
        return None
    fold_of = np.zeros(len(counts), np.int64)
    fold_of[present] = assign(counts[present].astype(np.float32), folds, rng)
    mine = fold_of[groups] == np.arange(folds)[:, None]
    dealt: Floats = targets * mine[:, :, None]
    return dealt.astype(np.float32, copy=False)


def assign(counts: Floats, folds: int, rng: np.random.Generator) -> npt.NDArray[np.int64]:
    """Put whole groups (courses) into folds of about equal size and equal shares of the classes.

    ``counts`` (groups, classes) says how many rows of each class a group has; returns the fold of each group,
    (groups,). The largest come first, each into the fold that is then the most even (as in longest processing time
    scheduling; Graham 1969); ``rng`` varies the order.
    """
    shares = counts / np.maximum(counts.sum(axis=0), 1e-9)
    order = np.argsort(-shares.sum(axis=1) * rng.uniform(0.8, 1.2, len(counts)), kind="stable")
    held = np.zeros((folds, counts.shape[1]))
    chosen = np.empty(len(counts), np.int64)
    for group in order:
        turn = rng.permutation(folds)
        growth = ((held[turn] + shares[group]) ** 2 - held[turn] ** 2).sum(axis=1)
        fold = turn[growth.argmin()]
        held[fold] += shares[group]
        chosen[group] = fold
    return chosen


def held_out(logits: Logits, folds: Floats) -> tuple[Logits, Floats]:
    """Logits of the rows that members did not see, and how often each occurred with each class.

    ``logits`` and ``folds`` are (folds, rows, classes); both results (held-out rows, classes).
    """
    fold, row = _held_out_rows(folds)
    return logits[fold, row], folds[fold, row]


def held_out_positions(folds: Floats, kind: npt.NDArray[np.int64]) -> npt.NDArray[np.int32]:
    """Where :func:`held_out` has each of (n,) rows of these kinds; -1 where no member held it out."""
    _, row = _held_out_rows(folds)
    position = np.full(folds.shape[1], -1, np.int32)
    position[row] = np.arange(len(row))
    positions: npt.NDArray[np.int32] = position[kind]
    return positions


def _held_out_rows(folds: Floats) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Each fold and each of its rows; a product, because NumPy reduces a short last axis slowly."""
    fold, row = np.nonzero(folds @ np.ones(folds.shape[2], folds.dtype))
    return fold, row


def fit_blend(deep: Logits, linear: Logits, targets: Floats) -> Blend:
    """Fit the weights of deep and linear logits on held-out rows, all (rows, classes).

    A multinomial logistic regression with two non-negative weights and no intercept, by Newton's method, with a
    Gaussian prior around :data:`DEFAULT_BLEND`.
    """
    if np.count_nonzero(targets.sum(axis=0) >= LEAST_HELD_OUT) < 2:
        return DEFAULT_BLEND.copy()
    some = slice(None, None, len(targets) // MOST_HELD_OUT + 1)
    inputs = np.stack([deep[some], linear[some]]).astype(np.float64)
    counts = targets[some].astype(np.float64)
    weight = counts.sum(axis=1, keepdims=True)
    blend = DEFAULT_BLEND.copy()
    for _ in range(_STEPS):
        chance = np.exp(log_softmax(np.tensordot(blend, inputs, 1)))
        gradient = ((weight * chance - counts) * inputs).sum(axis=(1, 2)) + _PRIOR * (blend - DEFAULT_BLEND)
        centred = inputs - (chance * inputs).sum(axis=2, keepdims=True)
        curvature = np.einsum("nk,pnk,qnk->pq", weight * chance, centred, centred) + _PRIOR * np.eye(2)
        step = np.linalg.solve(curvature, gradient)
        # A weight held at 0 must not pull the other along.
        at_zero = (blend <= 0) & (gradient > 0)
        if at_zero.any():
            step = np.where(at_zero, 0, gradient / np.diag(curvature))
        new = np.maximum(blend - step, 0)
        moved = np.abs(new - blend).max()
        blend = new
        if moved < _CONVERGED:
            break
    return blend


def held_out_probabilities(blend: Blend, deep: Logits, linear: Logits) -> npt.NDArray[np.float64]:
    """Calibrated probabilities (rows, classes) of held-out rows."""
    return np.exp(log_softmax(blend_logits(blend, deep, linear)))
