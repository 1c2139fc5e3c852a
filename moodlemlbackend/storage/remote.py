"""A base that fsspec reaches: read through a cache, published in one step under a lease.

Publishing is in this order: the lease notes the number of the new version; its arrays and then its manifest are put;
the new runs; the lease is renewed, which shows that it is still held; the pointer is put, where the store has
conditional writes only in place of the one that was read at the beginning; older versions go once no reader can be in
them. Whatever ends in the middle leaves the former model in force and objects that nobody reads.
"""

from __future__ import annotations

import hashlib
import shutil
import tempfile
import uuid
from contextlib import contextmanager, suppress
from itertools import pairwise, takewhile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from moodlemlbackend.errors import BackendError, StorageError
from moodlemlbackend.files import NEW, private_folder, storage_errors
from moodlemlbackend.storage import layout
from moodlemlbackend.storage.layout import CLASSIFIER, LEASE, LOGS, MANIFEST, POINTER, Pointer
from moodlemlbackend.storage.lease import Lease
from moodlemlbackend.storage.mirror import Mirror
from moodlemlbackend.storage.object_store import open_objects
from moodlemlbackend.storage.storage import Storage, check_parts

if TYPE_CHECKING:
    from collections.abc import Iterator

    from moodlemlbackend.storage.object_store import Objects

GRACE_SECONDS = 900.0
"""How long a version that was replaced stays for readers that are still fetching it."""


class RemoteStorage(Storage):
    """Model directories below a URL, mirrored in ``cache``."""

    def __init__(self, url: str, cache: Path | None, wait: float) -> None:
        self._objects: Objects = open_objects(url)
        self._wait = wait
        name = hashlib.sha256(self._objects.name.encode()).hexdigest()[:16]
        self._cache = (cache or _usual_cache()).absolute() / name

    in_place = False

    @contextmanager
    def checkout(self, parts: tuple[str, ...], *, write: bool) -> Iterator[Path]:
        """See :meth:`Storage.checkout`."""
        check_parts(parts)
        if len(parts) > 2 and parts[-2] == LOGS:
            if write:
                raise StorageError("A run is written to the checkout of its model; check the model out first.")
            mirror = self._mirror(parts[:-2])
            mirror.fetch_run(parts[-1])
            yield mirror.folder.joinpath(*parts[-2:])
            return
        mirror = self._mirror(parts)
        if not write:
            mirror.update()
            yield mirror.folder
            return
        what = f"{mirror.key} in {self._objects.name}"
        with (
            self._work_folder(mirror.key) as work,
            Lease.hold(self._objects, f"{mirror.key}/{LEASE}", work.name, what, self._wait) as lease,
        ):
            publication = _Publication(self._objects, mirror, work, lease)
            yield work
            publication.publish()

    def listing(self, parts: tuple[str, ...]) -> list[str]:
        """See :meth:`Storage.listing`."""
        check_parts(parts, least=0)
        return [name for name in self._objects.children("/".join(parts)) if not name.startswith(".")]

    def remove(self, parts: tuple[str, ...]) -> None:
        """See :meth:`Storage.remove`; pointers and leases go first, so that no reader finds half of a model."""
        check_parts(parts)
        key = "/".join(parts)
        names = list(self._objects.files(key))
        first = [name for name in names if f"/{name}".endswith((f"/{CLASSIFIER}/{POINTER}", f"/{LEASE}"))]
        self._objects.remove(f"{key}/{name}" for name in sorted(first))
        self._objects.remove_tree(key)
        for model in {_model_of(name) for name in names}:
            self._mirror((*parts, *model)).clear()

    def describe(self) -> str:
        """See :meth:`Storage.describe`."""
        self._objects.read(".ready")
        return self._objects.name

    def _mirror(self, parts: tuple[str, ...]) -> Mirror:
        key = "/".join(parts)
        lock = self._cache / ".locks" / hashlib.sha256(key.encode()).hexdigest()
        return Mirror(self._objects, key, self._cache.joinpath(*parts), lock)

    @contextmanager
    def _work_folder(self, key: str) -> Iterator[Path]:
        """Give a new folder to train the model ``key`` in, which is locked as long as this process lives."""
        from filelock import FileLock

        place = self._cache / ".work"
        folder = place / uuid.uuid4().hex
        lock = FileLock(f"{folder}.lock", thread_local=False)
        with storage_errors(place):
            place.mkdir(parents=True, exist_ok=True, mode=0o700)
            with FileLock(place / ".sweep"):
                self._sweep(place)
                lock.acquire()
                folder.with_suffix(".model").write_text(key, encoding="ascii")
                folder.mkdir()
        try:
            yield folder
        finally:
            _remove_work(folder)
            lock.release()
            with suppress(OSError):
                Path(lock.lock_file).unlink(missing_ok=True)

    def _sweep(self, place: Path) -> None:
        """Remove the folders of processes of this machine that were killed, and their leases, before those end."""
        from filelock import FileLock, Timeout

        for path in place.glob("*.lock"):
            lock, folder = FileLock(path), path.with_suffix("")
            with suppress(Timeout):
                lock.acquire(timeout=0)
                with suppress(StorageError, FileNotFoundError):
                    key = folder.with_suffix(".model").read_text("ascii")
                    Lease(self._objects, f"{key}/{LEASE}", folder.name).release()
                _remove_work(folder)
                lock.release()
                path.unlink(missing_ok=True)


class _Publication:
    """One training: what was in force when it began, and how its result comes into force."""

    def __init__(self, objects: Objects, mirror: Mirror, work: Path, lease: Lease) -> None:
        self._objects = objects
        self._mirror = mirror
        self._work = work
        self._lease = lease
        self._key = f"{mirror.key}/{CLASSIFIER}"
        with mirror.locked():
            self._former: tuple[bytes, Any] | None = objects.read_tagged(f"{self._key}/{POINTER}")
            self._before = mirror.refresh()
            mirror.copy_to(work)
        self._reserve()

    def publish(self) -> None:
        """Put in force what the work folder holds, if that is not what it held at the beginning."""
        from moodlemlbackend.storage.model_store import ModelStore

        pointer = ModelStore(self._work).published()
        if pointer == self._before:
            pointer = None
        files = _files(self._work, LOGS)
        if pointer is not None:
            self._lease.renew(layout.version_number(pointer.version))
            files = _files(self._work, f"{CLASSIFIER}/{pointer.version}") + files
        if files:
            last = [path for path in files if path.name == MANIFEST]
            for group in ([path for path in files if path not in last], last):
                keys = [f"{self._mirror.key}/{path.relative_to(self._work).as_posix()}" for path in group]
                if group:
                    self._objects.upload(list(zip(group, keys, strict=True)))
        if pointer is not None:
            self._lease.renew()
            self._put_in_force(pointer)
            with suppress(BackendError, OSError):  # the model is in force; what remains is done by the next
                self._mirror.adopt(self._work, pointer.version)
                self._prune(pointer)

    def _put_in_force(self, pointer: Pointer) -> None:
        key, content = f"{self._key}/{POINTER}", pointer.encode()
        tag, failure = None, None
        try:
            if self._former is None:
                tag = self._objects.create(key, content)
            else:
                tag = self._objects.replace(key, content, self._former[1])
        except StorageError as error:
            failure = error
        if tag is None and self._objects.read(key) != content:  # if it is, an answer was lost
            raise failure or StorageError(
                f"Another server has since published a new version of {self._mirror.key} "
                f"({self._objects.name}); run the training again."
            )

    def _reserve(self) -> None:
        """Have the store number its next version past all that anybody began to write on the base."""
        highest = max(layout.highest_version(self._objects.children(self._key)), self._lease.version)
        if highest:
            with storage_errors(self._work):
                (self._work / CLASSIFIER / layout.version_name(highest)).mkdir(parents=True, exist_ok=True)

    def _prune(self, pointer: Pointer) -> None:
        """Remove versions other than the new one and the one before it that were replaced long ago."""
        kept = {pointer.version, self._before.version if self._before else ""}
        names = self._objects.children(self._key)
        for name, successor in pairwise(layout.versions(names)):
            replaced = self._objects.age(f"{self._key}/{successor}/{MANIFEST}", f"{self._key}/{POINTER}")
            if name not in kept and replaced >= GRACE_SECONDS:
                self._objects.remove_tree(f"{self._key}/{name}")
        self._objects.remove(f"{self._key}/{name}" for name in names if name.startswith(NEW))


def _files(work: Path, name: str) -> list[Path]:
    """Return the regular files of a folder and those in it, sorted."""
    return sorted(path for path in (work / name).rglob("*") if path.is_file() and not path.is_symlink())


def _model_of(name: str) -> tuple[str, ...]:
    """Return the folders that lead to the model directory of an object."""
    return tuple(takewhile(lambda part: part not in (CLASSIFIER, LOGS, LEASE), name.split("/")))


def _remove_work(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    with suppress(OSError):
        folder.with_suffix(".model").unlink(missing_ok=True)


def _usual_cache() -> Path:
    """Return this user's own folder for caches among the temporary files."""
    folder = private_folder()
    if folder is None:
        raise StorageError(f"No cache can be created in {tempfile.gettempdir()}; set TMPDIR to another directory.")
    return folder / "storage"
