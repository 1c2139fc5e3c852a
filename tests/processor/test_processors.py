"""One suite for every processor: the network, the logistic regression, and a third party's."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from hypothesis import settings

from fixtures.backend import Backend, course_rows, names, samples_of, simulated, snapshot, write_labelled
from moodlemlbackend.errors import ModelError, NotEnoughDataError, NotTrainedError
from moodlemlbackend.operations.train import train
from moodlemlbackend.operations.trained_models import NOT_TRAINED
from moodlemlbackend.processor import get_processor
from moodlemlbackend.processor.memory import MOST_TEACHING, taught
from moodlemlbackend.processor.training_rows import TrainingRows
from moodlemlbackend.runtime.progress import QuietReporter
from moodlemlbackend.storage import layout
from moodlemlbackend.storage.model_store import ModelStore
from moodlemlbackend.storage.stored_model import read_model, write_model

quick = settings(max_examples=60, deadline=None, database=None)

pytestmark = pytest.mark.usefixtures("third_party_processor")


@pytest.fixture(scope="module", params=["neural_network", "logistic_regression", "naive_bayes"])
def name(request):
    return request.param


@pytest.fixture
def backend(tmp_path, name):
    return Backend(tmp_path, name)


@pytest.fixture(scope="module")
def trained(tmp_path_factory, name):
    """A backend whose ``model`` is trained on separable courses; tests leave it as it is."""
    backend = Backend(tmp_path_factory.mktemp("trained"), name)
    assert backend.train(*course_rows(60)) | {"runid": ""} == {"status": 0, "info": [], "runid": ""}
    return backend


@pytest.fixture
def copy(tmp_path, trained):
    """A copy of the trained model's backend, to be changed."""
    shutil.copytree(trained.outputdir("model"), tmp_path / "model")
    return Backend(tmp_path, trained.settings.processor)


# ---- what Moodle's acceptance tests expect ----


def test_separable_courses_score_exactly_one(backend):
    result = backend.evaluate(*course_rows(60))
    assert result["score"] == 1.0
    assert result["status"] == 0
    [note] = result["info"]
    assert note.startswith("Single rows were held out, not whole courses")
    assert result["score_deviation"] == 0
    assert result["mcc"] == result["auc"] == result["accuracy"] == result["balanced accuracy"] == 1
    assert result["precision"] == result["recall"] == result["f1_score"] == 1
    assert (result["min_score"], result["accepted_deviation"]) == (0.7, 0.05)
    assert isinstance(result["runid"], int)
    assert Path(result["dir"]).name == str(result["runid"])


def test_random_courses_have_a_low_score(backend):
    result = backend.evaluate(*course_rows(400, separable=False))
    assert result["status"] & 4
    assert 0.35 < result["score"] < 0.65
    assert re.search(rf"score is {result['score']:.4f}, but should be at least 0.7", result["info"][0])


def test_few_courses_differ_too_much(backend):
    features, labels = course_rows(40)
    labels[::5] = 1 - labels[::5]
    result = backend.evaluate(features, labels, iterations=5)
    assert result["status"] & 8
    assert re.search(rf"{result['score_deviation']:.4f} but should be at most 0.05", result["info"][-2])


def test_two_samples_of_two_classes(backend):
    features, labels = course_rows(2)
    assert backend.train(features, labels)["status"] == 0
    assert backend.classes(features) == labels.tolist()


@pytest.mark.parametrize("labels", [[0], [1], [0, 0], [1, 1]])
def test_too_few_samples(backend, labels):
    features = course_rows(2)[0][: len(labels)]
    with pytest.raises(NotEnoughDataError, match=rf"no sample of class {1 - labels[0]} among {len(labels)} sample"):
        backend.train(features, labels)
    with pytest.raises(NotEnoughDataError, match=r"class 0|class 1"):
        backend.evaluate(features, labels)
    with pytest.raises(NotTrainedError, match=f"^{NOT_TRAINED}$"):
        backend.predict(features)


def test_one_sample_of_a_class_is_too_little_to_evaluate(backend):
    features, labels = course_rows(10)
    labels[1:] = 0
    labels[0] = 1
    with pytest.raises(NotEnoughDataError, match="There is 1 sample of class 1 among 10"):
        backend.evaluate(features, labels)
    assert backend.train(features, labels)["status"] == 0


@pytest.mark.parametrize(("classes", "courses"), [(3, 5), (10, 5)])
def test_several_classes(backend, classes, courses):
    features, labels = course_rows(classes * courses, classes)
    assert backend.train(features, labels, classes=classes)["status"] == 0
    unseen, answers = course_rows(classes * 4, classes, seed=1)
    predictions = backend.predict(unseen, classes=classes)
    assert [int(label) for _, label, _ in predictions] == answers.tolist()
    assert all(float(score) >= 1 / classes for _, _, score in predictions)
    assert backend.evaluate(features, labels, classes=classes, trained="model")["score"] == 1.0


def test_a_class_without_a_sample(backend):
    features, labels = course_rows(20)
    for call in (backend.train, backend.evaluate):
        with pytest.raises(NotEnoughDataError, match=r"no sample of class 2"):
            call(features, labels, classes=3)


def test_export_then_import_under_another_id_predicts_the_same(trained, tmp_path):
    elsewhere = Backend(tmp_path, "logistic_regression")
    elsewhere.import_model(trained.export(), model="other")
    features, labels = course_rows(30, seed=5)
    assert elsewhere.predict(features, model="other") == trained.predict(features)
    assert elsewhere.evaluate(features, labels, trained="other")["score"] == 1.0
    exported = read_model(trained.export()).specs
    assert not any(array.startswith("memory") for array in exported), "the rows of the site must stay there"


def test_an_import_replaces_what_was_trained(copy, trained):
    features, labels = course_rows(60)
    copy.train(features, 1 - labels, model="opposite")
    copy.import_model(trained.export(), model="opposite")
    assert copy.classes(features, model="opposite") == labels.tolist()


def _all_nan(arrays, one):
    return {**arrays, one: np.full_like(arrays[one], np.nan)}


def _without_the_last_class(settings):
    return {**settings, "classes": settings["classes"][:-1]}


FORGED = {
    "threshold of 400 digits": lambda settings, arrays: ({**settings, "threshold": 10**400}, arrays),
    "threshold below 0": lambda settings, arrays: ({**settings, "threshold": -0.1}, arrays),
    "threshold above 1": lambda settings, arrays: ({**settings, "threshold": 1.5}, arrays),
    "threshold that no score is right for": lambda settings, arrays: ({**settings, "threshold": 0}, arrays),
    "threshold in words": lambda settings, arrays: ({**settings, "threshold": "half"}, arrays),
    "threshold that is no number": lambda settings, arrays: ({**settings, "threshold": "nan"}, arrays),
    "more outputs than classes": lambda settings, arrays: (_without_the_last_class(settings), arrays),
    "fewer outputs than classes": lambda settings, arrays: ({**settings, "classes": ["0", "1", "2"]}, arrays),
    "classes of one name": lambda settings, arrays: ({**settings, "classes": ["0", "0"]}, arrays),
    "fewer columns": lambda settings, arrays: ({**settings, "columns": settings["columns"][:1]}, arrays),
    "endless rows": lambda settings, arrays: ({**settings, "rows": "inf"}, arrays),
    **{
        f"column {column}": lambda settings, arrays, column=column: (
            settings,
            {
                name: np.full_like(array, column) if name.rpartition(".")[2] == "columns" else array
                for name, array in arrays.items()
            },
        )
        for column in (99_999, -99_999)
    },
}


@pytest.mark.parametrize("case", FORGED)
def test_a_model_that_cannot_predict_is_not_imported(copy, tmp_path, case):
    exported = read_model(copy.export())
    settings, arrays = FORGED[case](exported.settings, exported.arrays(*exported.specs))
    write_model(tmp_path / "forged", exported.processor, settings, arrays)
    before = snapshot(copy.classifier())
    with pytest.raises(ModelError, match=rf"^The \S*\s?model in {re.escape(str(tmp_path))}\S+ cannot be used .*\.$"):
        copy.import_model(tmp_path / "forged", model="model")
    assert snapshot(copy.classifier()) == before


def test_weights_that_are_no_numbers_are_not_imported(copy, tmp_path):
    exported = read_model(copy.export())
    arrays = exported.arrays(*exported.specs)
    weights = [name for name, array in arrays.items() if array.dtype.kind == "f" and not name.endswith("values")]
    assert weights
    before = snapshot(copy.classifier())
    for name in weights:
        write_model(tmp_path / "forged", exported.processor, exported.settings, _all_nan(arrays, name))
        with pytest.raises(ModelError, match=r"cannot be used"):
            copy.import_model(tmp_path / "forged", model="model")
    assert snapshot(copy.classifier()) == before


# ---- predictions ----


def test_predictions_are_texts_in_the_order_of_the_file(trained):
    features, labels = course_rows(45, seed=2)
    predictions = trained.predict(features)
    assert [sample_id for sample_id, _, _ in predictions] == [f"{row + 1}-0" for row in range(45)]
    assert [label for _, label, _ in predictions] == list(map(str, labels))
    assert all(isinstance(text, str) for prediction in predictions for text in prediction)
    assert all(0.5 <= float(score) <= 1 for _, _, score in predictions)
    assert json.loads(json.dumps(predictions)) == [list(prediction) for prediction in predictions]


def test_no_prediction_scores_under_one_half_where_classes_overlap(backend):
    data = simulated()
    backend.train(data.features, data.labels)
    predictions = backend.predict(data.features)
    scores = np.array([float(score) for _, _, score in predictions])
    assert scores.min() >= 0.5
    assert scores.max() <= 1
    assert len(set(scores)) > 20
    assert {label for _, label, _ in predictions} == {"0", "1"}


def test_cells_unlike_any_in_training(trained):
    features = course_rows(60)[0]
    width = features.shape[1]
    strange = np.array(
        [
            np.full(width, np.nan),
            np.full(width, 0.005),
            np.full(width, 1e30),
            np.full(width, -3.4e38),
            np.where(np.arange(width) % 2, np.nan, 0.37),
            -features[0],
        ]
    )
    predictions = trained.predict(strange)
    assert all(label in "01" and 0.5 <= float(score) <= 1 for _, label, score in predictions)


def test_probabilities_of_any_cell_add_up_to_one(name):
    data = simulated(classes=3)
    features = data.features.copy()
    features[:, 40] = np.nan
    classifier = get_processor(name).fit(samples_of(features, data.labels, 3), seed=1).classifier
    strange = np.full((4, features.shape[1]), np.nan, np.float32)
    strange[1], strange[2], strange[3] = 0.5, -40, data.features[0]
    strange[3, 40] = 0.25
    chances = classifier.probabilities(strange)
    assert chances.shape == (4, 3)
    assert np.isfinite(chances).all()
    np.testing.assert_allclose(chances.sum(axis=1), 1, atol=1e-6)
    without = strange[3:].copy()
    without[0, 40] = np.nan
    np.testing.assert_allclose(classifier.probabilities(without), chances[3:], rtol=1e-6)


def test_a_model_of_other_columns_or_classes_is_refused(trained):
    features, labels = course_rows(10)
    with pytest.raises(ModelError, match=r"trained on 5 columns but .* has 4"):
        trained.predict(features[:, :4])
    with pytest.raises(ModelError, match=r"column 2 was '.*number_1' and is 'other'"):
        trained.predict(features, columns=["other" if "1" in name else name for name in names(5)])
    for call in (trained.train, lambda *data, **header: trained.evaluate(*data, trained="model", **header)):
        with pytest.raises(ModelError, match=r"trained for the classes 0, 1, but targetclasses of .* are 0, 1, 2"):
            call(features, labels, classes=3)


# ---- evaluation ----


def test_an_evaluation_never_touches_the_stored_model(trained):
    before = snapshot(trained.classifier())
    features, labels = course_rows(30, seed=3)
    runs = [trained.evaluate(features, labels, trained=model, iterations=2)["dir"] for model in (None, "model")]
    assert snapshot(trained.classifier()) == before
    assert not (trained.folder / "evaluation-dir" / "classifier").exists()
    assert len(set(runs)) == 2


def test_an_evaluation_holds_out_a_fifth_of_every_class(name):
    data = simulated()
    samples = samples_of(data.features, data.labels)
    steps = []
    rated = get_processor(name).evaluate(
        samples, iterations=3, seed=5, progress=lambda done, total: steps.append((done, total))
    )
    counts = np.bincount(data.labels)
    for rating, fitted in rated:
        assert np.bincount(rating.labels).tolist() == np.round(counts / 5).tolist()
        assert rating.probabilities.shape == (len(rating.labels), 2)
        assert rating.threshold == fitted.threshold
    assert len({rating.probabilities.tobytes() for rating, _ in rated}) == 3
    shares = [done / total for done, total in steps]
    assert shares == sorted(shares)
    assert shares[-1] == 1


def test_rating_an_untrained_model(backend):
    with pytest.raises(NotTrainedError, match=f"^{NOT_TRAINED}$"):
        backend.evaluate(*course_rows(10), trained="model")


def test_the_score_can_be_f1(tmp_path):
    data = simulated()
    backend = Backend(tmp_path, "logistic_regression", score="f1")
    result = backend.evaluate(data.features, data.labels, iterations=2)
    assert result["score"] == result["f1_score"] != (result["mcc"] + 1) / 2


# ---- the same again ----


@pytest.fixture(scope="module")
def fitted(name):
    """Simulated samples, and a classifier of them."""
    data = simulated()
    samples = samples_of(data.features, data.labels)
    return samples, get_processor(name).fit(samples, seed=4)


def chances(name, samples, features):
    return get_processor(name).fit(samples, seed=4).classifier.probabilities(features)


def test_the_same_seed_gives_the_same_results(tmp_path, name):
    data = simulated()
    results = []
    for number in range(2):
        (tmp_path / str(number)).mkdir()
        backend = Backend(tmp_path / str(number), name)
        backend.train(data.features, data.labels)
        verdict = backend.evaluate(data.features, data.labels, iterations=2)
        results.append((backend.predict(data.features), {**verdict, "dir": "", "runid": 0}))
    assert results[0] == results[1]


def test_the_order_of_rows_does_not_matter(name, fitted):
    samples, first = fitted
    shuffled = samples.take(np.random.default_rng(0).permutation(len(samples)))
    expected = first.classifier.probabilities(samples.coded.decode())
    np.testing.assert_array_equal(chances(name, shuffled, samples.coded.decode()), expected)


def test_a_repeated_row_weighs_as_two(name, fitted):
    samples, _ = fitted
    some = np.arange(0, len(samples), 3)
    twice = samples.take(np.concatenate([np.arange(len(samples)), some]))
    targets = samples.targets.copy()
    targets[some] *= 2
    weighted = TrainingRows(samples.columns, samples.classes, samples.coded, targets)
    features = samples.coded.decode()
    np.testing.assert_array_equal(chances(name, twice, features), chances(name, weighted, features))


def test_constant_and_repeated_columns_change_nothing(name, fitted):
    samples, first = fitted
    features = samples.coded.decode()
    rows = np.ones((len(features), 1), np.float32)
    wider = np.hstack([rows, features, np.nan * rows, features[:, 4:30], rows * 0.37])
    more = samples_of(wider, samples.labels)
    np.testing.assert_array_equal(chances(name, more, wider), first.classifier.probabilities(features))


def test_columns_that_never_vary(backend):
    features = np.tile([1.0, np.nan, -0.25], (12, 1))
    labels = np.arange(12) % 4 == 0
    result = backend.train(features, labels.astype(int))
    assert result["status"] == 0
    assert "None of the 3 indicator columns varies" in result["info"][0]
    assert backend.classes(features) == [0] * 12
    result = backend.evaluate(features, labels.astype(int), iterations=2)
    assert result["status"] == 4
    assert result["score"] == 0.5
    assert "None of the 3 indicator columns varies" in result["info"][0]


def test_cells_that_are_all_empty(backend):
    features, labels = np.full((10, 3), np.nan), np.arange(10) % 2
    for call in (backend.train, backend.evaluate):
        with pytest.raises(NotEnoughDataError, match="All cells of the 10 samples are empty"):
            call(features, labels)


# ---- going on with training ----


def test_training_again_is_as_good_as_training_at_once(backend):
    data, unseen = simulated(), simulated(seed=9)
    half = len(data.labels) // 2
    backend.train(data.features[:half], data.labels[:half])
    backend.train(data.features[half:], data.labels[half:])
    backend.train(data.features, data.labels, model="at-once")
    assert backend.predict(unseen.features) == backend.predict(unseen.features, model="at-once")


def test_new_rows_may_lack_a_class_and_vary_in_other_columns(backend):
    features, labels = course_rows(40)
    features = np.column_stack([features, np.full(40, 0.5), np.full(40, np.nan)])
    assert backend.train(features, labels)["status"] == 0
    new, new_labels = course_rows(20, seed=8)
    new = np.column_stack([new, np.linspace(-1, 1, 20).round(2), np.linspace(0, 0.0123, 20)])[new_labels == 0]
    new[:, 2] = 0.25
    assert backend.train(new, [0] * len(new))["status"] == 0
    assert backend.classes(features) == labels.tolist()
    assert backend.classes(new) == [0] * len(new)
    assert len(backend.classes(np.full((1, 7), np.nan))) == 1


def test_a_header_may_list_the_classes_in_another_order(copy):
    features, labels = course_rows(60)
    path = write_labelled(copy.folder / "reversed", features, labels)
    path.write_text(path.read_text().replace("[0,1]", "[1,0]"))
    train(QuietReporter(), "model", str(copy.outputdir("model")), str(path), settings=copy.settings)
    assert copy.classes(features) == labels.tolist()


def test_an_imported_model_goes_on_without_its_rows(trained, tmp_path):
    backend = Backend(tmp_path, trained.settings.processor)
    backend.import_model(trained.export(), model="model")
    features, labels = course_rows(40, seed=11)
    assert backend.train(features, labels)["status"] == 0
    assert backend.classes(features) == labels.tolist()
    assert backend.train(features[labels == 1], labels[labels == 1])["status"] == 0
    assert backend.classes(features) == labels.tolist()


def test_a_model_goes_on_with_its_own_processor(copy, name):
    other = "naive_bayes" if name == "logistic_regression" else "logistic_regression"
    chosen = Backend(copy.folder, other)
    result = chosen.train(*course_rows(20, seed=3))
    assert result["info"] == [
        f"The model keeps the processor {name}, which trained it; to use {other}, clear the model first."
    ]
    stored = ModelStore(copy.outputdir("model")).current()
    assert stored is not None
    assert stored.processor == name


def test_after_clearing_nothing_is_trained(copy):
    ModelStore(copy.outputdir("model")).clear()
    with pytest.raises(NotTrainedError):
        copy.predict(course_rows(2)[0])
    with pytest.raises(ModelError, match="no trained model"):
        copy.export()


# ---- damage ----


def test_a_damaged_model_is_named_and_never_used(copy):
    features, labels = course_rows(20)
    stored = ModelStore(copy.outputdir("model")).current()
    assert stored is not None
    arrays, manifest = stored.folder / layout.ARRAYS, stored.folder / layout.MANIFEST
    content = manifest.read_bytes()
    damaged = [(manifest, content, content[:-3] + bytes([content[-3] ^ 1]) + content[-2:])]
    whole = arrays.read_bytes()
    for name in [one for one in stored.specs if not one.startswith("memory") and stored.specs[one].nbytes > 8]:
        numbers = stored.array(name).tobytes()
        damaged.append((arrays, whole, whole.replace(numbers, numbers[:-1] + bytes([numbers[-1] ^ 1]))))
    assert len(damaged) > 3
    for path, content, changed in damaged:
        assert changed != content
        path.write_bytes(changed)
        for call in (
            lambda: copy.predict(features),
            lambda: copy.evaluate(features, labels, trained="model"),
            lambda: copy.train(features, labels),
            copy.export,
        ):
            with pytest.raises(ModelError, match=re.escape(str(path))):
                call()
        path.write_bytes(content)
    assert copy.classes(features) == labels.tolist()


def test_damaged_memory_is_named_in_training_and_leaves_predictions_alone(copy):
    features, labels = course_rows(20)
    stored = ModelStore(copy.outputdir("model")).current()
    assert stored is not None
    path = stored.folder / layout.ARRAYS
    codes = stored.array("memory.codes").tobytes()
    path.write_bytes(path.read_bytes().replace(codes, bytes(len(codes))))
    with pytest.raises(ModelError, match=re.escape(str(path))):
        copy.train(features, labels)
    assert copy.classes(features) == labels.tolist()


def test_arrays_that_do_not_fit_each_other(copy, name):
    if name == "naive_bayes":
        pytest.skip("a third party's own affair")
    store = ModelStore(copy.outputdir("model"))
    stored = store.current()
    assert stored is not None
    arrays = stored.arrays(*stored.specs)
    for array in [one for one in arrays if not one.startswith("memory")]:
        damaged = {**arrays, array: arrays[array][None, ..., :1]}
        with store.lock():
            store.publish(name, stored.settings, damaged)
        with pytest.raises(ModelError, match=r"cannot be used"):
            copy.predict(course_rows(2)[0])


@pytest.mark.parametrize("key", ["columns", "classes", "threshold", "classifier"])
def test_settings_that_are_no_model(copy, name, key):
    store = ModelStore(copy.outputdir("model"))
    stored = store.current()
    assert stored is not None
    settings = {other: value for other, value in stored.settings.items() if other != key}
    with store.lock():
        store.publish(name, settings, stored.arrays(*stored.specs))
    with pytest.raises(ModelError, match=f"cannot be used .*{key}.*; clear it and train again"):
        copy.predict(course_rows(2)[0])


# ---- what a model remembers ----


def test_a_full_memory_keeps_the_rows_of_rare_classes(tmp_path, monkeypatch):
    monkeypatch.setattr("moodlemlbackend.processor.memory.MOST_ROWS", 60)
    data = simulated()
    labels = data.labels.copy()
    labels[:3] = 2
    backend = Backend(tmp_path, "logistic_regression")
    backend.train(data.features, labels, classes=3)
    stored = ModelStore(backend.outputdir("model")).current()
    assert stored is not None
    targets = stored.array("memory.targets")
    assert targets.shape == (60, 3)
    np.testing.assert_allclose(targets.sum(axis=0), np.bincount(labels), rtol=1e-5)
    assert (targets[:, 2] >= 1).any()
    assert stored.array("memory.codes").shape[1] == 60
    assert backend.train(data.features[3:], labels[3:], classes=3)["status"] == 0, "class 2 is in the memory"
    again = ModelStore(backend.outputdir("model")).current()
    assert again is not None
    assert again.settings["rows"] == 2 * len(labels) - 3


def test_a_teacher_counts_for_what_it_has_learned_from():
    features, labels = course_rows(20)
    samples = samples_of(features, labels)
    teacher = get_processor("naive_bayes").fit(samples, seed=0).classifier
    for rows, each in ((0, 1.0), (40, 2.0), (10_000, MOST_TEACHING)):
        targets = taught(teacher, ("0", "1"), rows, samples).targets
        np.testing.assert_allclose(targets.sum(axis=1), each, rtol=1e-5)
        np.testing.assert_array_equal(targets.argmax(axis=1), labels)


def test_without_a_seed_the_rows_give_one_and_it_is_logged(tmp_path):
    backend = Backend(tmp_path, "naive_bayes", seed=None)
    logs = [Path(backend.evaluate(*course_rows(20), iterations=1)["dir"]) / "info.log" for _ in range(2)]
    seeds = [re.search(r"seed (\d+)", log.read_text()) for log in logs]
    assert all(seeds)
    assert seeds[0][1] == seeds[1][1]


def test_without_a_seed_the_same_rows_give_the_same_network(tmp_path):
    features, labels = course_rows(20)
    first, second = (Backend(tmp_path / name, "neural_network", seed=None) for name in ("a", "b"))
    for backend in (first, second):
        backend.folder.mkdir()
        backend.train(features, labels)
    assert first.predict(features) == second.predict(features)


def test_logistic_regression_trusts_means_over_a_course_less():
    from moodlemlbackend.model.codes import code
    from moodlemlbackend.processor.logistic_regression import LogisticRegression
    from moodlemlbackend.processor.training_rows import TrainingRows

    labels = np.arange(200) % 2
    values = np.random.default_rng(0).normal(labels, 1).round(1).astype(np.float32)[:, None]

    def weight(column):
        rows = TrainingRows((column,), ("0", "1"), code([values], 1), np.eye(2, dtype=np.float32)[labels])
        contributions = LogisticRegression().fit(rows, seed=0).classifier.contributions(values)
        return np.abs(contributions.of_columns).sum()

    assert 0 < weight("clicks/mean") < weight("clicks")
