"""What is too much for memory, in files without a name: written one after the other, and read by pieces."""

from __future__ import annotations

import json
import os
import weakref
from array import array
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

from moodlemlbackend import scratch
from moodlemlbackend.errors import StorageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    import numpy.typing as npt

ROWS_AT_ONCE = 16_384


class _Spool:
    """Bytes in a file that goes with this object; StorageError when there is no place for them."""

    def __init__(self) -> None:
        with _in_one_sentence():
            self._file = os.fdopen(scratch.nameless_file(), "w+b", buffering=0)
        weakref.finalize(self, self._file.close)

    def write(self, content: Any) -> None:
        rest = memoryview(content)
        with _in_one_sentence():
            self._file.seek(0, os.SEEK_END)
            while rest:
                rest = rest[self._file.write(rest) :]

    def read(self, start: int, stop: int) -> bytes:
        parts = []
        with _in_one_sentence():
            self._file.seek(start)
            while start < stop and (part := self._file.read(stop - start)):
                parts.append(part)
                start += len(part)
        return b"".join(parts)


class SpooledRows:
    """Rows of an array, each of the same type and shape."""

    def __init__(self, dtype: npt.DTypeLike, *shape: int) -> None:
        self._dtype, self._shape = np.dtype(dtype), shape
        self._bytes = self._dtype.itemsize * int(np.prod(shape, dtype=np.int64))
        self._spool, self._rows = _Spool(), 0

    def __len__(self) -> int:
        return self._rows

    def add(self, rows: npt.NDArray[Any]) -> None:
        """Write rows behind the others."""
        self._spool.write(np.ascontiguousarray(rows, self._dtype).reshape(-1).view(np.uint8))
        self._rows += len(rows)

    def read(self, start: int, stop: int) -> npt.NDArray[Any]:
        """Read the rows from ``start`` to before ``stop``."""
        content = self._spool.read(start * self._bytes, min(stop, self._rows) * self._bytes)
        return np.frombuffer(content, self._dtype).reshape(-1, *self._shape)

    def take(self, positions: Iterable[int]) -> npt.NDArray[Any]:
        """Read the rows at some positions."""
        content = b"".join(self._spool.read(at * self._bytes, (at + 1) * self._bytes) for at in positions)
        return np.frombuffer(content, self._dtype).reshape(-1, *self._shape)

    def pieces(self) -> Iterator[npt.NDArray[Any]]:
        """Read all rows, some at a time."""
        return (self.read(start, start + ROWS_AT_ONCE) for start in range(0, self._rows, ROWS_AT_ONCE))


class SpooledItems:
    """What JSON can hold, item by item; 8 bytes of each stay in memory."""

    def __init__(self) -> None:
        self._spool, self._starts = _Spool(), array("q", [0])

    def __len__(self) -> int:
        return len(self._starts) - 1

    def add(self, item: Any) -> None:
        """Write an item behind the others."""
        content = json.dumps(item).encode()
        self._spool.write(content)
        self._starts.append(self._starts[-1] + len(content))

    def __getitem__(self, position: int) -> Any:
        return json.loads(self._spool.read(*self._starts[position : position + 2]))

    def __iter__(self) -> Iterator[Any]:
        return (self[position] for position in range(len(self)))


@contextmanager
def _in_one_sentence() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise StorageError(
            f"A temporary file cannot be written in {scratch.folder()}: {error.strerror or error}; free some space "
            "there, or set TMPDIR to another directory."
        ) from error
