"""How the rows of an evaluation are parted: some to train on, the others to rate.

A model predicts for courses that it has never seen. So whole courses are held out by default (blocked cross-validation;
Roberts et al. 2017); dealing out single rows, as Moodle does, has the same student and the same course on both sides.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from moodlemlbackend.dataset.courses import LEAST_COURSES
from moodlemlbackend.errors import NotEnoughDataError, unknown
from moodlemlbackend.metrics import HELD_OUT_SHARE
from moodlemlbackend.model.folds import assign

if TYPE_CHECKING:
    from collections.abc import Iterator

    from moodlemlbackend.processor.training_rows import TrainingRows

Indices = npt.NDArray[np.int64]

COURSE, ROW, TIME = "course", "row", "time"
SPLITS = (COURSE, ROW, TIME)
"""Kinds of splits: whole courses are held out, single rows, or the later courses."""

FOLDS = 5
"""Whole courses are dealt into so many parts, each of which is held out once."""

ATTEMPTS = 50
CUT_OFFS = (0.4, 0.55, 0.7, 0.85)
"""Shares of the courses that have begun at each moment a split by time looks back from."""

FEW_SAMPLES = 4_000
FEW_SHARES = (0.125, 0.25, 0.5)
SHARES = (0.125, 0.35)
"""Parts of the training rows that a learning curve is drawn through, with that few samples and with more."""

MOST_SPLITS = 3
SPLITS_FOR_ONE = 5
"""A learning curve is drawn from three splits; with more samples from one in five, which costs a third more time."""

LEAST_OF_CLASS = 5


@dataclass(frozen=True)
class Split:
    """Indices of the rows to train on and of those to rate."""

    training: Indices
    held_out: Indices


class CannotSplitError(NotEnoughDataError):
    """The rows cannot be parted in this way; its text is the end of a sentence that says why."""


def draw_splits(samples: TrainingRows, kind: str, iterations: int, seed: int) -> list[Split]:
    """Part the rows ``iterations`` times by ``kind``, one of :data:`SPLITS`; by time there are as many as cut-offs.

    Raises
    ------
    CannotSplitError
        The courses or times of the rows are not known, or a class is in too few courses.
    NotEnoughDataError
        By row: a class has fewer than two samples.
    UsageError
        There is no such kind.
    """
    if kind not in SPLITS:
        raise unknown("kind of split", str(kind), SPLITS, f"choose one of {', '.join(SPLITS)}.")
    if kind == COURSE:
        return course_splits(samples, iterations, seed)
    if kind == TIME:
        return time_splits(samples)
    return row_splits(samples, iterations, seed)


def draw_splits_or_rows(samples: TrainingRows, kind: str, iterations: int, seed: int) -> tuple[list[Split], str, str]:
    """As :func:`draw_splits`, or by row where the samples cannot be parted so; the splits, their kind, and why."""
    try:
        return draw_splits(samples, kind, iterations, seed), kind, ""
    except CannotSplitError as error:
        return draw_splits(samples, ROW, iterations, seed), ROW, str(error)


def course_splits(samples: TrainingRows, iterations: int, seed: int) -> list[Split]:
    """Hold out whole courses, a fifth of the rows and of each class as nearly as they allow, all equally often."""
    groups = _known_courses(samples)
    counts = np.zeros((int(groups.max()) + 1, len(samples.classes)))
    np.add.at(counts, groups, samples.targets)
    present = np.flatnonzero(counts.any(axis=1))
    if len(present) < LEAST_COURSES:
        raise CannotSplitError(f"they come from {len(present)} courses, and {LEAST_COURSES} are needed")
    for name, courses in zip(samples.classes, np.count_nonzero(counts, axis=0), strict=True):
        if courses < FOLDS:
            raise CannotSplitError(f"class {name} occurs in only {courses} of {len(present)} courses")
    rng = np.random.default_rng(seed)
    splits: list[Split] = []
    while len(splits) < iterations:
        fold_of = np.full(len(counts), -1)
        fold_of[present] = _deal_courses(counts[present], rng)
        for fold in range(FOLDS):
            held_out = fold_of[groups] == fold
            splits.append(Split(np.flatnonzero(~held_out), np.flatnonzero(held_out)))
    return splits[:iterations]


def _deal_courses(counts: npt.NDArray[np.float64], rng: np.random.Generator) -> Indices:
    """Deal (courses, classes) into folds that all have every class; returns the fold of each course."""
    for _ in range(ATTEMPTS):
        fold_of = assign(counts.astype(np.float32), FOLDS, rng)
        held = np.zeros((FOLDS, counts.shape[1]))
        np.add.at(held, fold_of, counts)
        if held.all():
            return fold_of
    raise CannotSplitError("a class occurs in too few courses to be in every part")


def time_splits(samples: TrainingRows) -> list[Split]:
    """Train on the courses that began before each of several moments, and rate those that began before the next.

    Every course is rated once at the most, and never by a model that has seen a later one (leave-future-out).
    """
    begins = beginnings(samples)
    known = np.sort(begins[np.isfinite(begins)])
    if not len(known):
        raise CannotSplitError("the times of the rows are unknown")
    moments = [float(known[min(int(share * len(known)), len(known) - 1)]) for share in CUT_OFFS]
    begin_of_row = begins[_known_courses(samples)]
    splits = []
    for now, later in zip(moments, [*moments[1:], np.inf], strict=True):
        training = np.flatnonzero(begin_of_row < now)
        held_out = np.flatnonzero((begin_of_row >= now) & (begin_of_row < later))
        if all(samples.targets[rows].sum(axis=0).all() for rows in (training, held_out)):
            splits.append(Split(training, held_out))
    if not splits:
        raise CannotSplitError("no date splits the courses so that both sides have every class")
    return splits


def beginnings(samples: TrainingRows) -> npt.NDArray[np.float64]:
    """When each course began, (courses,), infinite where none of its rows tells; CannotSplitError if nothing does."""
    groups = _known_courses(samples)
    if samples.times is None:
        raise CannotSplitError("the times of the rows are unknown")
    begins = np.full(int(groups.max()) + 1, np.inf)
    np.fmin.at(begins, groups, samples.times)
    return begins


def _known_courses(samples: TrainingRows) -> Indices:
    if samples.courses.groups is None:
        raise CannotSplitError(samples.courses.reason)
    return samples.courses.groups


def row_splits(samples: TrainingRows, iterations: int, seed: int) -> list[Split]:
    """Hold out a fifth of the rows of every class, and at least one sample of it.

    Raises
    ------
    NotEnoughDataError
        A class has fewer than two samples.
    """
    labels = samples.labels
    by_class = [np.flatnonzero(labels == k) for k in range(len(samples.classes))]
    for name, rows in zip(samples.classes, by_class, strict=True):
        if len(rows) < 2:
            raise NotEnoughDataError(
                f"There {'is 1 sample' if len(rows) else 'is no sample'} of class {name} among {len(labels)}; "
                "an evaluation needs at least two of every class, so wait for more courses to finish."
            )
    rng = np.random.default_rng(seed)
    splits = []
    for _ in range(iterations):
        training, held_out = [], []
        for rows in by_class:
            shuffled = rng.permutation(rows)
            count = max(1, round(len(rows) * HELD_OUT_SHARE))
            held_out.append(shuffled[:count])
            training.append(shuffled[count:])
        splits.append(Split(np.sort(np.concatenate(training)), np.sort(np.concatenate(held_out))))
    return splits


def smaller_splits(samples: TrainingRows, kind: str, splits: list[Split], seed: int) -> list[tuple[int, Indices]]:
    """Draw parts of the splits' training rows for a learning curve; the number of each one's split and its rows.

    By course, a part is some of the courses, else some of the rows of each class. Where there are few samples, which
    take little time to train on, more parts of more splits. Each has five samples of every class at least.
    """
    few = len(samples) <= FEW_SAMPLES
    shares, most = (FEW_SHARES, MOST_SPLITS) if few else (SHARES, len(splits) // SPLITS_FOR_ONE)
    rng = np.random.default_rng((seed, len(splits)))
    draw = _parts_of_rows if kind == ROW else _parts_of_courses
    drawn = []
    for number, split in enumerate(splits[: min(most, MOST_SPLITS)]):
        drawn += [(number, part) for part in draw(samples, split.training, shares, rng)]
    return drawn


def _parts_of_rows(
    samples: TrainingRows, rows: Indices, shares: tuple[float, ...], rng: np.random.Generator
) -> Iterator[Indices]:
    labels = samples.labels
    shuffled = rng.permutation(rows)
    by_class = [shuffled[labels[shuffled] == k] for k in range(len(samples.classes))]
    for share in shares:
        parts = [of_class[: max(LEAST_OF_CLASS, round(share * len(of_class)))] for of_class in by_class]
        if all(len(part) < len(of_class) for part, of_class in zip(parts, by_class, strict=True)):
            yield np.sort(np.concatenate(parts))


def _parts_of_courses(
    samples: TrainingRows, rows: Indices, shares: tuple[float, ...], rng: np.random.Generator
) -> Iterator[Indices]:
    groups = _known_courses(samples)[rows]
    courses = rng.permutation(np.unique(groups))
    sizes = []
    for share in shares:
        count = max(1, round(share * len(courses)))
        part = rows[np.isin(groups, courses[:count])]
        counts = samples.targets[part].sum(axis=0)
        if count < len(courses) and count not in sizes and (counts >= LEAST_OF_CLASS).all():
            sizes.append(count)
            yield part
