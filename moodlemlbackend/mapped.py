"""Arrays larger than what is good to hold in memory: mapped files without a name.

The system writes their pages out where memory is short, and reads them again when they are needed: a data set may be
larger than the memory. Whatever ends the process, the files go with it. What is stored there, and every result, is
what it would be in memory.
"""

from __future__ import annotations

import math
import os
from typing import IO, Any

import numpy as np
import numpy.typing as npt

from moodlemlbackend import scratch
from moodlemlbackend.errors import StorageError

LARGE = 1 << 29
"""Bytes of the largest array that is held in memory: 1.2 million rows of 415 columns, a byte a cell."""

_ZEROS = 1 << 24


def empty(shape: tuple[int, ...], dtype: npt.DTypeLike) -> npt.NDArray[Any]:
    """Make an array of any content, in memory or, if it is large, in a file.

    Raises
    ------
    StorageError
        There is no place for the file.
    """
    size = math.prod(shape) * np.dtype(dtype).itemsize
    if size <= LARGE:
        return np.empty(shape, dtype)
    try:
        with os.fdopen(scratch.nameless_file(), "r+b") as file:
            _reserve(file, size)
            return np.memmap(file, dtype, "r+", shape=shape).view(np.ndarray)
    except OSError as error:
        raise StorageError(
            f"A temporary file of {size / 1e9:.1f} GB for this data set cannot be created in {scratch.folder()}: "
            f"{error.strerror or error}; free some space there, or set TMPDIR to another directory."
        ) from error


def is_large(array: npt.NDArray[Any]) -> bool:
    """Whether an array of this size is in a file, where cells far apart are slow to read."""
    return array.nbytes > LARGE


def take(
    array: npt.NDArray[Any], rows: npt.NDArray[np.int64], columns: npt.NDArray[np.int64] | None = None
) -> npt.NDArray[Any]:
    """Take some rows, and some columns or all, of a (columns, rows) array: one column after the other."""
    chosen = range(len(array)) if columns is None else columns.tolist()
    taken = empty((len(chosen), len(rows)), array.dtype)
    for own, column in zip(taken, chosen, strict=True):
        own[:] = array[column][rows]
    return taken


class JoinedRows:
    """Parts of a (columns, rows) array, put side by side; those that are too many for memory in files."""

    def __init__(self, columns: int, dtype: npt.DTypeLike) -> None:
        self.parts: list[npt.NDArray[Any]] = []
        self._columns, self._dtype = columns, dtype
        self._joined = 0  # parts at the beginning that are in files
        self._bytes = 0  # of the others

    def add(self, part: npt.NDArray[Any]) -> None:
        """Add (columns, rows)."""
        self.parts.append(part)
        self._bytes += part.nbytes
        if self._bytes > LARGE:
            self.parts[self._joined :] = [self._join(self.parts[self._joined :])]
            self._joined, self._bytes = len(self.parts), 0

    def finish(self) -> npt.NDArray[Any]:
        """Return all rows; none are here then. A single part is not copied."""
        parts, self.parts = self.parts, []
        return parts[0] if len(parts) == 1 else self._join(parts)

    def _join(self, parts: list[npt.NDArray[Any]]) -> npt.NDArray[Any]:
        """Put parts side by side; each is let go once it is copied."""
        joined = empty((self._columns, sum(part.shape[1] for part in parts)), self._dtype)
        start = 0
        while parts:
            part = parts.pop(0)
            joined[:, start : start + part.shape[1]] = part
            start += part.shape[1]
        return joined


def _reserve(file: IO[bytes], size: int) -> None:
    """Give a file its size on the disk: a disk that is full when a page is written would end the process."""
    if hasattr(os, "posix_fallocate"):
        os.posix_fallocate(file.fileno(), 0, size)
        return
    for start in range(0, size, _ZEROS):
        file.write(bytes(min(_ZEROS, size - start)))
    file.flush()
