"""Who runs what: Python, user, settings, and the package as Moodle calls it."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from moodlemlbackend import __version__
from moodlemlbackend.doctor.finding import Finding, Level
from moodlemlbackend.doctor.processes import PROBE_SECONDS
from moodlemlbackend.errors import BackendError
from moodlemlbackend.interpreter import install_line
from moodlemlbackend.settings.backend import SETTINGS, Settings, reported_version
from moodlemlbackend.settings.loading import BACKEND_SECTION, origins, settings_file, usual_files

if TYPE_CHECKING:
    from collections.abc import Iterator

TESTED_PYTHONS = ((3, 10), (3, 13))

MOODLE_VERSIONS = {
    "3.6 and 3.7": (1, 0, 1),
    "3.8": (2, 3, 0),
    "3.9.11 to 3.11": (2, 6, 5),
    "4.0 to 5.2": (3, 0, 5),
}
"""The version that each Moodle requires; it accepts all from that one to the end of its major version."""


def check_python() -> Finding:
    """Whether this Python is one that the package is tested with."""
    low, high = TESTED_PYTHONS
    text = f"{platform.python_version()} at {sys.executable}, the path to give Moodle"
    if low <= sys.version_info[:2] <= high:
        return Finding("Python", Level.OK, text)
    return Finding(
        "Python",
        Level.WARNING,
        text,
        f"This package is tested with Python {low[0]}.{low[1]} to {high[0]}.{high[1]}; use one of these.",
    )


def check_user() -> Finding:
    """Who runs this."""
    if not hasattr(os, "geteuid"):
        return Finding("User", Level.OK, os.environ.get("USERNAME", "unknown"))
    import pwd

    number = os.geteuid()
    try:
        name = pwd.getpwuid(number).pw_name
    except KeyError:
        name = f"number {number}, which has no name"
    if number != 0:
        return Finding("User", Level.OK, f"{name}; check that Moodle's web server and cron get the same result")
    return Finding(
        "User",
        Level.WARNING,
        f"{name}, who can write anywhere",
        "Run this as the user of the web server and of cron, such as: sudo -u www-data "
        f"{sys.executable} -m moodlemlbackend doctor",
    )


def check_settings(settings: Settings) -> Iterator[Finding]:
    """Show every setting of the backend and where it comes from."""
    places = " or ".join(map(str, usual_files()))
    yield Finding("Settings file", Level.OK, str(settings_file() or f"none; if you create one, put it at {places}"))
    for key, origin in origins(SETTINGS, BACKEND_SECTION).items():
        value = getattr(settings, key)
        yield Finding(f"Setting {key}", Level.OK, f"{'none' if value is None else value} ({origin})")
    from moodlemlbackend.processor import get_processor

    try:
        get_processor(settings.processor)
    except BackendError as error:
        yield Finding("Setting processor", Level.PROBLEM, str(error))
    except ImportError:
        return  # a library is missing; the finding on it says which


def check_version() -> Iterator[Finding]:
    """Ask for the version as Moodle does: from another directory, with both streams in one."""
    command = [sys.executable, "-m", "moodlemlbackend.version"]
    try:
        asked = subprocess.run(
            command,
            cwd=Path(sys.executable).anchor,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=PROBE_SECONDS,
        )
        answer = asked.stdout.decode(errors="backslashreplace").strip()
    except (OSError, subprocess.TimeoutExpired) as error:
        answer = str(error)
    if "No module named" in answer and "moodlemlbackend" in answer:
        yield Finding(
            "Version for Moodle",
            Level.PROBLEM,
            "This Python finds the package only in this directory",
            f"Install it: {install_line()}",
        )
    elif answer != reported_version():
        yield Finding(
            "Version for Moodle",
            Level.PROBLEM,
            f"Moodle reads {answer[:200]!r} where it expects only a version",
            f"Find what prints the rest and remove it. To see the output, run: {' '.join(command)}",
        )
    else:
        fitting = ", ".join(accepting(answer))
        yield Finding(
            "Version for Moodle",
            Level.OK if fitting else Level.WARNING,
            f"{answer}, accepted by {f'Moodle {fitting}' if fitting else 'no version of Moodle'} "
            f"(the package is {__version__})",
            "" if fitting else "Set reported_version to 1, 2 or 3, as your Moodle needs.",
        )


def accepting(version: str) -> list[str]:
    """Return the keys of :data:`MOODLE_VERSIONS` that accept a version such as ``3.1.0``."""
    number = tuple(map(int, version.split(".")))
    return [moodle for moodle, required in MOODLE_VERSIONS.items() if required <= number < (required[0] + 1,)]
