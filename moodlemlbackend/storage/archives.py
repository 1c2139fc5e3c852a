"""Zip archives: what goes out, and what is let in."""

from __future__ import annotations

import os
import re
import stat
import struct
import zipfile
import zlib
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from moodlemlbackend.errors import ArchiveError

if TYPE_CHECKING:
    from collections.abc import Callable

MIB = 1 << 20
ENTRIES = 1_000
"""Files in an archive, unless its reader admits another number."""
UNPACKED_BYTES = 2048 * MIB
"""All files of an archive, unpacked, unless its reader admits another number."""
NAME_CHARACTERS = 200
"""Path of a file in an archive."""
DIRECTORY_BYTES_AN_ENTRY = 512

_CHUNK = MIB
_END = struct.Struct("<4s4H2LH")
_END_MAGIC = b"PK\5\6"
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


def unpack(archive: Path, folder: Path, *, entries: int = ENTRIES, unpacked_bytes: int = UNPACKED_BYTES) -> None:
    """Unpack an archive to a new folder, having looked at all of its entries first.

    Raises
    ------
    ArchiveError
        Too many entries or bytes; no archive; or an entry that leads out of the folder, is a link or other than a file,
        is encrypted, or has the name of another.
    """
    try:
        _check_directory(archive, entries)
        with zipfile.ZipFile(archive) as file:
            found = file.infolist()
            _check_entries(found, entries, unpacked_bytes)
            folder.mkdir()
            total = 0
            for entry in found:
                target = folder.joinpath(*PurePosixPath(entry.filename).parts)
                if entry.is_dir():
                    target.mkdir(parents=True, exist_ok=True)
                    continue
                target.parent.mkdir(parents=True, exist_ok=True)
                with file.open(entry) as source, target.open("xb") as copy:
                    while chunk := source.read(_CHUNK):
                        total += len(chunk)
                        if total > unpacked_bytes:
                            raise _too_large(unpacked_bytes)
                        copy.write(chunk)
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, struct.error, ValueError) as error:
        raise ArchiveError("The file is no zip archive, or a damaged one; export the model again.") from error
    except (FileExistsError, NotADirectoryError, IsADirectoryError) as error:
        raise ArchiveError("The archive has two entries of one name.") from error


def _check_directory(archive: Path, most: int) -> None:
    """Look at the archive's own count before its list of entries is read into memory."""
    with archive.open("rb") as file:
        end = file.seek(0, os.SEEK_END)
        file.seek(max(0, end - _END.size - 0xFFFF))
        tail = file.read()
    position = tail.rfind(_END_MAGIC)
    if position < 0:
        raise zipfile.BadZipFile
    _, _, _, _, count, directory, _, _ = _END.unpack_from(tail, position)
    if count > most or directory > most * DIRECTORY_BYTES_AN_ENTRY:
        raise _too_many(most)


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
            or len(name) > NAME_CHARACTERS
            or not name.isprintable()
            or any(character in name for character in '\\:*?"<>|')
            or path.is_absolute()
            or any(part in ("", ".", "..") for part in name.rstrip("/").split("/"))
        ):
            raise ArchiveError("The archive has an entry whose name leads elsewhere or cannot be used.")
        if stat.S_IFMT(mode) not in (0, stat.S_IFREG, stat.S_IFDIR):
            raise ArchiveError("The archive has a link or another entry that is no file.")
        if entry.flag_bits & 0x1:
            raise ArchiveError("The archive is encrypted; send it without a password.")
        if str(path).casefold() in seen:
            raise ArchiveError("The archive has two entries of one name.")
        seen.add(str(path).casefold())


def _too_many(most: int) -> ArchiveError:
    return ArchiveError(f"The archive has more than {most} entries.", too_large=True)


def _too_large(most: int) -> ArchiveError:
    return ArchiveError(f"The archive has more than {size(most)} unpacked.", too_large=True)
