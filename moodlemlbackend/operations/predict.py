"""Predict with a trained model."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from moodlemlbackend.operations.trained_models import processor_of, store_of, trained_model
from moodlemlbackend.runtime.run import Run

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from moodlemlbackend.dataset.csv_text import Watch
    from moodlemlbackend.processor.processor import TrainedModel
    from moodlemlbackend.runtime.progress import Reporter
    from moodlemlbackend.settings.backend import Settings
    from moodlemlbackend.storage.model_store import ModelStore, StoredModel

Item = TypeVar("Item")


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
        model, stored = (find or trained_model)(store)
        from moodlemlbackend.dataset.data_set import read_batches

        header, batches = read_batches(dataset, labelled=False, watch=watch)
        model.check(header.source, header.columns, header.classes)
        predictions = processor_of(stored).predict(model, batches)
        return {"status": 0, "info": run.info, "predictions": within(stack.pop_all(), predictions)}


def within(stack: ExitStack, items: Iterator[Item]) -> Iterator[Item]:
    """Yield the items inside the contexts of a stack."""
    with stack:
        yield from items
