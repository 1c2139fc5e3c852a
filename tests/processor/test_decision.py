"""From probabilities to classes, and from ratings to a verdict."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from moodlemlbackend.metrics import Rating, decide
from moodlemlbackend.processor.decision import decision_threshold
from moodlemlbackend.processor.evaluation import verdict

quick = settings(max_examples=60, deadline=None, database=None)


@quick
@given(st.lists(st.floats(0, 1), min_size=1, max_size=20), st.floats(1e-6, 1 - 1e-6))
def test_a_decision_score_is_one_half_at_the_threshold_and_never_less(chances, threshold):
    probabilities = np.column_stack([1 - np.array(chances), chances])
    labels, scores = decide(probabilities, threshold)
    assert ((scores >= 0.5) & (scores <= 1)).all()
    clear = np.abs(probabilities[:, 1] - threshold) > 1e-9
    np.testing.assert_array_equal(labels[clear], (probabilities[:, 1] >= threshold)[clear])
    of_class_one = np.where(labels == 1, scores, 1 - scores)
    assert (np.diff(of_class_one[np.argsort(chances)]) >= -1e-12).all(), "a higher probability has a higher score"
    assert decide(np.array([[1 - threshold, threshold]]), threshold)[1] == pytest.approx(0.5)


@quick
@given(npst.arrays(np.float64, st.tuples(st.integers(1, 5), st.integers(3, 10)), elements=st.floats(0.01, 1)))
def test_of_many_classes_the_most_probable_is_predicted(weights):
    probabilities = weights / weights.sum(axis=1, keepdims=True)
    labels, scores = decide(probabilities, 0.2)
    np.testing.assert_array_equal(labels, probabilities.argmax(axis=1))
    assert (scores >= 1 / weights.shape[1] - 1e-12).all()


def test_the_threshold_parts_the_held_out_rows_best():
    chances = np.array([0.05, 0.1, 0.2, 0.3, 0.35])
    probabilities = np.column_stack([1 - chances, chances])
    targets = np.array([[40, 0], [20, 0], [9, 1], [1, 9], [0, 5]], np.float32)
    assert 0.2 < decision_threshold(probabilities, targets) <= 0.3
    assert decision_threshold(probabilities, targets * 0.1) == 0.5, "too few of a class"
    assert decision_threshold(probabilities[:, [0, 0, 1]] / 2, targets[:, [0, 0, 1]]) == 0.5, "three classes"
    assert decision_threshold(None, None) == 0.5


def test_the_threshold_does_not_need_calibrated_probabilities():
    random = np.random.default_rng(6)
    chance = random.beta(1, 4, size=4000)
    targets = np.eye(2, dtype=np.float32)[(random.random(4000) < chance).astype(int)]
    found = []
    for shift, slope in ((0, 1), (3, 1), (-2, 0.5), (0, 3)):
        score = 1 / (1 + np.exp(-(shift + slope * np.log(chance / (1 - chance)))))
        threshold = decision_threshold(np.column_stack([1 - score, score]), targets)
        found.append(np.count_nonzero(score >= threshold))
    assert max(found) - min(found) < 0.02 * 4000


@pytest.mark.parametrize(
    ("wrong", "minimum", "accepted", "status"),
    [
        ((0, 0), 0.7, 0.05, 0),
        ((14, 14), 0.7, 0.05, 4),
        ((0, 8), 0.7, 0.05, 8),
        ((0, 20), 0.9, 0.05, 12),
        ((0, 0), 1, 0, 0),
    ],
)
def test_the_verdict(wrong, minimum, accepted, status):
    labels = np.arange(40) % 2
    ratings = []
    for number in wrong:
        chances = np.where(np.arange(40) < number, 1 - labels, labels).astype(float)
        ratings.append(Rating(labels, np.column_stack([1 - chances, chances]), 0.5))
    result, sentences = verdict(ratings, minimum_score=minimum, accepted_deviation=accepted, score="mcc")
    assert result["status"] == status
    assert len(sentences) == bin(status).count("1")
    scores = [(rating.figures()["mcc"] + 1) / 2 for rating in ratings]
    assert result["score"] == pytest.approx(np.mean(scores))
    assert result["score_deviation"] == pytest.approx(np.std(scores))
    assert all(any(f"{result[key]:.4f}" in text for key in ("score", "score_deviation")) for text in sentences)


def test_probabilities_of_single_precision_are_decided_like_any():
    probabilities = np.array([[0, 1], [1, 0], [0.25, 0.75]], np.float32)
    labels, scores = decide(probabilities, 0.5)
    assert labels.tolist() == [1, 0, 1]
    assert scores.tolist() == decide(probabilities.astype(np.float64), 0.5)[1].tolist()
