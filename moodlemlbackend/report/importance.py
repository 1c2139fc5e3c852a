"""Which indicators matter: how much worse a classifier parts the classes once an indicator's values are shuffled.

Permutation importance (Breiman 2001; Fisher, Rudin & Dominici 2019) on rows that were held out. All columns of an
indicator are shuffled together; its importance is the fall in the area under the ROC curve, with more than two classes
the mean over each class against the rest.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from moodlemlbackend.dataset.columns import indicators_of
from moodlemlbackend.report.record import Importance

if TYPE_CHECKING:
    from moodlemlbackend.model.encoding import Indices
    from moodlemlbackend.processor.processor import Classifier
    from moodlemlbackend.processor.training_rows import TrainingRows

MOST_PREDICTIONS = 120_000
"""Predictions that all of it may take: with many indicators fewer rows of each split are used."""

MOST_ROWS, LEAST_ROWS = 512, 64
"""Rows of a split."""

REPEATS = 5
"""Shuffles where there is a single split."""

_PAIRS_AT_ONCE = 8_000_000


def permutation_importances(
    classifiers: list[Classifier], held_out: list[Indices], samples: TrainingRows, *, seed: int
) -> list[Importance]:
    """Importance of every indicator that varies, the largest mean first.

    A value a split, or, where there is a single one, a shuffle. Empty when nothing varies or a class has no held-out
    row. A classifier gets an equal part of each class, as far as it has rows: the area under the ROC curve does not
    depend on how frequent a class is.
    """
    rng = np.random.default_rng(seed)
    varies = samples.coded.varies
    indicators = [indicator for indicator in indicators_of(samples.columns) if varies[list(indicator.columns)].any()]
    groups = [np.array(indicator.columns, np.int64) for indicator in indicators]
    if not groups:
        return []
    if len(classifiers) == 1:
        classifiers, held_out = classifiers * REPEATS, held_out * REPEATS
    rows = MOST_PREDICTIONS // max(1, len(groups) * len(classifiers))
    rows = min(max(rows, LEAST_ROWS), MOST_ROWS)
    labels, classes = samples.labels, len(samples.classes)
    falls = []
    for classifier, candidates in zip(classifiers, held_out, strict=True):
        chosen = _balanced(labels, candidates, classes, rows, rng)
        if len(np.unique(labels[chosen])) < classes:
            return []
        coded = samples.coded.take(chosen)
        usual = classifier.probabilities_of_coded(coded)
        shuffled = classifier.permuted_probabilities(coded, groups, rng.permutation(len(chosen)))
        falls.append(_areas(usual[None], labels[chosen]) - _areas(shuffled, labels[chosen]))
    table = np.stack(falls, axis=1)
    importances = [
        Importance(indicator.name, indicator.label, tuple(map(float, values)))
        for indicator, values in zip(indicators, table, strict=True)
    ]
    return sorted(importances, key=lambda indicator: -float(np.mean(indicator.falls)))


def _balanced(labels: Indices, candidates: Indices, classes: int, rows: int, rng: np.random.Generator) -> Indices:
    """Draw rows of the candidates: as many of each class, or all that there are of it."""
    parts = []
    for k in range(classes):
        of_class = candidates[labels[candidates] == k]
        parts.append(rng.permutation(of_class)[: max(1, rows // classes)])
    return np.concatenate(parts)


def _areas(probabilities: npt.NDArray[np.float64], labels: Indices) -> npt.NDArray[np.float64]:
    """Area under the ROC curve, (groups,), of (groups, rows, K) probabilities; mean over classes of more than two."""
    classes = probabilities.shape[2]
    wanted = range(1, 2) if classes == 2 else range(classes)
    areas: npt.NDArray[np.float64] = np.mean([_area(probabilities[:, :, k], labels == k) for k in wanted], axis=0)
    return areas


def _area(scores: npt.NDArray[np.float64], positive: npt.NDArray[np.bool_]) -> npt.NDArray[np.float64]:
    """Share of the pairs in which the positive row (groups, rows) scores higher, a tie counting half."""
    these, others = scores[:, positive].astype(np.float32), scores[:, ~positive].astype(np.float32)
    areas = np.empty(len(scores))
    at_once = max(1, _PAIRS_AT_ONCE // max(1, these.shape[1] * others.shape[1]))
    for start in range(0, len(scores), at_once):
        part = slice(start, start + at_once)
        own, other = these[part, :, None], others[part, None, :]
        higher, lower = np.count_nonzero(own > other, axis=(1, 2)), np.count_nonzero(own < other, axis=(1, 2))
        areas[part] = 0.5 + (higher - lower) / (2 * max(1, own.shape[1] * other.shape[2]))
    return areas
