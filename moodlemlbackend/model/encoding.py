"""What the network sees of a data set.

Each column that varies becomes a few inputs, all of them functions of the cell's code:

* its standardised value (0 for an empty cell);
* a flag for an empty cell, where the column has some;
* one input a bin, where it has more than two values: the value itself up to 64 of them, else quantile bins, so that
  the first layer can learn any curve over the column (piecewise encoding, Gorishniy et al. 2022).

Inputs are scaled by what their column tells about the class (mutual information, corrected for the number of bins):
columns of no use start small, and a network of few epochs is not distracted by hundreds of them. The bins are laid
without looking at classes; only the scale is fitted to the rows a network trains on.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from moodlemlbackend.model.codes import EMPTY, CodedRows, Codes, Floats, encode_like

Counts = npt.NDArray[np.float32]

MAX_BINS = 64
_MUTUAL_INFORMATION_POWER = 0.75
_SCALE_FLOOR = 0.05
_PRIME = np.uint64(0x9E3779B97F4A7C15)


@dataclass(frozen=True)
class Encoder:
    """How codes become inputs of the network.

    Attributes
    ----------
    columns:
        (used,) int64 indices of the columns in use: those that vary and repeat no earlier one.
    values:
        (used, 256) float32: value that each code stands for.
    tables:
        (used, 256) of int64: for each code the bin it falls in, -1 for an empty or unknown one.
    offsets:
        (used + 1,) int64: first input of each column; the last is the number of inputs.
    standard:
        (used, 256) float32: standardised value of each code, 0 for an empty one.
    """

    columns: npt.NDArray[np.int64]
    values: Floats
    bins: npt.NDArray[np.int16]
    has_empty: npt.NDArray[np.bool_]
    standard: Floats

    @property
    def bin_counts(self) -> npt.NDArray[np.int64]:
        """(used,) number of bins of each column; 0 for a column of two values, which needs none."""
        return (self.bins.max(axis=1, initial=-1) + 1).astype(np.int64)

    @property
    def widths(self) -> npt.NDArray[np.int64]:
        """(used,) number of inputs of each column."""
        return 1 + self.has_empty + self.bin_counts

    @property
    def inputs(self) -> int:
        """Number of inputs of the network."""
        return int(self.widths.sum())

    @property
    def column_of_input(self) -> npt.NDArray[np.int64]:
        """(inputs,) position in ``columns`` of the column behind each input."""
        return np.repeat(np.arange(len(self.columns)), self.widths)

    @property
    def plain_inputs(self) -> npt.NDArray[np.int64]:
        """Inputs that are a value or an empty flag, no bin: what a linear model sees."""
        starts = np.cumsum(self.widths) - self.widths
        return np.sort(np.concatenate([starts, (starts + 1)[self.has_empty]]))

    def encode(self, codes: Codes) -> Floats:
        """Turn (used, rows) codes into (rows, inputs) float32."""
        rows = codes.shape[1]
        out = np.zeros((rows, self.inputs), np.float32)
        every = np.arange(rows)
        start = 0
        for position, column in enumerate(codes):
            out[:, start] = self.standard[position][column]
            start += 1
            if self.has_empty[position]:
                out[:, start] = column == EMPTY
                start += 1
            width = int(self.bins[position].max(initial=-1)) + 1
            if width:
                found = self.bins[position][column]
                known = found >= 0
                out[every[known], start + found[known]] = 1
                start += width
        return out

    def codes_of(self, features: Floats) -> Codes:
        """Code (rows, all columns) float32 features; returns (used, rows)."""
        return encode_like(features[:, self.columns], self.values)


def class_counts(codes: Codes, weights: Counts) -> npt.NDArray[np.float64]:
    """Add up (rows, classes) weights by code; returns (columns, 256, classes)."""
    classes = weights.shape[1]
    out = np.empty((len(codes), 256, classes))
    for k in range(classes):
        column_weights = np.ascontiguousarray(weights[:, k], dtype=np.float64)
        rows = np.flatnonzero(column_weights)
        some = column_weights[rows]
        for position, column in enumerate(codes):
            out[position, :, k] = np.bincount(column[rows], some, minlength=256)
    return out


def varying(coded: CodedRows) -> npt.NDArray[np.int64]:
    """Return the columns that have two codes or more and repeat no earlier column."""
    codes = coded.codes
    seen: set[bytes] = set()
    found = []
    for position in np.flatnonzero((codes != codes[:, :1]).any(axis=1)):
        text = codes[position].tobytes()
        if text not in seen:
            seen.add(text)
            found.append(int(position))
    return np.array(found, np.int64)


def distinct(codes: Codes) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Find equal rows of (columns, rows) codes.

    Returns
    -------
    first, group:
        index of one row of each kind, and for every row the kind it is of. Kinds come in the order of a hash of their
        cells, so that it does not matter how the rows were ordered.
    """
    hashes = np.zeros(codes.shape[1], np.uint64)
    factor = _PRIME
    for column in codes:
        hashes ^= (column.astype(np.uint64) + np.uint64(1)) * factor
        hashes *= _PRIME
        hashes ^= hashes >> np.uint64(29)
        with np.errstate(over="ignore"):
            factor = factor * _PRIME + np.uint64(2)
    _, first, group = np.unique(hashes, return_index=True, return_inverse=True)
    return first, group


def fit_encoder(columns: npt.NDArray[np.int64], codes: Codes, values: Floats, weights: npt.NDArray[np.float64]) -> Encoder:
    """Lay bins on (used, rows) codes with their (used, 256) values and (rows,) weights."""
    used = len(columns)
    bins = np.full((used, 256), -1, np.int16)
    standard = np.zeros((used, 256), np.float32)
    has_empty = np.zeros(used, bool)
    for position in range(used):
        counts = np.bincount(codes[position], weights, minlength=256)
        has_empty[position] = counts[EMPTY] > 0
        seen = np.flatnonzero(counts)
        seen = seen[seen != EMPTY]
        seen = seen[np.argsort(values[position][seen], kind="stable")]
        if not len(seen):
            continue
        value, weight = values[position][seen].astype(np.float64), counts[seen]
        mean = np.average(value, weights=weight)
        deviation = np.sqrt(np.average((value - mean) ** 2, weights=weight))
        known = ~np.isnan(values[position])
        known[EMPTY] = False
        if deviation > 0:
            standard[position][known] = np.clip((values[position][known] - mean) / deviation, -8, 8)
        if len(seen) > 2:
            if len(seen) > MAX_BINS:
                middle = (np.cumsum(weight) - weight / 2) / weight.sum()
                _, groups = np.unique((middle * MAX_BINS).astype(int), return_inverse=True)
            else:
                groups = np.arange(len(seen))
            bins[position][seen] = groups
            unseen = np.flatnonzero(known & (counts == 0))
            middles = (value[1:] + value[:-1]) / 2
            bins[position][unseen] = groups[np.searchsorted(middles, values[position][unseen])]
    return Encoder(columns, values, bins, has_empty, standard)


def information_scale(encoder: Encoder, codes: Codes, weights: Counts) -> Floats:
    """Scale of each input by the mutual information of its column and the class.

    Parameters
    ----------
    codes:
        (used, rows) uint8.
    weights:
        (rows, classes) float32: how often each row occurs with each class among the training rows.

    Returns
    -------
    (inputs,) float32, mean square 1 over columns; equal for the bins of one column.
    """
    total = class_counts(codes, weights)
    n = max(float(weights.sum()), 1.0)
    p = total / n
    by_class = p.sum(axis=1, keepdims=True)
    by_code = p.sum(axis=2, keepdims=True)
    with np.errstate(divide="ignore", invalid="ignore"):
        terms = np.where(p > 0, p * np.log(p / (by_class * by_code)), 0.0)
    information = terms.sum(axis=(1, 2))
    present = (total.sum(axis=2) > 0).sum(axis=1)
    classes = (total.sum(axis=(0, 1)) > 0).sum()
    information = np.maximum(information - (present - 1) * max(classes - 1, 1) / (2 * n), 0.0)
    best = information.max(initial=0.0)
    scale = np.ones(len(codes)) if best <= 0 else (information / best) ** _MUTUAL_INFORMATION_POWER
    scale = np.maximum(scale, _SCALE_FLOOR)
    scale /= np.sqrt(np.mean(scale**2)) if len(scale) else 1.0
    out = scale[encoder.column_of_input]
    return out.astype(np.float32)
