"""What the network sees of a data set.

Each column that varies becomes a few inputs, all of them functions of the cell's code:

* its standardised value (0 for an empty cell);
* a flag for an empty cell, where the column has some;
* one input a bin, where it has more than two values, so that the first layer can learn any curve over the column
  (piecewise encoding, Gorishniy et al. 2022). A bin is a value, or neighbouring values with about 20 rows together;
  where there are more than 64 values, it is a quantile.

Inputs are scaled by what their column tells about the class (mutual information, corrected for the number of bins):
columns of no use start small, and a network of few epochs is not distracted by hundreds of them. The bins are laid
without looking at classes; only the scale is fitted to the rows a network trains on.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import numpy.typing as npt

from moodlemlbackend.model.codes import EMPTY, CodedRows, Codes, Floats, encode_like

Indices = npt.NDArray[np.int64]

MAX_BINS = 64
LEAST_IN_BIN = 20.0
_INFORMATION_POWER = 0.75
_LEAST_SCALE = 0.05
_RARE = 0.05
_FEW = 100.0
_ROWS_AT_ONCE = 65_536
_FARTHEST = 8.0
_PREFIX = "encoder."
_MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)


@dataclass(frozen=True)
class Encoder:
    """How codes become inputs of the network; ValueError when the arrays do not fit each other.

    Attributes
    ----------
    columns:
        (used,) int64 indices of the columns in use: those that vary and repeat no earlier one.
    values:
        (used, 256) float32: the value that each code stands for.
    standard:
        (used, 256) float32: standardised value of each code, 0 for an empty cell.
    bins:
        (used, 256) int16: the bin that each code falls in, -1 for an empty cell and where the column needs no bins.
    has_empty:
        (used,) bool: whether the column has empty cells, and so a flag for them.
    centre, scale:
        (inputs,) float32: what is taken from each input and what the rest is multiplied by, so that flags and bins
        have mean 0, the bins of a column weigh together as much as its value, and a bin of few rows counts for little.
    """

    columns: Indices
    values: Floats
    standard: Floats
    bins: npt.NDArray[np.int16]
    has_empty: npt.NDArray[np.bool_]
    centre: Floats
    scale: Floats

    def __post_init__(self) -> None:
        used, inputs = len(self.columns), len(self.centre)
        tables = dict.fromkeys(("values", "standard", "bins"), (used, 256))
        check_shapes(
            self, {"columns": (used,), **tables, "has_empty": (used,), "centre": (inputs,), "scale": (inputs,)}
        )
        if (self.columns.dtype.kind, self.bins.dtype.kind, self.has_empty.dtype.kind) != ("i", "i", "b"):
            raise ValueError("the encoder's columns, bins or flags have the wrong type")
        if self.columns.min(initial=0) < 0 or self.bins.min(initial=0) < -1 or self.bins.max(initial=0) > 255:
            raise ValueError("the encoder has impossible columns or bins")
        for name in ("standard", "centre", "scale"):
            if not np.isfinite(getattr(self, name)).all():
                raise ValueError(f"array {name} has numbers that are not finite")
        if len(self.column_of_input) != inputs:
            raise ValueError(f"the encoder's columns make {len(self.column_of_input)} inputs, not {inputs}")

    @property
    def inputs(self) -> int:
        """Number of inputs of the network."""
        return len(self.centre)

    @property
    def column_of_input(self) -> Indices:
        """(inputs,) position in ``columns`` of the column behind each input."""
        positions = np.arange(len(self.columns), dtype=np.int64)
        return np.repeat(positions, _widths(self.bins, self.has_empty))

    @property
    def plain_inputs(self) -> Indices:
        """Inputs that are a value or a flag, no bin: what the linear part of the network sees."""
        starts = _starts(self.bins, self.has_empty)
        return np.sort(np.concatenate([starts, (starts + 1)[self.has_empty]]))

    def encode(self, codes: Codes) -> Floats:
        """Turn (used, rows) codes into (rows, inputs) float32."""
        out = _raw_inputs(codes, self.standard, self.bins, self.has_empty)
        out -= self.centre
        out *= self.scale
        return out

    def codes_of(self, features: Floats) -> Codes:
        """Code (rows, all columns) float32 features; returns (used, rows)."""
        return encode_like(features[:, self.columns], self.values)

    def codes_of_coded(self, coded: CodedRows) -> Codes:
        """Code rows that are coded already, by tables that may be others; returns (used, rows)."""
        codes = coded.codes[self.columns]
        for position, theirs in enumerate(coded.values[self.columns]):
            own = self.values[position]
            if not np.array_equal(theirs, own, equal_nan=True):
                codes[position] = encode_like(theirs[codes[position]][:, None], own[None])[0]
        return codes

    def arrays(self) -> dict[str, npt.NDArray[Any]]:
        """Return everything that makes this encoder, by names that begin with ``encoder.``."""
        return {_PREFIX + field.name: getattr(self, field.name) for field in fields(self)}

    @classmethod
    def from_arrays(cls, array: Callable[[str], npt.NDArray[Any]]) -> Encoder:
        """Rebuild an encoder; ``array`` gives each of its :meth:`arrays` by name."""
        return cls(**{field.name: array(_PREFIX + field.name) for field in fields(cls)})


def check_shapes(owner: object, shapes: dict[str, tuple[int, ...]]) -> None:
    """Raise ValueError unless the arrays that ``owner`` has under these names are of these shapes."""
    for name, shape in shapes.items():
        actual = getattr(owner, name).shape
        if actual != shape:
            raise ValueError(f"array {name} has shape {actual}, not {shape}")


def _widths(bins: npt.NDArray[np.int16], has_empty: npt.NDArray[np.bool_]) -> Indices:
    """Count the inputs of each column: its value, its flag if it has one, its bins."""
    widths: Indices = 1 + has_empty + (bins.max(axis=1, initial=-1) + 1).astype(np.int64)
    return widths


def _starts(bins: npt.NDArray[np.int16], has_empty: npt.NDArray[np.bool_]) -> Indices:
    """Return the first input of each column, which is its value."""
    widths = _widths(bins, has_empty)
    return np.cumsum(widths) - widths


def _raw_inputs(
    codes: Codes, standard: Floats, bins: npt.NDArray[np.int16], has_empty: npt.NDArray[np.bool_]
) -> Floats:
    """Values, flags and bins before they are centred and scaled, (rows, inputs)."""
    starts, widths = _starts(bins, has_empty), _widths(bins, has_empty)
    out = np.zeros((codes.shape[1], int(widths.sum())), np.float32)
    for position, column in enumerate(codes):
        first = int(starts[position])
        out[:, first] = standard[position][column]
        if has_empty[position]:
            first += 1
            out[:, first] = column == EMPTY
        of_row = bins[position][column].astype(np.int64)  # first + int16 would wrap past 32,767 inputs
        rows = np.flatnonzero(of_row >= 0)
        out[rows, first + 1 + of_row[rows]] = 1
    return out


def varying(codes: Codes) -> Indices:
    """Return the columns of (columns, rows) codes that have two codes or more and repeat no earlier column."""
    import hashlib

    seen: set[bytes] = set()
    positions = []
    for position, column in enumerate(codes):
        if (column == column[0]).all():
            continue
        digest = hashlib.blake2b(column).digest()
        if digest not in seen:
            seen.add(digest)
            positions.append(position)
    return np.array(positions, np.int64)


def distinct(codes: Codes, columns: Indices) -> tuple[Indices, Indices]:
    """Find rows of (columns, rows) codes that are equal in some columns.

    Returns
    -------
    first, kind:
        the index of one row of each kind, and for every row the kind it is of. Kinds come in the order of a hash of
        their cells: one that has nothing to do with the order of the rows, and as good as random.
    """
    hashes = np.zeros(codes.shape[1], np.uint64)
    for column in columns:
        hashes += codes[column]
        hashes *= _MULTIPLIER
        hashes ^= hashes >> np.uint64(29)
    _, first, kind = np.unique(hashes, return_index=True, return_inverse=True)
    return first, kind


def count_kinds(kind: Indices, targets: Floats, kinds: int) -> Floats:
    """Add up (rows, K) targets by the kind (rows,) of each row: (kinds, K) float32."""
    return np.stack([np.bincount(kind, column, minlength=kinds) for column in targets.T], axis=1).astype(np.float32)


def fit_encoder(
    columns: Indices, codes: Codes, values: Floats, weights: npt.NDArray[np.floating], *, with_bins: bool = True
) -> Encoder:
    """Lay an encoder on (used, rows) codes of the given columns, with (used, 256) values and (rows,) weights."""
    used = len(columns)
    standard = np.zeros((used, 256), np.float32)
    bins = np.full((used, 256), -1, np.int16)
    has_empty = np.zeros(used, bool)
    counts_of_inputs = []
    for position in range(used):
        counts = np.bincount(codes[position], weights, minlength=256).astype(np.float64)
        empty, counts[EMPTY] = counts[EMPTY], 0
        has_empty[position] = empty > 0
        standard[position], column_bins = _fit_column(values[position].astype(np.float64), counts)
        if with_bins:
            bins[position] = column_bins
        binned = bins[position] >= 0
        in_bins = np.bincount(bins[position][binned], counts[binned])
        counts_of_inputs += [np.zeros(1), np.full(int(has_empty[position]), empty), in_bins]
    rows = np.concatenate(counts_of_inputs) if used else np.zeros(0)
    means = rows / weights.sum()
    widths, starts = _widths(bins, has_empty), _starts(bins, has_empty)
    scale = 1 / (np.sqrt(np.maximum(means * (1 - means), 0)) + _RARE) / np.sqrt(np.repeat(widths, widths))
    scale *= rows / (rows + _FEW)
    scale[starts] = 1
    return Encoder(columns, values, standard, bins, has_empty, means.astype(np.float32), scale.astype(np.float32))


def _fit_column(
    values: npt.NDArray[np.float64], counts: npt.NDArray[np.float64]
) -> tuple[Floats, npt.NDArray[np.int16]]:
    """Standardised value and bin of each of a column's 256 codes; codes never seen take the nearest bin."""
    standard, bins = np.zeros(256, np.float32), np.full(256, -1, np.int16)
    known = np.flatnonzero(~np.isnan(values))
    seen = np.flatnonzero(counts)
    seen = seen[np.argsort(values[seen], kind="stable")]
    if len(seen) > 1:
        value, weight = values[seen], counts[seen]
        mean = np.average(value, weights=weight)
        deviation = np.sqrt(np.average((value - mean) ** 2, weights=weight))
        standard[known] = np.clip((values[known] - mean) / deviation, -_FARTHEST, _FARTHEST)
        if len(seen) > 2:
            rows_in_bin = weight.sum() / MAX_BINS if len(seen) > MAX_BINS else LEAST_IN_BIN
            middle = np.cumsum(weight) - weight / 2
            bin_numbers, groups = np.unique((middle / rows_in_bin).astype(int), return_inverse=True)
            if len(bin_numbers) > 1:
                bins[known] = groups[np.searchsorted((value[1:] + value[:-1]) / 2, values[known])]
                bins[seen] = groups
    return standard, bins


def information_scales(encoder: Encoder, codes: Codes, targets: Floats) -> Floats:
    """Weigh each input by the mutual information of its column and the class, for each split.

    Parameters
    ----------
    codes:
        (used, rows) uint8.
    targets:
        (splits, rows, classes) float32: how often each row occurs with each class among a split's training rows.

    Returns
    -------
    (splits, inputs) float32, the same for all inputs of a column, with mean square 1 over the columns.
    """
    splits, rows, classes = targets.shape
    weights = np.ascontiguousarray(targets.transpose(0, 2, 1).reshape(-1, rows), np.float64)
    offsets = 256 * np.arange(len(weights))[:, None]
    information = np.zeros((splits, len(codes)))
    for position, column in enumerate(codes):
        counts = np.zeros(256 * len(weights))
        for start in range(0, rows, _ROWS_AT_ONCE):  # a single call for all splits where they fit into it
            part = slice(start, start + _ROWS_AT_ONCE)
            counts += np.bincount((column[part] + offsets).ravel(), weights[:, part].ravel(), len(counts))
        joint = counts.reshape(splits, classes, 256).transpose(0, 2, 1)
        information[:, position] = _mutual_information(joint)
    best = information.max(axis=1, initial=0.0, keepdims=True)
    shares = np.divide(information, best, out=np.ones_like(information), where=best > 0)
    scales = np.maximum(np.maximum(shares, 0) ** _INFORMATION_POWER, _LEAST_SCALE)
    scales /= np.sqrt(np.mean(scales**2, axis=1, keepdims=True)) if len(codes) else 1
    of_inputs: Floats = scales[:, encoder.column_of_input].astype(np.float32)
    return of_inputs


def _mutual_information(joint: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Mutual information of code and class in nats, without its bias (Miller 1955), of (..., codes, classes) counts."""
    total = joint.sum(axis=(-2, -1), keepdims=True)
    of_code, of_class = joint.sum(axis=-1, keepdims=True), joint.sum(axis=-2, keepdims=True)
    ratio = np.divide(joint * total, of_code * of_class, out=np.ones_like(joint), where=joint > 0)
    free = (np.count_nonzero(of_code, axis=(-2, -1)) - 1) * (np.count_nonzero(of_class, axis=(-2, -1)) - 1)
    information: npt.NDArray[np.float64] = (np.sum(joint * np.log(ratio), axis=(-2, -1)) - free / 2) / total[..., 0, 0]
    return information
