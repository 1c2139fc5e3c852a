"""A data set as one byte a cell.

Moodle rounds what it calculates to hundredths in [-1, 1], so a column has at most 201 values and an empty cell:
a cell fits into one byte. Every later step (which columns vary, which rows repeat, how much a column tells about the
class, the encoding for the network) works on these codes, whatever the size of the file.

A column that breaks the rule (a third party's indicator, a merged file) is laid on quantile bins of its own.
"""

from __future__ import annotations

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
    other = (scaled > 2e-3) | (np.abs(nearest) > _REACH) & ~empty
    fits = np.logical_not(other.any(axis=1))
    return (np.clip(nearest, -_ZERO, _REACH) + _ZERO).astype(np.uint8), fits


def _bins(values: Floats) -> Floats:
    """Return at most 254 values, ascending, that stand for the given ones: all of them, or quantiles."""
    distinct = np.unique(values[~np.isnan(values)])
    if len(distinct) > _MAX_BINS:
        distinct = np.unique(np.quantile(values[~np.isnan(values)], np.linspace(0, 1, _MAX_BINS), method="nearest"))
    return distinct.astype(np.float32)


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


class Coder:
    """Turns batches of features into codes, one byte a cell."""

    def __init__(self, columns: int) -> None:
        self._values: Floats = np.tile(HUNDREDTHS, (columns, 1))
        self._regular = np.ones(columns, bool)
        self._rows = mapped.JoinedRows(columns, np.uint8)

    def add(self, features: Floats) -> None:
        """Add a batch, (rows, columns) float32 with NaN for empty cells."""
        codes, fits = _hundredths(features)
        for column in np.flatnonzero(~(fits & self._regular)):
            codes[column] = self._add_irregular(int(column), features[:, column])
        self._rows.add(codes)

    def _add_irregular(self, column: int, values: Floats) -> Codes:
        """Code a column that is not all hundredths, laying it on bins when the first such value comes."""
        if self._regular[column]:
            self._regular[column] = False
            earlier = [self._values[column][part[column]] for part in self._rows.parts]
            table = _table(_bins(np.concatenate([*earlier, values])))
            for part, old in zip(self._rows.parts, earlier, strict=True):
                part[column] = _nearest(old, table)
            self._values[column] = table
        return _nearest(values, self._values[column])

    def finish(self) -> CodedRows:
        """Return all rows; the coder is empty then."""
        return CodedRows(self._rows.finish(), self._values)


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
    for column in range(len(values)):
        if not np.array_equal(first.values[column], second.values[column], equal_nan=True):
            cells = np.concatenate([rows.values[column][rows.codes[column]] for rows in (first, second)])
            values[column] = _table(_bins(cells))
            codes[column] = _nearest(cells, values[column])
    return CodedRows(codes, values)
