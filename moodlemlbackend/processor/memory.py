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

from moodlemlbackend import mapped
from moodlemlbackend.dataset.courses import CoursesOfRows, known_courses
from moodlemlbackend.model.codes import CodedRows, Floats, code
from moodlemlbackend.model.encoding import count_kinds, distinct
from moodlemlbackend.processor.training_rows import TrainingRows

if TYPE_CHECKING:
    from moodlemlbackend.storage.stored_model import StoredModel

MOST_ROWS = 50_000
"""Distinct rows remembered. Of more, a random part is kept and counts for all; of rare classes all rows."""

MOST_TEACHING = 4.0
"""How much the classes that a teacher predicts count for at the most, in samples for each new one."""

_COLUMNS, _CODES, _VALUES, _CONSTANTS, _TARGETS, _COURSES = MEMORY = (
    "memory.columns",
    "memory.codes",
    "memory.values",
    "memory.constants",
    "memory.targets",
    "memory.courses",
)


class Teacher(Protocol):
    """Whatever gives probabilities."""

    def probabilities_of_coded(self, coded: CodedRows) -> npt.NDArray[np.float64]:
        """Probabilities (rows, K)."""


def remember(samples: TrainingRows) -> Mapping[str, npt.NDArray[Any]]:
    """Return the arrays that keep the samples' distinct rows."""
    codes, values = samples.coded.codes, samples.coded.values
    columns = np.flatnonzero(samples.coded.varies)
    first, kind = distinct(codes, columns)
    targets = count_kinds(kind, samples.targets, len(first))
    if len(first) > MOST_ROWS:
        kept, total = _some_of_each_class(targets), targets.sum(axis=0)
        first, targets = first[kept], targets[kept]
        targets *= total / np.maximum(targets.sum(axis=0), 1e-9)
    groups = samples.courses.groups
    return {
        _COURSES: np.zeros(0, np.int64) if groups is None else groups[first],
        _COLUMNS: columns,
        _CODES: mapped.take(codes, first, columns),
        _VALUES: values[columns],
        _CONSTANTS: values[np.arange(len(values)), codes[:, 0]],
        _TARGETS: targets,
    }


def _some_of_each_class(targets: Floats) -> npt.NDArray[np.int64]:
    """Choose :data:`MOST_ROWS` of (rows, K) targets in random order: as many of each class as it has, or its part."""
    label = targets.argmax(axis=1)
    rank = np.empty(len(label), np.int64)
    for k in range(targets.shape[1]):
        rank[label == k] = np.arange(np.count_nonzero(label == k))
    return np.sort(np.argsort(rank, kind="stable")[:MOST_ROWS])


def recall(stored: StoredModel, like: TrainingRows) -> TrainingRows | None:
    """Return the rows that a stored model remembers, with the columns of ``like``; None when it has no memory."""
    if not set(MEMORY) <= set(stored.specs):
        return None
    arrays = stored.arrays(*MEMORY)
    columns, constants, targets = arrays[_COLUMNS], arrays[_CONSTANTS], arrays[_TARGETS]
    row = code([constants[None]], len(constants))
    codes, values = np.repeat(row.codes, len(targets), axis=1), row.values.copy()
    codes[columns], values[columns] = arrays[_CODES], arrays[_VALUES]
    classes = tuple(map(str, stored.settings["classes"]))
    groups = arrays[_COURSES]
    courses = known_courses(groups) if len(groups) else CoursesOfRows()
    return TrainingRows(like.columns, classes, CodedRows(codes, values), targets, courses=courses)


def taught(teacher: Teacher, classes: tuple[str, ...], rows: float, samples: TrainingRows) -> TrainingRows:
    """Return the samples as their teacher sees them.

    They count for as many samples as the teacher has learned from (``rows``; 0, unknown: as many as are new), but for
    at most :data:`MOST_TEACHING` times the new ones.
    """
    chances = teacher.probabilities_of_coded(samples.coded)
    weight = min(rows / len(samples), MOST_TEACHING) if rows else 1.0
    taught_targets = (chances * weight).astype(np.float32)
    return TrainingRows(samples.columns, classes, samples.coded, taught_targets, courses=samples.courses)
