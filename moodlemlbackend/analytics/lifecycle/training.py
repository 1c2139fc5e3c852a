"""Training: what is new on the site, and what people marked as not useful, joins what the model has learned.

Each step is complete in the store before the next begins, so a run that is killed repeats nothing and loses nothing:

1. Of each analysable a file is written; its row and the registers of its samples are one transaction.
2. New files are merged with those that wait; that, and what the training begins from, is one transaction.
3. The processor publishes what it has learned in one step.
4. The registers of use are one transaction.

A run killed between 3 and 4 has trained: the next one sees it by what is published, and does 4.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

from sqlalchemy import update

from moodlemlbackend.analytics.db import dataset_files, feedback, models
from moodlemlbackend.analytics.db.dataset_files import LABELLED, TRAINED
from moodlemlbackend.analytics.db.schema import MODELS
from moodlemlbackend.analytics.db.used_samples import TRAINING, UsedSamples
from moodlemlbackend.analytics.insights.texts import say
from moodlemlbackend.analytics.lifecycle import backend
from moodlemlbackend.analytics.lifecycle.analysing import analysis_of, is_data, run_analysis, write_part
from moodlemlbackend.analytics.lifecycle.packages import remember_components
from moodlemlbackend.analytics.lifecycle.run_result import RunResult, recorded
from moodlemlbackend.analytics.workspace import forget_fact, read_fact, write_fact
from moodlemlbackend.errors import Status

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from moodlemlbackend.analytics.db.dataset_files import DatasetFile
    from moodlemlbackend.analytics.db.feedback import Feedback
    from moodlemlbackend.analytics.db.models import AnalyticsModel
    from moodlemlbackend.analytics.lifecycle.analysing import Shown
    from moodlemlbackend.analytics.site import Site
    from moodlemlbackend.analytics.workspace import Workspace


def train(workspace: Workspace, site: Site, modelid: int, *, shown: Shown | None = None) -> RunResult:
    """Train a model with the samples that it has not had yet.

    Raises
    ------
    UsageError
        The model is disabled, or has no interval or indicators.
    BusyError
        Another run works on the model.
    """
    with workspace.lock(modelid):
        with workspace.store.read() as connection:
            model = models.get(connection, modelid)
        outcome = RunResult("train", modelid, model.name)
        if model.static:
            outcome.info.append("The model rests on assumptions: there is nothing to be trained.")
            return outcome
        interval = model.require()
        with recorded(workspace, outcome):
            remember_components(workspace, site)
            _finish_interrupted(workspace, model, outcome)
            with outcome.stage("analysis"):
                _analyse(workspace, site, model, interval, outcome, shown)
            _Training(workspace, model, interval, outcome).run()
        return outcome


def _analyse(
    workspace: Workspace, site: Site, model: AnalyticsModel, interval: str, outcome: RunResult, shown: Shown | None
) -> None:
    """Write the samples that are new, analysable by analysable."""
    analysis = analysis_of(workspace, model, [interval], training=True, keeps=True)
    registers = UsedSamples(workspace, model, analysis.target, TRAINING)
    limit = workspace.settings.model_time_limit
    for result in run_analysis(site, analysis, registers, outcome, time_limit=limit, shown=shown):
        registers.analysed(result)
        if not is_data(result) or result.features is None or result.samples is None:
            continue
        path = write_part(workspace, site, model, analysis, LABELLED, result)
        rows = len(result.features)
        with workspace.store.write() as connection:
            dataset_files.add(
                connection, workspace, model, LABELLED, interval, path, rows, int(result.analysable.id)
            )  # fmt: skip
            registers.write(connection, [result])
        outcome.count("samples", len(result.samples))
        outcome.count("rows", rows)
        outcome.count("analysables")
    with workspace.store.write() as connection:
        registers.write(connection)


class _Training:
    """One training of a model, once its samples are written."""

    def __init__(self, workspace: Workspace, model: AnalyticsModel, interval: str, outcome: RunResult) -> None:
        self._workspace, self._model, self._interval, self._outcome = workspace, model, interval, outcome
        with workspace.store.read() as connection:
            files = dataset_files.of_analysables(connection, workspace, model, LABELLED, interval)
            self._new = dataset_files.of_analysables(connection, workspace, model, LABELLED, interval, merged=False)
            self._waiting = dataset_files.pending(connection, workspace, model, LABELLED, interval, TRAINED)
            self._interrupted = read_fact(connection, _fact(model)) is not None
            marks = feedback.listed(connection, model.id)
        self._files = files
        self._marks = feedback.in_force(marks) if files else []
        unlearned = feedback.to_be_unlearned(marks) if files else []
        self._afresh = not model.trained or bool(unlearned)
        self._reasons = bool(self._new or feedback.new(self._marks) or unlearned or self._interrupted)

    def run(self) -> None:
        """Merge, train and register."""
        outcome = self._outcome
        if not self._reasons:
            outcome.status = Status.NO_DATASET
            outcome.info.append("There is nothing new to train with.")
            return
        with outcome.stage("merge"):
            merged = self._merge()
        with outcome.stage("training"):
            scratch = dataset_files.new_path(self._workspace, self._model, "training", self._interval)
            try:
                learned = self._write_input(scratch, merged)
                verdict = backend.train(self._workspace, self._model, scratch, afresh=self._afresh)
            finally:
                with suppress(OSError):
                    scratch.unlink(missing_ok=True)
        outcome.status = verdict.status
        outcome.info += verdict.info
        if verdict.status == Status.OK:
            if learned:
                counted = ", ".join(sorted({str(mark.weight) for mark in learned}))
                outcome.count("marks", len(learned))
                outcome.info.append(say("feedback trained", count=len(learned), weights=counted))
            _settle(self._workspace, self._model)
        else:
            with self._workspace.store.write() as connection:
                forget_fact(connection, _fact(self._model))

    def _merge(self) -> DatasetFile | None:
        """Merge what is new with what waits, and note what this training begins from."""
        workspace, model = self._workspace, self._model
        merged = None
        marks = self._marks if self._afresh else feedback.new(self._marks)
        with workspace.store.write() as connection:
            if self._new or len(self._waiting) > 1:
                merged = dataset_files.merge(connection, workspace, model, LABELLED, self._new, self._waiting)
            elif self._waiting:
                [merged] = self._waiting
            begun: dict[str, Any] = {
                "file": merged.id if merged else None,
                "former": backend.published(workspace, model),
                "marks": [mark.id for mark in marks],
                "afresh": self._afresh,
            }
            write_fact(connection, _fact(model), begun)
        if merged not in self._waiting:
            dataset_files.remove(self._waiting)
        return merged

    def _write_input(self, path: Path, merged: DatasetFile | None) -> Sequence[Feedback]:
        """Write what the processor is to learn from; returns the marks that are new in it."""
        if self._afresh:
            with self._workspace.store.read() as connection:
                files = dataset_files.of_analysables(
                    connection, self._workspace, self._model, LABELLED, self._interval
                )  # fmt: skip
            sources = [file.path for file in files]
        else:
            sources = [merged.path] if merged else []
        marks = self._marks if self._afresh else feedback.new(self._marks)
        dataset_files.join(sources, path, headers_of=self._files[-1].path)
        with path.open("ab") as file:
            feedback.append(marks, dataset_files.columns_of(path)[:-1], file)
        return feedback.new(self._marks)


def _finish_interrupted(workspace: Workspace, model: AnalyticsModel, outcome: RunResult) -> None:
    """Register the use of what a run that was killed has trained."""
    with workspace.store.read() as connection:
        begun = read_fact(connection, _fact(model))
    if begun is not None and backend.published(workspace, model) not in (None, begun["former"]):
        _settle(workspace, model)
        outcome.info.append("A training that was interrupted had been complete; it is registered now.")


def _settle(workspace: Workspace, model: AnalyticsModel) -> None:
    """Register what a training has used."""
    with workspace.store.write() as connection:
        begun = read_fact(connection, _fact(model))
        if begun["file"] is not None:
            dataset_files.use(connection, workspace, model, begun["file"], TRAINED)
        feedback.settle(connection, model, begun["marks"], workspace.clock(), afresh=begun["afresh"])
        connection.execute(update(MODELS).where(MODELS.c.id == model.id).values(trained=1))
        forget_fact(connection, _fact(model))


def _fact(model: AnalyticsModel) -> str:
    return f"training {model.id}"
