"""The trained model of one output directory, published by one atomic switch.

::

    {outputdir}/classifier/
        current        "v00000007 <sha256 of its manifest>": the version in force
        v00000006/     the version before it, for readers that are still in it
        v00000007/     manifest.json and one .npy an array
        lock           held from reading a model to be continued until its successor is published

A version's files are written and made durable first, then ``current`` is replaced in one step: a reader sees the old
model or the new one, never half of one. What a killed run leaves is removed by the next publication. Nothing is
unpickled: arrays are plain numbers in .npy files, everything else is JSON.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import stat
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime, timezone
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from moodlemlbackend import __version__
from moodlemlbackend.errors import ModelError, StorageError
from moodlemlbackend.files import fsync, storage_errors

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping
    from io import BufferedReader

    from filelock import BaseFileLock
    from numpy.typing import NDArray

FORMAT = 1
LOCK_WAIT_SECONDS = 600.0
READ_ATTEMPTS = 100
MANIFEST_BYTES = 64 << 20
HEADER_BYTES = 4096
DTYPES = frozenset(
    {"bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", "float32", "float64"}
)
REFERENCE_FILES = ("classifier.pkl", "model.ckpt")

_MANIFEST = "manifest.json"
_POINTER = "current"
_NEW_POINTER = "current.new"
_LOCK = "lock"
_ARRAY_NAME = re.compile(r"[a-z0-9_.-]{1,64}", re.ASCII)
_VERSION = re.compile(r"v\d{8}", re.ASCII)
_SHA256 = re.compile(r"[0-9a-f]{64}", re.ASCII)
_RESTORE = "restore it from a backup, or clear the model and train it again"

T = TypeVar("T")


@dataclass(frozen=True)
class ArraySpec:
    """What the manifest says of one array, whose file is ``{name}.npy``."""

    shape: tuple[int, ...]
    dtype: str
    sha256: str


@dataclass(frozen=True)
class StoredModel:
    """One version of a trained model on disk; its arrays are read when they are asked for.

    Attributes
    ----------
    processor
        Name of the processor that wrote it and can use it.
    package, created
        Version of this package that wrote it, and when (UTC, ISO 8601).
    settings
        What the processor gave beside the arrays, as JSON returns it (a tuple is now a list).
    specs
        The arrays by name.
    sha256
        Checksum of the manifest, and through it of everything else.
    mapped
        Whether arrays stay on disk, read-only, and are paged in as they are used: processes that use one model then
        share its memory.
    """

    folder: Path
    processor: str
    package: str
    created: str
    settings: dict[str, Any]
    specs: Mapping[str, ArraySpec]
    sha256: str
    mapped: bool = False

    def array(self, name: str) -> NDArray[Any]:
        """Read one array and verify it.

        Raises
        ------
        ModelError
            There is no such array, or its file is damaged.
        StorageError
            The file cannot be read.
        """
        path = self.folder / f"{name}.npy"
        if name not in self.specs:
            raise ModelError(f"The model in {self.folder} has no array {name!r}; {_RESTORE}.")
        try:
            with storage_errors(path), _open_regular(path) as file:
                return (_map_array if self.mapped else _read_array)(file, self.specs[name])
        except ValueError as error:
            raise ModelError(f"The file {path} of the trained model cannot be used: {error}; {_RESTORE}.") from error

    def arrays(self, *names: str) -> dict[str, NDArray[Any]]:
        """Read the named arrays, and only those; errors as of :meth:`array`."""
        return {name: self.array(name) for name in names}

    def copy_to(self, folder: Path, without: Collection[str] = ()) -> StoredModel:
        """Write this model to another folder, leaving out the arrays ``without``; :func:`read_model` reads it."""
        kept = self.arrays(*(name for name in self.specs if name not in without))
        return write_model(folder, self.processor, self.settings, kept, created=self.created)


class ModelStore:
    """The trained model of ``outputdir``: read without a lock, published and cleared under one."""

    def __init__(self, outputdir: Path) -> None:
        self.folder = Path(outputdir) / "classifier"
        self._lock: BaseFileLock | None = None

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

    def published(self) -> tuple[str, str] | None:
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
                    raise ModelError(f"{model.folder / _MANIFEST} is not the one that was published; {_RESTORE}.")
                return use(model)
            except (ModelError, StorageError):
                if self._pointer() == pointer:
                    raise
        raise ModelError(f"The model in {self.folder} was replaced each time it was read; run the command again.")

    @contextmanager
    def lock(self, wait: float = LOCK_WAIT_SECONDS) -> Iterator[None]:
        """Keep other trainers of this model out; waits for them at most ``wait`` seconds. May be nested.

        Raises
        ------
        StorageError
            Another run holds the lock all that time, or the folder cannot be made or locked.
        """
        from filelock import FileLock, Timeout

        path = self.folder / _LOCK
        with storage_errors(path):
            self.folder.mkdir(parents=True, exist_ok=True)
            if self._lock is None:
                self._lock = FileLock(path)
            try:
                self._lock.acquire(timeout=wait)
            except Timeout:
                raise StorageError(
                    f"Another run has held {path} for more than {wait:g} seconds; "
                    "run the command again when that run has ended, or raise the setting lock_wait."
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
            try:
                model = write_model(folder, processor, settings, arrays)
                self._put_in_force(model)
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
            for name in (_POINTER, _NEW_POINTER):
                (self.folder / name).unlink(missing_ok=True)
            fsync(self.folder)
            self._remove_versions(keep=())
            for name in REFERENCE_FILES:
                path = self.folder / name
                if path.is_dir() and not path.is_symlink():
                    shutil.rmtree(path)
                else:
                    path.unlink(missing_ok=True)

    def _pointer(self) -> tuple[str, str] | None:
        """Return the version in force and its manifest's checksum."""
        path = self.folder / _POINTER
        with storage_errors(path):
            try:
                text = path.read_bytes()[:HEADER_BYTES].decode("ascii", errors="replace")
            except FileNotFoundError:
                return None
        version, _, sha256 = text.removesuffix("\n").partition(" ")
        if not (_VERSION.fullmatch(version) and _SHA256.fullmatch(sha256)):
            raise ModelError(f"The file {path} is damaged; {_RESTORE}.")
        return version, sha256

    def _version_in_force(self) -> str | None:
        try:
            pointer = self._pointer()
        except ModelError:
            return None
        return pointer[0] if pointer else None

    def _refuse_foreign_files(self) -> None:
        with storage_errors(self.folder):
            try:
                names = sorted(entry.name for entry in self.folder.iterdir())
            except FileNotFoundError:
                return
        if any(name in REFERENCE_FILES for name in names):
            return
        ours = {_LOCK, _NEW_POINTER}
        foreign = [name for name in names if not (name in ours or _VERSION.fullmatch(name) or name.startswith("."))]
        if foreign:
            raise ModelError(
                f"The directory {self.folder} holds no trained model but {', '.join(foreign[:3])}"
                f"{' and more' if len(foreign) > 3 else ''}; move that away, or choose another output directory."
            )

    def _versions(self) -> list[Path]:
        return [entry for entry in self.folder.iterdir() if _VERSION.fullmatch(entry.name)]

    def _new_version(self) -> Path:
        number = max((int(entry.name[1:]) for entry in self._versions()), default=0)
        while True:
            number += 1
            folder = self.folder / f"v{number:08d}"
            with suppress(FileExistsError):
                folder.mkdir()
                return folder

    def _put_in_force(self, model: StoredModel) -> None:
        new = self.folder / _NEW_POINTER
        new.write_text(f"{model.folder.name} {model.sha256}\n", encoding="ascii", newline="\n")
        fsync(new)
        fsync(self.folder)
        new.replace(self.folder / _POINTER)
        fsync(self.folder)

    def _remove_versions(self, keep: Collection[str | None]) -> None:
        with suppress(OSError):
            for folder in self._versions():
                if folder.name not in keep:
                    shutil.rmtree(folder, ignore_errors=True)


def write_model(
    folder: Path,
    processor: str,
    settings: Mapping[str, Any],
    arrays: Mapping[str, NDArray[Any]],
    *,
    created: str | None = None,
) -> StoredModel:
    """Write one model's files to ``folder``, the manifest last; ``created`` is now unless given.

    Raises StorageError when a file cannot be written; TypeError or ValueError for an array or a setting that the
    format does not know.
    """
    with storage_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
        specs = {name: _write_array(folder, name, array) for name, array in arrays.items()}
        manifest = {
            "format": FORMAT,
            "processor": processor,
            "package": __version__,
            "created": created or datetime.now(timezone.utc).isoformat(timespec="seconds"),
            "settings": settings,
            "arrays": {
                name: {"file": f"{name}.npy", "shape": spec.shape, "dtype": spec.dtype, "sha256": spec.sha256}
                for name, spec in specs.items()
            },
        }
        manifest = json.loads(json.dumps(manifest, allow_nan=False))
        manifest["sha256"] = _checksum(manifest)
        (folder / _MANIFEST).write_text(json.dumps(manifest), encoding="ascii")
        for path in (*(folder / f"{name}.npy" for name in specs), folder / _MANIFEST, folder):
            fsync(path)
    return _model(folder, manifest)


def read_model(folder: Path) -> StoredModel:
    """Read and check the manifest of the model in ``folder``, be it a stored version or an export.

    Raises
    ------
    ModelError
        There is no model, it is damaged, or a newer package wrote it.
    StorageError
        The manifest cannot be read.
    """
    path = folder / _MANIFEST
    try:
        with storage_errors(path), _open_regular(path) as file:
            content = file.read(MANIFEST_BYTES + 1)
        if len(content) > MANIFEST_BYTES:
            raise ValueError(f"more than {MANIFEST_BYTES} bytes")
        manifest = json.loads(content)
        if not isinstance(manifest, dict) or not isinstance(manifest.get("format"), int):
            raise ValueError("not a model's manifest")
        if manifest["format"] > FORMAT:
            raise ModelError(
                f"The model in {folder} has format {manifest['format']} and this package reads up to {FORMAT}; "
                "upgrade the package moodlemlbackend."
            )
        if manifest.pop("sha256", None) != _checksum(manifest):
            raise ValueError("its checksum differs")
        return _model(folder, manifest)
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise ModelError(f"The file {path} of the trained model cannot be used: {error}; {_RESTORE}.") from error


def _model(folder: Path, manifest: dict[str, Any]) -> StoredModel:
    """Check the manifest's values; ValueError, KeyError or TypeError when one is not as the format has it."""
    if manifest["format"] != FORMAT:
        raise ValueError(f"format {manifest['format']}")
    for kind, keys in ((str, ("processor", "package", "created")), (dict, ("settings", "arrays"))):
        for key in keys:
            if not isinstance(manifest[key], kind):
                raise TypeError(f"its {key!r} is not a {kind.__name__}")
    return StoredModel(
        folder=folder,
        processor=manifest["processor"],
        package=manifest["package"],
        created=manifest["created"],
        settings=manifest["settings"],
        specs={name: _spec(name, entry) for name, entry in manifest["arrays"].items()},
        sha256=_checksum(manifest),
    )


def _spec(name: str, entry: dict[str, Any]) -> ArraySpec:
    if not _ARRAY_NAME.fullmatch(name) or entry["file"] != f"{name}.npy":
        raise ValueError(f"array {name!r} names the file {entry['file']!r}")
    shape, dtype, sha256 = entry["shape"], entry["dtype"], entry["sha256"]
    if not isinstance(shape, list) or not all(type(size) is int and 0 <= size < 1 << 62 for size in shape):
        raise ValueError(f"array {name!r} has the shape {shape!r}")
    if dtype not in DTYPES:
        raise ValueError(f"array {name!r} has the type {dtype!r}")
    if not isinstance(sha256, str) or not _SHA256.fullmatch(sha256):
        raise ValueError(f"array {name!r} has no checksum")
    return ArraySpec(tuple(shape), dtype, sha256)


def _checksum(manifest: dict[str, Any]) -> str:
    """Return the SHA-256 of the manifest without its own checksum, independent of order and white space."""
    content = {key: value for key, value in manifest.items() if key != "sha256"}
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode("ascii")).hexdigest()


def _write_array(folder: Path, name: str, array: NDArray[Any]) -> ArraySpec:
    if not _ARRAY_NAME.fullmatch(name):
        raise ValueError(f"not a name for an array: {name!r}")
    if array.dtype.name not in DTYPES:
        raise TypeError(f"array {name!r} has the type {array.dtype}, which the format does not know")
    array = np.asarray(array, dtype=array.dtype.newbyteorder("<"), order="C")
    path = folder / f"{name}.npy"
    with path.open("w+b") as file:
        np.lib.format.write_array_header_1_0(file, np.lib.format.header_data_from_array_1_0(array))
        file.seek(0)
        digest = hashlib.sha256(file.read())
        numbers = array.reshape(-1).view(np.uint8)
        digest.update(numbers.data)
        file.write(numbers.data)
    return ArraySpec(array.shape, array.dtype.name, digest.hexdigest())


def _map_array(file: BufferedReader, spec: ArraySpec) -> NDArray[Any]:
    """Map one .npy file into memory, read-only; ValueError as of :func:`_read_array`."""
    header_size = _check_header(file, spec)
    if prod(spec.shape) == 0:
        return _read_array(file, spec)
    dtype = np.dtype(spec.dtype).newbyteorder("<")
    content = np.asarray(np.memmap(file, np.uint8, "r"))  # a plain array, whose slices are quicker
    _check_numbers(hashlib.sha256(content.data), content[header_size:], spec)
    return content[header_size:].view(dtype).reshape(spec.shape)


def _read_array(file: BufferedReader, spec: ArraySpec) -> NDArray[Any]:
    """Read one .npy file; ValueError where it differs from ``spec``, before memory is taken for its numbers."""
    header_size = _check_header(file, spec)
    dtype = np.dtype(spec.dtype).newbyteorder("<")
    file.seek(0)
    digest = hashlib.sha256(file.read(header_size))
    numbers = np.empty(prod(spec.shape) * dtype.itemsize, np.uint8)
    if file.readinto(numbers.data) != numbers.size:
        raise ValueError("it ends early")
    digest.update(numbers.data)
    _check_numbers(digest, numbers, spec)
    return numbers.view(dtype).reshape(spec.shape)


def _check_header(file: BufferedReader, spec: ArraySpec) -> int:
    """Return the size of a .npy file's header; ValueError unless it and the file's size are as ``spec`` says."""
    dtype = np.dtype(spec.dtype).newbyteorder("<")
    size = prod(spec.shape) * dtype.itemsize
    header_size = os.fstat(file.fileno()).st_size - size
    if not 0 < header_size <= HEADER_BYTES:
        raise ValueError(f"its size does not fit the shape {spec.shape}")
    try:
        version = np.lib.format.read_magic(file)
        header = np.lib.format.read_array_header_1_0(file) if version == (1, 0) else None
    except Exception as error:
        raise ValueError("no .npy header") from error
    if header != (spec.shape, False, dtype) or file.tell() != header_size:
        raise ValueError(f"its header does not say {spec.dtype} of shape {spec.shape}")
    return header_size


def _check_numbers(digest: hashlib._Hash, numbers: NDArray[np.uint8], spec: ArraySpec) -> None:
    """Raise ValueError unless a file's checksum and numbers are as ``spec`` says."""
    if digest.hexdigest() != spec.sha256:
        raise ValueError("its checksum differs")
    if spec.dtype == "bool" and numbers.max(initial=0) > 1:
        raise ValueError("it holds numbers that are no bool")


def _open_regular(path: Path) -> BufferedReader:
    """Open a file for reading; ValueError when it is missing or no regular file, else OSError."""
    try:
        if not stat.S_ISREG(path.lstat().st_mode):
            raise ValueError("it is no regular file")
        return path.open("rb")
    except FileNotFoundError:
        raise ValueError("it is missing") from None
