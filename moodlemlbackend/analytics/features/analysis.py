"""An analysis: from a site's analysables to samples, features and labels, one analysable after the other.

:func:`analyse` owns the order of things (Moodle's): a target looks at an analysable, a time splitting method cuts it,
an analyser gives its samples, hooks of a model's lifecycle take away what was used before, indicators and target are
calculated. What comes of it is a :class:`Result` for each analysable and method, also when nothing comes of it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any

import numpy as np
import numpy.typing as npt

from moodlemlbackend.analytics.features import answers
from moodlemlbackend.analytics.features.analysable_samples import AnalysableSamples
from moodlemlbackend.analytics.features.analysables import Analysable, Course, SiteWide
from moodlemlbackend.analytics.features.analysers import ANALYSERS, Analyser
from moodlemlbackend.analytics.features.feature_matrix import Features, assemble, check_values
from moodlemlbackend.analytics.features.indicators import Indicator
from moodlemlbackend.analytics.features.indicators.indicator import events_of
from moodlemlbackend.analytics.features.ranges import Ranges
from moodlemlbackend.analytics.features.rounding import php_round
from moodlemlbackend.analytics.features.targets import Refusal, Target
from moodlemlbackend.analytics.features.time_splitting import Clock, TimeSplitting
from moodlemlbackend.analytics.site import Site
from moodlemlbackend.analytics.site.logs import largest_log_id
from moodlemlbackend.errors import IndicatorError

Values = npt.NDArray[np.float64]

PARALLEL_LOG_ROWS = 2_000_000
"""Size of the log table from which courses are analysed side by side."""

COURSES_A_TASK = 10


class AnalysisStatus(IntEnum):
    """What came of an analysable; Moodle's numbers."""

    OK = 0
    NO_DATASET = 2
    REJECTED_TIME_SPLITTING = 4
    INVALID_FOR_RANGES = 8
    INVALID_FOR_TARGET = 16


ANALYSED = Refusal("successfullyanalysed", "analytics", "Analysed.")
WRONG_DATES = Refusal("invalidanalysablefortimesplitting", "analytics", "Its dates don't suit this interval.")
NO_SAMPLES = Refusal("nodata", "analytics", "It has no samples.")
NO_RANGES = Refusal("noranges", "analytics", "No part of it is complete yet.")
NO_NEW_SAMPLES = Refusal("nonewdata", "analytics", "All its samples have been used already.")
NO_NEW_RANGES = Refusal("nonewranges", "analytics", "All its samples in this part have been predicted already.")
IN_PROGRESS = Refusal("analysisinprogress", "analytics", "Another process is analysing it.")
NO_VALID_SAMPLES = Refusal("novalidsamples", "analytics", "None of its samples has a known outcome.")
NO_VALID_DATA = Refusal("novaliddata", "analytics", "None of its samples has a value.")
OUT_OF_RANGE = "indicatoroutofrange"


@dataclass(frozen=True, eq=False)
class Result:
    """What came of one analysable with one time splitting method; without a method when the target refused it.

    ``features`` and ``labels`` have a row a sample and range; ``labels`` is (rows,), None in predictions. ``values``
    are those of each indicator by id, (ranges, samples), as calculated.
    """

    analysable: Analysable
    method: TimeSplitting | None
    status: AnalysisStatus
    reason: Refusal
    samples: AnalysableSamples | None = None
    ranges: Ranges | None = None
    features: Features | None = None
    labels: Values | None = None
    values: Mapping[str, Values] = field(default_factory=dict)

    @property
    def unique_ids(self) -> list[str]:
        """Sample and range of each row, as ``12-0``."""
        if self.samples is None or self.ranges is None or self.features is None:
            return []
        ids, indexes = self.samples.ids[self.features.samples], self.ranges.indexes[self.features.ranges]
        return [f"{sample}-{index}" for sample, index in zip(ids.tolist(), indexes.tolist(), strict=True)]


Stored = Mapping[str, tuple[npt.NDArray[np.int64], Values]]
"""Stored calculations of one range: sample ids and values of each indicator by its id."""


class Hooks:
    """What a model's lifecycle adds to an analysis. These do nothing: everything is new, and nothing is kept."""

    def order(self, rows: Sequence[Any]) -> Sequence[Any]:
        """Put the analysables, each with an ``id``, in the order of the analysis."""
        return rows

    def first_analysis(self, analysable: int) -> int | None:  # noqa: ARG002
        """When the model first analysed the analysable, a Unix time."""
        return None

    def lock(self, analysable: Analysable, method: TimeSplitting) -> AbstractContextManager[bool]:  # noqa: ARG002
        """Keep other processes from the analysable until its result has been taken; False when one has it."""
        return nullcontext(True)

    def select(
        self, samples: AnalysableSamples, ranges: Ranges, method: TimeSplitting,  # noqa: ARG002
    ) -> tuple[AnalysableSamples, Ranges] | Refusal:  # fmt: skip
        """Take away samples and ranges that were used before, or say why nothing is left."""
        return samples, ranges

    def recall(self, samples: AnalysableSamples, start: int, end: int) -> Stored:  # noqa: ARG002
        """Return the calculations stored for a range of the samples' analysable and origin."""
        return {}

    def keep(
        self,
        samples: AnalysableSamples,
        start: int,
        end: int,
        indicator: str,
        chosen: npt.NDArray[np.int64],
        values: Values,
    ) -> None:
        """Store new calculations of the chosen samples (positions), rounded to two decimals; NaN is null."""

    def elsewhere(self) -> Any:
        """What, as JSON, :meth:`opener_elsewhere` needs on another machine."""
        return None

    @staticmethod
    def opener_elsewhere(facts: Any, analysis: Analysis) -> Hooks:  # noqa: ARG004
        """Hooks for another machine that select and recall as these do; what there is to keep comes back to these."""
        return Hooks()

    def let_go(self) -> None:
        """Close what is open, until it is needed again; on another machine, between its tasks."""


@dataclass(frozen=True)
class Analysis:
    """What to analyse, and how.

    ``training`` calculates labels and uses the ranges for training; else the range to predict. ``now`` is the Unix time
    of the analysis. ``contexts`` restricts the analysables to those at or below these contexts. ``keeps`` tells whether
    new calculations are stored, which an evaluation does not.
    """

    target: Target
    indicators: Sequence[Indicator]
    methods: Sequence[TimeSplitting]
    now: int
    training: bool
    contexts: Collection[int] = ()
    keeps: bool = False

    @property
    def analyser(self) -> Analyser:
        """The analyser of the target."""
        return ANALYSERS[self.target.analyser]


def analyse(site: Site, analysis: Analysis, hooks: Hooks | None = None, *, jobs: int | None = None) -> Iterator[Result]:
    """Analyse a site: yield a result for each analysable and method, in order, as soon as it is there.

    With hooks one analysable is analysed at a time, and its lock is held until the next result is asked for. Without,
    ``jobs`` of them are analysed side by side, each with a connection of its own; None chooses by the size of the log.
    """
    rows = analysis.analyser.rows(site, analysis.contexts)
    if hooks is not None:
        rows = hooks.order(rows)
    elif (workers := _workers(site, rows) if jobs is None else jobs) > 1 and len(rows) > 1:
        yield from _side_by_side(site, analysis, rows, workers)
        return
    yield from analyse_rows(site, analysis, rows, hooks or Hooks())


def _workers(site: Site, rows: Sequence[Any]) -> int:
    import os

    return min(os.cpu_count() or 1, len(rows)) if largest_log_id(site) >= PARALLEL_LOG_ROWS else 1


def _side_by_side(site: Site, analysis: Analysis, rows: Sequence[Any], workers: int) -> Iterator[Result]:
    def analyse_part(joined: Site, part: Sequence[Any]) -> list[Result]:
        return list(analyse_rows(joined, analysis, part, Hooks()))

    parts = [rows[start : start + COURSES_A_TASK] for start in range(0, len(rows), COURSES_A_TASK)]
    for results in site.side_by_side(analyse_part, parts, workers):
        yield from results


def analyse_rows(site: Site, analysis: Analysis, rows: Sequence[Any], hooks: Hooks) -> Iterator[Result]:
    """Analyse these analysables, one after the other."""
    events = events_of(analysis.indicators)
    for part in analysis.analyser.batches(rows):
        for analysable in analysis.analyser.open(site, part, analysis.now, events):
            yield from _analyse_one(site, analysis, analysable, hooks)
            for course in analysable.courses if isinstance(analysable, SiteWide) else [analysable]:
                if isinstance(course, Course):
                    course.forget()


def _analyse_one(site: Site, analysis: Analysis, analysable: Any, hooks: Hooks) -> Iterator[Result]:
    target = analysis.target
    clock = Clock(analysis.now, site.zone, hooks.first_analysis(analysable.id))
    cuts: dict[TimeSplitting, Ranges] = {}
    for method in analysis.methods:
        used = answers.cut(method, analysable, clock, training=analysis.training)
        if used is not None:
            cuts[method] = used
    if isinstance(analysable, Course):
        analysable.plan_logs(bound for used in cuts.values() for bound in used.bounds)
        analysable.plan_logs(answers.log_bounds(target, analysable))
    reason = answers.refusal(target, analysable, training=analysis.training)
    reason = reason or answers.refusal_of(analysis.indicators, analysable)
    if reason:
        yield Result(analysable, None, AnalysisStatus.INVALID_FOR_TARGET, reason)
        return
    for method in analysis.methods:
        if method not in cuts:
            yield Result(analysable, method, AnalysisStatus.REJECTED_TIME_SPLITTING, WRONG_DATES)
            continue
        selected = _select(analysis, analysable, method, cuts[method], hooks)
        if isinstance(selected, Refusal):
            yield Result(analysable, method, AnalysisStatus.INVALID_FOR_RANGES, selected)
            continue
        with hooks.lock(analysable, method) as locked:
            if locked:
                yield _calculate(analysis, method, *selected, hooks)
            else:
                yield Result(analysable, method, AnalysisStatus.NO_DATASET, IN_PROGRESS)


def _select(
    analysis: Analysis, analysable: Any, method: TimeSplitting, ranges: Ranges, hooks: Hooks
) -> tuple[AnalysableSamples, Ranges] | Refusal:
    samples = analysis.analyser.samples(analysable)
    if not len(samples):
        return NO_SAMPLES
    if not len(ranges):
        return NO_RANGES
    return hooks.select(samples, ranges, method)


def _calculate(
    analysis: Analysis, method: TimeSplitting, samples: AnalysableSamples, ranges: Ranges, hooks: Hooks
) -> Result:
    analysable, target = samples.analysable, analysis.target
    samples = samples.take(answers.valid_samples(target, samples, training=analysis.training))
    if not len(samples):
        return Result(analysable, method, AnalysisStatus.NO_DATASET, NO_VALID_SAMPLES)
    labels = None
    if analysis.training:
        labels = answers.labels(target, samples)
        judged = np.flatnonzero(~np.isnan(labels))
        samples, labels = samples.take(judged), labels[judged]
    try:
        values, stored = _values(analysis, method, samples, ranges, hooks)
    except IndicatorError as error:
        return Result(analysable, method, AnalysisStatus.NO_DATASET, Refusal(OUT_OF_RANGE, "analytics", str(error)))
    features = assemble(analysis.indicators, values, ranges.indexes, method.range_columns, stored)
    if not len(features):
        return Result(analysable, method, AnalysisStatus.NO_DATASET, NO_VALID_DATA, samples, ranges)
    if labels is not None:
        labels = labels[features.samples]
    return Result(analysable, method, AnalysisStatus.OK, ANALYSED, samples, ranges, features, labels, values)


def _values(
    analysis: Analysis, method: TimeSplitting, samples: AnalysableSamples, ranges: Ranges, hooks: Hooks
) -> tuple[dict[str, Values], dict[str, npt.NDArray[np.bool_]] | None]:
    """Values of each indicator, (ranges, samples), and which of them were stored."""
    bounds = list(zip(ranges.starts.tolist(), ranges.ends.tolist(), strict=True))
    recalled = [hooks.recall(samples, *bound) if method.caches_calculations else {} for bound in bounds]
    values: dict[str, Values] = {}
    marks: dict[str, npt.NDArray[np.bool_]] = {}
    for indicator in analysis.indicators:
        known = _known([stored.get(indicator.id) for stored in recalled], samples.ids)
        if known is None:
            values[indicator.id] = answers.values(indicator, samples, ranges)
            continue
        mark = marks[indicator.id] = ~np.isnan(known)
        values[indicator.id] = known
        if not mark.all():
            values[indicator.id] = np.where(mark, known, answers.values(indicator, samples, ranges))
    check_values(analysis.indicators, values, answers.name_of(samples.analysable))
    if analysis.keeps and method.caches_calculations:
        for indicator_id, own in values.items():
            for number, bound in enumerate(bounds):
                mark = marks[indicator_id][number] if indicator_id in marks else np.zeros(len(samples), bool)
                new = np.flatnonzero(~mark)
                if len(new):
                    hooks.keep(samples, *bound, indicator_id, new, php_round(own[number, new]))
    return values, marks or None


def _known(stored: Sequence[tuple[npt.NDArray[np.int64], Values] | None], ids: npt.NDArray[np.int64]) -> Values | None:
    """Stored values of the samples, NaN where there is none, (ranges, samples); None when nothing is stored."""
    if all(pair is None or not len(pair[0]) for pair in stored):
        return None
    known = np.full((len(stored), len(ids)), np.nan)
    for number, pair in enumerate(stored):
        if pair is None or not len(pair[0]):
            continue
        order = np.argsort(pair[0], kind="stable")
        sample_ids, values = pair[0][order], pair[1][order]
        at = np.minimum(np.searchsorted(sample_ids, ids, side="right") - 1, len(sample_ids) - 1)
        known[number] = np.where((at >= 0) & (sample_ids[at] == ids), values[at], np.nan)
    return known
