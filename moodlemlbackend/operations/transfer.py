"""Move a trained model to another site: export and import."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from moodlemlbackend.errors import ModelError
from moodlemlbackend.operations.trained_models import (
    model_in_force,
    processor_of,
    promise_at_publication,
    reference_model,
    store_of,
)
from moodlemlbackend.processor import get_processor
from moodlemlbackend.runtime.run import Run

if TYPE_CHECKING:
    from moodlemlbackend.processor.processor import TrainedModel
    from moodlemlbackend.runtime.progress import Reporter
    from moodlemlbackend.settings.backend import Settings

IMPORTED = "Ok"


def export_model(reporter: Reporter, modelid: str, modeldir: str, exportdir: str, *, settings: Settings) -> str:  # noqa: ARG001
    """Write the trained model to a directory, for another site."""
    store = store_of(modelid, modeldir)
    with Run.start(Path(modeldir), reporter, lazy=True):
        reporter.progress("Exporting the model", 0, 0)
        current = model_in_force(store)
        if current is None:
            raise ModelError(f"There is no trained model in {modeldir} to export; train it first.")
        model, stored = current
        if stored is None:
            _export_reference(model, Path(exportdir))
        else:
            store.read(lambda latest: processor_of(latest).export(latest, Path(exportdir)))
        return exportdir


def import_model(reporter: Reporter, modelid: str, modeldir: str, importdir: str, *, settings: Settings) -> str:
    """Start using an exported model."""
    from moodlemlbackend.reference import is_reference_model
    from moodlemlbackend.storage.layout import CLASSIFIER
    from moodlemlbackend.storage.stored_model import read_model

    store = store_of(modelid, modeldir)
    source = Path(importdir)
    promise_at_publication(store, reporter, lambda: IMPORTED)
    with Run.start(Path(modeldir), reporter, lazy=True):
        reporter.progress("Importing the model", 0, 0)
        reference = next((folder for folder in (source, source / CLASSIFIER) if is_reference_model(folder)), None)
        if reference is not None:
            model, processor = reference_model(reference), get_processor("neural_network")
            processor.prove(model, reference)
            with store.lock(settings.lock_wait):
                processor.store(store, model, {})
            return IMPORTED
        exported = read_model(source)
        processor = processor_of(exported)
        with store.lock(settings.lock_wait):
            processor.import_model(store, exported)
        return IMPORTED


def _export_reference(model: TrainedModel, folder: Path) -> None:
    """Export a model of the reference package in our format."""
    from moodlemlbackend.storage.stored_model import write_model

    processor = get_processor("neural_network")
    write_model(folder, processor.name, *processor.describe(model))
