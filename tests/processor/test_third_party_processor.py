"""Processors of third parties: which there are, and what comes of faults in their code."""

from __future__ import annotations

import importlib
import sys
from importlib.metadata import EntryPoint
from pathlib import Path

import numpy as np
import pytest

from fixtures.backend import Backend, course_rows, snapshot
from moodlemlbackend import processor
from moodlemlbackend.errors import ModelError, UsageError
from moodlemlbackend.processor import get_processor
from moodlemlbackend.processor.explanation import explain
from moodlemlbackend.storage.model_store import ModelStore

pytestmark = pytest.mark.usefixtures("third_party_processor")

# ---- which processors there are ----


def test_an_unknown_processor_names_those_there_are(tmp_path):
    with pytest.raises(UsageError, match=r"no processor 'forest'; .* neural_network, logistic_regression, naive_bayes"):
        Backend(tmp_path, "forest").train(*course_rows(10))
    assert not (tmp_path / "model" / "classifier" / "current").exists()


def test_a_model_whose_processor_is_gone(tmp_path, monkeypatch):
    backend = Backend(tmp_path, "naive_bayes")
    backend.train(*course_rows(10))
    monkeypatch.setattr(sys, "path", [path for path in sys.path if "site-packages" not in Path(path).name])
    importlib.invalidate_caches()
    monkeypatch.setattr("importlib.metadata.entry_points", lambda group: [])
    for call in (backend.predict, lambda features: backend.train(features, [0, 1])):
        with pytest.raises(ModelError, match=r"needs another processor. There is no processor 'naive_bayes'"):
            call(course_rows(2)[0])


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("nowhere_at_all:Processor", "cannot be loaded .No module named 'nowhere_at_all'.; install its package again"),
        ("collections:OrderedDict", "is not a processor named 'broken'"),
        ("naive_bayes:NaiveBayes", "is not a processor named 'broken'"),
        ("naive_bayes:Counts", "cannot be loaded"),
    ],
)
def test_an_entry_point_that_is_no_processor(monkeypatch, value, expected):
    broken = EntryPoint("broken", value, processor.GROUP)
    monkeypatch.setattr("importlib.metadata.entry_points", lambda group: [broken])
    with pytest.raises(UsageError, match=expected):
        get_processor("broken")


# ---- the code of a third party ----


@pytest.fixture
def counting(tmp_path):
    """A backend of the third party's processor with a trained model, its rows, and the class of its classifiers."""
    backend, rows = Backend(tmp_path, "naive_bayes"), course_rows(20)
    backend.train(*rows)
    return backend, rows, importlib.import_module("naive_bayes").Counts


def _fail(*_arguments, **_keywords):
    raise RuntimeError("no luck")


@pytest.mark.parametrize(
    ("spoiled", "fault"),
    [
        (lambda chances: chances * np.nan, "its predictions are not numbers"),
        (lambda chances: chances * 1.7, "its predictions are not probabilities"),
        (lambda chances: chances * [[3, -1]] + [[0, 1 - chances[0, 0]]], "its predictions are not probabilities"),
        (lambda chances: np.hstack([chances, chances]), r"its output is \(\d+, 4\)"),
        (lambda chances: chances[:-1], "rows of 2 classes its output is"),
        (lambda chances: chances[:, 0], "rows of 2 classes its output is"),
        (_fail, "no luck"),
    ],
)
def test_what_is_no_probability_is_neither_used_nor_published(counting, monkeypatch, spoiled, fault):
    backend, rows, classifier = counting
    before = snapshot(backend.classifier())
    right = classifier.probabilities
    monkeypatch.setattr(classifier, "probabilities", lambda own, features: spoiled(right(own, features)))
    for call in (
        lambda: backend.predict(rows[0]),
        lambda: backend.train(*rows),
        lambda: backend.evaluate(*rows),
        lambda: backend.evaluate(*rows, trained="model"),
    ):
        with pytest.raises(ModelError, match=f"^The processor naive_bayes failed in .*{fault}.*; correct it or use"):
            call()
    assert snapshot(backend.classifier()) == before


def test_a_processor_that_fails_is_named(counting, monkeypatch):
    backend, rows, classifier = counting
    own = importlib.import_module("naive_bayes").NaiveBayes
    for where, name, call in (
        (own, "fit", lambda: backend.train(*rows)),
        (own, "fit", lambda: backend.evaluate(*rows)),
        (classifier, "state", lambda: backend.train(*rows)),
        (own, "restore", lambda: backend.predict(rows[0])),
    ):
        with monkeypatch.context() as broken:
            broken.setattr(where, name, _fail)
            with pytest.raises(ModelError, match=r"^The processor naive_bayes failed in .* \(no luck\)"):
                call()
    with monkeypatch.context() as broken:
        broken.setattr(own, "fit", lambda *_, **_keywords: None)
        with pytest.raises(ModelError, match=r"^The processor naive_bayes failed in training"):
            backend.train(*rows)
    assert backend.classes(rows[0]) == rows[1].tolist()


def test_an_explanation_that_fails_is_a_sentence(counting, monkeypatch):
    backend, (features, _), classifier = counting
    monkeypatch.setattr(classifier, "contributions", _fail)
    stored = ModelStore(backend.outputdir("model")).current()
    model = get_processor("naive_bayes").load(stored)
    with pytest.raises(ModelError, match=r"^The processor naive_bayes failed in explanation \(no luck\)"):
        explain(model, model.columns, features[:1].astype(np.float32), ["1-0"])
