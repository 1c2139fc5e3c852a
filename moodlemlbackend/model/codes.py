"""A data set as one byte a cell.

Moodle rounds what it calculates to hundredths in [-1, 1], so a column has at most 201 values and an empty cell:
a cell fits into one byte. Every later step (which columns vary, which rows repeat, how much a column tells about the
class, the encoding for the network) works on these codes, whatever the size of the file.

A column that breaks the rule (a third party's indicator, a merged file) is laid on bins of its own: its values, or
their quantiles. The order of the rows does not matter.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from moodlemlbackend import mapped

Codes = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float32]

EMPTY = 0
"""Code of an empty cell."""

ROWS_OF_PART = 16_384
"""Rows of the parts in which rows are decoded, or predicted."""

_ZERO = 128
_STEP = 100.0
_EXACT = 1e-4  # of a step: ten times what float32 loses within the reach
_REACH = 127
_MAX_BINS = 254

HUNDREDTHS: Floats = ((np.arange(256) - _ZERO) / _STEP).astype(np.float32)
"""Value of each code of a column of hundredths; NaN for an empty cell."""
HUNDREDTHS[EMPTY] = np.nan


@dataclass(frozen=True, eq=False)
class CodedRows:
    """Rows of a data set as codes.

    Attributes
    ----------
    codes:
        (columns, rows) uint8, a column contiguous; 0 is an empty cell. Those of many rows are in a file
        (:mod:`.mapped`), and are best read by column, or in parts.
    values:
        (columns, 256) float32: the value that a code stands for, NaN for codes not in use.
    """

    codes: Codes
    values: Floats

    @cached_property
    def varies(self) -> npt.NDArray[np.bool_]:
        """(columns,) whether a column has two codes or more."""
        return np.array([bool((column != column[0]).any()) for column in self.codes], bool)

    def take(self, rows: npt.NDArray[np.int64]) -> CodedRows:
        """Return some of the rows."""
        return CodedRows(mapped.take(self.codes, rows), self.values)

    def parts(self, rows: npt.NDArray[np.int64] | None = None) -> Iterator[CodedRows]:
        """Yield the rows, or some of them, in parts of :data:`ROWS_OF_PART`."""
        for start in range(0, self.codes.shape[1] if rows is None else len(rows), ROWS_OF_PART):
            part = slice(start, start + ROWS_OF_PART)
            yield CodedRows(self.codes[:, part], self.values) if rows is None else self.take(rows[part])

    def decode(self) -> Floats:
        """Return the rows as (rows, columns) float32 with NaN for empty cells."""
        return np.stack([lut[column] for lut, column in zip(self.values, self.codes, strict=True)], axis=1)


def _hundredths(features: Floats) -> tuple[Codes, npt.NDArray[np.bool_]]:
    """Code (rows, columns) as hundredths; also tell, by column, whether every value is one."""
    with np.errstate(over="ignore", invalid="ignore"):  # far cells become infinite and fit nowhere
        scaled = np.multiply(features.T, np.float32(_STEP), order="C")
        nearest = np.rint(scaled)
        empty = np.isnan(scaled)
        nearest[empty] = EMPTY - _ZERO
        np.abs(np.subtract(scaled, nearest, out=scaled), out=scaled)
    other = (scaled > _EXACT) | (np.abs(nearest) > _REACH) & ~empty
    fits = np.logical_not(other.any(axis=1))
    return (np.clip(nearest, -_ZERO, _REACH) + _ZERO).astype(np.uint8), fits


def _bins(values: Floats, counts: npt.NDArray[np.int64]) -> Floats:
    """Return at most 254 values, ascending, that stand for values of which there are so many: all, or quantiles."""
    known = ~np.isnan(values) & (counts > 0)
    distinct, positions = np.unique(values[known], return_inverse=True)
    if len(distinct) <= _MAX_BINS:
        return distinct
    up_to = np.cumsum(np.bincount(positions, counts[known]))
    ranks = np.rint(np.linspace(0, 1, _MAX_BINS) * (up_to[-1] - 1))
    return np.unique(distinct[np.searchsorted(up_to, ranks, side="right")])


def _table(bins: Floats) -> Floats:
    """Make the 256 values of a column from its bins; code i + 1 stands for bin i."""
    table = np.full(256, np.nan, np.float32)
    table[1 : len(bins) + 1] = bins
    return table


def _nearest(values: Floats, table: Floats) -> Codes:
    """Code values (rows,) by the nearest value of the column's table; NaN and unusable tables give EMPTY."""
    used = np.flatnonzero(~np.isnan(table))
    codes = np.zeros(len(values), np.uint8)
    known = ~np.isnan(values)
    if len(used):
        order = used[np.argsort(table[used], kind="stable")]
        middles = table[order][1:] / 2 + table[order][:-1] / 2
        codes[known] = order[np.searchsorted(middles, values[known])]
    return codes


def encode_like(features: Floats, values: Floats) -> Codes:
    """Code (rows, columns) features with the tables of rows coded before; unseen values take the nearest code."""
    codes, fits = _hundredths(features)
    for column in range(len(values)):
        hundredths = np.array_equal(values[column], HUNDREDTHS, equal_nan=True)
        if not (hundredths and fits[column]):
            codes[column] = _nearest(features[:, column], values[column])
    return codes


@dataclass(frozen=True)
class _Stretch:
    """Rows of a column from ``start`` to the next stretch, with what their codes stand for."""

    start: int
    table: Floats


def _merge(codes: Codes, stretches: list[_Stretch]) -> Floats:
    """Code a column (rows,) with one table, in place of those of its stretches; returns the table."""
    if len(stretches) == 1:
        return stretches[0].table
    ends = [*(stretch.start for stretch in stretches[1:]), len(codes)]
    counts = [np.bincount(codes[part.start : end], minlength=256) for part, end in zip(stretches, ends, strict=True)]
    table = _table(_bins(np.concatenate([part.table for part in stretches]), np.concatenate(counts)))
    for part, end in zip(stretches, ends, strict=True):
        codes[part.start : end] = _nearest(part.table, table)[codes[part.start : end]]
    return table


class Coder:
    """Turns batches of features into codes, one byte a cell."""

    def __init__(self, columns: int) -> None:
        self._columns = columns
        self._irregular: defaultdict[int, list[_Stretch]] = defaultdict(lambda: [_Stretch(0, HUNDREDTHS)])
        self._rows, self._count = mapped.JoinedRows(columns, np.uint8), 0

    def add(self, features: Floats) -> None:
        """Add a batch, (rows, columns) float32 with NaN for empty cells."""
        codes, fits = _hundredths(features)
        for column in range(self._columns):
            if not fits[column]:
                codes[column] = self._add_irregular(column, features[:, column])
            elif column in self._irregular:
                self._begin(column, HUNDREDTHS)
        self._rows.add(codes)
        self._count += len(features)

    def _add_irregular(self, column: int, values: Floats) -> Codes:
        """Code values that are not all hundredths with the last table, or bins of their own if that lacks some."""
        table = self._irregular[column][-1].table
        codes = _nearest(values, table)
        if not np.array_equal(table[codes], values, equal_nan=True):
            table = _table(_bins(*np.unique(values, return_counts=True)))
            codes = _nearest(values, table)
        self._begin(column, table)
        return codes

    def _begin(self, column: int, table: Floats) -> None:
        """Have the rows that are added next coded with a table."""
        stretches = self._irregular[column]
        if stretches[-1].start == self._count:
            stretches.pop()
        if not stretches or stretches[-1].table is not table:
            stretches.append(_Stretch(self._count, table))

    def finish(self) -> CodedRows:
        """Return all rows; the coder is empty then."""
        codes, values = self._rows.finish(), np.tile(HUNDREDTHS, (self._columns, 1))
        for column, stretches in self._irregular.items():
            values[column] = _merge(codes[column], stretches)
        return CodedRows(codes, values)


def code(batches: Iterable[Floats], columns: int) -> CodedRows:
    """Code batches of (rows, columns) float32 features with NaN for empty cells."""
    coder = Coder(columns)
    for batch in batches:
        coder.add(batch)
    return coder.finish()


def join(first: CodedRows, second: CodedRows) -> CodedRows:
    """Return the rows of both, of the same columns, one after the other."""
    of_first = first.codes.shape[1]
    codes = mapped.empty((len(first.codes), of_first + second.codes.shape[1]), np.uint8)
    codes[:, :of_first], codes[:, of_first:] = first.codes, second.codes
    values = first.values.copy()
    for column, (one, other) in enumerate(zip(first.values, second.values, strict=True)):
        if not np.array_equal(one, other, equal_nan=True):
            values[column] = _merge(codes[column], [_Stretch(0, one), _Stretch(of_first, other)])
    return CodedRows(codes, values)
