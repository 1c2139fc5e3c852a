"""Trainings that workers of a cluster do: samples and splits go out as files, fitted classifiers come back as files."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt

from moodlemlbackend.cluster import Cluster, Files
from moodlemlbackend.dataset.courses import CoursesOfRows, known_courses
from moodlemlbackend.model.codes import CodedRows
from moodlemlbackend.processor import get_processor
from moodlemlbackend.processor.training_rows import TrainingRows
from moodlemlbackend.runtime.environment import import_quietly

if TYPE_CHECKING:
    from moodlemlbackend.processor.processor import Fitted, Processor

Indices = npt.NDArray[np.int64]


class _Training(NamedTuple):
    """One task: the file of its splits, None to train on all samples, and its seed."""

    splits: str | None
    seed: int


def fit_on_cluster(
    cluster: Cluster,
    processor: Processor,
    samples: TrainingRows,
    parts: Sequence[Sequence[Indices] | None],
    seeds: Sequence[int],
    progress: Callable[[int, int], None],
) -> list[Fitted]:
    """Train on the splits of each part together, or on all samples for None, each with its seed; in their order."""
    file = _write_samples(cluster.files, samples)
    trainings = [
        _Training(None if part is None else _write_splits(cluster.files, part), seed)
        for part, seed in zip(parts, seeds, strict=True)
    ]
    fits = []
    for number, names in enumerate(cluster.each(partial(_train, processor.name, file), trainings), start=1):
        for name in names:
            facts, arrays = cluster.files.read(name, last=True)
            fits.append(processor.unpack(facts, arrays))
        progress(number, len(trainings))
    cluster.files.remove(file)
    return fits


def _train(processor_name: str, file: str, files: Files, training: _Training) -> list[str]:
    """Train; returns the names of the files of what was fitted. On a worker."""
    processor = get_processor(processor_name)
    import_quietly(*processor.libraries)
    samples = _read_samples(files.location, file)
    if training.splits is None:
        fits = [processor.fit(samples, seed=training.seed)]
    else:
        rows = files.read(training.splits)[1]
        splits = [rows[str(number)].astype(np.int64) for number in range(len(rows))]
        fits = processor.fit_part(samples, splits, seed=training.seed)
    return [files.write(*processor.pack(fitted)) for fitted in fits]


def _write_splits(files: Files, splits: Sequence[Indices]) -> str:
    return files.write({}, {str(number): rows.astype(np.uint32) for number, rows in enumerate(splits)})


def _write_samples(files: Files, samples: TrainingRows) -> str:
    facts = {"columns": samples.columns, "classes": samples.classes, "masked": samples.masked}
    coded = samples.coded
    arrays: dict[str, npt.NDArray[Any]] = {"codes": coded.codes, "values": coded.values, "targets": samples.targets}
    if samples.courses.groups is not None:
        arrays["groups"] = samples.courses.groups
    return files.write(facts, arrays)


@lru_cache(maxsize=1)
def _read_samples(location: str, file: str) -> TrainingRows:
    """The samples that the tasks of one call have in common; a worker reads them once."""
    facts, arrays = Files(location).read(file)
    groups = arrays.get("groups")
    return TrainingRows(
        tuple(facts["columns"]),
        tuple(facts["classes"]),
        CodedRows(arrays["codes"], arrays["values"]),
        arrays["targets"],
        courses=CoursesOfRows() if groups is None else known_courses(groups),
        masked=tuple(facts["masked"]),
    )
