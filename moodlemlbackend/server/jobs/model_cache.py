"""Models that a worker has read, mapped from disk and kept as long as the store still has them in force."""

from __future__ import annotations

import os
from collections import OrderedDict
from dataclasses import replace
from typing import TYPE_CHECKING

from moodlemlbackend.operations.trained_models import processor_of, trained_model

if TYPE_CHECKING:
    from moodlemlbackend.processor.processor import TrainedModel
    from moodlemlbackend.storage.model_store import ModelStore
    from moodlemlbackend.storage.stored_model import StoredModel

    LoadedModel = tuple[TrainedModel, StoredModel | None]


class ModelCache:
    """The last models that were used; every use asks the store first which version is in force."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._kept: OrderedDict[str, tuple[tuple[str, str], LoadedModel]] = OrderedDict()

    def find(self, store: ModelStore) -> LoadedModel:
        """Return the model in force as :func:`.trained_models.trained_model` does, errors included."""
        published = store.published()
        if published is None:
            return trained_model(store)
        folder = os.path.realpath(store.folder)
        entry = self._kept.pop(folder, None)
        if entry is None or entry[0] != published:
            entry = published, self._load(store)
        self._kept[folder] = entry
        while len(self._kept) > self._most:
            self._kept.popitem(last=False)
        return entry[1]

    def _load(self, store: ModelStore) -> LoadedModel:
        def load(stored: StoredModel) -> LoadedModel:
            mapped = replace(stored, mapped=True)
            return processor_of(mapped).load(mapped), mapped

        return store.read(load) or trained_model(store)
