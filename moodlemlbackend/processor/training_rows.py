"""The rows a processor learns from."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from moodlemlbackend.dataset.data_set import DataSet, read_batches
from moodlemlbackend.errors import ModelError
from moodlemlbackend.model.codes import CodedRows, Floats, code, join


@dataclass(frozen=True, eq=False)
class TrainingRows:
    """Labelled rows, one byte a cell.

    Attributes
    ----------
    columns, classes:
        names of the features and of the K classes.
    coded:
        n rows as codes.
    targets:
        (n, K) float32: how much each row counts for each class; a plain labelled row has a single 1.
    metadata:
        of the file that they were read from, rows 1 and 2.
    """

    columns: tuple[str, ...]
    classes: tuple[str, ...]
    coded: CodedRows
    targets: Floats
    metadata: Mapping[str, str] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.targets)

    @property
    def labels(self) -> npt.NDArray[np.int64]:
        """(n,) the class that each row counts for most."""
        labels: npt.NDArray[np.int64] = self.targets.argmax(axis=1)
        return labels

    @property
    def class_counts(self) -> Floats:
        """(K,) how much all rows count for each class."""
        counts: Floats = self.targets.sum(axis=0)
        return counts

    def digest(self) -> int:
        """Return a number of 64 bits that depends on columns, classes and rows in their order, and on nothing else."""
        digest = hashlib.blake2b(repr((self.columns, self.classes)).encode(errors="surrogatepass"), digest_size=8)
        for array in (self.coded.values, self.coded.codes, self.targets):
            digest.update(np.ascontiguousarray(array).data)
        return int.from_bytes(digest.digest(), "big")

    def take(self, rows: npt.NDArray[np.int64]) -> TrainingRows:
        """Return some of the rows."""
        return TrainingRows(self.columns, self.classes, self.coded.take(rows), self.targets[rows], self.metadata)


def read_samples(path: str | os.PathLike[str]) -> TrainingRows:
    """Read a labelled file; errors as of :func:`moodlemlbackend.dataset.data_set.read_labelled`."""
    header, batches = read_batches(path, labelled=True)
    classes = header.classes or ()
    labels: list[npt.NDArray[np.int64]] = []

    def features() -> Iterator[Floats]:
        for batch in batches:
            labels.append(batch.labels if batch.labels is not None else np.zeros(0, np.int64))
            yield batch.features

    coded = code(features(), len(header.columns))
    targets = np.eye(len(classes), dtype=np.float32)[np.concatenate(labels)]
    return TrainingRows(header.columns, classes, coded, targets, header.metadata)


def samples_of(data: DataSet) -> TrainingRows:
    """Turn a labelled data set into samples."""
    header = data.header
    coded = code([data.features], len(header.columns))
    return TrainingRows(
        header.columns, header.classes or (), coded, np.eye(len(header.classes or ()), dtype=np.float32)[data.labels]
    )


def join_samples(old: TrainingRows, new: TrainingRows) -> TrainingRows:
    """Return both, in the classes' order of ``new``; ModelError when columns or classes differ."""
    if old.columns != new.columns or set(old.classes) != set(new.classes):
        raise ModelError("The samples to be joined have other columns or classes.")
    order = [old.classes.index(name) for name in new.classes]
    targets = np.concatenate([old.targets[:, order], new.targets])
    return TrainingRows(new.columns, new.classes, join(old.coded, new.coded), targets, new.metadata)
