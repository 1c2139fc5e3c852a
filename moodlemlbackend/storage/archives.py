"""Zip archives: what goes out, and what is let in."""

from __future__ import annotations

import errno
import io
import os
import re
import stat
import struct
import zipfile
import zlib
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from moodlemlbackend.errors import ArchiveError, StorageError
from moodlemlbackend.files import explain, storage_errors

if TYPE_CHECKING:
    from collections.abc import Callable

MIB = 1 << 20
ENTRIES = 1_000
"""Files in an archive, unless its reader admits another number."""
UNPACKED_BYTES = 2048 * MIB
"""All files of an archive, unpacked, unless its reader admits another number."""
NAME_BYTES = 200
"""Path of a file in an archive."""
DIRECTORY_BYTES_AN_ENTRY = 512

_CHUNK = MIB
_END_BYTES = 22 + 0xFFFF
"""The end record of an archive with its comment."""
_DAMAGED = (
    zipfile.BadZipFile, zlib.error, EOFError, struct.error, ValueError, OverflowError, RuntimeError,
)  # fmt: skip
_EARLIEST = (1980, 1, 1, 0, 0, 0)
_TRACEBACK = re.compile(r"^Traceback \(most recent call last\):\n(?:[ \t].*\n|\n)*", re.MULTILINE)


def pack(folder: Path, archive: Path, *, alter: Callable[[Path, bytes], bytes] | None = None) -> None:
    """Write the regular files below a folder to a zip archive; ``alter`` may change the content of log files."""
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED, compresslevel=6) as file:
        for parent, folders, names in os.walk(folder):
            folders.sort()
            for name in sorted(names):
                path = Path(parent, name)
                if not stat.S_ISREG(path.lstat().st_mode):
                    continue
                inside = path.relative_to(folder).as_posix()
                if alter is not None and path.suffix == ".log":
                    file.writestr(zipfile.ZipInfo(inside, _EARLIEST), alter(path, path.read_bytes()))
                else:
                    file.write(path, inside)


def without_tracebacks(log: str) -> str:
    """Return a run's log without what only this server's administrator is to see."""
    return _TRACEBACK.sub("", log)


def size(count: int) -> str:
    """Bytes as people read them."""
    return f"{count / MIB:.3g} MiB" if count >= MIB // 10 else f"{count} bytes"


class _BoundedFile(io.FileIO):
    """A file of which no more than so many bytes are read at once: zipfile reads the list of entries in one."""

    most: int | None = None

    def read(self, size: int | None = -1, /) -> bytes:
        if self.most is None:
            return super().read(size)
        content = super().read(size if size is not None and 0 <= size <= self.most else self.most + 1)
        if len(content) > self.most:
            raise _ListTooLongError
        return content


class _ListTooLongError(Exception):
    pass


def unpack(archive: Path, folder: Path, *, entries: int = ENTRIES, unpacked_bytes: int = UNPACKED_BYTES) -> None:
    """Unpack an archive to a new folder, having looked at all of its entries first.

    Raises
    ------
    ArchiveError
        Too many entries or bytes; no archive; or an entry that leads out of the folder, is a link or other than a file,
        is encrypted or compressed in an uncommon way, or has the name of another.
    StorageError
        The archive cannot be read, or the folder cannot be written.
    """
    with storage_errors(archive):
        if not stat.S_ISREG(archive.stat().st_mode):
            raise ArchiveError(f"{archive} is not a file; give the path of a zip archive.")
        content = _BoundedFile(archive)
    try:
        with content:
            content.most = max(_END_BYTES, entries * DIRECTORY_BYTES_AN_ENTRY)
            with zipfile.ZipFile(content) as file:
                content.most = None
                _check_entries(file.infolist(), entries, unpacked_bytes)
                folder.mkdir()
                for entry in file.infolist():
                    _unpack_entry(file, entry, folder)
    except _ListTooLongError:
        raise _too_many(entries) from None
    except _DAMAGED as error:
        raise ArchiveError("The file is not a zip archive, or is damaged; export the model again.") from error
    except (FileExistsError, NotADirectoryError, IsADirectoryError) as error:
        raise ArchiveError("The archive has two entries with the same name.") from error
    except OSError as error:
        if error.errno == errno.EINVAL:
            raise ArchiveError("The file is not a zip archive, or is damaged; export the model again.") from error
        raise StorageError(explain(error, folder)) from error


def _unpack_entry(file: zipfile.ZipFile, entry: zipfile.ZipInfo, folder: Path) -> None:
    """Write one entry: no more than the size that the archive declares and that was checked."""
    target = folder.joinpath(*PurePosixPath(entry.filename).parts)
    if entry.is_dir():
        target.mkdir(parents=True, exist_ok=True)
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    total = 0
    with file.open(entry) as source, target.open("xb") as copy:
        while chunk := source.read(_CHUNK):
            total += len(chunk)
            if total > entry.file_size:
                raise zipfile.BadZipFile
            copy.write(chunk)


def _check_entries(entries: list[zipfile.ZipInfo], most: int, unpacked_bytes: int) -> None:
    if len(entries) > most:
        raise _too_many(most)
    if sum(entry.file_size for entry in entries) > unpacked_bytes:
        raise _too_large(unpacked_bytes)
    seen: set[str] = set()
    for entry in entries:
        name = entry.orig_filename
        mode = entry.external_attr >> 16
        path = PurePosixPath(name)
        if (
            not name
            or len(name.encode("utf-8", "replace")) > NAME_BYTES
            or not name.isprintable()
            or any(character in name for character in '\\:*?"<>|')
            or path.is_absolute()
            or any(part in ("", ".", "..") for part in name.rstrip("/").split("/"))
        ):
            raise ArchiveError("The archive has an entry whose name leads outside it or cannot be used.")
        if stat.S_IFMT(mode) not in (0, stat.S_IFREG, stat.S_IFDIR):
            raise ArchiveError("The archive has a link or another entry that is not a file.")
        if entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise ArchiveError("The archive uses an unusual compression; create it with deflate, as zip does.")
        if entry.flag_bits & 0x1:
            raise ArchiveError("The archive is encrypted; send one without a password.")
        if str(path).casefold() in seen:
            raise ArchiveError("The archive has two entries with the same name.")
        seen.add(str(path).casefold())


def _too_many(most: int) -> ArchiveError:
    return ArchiveError(f"The archive has more than {most} entries.", too_large=True)


def _too_large(most: int) -> ArchiveError:
    return ArchiveError(f"The archive has more than {size(most)} when unpacked.", too_large=True)
