"""What libraries print: kept in a scratch file, whose end becomes part of the run's log."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from typing import TYPE_CHECKING

from moodlemlbackend.files import write_all
from moodlemlbackend.runtime.reply import scratch_descriptor

if TYPE_CHECKING:
    from pathlib import Path

SINK_BYTES = 4 << 20  # of library output in the scratch file
SINK_TAIL_BYTES = 64 << 10  # of library output in the run's log


def redirect_output() -> int:
    """Point descriptors 1 and 2, and sys.stdout and sys.stderr, to a scratch file; return its descriptor."""
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:
            with suppress(OSError, ValueError):
                stream.flush()
    sink = scratch_descriptor()
    if sink is None:
        sink = os.open(os.devnull, os.O_RDWR)
    redirect_to(sink)
    return sink


def redirect_to(sink: int) -> None:
    """Point descriptors 1 and 2, and sys.stdout and sys.stderr, to an open file."""
    os.dup2(sink, 1)
    os.dup2(sink, 2)
    sys.stdout = open(1, "w", buffering=1, encoding="utf-8", errors="backslashreplace", closefd=False)  # noqa: SIM115
    sys.stderr = open(2, "w", buffering=1, encoding="utf-8", errors="backslashreplace", closefd=False)  # noqa: SIM115


def log_library_output(sink: int, log: Path | None) -> None:
    """Append the end of what libraries printed to the run's log, if there are both."""
    with suppress(OSError):
        text = _tail(sink).strip()
        if text:
            append_to_log(log, b"Output of libraries:\n" + text)


def append_to_log(log: Path | None, text: bytes) -> None:
    """Append a line to a run's log, if there is one."""
    with suppress(OSError):
        if log is not None and log.exists():
            with log.open("ab") as file:
                file.write(text + b"\n")


def bound(sink: int) -> None:
    """Keep a sink that has grown too large to its tail; the child's next output follows that."""
    with suppress(OSError):
        if os.fstat(sink).st_size > SINK_BYTES:
            tail = _tail(sink)
            os.ftruncate(sink, 0)
            os.lseek(sink, 0, os.SEEK_SET)
            write_all(sink, tail)


def _tail(sink: int) -> bytes:
    """Return the last of what libraries printed, leaving the descriptor at the end."""
    os.lseek(sink, max(0, os.lseek(sink, 0, os.SEEK_END) - SINK_TAIL_BYTES), os.SEEK_SET)
    return os.read(sink, SINK_TAIL_BYTES)
