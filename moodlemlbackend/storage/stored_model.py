"""The files of one trained model, be it a stored version or an export: a manifest in JSON and arrays in safetensors.

The manifest has the checksum of every array and its own. Nothing is unpickled. What the files say is checked before
memory is taken for it, so that they may come from anywhere.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import stat
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from moodlemlbackend import __version__
from moodlemlbackend.errors import ModelError
from moodlemlbackend.files import fsync, storage_errors
from moodlemlbackend.storage.layout import ARRAYS, MANIFEST

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from io import BufferedReader

    from numpy.typing import NDArray

FORMAT = 1
MANIFEST_BYTES = 64 << 20
HEADER_BYTES = 4 << 20
"""The most that the header of an arrays file may have."""
DTYPES = {
    "bool": "BOOL", "int8": "I8", "int16": "I16", "int32": "I32", "int64": "I64", "uint8": "U8", "uint16": "U16",
    "uint32": "U32", "uint64": "U64", "float32": "F32", "float64": "F64",
}  # fmt: skip
"""Types that an array may have, and what safetensors calls them."""
RESTORE = "restore it from a backup, or clear the model and train it again"

_ARRAY_NAME = re.compile(r"[a-z0-9_.-]{1,64}", re.ASCII)
_SHA256 = re.compile(r"[0-9a-f]{64}", re.ASCII)


@dataclass(frozen=True)
class ArraySpec:
    """What the manifest says of one array."""

    shape: tuple[int, ...]
    dtype: str
    sha256: str

    @property
    def nbytes(self) -> int:
        """Bytes of its numbers."""
        return prod(self.shape) * np.dtype(self.dtype).itemsize


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
            There is no such array, or the file of the arrays is damaged.
        StorageError
            The file cannot be read.
        """
        path = self.folder / ARRAYS
        if name not in self.specs:
            raise ModelError(f"The model in {self.folder} has no array {name!r}; {RESTORE}.")
        try:
            with storage_errors(path), _open_regular(path) as file:
                return self._read(file, name)
        except ValueError as error:
            raise ModelError(f"The file {path} of the trained model cannot be used: {error}; {RESTORE}.") from error

    def arrays(self, *names: str) -> dict[str, NDArray[Any]]:
        """Read the named arrays, and only those; errors as of :meth:`array`."""
        return {name: self.array(name) for name in names}

    def verify(self) -> None:
        """Read all arrays without taking memory for them; errors as of :meth:`array`."""
        mapped = replace(self, mapped=True)
        for name in self.specs:
            mapped.array(name)

    def copy_to(self, folder: Path, without: Collection[str] = (), created: str | None = None) -> StoredModel:
        """Write this model to another folder, leaving out the arrays ``without``; :func:`read_model` reads it."""
        kept = self.arrays(*(name for name in self.specs if name not in without))
        return write_model(folder, self.processor, self.settings, kept, created=created or self.created)

    def _read(self, file: BufferedReader, name: str) -> NDArray[Any]:
        """Read or map one array; ValueError where it differs from its spec, before memory is taken for its numbers."""
        spec = self.specs[name]
        start = self._position(file, name)
        if self.mapped and spec.nbytes:
            numbers = np.asarray(np.memmap(file, np.uint8, "r", start, (spec.nbytes,)))  # slices of these are quicker
        else:
            numbers = np.empty(spec.nbytes, np.uint8)
            file.seek(start)
            if file.readinto(numbers.data) != numbers.size:
                raise ValueError("it ends early")
        if hashlib.sha256(numbers.data).hexdigest() != spec.sha256:
            raise ValueError(f"the checksum of its array {name} differs")
        if spec.dtype == "bool" and numbers.max(initial=0) > 1:
            raise ValueError(f"its array {name} has numbers that are not Boolean")
        return numbers.view(np.dtype(spec.dtype).newbyteorder("<")).reshape(spec.shape)

    def _position(self, file: BufferedReader, name: str) -> int:
        """Return where an array begins; ValueError unless the file's size and header are as the manifest says."""
        size = os.fstat(file.fileno()).st_size
        length = int.from_bytes(file.read(8), "little")
        start = 8 + length
        if length > HEADER_BYTES or start + sum(spec.nbytes for spec in self.specs.values()) != size:
            raise ValueError("its size does not match its arrays")
        spec = self.specs[name]
        try:
            entry = json.loads(file.read(length))[name]
            first, last = map(int, entry["data_offsets"])
            same = (entry["dtype"], entry["shape"]) == (DTYPES[spec.dtype], list(spec.shape))
        except (ValueError, KeyError, TypeError, OverflowError, RecursionError) as error:
            raise ValueError(f"its header does not say where the array {name} is") from error
        if not same or first < 0 or last - first != spec.nbytes or start + last > size:
            raise ValueError(f"its header does not give the array {name} as {spec.dtype} of shape {spec.shape}")
        return start + first


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
    from safetensors.numpy import save

    plain = {name: _plain(name, array) for name, array in arrays.items()}
    manifest = {
        "format": FORMAT,
        "processor": processor,
        "package": __version__,
        "created": created or datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "settings": settings,
        "arrays": {
            name: {
                "shape": array.shape,
                "dtype": array.dtype.name,
                "sha256": hashlib.sha256(array.reshape(-1).view(np.uint8).data).hexdigest(),
            }
            for name, array in plain.items()
        },
    }
    manifest = json.loads(json.dumps(manifest, allow_nan=False))
    manifest["sha256"] = _checksum(manifest)
    with storage_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
        (folder / ARRAYS).write_bytes(save(plain))
        (folder / MANIFEST).write_text(json.dumps(manifest), encoding="ascii")
        for path in (folder / ARRAYS, folder / MANIFEST, folder):
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
    path = folder / MANIFEST
    try:
        with storage_errors(path), _open_regular(path) as file:
            if os.fstat(file.fileno()).st_size > MANIFEST_BYTES:
                raise ValueError(f"more than {MANIFEST_BYTES} bytes")
            content = file.read()
        manifest = json.loads(content)
        if not isinstance(manifest, dict) or not isinstance(manifest.get("format"), int):
            raise ValueError("not a model's manifest")
        if manifest["format"] > FORMAT:
            raise ModelError(
                f"The model in {folder} has format {manifest['format']} but this package reads only up to "
                f"format {FORMAT}; upgrade moodlemlbackend."
            )
        if manifest.pop("sha256", None) != _checksum(manifest):
            raise ValueError("its checksum differs")
        return _model(folder, manifest)
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise ModelError(f"The file {path} of the trained model cannot be used: {error}; {RESTORE}.") from error


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
    if not _ARRAY_NAME.fullmatch(name):
        raise ValueError(f"{name[:80]!r} is not a name for an array")
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
    return hashlib.sha256(json.dumps(content, sort_keys=True, allow_nan=False).encode("ascii")).hexdigest()


def _plain(name: str, array: NDArray[Any]) -> NDArray[Any]:
    """Return an array as it is stored, little-endian and C-contiguous."""
    if not _ARRAY_NAME.fullmatch(name):
        raise ValueError(f"not a name for an array: {name!r}")
    if array.dtype.name not in DTYPES:
        raise TypeError(f"array {name!r} has the type {array.dtype}, which the format does not know")
    return np.asarray(array, dtype=array.dtype.newbyteorder("<"), order="C")


def _open_regular(path: Path) -> BufferedReader:
    """Open a file for reading; ValueError when it is missing or no regular file, else OSError."""
    try:
        if not stat.S_ISREG(path.lstat().st_mode):
            raise ValueError("it is not a regular file")
        return path.open("rb")
    except FileNotFoundError:
        raise ValueError("it is missing") from None
