"""Whole processes, measured: seconds of the clock and of all cores, and peak memory."""

from __future__ import annotations

import multiprocessing
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

T = TypeVar("T")

ROOT = Path(__file__).resolve().parents[1]

RESULTS = (0, 4, 8, 12)
"""Exit codes of a call that did its work; an evaluation's says how good the model is."""


class Measured(NamedTuple):
    """Seconds of the clock and of all cores, and peak memory in MB."""

    seconds: float
    core_seconds: float
    megabytes: float


def measure(
    call: Sequence[str], *, cwd: Path = ROOT, env: Mapping[str, str] | None = None, output: Path | None = None
) -> Measured | None:
    """Run a process, its output in a file if asked for; None unless it does its work.

    NOTE: the peak of a process counts what its parent held when it was started, so this one must stay small.
    """
    with (output or Path(os.devnull)).open("wb") as out:
        start = time.perf_counter()
        process = subprocess.Popen(
            call, cwd=cwd, env=env, stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.DEVNULL
        )
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - start
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode not in RESULTS:
        return None
    megabytes = usage.ru_maxrss / (1 << 20 if sys.platform == "darwin" else 1 << 10)
    return Measured(seconds, usage.ru_utime + usage.ru_stime, megabytes)


def in_process(function: Callable[..., T], *arguments: Any) -> T:
    """Call a function in a new process, which takes the memory that it needed with it."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(function, arguments)


class SessionsWatched:
    """Core seconds of the sessions of a PostgreSQL database on this machine, if one is named, and of their helpers.

    They are looked at in Linux' ``/proc`` all the while, for PostgreSQL itself tells only clock time; what a session
    does after the last look is missed. Elsewhere there are none.
    """

    LOOK = 0.1
    """Seconds between two looks."""

    def __init__(self, database: str) -> None:
        self._database = database
        self._ticks: dict[str, int] = {}
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch)

    def __enter__(self) -> SessionsWatched:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    @property
    def core_seconds(self) -> float:
        """Those seen so far."""
        return sum(self._ticks.values()) / os.sysconf("SC_CLK_TCK")

    def _watch(self) -> None:
        while self._database and not self._over.wait(self.LOOK):
            self._ticks.update(self._look())

    def _look(self) -> Iterator[tuple[str, int]]:
        """Process ids with their ticks."""
        for folder in Path("/proc").glob("[0-9]*"):
            try:
                title = (folder / "cmdline").read_bytes().decode(errors="replace")
                if title.startswith("postgres:") and self._is_ours(title):
                    user, system = (folder / "stat").read_text().rpartition(")")[2].split()[11:13]
                    yield folder.name, int(user) + int(system)
            except OSError:
                continue  # it has ended

    def _is_ours(self, title: str) -> bool:
        leader = title.partition("parallel worker for PID ")[2].strip("\0 ")
        return leader in self._ticks if leader else f" {self._database} " in title and "autovacuum" not in title
