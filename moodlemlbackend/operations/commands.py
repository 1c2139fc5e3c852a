"""What each command does, from its arguments to its result; who calls, Moodle or a person, does not matter here."""

from __future__ import annotations

import gc
import importlib
import re
import sys
import threading
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from moodlemlbackend.errors import (
    BackendError,
    DataSetError,
    InterruptedRunError,
    ModelError,
    NotTrainedError,
    UsageError,
)
from moodlemlbackend.processor import get_processor

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from moodlemlbackend.dataset.data_set import DataSet
    from moodlemlbackend.processor.evaluation import Rating
    from moodlemlbackend.processor.explanation import Explanation
    from moodlemlbackend.processor.processor import Processor, Progress, TrainedModel
    from moodlemlbackend.processor.training_rows import TrainingRows
    from moodlemlbackend.runtime.run import Run
    from moodlemlbackend.runtime.supervisor import Streams
    from moodlemlbackend.settings.backend import Settings
    from moodlemlbackend.storage.model_store import ModelStore, StoredModel

Item = TypeVar("Item")

NOT_TRAINED = "Provided model have not been trained yet"
"""Moodle's own tests compare this text."""

MOST_ITERATIONS = 1000

MODEL_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,127}", re.ASCII)


def train(
    streams: Streams, modelid: str, outputdir: str, dataset: str, *, settings: Settings, afresh: bool = False
) -> dict[str, Any]:
    """Train a model, or continue training one, with the samples of a labelled data set.

    ``afresh`` forgets what the model has learned before; until the new one is published the old one stays in force.
    """
    from moodlemlbackend.runtime.run import Run

    store = _store(modelid, outputdir)
    with ExitStack() as stack:
        run = stack.enter_context(streams.attach(Run.start(Path(outputdir))))
        stack.enter_context(store.lock(settings.lock_wait))
        processor = get_processor(settings.processor) if afresh else _processor_to_train(store, settings, run)
        from moodlemlbackend.processor.training_rows import read_samples
        from moodlemlbackend.report.run_report import LIBRARIES_OF_EVENTS, RunReport

        load_in_background(*processor.libraries, *LIBRARIES_OF_EVENTS)
        report = stack.enter_context(RunReport(run))
        samples = read_samples(dataset)
        former = None if afresh else _current(store)
        if former is not None:
            former[0].check(dataset, samples.columns, samples.classes)
        seed = _seed(settings)
        run.log.info(
            "Training %s with %s, seed %d, on %s: %d rows", modelid, processor.name, seed, dataset, len(samples)
        )
        report.begin(samples, "train", modelid, outputdir, dataset, processor=processor.name, seed=seed)
        progress = _progress(streams, "Training")
        fitted = processor.train(store, samples, run, former=former, seed=seed, progress=progress)
        report.training(fitted)
        return {"status": 0, "info": run.info, "runid": str(run.runid)}


def predict(
    streams: Streams,
    modelid: str,
    outputdir: str,
    dataset: str,
    *,
    settings: Settings,  # noqa: ARG001
    find: Callable[[ModelStore], tuple[TrainedModel, StoredModel | None]] | None = None,
) -> dict[str, Any]:
    """Predict the samples of an unlabelled data set with the trained model.

    ``predictions`` is an iterator: the file is read, and can be refused, while it is being exhausted. ``find`` reads
    the model of a store, :func:`trained` unless given; a server keeps models that it has read.
    """
    from moodlemlbackend.runtime.run import Run

    store = _store(modelid, outputdir)
    with ExitStack() as stack:
        run = stack.enter_context(streams.attach(Run.start(Path(outputdir), lazy=True)))
        model, stored = (find or trained)(store)
        from moodlemlbackend.dataset.data_set import read_batches

        header, batches = read_batches(dataset, labelled=False)
        model.check(header.source, header.columns, header.classes)
        predictions = processor_of(stored).predict(model, batches)
        return {"status": 0, "info": run.info, "predictions": within(stack.pop_all(), predictions)}


def evaluate(
    streams: Streams,
    modelid: str,
    outputdir: str,
    dataset: str,
    *,
    minscore: float,
    accepted_deviation: float,
    iterations: int,
    trained_model_dir: str | None,
    settings: Settings,
) -> dict[str, Any]:
    """Judge the configuration that a labelled data set comes from, or a trained model on its samples."""
    from moodlemlbackend.runtime.run import Run

    check_id(modelid)
    if not 1 <= iterations <= MOST_ITERATIONS:
        raise UsageError(f"The number of iterations is {iterations}; it must be 1 to {MOST_ITERATIONS}.")
    with ExitStack() as stack:
        run = stack.enter_context(streams.attach(Run.start(Path(outputdir))))
        model = None
        if trained_model_dir is None:
            processor = get_processor(settings.processor)
        else:
            model, stored = trained(_store(modelid, trained_model_dir))
            processor = processor_of(stored)
        from moodlemlbackend.processor.evaluation import mean_figures, verdict
        from moodlemlbackend.processor.processor import tell_of_constant_columns
        from moodlemlbackend.processor.training_rows import read_samples
        from moodlemlbackend.report.run_report import LIBRARIES_OF_EVENTS, RunReport

        load_in_background(*(() if trained_model_dir else processor.libraries), *LIBRARIES_OF_EVENTS)
        report = stack.enter_context(RunReport(run))
        samples = read_samples(dataset)
        seed = _seed(settings)
        options: dict[str, Any] = {
            "processor": processor.name,
            "seed": seed,
            "score": settings.score,
            "minimum_score": minscore,
            "accepted_deviation": accepted_deviation,
        }
        about = (samples, "evaluate", modelid, outputdir, dataset)
        evaluation, ratings = None, []
        if model is not None:
            run.log.info("Rating the trained model in %s on %s: %d rows", trained_model_dir, dataset, len(samples))
            report.begin(*about, **options, trained_model=trained_model_dir)
            ratings = [_rate(model, samples, dataset)]
        else:
            run.log.info(
                "Evaluating %s with %s, %d splits, seed %d, on %s: %d rows",
                modelid, processor.name, iterations, seed, dataset, len(samples),
            )  # fmt: skip
            report.begin(*about, **options, iterations=iterations)
            progress = _progress(streams, "Evaluating")
            evaluation = processor.evaluate(
                samples, iterations=iterations, seed=seed, learning_curve=True, progress=progress
            )
            ratings = [rating for rating, _ in evaluation]
        tell_of_constant_columns(samples, run)
        result, sentences = verdict(
            ratings, minimum_score=minscore, accepted_deviation=accepted_deviation, score=settings.score
        )
        for sentence in sentences:
            run.tell(sentence)
        run.log.info("Result: %s", mean_figures(result))
        if evaluation is not None:
            report.evaluation(evaluation, result)
        elif model is not None:
            report.rating(ratings[0], model, result)
        return {**result, "info": run.info, "dir": str(run.dir), "runid": run.runid}


def evaluate_all(
    streams: Streams, modelid: str, outputdir: str, datasets: Sequence[str], **options: Any
) -> dict[str, Any]:
    """Judge several data sets, the intervals of a model say, in one go; ``options`` as of :func:`evaluate`.

    One that cannot be judged does not stop the others. ``status`` is that of the best, which ``best`` names.
    """
    results = []
    for dataset in datasets:
        try:
            result = evaluate(streams, modelid, outputdir, dataset, **options)
        except InterruptedRunError:
            raise
        except BackendError as error:
            result = {"status": int(error.status), "info": [str(error)], "errors": [str(error)]}
        results.append({"dataset": dataset, **result})
        streams.progress(f"{dataset}: {result.get('score', result['info'])}")
    best = max(results, key=lambda result: float(result.get("score", -1)))
    return {"status": best["status"], "info": best["info"], "best": best["dataset"], "evaluations": results}


def export(streams: Streams, modelid: str, modeldir: str, exportdir: str, *, settings: Settings) -> str:  # noqa: ARG001
    """Write the trained model to a directory, for another site."""
    from moodlemlbackend.runtime.run import Run

    store = _store(modelid, modeldir)
    with streams.attach(Run.start(Path(modeldir), lazy=True)):
        current = _current(store)
        if current is None:
            raise ModelError(f"There is no trained model in {modeldir} to be exported; train it first.")
        model, stored = current
        if stored is None:
            _export_reference(model, Path(exportdir))
        else:
            store.read(lambda latest: processor_of(latest).export(latest, Path(exportdir)))
        return exportdir


def import_model(streams: Streams, modelid: str, modeldir: str, importdir: str, *, settings: Settings) -> str:
    """Put an exported model in force."""
    from moodlemlbackend.reference import is_reference_model
    from moodlemlbackend.runtime.run import Run
    from moodlemlbackend.storage.model_store import read_model

    store = _store(modelid, modeldir)
    source = Path(importdir)
    with streams.attach(Run.start(Path(modeldir), lazy=True)):
        reference = next((folder for folder in (source, source / "classifier") if is_reference_model(folder)), None)
        if reference is not None:
            model = _reference_model(reference)
            with store.lock(settings.lock_wait):
                get_processor("neural_network").store(store, model, {})
            return "Ok"
        exported = read_model(source)
        processor = processor_of(exported)
        with store.lock(settings.lock_wait):
            processor.import_model(store, exported)
        return "Ok"


def explain(outputdir: str, dataset: str, sample_id: str | None, row: int | None) -> Explanation:
    """Say why the trained model predicts one sample as it does.

    The sample is named by its id in an unlabelled data set, or by its row in the file, where the first sample is in
    row 4.
    """
    if (sample_id is None) == (row is None):
        raise UsageError("Name one sample: by its id, or by its row in the file with --row.")
    model, _ = trained_in(outputdir)
    from moodlemlbackend.dataset.data_set import HEADER_ROWS, read_batches
    from moodlemlbackend.processor.explanation import explain as explain_rows

    header, batches = read_batches(dataset, labelled=None)
    model.check(header.source, header.columns, header.classes)
    if sample_id is not None and header.target is not None:
        raise DataSetError(
            f"{header.source} is a labelled data set, whose samples have no ids; name a sample by its row with --row."
        )
    first = HEADER_ROWS + 1
    for batch in batches:
        here = _position(batch, sample_id, None if row is None else row - first)
        if here is not None:
            name = f"row {row}" if batch.sample_ids is None else batch.sample_ids[here]
            return explain_rows(model, header.columns, batch.features[here : here + 1], [name])[0]
        first += len(batch.features)
    if sample_id is not None:
        raise DataSetError(
            f"{header.source} has no sample with the id {sample_id[:80]!r}; take one from its first column."
        )
    raise DataSetError(
        f"{header.source} has no sample in row {row}; its samples are in the rows {HEADER_ROWS + 1} to {first - 1}."
    )


def _position(batch: DataSet, sample_id: str | None, row: int | None) -> int | None:
    """Where in a batch a sample is, None when it is not there."""
    if row is not None:
        return row if 0 <= row < len(batch.features) else None
    ids = batch.sample_ids or []
    return ids.index(sample_id) if sample_id in ids else None


def load_in_background(*modules: str) -> threading.Thread:
    """Import modules one after the other in the thread returned; whoever needs one of them first waits for it there.

    Python looks for reference cycles only afterwards, and not among what the modules brought: their objects are here
    to stay, and going through them again and again is a fifth of the time that TensorFlow takes.
    """
    missing = [module for module in modules if module not in sys.modules]

    def load() -> None:
        if not missing:
            return
        gc.disable()
        try:
            for module in missing:
                importlib.import_module(module)
        except Exception:  # whoever needs it meets the same error, where it can be reported
            return
        finally:
            gc.freeze()
            gc.enable()

    thread = threading.Thread(target=load, daemon=True)
    thread.start()
    return thread


def within(stack: ExitStack, items: Iterator[Item]) -> Iterator[Item]:
    """Yield the items inside the contexts of a stack."""
    with stack:
        yield from items


def check_id(modelid: str) -> None:
    """Raise UsageError unless this is a model id."""
    if not MODEL_ID.fullmatch(modelid):
        raise UsageError(
            f"The model id {modelid[:80]!r} cannot be used; an id has letters, digits, - and _, at most 128 of them."
        )


def _store(modelid: str, outputdir: str) -> ModelStore:
    check_id(modelid)
    return _store_of(outputdir)


def _store_of(outputdir: str) -> ModelStore:
    from moodlemlbackend.storage.model_store import ModelStore

    if not outputdir:
        raise UsageError("The output directory is empty; name a directory that can be written.")
    return ModelStore(Path(outputdir))


def processor_of(stored: StoredModel | None) -> Processor:
    """The processor that wrote a model; the reference's own is the network's business."""
    if stored is None:
        return get_processor("neural_network")
    try:
        return get_processor(stored.processor)
    except UsageError as error:
        raise ModelError(f"The trained model in {stored.folder} needs another processor. {error}") from error


def _current(store: ModelStore) -> tuple[TrainedModel, StoredModel | None] | None:
    """Return the model in force and where it is stored; the latter None for a model of the reference package."""

    def load(stored: StoredModel) -> tuple[TrainedModel, StoredModel | None]:
        return processor_of(stored).load(stored), stored

    found = store.read(load)
    if found is not None:
        return found
    from moodlemlbackend.reference import is_reference_model

    return (_reference_model(store.folder), None) if is_reference_model(store.folder) else None


def trained(store: ModelStore) -> tuple[TrainedModel, StoredModel | None]:
    """Return the model in force as :func:`_current` does; NotTrainedError when there is none."""
    current = _current(store)
    if current is None:
        raise NotTrainedError(NOT_TRAINED)
    return current


def trained_in(outputdir: str) -> tuple[TrainedModel, StoredModel | None]:
    """Return the model in force in a directory; NotTrainedError, in words for people, when there is none."""
    current = _current(_store_of(outputdir))
    if current is None:
        raise NotTrainedError(f"There is no trained model in {outputdir}; train it first.")
    return current


def _reference_model(folder: Path) -> TrainedModel:
    """Read a model of the reference package, which knows its classes by number."""
    from moodlemlbackend.processor.neural_network import ReferenceClassifier
    from moodlemlbackend.processor.processor import TrainedModel
    from moodlemlbackend.reference import read_reference_model

    network = read_reference_model(folder)
    classes = tuple(map(str, range(network.n_classes)))
    return TrainedModel(ReferenceClassifier(network), None, classes, 0.5, 0)


def _export_reference(model: TrainedModel, folder: Path) -> None:
    """Export a model of the reference package in our format."""
    from moodlemlbackend.storage.model_store import write_model

    processor = get_processor("neural_network")
    write_model(folder, processor.name, *processor.describe(model))


def _processor_to_train(store: ModelStore, settings: Settings, run: Run) -> Processor:
    """The processor of the stored model, if there is one; else the chosen one."""
    stored = store.current()
    if stored is None:
        return get_processor(settings.processor)
    if stored.processor != settings.processor:
        run.tell(
            f"The model goes on with the processor {stored.processor}, which trained it; "
            f"clear it to train one with {settings.processor}."
        )
    return processor_of(stored)


def _rate(model: TrainedModel, samples: TrainingRows, dataset: str) -> Rating:
    """Rate a trained model on all samples."""
    from moodlemlbackend.processor.evaluation import Rating

    model.check(dataset, samples.columns, samples.classes)
    probabilities = model.classifier.probabilities_of_coded(samples.coded)
    order = [model.classes.index(name) for name in samples.classes]
    return Rating(samples.labels, probabilities[:, order], model.threshold)


def _seed(settings: Settings) -> int:
    """The seed that was set, or one drawn now, to be logged."""
    import secrets

    return secrets.randbelow(1_000_000_000) if settings.seed is None else settings.seed


def _progress(streams: Streams, title: str) -> Progress:
    """Show a line at every tenth of the work."""
    shown = 0

    def show(done: int, total: int) -> None:
        nonlocal shown
        tenth = done * 10 // total
        if tenth > shown:
            shown = tenth
            streams.progress(f"{title}: {tenth * 10} %")

    return show
