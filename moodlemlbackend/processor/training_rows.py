"""The rows a processor learns from."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from moodlemlbackend.dataset.courses import (
    CourseFinder,
    CoursesOfRows,
    Times,
    courses_of_parts,
    find_courses,
    known_courses,
    read_rows_file,
)
from moodlemlbackend.dataset.data_set import DataSet, read_batches
from moodlemlbackend.errors import DataSetError, ModelError, UsageError
from moodlemlbackend.model.codes import EMPTY, CodedRows, Floats, code, join


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
    courses:
        which rows are of one course.
    times:
        (n,) when the course of each row began, Unix seconds or any rising number; NaN, or None for all rows, where it
        is not known.
    masked:
        columns that are not to be learned from: all their cells are empty.
    """

    columns: tuple[str, ...]
    classes: tuple[str, ...]
    coded: CodedRows
    targets: Floats
    metadata: Mapping[str, str] = field(default_factory=dict)
    courses: CoursesOfRows = field(default_factory=CoursesOfRows)
    times: Times | None = None
    masked: tuple[str, ...] = ()

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

    def in_order(self, classes: tuple[str, ...]) -> TrainingRows:
        """Return the rows with the same classes in another order."""
        return replace(self, classes=classes, targets=self.targets[:, [self.classes.index(name) for name in classes]])

    def take(self, rows: npt.NDArray[np.int64]) -> TrainingRows:
        """Return some of the rows."""
        return replace(
            self,
            coded=self.coded.take(rows),
            targets=self.targets[rows],
            courses=self.courses.take(rows),
            times=None if self.times is None else self.times[rows],
        )


def read_samples(
    path: str | os.PathLike[str],
    rows_file: str | os.PathLike[str] | None = None,
    *,
    parts: Sequence[Sequence[int]] = (),
    masked: Collection[str] = (),
) -> TrainingRows:
    """Read a labelled file; errors as of :func:`moodlemlbackend.dataset.data_set.read_labelled`.

    ``rows_file`` says which course each row is of (:func:`~moodlemlbackend.dataset.courses.read_rows_file`), or
    ``parts`` do, (course, rows) pairs in the order of the file; without them courses are told from the data set itself.
    The columns ``masked`` are read as empty.
    """
    header, batches = read_batches(path, labelled=True)
    classes = header.classes or ()
    hidden = masked_positions(header.columns, masked)
    labels: list[npt.NDArray[np.int64]] = []
    finder = None if rows_file is not None or parts else CourseFinder(header.columns, header.metadata)

    def features() -> Iterator[Floats]:
        for batch in batches:
            labels.append(batch.labels if batch.labels is not None else np.zeros(0, np.int64))
            if finder is not None:
                finder.add(batch.features)
            batch.features[:, hidden] = np.nan
            yield batch.features

    coded = code(features(), len(header.columns))
    targets = np.eye(len(classes), dtype=np.float32)[np.concatenate(labels)]
    times = None
    if finder is not None:
        courses = finder.finish()
    elif rows_file is not None:
        courses, times = read_rows_file(Path(rows_file), len(targets))
    else:
        courses = courses_of_parts(parts)
        if sum(rows for _, rows in parts) != len(targets):
            raise DataSetError(f"{path} has not the rows that were written to it; clear the model and train it again.")
    names = tuple(header.columns[position] for position in hidden)
    return TrainingRows(header.columns, classes, coded, targets, header.metadata, courses, times, names)


def masked_positions(columns: Sequence[str], masked: Collection[str]) -> list[int]:
    """Which of the columns are masked."""
    return [position for position, name in enumerate(columns) if name in masked]


def samples_of(data: DataSet, groups: npt.ArrayLike | None = None, times: npt.ArrayLike | None = None) -> TrainingRows:
    """Turn a labelled data set into samples; ``groups`` and ``times`` (rows,) say of which course each is, and when.

    Raises UsageError when there is not one of them for each row, groups cannot be told apart, or times are no numbers.
    """
    for name, given in (("groups", groups), ("times", times)):
        if given is not None and np.shape(given) != (len(data.features),):
            raise UsageError(f"There are {len(data.features)} rows, but {name} has shape {np.shape(given)}.")
    try:
        courses = None if groups is None else known_courses(groups)
    except TypeError as error:
        raise UsageError(
            f"The groups cannot be told apart ({error}); give all of them as numbers, or as text."
        ) from error
    try:
        moments = None if times is None else np.asarray(times, np.float64)
    except (TypeError, ValueError) as error:
        raise UsageError(f"The times are not numbers ({error}); give Unix seconds or any rising numbers.") from error
    header = data.header
    targets = np.eye(len(header.classes or ()), dtype=np.float32)[data.labels]
    return TrainingRows(
        header.columns,
        header.classes or (),
        code([data.features], len(header.columns)),
        targets,
        header.metadata,
        courses or find_courses(header.columns, header.metadata, data.features),
        moments,
    )


def join_samples(old: TrainingRows, new: TrainingRows) -> TrainingRows:
    """Return both, in the classes' order of ``new``; ModelError when columns or classes differ."""
    if old.columns != new.columns or set(old.classes) != set(new.classes):
        raise ModelError("The samples to join have different columns or classes.")
    targets = np.concatenate([old.in_order(new.classes).targets, new.targets])
    coded = join(old.coded, new.coded)
    coded.codes[masked_positions(new.columns, new.masked)] = EMPTY
    courses = CoursesOfRows()
    if old.courses.groups is not None and new.courses.groups is not None:
        first = int(old.courses.groups.max(initial=-1)) + 1
        courses = known_courses(np.concatenate([old.courses.groups, new.courses.groups + first]))
    return TrainingRows(new.columns, new.classes, coded, targets, new.metadata, courses, masked=new.masked)
