"""The directories that are written to: whatever can be tried is tried."""

from __future__ import annotations

import os
import shutil
import stat
import tempfile
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from moodlemlbackend.doctor.finding import Finding, Level
from moodlemlbackend.files import explain

if TYPE_CHECKING:
    from collections.abc import Iterator

FREE_BYTES = 100 << 20
FOLDERS_LOOKED_AT = 10_000


def user_name() -> str:
    """The name of the user who runs this, else the number."""
    try:
        import pwd

        return pwd.getpwuid(os.geteuid()).pw_name
    except (ImportError, KeyError):
        return str(os.geteuid()) if hasattr(os, "geteuid") else os.environ.get("USERNAME", "this user")


def _hand_over(folder: Path) -> str:
    return f"Make this user the owner of it and everything in it: sudo chown -R {user_name()} {folder}"


def _make_for_user(folder: Path) -> str:
    return f"Create it for this user: sudo install -d -o {user_name()} {folder}"


def check_temporary_folder() -> Finding:
    """Write a temporary file."""
    try:
        with tempfile.TemporaryFile() as file:
            file.write(b"\0")
    except OSError as error:
        return Finding(
            "Temporary files", Level.WARNING, explain(error), "Set TMPDIR to a directory that this user can write to."
        )
    return Finding("Temporary files", Level.OK, f"{tempfile.gettempdir()} can be written to")


def check_home() -> Finding:
    """Whether there is a home to write to; none is needed."""
    home = os.environ.get("HOME") or os.environ.get("USERPROFILE")
    if home and os.access(home, os.W_OK):
        return Finding("HOME", Level.OK, f"{home} can be written to")
    state = f"{home} cannot be written to" if home else "not set"
    if "MPLCONFIGDIR" in os.environ:
        return Finding("HOME", Level.OK, f"{state}; MPLCONFIGDIR is {os.environ['MPLCONFIGDIR']}")
    return Finding("HOME", Level.OK, f"{state}; Matplotlib's list of fonts is kept among the temporary files")


def check_working_directory() -> Finding:
    """Whether the working directory can be written to; none needs it."""
    try:
        here = Path.cwd()
    except OSError as error:
        return Finding("Working directory", Level.OK, f"{explain(error)} Nothing needs to be written there")
    state = "can" if os.access(here, os.W_OK) else "cannot"
    return Finding("Working directory", Level.OK, f"{here} {state} be written to; no command needs to write there")


def check_folder(folder: Path) -> Iterator[Finding]:
    """Write, replace and lock a file in the folder, or in the nearest one above it that exists."""
    topic = f"Directory {folder}"
    place = next((path for path in (folder, *folder.absolute().parents) if path.exists()), folder)
    try:
        _try_to_write(place)
    except OSError as error:
        if place == folder:
            yield Finding(
                topic, Level.PROBLEM, explain(OSError(error.errno, error.strerror), place), _hand_over(folder)
            )
        else:
            text = f"does not exist, and this user cannot create it in {place}: {error.strerror}"
            yield Finding(topic, Level.PROBLEM, text, _make_for_user(folder))
        return
    except NotImplementedError:
        yield Finding(topic, Level.PROBLEM, "its file system cannot lock files", "Choose another directory.")
        return
    state = "can be written to and locked"
    yield Finding(topic, Level.OK, state if place == folder else f"does not exist yet; {place} {state}")
    closed = next(_closed_folders(folder), None)
    if closed is not None:
        yield Finding(topic, Level.PROBLEM, f"it contains {closed}, which cannot be written to", _hand_over(folder))
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


def check_privacy(folder: Path) -> Iterator[Finding]:
    """Tell of files and folders that everybody may read, such as those of earlier versions."""
    paths = (path for path in (folder, *islice(folder.rglob("*"), FOLDERS_LOOKED_AT)) if not path.is_symlink())
    try:
        if folder.stat().st_mode & stat.S_IRWXO == 0:
            return  # nobody else gets in
        open_to_all = [path for path in paths if path.stat().st_mode & stat.S_IROTH]
    except OSError:
        return  # other checks tell of a directory that cannot be read
    if open_to_all:
        yield Finding(
            f"Directory {folder}",
            Level.WARNING,
            f"anyone on this machine can read {open_to_all[0]}"
            + (f" and {len(open_to_all) - 1} other entries" if len(open_to_all) > 1 else ""),
            f"Make it readable by its owner only: sudo chmod -R o-rwx {folder}",
        )
