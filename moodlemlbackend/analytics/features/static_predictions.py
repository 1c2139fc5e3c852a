"""Predictions of static targets: computed from the indicators, by assumption."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from moodlemlbackend.analytics.features import answers
from moodlemlbackend.analytics.features.analysis import Result
from moodlemlbackend.analytics.features.targets import Target, Window


@dataclass(frozen=True, eq=False)
class StaticPredictions:
    """Classes of the rows of one result: ``rows`` are positions among its features, ``classes`` what was assumed."""

    result: Result
    rows: npt.NDArray[np.int64]
    classes: npt.NDArray[np.float64]


def predict_static(target: Target, results: Iterable[Result]) -> Iterator[StaticPredictions]:
    """Yield the classes that a static target assumes for the results of one run; null ones are left out.

    As in Moodle, the rows of one kind of analysable and one range number are judged together, over the range and with
    the dates of the first analysable of the run that has that number, not each over its own.
    """
    first: dict[tuple[type, int], tuple[Result, int]] = {}
    seen: set[tuple[int, int]] = set()
    for result in results:
        if result.features is None or result.samples is None or result.ranges is None:
            continue
        for number, index in enumerate(result.ranges.indexes.tolist()):
            leader, position = first.setdefault((type(result.analysable), index), (result, number))
            assert leader.ranges is not None
            rows = np.flatnonzero(result.features.ranges == number)
            where = result.features.samples[rows]
            fresh = np.array([(sample, index) not in seen for sample in result.samples.ids[where].tolist()], bool)
            rows, where = rows[fresh], where[fresh]
            seen.update((sample, index) for sample in result.samples.ids[where].tolist())
            samples = replace(result.samples.take(where), analysable=leader.analysable)
            valid = np.flatnonzero(answers.valid_samples(target, samples, training=False))
            start, end = int(leader.ranges.starts[position]), int(leader.ranges.ends[position])
            values = {name: own[number, where[valid]] for name, own in result.values.items()}
            classes = answers.labels(target, samples.take(valid), Window(start, end, values))
            known = ~np.isnan(classes)
            yield StaticPredictions(result, rows[valid[known]], classes[known])
