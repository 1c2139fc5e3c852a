"""Files of models: archives, trained models of this package and of the former one, packages, reports.

Checksums would keep every changed input from getting far, so targets seal their inputs again, or let any checksum pass.
"""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np

from fuzz.target import MOST_BYTES, SEPARATOR, target


@target
def archive(data: bytes, folder: Path) -> None:
    """What is unpacked is what Python's own reader has, no more than allowed, and files only."""
    from moodlemlbackend.storage import archives

    path, out = folder / "in.zip", folder / "out"
    path.write_bytes(data)
    try:
        archives.unpack(path, out, entries=20, unpacked_bytes=MOST_BYTES)
    finally:
        written = [one for one in folder.rglob("*") if one != path and one.is_file()]
        assert sum(one.stat().st_size for one in written) <= MOST_BYTES + 65_536, "more than was allowed"
        assert not any(one.is_symlink() for one in folder.rglob("*")), "a link"
        assert {one.name for one in folder.iterdir()} <= {"in.zip", "out"}, "outside of its folder"
    with zipfile.ZipFile(path) as file:
        for one in written:
            assert file.read(one.relative_to(out).as_posix()) == one.read_bytes()


@target
def model(data: bytes, folder: Path) -> None:
    """The manifest, and the arrays; a model that may be imported gives the same predictions when it was copied."""
    from moodlemlbackend.operations.trained_models import processor_of
    from moodlemlbackend.storage import stored_model
    from moodlemlbackend.storage.layout import ARRAYS, MANIFEST

    text, _, arrays = data.partition(SEPARATOR)
    try:
        manifest: Any = json.loads(text)
        if isinstance(manifest, dict):
            manifest["sha256"] = stored_model._checksum(manifest)
            text = json.dumps(manifest).encode("ascii")
    except (ValueError, RecursionError):
        pass
    (folder / MANIFEST).write_bytes(text)
    (folder / ARRAYS).write_bytes(arrays)
    stored = stored_model.read_model(folder)
    processor = processor_of(stored)
    loaded = processor.load(stored)
    processor.prove(loaded, folder)
    copied = processor.load(stored.copy_to(folder / "copy"))
    rows = np.full((2, len(loaded.columns or ()) or loaded.classifier.least_columns()), 0.5, np.float32)
    assert np.array_equal(loaded.classifier.probabilities(rows), copied.classifier.probabilities(rows), equal_nan=True)


@target
def pointer(data: bytes, folder: Path) -> None:
    """What other processes leave in a model's folder: pointer, lease, result; a pointer is written as it is read."""
    from moodlemlbackend.server.pages.model_index import _result
    from moodlemlbackend.storage.layout import Pointer
    from moodlemlbackend.storage.lease import _read
    from moodlemlbackend.storage.model_store import ModelStore

    read = Pointer.parse(data)
    assert read is None or read.encode().rstrip(b"\n") == data.rstrip(b"\n")
    assert _read(data).keys() == {"owner", "expires", "version"}
    store = ModelStore(folder)
    store.folder.mkdir()
    (store.folder / "current").write_bytes(data)
    assert isinstance(_result(store.folder / "current"), dict)
    store.current()


@target
def record(data: bytes, folder: Path) -> None:
    """What a run has left; written and read again the same."""
    from moodlemlbackend.report.record import ARRAYS_NAME, JSON_NAME, read_record, read_result, write_record

    text, _, arrays = data.partition(SEPARATOR)
    (folder / JSON_NAME).write_bytes(text)
    (folder / ARRAYS_NAME).write_bytes(arrays)
    read = read_record(folder)
    read_result(folder)
    (folder / "copy").mkdir()
    write_record(read, folder / "copy")
    assert read_record(folder / "copy").facts == read.facts


@target
def package(data: bytes, folder: Path) -> None:
    """Moodle's model package: a whole archive, or its two files."""
    from moodlemlbackend.analytics.lifecycle import packages
    from moodlemlbackend.storage import archives

    text, _, known = data.partition(SEPARATOR)
    path = folder / "in.zip"
    if known:
        with zipfile.ZipFile(path, "w") as file:
            file.writestr("model-config.json", text)
    else:
        path.write_bytes(data)
    archives.unpack(path, folder / "out", entries=20, unpacked_bytes=MOST_BYTES)
    configuration = packages._read_configuration(folder / "out")
    packages._check(configuration, {"core": 2023042403} if known == b"core" else {}, ignore_versions=False)


@target
def pickled(data: bytes, folder: Path) -> None:
    """The former package's pickle: plain values and arrays are all that comes out."""
    from moodlemlbackend.reference.pickled import read_attributes

    path = folder / "classifier.pkl"
    path.write_bytes(data)
    read_attributes(path)


class _AnyChecksum:
    """Equal to whatever checksum a file has."""

    def __eq__(self, other: object) -> bool:
        return True

    def __ne__(self, other: object) -> bool:
        return False

    __hash__ = None  # type: ignore[assignment]


@target
def reference(data: bytes, folder: Path) -> None:
    """A model of the former package, three files; behind the weights that are given, zeros."""
    from moodlemlbackend.operations.trained_models import reference_model
    from moodlemlbackend.processor import get_processor
    from moodlemlbackend.reference import tensorbundle

    tensorbundle.masked_crc32c = lambda _: _AnyChecksum()  # type: ignore[assignment,return-value]
    pickle, index, weights = (*data.split(SEPARATOR, 2), b"", b"")[:3]
    variables = folder / "model.ckpt" / "variables"
    variables.mkdir(parents=True)
    (folder / "classifier.pkl").write_bytes(pickle)
    (variables / "variables.index").write_bytes(index)
    (variables / "variables.data-00000-of-00001").write_bytes(weights.ljust(1 << 17, b"\0"))
    get_processor("neural_network").prove(reference_model(folder), folder)
