"""Writing data set files, byte for byte as Moodle writes them."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from moodlemlbackend.dataset.csv_text import quoted
from moodlemlbackend.errors import DataSetError
from moodlemlbackend.files import replacing

WRITTEN_ROWS = 4096
"""Rows turned into text at a time."""

SIGNIFICANT_DIGITS = 14
"""Of a float, as PHP prints it."""

_IS_INFINITE = np.frompyfunc(lambda value: isinstance(value, (float, np.floating)) and bool(np.isinf(value)), 1, 1)


def write(
    file: str | os.PathLike[str] | BinaryIO,
    metadata: Mapping[str, str],
    columns: Sequence[str],
    features: npt.ArrayLike,
    *,
    labels: npt.ArrayLike | None = None,
    sample_ids: Sequence[str] | None = None,
    target: str | None = None,
) -> None:
    """Write a labelled data set (``labels`` given) or an unlabelled one (``sample_ids`` given).

    ``features`` has shape (rows, features): numbers with NaN for an empty cell, or objects: None, numbers, and text
    that is written as it stands, such as the ``1.00`` of a stored calculation. ``labels`` are class values, not
    positions. ``target`` names the class column, by default as ``metadata["targetcolumn"]`` does. A float32 is
    written by its shortest decimal text.

    A file given by its path appears whole or not at all. Raises :class:`DataSetError` for values that a data set
    cannot hold and :class:`StorageError` when the path cannot be written.
    """
    if (labels is None) == (sample_ids is None):
        raise ValueError("give either labels or sample_ids")
    with writing(file, metadata, columns, labelled=labels is not None, target=target) as add:
        add(features, sample_ids if labels is None else labels)


@contextmanager
def writing(
    file: str | os.PathLike[str] | BinaryIO,
    metadata: Mapping[str, str],
    columns: Sequence[str],
    *,
    labelled: bool,
    target: str | None = None,
) -> Iterator[Callable[[npt.ArrayLike, Any], None]]:
    """Write a data set part by part: gives a function that adds rows of features with their labels or sample ids.

    The parts and the file are those of :func:`write`; when the block raises, a file given by its path does not appear.
    """
    names = [*columns, metadata["targetcolumn"] if target is None else target] if labelled else ["sampleid", *columns]
    with replacing(file) if isinstance(file, (str, os.PathLike)) else nullcontext(file) as stream:
        for row in (metadata.keys(), metadata.values(), names):
            stream.write((",".join(map(quoted, row)) + "\n").encode())

        def add(features: npt.ArrayLike, edge: Any) -> None:
            cells = np.asarray(features)
            if cells.ndim != 2 or not 0 < cells.shape[1] == len(columns):
                raise ValueError(f"features of shape {cells.shape} do not match {len(columns)} columns")
            edges = (
                [_cell_text(label) for label in np.asarray(edge, dtype=object)] if labelled else [*map(quoted, edge)]
            )
            if len(edges) != len(cells):
                raise ValueError(f"{len(cells)} rows of features but {len(edges)} labels or sample ids")
            for start in range(0, len(cells), WRITTEN_ROWS):
                rows = map(",".join, _texts(cells[start : start + WRITTEN_ROWS], columns).tolist())
                part = edges[start : start + WRITTEN_ROWS]
                pairs = zip(rows, part, strict=True) if labelled else zip(part, rows, strict=True)
                stream.writelines(f"{left},{right}\n".encode() for left, right in pairs)

        yield add


def _texts(cells: npt.NDArray[Any], columns: Sequence[str]) -> npt.NDArray[np.object_]:
    """The text of every cell, each distinct number formatted once."""
    if cells.dtype.kind not in "fiub" or cells.itemsize > np.float64().itemsize:
        cells = cells.astype(object)
    infinite = _IS_INFINITE(cells).astype(bool) if cells.dtype == object else np.isinf(cells)
    if infinite.any():
        name = columns[int(infinite.any(axis=0).argmax())]
        raise DataSetError(
            f"The column {name} has an infinite value, which is not allowed in a data set; leave the cell empty."
        )
    if cells.dtype == object:
        return np.asarray(np.frompyfunc(_cell_text, 1, 1)(cells), dtype=object)
    if cells.dtype == np.float64 and (texts := _whole_cents(cells)) is not None:
        return texts
    import pyarrow as pa

    bits = np.ascontiguousarray(cells).view(f"u{cells.itemsize}")  # tells -0 from 0
    buffers = [None, pa.py_buffer(bits)]  # pa.array would import pandas where it is installed
    distinct = pa.Array.from_buffers(pa.from_numpy_dtype(bits.dtype), bits.size, buffers).dictionary_encode()
    values = np.from_dlpack(distinct.dictionary).view(cells.dtype)
    texts = np.array([_cell_text(value) for value in values], dtype=object)
    written: npt.NDArray[np.object_] = texts[np.from_dlpack(distinct.indices).reshape(cells.shape)]
    return written


def _whole_cents(cells: npt.NDArray[np.float64]) -> npt.NDArray[np.object_] | None:
    """The texts of empty cells and numbers of two decimals from -1 to 1, which is all that most data sets hold."""
    empty = np.isnan(cells)
    cents = np.rint(np.where(empty, 0.0, cells) * 100)
    if (np.abs(cents) > 100).any() or (np.where(empty, 0.0, cells) != cents / 100).any():
        return None
    position = np.where(np.signbit(cells), 101 - cents, cents)  # tells -0 from 0
    written: npt.NDArray[np.object_] = _CENT_TEXTS[np.where(empty, len(_CENT_TEXTS) - 1, position).astype(np.intp)]
    return written


def _cell_text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, str):
        return quoted(value)
    if isinstance(value, (float, np.floating)):
        return "" if np.isnan(value) else _float_text(float(str(value)))
    return str(int(value))


def _float_text(value: float) -> str:
    """A float as PHP prints it: ``1``, ``0.33``, ``-0``, ``1.0E-5``."""
    mantissa, _, exponent = f"{value:.{SIGNIFICANT_DIGITS}G}".partition("E")
    if not exponent:
        return mantissa
    return f"{mantissa if '.' in mantissa else mantissa + '.0'}E{int(exponent):+d}"


_CENT_TEXTS = np.array(
    [_float_text(cent / 100) for cent in range(101)] + [_float_text(-(cent / 100)) for cent in range(101)] + [""],
    object,
)
"""0 to 1, -0 to -1, and an empty cell."""
