"""Whether Moodle can work with this installation, and what to do where it cannot.

:func:`examine` looks at everything that has kept a site from its predictions: the Python that runs, the package as
Moodle calls it, the processor and the libraries, the directories that are written to, the settings. Nothing of it is
believed that can be tried: libraries are imported and the version is asked for in processes of their own, for they may
crash, and files are written.
"""

from __future__ import annotations

import json
import os
import platform
import shutil
import signal
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from enum import Enum
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from moodlemlbackend import __version__
from moodlemlbackend.errors import BackendError
from moodlemlbackend.files import explain
from moodlemlbackend.interpreter import python_code
from moodlemlbackend.settings.backend import SETTINGS, Settings, load_settings, reported_version
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

PACKAGES = {
    "numpy": "numpy",
    "pyarrow": "pyarrow",
    "sklearn": "scikit-learn",
    "matplotlib": "matplotlib",
    "tensorboard": "tensorboard",
    "filelock": "filelock",
    "click": "click",
    "rich": "rich",
}
"""What every installation needs beside TensorFlow: module and name to install."""

PROBE_SECONDS = 180
FREE_BYTES = 100 << 20
FOLDERS_LOOKED_AT = 10_000

_PROBE = """
import importlib, importlib.metadata, json, sys, time
from moodlemlbackend.runtime.environment import set_library_defaults
set_library_defaults()
for module, name in json.loads(sys.argv[1]).items():
    start = time.perf_counter()
    try:
        imported = importlib.import_module(module)
        seconds = time.perf_counter() - start
        try:
            version = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            version = str(getattr(imported, "__version__", "of unknown version"))
        found = {"version": version, "seconds": seconds}
    except ImportError as error:
        found = {"missing": isinstance(error, ModuleNotFoundError) and error.name == module, "error": str(error)}
    except Exception as error:
        found = {"missing": False, "error": f"{type(error).__name__}: {error}"}
    print(json.dumps({"module": module, **found}), flush=True)
"""


class Level(str, Enum):
    """How bad a finding is; with a problem Moodle gets no predictions."""

    OK = "ok"
    WARNING = "warning"
    PROBLEM = "problem"


@dataclass(frozen=True)
class Finding:
    """What was found about one topic and, unless all is well, what to do."""

    topic: str
    level: Level
    text: str
    advice: str = ""


def examine(folder: Path | None = None) -> Iterator[Finding]:
    """Yield the findings one by one; ``folder`` is a model's directory, or one above, that must be writable."""
    yield _python()
    yield _user()
    settings = Settings()
    try:
        settings = load_settings()
    except BackendError as error:
        yield Finding("Settings", Level.PROBLEM, str(error), "Until then every command ends with this error.")
    else:
        yield from _settings(settings)
    yield from _version()
    instructions = _instructions(settings)
    yield instructions
    yield from _packages()
    yield _tensorflow(settings, has_avx=instructions.level is Level.OK)
    yield _temporary_folder()
    yield _home()
    yield _working_directory()
    if folder is not None:
        yield from _model_folder(folder)


# ---- who runs what ----


def _python() -> Finding:
    low, high = TESTED_PYTHONS
    text = f"{platform.python_version()} at {sys.executable}, the path to give to Moodle"
    if low <= sys.version_info[:2] <= high:
        return Finding("Python", Level.OK, text)
    return Finding(
        "Python",
        Level.WARNING,
        text,
        f"The tests cover Python {low[0]}.{low[1]} to {high[0]}.{high[1]}: prefer one of these.",
    )


def _user() -> Finding:
    if not hasattr(os, "geteuid"):
        return Finding("User", Level.OK, os.environ.get("USERNAME", "unknown"))
    import pwd

    number = os.geteuid()
    try:
        name = pwd.getpwuid(number).pw_name
    except KeyError:
        name = f"number {number}, which has no name"
    if number != 0:
        return Finding("User", Level.OK, f"{name}; Moodle's web server and cron must find the same")
    return Finding(
        "User",
        Level.WARNING,
        f"{name}, who may write everywhere",
        "Run this as the user of the web server and of cron, such as: sudo -u www-data "
        f"{sys.executable} -m moodlemlbackend doctor",
    )


def _settings(settings: Settings) -> Iterator[Finding]:
    places = " or ".join(map(str, usual_files()))
    yield Finding("Settings file", Level.OK, str(settings_file() or f"none; it would be {places}"))
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


def _version() -> Iterator[Finding]:
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
            "This Python finds the package in this directory only",
            f"Install it, in its source: {sys.executable} -m pip install .",
        )
    elif answer != reported_version():
        yield Finding(
            "Version for Moodle",
            Level.PROBLEM,
            f"Moodle reads {answer[:200]!r} where it expects a version and nothing else",
            f"Remove what prints the rest when {' '.join(command)} is run.",
        )
    else:
        fitting = ", ".join(accepting(answer))
        yield Finding(
            "Version for Moodle",
            Level.OK if fitting else Level.WARNING,
            f"{answer}, accepted by Moodle {fitting or 'in no version'} (the package is {__version__})",
            "" if fitting else "Set reported_version to 1, 2 or 3, as your Moodle needs.",
        )


def accepting(version: str) -> list[str]:
    """Return the keys of :data:`MOODLE_VERSIONS` that accept a version such as ``3.1.0``."""
    number = tuple(map(int, version.split(".")))
    return [moodle for moodle, required in MOODLE_VERSIONS.items() if required <= number < (required[0] + 1,)]


# ---- processor and libraries ----


def _instructions(settings: Settings, cpuinfo: Path = Path("/proc/cpuinfo")) -> Finding:
    topic, machine = "Processor", f"{os.cpu_count()} cores, {platform.machine()}"
    try:
        lines = cpuinfo.read_text(errors="replace").splitlines()
    except OSError:
        lines = []
    flags = next((line.partition(":")[2].split() for line in lines if line.startswith("flags")), None)
    if flags is None:
        return Finding(topic, Level.OK, f"{machine}; which instructions it has cannot be read here")
    if "avx" in flags:
        found = [name.upper() for name in ("avx", "avx2", "fma", "avx512f") if name in flags]
        return Finding(topic, Level.OK, f"{machine}, with {', '.join(found)}")
    return Finding(
        topic,
        _level_of_tensorflow(settings),
        f"{machine}, without AVX, which TensorFlow needs",
        "Choose a computer or virtual machine with AVX, or set processor to logistic_regression.",
    )


def _level_of_tensorflow(settings: Settings) -> Level:
    """How bad it is to have no TensorFlow: only the processor neural_network trains with it."""
    return Level.PROBLEM if settings.processor == "neural_network" else Level.WARNING


def _probe(modules: dict[str, str]) -> dict[str, dict[str, object]]:
    """Import modules in a process of their own; what became of each, up to the first that ended the process."""
    command = python_code(_PROBE, json.dumps(modules))
    try:
        probe = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=PROBE_SECONDS)
        output, code = probe.stdout, probe.returncode
    except subprocess.TimeoutExpired as error:
        output, code = error.stdout or b"", None
    results: dict[str, dict[str, object]] = {}
    for line in output.splitlines():
        try:
            said = json.loads(line)
            results[said.pop("module")] = said
        except (ValueError, KeyError, TypeError, AttributeError):
            continue  # a library printed it
    unsaid = next((module for module in modules if module not in results), None)
    if unsaid is not None:
        results[unsaid] = {"crash": code}
    return results


def _packages() -> Iterator[Finding]:
    results = _probe(PACKAGES)
    versions = [f"{PACKAGES[name]} {found['version']}" for name, found in results.items() if "version" in found]
    if versions:
        yield Finding("Packages", Level.OK, ", ".join(versions))
    for module, name in PACKAGES.items():
        found = results[module]
        if "version" not in found:
            advice = f"Install it again: {sys.executable} -m pip install -U {name}"
            yield Finding(name, Level.PROBLEM, _failure(found), advice)
            if "crash" in found:
                return


def _tensorflow(settings: Settings, *, has_avx: bool) -> Finding:
    found = _probe({"tensorflow": "tensorflow"})["tensorflow"]
    if "version" in found:
        return Finding("TensorFlow", Level.OK, f"{found['version']}, imported in {found['seconds']:.1f} s")
    advice = f"Install it again: {sys.executable} -m pip install -U tensorflow-cpu (or tensorflow)."
    if not has_avx or found.get("crash") == -getattr(signal, "SIGILL", 4):
        advice = "Choose a computer or virtual machine with AVX, or set processor to logistic_regression."
    return Finding("TensorFlow", _level_of_tensorflow(settings), _failure(found), advice)


def _failure(found: dict[str, object]) -> str:
    """Say why a module could not be imported."""
    if found.get("missing"):
        return "not installed"
    if "error" in found:
        return f"cannot be imported: {' '.join(str(found['error']).split())[:300]}"
    code = found["crash"]
    if not isinstance(code, int):
        return f"cannot be imported within {PROBE_SECONDS} seconds"
    if code >= 0:
        return f"ended Python when it was imported (exit code {code})"
    name = signal.Signals(-code).name
    reason = ": an instruction that this processor lacks, most likely AVX" if name == "SIGILL" else ""
    return f"crashed when it was imported ({name}{reason})"


# ---- directories ----


def _temporary_folder() -> Finding:
    try:
        with tempfile.TemporaryFile() as file:
            file.write(b"\0")
    except OSError as error:
        return Finding(
            "Temporary files", Level.WARNING, explain(error), "Set TMPDIR to a directory that this user can write to."
        )
    return Finding("Temporary files", Level.OK, f"{tempfile.gettempdir()} can be written to")


def _home() -> Finding:
    home = os.environ.get("HOME") or os.environ.get("USERPROFILE")
    if home and os.access(home, os.W_OK):
        return Finding("HOME", Level.OK, f"{home} can be written to")
    state = f"{home} cannot be written to" if home else "not set"
    if "MPLCONFIGDIR" in os.environ:
        return Finding("HOME", Level.OK, f"{state}; MPLCONFIGDIR is {os.environ['MPLCONFIGDIR']}")
    return Finding("HOME", Level.OK, f"{state}; Matplotlib's list of fonts is kept among the temporary files")


def _working_directory() -> Finding:
    try:
        here = Path.cwd()
    except OSError as error:
        return Finding("Working directory", Level.OK, f"{explain(error)} Nothing is written there anyway")
    state = "can" if os.access(here, os.W_OK) else "cannot"
    return Finding("Working directory", Level.OK, f"{here} {state} be written to, which no command needs")


def _model_folder(folder: Path) -> Iterator[Finding]:
    """Write, replace and lock a file in the folder, or in the nearest one above it that exists."""
    topic = f"Directory {folder}"
    place = next((path for path in (folder, *folder.absolute().parents) if path.exists()), folder)
    try:
        _try_to_write(place)
    except OSError as error:
        yield Finding(topic, Level.PROBLEM, explain(OSError(error.errno, error.strerror), place))
        return
    except NotImplementedError:
        yield Finding(topic, Level.PROBLEM, "its file system cannot lock files", "Choose another directory.")
        return
    state = "can be written to and locked"
    yield Finding(topic, Level.OK, state if place == folder else f"does not exist yet; {place} {state}")
    closed = next(_closed_folders(folder), None)
    if closed is not None:
        advice = "Give the user of the web server and of cron the directory and all in it (chown -R)."
        yield Finding(topic, Level.PROBLEM, f"{closed} in it cannot be written to", advice)
    free = shutil.disk_usage(place).free
    if free < FREE_BYTES:
        yield Finding(topic, Level.WARNING, f"has {free >> 20} MB left", "Free some space there, or raise its quota.")


def _try_to_write(folder: Path) -> None:
    from filelock import FileLock

    with tempfile.TemporaryDirectory(prefix=".doctor-", dir=folder, ignore_cleanup_errors=True) as trial:
        new = Path(trial, "new")
        new.write_bytes(b"\0")
        new.replace(Path(trial, "file"))
        with FileLock(Path(trial, "lock"), timeout=10):
            pass


def _closed_folders(folder: Path) -> Iterator[Path]:
    """Yield the folders within that this user cannot write to, such as those of a command once run as root."""
    for parent, names, _ in islice(os.walk(folder), FOLDERS_LOOKED_AT):
        yield from (
            Path(parent, name) for name in names if not os.access(Path(parent, name), os.R_OK | os.W_OK | os.X_OK)
        )
