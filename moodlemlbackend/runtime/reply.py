"""What a command answers: one line, kept in a scratch file until the command is complete.

The line may be longer than is good to hold in memory (the predictions of a large file), so it is written piece by
piece, what is beyond the first megabytes to the disk, and nothing of it leaves before the last piece is there.
"""

from __future__ import annotations

import io
import json
import math
import os
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, cast

from moodlemlbackend import scratch
from moodlemlbackend.errors import UsageError
from moodlemlbackend.files import storage_errors, write_all
from moodlemlbackend.runtime.promise import Promise

if TYPE_CHECKING:
    from moodlemlbackend.runtime.run import Run

Result = Mapping[str, Any] | str
"""What a command returns: an object for JSON, whose ``status`` is the exit code, or a text, whose exit code is 0.

A value of the object that is an iterator becomes an array, without being held in memory.
"""

ITEMS_AT_ONCE = 1024
BYTES_AT_ONCE = 1 << 20

BYTES_IN_MEMORY = 16 << 20
"""Of a line; the rest of it is on the disk."""


class Reply:
    """A line and notes on its run, in scratch files that a forked child fills and its parent reads.

    ``line`` is a file, open for reading and writing, to be used in place of the first.

    Attributes
    ----------
    shared
        False where there is no place for a scratch file: then it is in memory, each process has its own.
    """

    def __init__(self, line: BinaryIO | None = None) -> None:
        notes, given = _scratch_file(), line
        line = given or _scratch_file()
        self.shared = notes is not None and line is not None
        self._notes, self._line = notes or io.BytesIO(), line or io.BytesIO()
        self._rest = _file_on_disk() if given is None else None

    def note_run(self, run: Run) -> None:
        """Leave word of the run that has begun."""
        self._note("run", {"runid": run.runid, "log": str(run.log_file)})

    def note_promise(self, promise: Promise) -> None:
        """Leave word of what the run will have come to."""
        self._note("promise", asdict(promise))

    def write(self, result: Result) -> int:
        """Write a result in place of what may be there; returns the exit code."""
        for file in self._files:
            file.seek(0)
            file.truncate()
        for piece in _pieces(result):
            if self._rest is None or self._line.tell() < BYTES_IN_MEMORY:
                self._line.write(piece)
            else:
                with storage_errors(Path(scratch.folder())):
                    write_all(self._rest.fileno(), piece)
        self._line.flush()
        code = 0 if isinstance(result, str) else int(result["status"])
        self._note("code", code)
        return code

    def read_notes(self) -> tuple[int | None, int | None, Path | None, Promise | None]:
        """Return the exit code, None when no line was completed; the run's id, log and promise if it has one."""
        self._notes.seek(0)
        entries = self._notes.read().splitlines(keepends=True)
        notes = dict(json.loads(entry) for entry in entries if entry.endswith(b"\n"))
        run = notes.get("run")
        promise = Promise(**notes["promise"]) if "promise" in notes else None
        return (notes.get("code"), *((run["runid"], Path(run["log"])) if run else (None, None)), promise)

    def line(self) -> bytes:
        """Return the line, without its end."""
        return b"".join(self._read())

    def result(self) -> Result:
        """Return the line as what it says."""
        line = self.line()
        return json.loads(line) if line.startswith(b"{") else line.decode(errors="surrogateescape")

    def close(self) -> None:
        """Let go of the scratch files."""
        for file in (self._notes, *self._files):
            file.close()

    def copy_line(self, descriptor: int) -> None:
        """Write the line and its end to a file."""
        for piece in self._read():
            write_all(descriptor, piece)
        write_all(descriptor, b"\n")

    @property
    def _files(self) -> list[BinaryIO]:
        """What the line is in, one after the other."""
        return [self._line] if self._rest is None else [self._line, self._rest]

    def _read(self) -> Iterator[bytes]:
        for file in self._files:
            file.seek(0)
            while piece := file.read(BYTES_AT_ONCE):
                yield piece

    def _note(self, name: str, value: Any) -> None:
        with suppress(OSError):
            self._notes.write(json.dumps([name, value]).encode("ascii") + b"\n")
            self._notes.flush()


def encode(result: Result) -> bytes:
    """Return a result as one line, without its end."""
    return b"".join(_pieces(result))


def scratch_descriptor() -> int | None:
    """Return the descriptor of a new file without a name; None when there is no place for one."""
    with suppress(AttributeError, OSError):
        return os.memfd_create("moodlemlbackend")
    import tempfile

    with suppress(OSError), tempfile.TemporaryFile() as file:
        return os.dup(file.fileno())
    return None


def _scratch_file() -> BinaryIO | None:
    descriptor = scratch_descriptor()
    return None if descriptor is None else os.fdopen(descriptor, "w+b")


def _file_on_disk() -> BinaryIO | None:
    """A file without a buffer; None where there is no place for one."""
    with suppress(OSError):
        return cast("BinaryIO", os.fdopen(scratch.nameless_file(), "w+b", buffering=0))
    return None


def _pieces(result: Result) -> Iterator[bytes]:
    """Yield a result as one line, without line end."""
    if isinstance(result, str):
        if not result.strip() or "\n" in result:
            raise UsageError(f"Moodle reads a single line, but the result is {result!r}; choose another directory.")
        yield result.encode(errors="surrogateescape")
        return
    separator = b"{"
    for key, value in result.items():
        yield separator + _json(key) + b": "
        separator = b", "
        if isinstance(value, Iterator):
            yield from _array(value)
        else:
            yield _json(value)
    yield b"}"


def _array(items: Iterator[Any]) -> Iterator[bytes]:
    separator = b"["
    while part := list(islice(items, ITEMS_AT_ONCE)):
        yield separator + _json(part)[1:-1]
        separator = b", "
    yield b"]" if separator == b", " else b"[]"


def _json(value: Any) -> bytes:
    try:
        text = json.dumps(value, allow_nan=False, default=_plain)
    except ValueError:
        text = json.dumps(_clean(value), allow_nan=False)
    if "\\ud" in text:
        text = json.dumps(_clean(value))
    return text.encode("ascii")


def _plain(value: Any) -> Any:
    """Return what JSON does not know as what it knows: paths, and scalars and arrays of NumPy."""
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if hasattr(value, "tolist"):
        return value.tolist()
    raise TypeError(f"not for JSON: {type(value).__name__}")


def _clean(value: Any) -> Any:
    """Return a value with null for numbers that are not finite, and escapes for half characters PHP cannot read."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, str):
        return value.encode("utf-8", "backslashreplace").decode()
    if isinstance(value, Mapping):
        return {_clean(key): _clean(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_clean(item) for item in value]
    return value if value is None or isinstance(value, int) else _clean(_plain(value))
