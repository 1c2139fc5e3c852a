"""Files and folders: faults told in one sentence, changes that survive a power cut."""

from __future__ import annotations

import errno
import os
import stat
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from moodlemlbackend.errors import StorageError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import BinaryIO

NEW = ".new-"
"""What the names of files and folders begin with that are not whole yet."""

_GIVE_ACCESS = "give the user who runs this command access to it"
_FREE_SPACE = "free some space there or raise its quota, then run the command again"

_ADVICE = {
    errno.EACCES: _GIVE_ACCESS,
    errno.EPERM: _GIVE_ACCESS,
    errno.EROFS: "mount it as writable, or choose another directory",
    errno.ENOSPC: _FREE_SPACE,
    errno.EFBIG: "raise the file size limit of the user who runs this command",
    errno.ENOTDIR: "there is a file where a directory is needed; move the file, or choose another directory",
    errno.EEXIST: "there is a file where a directory is needed; move the file, or choose another directory",
    errno.EISDIR: "there is a directory where a file is needed; give the name of a file",
    errno.ENOENT: "check that it exists and that its disk is mounted",
    errno.ENAMETOOLONG: "choose a shorter path",
    errno.EMFILE: "raise the limit of open files of the user who runs this command",
}
if hasattr(errno, "EDQUOT"):
    _ADVICE[errno.EDQUOT] = _FREE_SPACE


def explain(error: OSError, path: Path | str | None = None) -> str:
    """One sentence for an admin: which path (the error's own, else ``path``), what is wrong, what to do."""
    where = error.filename if isinstance(error.filename, str) else path
    subject = f"Cannot use {where}" if where else "A file or connection cannot be used"
    advice = _ADVICE.get(error.errno or 0, "check it and run the command again")
    return f"{subject}: {error.strerror or str(error) or type(error).__name__}; {advice}."


@contextmanager
def storage_errors(path: Path) -> Iterator[None]:
    """Turn every :class:`OSError` in the block, whose business is ``path``, into a :class:`StorageError`."""
    try:
        yield
    except OSError as error:
        raise StorageError(explain(error, path)) from error


def exists(text: str) -> bool:
    """Whether a text names a file or folder; no text is too long or too odd to ask."""
    try:
        return Path(text).exists()
    except (OSError, ValueError):
        return False


def is_folder(text: str) -> bool:
    """Whether a text names a folder."""
    return exists(text) and Path(text).is_dir()


def fsync(path: Path) -> None:
    """Make a file's content, or the names in a folder, durable; nothing to do for folders on Windows."""
    if os.name == "nt" and path.is_dir():
        return
    descriptor = os.open(path, os.O_RDWR if os.name == "nt" else os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_all(descriptor: int, content: bytes) -> None:
    """Write all of the content, however little the system takes at a time."""
    rest = memoryview(content)
    while rest:
        rest = rest[os.write(descriptor, rest) :]


def replace_file(path: Path, content: bytes) -> None:
    """Give a file a new content in one step that survives a power cut; OSError leaves the former content."""
    new = path.with_name(NEW + path.name)
    new.write_bytes(content)
    fsync(new)
    fsync(path.parent)
    new.replace(path)
    fsync(path.parent)


@contextmanager
def replacing(path: str | os.PathLike[str]) -> Iterator[BinaryIO]:
    """A new file beside ``path`` that takes its place at the end; a pipe or a device is written directly.

    Raises StorageError when it cannot be written; what was there then stays.
    """
    import secrets

    place = target = Path(path)
    try:
        target = target.resolve()
        if target.exists() and not target.is_file():
            with target.open("wb") as file:
                yield file
            return
        place = target.parent
        temporary = place / f".{secrets.token_hex(8)}.tmp"
        try:
            with temporary.open("xb") as file:
                yield file
            temporary.replace(target)
        except BaseException:
            with suppress(OSError):
                temporary.unlink()
            raise
    except OSError as error:
        raise StorageError(explain(OSError(error.errno, error.strerror or str(error)), place)) from None


def keep_private(folder: Path) -> None:
    """Have all that this process makes from now on be for its user alone: files 0600, folders 0700.

    Where the folder, or the nearest one above it that exists, hands its group on (setgid), also for that group: 0660
    and 2770.
    """
    there = next((path for path in (folder, *folder.absolute().parents) if path.is_dir()), folder)
    with suppress(OSError):
        os.umask(0o007 if there.stat().st_mode & stat.S_ISGID else 0o077)


def is_named_pipe(path: str | os.PathLike[str]) -> bool:
    """Whether opening this would wait for somebody who writes; not so of a pipe that the shell has opened."""
    try:
        return stat.S_ISFIFO(os.lstat(path).st_mode)
    except (OSError, ValueError):
        return False


def private_folder() -> Path | None:
    """Return this user's own folder for caches among the temporary files; None when another has taken its name."""
    import tempfile

    with suppress(OSError):
        folder = Path(tempfile.gettempdir(), f"moodlemlbackend-{os.geteuid()}")
        with suppress(FileExistsError):
            folder.mkdir(mode=0o700)
        facts = folder.lstat()
        if stat.S_ISDIR(facts.st_mode) and facts.st_uid == os.geteuid() and not facts.st_mode & 0o022:
            return folder
    return None
