"""The limits of a process, and each thing that needs a second one or a thread."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

from moodlemlbackend.doctor.finding import Finding, Level
from moodlemlbackend.interpreter import python_code
from moodlemlbackend.runtime.process_limits import limit_of_threads, limits

if TYPE_CHECKING:
    from collections.abc import Iterator

PROBE_SECONDS = 180

ENOUGH = {"RLIMIT_AS": 6000, "RLIMIT_CPU": 3600, "RLIMIT_NPROC": 256, "RLIMIT_NOFILE": 256, "RLIMIT_FSIZE": 1000}
"""Below this a limit is worth a warning; in its own unit."""


def check_limits() -> Iterator[Finding]:
    """Show the limits that are set."""
    set_limits = limits()
    if not set_limits:
        yield Finding("Limits", Level.OK, "no limit is set")
    for constant, limit in set_limits.items():
        if limit.value < ENOUGH[constant]:
            advice = (
                f"Raise the limit for this user (ulimit {limit.option}, /etc/security/limits.conf, or the systemd "
                "unit)."
            )
            yield Finding("Limits", Level.WARNING, str(limit), advice)
        else:
            yield Finding("Limits", Level.OK, str(limit))


def check_interpreter() -> Finding:
    """Start Python once more, as every check of libraries, server and analytics do."""
    topic = "Python in a separate process"
    try:
        done = subprocess.run(python_code("pass"), stdin=subprocess.DEVNULL, capture_output=True, timeout=PROBE_SECONDS)
    except PermissionError:
        return Finding(
            topic,
            Level.PROBLEM,
            f"this user is not allowed to execute {sys.executable}",
            "Let everyone enter its parent directories and execute it (chmod a+rx), or install the "
            "environment somewhere this user can, such as /opt.",
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return Finding(
            topic, Level.PROBLEM, f"cannot be started: {error}", "Raise the limits listed here, or free some memory."
        )
    if done.returncode:
        text = f"ends with {done.returncode}: {done.stderr.decode(errors='replace').strip()[-200:]}"
        return Finding(topic, Level.PROBLEM, text, "Raise the limits listed here, or reinstall the environment.")
    return Finding(topic, Level.OK, "can be started")


def check_children() -> Iterator[Finding]:
    """Fork, as every call of Moodle does, and start as many threads as libraries do."""
    if hasattr(os, "fork"):
        try:
            child = os.fork()
            if child == 0:
                os._exit(0)
            os.waitpid(child, 0)
        except OSError as error:
            text = f"no second process can be started: {error.strerror}"
            yield Finding("Processes", Level.PROBLEM, text, "Raise this user's process limit (ulimit -u).")
            return
    if text := limit_of_threads("libraries"):
        yield Finding("Processes", Level.PROBLEM, text, "Raise this user's process limit (ulimit -u).")
    else:
        yield Finding("Processes", Level.OK, "a second process and threads can be started")
