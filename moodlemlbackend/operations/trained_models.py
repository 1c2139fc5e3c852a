"""The trained model of a directory, whoever wrote it: where it is kept, which processor reads it, what is in force."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from moodlemlbackend.errors import ModelError, NotTrainedError, UsageError
from moodlemlbackend.processor import get_processor
from moodlemlbackend.runtime.promise import Promise

if TYPE_CHECKING:
    from collections.abc import Callable

    from moodlemlbackend.processor.processor import Processor, TrainedModel
    from moodlemlbackend.runtime.progress import Reporter
    from moodlemlbackend.storage.model_store import ModelStore
    from moodlemlbackend.storage.stored_model import StoredModel

NOT_TRAINED = "Provided model have not been trained yet"
"""Moodle's own tests compare this text."""

MODEL_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,127}", re.ASCII)


def check_id(modelid: str) -> None:
    """Raise UsageError unless this is a model id."""
    if not MODEL_ID.fullmatch(modelid):
        raise UsageError(
            f"The model id {modelid[:80]!r} cannot be used; use only letters, digits, - and _, and at most "
            "128 characters."
        )


def store_of(modelid: str, outputdir: str) -> ModelStore:
    """The store of a model; UsageError when the id or the directory cannot be one."""
    check_id(modelid)
    return _store_in(outputdir)


def _store_in(outputdir: str) -> ModelStore:
    from moodlemlbackend.storage.model_store import ModelStore

    if not outputdir:
        raise UsageError("No output directory is given; specify a directory that can be written to.")
    return ModelStore(Path(outputdir))


def promise_at_publication(store: ModelStore, reporter: Reporter, result: Callable[[], dict[str, Any] | str]) -> None:
    """Have a reporter told what the operation will have come to as soon as the store's next model is in force."""
    store.announce = lambda file, content: reporter.promise(Promise(result(), str(file.resolve()), content.decode()))


def processor_of(stored: StoredModel | None) -> Processor:
    """The processor that wrote a model; the reference's own is the network's business."""
    if stored is None:
        return get_processor("neural_network")
    try:
        return get_processor(stored.processor)
    except UsageError as error:
        raise ModelError(f"The trained model in {stored.folder} needs another processor. {error}") from error


def model_in_force(store: ModelStore) -> tuple[TrainedModel, StoredModel | None] | None:
    """Return the model in force and where it is stored; the latter None for a model of the reference package."""

    def load(stored: StoredModel) -> tuple[TrainedModel, StoredModel | None]:
        return processor_of(stored).load(stored), stored

    in_force = store.read(load)
    if in_force is not None:
        return in_force

    from moodlemlbackend.reference import is_reference_model

    return (reference_model(store.folder), None) if is_reference_model(store.folder) else None


def trained_model(store: ModelStore) -> tuple[TrainedModel, StoredModel | None]:
    """Return the model in force as :func:`model_in_force` does; NotTrainedError when there is none."""
    current = model_in_force(store)
    if current is None:
        raise NotTrainedError(NOT_TRAINED)
    return current


def trained_in(outputdir: str) -> tuple[TrainedModel, StoredModel | None]:
    """Return the model in force in a directory; NotTrainedError, in words for people, when there is none."""
    current = model_in_force(_store_in(outputdir))
    if current is None:
        raise NotTrainedError(f"There is no trained model in {outputdir}; train it first.")
    return current


def reference_model(folder: Path) -> TrainedModel:
    """Read a model of the reference package, which knows its classes by number."""
    from moodlemlbackend.processor.neural_network import ReferenceClassifier
    from moodlemlbackend.processor.processor import TrainedModel
    from moodlemlbackend.reference import read_reference_model

    network = read_reference_model(folder)
    classes = tuple(map(str, range(network.n_classes)))
    return TrainedModel(ReferenceClassifier(network), None, classes, 0.5, 0, processor="neural_network")
