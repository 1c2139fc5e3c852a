"""The limits that a system sets to a process (ulimit), by name: a run that meets one is told which."""

from __future__ import annotations

import os
import signal
from contextlib import suppress
from typing import NamedTuple

try:
    import resource
except ImportError:  # Windows has none of these limits
    resource = None  # type: ignore[assignment]

LEAST_DESCRIPTORS = 16
"""Open files that a run needs to tell even of its failure."""

USUAL_THREADS = 8 * (os.cpu_count() or 1)
"""About as many as libraries start."""

_MEGABYTE = 1 << 20
_CRASHES = {getattr(signal, name, 0) for name in ("SIGSEGV", "SIGABRT", "SIGBUS", "SIGTRAP", "SIGFPE")}


class Limit(NamedTuple):
    """A limit that is set; ``value`` in its unit."""

    name: str
    option: str
    value: int
    unit: str

    def __str__(self) -> str:
        return f"the limit on {self.name} is {self.value:,}{self.unit and ' '}{self.unit} (ulimit {self.option})"


_KINDS = {
    "RLIMIT_AS": ("memory (address space)", "-v", _MEGABYTE, "MB"),
    "RLIMIT_CPU": ("processor time", "-t", 1, "seconds"),
    "RLIMIT_NPROC": ("processes and threads of this user", "-u", 1, ""),
    "RLIMIT_NOFILE": ("open files", "-n", 1, ""),
    "RLIMIT_FSIZE": ("the size of a file", "-f", _MEGABYTE, "MB"),
}


def limits() -> dict[str, Limit]:
    """The limits that are set, by the name of the system's constant."""
    set_limits = {}
    for constant, (name, option, unit_size, unit) in _KINDS.items():
        with suppress(AttributeError, OSError, ValueError):
            soft, _ = resource.getrlimit(getattr(resource, constant))
            if soft != resource.RLIM_INFINITY:
                set_limits[constant] = Limit(name, option, soft // unit_size, unit)
    return set_limits


def too_few_descriptors() -> str:
    """What to say when too few files may be open for a run to begin, else an empty text; raises the limit if it can."""
    with suppress(AttributeError, OSError, ValueError):
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        if soft != resource.RLIM_INFINITY and soft < LEAST_DESCRIPTORS <= hard:
            resource.setrlimit(resource.RLIMIT_NOFILE, (LEAST_DESCRIPTORS, hard))
    limit = limits().get("RLIMIT_NOFILE")
    return _raise(limit, "Too few files may be open") if limit and limit.value < LEAST_DESCRIPTORS else ""


def limit_that_ended(name: str, code: int | None) -> str:
    """What to say when a limit most likely ended a process with this exit code, else an empty text."""
    in_force = limits()
    if code in (-getattr(signal, "SIGXCPU", 0), -getattr(signal, "SIGKILL", 0)) and "RLIMIT_CPU" in in_force:
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        if used.ru_utime + used.ru_stime >= in_force["RLIMIT_CPU"].value - 1:
            return _raise(in_force["RLIMIT_CPU"], f"There was not enough processor time for {name}")
    if code is None or code >= 0 or -code in _CRASHES:
        return limit_behind_error(name)
    return ""


def limit_behind_error(name: str) -> str:
    """What to say when a limit is most likely behind an error that nobody foresaw, else an empty text."""
    if memory := limits().get("RLIMIT_AS"):
        return _raise(memory, f"Most likely {name} ran out of memory")
    return limit_of_threads(name)


def limit_of_threads(name: str) -> str:
    """What to say when this process cannot start as many threads as libraries do, else an empty text."""
    import threading

    end = threading.Event()
    try:
        for _ in range(USUAL_THREADS):
            threading.Thread(target=end.wait, daemon=True).start()
    except RuntimeError:
        limit = limits().get("RLIMIT_NPROC")
        what = f"Not enough threads could be started for {name}"
        return _raise(limit, what) if limit else f"{what}: the system refuses to start more; raise its limit."
    finally:
        end.set()
    return ""


def _raise(limit: Limit, what: str) -> str:
    return f"{what}: {limit}; raise it for the user who runs this."
