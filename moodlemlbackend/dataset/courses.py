"""Which rows of a data set are of one course, told from the file alone.

Moodle writes no course into a data set, but it writes the rows of one course and one part of its time together, each
with the same means over the course (the columns ``X/mean``), and the parts of a course one after the other. So a new
course begins where the means change and the part is not a later one than before. Intervals that repeat a course (each
past week, say) write no part: there courses cannot be told.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from moodlemlbackend.dataset.columns import TIME
from moodlemlbackend.errors import DataSetError
from moodlemlbackend.files import storage_errors

Floats = npt.NDArray[np.float32]
Hashes = npt.NDArray[np.uint64]
Groups = npt.NDArray[np.int64]
Times = npt.NDArray[np.float64]

LEAST_COURSES = 5
"""Fewer courses are too few to hold some of them out."""

LEAST_SURE = 0.8
"""Share of the runs of equal means that must stand alone; in a shuffled file hardly one does."""


@dataclass(frozen=True, eq=False)
class CoursesOfRows:
    """The courses of a data set's rows.

    Attributes
    ----------
    groups:
        (rows,) the number of each row's course, from 0; None where they cannot be told.
    number:
        how many courses there are, 0 where they cannot be told.
    sure:
        from 0 to 1: the share of the runs of rows with equal means whose means occur nowhere else in the file.
    reason:
        why they cannot be told, as the end of a sentence; empty where they can.
    """

    groups: Groups | None = None
    number: int = 0
    sure: float = 0.0
    reason: str = "the courses of the data set are unknown"

    def take(self, rows: Groups) -> CoursesOfRows:
        """Return the courses of some of the rows."""
        return self if self.groups is None else replace(self, groups=self.groups[rows])


PERIODIC = ("past_", "upcoming_")
"""What the names of intervals begin with that look at a course again and again."""


def known_courses(groups: npt.ArrayLike) -> CoursesOfRows:
    """Make courses of what names the course of each row, (rows,) numbers or texts."""
    names, numbers = np.unique(np.asarray(groups), return_inverse=True)
    return CoursesOfRows(numbers.reshape(-1).astype(np.int64), len(names), 1.0, "")


def courses_of_parts(parts: Sequence[Sequence[int]]) -> CoursesOfRows:
    """Make courses of (course, rows) pairs, in the order of the rows."""
    names, rows = np.array(parts, np.int64).reshape(-1, 2).T
    found = known_courses(np.repeat(names, rows))
    return found if found.number >= LEAST_COURSES else _too_few(found.number, found.sure)


def _too_few(number: int, sure: float) -> CoursesOfRows:
    held = f"{number} course{'' if number == 1 else 's'}"
    return CoursesOfRows(None, 0, sure, f"the data set has {held}, and {LEAST_COURSES} are needed")


class CourseFinder:
    """Finds the courses of a data set that is read in batches, in 12 bytes a row."""

    def __init__(self, columns: Sequence[str], metadata: Mapping[str, str]) -> None:
        self._interval = metadata.get("timesplitting", "").rpartition("\\")[2]
        self._means = [number for number, name in enumerate(columns) if name.endswith("/mean")]
        self._parts = [number for number, name in enumerate(columns) if name.startswith(f"{TIME}/")]
        self._keys: list[Hashes] = []
        self._part: list[npt.NDArray[np.int32]] = []
        rng = np.random.default_rng(0)
        self._factors = rng.integers(1, 2**63, len(self._means), dtype=np.uint64) | np.uint64(1)

    def add(self, features: Floats) -> None:
        """Look at a batch, (rows, columns) float32 with NaN for empty cells."""
        if not self._means:
            return
        bits = np.ascontiguousarray(features[:, self._means]).view(np.uint32).astype(np.uint64)
        with np.errstate(over="ignore"):
            mixed = (bits ^ (bits >> np.uint64(15))) * self._factors
            self._keys.append(np.add.reduce(mixed ^ (mixed >> np.uint64(31)), axis=1, dtype=np.uint64))
        part = (features[:, self._parts] == 1).argmax(axis=1) if self._parts else np.zeros(len(features))
        self._part.append(part.astype(np.int32))

    def finish(self) -> CoursesOfRows:
        """Tell the courses of all rows."""
        if not self._means:
            return CoursesOfRows(None, 0, 0.0, "the data set has no column with a mean over a course")
        if self._interval.startswith(PERIODIC) and not self._parts:
            reason = f"the interval {self._interval} repeats each course without saying where the next one begins"
            return CoursesOfRows(None, 0, 0.0, reason)
        keys, part = np.concatenate(self._keys), np.concatenate(self._part)
        begins = np.ones(len(keys), bool)
        begins[1:] = (keys[1:] != keys[:-1]) | (part[1:] != part[:-1])
        run_keys, run_parts = keys[begins], part[begins].astype(np.int64)
        _, run_of, times = np.unique(
            np.stack([run_keys, run_parts.astype(np.uint64)], axis=1), axis=0, return_inverse=True, return_counts=True
        )
        sure = float((times[run_of.ravel()] == 1).mean())
        new_course = np.ones(len(run_keys), bool)
        new_course[1:] = run_parts[1:] <= run_parts[:-1]
        if sure < LEAST_SURE:
            return CoursesOfRows(None, 0, sure, "the rows of each course are not together")
        number = int(new_course.sum())
        if number < LEAST_COURSES:
            return _too_few(number, sure)
        groups = (np.cumsum(new_course) - 1)[np.cumsum(begins) - 1]
        return CoursesOfRows(groups, number, sure, "")


def find_courses(columns: Sequence[str], metadata: Mapping[str, str], features: Floats) -> CoursesOfRows:
    """Tell the courses of (rows, columns) features of a data set with this metadata."""
    finder = CourseFinder(columns, metadata)
    finder.add(features)
    return finder.finish()


def read_rows_file(path: Path, rows: int) -> tuple[CoursesOfRows, Times | None]:
    """Read what a file beside a data set says of its ``rows``: line for line the course, and the time if it has one.

    A CSV file, plain or gzip, whose header names the columns ``course`` and, optionally, ``time`` (Unix seconds of the
    course's beginning; any rising number will do; NaN where it is empty).

    Raises
    ------
    DataSetError
        The file has no column ``course``, another number of rows than the data set, an empty course, or a time that is
        no number.
    """
    import csv
    import gzip
    import zlib

    opened = gzip.open if path.suffix == ".gz" else open
    with storage_errors(path), opened(path, "rt", encoding="utf-8-sig", newline="") as file:
        try:
            reader = csv.DictReader(file)
            columns = reader.fieldnames or ()
            if "course" not in columns:
                raise DataSetError(f"{path} has no column 'course'; add it to the first line.")
            lines = [(reader.line_num, line) for line in reader]
        except (csv.Error, UnicodeDecodeError, EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise DataSetError(f"{path} cannot be read as CSV ({error}); write the file again.") from error
    if len(lines) != rows:
        raise DataSetError(
            f"{path} has {len(lines)} rows, but the data set has {rows}; give one row for each, in the same order."
        )
    names = []
    for number, line in lines:
        names.append((line["course"] or "").strip())
        if not names[-1]:
            raise DataSetError(f"{path}, line {number}: the course is empty; give the course of each row.")
    courses = known_courses(names)
    if "time" not in columns:
        return courses, None
    times = np.empty(rows)
    for row, (number, line) in enumerate(lines):
        try:
            times[row] = float(line["time"] or "nan")
        except ValueError:
            raise DataSetError(
                f"{path}, line {number}: the time {line['time'][:40]!r} is not a number; use Unix seconds."
            ) from None
    return courses, times
