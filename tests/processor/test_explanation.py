"""Contributions of indicators: exact where they can be, adding up everywhere, and refused where they do not."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import pytest

from fixtures.backend import Backend, course_rows, names, samples_of, simulated
from fixtures.paths import SHARED, needs_shared
from moodlemlbackend.dataset.columns import indicators_of
from moodlemlbackend.dataset.data_set import read_unlabelled
from moodlemlbackend.errors import ModelError
from moodlemlbackend.model.contributions import Contributions, network_contributions
from moodlemlbackend.model.network import Network
from moodlemlbackend.processor import get_processor
from moodlemlbackend.processor.explanation import EMPTY, TOLERANCE, explain
from moodlemlbackend.processor.processor import Classifier, TrainedModel


@lru_cache
def trained(processor: str, classes: int) -> TrainedModel:
    """A model of the simulated students."""
    data = simulated(classes=classes)
    fitted = get_processor(processor).fit(samples_of(data.features, data.labels, classes), seed=1)
    return TrainedModel(fitted.classifier, data.columns, tuple(map(str, range(classes))), fitted.threshold, 1)


def rows_of(classes: int) -> np.ndarray:
    return simulated(classes=classes).features.astype(np.float32)


def log_odds(probability: np.ndarray) -> np.ndarray:
    return np.log(probability) - np.log1p(-probability)


# ---- the network's contributions ----


def slopes_at(network: Network, inputs: np.ndarray) -> np.ndarray:
    """Gradient (rows, inputs) of the log-odds of class 1 at (rows, inputs), by going backwards through the layers."""
    parameters = network.parameters
    found = np.zeros(inputs.shape)
    for member in range(parameters.members):
        first = inputs @ parameters.w1[:, member] + parameters.b1[member]
        second = np.maximum(first, 0) @ parameters.w2[member] + parameters.b2[member]
        output = parameters.w3[member, :, 1] - parameters.w3[member, :, 0]
        back = ((second > 0) * output) @ parameters.w2[member].T
        found += network.blend[0] * ((first > 0) * back) @ parameters.w1[:, member].T
        linear = parameters.linear[:, member, 1] - parameters.linear[:, member, 0]
        found[:, network.encoder.plain_inputs] += network.blend[1] * linear
    return found / parameters.members


def test_contributions_are_the_integral_of_the_gradient():
    network = trained("neural_network", 2).classifier.network
    steps = 1000
    middles = (np.arange(steps) + 0.5) / steps
    rows = rows_of(2)[::40]
    found = network_contributions(network, rows).of_columns[:, :, 0]
    for row, contributions in zip(network.encoder.encode(network.encoder.codes_of(rows)), found, strict=True):
        of_inputs = row * slopes_at(network, middles[:, None] * row).mean(axis=0)
        expected = np.bincount(network.encoder.columns[network.encoder.column_of_input], of_inputs, rows.shape[1])
        np.testing.assert_allclose(contributions, expected, atol=2e-3)
    assert np.abs(found).max() > 0.1


def test_the_baseline_is_the_prediction_for_the_average_row():
    """Inputs have mean 0 over the training rows, so the average row encodes to zeros."""
    network = trained("neural_network", 2).classifier.network
    encoder, rows = network.encoder, rows_of(2)
    inputs = encoder.encode(encoder.codes_of(rows))
    np.testing.assert_allclose(inputs.mean(axis=0), 0, atol=1e-5)
    average = inputs.mean(axis=0, keepdims=True)
    deep, linear = network.parameters.logits(average, average[:, encoder.plain_inputs])
    logits = (network.blend[0] * deep + network.blend[1] * linear).mean(axis=0)[0]
    assert network_contributions(network, rows[:1]).baseline[0] == pytest.approx(logits[1] - logits[0], abs=1e-4)


@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize("processor", ["neural_network", "logistic_regression"])
def test_contributions_and_baseline_add_up_to_the_prediction(processor, classes):
    model, rows = trained(processor, classes), rows_of(classes)
    found = explain(model, model.columns, rows, [str(row) for row in range(len(rows))])
    probability = model.classifier.probabilities(rows)
    explained = np.ones(len(rows), int) if classes == 2 else probability.argmax(axis=1)
    assert found.exact
    assert (found.explained == explained).all()
    expected = log_odds(probability[np.arange(len(rows)), explained])
    np.testing.assert_allclose(found.baseline + found.contributions.sum(axis=1), expected, atol=1e-4)
    assert np.abs(found.contributions).max() > 0.1
    for one in found[::50]:
        assert one.baseline + sum(reason.contribution for reason in one.reasons) == pytest.approx(one.logit)
        assert [*one.reasons] == sorted(one.reasons, key=lambda reason: -abs(reason.contribution))


def test_logistic_contributions_are_weights_times_values():
    model, rows = trained("logistic_regression", 2), rows_of(2)[:5]
    classifier = model.classifier
    found = classifier.contributions(rows).of_columns[:, :, 0]
    inputs = classifier.encoder.encode(classifier.encoder.codes_of(rows))
    expected = np.zeros(rows.shape)
    for position, column in enumerate(classifier.encoder.column_of_input):
        weight = classifier.weights[position, 1] - classifier.weights[position, 0]
        expected[:, classifier.encoder.columns[column]] += inputs[:, position] * weight
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("processor", ["neural_network", "logistic_regression"])
def test_what_does_not_vary_contributes_nothing_and_of_twins_the_first_has_it_all(processor):
    features, labels = course_rows(60)
    constant, twin = np.full((len(features), 1), 0.5), features[:, -1:]
    features = np.column_stack([features, constant, twin]).astype(np.float32)
    fitted = get_processor(processor).fit(samples_of(features, labels), seed=1)
    found = fitted.classifier.contributions(features[:4]).of_columns
    assert not found[:, -2:].any()
    assert found[:, -3].any()


def test_a_model_without_anything_to_learn_has_only_its_baseline():
    features, labels = np.full((40, 3), 0.5, np.float32), np.arange(40) % 4 == 0
    for processor in ("neural_network", "logistic_regression"):
        fitted = get_processor(processor).fit(samples_of(features, labels.astype(int)), seed=1)
        model = TrainedModel(fitted.classifier, tuple("abc"), ("0", "1"), fitted.threshold, 40)
        found = explain(model, model.columns, features[:2], ["1", "2"])
        assert not found.contributions.any()
        assert found[0].reasons == ()
        assert found[0].baseline == pytest.approx(np.log(1 / 3), abs=0.3)


# ---- other classifiers ----


class Additive(Classifier):
    """Log-odds that are a sum over columns, 0.3 for an empty cell; gives no contributions."""

    weights = np.array([1.0, -2.0, 0.5, 0.0])

    def probabilities(self, features):
        logit = np.where(np.isnan(features), 0.3, features * self.weights).sum(axis=1)
        chance = 1 / (1 + np.exp(-logit))
        return np.stack([1 - chance, chance], axis=1)

    def state(self):
        return {}, {}


class Wrong(Additive):
    def contributions(self, features):
        return Contributions(np.zeros(1), np.ones((*features.shape, 1), np.float32))


def test_estimates_are_exact_for_what_is_additive():
    model = TrainedModel(Additive(), ("a", "b", "b/mean", "c"), ("0", "1"), 0.5, 0)
    rows = np.array([[0.5, 1, -1, 1], [np.nan, np.nan, 0.5, np.nan]], np.float32)
    found = explain(model, model.columns, rows, ["x", "y"])
    assert not found.exact
    np.testing.assert_allclose(found.contributions, [[0.2, -3.1, -0.3], [0, -0.05, 0]], atol=1e-9)
    np.testing.assert_allclose(found.baseline, 1.2)
    assert found[0].baseline_is == EMPTY
    assert "estimates" in found[0].sentences()[-1]


def test_what_does_not_add_up_is_refused():
    model = TrainedModel(Wrong(), tuple("abcd"), ("0", "1"), 0.5, 0)
    with pytest.raises(ModelError, match=r"sample 17-0 add up to 4\.0000, but its log-odds are .* not shown"):
        explain(model, model.columns, np.zeros((1, 4), np.float32), ["17-0"])


def test_a_model_without_memory_is_explained_as_before(tmp_path):
    backend = Backend(tmp_path, "neural_network")
    features, labels = course_rows(40)
    backend.train(features, labels)
    backend.import_model(backend.export(), model="imported")
    from moodlemlbackend.operations.explain import explain as explain_sample

    path = tmp_path / "prediction"
    backend.predict(features)
    first, second = (
        explain_sample(str(backend.outputdir(model)), str(path), "3-0", None) for model in ("model", "imported")
    )
    assert first == second
    assert first.exact


@needs_shared
def test_a_model_of_the_reference_package_is_estimated():
    from moodlemlbackend.operations.explain import explain as explain_sample

    path = SHARED / "data" / "split-evaluation-predict.csv.gz"
    sample_id = read_unlabelled(path).sample_ids[0]
    found = explain_sample(str(SHARED / "data" / "reference-model"), str(path), sample_id, None)
    assert not found.exact
    total = found.baseline + sum(reason.contribution for reason in found.reasons)
    assert total == pytest.approx(found.logit)
    assert abs(found.logit - log_odds(found.probability)) < TOLERANCE


# ---- indicators ----

READ = r"\core\analytics\indicator\read_actions"
WRITE = r"\core\analytics\indicator\any_write_action_in_course"
DEPTH = r"\mod_assign\analytics\indicator\cognitive_depth"
KIND = r"\local_x\analytics\indicator\kind"
COLUMNS = ("range/0", "range/1", "range/2", READ, f"{READ}/mean", WRITE, DEPTH, f"{KIND}/low", f"{KIND}/high", "own")


def test_columns_belong_to_indicators():
    found = indicators_of(COLUMNS)
    assert [one.label for one in found] == [
        "time in the course",
        "read actions",
        "any write action in course",
        "assign: cognitive depth",
        "local_x: kind",
        "own",
    ]
    assert [one.columns for one in found] == [(0, 1, 2), (3, 4), (5,), (6,), (7, 8), (9,)]
    assert found[1].name == READ


def test_labels_that_would_be_the_same_are_names():
    columns = [READ, r"\core_user\analytics\indicator\read_actions", WRITE]
    assert [one.label for one in indicators_of(columns)] == [columns[0], columns[1], "any write action in course"]


@pytest.mark.parametrize(
    ("cells", "texts"),
    [
        (
            [0, 1, 0, -0.33, 0.1, 1, 0.5, 0, 1, 2.5],
            ["part 2 of 3", "−0.33 (course mean 0.1)", "yes", "0.5", "high", "2.5"],
        ),
        (
            [0, 0, 0, np.nan, np.nan, -1, np.nan, 0, 0, -1],
            ["no part", "not calculated", "no", "not calculated", "not calculated", "−1"],
        ),
        (
            [1, 1, 0, np.nan, 0.2, 0, 1, 0.5, 0.25, np.nan],
            ["0 1, 1 1, 2 0", "not calculated (course mean 0.2)", "0", "yes", "low 0.5, high 0.25", "not calculated"],
        ),
    ],
)
def test_values_are_shown_as_people_read_them(cells, texts):
    assert [one.value(np.array(cells, np.float32)) for one in indicators_of(COLUMNS)] == texts


def test_anonymous_columns_are_indicators_of_their_own():
    assert [one.label for one in indicators_of(["input-0", "input-1"])] == ["input-0", "input-1"]
    assert len(indicators_of(names(3))) == 3
