"""Predict with a trained model."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from moodlemlbackend.operations.trained_models import processor_of, store_of, trained_model
from moodlemlbackend.runtime.run import Run

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    import numpy as np
    import numpy.typing as npt

    from moodlemlbackend.dataset.csv_text import Watch
    from moodlemlbackend.dataset.data_set import DataSet, Header
    from moodlemlbackend.processor.explanation import Explanations
    from moodlemlbackend.processor.processor import Prediction, Processor, TrainedModel
    from moodlemlbackend.runtime.progress import Reporter
    from moodlemlbackend.settings.backend import Settings
    from moodlemlbackend.spooled import SpooledRows
    from moodlemlbackend.storage.model_store import ModelStore
    from moodlemlbackend.storage.stored_model import StoredModel

Item = TypeVar("Item")


@dataclass(frozen=True, eq=False)
class PredictedSamples:
    """The samples of a data set, what a model predicts of them, and why.

    ``predictions`` gives a sample's id, class and decision score for each row. The file is read, and can be refused,
    while they are being exhausted; ``features``, (columns,) float32 a row with NaN for an empty cell, are then there.
    """

    model: TrainedModel
    columns: tuple[str, ...]
    features: SpooledRows
    predictions: Iterator[Prediction]

    def risks(self) -> Iterator[tuple[npt.NDArray[np.float64], npt.NDArray[np.float64] | None]]:
        """Calibrated probability (rows,) of class 1; low and high (rows, 2) in 8 of 10 courses, None if unknown.

        They come for the rows of each of the ``features.pieces()``.
        """
        for features in self.features.pieces():
            probabilities = self.model.probabilities(features)
            yield probabilities[:, 1], self.model.ranges(probabilities)

    def explain(self, features: npt.NDArray[np.float32], names: Sequence[str]) -> Explanations:
        """Why samples with these features are predicted so; errors of :func:`.explanation.explain`."""
        from moodlemlbackend.processor.explanation import explain

        return explain(self.model, self.columns, features, names)


def predict(
    reporter: Reporter,
    modelid: str,
    outputdir: str,
    dataset: str,
    *,
    settings: Settings,  # noqa: ARG001
    find: Callable[[ModelStore], tuple[TrainedModel, StoredModel | None]] | None = None,
    watch: Watch | None = None,
) -> dict[str, Any]:
    """Predict the samples of an unlabelled data set with the trained model.

    ``predictions`` is an iterator: the file is read, and can be refused, while it is being exhausted. ``find`` reads
    the model of a store, :func:`trained_model` unless given; a server keeps models that it has read. ``watch`` hears
    the file's text as it is read, and may refuse it.
    """
    store = store_of(modelid, outputdir)
    with ExitStack() as stack:
        run = stack.enter_context(Run.start(Path(outputdir), reporter, lazy=True))
        model, processor, _, batches = _model_and_rows(store, dataset, find or trained_model, watch)
        predictions = processor.predict(model, _counted(batches, reporter))
        return {"status": 0, "info": run.info, "predictions": within(stack.pop_all(), predictions)}


def predict_to_explain(reporter: Reporter, modelid: str, outputdir: str, dataset: str) -> PredictedSamples:
    """Predict as :func:`predict` does, and keep the samples and the model, which are read once, to explain them."""
    store = store_of(modelid, outputdir)
    with ExitStack() as stack:
        stack.enter_context(Run.start(Path(outputdir), reporter, lazy=True))
        model, processor, header, batches = _model_and_rows(store, dataset, trained_model)
        import numpy as np

        from moodlemlbackend.spooled import SpooledRows

        features = SpooledRows(np.float32, len(header.columns))

        def keep() -> Iterator[DataSet]:
            for batch in batches:
                features.add(batch.features)
                yield batch

        predictions = within(stack.pop_all(), processor.predict(model, keep()))
        return PredictedSamples(model, header.columns, features, predictions)


def _model_and_rows(
    store: ModelStore,
    dataset: str,
    find: Callable[[ModelStore], tuple[TrainedModel, StoredModel | None]],
    watch: Watch | None = None,
) -> tuple[TrainedModel, Processor, Header, Iterator[DataSet]]:
    """The trained model, the processor that uses it, and the header and batches of an unlabelled data set for it."""
    model, stored = find(store)
    from moodlemlbackend.dataset.data_set import read_batches

    header, batches = read_batches(dataset, labelled=False, watch=watch)
    model.check(header.source, header.columns, header.classes)
    return model, processor_of(stored), header, batches


def _counted(batches: Iterator[DataSet], reporter: Reporter) -> Iterator[DataSet]:
    """The batches; the reporter hears how many rows there have been."""
    rows = 0
    for batch in batches:
        yield batch
        rows += len(batch.features)
        reporter.progress("Predicting", rows, 0)


def within(stack: ExitStack, items: Iterator[Item]) -> Iterator[Item]:
    """Yield the items inside the contexts of a stack."""
    with stack:
        yield from items
