"""Data sets in files in place of memory: training, evaluation, prediction and explanation come to the same."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest

from fixtures.backend import Backend, samples_of, simulated
from moodlemlbackend import mapped
from moodlemlbackend.model.fitting import fit
from moodlemlbackend.model.training import Options
from moodlemlbackend.operations.explain import explain
from moodlemlbackend.processor.neural_network import ROWS_AT_ONCE, NeuralNetwork
from moodlemlbackend.storage.model_store import ModelStore

PROCESSORS = ["neural_network", "logistic_regression"]


def everything(backend: Backend) -> dict[str, Any]:
    """What a site does with a model, and what it comes to."""
    backend.folder.mkdir()
    data = simulated()
    backend.train(data.features, data.labels)
    backend.train(data.features[::-1], data.labels[::-1])  # goes on from what it remembers
    stored = ModelStore(backend.outputdir("model")).current()
    assert stored is not None
    judged = [backend.evaluate(data.features, data.labels, iterations=2, trained=model) for model in (None, "model")]
    predictions = backend.predict(data.features)
    reasons = explain(str(backend.outputdir("model")), str(backend.folder / "prediction"), predictions[3][0], None)
    return {
        "model": {name: stored.array(name) for name in stored.specs},
        "evaluations": [{key: value for key, value in of.items() if key not in ("dir", "runid")} for of in judged],
        "predictions": predictions,
        "reasons": reasons,
    }


@pytest.mark.parametrize("processor", PROCESSORS)
def test_all_is_the_same_in_files_and_in_memory(processor, tmp_path, monkeypatch):
    made = []
    in_memory = everything(Backend(tmp_path / "memory", processor))
    monkeypatch.setattr(mapped, "LARGE", 1000)
    monkeypatch.setattr(np, "memmap", lambda *args, _memmap=np.memmap, **kw: made.append(args) or _memmap(*args, **kw))
    in_files = everything(Backend(tmp_path / "files", processor))
    assert made, "nothing was in a file"
    np.testing.assert_equal(in_files, in_memory)


def test_rows_read_in_the_order_of_their_visits_teach_the_same(monkeypatch):
    data = simulated()
    samples, options = samples_of(data.features, data.labels), Options(cells_at_once=1000, least_steps=8)
    whole = fit(samples.coded, samples.targets, seed=3, options=options)
    monkeypatch.setattr(mapped, "LARGE", 1000)
    in_files = fit(samples.coded, samples.targets, seed=3, options=options)
    for name, array in whole.network.arrays().items():
        np.testing.assert_array_equal(in_files.network.arrays()[name], array, err_msg=name)


def test_of_very_many_rows_fewer_splits_are_trained_side_by_side():
    samples = samples_of(*(lambda data: (data.features, data.labels))(simulated()))

    class Many(type(samples)):
        def __len__(self) -> int:
            return ROWS_AT_ONCE // 2

    many = Many(**{field.name: getattr(samples, field.name) for field in dataclasses.fields(samples)})
    assert NeuralNetwork().splits_at_once(many) == 2 < NeuralNetwork().splits_at_once(samples)
