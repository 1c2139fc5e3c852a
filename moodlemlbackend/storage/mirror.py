"""One model directory of a remote base as it lies in the cache of this machine.

The pointer is read from the base each time, the files of a version once: they never change. Several threads and
processes may use a cache; who changes it holds a lock, who reads finds a pointer replaced in one step, as in
:class:`~moodlemlbackend.storage.model_store.ModelStore`.
"""

from __future__ import annotations

import os
import shutil
import time
import uuid
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from moodlemlbackend.errors import ModelError, StorageError
from moodlemlbackend.files import NEW, fsync, replace_file, storage_errors
from moodlemlbackend.storage import layout
from moodlemlbackend.storage.layout import ARRAYS, CLASSIFIER, LOGS, MANIFEST, POINTER, Pointer
from moodlemlbackend.storage.object_store import MissingObjectError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from moodlemlbackend.storage.object_store import Objects

ATTEMPTS = 10
"""How often a version is fetched that is replaced while it is."""

PAUSE_SECONDS = 0.2
"""How long to wait before a pointer is read again that may be half written."""


class Mirror:
    """The cached copy, in ``folder``, of the model directory below ``key``."""

    def __init__(self, objects: Objects, key: str, folder: Path, lock: Path) -> None:
        self.folder = folder
        self.key = key
        self._objects = objects
        self._classifier = folder / CLASSIFIER
        self._pointer_key = f"{key}/{CLASSIFIER}/{POINTER}"
        self._lock_file = lock

    def update(self) -> None:
        """Bring the model up to date: one read of the pointer when nothing has changed.

        Raises
        ------
        ModelError
            The model in force is damaged on the base.
        StorageError
            The base or the cache cannot be used.
        """
        pointer = Pointer.parse(self._objects.read(self._pointer_key) or b"")
        if pointer is None or pointer != self._cached():
            with self.locked():
                self.refresh()

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keep others from changing the cached copy."""
        from filelock import FileLock

        with storage_errors(self._lock_file):
            self._lock_file.parent.mkdir(parents=True, exist_ok=True)
            lock = FileLock(self._lock_file)
            lock.acquire()
        try:
            yield
        finally:
            lock.release()

    def refresh(self) -> Pointer | None:
        """Bring the model up to date, under the lock, and return its pointer."""
        for _ in range(ATTEMPTS):
            content = self._objects.read(self._pointer_key)
            if content is None:
                self._forget()
                self._fetch_reference()
                return None
            pointer = Pointer.parse(content)
            if pointer is not None and pointer == self._cached():
                return pointer
            try:
                self._fetch(pointer)
            except (ModelError, MissingObjectError) as error:
                time.sleep(PAUSE_SECONDS)
                if self._objects.read(self._pointer_key) == content:
                    raise ModelError(
                        f"The trained model {self.key} in {self._objects.name} is damaged; "
                        "restore it from a backup, or clear the model and train it again."
                    ) from error
            else:
                return pointer
        raise ModelError(f"The model {self.key} kept being replaced while it was being fetched; run the command again.")

    def copy_to(self, folder: Path) -> None:
        """Give another folder the files of the model, under the lock; files are shared where links are possible."""
        with storage_errors(folder):
            folder.mkdir(parents=True, exist_ok=True)
            if self._classifier.is_dir():
                hidden = shutil.ignore_patterns(".*", layout.LOCK)
                shutil.copytree(self._classifier, folder / CLASSIFIER, ignore=hidden, copy_function=_link)

    def adopt(self, folder: Path, version: str) -> None:
        """Take over a version that was just published from ``folder``, which saves fetching it."""
        source, target = folder / CLASSIFIER / version, self._classifier / version
        with self.locked(), storage_errors(target):
            if not target.exists():
                self._classifier.mkdir(parents=True, exist_ok=True)
                source.rename(target)
            self.refresh()

    def fetch_run(self, runid: str) -> None:
        """Fetch what is missing of one run."""
        key, folder = f"{self.key}/{LOGS}/{runid}", self.folder / LOGS / runid
        with self.locked():
            self._fetch_files(key, folder, self._objects.files(key))

    def clear(self) -> None:
        """Drop the cached copy."""
        with self.locked():
            shutil.rmtree(self.folder, ignore_errors=True)

    def _cached(self) -> Pointer | None:
        """Return the pointer in the cache; None when its version is not there whole."""
        with storage_errors(self._classifier):
            try:
                pointer = Pointer.parse((self._classifier / POINTER).read_bytes())
            except FileNotFoundError:
                return None
        return pointer if pointer and (self._classifier / pointer.version / MANIFEST).is_file() else None

    def _fetch(self, pointer: Pointer | None) -> None:
        """Fetch the version that a pointer names and put it in force in the cache.

        ModelError or MissingObjectError when it is not there as it was published.
        """
        if pointer is None:
            raise ModelError("The pointer is damaged.")
        with storage_errors(self._classifier):
            self._sweep()
            target = self._classifier / pointer.version
            if not _is_whole(target, pointer):
                new = self._classifier / f"{NEW}{uuid.uuid4().hex}"
                new.mkdir(parents=True)
                self._fetch_version(pointer, new)
                if target.exists():  # of a model that was removed, or of an older backup
                    target.rename(self._classifier / f"{NEW}{uuid.uuid4().hex}")
                new.rename(target)
            before = self._cached()
            replace_file(self._classifier / POINTER, pointer.encode())
            self._sweep(keep={pointer.version, before.version if before else pointer.version})

    def _fetch_version(self, pointer: Pointer, folder: Path) -> None:
        from moodlemlbackend.storage.stored_model import read_model

        key = f"{self.key}/{CLASSIFIER}/{pointer.version}"
        self._objects.download([(f"{key}/{MANIFEST}", folder / MANIFEST)])
        model = read_model(folder)
        if model.sha256 != pointer.sha256:
            raise ModelError("The manifest is not the one that was published.")
        self._objects.download([(f"{key}/{ARRAYS}", folder / ARRAYS)])
        model.verify()
        for path in (folder / ARRAYS, folder / MANIFEST, folder):
            fsync(path)

    def _fetch_reference(self) -> None:
        """Fetch a model of the reference package, which somebody may have copied to the base."""
        key = f"{self.key}/{CLASSIFIER}"
        if set(layout.REFERENCE_FILES) & set(self._objects.children(key)):
            files = self._objects.files(key)
            wanted = {name: size for name, size in files.items() if name.partition("/")[0] in layout.REFERENCE_FILES}
            self._fetch_files(key, self._classifier, wanted)
        else:
            shutil.rmtree(self._classifier, ignore_errors=True)

    def _fetch_files(self, key: str, folder: Path, sizes: dict[str, int]) -> None:
        """Fetch those files that the folder lacks or has in another size."""
        with storage_errors(folder):
            wanted = []
            for name, size in sizes.items():
                path = folder.joinpath(*_checked(name))
                if not path.is_file() or path.stat().st_size != size:
                    path.parent.mkdir(parents=True, exist_ok=True)
                    wanted.append((f"{key}/{name}", path))
            if wanted:
                with suppress(MissingObjectError):  # removed meanwhile
                    self._objects.download(wanted)

    def _forget(self) -> None:
        """Take the model out of force, for the base has none any more."""
        with storage_errors(self._classifier):
            (self._classifier / POINTER).unlink(missing_ok=True)
            self._sweep(keep=set())

    def _sweep(self, keep: set[str] | None = None) -> None:
        """Remove what killed processes left and, but for those to keep, old versions."""
        for path in self._classifier.iterdir() if self._classifier.is_dir() else ():
            old = keep is not None and layout.version_number(path.name) is not None and path.name not in keep
            if old or path.name.startswith(NEW):
                if path.is_dir():
                    shutil.rmtree(path, ignore_errors=True)
                else:
                    path.unlink(missing_ok=True)


def _is_whole(folder: Path, pointer: Pointer) -> bool:
    """Whether a cached version is the published one; its files were verified when they were fetched."""
    from moodlemlbackend.storage.stored_model import read_model

    try:
        return read_model(folder).sha256 == pointer.sha256
    except ModelError:
        return False


def _checked(name: str) -> tuple[str, ...]:
    """Return the parts of an object's name below a key; StorageError when it leads elsewhere."""
    parts = tuple(name.split("/"))
    if any(part in ("", ".", "..") or "\\" in part or ":" in part or "\0" in part for part in parts):
        raise StorageError(f"The base has an object named {name[:80]!r}; remove it.")
    return parts


def _link(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)
