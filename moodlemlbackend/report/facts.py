"""Facts of a data set that say how much an evaluation on it is worth."""

from __future__ import annotations

import hashlib
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from moodlemlbackend.dataset.columns import AFTER_END, TIME, IndicatorColumns, indicators_of
from moodlemlbackend.model.encoding import Indices, count_kinds, distinct, varying

if TYPE_CHECKING:
    from moodlemlbackend.processor.training_rows import TrainingRows

MOST_NAMES = 20
"""Names listed of columns that are of one sort."""

MOST_ROWS = 20_000
"""Rows on which columns are looked at one by one; of more, every second, third … is taken."""

ALONE = 0.9
"""Share of the errors of always naming the commonest class that a column takes away, to be called one that predicts
the class alone."""


@dataclass(frozen=True)
class Facts:
    """What a labelled data set is made of.

    Attributes
    ----------
    rows, distinct_rows:
        samples, and how many differ in some indicator.
    classes:
        samples by class.
    contradicted:
        share of the samples that equal one of another class in every indicator.
    columns, constant, repeated:
        feature columns; how many have one value, and how many are equal to an earlier one.
    indicators:
        what the columns belong to.
    empty:
        share of the cells without a value.
    constant_names, empty_names:
        some indicators that are constant, and some that have no value in most rows.
    parts:
        samples by part of the course, where the data set has range columns.
    masked:
        columns that are not learned from.
    after_end:
        columns that are learned from and known only after the end of a course.
    course_means:
        whether columns hold means over the course: samples of a course share them.
    alone:
        columns that predict the class nearly alone, each with the share of errors it takes away.
    digest:
        equal for equal data sets.
    """

    rows: int
    distinct_rows: int
    classes: dict[str, int]
    contradicted: float
    columns: int
    constant: int
    repeated: int
    indicators: int
    empty: float
    constant_names: tuple[str, ...]
    empty_names: tuple[str, ...]
    parts: dict[str, int]
    masked: tuple[str, ...]
    after_end: tuple[str, ...]
    course_means: bool
    alone: dict[str, float]
    digest: str

    def as_dict(self) -> dict[str, Any]:
        """Everything as JSON can hold it."""
        return asdict(self)


def facts_of(samples: TrainingRows, kinds: Indices | None = None) -> Facts:
    """Look at a data set; ``kinds`` are those of :func:`kinds_of`, if they are known."""
    codes = samples.coded.codes
    kind = kinds_of(samples) if kinds is None else kinds
    by_class = count_kinds(kind, samples.targets, int(kind.max()) + 1)
    contradicted = by_class[(by_class > 0).sum(axis=1) > 1].sum() / max(by_class.sum(), 1)
    constant = ~samples.coded.varies
    empty = 1 - np.array([np.count_nonzero(column) for column in codes]) / codes.shape[1]
    indicators = indicators_of(samples.columns)
    return Facts(
        rows=len(samples),
        distinct_rows=len(by_class),
        classes={name: round(float(n)) for name, n in zip(samples.classes, samples.class_counts, strict=True)},
        contradicted=float(contradicted),
        columns=len(samples.columns),
        constant=int(constant.sum()),
        repeated=len(codes) - int(constant.sum()) - len(varying(codes)),
        indicators=sum(indicator.name != TIME for indicator in indicators),
        empty=float(empty.mean()),
        constant_names=_names(indicators, constant),
        empty_names=_names(indicators, (empty > 0.5) & ~constant),
        parts=_parts(samples),
        masked=samples.masked,
        after_end=tuple(
            name
            for name, same in zip(samples.columns, constant, strict=True)
            if name.partition("/")[0] == AFTER_END and not same
        ),
        course_means=any("mean" in indicator.parts for indicator in indicators),
        alone=_alone(samples),
        digest=_digest(samples),
    )


def kinds_of(samples: TrainingRows) -> Indices:
    """(rows,) a number that rows share when they are equal in every indicator."""
    codes = samples.coded.codes
    return distinct(codes, np.flatnonzero(samples.coded.varies))[1]


def repeated(kinds: Indices, training: Indices, held_out: Indices) -> npt.NDArray[np.bool_]:
    """(held-out rows,) whether each equals a row of the training in every indicator."""
    seen = np.zeros(int(kinds.max()) + 1, bool)
    seen[kinds[training]] = True
    return seen[kinds[held_out]]


def digest_of_rows(rows: Indices) -> str:
    """A text that is equal for equal rows of a data set."""
    return hashlib.blake2b(rows.astype(np.int64).tobytes(), digest_size=8).hexdigest()


def _names(indicators: tuple[IndicatorColumns, ...], chosen: npt.NDArray[np.bool_]) -> tuple[str, ...]:
    """Labels of the indicators all of whose columns are chosen."""
    return tuple(indicator.label for indicator in indicators if chosen[list(indicator.columns)].all())[:MOST_NAMES]


def _parts(samples: TrainingRows) -> dict[str, int]:
    """Samples by part of the course: where its ``range`` column is 1."""
    facts = {}
    for indicator in indicators_of(samples.columns):
        if indicator.name == TIME:
            for part, column in zip(indicator.parts, indicator.columns, strict=True):
                values = samples.coded.values[column][samples.coded.codes[column]]
                facts[part] = int(np.count_nonzero(values == 1))
    return facts


def _alone(samples: TrainingRows) -> dict[str, float]:
    """Find columns that predict the class alone.

    A row's class is guessed as that of most of the other rows with the same cell, which a column of ever different
    values gains nothing by.
    """
    some = slice(None, None, len(samples) // MOST_ROWS + 1)
    labels, codes = samples.labels[some], samples.coded.codes[:, some]
    classes = len(samples.classes)
    if classes < 2:
        return {}
    errors_without = len(labels) - np.bincount(labels, minlength=classes).max()
    if not errors_without:
        return {}
    offsets = labels * 256
    facts = {}
    for position, column in enumerate(codes):
        counts = np.bincount(column + offsets, minlength=256 * classes).reshape(classes, 256)
        best = counts.max(axis=0)
        second = np.partition(counts, -2, axis=0)[-2]
        errors = counts.sum() - best[best - 1 > second].sum()
        if errors <= (1 - ALONE) * errors_without:
            facts[samples.columns[position]] = float(1 - errors / errors_without)
    largest = sorted(facts.items(), key=lambda item: -item[1])
    return dict(largest[:MOST_NAMES])


def _digest(samples: TrainingRows) -> str:
    digest = hashlib.blake2b(digest_size=16)
    digest.update("\0".join((*samples.columns, "", *samples.classes)).encode())
    for array in (samples.coded.codes, samples.coded.values, samples.targets):
        digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()
