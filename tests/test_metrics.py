"""The figures of an evaluation agree with scikit-learn's, and the threshold is the best there is."""

from __future__ import annotations

import math
import time
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as sk

from moodlemlbackend import metrics

many = settings(deadline=None, max_examples=60, derandomize=True)

Sample = tuple[np.ndarray, np.ndarray, "np.ndarray | None"]


@st.composite
def predictions(draw: st.DrawFn) -> Sample:
    """Predicted classes, labels and perhaps weights (zeros among them) of one to four classes, some of them absent."""
    rows, seed = draw(st.integers(1, 40)), draw(st.integers(0, 2**32 - 1))
    random, classes = np.random.default_rng(seed), draw(st.integers(1, 4))
    labels = random.integers(classes, size=rows)
    predicted = np.where(random.random(rows) < draw(st.floats(0, 1)), labels, random.integers(classes, size=rows))
    return predicted, labels, draw(weights(random, rows))


@st.composite
def scored(draw: st.DrawFn, *, both_classes: bool = False) -> Sample:
    """Probabilities of class 1 with many or few ties, labels and perhaps weights; 0 and 1 among the probabilities."""
    rows, seed = draw(st.integers(2, 60)), draw(st.integers(0, 2**32 - 1))
    random = np.random.default_rng(seed)
    scores = random.random(rows).round(draw(st.sampled_from([0, 1, 2, 9])))
    labels = (random.random(rows) < draw(st.sampled_from([0.1, 0.5])) + scores / 3).astype(int)
    if both_classes:
        labels[:2] = 0, 1
    weight = draw(weights(random, rows))
    if weight is not None and both_classes:
        weight[:2] = 1
    return scores, labels, weight


def weights(random: np.random.Generator, rows: int) -> st.SearchStrategy[np.ndarray | None]:
    some = random.exponential(size=rows) * (random.random(rows) < 0.8)
    some[-1] = 0.5
    return st.sampled_from([None, some, random.integers(1, 5, rows).astype(float)])


def sklearn(function: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
    """What scikit-learn says, without what it warns of."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return function(*arguments, **options)


@many
@given(predictions())
def test_class_figures_are_those_of_scikit_learn(sample: Sample) -> None:
    predicted, labels, weight = sample
    arguments = {"y_true": labels, "y_pred": predicted, "sample_weight": weight}
    assert metrics.accuracy(*sample) == pytest.approx(sklearn(sk.accuracy_score, **arguments))
    assert metrics.matthews_correlation(*sample) == pytest.approx(sklearn(sk.matthews_corrcoef, **arguments))
    *expected, _ = sklearn(sk.precision_recall_fscore_support, **arguments, average="weighted", zero_division=0)
    assert metrics.weighted_scores(*sample) == pytest.approx(tuple(expected))
    expected_matrix = sklearn(sk.confusion_matrix, **arguments, labels=range(4))
    np.testing.assert_allclose(metrics.confusion_matrix(*sample, classes=4), expected_matrix)


@many
@given(predictions())
def test_balanced_accuracy_is_the_mean_recall_of_the_classes_present(sample: Sample) -> None:
    predicted, labels, weight = sample
    counted = np.ones(len(labels)) if weight is None else weight
    recalls = [
        np.average(predicted[labels == c] == c, weights=counted[labels == c]) for c in set(labels[counted > 0].tolist())
    ]
    assert metrics.balanced_accuracy(*sample) == pytest.approx(np.mean(recalls))


@many
@given(scored(both_classes=True))
def test_score_figures_are_those_of_scikit_learn(sample: Sample) -> None:
    scores, labels, weight = sample
    arguments = (labels, scores)
    assert metrics.roc_auc(*sample) == pytest.approx(sk.roc_auc_score(*arguments, sample_weight=weight))
    expected = sk.average_precision_score(*arguments, sample_weight=weight)
    assert metrics.average_precision(*sample) == pytest.approx(expected)
    assert metrics.brier_score(*sample) == pytest.approx(sk.brier_score_loss(*arguments, sample_weight=weight))


@many
@given(scored(both_classes=True))
def test_roc_curve_is_the_one_of_scikit_learn_without_points_on_a_line(sample: Sample) -> None:
    scores, labels, weight = sample
    curve = metrics.roc_curve(*sample)
    full = np.column_stack(sk.roc_curve(labels, scores, sample_weight=weight, drop_intermediate=False))
    for point in np.column_stack(curve):
        assert np.isclose(full, point, atol=1e-12).all(axis=1).any()
    assert len(curve.thresholds) <= len(full)
    x, y = curve.false_positive_rate, curve.true_positive_rate
    assert (x[0], y[0], x[-1], y[-1]) == (0, 0, 1, 1)
    assert np.diff(x) @ (y[1:] + y[:-1]) / 2 == pytest.approx(metrics.roc_auc(*sample))
    if weight is None:
        assert (np.abs(np.diff(x)[1:] * np.diff(y)[:-1] - np.diff(x)[:-1] * np.diff(y)[1:]) > 1e-12).all()


@many
@given(scored(both_classes=True))
def test_precision_recall_curve_is_the_one_of_scikit_learn(sample: Sample) -> None:
    scores, labels, weight = sample
    if weight is not None:  # scikit-learn keeps rows that count nothing, and their thresholds
        counts = weight > 0
        scores, labels, weight = scores[counts], labels[counts], weight[counts]
    precision, recall, thresholds = sk.precision_recall_curve(
        labels, scores, sample_weight=weight, drop_intermediate=True
    )
    curve = metrics.precision_recall_curve(*sample)
    np.testing.assert_allclose(curve.precision, precision)
    np.testing.assert_allclose(curve.recall, recall, atol=1e-15)
    np.testing.assert_array_equal(curve.thresholds, [*thresholds, math.inf])


def test_auc_of_three_classes_is_that_of_class_one_against_the_rest() -> None:
    random = np.random.default_rng(5)
    labels = random.integers(3, size=200)
    scores = 0.4 * random.random(200) + 0.3 * (labels == 1)
    assert metrics.roc_auc(scores, labels) == pytest.approx(sk.roc_auc_score(labels == 1, scores))
    assert 0.9 < metrics.roc_auc(scores, labels) < 1


@pytest.mark.parametrize("label", [0, 1])
def test_one_class_alone_has_no_auc_and_no_correlation(label: int) -> None:
    scores, labels = np.array([0.2, 0.7, 0.7]), np.full(3, label)
    assert math.isnan(metrics.roc_auc(scores, labels))
    assert metrics.matthews_correlation(scores > 0.5, labels) == 0
    assert metrics.best_threshold(scores, labels) == metrics.smooth_threshold(scores, labels) == 0.5
    assert math.isnan(metrics.average_precision(scores, labels)) == (label == 0)
    curve = metrics.roc_curve(scores, labels)
    assert np.isnan(curve.true_positive_rate).all() == (label == 0)
    assert np.isnan(curve.false_positive_rate).all() == (label == 1)


def test_without_rows_figures_are_not_numbers() -> None:
    nothing: list[float] = []
    for figure in (metrics.accuracy, metrics.balanced_accuracy, metrics.roc_auc, metrics.brier_score):
        assert math.isnan(figure(nothing, nothing)), figure.__name__
    assert np.isnan(metrics.weighted_scores(nothing, nothing)).all()
    assert metrics.best_threshold(nothing, nothing) == metrics.smooth_threshold(nothing, nothing) == 0.5


@many
@given(scored())
def test_integer_weights_count_rows(sample: Sample) -> None:
    scores, labels, _ = sample
    times = np.arange(len(scores)) % 4
    repeated = np.repeat(scores, times), np.repeat(labels, times)
    for figure in (metrics.roc_auc, metrics.average_precision, metrics.best_threshold, metrics.smooth_threshold):
        assert figure(scores, labels, times) == pytest.approx(figure(*repeated), nan_ok=True), figure.__name__


@many
@given(st.integers(2, 4), st.integers(2, 60), st.booleans())
def test_a_perfect_prediction_scores_exactly_one(classes: int, rows: int, weighted: bool) -> None:
    labels = np.arange(rows) % classes
    weight = np.random.default_rng(rows).exponential(size=rows) if weighted else None
    assert metrics.matthews_correlation(labels, labels, weight) == 1
    assert metrics.roc_auc(0.25 + (labels == 1) / 2, labels) == 1


@many
@given(scored())
def test_no_threshold_is_better_than_the_best(sample: Sample) -> None:
    scores, labels, weight = sample
    threshold = metrics.best_threshold(*sample)
    cuts = np.unique(scores)
    rivals = [metrics.matthews_correlation(scores >= cut, labels, weight) for cut in cuts]
    best = max(0, *rivals)
    if best > 1e-9:
        assert metrics.matthews_correlation(scores >= threshold, labels, weight) == pytest.approx(best, abs=1e-9)
        assert 0 < threshold <= 1
    else:
        assert threshold == 0.5


def test_threshold_lies_midway_in_logits() -> None:
    threshold = metrics.best_threshold([0.01, 0.02, 0.2, 0.3], [0, 0, 1, 1])
    assert math.log(threshold / (1 - threshold)) == pytest.approx((math.log(0.02 / 0.98) + math.log(0.2 / 0.8)) / 2)
    assert metrics.smooth_threshold([0.01, 0.02, 0.2, 0.3], [0, 0, 1, 1]) == threshold


@pytest.mark.parametrize(
    ("scores", "lower", "upper"),
    [([0.1, 0.2, 0.45, 0.65], 0.45, 0.65), ([0.35, 0.55, 0.8, 0.9], 0.35, 0.55)],
)
def test_of_equal_thresholds_the_one_nearest_to_a_half_is_taken(
    scores: list[float], lower: float, upper: float
) -> None:
    labels = [0, 1, 0, 1]  # the cuts under and over the two rows in the middle are equally good
    assert lower < metrics.best_threshold(scores, labels) < upper


@pytest.mark.parametrize("lowest_positive", [np.nextafter(0.0, 1), 1.0])
def test_saturated_scores_are_still_parted(lowest_positive: float) -> None:
    scores = np.array([0.0, np.nextafter(0.0, 1), np.nextafter(1.0, 0), 1.0])
    labels = (scores >= lowest_positive).astype(int)
    threshold = metrics.best_threshold(scores, labels)
    np.testing.assert_array_equal(scores >= threshold, labels == 1)


def test_smooth_threshold_serves_other_samples_better() -> None:
    random = np.random.default_rng(3)
    labels = (random.random(20_000) < 0.1).astype(int)
    scores = 1 / (1 + np.exp(-(random.normal(size=len(labels)) + 2 * labels - 4)))
    gained = []
    for start in range(0, 20_000, 200):
        few = slice(start, start + 200)
        best, smooth = (
            metrics.matthews_correlation(scores >= find(scores[few], labels[few]), labels)
            for find in (metrics.best_threshold, metrics.smooth_threshold)
        )
        gained.append(smooth - best)
    assert np.mean(gained) > 0.01
    assert metrics.smooth_threshold(scores[:200], labels[:200]) == metrics.smooth_threshold(scores[:200], labels[:200])


def test_calibration_error_compares_confidence_with_accuracy_bin_by_bin() -> None:
    probabilities = [[0.9, 0.1], [0.1, 0.9], [0.95, 0.05], [0.45, 0.55], [0.55, 0.45]]
    labels = [0, 1, 1, 1, 0]
    # bins of a tenth: confidences .9, .9 and .95, of which two are right; .55 and .55, both right
    expected = (abs(0.9 + 0.9 + 0.95 - 2) + abs(1.1 - 2)) / 5
    assert metrics.expected_calibration_error(probabilities, labels, bins=10) == pytest.approx(expected)
    assert metrics.expected_calibration_error(np.eye(3), [0, 1, 2]) == 0
    assert metrics.expected_calibration_error(np.eye(3), [1, 2, 0]) == 1
    random = np.random.default_rng(1)
    honest = random.dirichlet([1, 1, 1], size=50_000)
    drawn = (random.random((50_000, 1)) > honest.cumsum(axis=1)).sum(axis=1)
    assert metrics.expected_calibration_error(honest, drawn) < 0.01
    assert metrics.expected_calibration_error(honest**2 / (honest**2).sum(axis=1, keepdims=True), drawn) > 0.1


def test_a_hundred_splits_are_judged_in_a_moment() -> None:
    random = np.random.default_rng(0)
    scores = random.random((100, 3000))
    labels = (random.random(scores.shape) < scores).astype(int)
    begin = time.process_time()
    for row, truth in zip(scores, labels, strict=True):
        metrics.matthews_correlation(row >= 0.5, truth)
        metrics.roc_auc(row, truth)
    assert time.process_time() - begin < 0.3  # 0.04 s on a quiet machine
