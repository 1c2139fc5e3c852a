"""Train a model."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

from moodlemlbackend.cluster import current, using
from moodlemlbackend.errors import BackendError, InterruptedRunError
from moodlemlbackend.files import explain
from moodlemlbackend.operations.trained_models import model_in_force, processor_of, promise_at_publication, store_of
from moodlemlbackend.processor import get_processor
from moodlemlbackend.runtime.environment import load_in_background
from moodlemlbackend.runtime.progress import READING, WRITING, stage
from moodlemlbackend.runtime.promise import UNFINISHED
from moodlemlbackend.runtime.run import Run

if TYPE_CHECKING:
    from collections.abc import Sequence

    from moodlemlbackend.processor.processor import Processor
    from moodlemlbackend.processor.training_rows import TrainingRows
    from moodlemlbackend.runtime.progress import Reporter
    from moodlemlbackend.settings.backend import Settings
    from moodlemlbackend.storage.model_store import ModelStore

SEEDS = 1_000_000_000
"""A seed is below this."""


def train(
    reporter: Reporter,
    modelid: str,
    outputdir: str,
    dataset: str,
    *,
    settings: Settings,
    afresh: bool = False,
    origin: Sequence[Any] | None = None,
    parts: Sequence[Sequence[int]] = (),
    masked: Sequence[str] = (),
) -> dict[str, Any]:
    """Train a model, or continue training one, with the samples of a labelled data set.

    It learns nothing from the columns ``masked``, not even from rows that it remembers. ``afresh`` forgets what the
    model has learned before; until the new one is published the old one stays in force. ``origin``, a title and a
    command for the report, and ``parts``, the courses of the rows (:func:`.training_rows.read_samples`), are given by
    those whose own files this is done with.

    Once the new model is in force the training has succeeded. What goes wrong after that, a signal to stop included, is
    told in ``info``.
    """
    store = store_of(modelid, outputdir)
    with Run.start(Path(outputdir), reporter) as run:
        promise_at_publication(store, reporter, lambda: {"status": 0, "info": [*run.info], "runid": str(run.runid)})
        try:
            _train(
                store, run, reporter, modelid, outputdir, dataset, settings,
                afresh=afresh, origin=origin, parts=parts, masked=masked,
            )  # fmt: skip
        except (Exception, SystemExit) as error:
            if not store.has_published():
                raise
            _add_what_is_missing(run, error)
        return {"status": 0, "info": run.info, "runid": str(run.runid)}


def _train(
    store: ModelStore,
    run: Run,
    reporter: Reporter,
    modelid: str,
    outputdir: str,
    dataset: str,
    settings: Settings,
    *,
    afresh: bool,
    origin: Sequence[Any] | None,
    parts: Sequence[Sequence[int]],
    masked: Sequence[str],
) -> None:
    with ExitStack() as stack:
        stack.enter_context(using(settings.cluster, settings.cluster_files))
        stack.enter_context(store.lock(settings.lock_wait))
        reporter.progress(
            READING, 0, 0
        )  # fails where the caller has gone: nothing begins after its end, with the lock or without
        processor = get_processor(settings.processor) if afresh else _processor_to_train(store, settings, run)
        from moodlemlbackend.processor.training_rows import read_samples
        from moodlemlbackend.report.run_report import LIBRARIES_OF_EVENTS, RunOrigin, RunReport

        load_in_background(*(() if current() else processor.libraries), *LIBRARIES_OF_EVENTS)
        report = stack.enter_context(RunReport(run))
        samples = read_samples(dataset, parts=parts, masked=masked)
        former = None if afresh else model_in_force(store)
        if former is not None:
            former[0].check(dataset, samples.columns, samples.classes)
        seed = seed_of(settings, samples)
        run.log.info(
            "Training %s with %s, seed %d, on %s: %d rows", modelid, processor.name, seed, dataset, len(samples)
        )
        report.begin(
            samples, "train", modelid, outputdir, dataset,
            afresh=afresh, origin=RunOrigin(*origin) if origin else None, processor=processor.name, seed=seed,
        )  # fmt: skip
        fitted = processor.train(store, samples, run, former=former, seed=seed, progress=stage(reporter, "Training"))
        reporter.progress(WRITING, 0, 0)
        report.training(fitted)


def _add_what_is_missing(run: Run, error: BaseException) -> None:
    """Say what went wrong once the new model was in force."""
    if isinstance(error, InterruptedRunError):
        text = "a signal stopped the run."
    elif isinstance(error, BackendError):
        text = str(error)
    elif isinstance(error, OSError):
        text = explain(error, run.dir)
    else:
        run.log.error("The last part of training failed", exc_info=error)
        text = f"the details are in {run.log_file}"
    run.add_info(f"{UNFINISHED} {text}")


def seed_of(settings: Settings, samples: TrainingRows) -> int:
    """The seed that was set, else one of the rows themselves: the same rows in the same order give the same model."""
    return samples.digest() % SEEDS if settings.seed is None else settings.seed


def _processor_to_train(store: ModelStore, settings: Settings, run: Run) -> Processor:
    """The processor of the stored model, if there is one; else the chosen one."""
    stored = store.current()
    if stored is None:
        return get_processor(settings.processor)
    if stored.processor != settings.processor:
        run.add_info(
            f"The model keeps the processor {stored.processor}, which trained it; to use "
            f"{settings.processor}, clear the model first."
        )
    return processor_of(stored)
