"""A data set may list its classes in any order: what is answered never depends on it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fixtures.backend import Backend, metadata, names
from moodlemlbackend import evaluate as evaluate_data
from moodlemlbackend import load_model, read_dataset
from moodlemlbackend.dataset import data_set
from moodlemlbackend.operations.evaluate import evaluate
from moodlemlbackend.operations.train import train
from moodlemlbackend.report.record import read_record
from moodlemlbackend.runtime.progress import QuietReporter

ROWS = 300


def rows_of(kinds: int) -> tuple[np.ndarray, np.ndarray]:
    """Features, and the number of each row's class; the first column tells a rare class 1 from the others."""
    rng = np.random.default_rng(0)
    features = np.round(rng.uniform(-1, 1, (ROWS, 4)), 2)
    rare = rng.random(ROWS) < 1 / (1 + np.exp(3 - 3 * features[:, 0]))
    return features, np.where(rare, 1, 2 * rng.integers(0, kinds - 1, ROWS))


def write(path: Path, order: list[Any], kinds: list[Any]) -> Path:
    """Write the rows with the names ``kinds`` of their classes, listed in another order."""
    features, labels = rows_of(len(kinds))
    about = {**metadata(features.shape[1], 2), "targetclasses": json.dumps(order)}
    data_set.write(path, about, names(features.shape[1]), features, labels=[str(kinds[label]) for label in labels])
    return path


@pytest.fixture
def backend(tmp_path):
    return Backend(tmp_path, "logistic_regression")


def trained_on(backend: Backend, file: Path, model: str = "model") -> str:
    train(QuietReporter(), model, str(backend.outputdir(model)), str(file), settings=backend.settings)
    return str(backend.outputdir(model))


def judged(backend: Backend, file: Path, trained: str | None) -> tuple[dict[str, Any], dict[str, Any]]:
    """What an evaluation answers, and the importances in its report."""
    result = evaluate(
        QuietReporter(),
        "model",
        str(backend.folder / "evaluation"),
        str(file),
        minscore=0.0,
        accepted_deviation=1.0,
        iterations=2,
        trained_model_dir=trained,
        settings=backend.settings,
    )
    record = read_record(Path(result["dir"]))
    return (
        {name: value for name, value in result.items() if name not in ("dir", "runid")},
        {one.label: one.falls for one in record.importances},
    )


@pytest.mark.parametrize("kinds", [["no", "yes"], [0, 1]])
def test_a_trained_model_is_rated_the_same(backend, kinds):
    file, other = (
        write(backend.folder / "one.csv", kinds, kinds),
        write(backend.folder / "other.csv", kinds[::-1], kinds),
    )
    trained = trained_on(backend, file)
    assert load_model(trained).threshold != pytest.approx(0.5, abs=0.1), "a threshold tells the classes apart"
    assert judged(backend, other, trained) == judged(backend, file, trained)
    figures = [evaluate_data(read_dataset(data), model=load_model(trained)).mean for data in (file, other)]
    assert figures[0] == figures[1]


@pytest.mark.parametrize("order", [[1, 0, 2], [0, 2, 1], [1, 2, 0]])
def test_the_auc_is_that_of_class_1(backend, order):
    file, other = (write(backend.folder / str(listed), listed, [0, 1, 2]) for listed in ([0, 1, 2], order))
    model, same = load_model(trained_on(backend, file)), load_model(trained_on(backend, other, "other"))
    assert same.classes[1] == "1"
    one, two = read_dataset(file), read_dataset(other)
    np.testing.assert_allclose(same.predict_proba(two)[:, 1], model.predict_proba(one)[:, 1], atol=0.02)
    pairs = ((one, model), (two, same), (two, model), (one, same))
    areas = [evaluate_data(rows, model=found).mean["auc"] for rows, found in pairs]
    np.testing.assert_allclose(areas, areas[0], atol=0.01)
    learned = [evaluate_data(rows, processor="logistic_regression", iterations=5).mean["auc"] for rows in (one, two)]
    np.testing.assert_allclose(learned, areas[0], atol=0.1)


@pytest.mark.parametrize("kinds", [[0, 1], [0, 1, 2]])
def test_a_model_of_another_order_predicts_and_trains_on(backend, kinds, monkeypatch):
    order = [1, 0, *kinds[2:]]
    file, other = write(backend.folder / "one.csv", kinds, kinds), write(backend.folder / "other.csv", order, kinds)
    expected = load_model(trained_on(backend, file))
    with monkeypatch.context() as former:
        former.setattr(data_set, "class_1_second", lambda classes: classes)
        model = load_model(trained_on(backend, other, "other"))
    assert model.classes == tuple(map(str, order))
    data = read_dataset(other)
    chances = model.predict_proba(data)[:, [1, 0, *range(2, len(kinds))]]
    np.testing.assert_allclose(chances, expected.predict_proba(data), atol=0.02)
    assert {model.classes[label] for label in model.predict(data)} > {"1"}
    again = [load_model(trained_on(backend, other, name)) for name in ("model", "other")]
    assert {one.classes for one in again} == {tuple(map(str, kinds))}
    np.testing.assert_allclose(*(one.predict_proba(data) for one in again), atol=0.02)
