"""Data sets with so many columns that the network has more inputs than 16 bits count."""

from __future__ import annotations

import tracemalloc

import numpy as np

from fixtures.backend import samples_of
from moodlemlbackend.model.codes import code
from moodlemlbackend.model.encoding import fit_encoder
from moodlemlbackend.processor import get_processor

MANY_BINS = 520  # columns of 64 bins: more than 32,767 inputs


def test_every_bin_is_an_input_of_its_own_column():
    rows = 1500
    features = np.round(np.random.default_rng(0).uniform(-1, 1, (rows, MANY_BINS)), 2).astype(np.float32)
    coded = code([features], MANY_BINS)
    columns = np.arange(MANY_BINS)
    encoder = fit_encoder(columns, coded.codes, coded.values, np.ones(rows))
    inputs = encoder.encode(coded.codes)
    assert encoder.inputs > np.iinfo(np.int16).max
    set_in = inputs / encoder.scale + encoder.centre > 0.5
    set_in[:, encoder.plain_inputs] = False
    for column in columns:
        assert (set_in[:, encoder.column_of_input == column].sum(axis=1) == 1).all(), column


def test_training_on_20000_columns_finds_the_one_that_tells():
    rows, columns = 200, 20_000
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 2, rows)
    features = rng.integers(-1, 2, (rows, columns)).astype(np.float32)
    features[:, -1] = 2 * labels - 1
    fitted = get_processor("neural_network").fit(samples_of(features, labels), seed=1)
    chances = fitted.classifier.probabilities(features)[:, 1]
    assert ((chances >= fitted.threshold) == (labels == 1)).mean() > 0.95


def test_memory_grows_with_the_number_of_columns():
    def peak(columns):
        features = np.random.default_rng(0).integers(-1, 2, (100, columns)).astype(np.float32)
        tracemalloc.start()
        coded = code([features], columns)
        encoder = fit_encoder(np.arange(columns), coded.codes, coded.values, np.ones(100))
        encoder.encode(coded.codes)
        found = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return found

    assert peak(1_000) < 6 * peak(250)
