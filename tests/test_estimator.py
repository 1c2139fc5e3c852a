"""The network as an estimator of scikit-learn: its own checks, and what researchers do with estimators."""

from __future__ import annotations

from dataclasses import replace

import joblib
import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.utils.estimator_checks import parametrize_with_checks

from fixtures.backend import simulated
from moodlemlbackend import DataSet, MoodleClassifier, evaluate, fit, splits
from moodlemlbackend.dataset.data_set import Header


def data_set(classes: int = 2) -> DataSet:
    data = simulated(classes=classes)
    header = Header("simulated", data.metadata, data.columns, tuple(map(str, range(classes))), data.target)
    return DataSet(header, data.features.astype(np.float32), data.labels, None)


@pytest.fixture(scope="module")
def fitted() -> MoodleClassifier:
    data = data_set()
    return MoodleClassifier(threshold="tuned", random_state=1).fit(data.features, data.labels)


_names, _checks = (_all := parametrize_with_checks([MoodleClassifier()])).args


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.SkipTestWarning")
@pytest.mark.parametrize(_names, [*_checks], ids=_all.kwargs["ids"])  # a list: older releases give a generator
def test_scikit_learns_own_checks(estimator, check):
    check(estimator)


def test_it_is_the_network_that_moodles_models_are(fitted):
    data = data_set()
    model = fit(data, seed=1)
    np.testing.assert_array_equal(fitted.predict_proba(data.features), model.predict_proba(data))
    np.testing.assert_array_equal(fitted.predict(data.features), model.predict(data))
    assert fitted.model_.threshold == model.threshold


def test_the_threshold_is_where_the_decision_function_is_zero(fitted):
    data = data_set()
    threshold = fitted.model_.threshold
    assert threshold != 0.5
    probability = fitted.predict_proba(data.features)[:, 1]
    decision = fitted.decision_function(data.features)
    np.testing.assert_array_equal(decision > 0, probability > threshold)
    np.testing.assert_array_equal(fitted.predict(data.features), decision > 0)
    plain = clone(fitted).set_params(threshold=0.5).fit(data.features, data.labels)
    np.testing.assert_array_equal(plain.predict_proba(data.features)[:, 1], probability)
    np.testing.assert_array_equal(plain.predict(data.features), probability > 0.5)


@pytest.mark.parametrize("threshold", [0, 1, -0.1, "best", None])
def test_a_threshold_that_is_none_is_refused(threshold):
    data = data_set()
    with pytest.raises(ValueError, match="threshold"):
        MoodleClassifier(threshold=threshold).fit(data.features, data.labels)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("hidden", value) for value in (0, 2.5, "a")),
        *(("epochs", value) for value in (0, -1)),
        *(("shrinkage", value) for value in (-1.0, np.nan, np.inf, None)),
    ],
)
def test_sizes_that_mean_nothing_are_refused(name, value):
    data = data_set()
    with pytest.raises(ValueError, match=f"^{name} is .*; it must be a (whole )?number of [01] or more$"):
        MoodleClassifier(**{name: value}).fit(data.features, data.labels)


def test_columns_of_one_name_are_refused():
    frame = pd.DataFrame(np.eye(4), columns=["a", "b", "a", "c"])
    with pytest.raises(ValueError, match="two columns of X have the same name"):
        MoodleClassifier().fit(frame, [0, 1, 0, 1])


def test_a_weight_counts_rows():
    data = data_set()
    rng = np.random.default_rng(0)
    weights = rng.integers(0, 4, len(data.labels))
    repeated = np.repeat(np.arange(len(weights)), weights)
    classifier = MoodleClassifier(random_state=3)
    weighted = clone(classifier).fit(data.features, data.labels, sample_weight=weights)
    several = clone(classifier).fit(data.features[repeated], data.labels[repeated])
    np.testing.assert_allclose(weighted.predict_proba(data.features), several.predict_proba(data.features), atol=1e-5)
    unweighted = clone(classifier).fit(data.features, data.labels)
    assert np.abs(unweighted.predict_proba(data.features) - weighted.predict_proba(data.features)).max() > 0.01
    with pytest.raises(ValueError, match="negative"):
        classifier.fit(data.features, data.labels, sample_weight=-weights)


def test_it_knows_how_far_courses_differ_when_it_is_told_the_courses(fitted):
    data = data_set()
    assert fitted.predict_range(data.features) is None
    groups, weights = np.arange(len(data.labels)) % 6, np.ones(len(data.labels))
    weights[:5] = 0
    found = MoodleClassifier(random_state=1).fit(data.features, data.labels, weights, groups=groups)
    same = fit(replace(data, features=data.features[5:], labels=data.labels[5:]), seed=1, groups=groups[5:])
    np.testing.assert_allclose(found.predict_range(data.features), same.predict_range(data.features))
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        MoodleClassifier().fit(data.features, data.labels, groups=groups[1:])


def test_empty_cells_are_told_from_zeros():
    rng = np.random.default_rng(0)
    features = np.where(rng.random((400, 2)) < 0.5, np.nan, 0)
    labels = np.isnan(features[:, 0])
    found = MoodleClassifier(random_state=0).fit(features, labels)
    assert (found.predict(features) == labels).all()
    assert found.classes_.dtype == bool


def test_it_works_in_pipelines_searches_and_cross_validation():
    data = data_set()
    features, labels = data.features[::2], np.array(["finished", "dropped out"])[data.labels[::2]]
    pipeline = make_pipeline(FunctionTransformer(), MoodleClassifier(random_state=0))
    scores = cross_val_score(pipeline, features, labels, cv=3, scoring="roc_auc")
    assert scores.mean() > 0.7
    search = GridSearchCV(pipeline, {"moodleclassifier__hidden": [4, 8]}, cv=2, scoring="neg_log_loss")
    search.fit(features, labels)
    assert search.best_estimator_[-1].model_.classifier.network.parameters.w2.shape[-1] in (4, 8)
    assert set(search.predict(features)) <= {"finished", "dropped out"}


def test_the_splits_of_an_evaluation_are_a_cross_validation():
    data = data_set()
    drawn = splits(data, iterations=2, seed=5)
    evaluation = evaluate(data, iterations=2, seed=5)
    scores = cross_val_score(MoodleClassifier(random_state=5), data.features, data.labels, cv=drawn, scoring="roc_auc")
    for (training, held_out), (own_training, own_held_out) in zip(drawn, evaluation.splits, strict=True):
        np.testing.assert_array_equal(training, own_training)
        np.testing.assert_array_equal(held_out, own_held_out)
    np.testing.assert_allclose(scores, evaluation.figures["auc"], atol=0.05)


def test_it_can_be_kept_with_joblib(fitted, tmp_path):
    joblib.dump(fitted, tmp_path / "model.joblib")
    again = joblib.load(tmp_path / "model.joblib")
    data = data_set()
    np.testing.assert_array_equal(again.predict_proba(data.features), fitted.predict_proba(data.features))


def test_three_classes_and_explanations():
    data = data_set(3)
    frame = data.to_pandas().drop(columns=[data.header.target])
    found = MoodleClassifier(random_state=0).fit(frame, np.array(["c", "a", "b"])[data.labels])
    assert [*found.classes_] == ["a", "b", "c"]
    explanations = found.explain(frame[:5])
    assert [one.predicted for one in explanations] == [*found.predict(frame[:5])]
    assert explanations[0].sample == "row 0"
    assert {one.label for one in explanations.indicators} >= {"time in the course", "read actions"}
