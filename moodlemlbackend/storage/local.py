"""A base that is a directory of this machine, or one that it mounts."""

from __future__ import annotations

import os
import shutil
import uuid
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from moodlemlbackend.errors import StorageError
from moodlemlbackend.files import storage_errors
from moodlemlbackend.storage.storage import Storage, check_parts

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


class LocalStorage(Storage):
    """Model directories used in place; :class:`.ModelStore` keeps trainers of one apart."""

    def __init__(self, base: Path) -> None:
        self._base = base.absolute()

    in_place = True

    @contextmanager
    def checkout(self, parts: tuple[str, ...], *, write: bool) -> Iterator[Path]:  # noqa: ARG002
        """Give the directory itself."""
        yield self._folder(parts)

    def listing(self, parts: tuple[str, ...]) -> list[str]:
        """See :meth:`Storage.listing`."""
        folder = self._folder(parts, least=0)
        with storage_errors(folder):
            try:
                return sorted(entry.name for entry in folder.iterdir() if not entry.name.startswith("."))
            except (FileNotFoundError, NotADirectoryError):
                return []

    def remove(self, parts: tuple[str, ...]) -> None:
        """See :meth:`Storage.remove`; the directory is gone from its place in one step."""
        folder = self._folder(parts)
        trash = folder.with_name(f".removed-{uuid.uuid4().hex}")
        with storage_errors(folder), suppress(FileNotFoundError, NotADirectoryError):
            folder.rename(trash)
            shutil.rmtree(trash)
        for left in folder.parent.glob(".removed-*"):
            shutil.rmtree(left, ignore_errors=True)

    def describe(self) -> str:
        """See :meth:`Storage.describe`."""
        place = next((path for path in (self._base, *self._base.parents) if path.exists()), self._base)
        if not place.is_dir():
            raise StorageError(f"Cannot use {self._base}: {place} is not a directory; choose another base.")
        if not os.access(place, os.R_OK | os.W_OK | os.X_OK):
            raise StorageError(f"Cannot use {self._base}: {place} cannot be written to; give this user access to it.")
        return f"the directory {self._base}"

    def _folder(self, parts: tuple[str, ...], *, least: int = 1) -> Path:
        """Return the directory, which no symbolic link may lead out of the base."""
        check_parts(parts, least=least)
        folder = self._base.joinpath(*parts)
        with storage_errors(folder):
            if not folder.resolve().is_relative_to(self._base.resolve()):
                raise StorageError(f"{'/'.join(parts)} is outside the base; remove the link that leads there.")
        return folder
