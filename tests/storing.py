"""What the tests of storages keep in them: a model that is a number, and weights that follow from it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from moodlemlbackend.storage import Storage, open_storage
from moodlemlbackend.storage.model_store import ModelStore

MODEL = ("af5e26b33fe5", "d41d8cd98f00")


def publish(folder: Path, number: int, weights: np.ndarray) -> None:
    store = ModelStore(folder)
    with store.lock():
        store.publish("tester", {"number": number}, {"weights": weights * number})


def number_in_force(storage: Storage, weights: np.ndarray, parts: tuple[str, ...] = MODEL) -> int | None:
    """The model in force, read whole."""
    with storage.checkout(parts, write=False) as folder:
        found = ModelStore(folder).read(lambda model: (model.settings["number"], model.array("weights")))
    if found is None:
        return None
    np.testing.assert_array_equal(found[1], weights * found[0])
    return int(found[0])


def servers(folder: Path) -> Callable[..., Storage]:
    """Return a function that opens a base as another server does, with a cache of its own."""
    count = iter(range(100))
    return lambda base, **options: open_storage(base, cache=folder / f"cache{next(count)}", **options)
