"""The trained model of one output directory, published by one atomic switch.

A version's files are written and made durable first, then the pointer to it is replaced in one step: a reader sees the
old model or the new one, never half of one. What a killed run leaves is removed by the next publication. The names are
those of :mod:`.layout`.
"""

from __future__ import annotations

import shutil
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from moodlemlbackend.errors import ModelError, StorageError
from moodlemlbackend.files import NEW, fsync, is_named_pipe, replace_file, storage_errors
from moodlemlbackend.storage import layout
from moodlemlbackend.storage.layout import Pointer
from moodlemlbackend.storage.stored_model import RESTORE, StoredModel, read_model, write_model

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping

    from filelock import BaseFileLock
    from numpy.typing import NDArray

LOCK_WAIT_SECONDS = 600.0
READ_ATTEMPTS = 100

T = TypeVar("T")


class ModelStore:
    """The trained model of ``outputdir``: read without a lock, published and cleared under one.

    ``announce`` is called before a model comes into force, with the file and the content that puts it there.
    """

    def __init__(self, outputdir: Path) -> None:
        self.folder = Path(outputdir) / layout.CLASSIFIER
        self.announce: Callable[[Path, bytes], None] = lambda _file, _content: None
        self._lock: BaseFileLock | None = None
        self._new: str | None = None

    def current(self) -> StoredModel | None:
        """Return the model in force; None when nothing is trained, or only the reference package has trained.

        Raises
        ------
        ModelError
            The model is damaged, made by a newer package, or the folder holds files of something else.
        StorageError
            The folder cannot be read.
        """
        return self.read(lambda model: model)

    def published(self) -> Pointer | None:
        """Return version and checksum of the model in force, which change with it; errors as of :meth:`current`."""
        return self._pointer()

    def read(self, use: Callable[[StoredModel], T]) -> T | None:
        """Return ``use(model)`` of the model in force, called anew when the model was replaced under it.

        None and errors as of :meth:`current`, and whatever ``use`` raises while the model stays in force.
        """
        for _ in range(READ_ATTEMPTS):
            pointer = self._pointer()
            if pointer is None:
                self._refuse_foreign_files()
                return None
            version, sha256 = pointer
            try:
                model = read_model(self.folder / version)
                if model.sha256 != sha256:
                    raise ModelError(f"{model.folder / layout.MANIFEST} is not the one that was published; {RESTORE}.")
                return use(model)
            except (ModelError, StorageError):
                if self._pointer() == pointer:
                    raise
        raise ModelError(f"The model in {self.folder} kept being replaced while it was read; run the command again.")

    def has_published(self) -> bool:
        """Whether what this object published last is in force, however :meth:`publish` ended."""
        with suppress(StorageError):
            return self._new is not None and self._version_in_force() == self._new
        return False

    @contextmanager
    def lock(self, wait: float = LOCK_WAIT_SECONDS) -> Iterator[None]:
        """Keep other trainers of this model out; waits for them at most ``wait`` seconds. May be nested.

        Raises
        ------
        StorageError
            Another run holds the lock all that time, or the folder cannot be made or locked.
        """
        from filelock import FileLock, Timeout

        path = self.folder / layout.LOCK
        with storage_errors(path):
            self.folder.mkdir(parents=True, exist_ok=True)
            if self._lock is None:
                self._lock = FileLock(path)
            try:
                self._lock.acquire(timeout=wait)
            except Timeout:
                raise StorageError(
                    f"Another run has held {path} for more than {wait:g} seconds; "
                    "run the command again when that run has ended, or increase the lock_wait setting."
                ) from None
            except NotImplementedError as error:
                raise StorageError(f"The file system of {path} cannot lock files; choose another directory.") from error
        try:
            yield
        finally:
            with storage_errors(path):
                self._lock.release()

    def publish(self, processor: str, settings: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> StoredModel:
        """Put a new version in force and remove those that no reader can be in; needs :meth:`lock`.

        ``settings`` must be JSON. Raises StorageError when it cannot be written; the old model then stays in force.
        """
        if self._lock is None or not self._lock.is_locked:
            raise RuntimeError("publish() needs the lock")
        before = self._version_in_force()
        with storage_errors(self.folder):
            folder = self._new_version()
            self._new = folder.name
            try:
                model = write_model(folder, processor, settings, arrays)
                pointer = Pointer(folder.name, model.sha256).encode()
                self.announce(self.folder / layout.POINTER, pointer)
                replace_file(self.folder / layout.POINTER, pointer)
            except BaseException:
                if self._version_in_force() != folder.name:
                    shutil.rmtree(folder, ignore_errors=True)
                raise
        self._remove_versions(keep={before, folder.name})
        return model

    def clear(self) -> None:
        """Remove the trained model, also one of the reference package; nothing to do where there is none."""
        with storage_errors(self.folder):
            if not self.folder.exists():
                return
        with self.lock(), storage_errors(self.folder):
            for name in (layout.POINTER, NEW + layout.POINTER):
                (self.folder / name).unlink(missing_ok=True)
            fsync(self.folder)
            self._remove_versions(keep=())
            for name in layout.REFERENCE_FILES:
                path = self.folder / name
                if path.is_dir() and not path.is_symlink():
                    shutil.rmtree(path)
                else:
                    path.unlink(missing_ok=True)

    def _pointer(self) -> Pointer | None:
        """Return the version in force and its manifest's checksum."""
        path = self.folder / layout.POINTER
        with storage_errors(path):
            try:
                pointer = None if is_named_pipe(path) else Pointer.parse(path.read_bytes())
            except FileNotFoundError:
                return None
        if pointer is None:
            raise ModelError(f"The file {path} is damaged; {RESTORE}.")
        return pointer

    def _version_in_force(self) -> str | None:
        try:
            pointer = self._pointer()
        except ModelError:
            return None
        return pointer[0] if pointer else None

    def _refuse_foreign_files(self) -> None:
        names = self._names()
        if not set(layout.REFERENCE_FILES).isdisjoint(names):
            return
        foreign = layout.foreign(names)
        if foreign:
            raise ModelError(
                f"The directory {self.folder} has no trained model but {', '.join(foreign[:3])}"
                f"{' and more' if len(foreign) > 3 else ''}; move these, or choose another output directory."
            )

    def _names(self) -> list[str]:
        with storage_errors(self.folder):
            try:
                return [entry.name for entry in self.folder.iterdir()]
            except FileNotFoundError:
                return []

    def _new_version(self) -> Path:
        number = layout.highest_version(self._names())
        while True:
            number += 1
            folder = self.folder / layout.version_name(number)
            with suppress(FileExistsError):
                folder.mkdir()
                return folder

    def _remove_versions(self, keep: Collection[str | None]) -> None:
        with suppress(StorageError):
            for name in layout.versions(self._names()):
                if name not in keep:
                    shutil.rmtree(self.folder / name, ignore_errors=True)
