"""Columns that are not to be learned from: not from the rows, and not from those that the model remembers."""

from __future__ import annotations

import numpy as np
import pytest

from fixtures.backend import Backend, course_rows, names, write_labelled
from moodlemlbackend.dataset.columns import AFTER_END
from moodlemlbackend.operations.train import train
from moodlemlbackend.operations.trained_models import trained_in
from moodlemlbackend.processor.training_rows import read_samples
from moodlemlbackend.report.facts import facts_of
from moodlemlbackend.runtime.progress import QuietReporter

TELLING = names(5)[3:]
"""The columns of :func:`course_rows` that tell the class."""


@pytest.fixture(params=["neural_network", "logistic_regression"])
def backend(request, tmp_path) -> Backend:
    return Backend(tmp_path, request.param)


def learn(backend: Backend, *, masked: list[str]) -> None:
    path = write_labelled(backend.folder / "rows", *course_rows(200))
    outputdir = str(backend.outputdir("model"))
    train(QuietReporter(), "model", outputdir, str(path), settings=backend.settings, masked=masked)


def test_nothing_is_learned_from_them(backend):
    learn(backend, masked=TELLING)
    features, labels = course_rows(200)
    without = features.copy()
    without[:, 3:] = 0
    predicted = backend.predict(features)
    assert predicted == backend.predict(without)
    assert np.mean([int(name) == label for (_, name, _), label in zip(predicted, labels, strict=True)]) < 0.8
    assert trained_in(str(backend.outputdir("model")))[0].masked == tuple(TELLING)


def test_what_was_learned_before_is_forgotten(backend):
    features, labels = course_rows(200)
    learn(backend, masked=[])
    assert backend.classes(features) == labels.tolist()
    learn(backend, masked=TELLING)
    assert backend.predict(features) == backend.predict(np.where(np.arange(5) >= 3, -features, features))


def test_cells_are_empty_and_columns_stay(tmp_path):
    features, labels = course_rows(20)
    samples = read_samples(write_labelled(tmp_path / "rows", features, labels), masked=[TELLING[0], "unknown"])
    assert samples.columns == tuple(names(5))
    assert samples.masked == (TELLING[0],)
    cells = samples.coded.decode()
    assert np.isnan(cells[:, 3]).all()
    assert np.array_equal(np.delete(cells, 3, axis=1), np.delete(features, 3, axis=1).astype(np.float32))
    assert facts_of(samples).masked == (TELLING[0],)


def test_what_is_known_late_is_told_of_a_data_set_that_has_it(tmp_path):
    features, labels = course_rows(20)
    path = write_labelled(tmp_path / "rows", features, labels, columns=[*names(4), AFTER_END])
    assert facts_of(read_samples(path)).after_end == (AFTER_END,)
    assert facts_of(read_samples(path, masked=[AFTER_END])).after_end == ()
    features[:, 4] = -1
    path = write_labelled(tmp_path / "running", features, labels, columns=[*names(4), AFTER_END])
    assert facts_of(read_samples(path)).after_end == ()
