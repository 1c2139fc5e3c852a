"""What a stored model remembers of its training, so that it can go on learning.

A model keeps the distinct rows it was trained on, as codes with their counts: no ids, one byte a cell. When new rows
come, it is trained on both, which forgets nothing (experience replay; Rolnick et al. 2019). The memory is bounded; it
is not exported. A model without one, because it was imported or is the reference package's, teaches its successor
instead: the new rows also count for the classes it would predict (learning without forgetting; Li & Hoiem 2016).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import numpy.typing as npt

from moodlemlbackend.model.codes import CodedRows
from moodlemlbackend.model.encoding import distinct
from moodlemlbackend.processor.samples import Samples

if TYPE_CHECKING:
    from moodlemlbackend.store import StoredModel

MOST_ROWS = 50_000
"""Distinct rows remembered. Of more, a random part is kept and counts for all."""

MOST_TEACHING = 4.0
"""How much the classes that a teacher predicts count for at the most, in samples for each new one."""

_COLUMNS, _CODES, _VALUES, _CONSTANTS, _TARGETS = MEMORY = (
    "memory.columns",
    "memory.codes",
    "memory.values",
    "memory.constants",
    "memory.targets",
)


class Teacher(Protocol):
    """Whatever gives probabilities of features."""

    def probabilities(self, features: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
        """Probabilities (rows, K) of (rows, columns) features."""


def remember(samples: Samples) -> Mapping[str, npt.NDArray[Any]]:
    """Return the arrays that keep the samples' distinct rows."""
    codes, values = samples.coded.codes, samples.coded.values
    columns = np.flatnonzero((codes != codes[:, :1]).any(axis=1))
    first, kind = distinct(codes[columns])
    targets = np.stack([np.bincount(kind, column, minlength=len(first)) for column in samples.targets.T], axis=1)
    if len(first) > MOST_ROWS:
        total = targets.sum(axis=0)
        first, targets = first[:MOST_ROWS], targets[:MOST_ROWS]
        targets *= total / np.maximum(targets.sum(axis=0), 1e-9)
    return {
        _COLUMNS: columns,
        _CODES: codes[columns][:, first],
        _VALUES: values[columns],
        _CONSTANTS: values[np.arange(len(values)), codes[:, 0]],
        _TARGETS: targets.astype(np.float32),
    }


def recall(stored: StoredModel, like: Samples) -> Samples | None:
    """Return the rows that a stored model remembers, with the columns of ``like``; None when it has no memory."""
    if not set(MEMORY) <= set(stored.specs):
        return None
    arrays = stored.arrays(*MEMORY)
    columns, codes, constants = arrays[_COLUMNS], arrays[_CODES], arrays[_CONSTANTS]
    values = np.full((len(constants), 256), np.nan, np.float32)
    values[:, 1] = constants
    values[columns] = arrays[_VALUES]
    every = np.repeat(np.where(np.isnan(constants), 0, 1).astype(np.uint8)[:, None], codes.shape[1], axis=1)
    every[columns] = codes
    classes = tuple(map(str, stored.settings["classes"]))
    return Samples(like.columns, classes, CodedRows(every, values), arrays[_TARGETS])


def taught(teacher: Teacher, classes: tuple[str, ...] | None, rows: float, samples: Samples) -> Samples:
    """Return the samples as their teacher sees them.

    They count for as many samples as the teacher has learned from (``rows``; 0, unknown: as many as are new), but for
    at most :data:`MOST_TEACHING` times the new ones.
    """
    chances = teacher.probabilities(samples.coded.decode())
    weight = min(rows / len(samples), MOST_TEACHING) if rows else 1.0
    return Samples(samples.columns, classes or samples.classes, samples.coded, (chances * weight).astype(np.float32))
