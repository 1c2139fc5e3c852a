"""Training: what is new on the site, and what people marked as not useful, joins what the model has learned.

Each step is complete in the store before the next begins, so a run that is killed repeats nothing and loses nothing:

1. Of each analysable a file is written; its row and the registers of its samples are one transaction.
2. New files are merged with those that wait; that, and what the training begins from, is one transaction.
3. The processor publishes what it has learned in one step.
4. The registers of use are one transaction.

A run killed between 3 and 4 has trained: the next one sees it by what is published, and does 4. So does the next one
where 4 failed; the training has succeeded all the same. A killed run's process, which ends with it, holds the lock of
what is trained until then: the next run waits for it before it looks at what is published.
"""

from __future__ import annotations

from contextlib import ExitStack, contextmanager, suppress
from typing import TYPE_CHECKING, Any

from moodlemlbackend.analytics import models
from moodlemlbackend.analytics.db import dataset_files, facts, feedback
from moodlemlbackend.analytics.db import models as rows_of_models
from moodlemlbackend.analytics.db.dataset_files import LABELLED, TRAINED
from moodlemlbackend.analytics.insights.texts import say
from moodlemlbackend.analytics.lifecycle import backend
from moodlemlbackend.analytics.lifecycle.analysing import analysis_of, is_data, run_analysis, write_part
from moodlemlbackend.analytics.lifecycle.core_models import fit_core_model
from moodlemlbackend.analytics.lifecycle.feedback import append
from moodlemlbackend.analytics.lifecycle.packages import remember_components
from moodlemlbackend.analytics.lifecycle.run_result import RunResult, recorded
from moodlemlbackend.analytics.lifecycle.used_samples import TRAINING, Used, UsedSamples
from moodlemlbackend.errors import BackendError, Status
from moodlemlbackend.files import storage_errors

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from moodlemlbackend.analytics.db.dataset_files import DatasetFile
    from moodlemlbackend.analytics.lifecycle.analysing import Shown
    from moodlemlbackend.analytics.models import AnalyticsModel
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
    return begin_training(workspace, site, modelid, shown=shown)()


def begin_training(
    workspace: Workspace, site: Site, modelid: int, *, shown: Shown | None = None
) -> Callable[[], RunResult]:
    """Analyse the site as :func:`train` does; what is returned trains, in any thread, and until then keeps others out.

    Raises as :func:`train`; so does what is returned.
    """
    fit_core_model(workspace, site, modelid)
    with ExitStack() as stack:
        stack.enter_context(workspace.lock(modelid))
        with workspace.store.read() as connection:
            model = models.get(connection, modelid)
        run_result = RunResult("train", modelid, model.name)
        if model.static:
            run_result.info.append("This is a rule-based model: there is nothing to train.")
            return lambda: run_result
        interval = model.require()
        stack.enter_context(recorded(workspace, run_result))
        remember_components(workspace, site)
        backend.wait_for_former_process(workspace, model)
        _finish_interrupted(workspace, model, run_result)
        with run_result.stage("analysis"):
            _analyse(workspace, site, model, interval, run_result, shown)
        rest = stack.pop_all()

    def finish() -> RunResult:
        with rest:
            _Training(workspace, model, interval, run_result).run()
        return run_result

    return finish


def _analyse(
    workspace: Workspace, site: Site, model: AnalyticsModel, interval: str, run_result: RunResult, shown: Shown | None
) -> None:
    """Write the samples that are new, analysable by analysable."""
    analysis = analysis_of(workspace, model, [interval], training=True, keeps=True)
    used_samples = UsedSamples(workspace, model, analysis.target, TRAINING)
    limit = workspace.settings.model_time_limit
    for result in run_analysis(site, analysis, used_samples, run_result, time_limit=limit, shown=shown):
        used_samples.analysed(result)
        if not is_data(result) or result.features is None or result.samples is None:
            continue
        path = write_part(workspace, site, model, analysis, LABELLED, result)
        rows = len(result.features)
        with workspace.store.write() as connection:
            dataset_files.add(
                connection, workspace, model, LABELLED, interval, path, rows, int(result.analysable.id)
            )  # fmt: skip
            used_samples.write(connection, [Used.of(result)])
        run_result.count("samples", len(result.samples))
        run_result.count("rows", rows)
        run_result.count("analysables")
    with workspace.store.write() as connection:
        used_samples.write(connection)


class _Training:
    """One training of a model, once its samples are written."""

    def __init__(self, workspace: Workspace, model: AnalyticsModel, interval: str, run_result: RunResult) -> None:
        self._workspace, self._model, self._interval, self._run_result = workspace, model, interval, run_result
        with workspace.store.read() as connection:
            files = dataset_files.of_analysables(connection, workspace, model, LABELLED, interval)
            self._new = dataset_files.of_analysables(connection, workspace, model, LABELLED, interval, merged=False)
            self._waiting = dataset_files.pending(connection, workspace, model, LABELLED, interval, TRAINED)
            self._interrupted = facts.read(connection, models.training_fact(model.id)) is not None
            marks = feedback.listed(connection, model.id)
        self._files = files
        self._marks = feedback.in_force(marks) if files else []
        unlearned = feedback.to_be_unlearned(marks) if files else []
        self._afresh = not model.trained or bool(unlearned)
        self._former: str | None = None
        self._reasons = bool(self._new or feedback.new(self._marks) or unlearned or self._interrupted)

    def run(self) -> None:
        """Merge, train and register."""
        run_result = self._run_result
        if not self._reasons:
            run_result.status = Status.NO_DATASET
            run_result.info.append("There is no new data to train on.")
            return
        with run_result.stage("merge"):
            merged = self._merge()
        with run_result.stage("training"), self._input(merged) as (path, parts):
            verdict = backend.train(self._workspace, self._model, path, parts=parts, afresh=self._afresh)
        run_result.status = verdict.status
        run_result.info += verdict.info
        if verdict.status == Status.OK or self._is_in_force():
            if verdict.status != Status.OK:
                run_result.status = Status.OK
                run_result.info.append("The model is trained and in use anyway.")
            learned = feedback.new(self._marks)
            if learned:
                counted = ", ".join(sorted({str(mark.weight) for mark in learned}))
                run_result.count("marks", len(learned))
                run_result.info.append(say("feedback trained", count=len(learned), weights=counted))
            try:
                _settle(self._workspace, self._model)
            except Exception as error:
                text = str(error) if isinstance(error, BackendError) else type(error).__name__
                run_result.info.append(
                    f"The model is trained and in use, but the store could not record that ({text}); the next "
                    "training records it first, so nothing is learned twice."
                )
        elif not verdict.status & Status.GENERAL_ERROR:  # after an error the same rows are tried again
            with self._workspace.store.write() as connection:
                facts.forget(connection, models.training_fact(self._model.id))

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
            self._former = backend.published(workspace, model)
            begun: dict[str, Any] = {
                "file": merged.id if merged else None,
                "former": self._former,
                "marks": [mark.id for mark in marks],
                "afresh": self._afresh,
            }
            facts.write(connection, models.training_fact(model.id), begun)
        if merged not in self._waiting:
            dataset_files.remove(self._waiting)
        return merged

    @contextmanager
    def _input(self, merged: DatasetFile | None) -> Iterator[tuple[Path, backend.Parts]]:
        """What the processor is to learn from: the merged file where that is all, else a file for this training.

        With the courses of its rows, unless it has others than those of the analysables: marks, or what waited.
        """
        marks = self._marks if self._afresh else feedback.new(self._marks)
        if merged is not None and not marks and (not self._afresh or self._holds_all(merged)):
            yield merged.path, [] if self._waiting else dataset_files.courses_of(self._new)
            return
        sources = self._files if self._afresh else [merged] if merged else []
        scratch = dataset_files.new_path(self._workspace, self._model, "training", self._interval)
        try:
            dataset_files.join([file.path for file in sources], scratch, headers_of=self._files[-1].path)
            with storage_errors(scratch), scratch.open("ab") as file:
                append(marks, dataset_files.columns_of(scratch)[:-1], file)
            yield scratch, [] if marks or not self._afresh else dataset_files.courses_of(sources)
        finally:
            with suppress(OSError):
                scratch.unlink(missing_ok=True)

    def _is_in_force(self) -> bool:
        """Whether a training that failed had published its model before it did."""
        with suppress(BackendError):
            return backend.published(self._workspace, self._model) not in (None, self._former)
        return False

    def _holds_all(self, merged: DatasetFile) -> bool:
        """Whether a merged file has the rows of all analysables."""
        with self._workspace.store.read() as connection:
            parts = {part.id for part in dataset_files.parts_of(connection, self._workspace, merged)}
        return parts == {file.id for file in self._files}


def _finish_interrupted(workspace: Workspace, model: AnalyticsModel, run_result: RunResult) -> None:
    """Register the use of what a run that was killed has trained."""
    with workspace.store.read() as connection:
        begun = facts.read(connection, models.training_fact(model.id))
    if begun is not None and backend.published(workspace, model) not in (None, begun["former"]):
        _settle(workspace, model)
        run_result.info.append("An interrupted training run turned out to be complete; it is recorded now.")


def _settle(workspace: Workspace, model: AnalyticsModel) -> None:
    """Register what a training has used."""
    with workspace.store.write() as connection:
        begun = facts.read(connection, models.training_fact(model.id))
        if begun["file"] is not None:
            dataset_files.use(connection, workspace, model, begun["file"], TRAINED)
        feedback.settle(connection, model.id, begun["marks"], workspace.clock(), afresh=begun["afresh"])
        rows_of_models.set_trained(connection, model.id)
        facts.forget(connection, models.training_fact(model.id))
