"""A backtest of a model: the past is read, the model trained as it would have been, and its predictions are judged."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from moodlemlbackend.analytics import models
from moodlemlbackend.analytics.db import facts
from moodlemlbackend.analytics.features import definitions, registry
from moodlemlbackend.analytics.features.feature_matrix import headers
from moodlemlbackend.analytics.lifecycle import backend
from moodlemlbackend.analytics.lifecycle.analysing import analysis_of
from moodlemlbackend.analytics.lifecycle.backtesting.figures import (
    PredictedCourse,
    Predictions,
    Students,
    figures,
    rank,
)
from moodlemlbackend.analytics.lifecycle.backtesting.past import read_past
from moodlemlbackend.analytics.lifecycle.backtesting.sentences import sentence
from moodlemlbackend.analytics.lifecycle.core_models import fit_core_model
from moodlemlbackend.analytics.lifecycle.intervals import chosen_intervals
from moodlemlbackend.analytics.lifecycle.run_result import RunResult, recorded
from moodlemlbackend.analytics.site.names import format_name
from moodlemlbackend.errors import Status, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from moodlemlbackend.analytics.features.analysis import Analysis
    from moodlemlbackend.analytics.lifecycle.backtesting.course_past import CoursePast, Integers, Seen
    from moodlemlbackend.analytics.models import AnalyticsModel
    from moodlemlbackend.analytics.site import Site
    from moodlemlbackend.analytics.workspace import Workspace

    ShownPast = Callable[[str, int, int], None]
    """Hears of each course that is read: its name, its number and how many there are."""

FEWEST_COURSES = 3
"""Finished courses before which nothing is trained."""

GROWTH = 1.2
"""The model is trained anew when it has so many times as many rows to learn from."""

RETRAINED = "The model was trained again each time the finished courses had a fifth more rows to learn from."


@dataclass
class Backtest(RunResult):
    """What came of a backtest.

    ``intervals`` are figures (:func:`.figures.figures`) by interval, the one that gives most in time first, each with
    its ``sentence`` and ``trainings``; one that cannot be judged has a sentence alone. ``predictions`` are those of
    each interval.
    """

    intervals: dict[str, dict[str, Any]] = field(default_factory=dict)
    predictions: dict[str, Predictions] = field(default_factory=dict)


def backtest(
    workspace: Workspace,
    site: Site,
    modelid: int,
    *,
    intervals: Sequence[str] = (),
    shown: ShownPast | None = None,
) -> Backtest:
    """Go through the past of a site as if a model had run; with its own interval, or else those of evaluations.

    Raises
    ------
    UsageError
        The model learns nothing, is not about students in a course, or does not go with an interval.
    """
    fit_core_model(workspace, site, modelid)
    with workspace.store.read() as connection:
        model = models.get(connection, modelid)
    if not definitions.has_past(model.target):
        raise UsageError(
            f"Model {modelid} cannot be backtested; choose a model that learns to tell the classes 0 and 1 of students "
            "in a course."
        )
    result = Backtest("backtest", modelid, model.name)
    chosen = chosen_intervals(workspace, model, intervals or ([model.interval] if model.interval else []))
    with recorded(workspace, result):
        go_through_past(workspace, site, model, chosen, result, shown)
    return result


def go_through_past(
    workspace: Workspace,
    site: Site,
    model: AnalyticsModel,
    intervals: Sequence[str],
    result: Backtest,
    shown: ShownPast | None,
) -> None:
    """Test intervals of a model on the past; the figures are kept as the model's last backtest."""
    analysis = analysis_of(workspace, model, intervals, training=True, keeps=False)
    with result.stage("past"):
        pasts = _read(site, analysis, shown)
    with tempfile.TemporaryDirectory(prefix="backtest-") as folder:
        drafts = {interval: _Plan(analysis, pasts, interval, Path(folder)) for interval in intervals}
        plans = {interval: plan for interval, plan in drafts.items() if plan.write()}
        with result.stage("backtest"):
            verdict = backend.backtest(model, [plan.file for plan in plans.values()]) if plans else None
        if verdict is not None and verdict.status != Status.OK:
            result.status, result.info = verdict.status, verdict.info
            return
        by_interval = {interval: _judge(result, analysis, plans.get(interval), interval) for interval in intervals}
    result.intervals = dict(
        sorted(
            by_interval.items(),
            key=lambda pair: (not definitions.cannot_help(model.target, pair[0]), *rank(pair[1])),
            reverse=True,
        )
    )
    result.info += dict.fromkeys(interval["sentence"] for interval in result.intervals.values())
    if not plans:
        result.status = Status.NOT_ENOUGH_DATA
        return
    result.info.append(RETRAINED)
    with workspace.store.write() as connection:
        kept = {"time": workspace.clock(), "version": model.version, "intervals": result.intervals}
        facts.write(connection, models.backtest_fact(model.id), kept)


def _read(site: Site, analysis: Analysis, shown: ShownPast | None) -> list[CoursePast]:
    """The past of all courses that are over; of none where they are too few to learn from and predict."""
    rows = [
        row._replace(shortname=format_name(row.shortname, site.language))
        for row in analysis.analyser.rows(site, analysis.contexts)
        if 0 < row.start < row.end <= analysis.now
    ]
    pasts: list[CoursePast] = []
    if len(rows) <= FEWEST_COURSES:
        return pasts
    for past in read_past(site, analysis, sorted(rows, key=lambda row: (row.end, row.id))):
        pasts.append(past)
        if shown:
            shown(past.row.shortname, len(pasts), len(rows))
    return pasts


class _Plan:
    """What is to be learned and predicted with one interval, in a file for the processor."""

    def __init__(self, analysis: Analysis, pasts: Sequence[CoursePast], interval: str, folder: Path) -> None:
        method = registry.get_time_splitting(interval)
        self.file = folder / f"{definitions.last_part(interval)}.npz"
        self.pasts = pasts
        self.trainings: list[int] = []
        self.asked: list[tuple[CoursePast, Seen]] = []
        self._columns = headers(analysis.indicators, method.range_columns)
        self._learned = [(past, *past.learned[interval]) for past in pasts if interval in past.learned]
        self._seen = sorted(
            ((past, seen) for past in pasts for seen in past.seen.get(interval, ())),
            key=lambda pair: (pair[1].moment, pair[0].row.id),
        )
        self._training_of: list[int] = []

    def write(self) -> bool:
        """Write the file; False when no model could be trained before a prediction."""
        ends = np.array([past.row.end for past, _, _ in self._learned], np.int64)
        rows = np.cumsum([len(labels) for _, _, labels in self._learned], dtype=np.int64)
        labels = np.concatenate([labels for _, _, labels in self._learned] or [np.empty(0, np.int64)])
        for past, seen in self._seen:
            courses = int((ends <= seen.moment).sum())
            known = int(rows[courses - 1]) if courses >= FEWEST_COURSES else 0
            if len(np.unique(labels[:known])) < 2:
                continue
            if not self.trainings or known >= GROWTH * self.trainings[-1]:
                self.trainings.append(known)
            self.asked.append((past, seen))
            self._training_of += [len(self.trainings) - 1] * len(seen.samples)
        if not self.asked:
            return False
        np.savez(
            self.file,
            columns=np.array(self._columns),
            features=np.concatenate([features for _, features, _ in self._learned]).astype(np.float32),
            labels=labels,
            courses=np.repeat(np.arange(len(rows)), np.diff(rows, prepend=0)),
            trainings=np.array(self.trainings, np.int64),
            asked=np.concatenate([seen.features for _, seen in self.asked]).astype(np.float32),
            training_of=np.array(self._training_of, np.int64),
        )
        return True


def _judge(result: Backtest, analysis: Analysis, plan: _Plan | None, interval: str) -> dict[str, Any]:
    """Hold the predictions of one interval against what happened."""
    if plan is None:
        return {
            "sentence": f"With {definitions.last_part(interval)} no model could have been trained in time for any "
            f"prediction: at least {FEWEST_COURSES} courses with students of both classes must have finished first."
        }
    target = analysis.target
    with np.load(plan.file) as answer:
        news = ~np.isin(answer["labels"], target.ignored_classes) & (answer["scores"] >= target.minimum_score)
        probabilities = target.of_risk(answer["probabilities"])
    numbers = {past.row.id: at for at, past in enumerate(dict.fromkeys(past for past, _ in plan.asked))}
    predicted = [past for past in plan.pasts if past.row.id in numbers]
    predicted.sort(key=lambda past: numbers[past.row.id])
    students = Students(
        np.repeat(np.arange(len(predicted)), [len(past.samples) for past in predicted]),
        target.of_risk(np.concatenate([past.labels for past in predicted])),
        np.concatenate([past.last_visits for past in predicted]),
    )
    position = {int(sample): at for at, sample in enumerate(np.concatenate([past.samples for past in predicted]))}
    sizes = [len(seen.samples) for _, seen in plan.asked]
    samples: Integers = np.concatenate([seen.samples for _, seen in plan.asked])
    predictions = Predictions(
        np.repeat([numbers[past.row.id] for past, _ in plan.asked], sizes),
        samples,
        np.array([position.get(sample, -1) for sample in samples.tolist()], np.int64),
        np.repeat([seen.range_index for _, seen in plan.asked], sizes),
        np.repeat([seen.moment for _, seen in plan.asked], sizes),
        probabilities,
        news,
    )
    courses = [
        PredictedCourse(past.row.id, past.row.shortname, past.row.start, past.row.end, past.teachers)
        for past in predicted
    ]
    result.predictions[interval] = predictions
    values = figures(courses, predictions, students)
    return {"sentence": sentence(target, interval, values), "trainings": len(plan.trainings), **values}
