"""Whole processes, measured: seconds of the clock and of all cores, and peak memory."""

from __future__ import annotations

import multiprocessing
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
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
