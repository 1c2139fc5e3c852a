"""The Python API: resolved when used, the same results as the commands, data sets as frames and back."""

from __future__ import annotations

import builtins
import json
from dataclasses import replace
from functools import partial

import numpy as np
import pandas as pd
import polars as pl
import pytest
from scipy.sparse import csr_matrix

import moodlemlbackend
from fixtures.paths import ROOT, SHARED, needs_shared
from moodlemlbackend import (
    BackendError,
    DataSet,
    evaluate,
    explain,
    explanation_figure,
    fit,
    load_model,
    read_dataset,
    splits,
    write_dataset,
)
from moodlemlbackend.errors import DataSetError, ModelError, NotEnoughDataError, NotTrainedError, UsageError

QUICK = "logistic_regression"


@pytest.fixture(scope="module")
def training(courses) -> DataSet:
    return read_dataset(courses.training)


@pytest.fixture(scope="module")
def prediction(courses) -> DataSet:
    return read_dataset(courses.prediction)


@pytest.fixture(scope="module")
def model(training):
    return fit(training, processor=QUICK, seed=1)


# ---- names ----


def test_every_name_is_there_and_documented():
    for name in moodlemlbackend.__all__:
        assert getattr(moodlemlbackend, name).__doc__, name
    assert set(moodlemlbackend.__all__) <= set(dir(moodlemlbackend))
    described = (ROOT / "docs" / "researchers.md").read_text("utf-8")
    for name in moodlemlbackend.__all__:
        assert f"`{name}`" in described, name
    with pytest.raises(AttributeError, match="has no attribute 'nonsense'"):
        _ = moodlemlbackend.nonsense


def test_what_type_checkers_see_is_what_there_is():
    seen = (ROOT / "moodlemlbackend" / "__init__.py").read_text("utf-8").partition("\n__all__ = ")[0]
    for name in moodlemlbackend.__all__:
        home = getattr(moodlemlbackend, name).__module__
        assert name in seen
        assert home.startswith("moodlemlbackend.")


def test_the_package_alone_imports_nothing(python):
    script = "import sys; before = {*sys.modules}; import moodlemlbackend; print(*({*sys.modules} - before))"
    assert python("-c", script).stdout.split() == ["moodlemlbackend"]


@pytest.mark.parametrize(
    ("name", "never"),
    [
        ("read_dataset", {"tensorflow", "sklearn", "polars", "pandas", "matplotlib"}),
        ("fit", {"tensorflow", "sklearn", "polars", "pandas", "matplotlib"}),
        ("MoodleClassifier", {"tensorflow", "polars", "matplotlib"}),
        ("BackendError", {"numpy"}),
    ],
)
def test_a_name_loads_no_more_than_it_needs(python, name, never):
    script = f"import sys; from moodlemlbackend import {name}; print(*sys.modules)"
    assert not set(python("-c", script).stdout.split()) & never


# ---- data sets ----


def test_a_file_and_its_frames_say_the_same(courses, training, prediction, tmp_path):
    for data, path in ((training, courses.training), (prediction, courses.prediction)):
        for frame in (data.to_polars(), data.to_pandas()):
            assert len(frame) == len(data.features)
            again = DataSet.from_frame(frame, data.header.metadata)
            assert again.header.metadata == data.header.metadata
            write_dataset(tmp_path / "again.csv", again)
            assert (tmp_path / "again.csv").read_bytes() == path.read_bytes()


def test_empty_cells_are_null_or_nan_and_metadata_is_kept(training):
    empty = np.isnan(training.features).sum()
    assert empty
    polars, pandas = training.to_polars(), training.to_pandas()
    assert sum(polars.null_count().row(0)) == empty
    assert pandas.isna().to_numpy().sum() == empty
    assert pandas.attrs == training.header.metadata
    assert polars.schema[training.header.columns[0]] == pl.Float32
    assert polars[training.header.target].to_list() == training.labels.tolist()


def test_a_frame_with_a_column_of_ones_own(training):
    name = r"\local_own\analytics\indicator\number"
    frame = training.to_polars().with_columns(pl.lit(None, pl.Float64).alias(name))
    made = DataSet.from_frame(frame, training.header.metadata)
    assert made.header.columns == (*training.header.columns, name)
    assert made.header.metadata["nfeatures"] == str(len(training.header.columns) + 1)
    assert np.isnan(made.features[:, -1]).all()
    np.testing.assert_array_equal(made.labels, training.labels)


def test_classes_may_be_texts():
    frame = pd.DataFrame({"a": [1.0, 0.5], "end": ["passed", "failed"]})
    made = DataSet.from_frame(frame, {"targetcolumn": "end"})
    assert made.header.classes == ("failed", "passed")
    assert made.labels.tolist() == [1, 0]
    assert made.to_pandas()["end"].tolist() == ["passed", "failed"]
    assert json.loads(made.header.metadata["targetclasses"]) == ["failed", "passed"]


def test_class_1_is_the_second_in_whichever_order_they_are_listed():
    frame = pd.DataFrame({"a": [1.0, 0.5, 0.0], "end": [1, 0, 2]})
    made = DataSet.from_frame(frame, {"targetcolumn": "end", "targetclasses": "[1,2,0]"})
    assert made.header.classes == ("2", "1", "0")
    assert made.header.metadata["targetclasses"] == "[1,2,0]"
    assert made.to_pandas()["end"].tolist() == [1, 0, 2]
    assert DataSet.from_frame(frame.iloc[:1], {"targetcolumn": "end"}).header.classes == ("1",)


@pytest.mark.parametrize(
    ("columns", "metadata", "sentence"),
    [
        ({"a": [1.0]}, {}, "must have either the column 'sampleid' or the class column"),
        ({"sampleid": ["1"], "a": [1.0], "t": [1]}, {"targetcolumn": "t"}, "it has both"),
        ({"a": ["much"], "t": [1]}, {"targetcolumn": "t"}, "The column 'a' of the frame has a value that is not"),
        ({"a": [np.inf], "t": [1]}, {"targetcolumn": "t"}, "The column 'a' of the frame has a value that is not"),
        (
            {"a": [1.0], "t": [2]},
            {"targetcolumn": "t", "targetclasses": "[0,1]"},
            "The class '2' of the frame is not among the targetclasses in the metadata (0, 1).",
        ),
        ({"t": [1]}, {"targetcolumn": "t"}, "has no column of features"),
        ({"a": [], "t": []}, {"targetcolumn": "t"}, "has no row"),
        ({"a": [1, 0], "t": [1, None]}, {"targetcolumn": "t"}, "Row 2 of the frame has nothing in the column 't'"),
        ({"a": [1, 0], "t": [1.0, np.nan]}, {"targetcolumn": "t"}, "Row 2 of the frame has nothing in the column 't'"),
        ({"a": [1, 0], "t": [None, "x"]}, {"targetcolumn": "t"}, "Row 1 of the frame has nothing in the column 't'"),
        ({"a": [1, 0], "sampleid": ["x", None]}, {}, "Row 2 of the frame has nothing in the column 'sampleid'"),
        ({"a": [1, 0], "sampleid": ["x", ""]}, {}, "Row 2 of the frame has nothing in the column 'sampleid'"),
        ({"a": [1, 0, 1], "sampleid": ["x", "y", "x"]}, {}, "Rows 1 and 3 of the frame have the same sample id"),
    ],
)
@pytest.mark.parametrize("library", [pl, pd])
def test_a_frame_that_is_no_data_set_is_refused(library, columns, metadata, sentence):
    with pytest.raises(DataSetError) as refused:
        DataSet.from_frame(library.DataFrame(columns), metadata)
    assert sentence in str(refused.value)


@pytest.mark.parametrize(
    ("frame", "sentence"),
    [
        (pd.DataFrame([[0.1, 0.2, 1]], columns=["a", "a", "t"]), "Two columns of the frame are named 'a'"),
        (pd.DataFrame({"a": [1, 0], "t": ["x", 1]}), "The column 't' of the frame mixes text and numbers"),
        (pd.DataFrame({"a": [1, 0], "t": pd.array([1, None], "Int64")}), "Row 2 of the frame has nothing"),
        (pl.LazyFrame({"a": [1.0], "t": [1]}), "the frame is a LazyFrame; give a DataFrame"),
        (np.zeros((2, 2)), "the frame is a ndarray; give a DataFrame"),
    ],
)
def test_what_only_one_library_has_is_refused(frame, sentence):
    with pytest.raises(DataSetError) as refused:
        DataSet.from_frame(frame, {"targetcolumn": "t"})
    assert sentence in str(refused.value)


def test_columns_of_one_name_are_no_frame(tmp_path):
    path = tmp_path / "twice.csv"
    path.write_text("nfeatures\n2\nsampleid,a,a\n1-0,1,0\n")
    with pytest.raises(DataSetError, match=r"Two columns of .* are named 'a'"):
        read_dataset(path).to_polars()


def test_a_library_that_is_missing_is_named(training, monkeypatch):
    original = builtins.__import__

    def without(name, *arguments, **keywords):
        if name in ("polars", "pandas"):
            raise ImportError(name)
        return original(name, *arguments, **keywords)

    monkeypatch.setattr(builtins, "__import__", without)
    for method in (training.to_polars, training.to_pandas):
        with pytest.raises(UsageError, match="pip install p"):
            method()


# ---- models ----


def test_fit_and_predict_are_the_commands(command, courses, model, prediction, tmp_path):
    command("train", "m", tmp_path, courses.training, "--processor", QUICK, "--seed", "1")
    printed = json.loads(command("predict", "m", tmp_path, courses.prediction).stdout)["predictions"]
    loaded = load_model(tmp_path)
    for one in (model, loaded):
        assert [model.classes[label] for label in one.predict(prediction)] == [label for _, label, _ in printed]
        np.testing.assert_allclose(
            one.decision_scores(prediction), [float(score) for _, _, score in printed], rtol=1e-6
        )
    assert (loaded.columns, loaded.classes, loaded.threshold) == (model.columns, model.classes, model.threshold)
    assert loaded.processor == QUICK


def test_a_saved_model_predicts_the_same_and_goes_on_learning(command, courses, model, prediction, tmp_path):
    model.save(tmp_path)
    np.testing.assert_array_equal(load_model(tmp_path).predict_proba(prediction), model.predict_proba(prediction))
    assert command("train", "m", tmp_path, courses.evaluation, "--seed", "1").returncode == 0
    again = load_model(tmp_path)
    assert again.trained.rows > model.trained.rows
    assert not np.array_equal(again.predict_proba(prediction), model.predict_proba(prediction))


def test_arrays_are_predicted_like_data_sets(model, prediction):
    np.testing.assert_array_equal(model.predict_proba(prediction.features), model.predict_proba(prediction))
    with pytest.raises(UsageError, match=r"shape \(3, 2\), but the model needs rows with 98 columns"):
        model.predict(np.zeros((3, 2)))
    with pytest.raises(UsageError, match=r"shape \(98,\)"):
        model.predict(np.zeros(98))


@pytest.mark.parametrize("library", [pl, pd])
def test_a_frame_is_predicted_only_with_the_columns_of_the_model(model, prediction, library):
    frame = library.DataFrame({name: prediction.features[:, i] for i, name in enumerate(model.columns)})
    np.testing.assert_array_equal(model.predict_proba(frame), model.predict_proba(prediction))
    for use in (model.predict_proba, model.predict, lambda data: explain(model, data, rows=[0])):
        with pytest.raises(ModelError, match="differ from those of the frame: column 1 was"):
            use(frame[[*model.columns[::-1]]])


@pytest.mark.parametrize("data", [np.full((1, 98), "much"), csr_matrix((2, 98)), pl.LazyFrame()])
def test_features_that_are_no_numbers_are_refused(model, data):
    with pytest.raises(UsageError, match="The features "):
        model.predict_proba(data)


def test_an_evaluation_is_the_commands(command, courses, training, tmp_path):
    arguments = ("--processor", QUICK, "--seed", "3", "--iterations", "2", "--accepted-deviation", "1")
    printed = json.loads(command("evaluate", "m", tmp_path, courses.training, *arguments).stdout)
    steps = []
    found = evaluate(
        training, processor=QUICK, seed=3, iterations=2, progress=lambda done, total: steps.append((done, total))
    )
    for name, value in found.mean.items():
        assert printed[name] == pytest.approx(value)
    assert found.deviation["auc"] == pytest.approx(printed["auc_deviation"])
    assert found.score == pytest.approx(printed["score"])
    assert [len(values) for values in found.figures.values()] == [2] * 7
    assert steps[-1] == (3, 3), "two by course, and one by row beside them"
    assert found.split == printed["split"] == "course"
    for name, values in found.seen.items():
        assert printed["seen"][name] == pytest.approx(values.mean())
    assert set(found.seen) == set(found.figures)
    training_rows, held_out = found.splits[0]
    assert len(training_rows) + len(held_out) == len(training.features)
    assert len(found.ratings[0].labels) == len(held_out)


def test_probabilities_have_a_range_where_the_courses_are_known(training):
    courses = np.arange(len(training.features)) % 7
    model = fit(training, processor="logistic_regression", groups=courses)
    low, high = model.predict_range(training).T
    chances = model.predict_proba(training)[:, 1]
    assert (low < chances).all()
    assert (chances < high).all()
    [one] = explain(model, training, rows=[3])
    assert one.probability_range == pytest.approx((low[3], high[3]))
    words = f"({100 * low[3]:.0f}% to {100 * high[3]:.0f}% in 8 of 10 courses); it is predicted from"
    assert words in str(one)
    few = fit(training, processor="logistic_regression", groups=courses % 4)
    assert few.predict_range(training) is None
    [one] = explain(few, training, rows=[3])
    assert one.probability_range is None
    assert "8 of 10" not in str(one)


def test_a_trained_model_is_rated_on_all_rows(model, training):
    found = evaluate(training, model=model)
    assert (found.splits, found.split, found.seen) == ([], "", {})
    predicted = model.predict(training)
    assert found.mean["accuracy"] == pytest.approx((predicted == training.labels).mean())
    assert found.deviation["accuracy"] == 0


def test_explanations_of_some_rows(model, prediction):
    every = explain(model, prediction)
    some = explain(model, prediction, rows=[4, 2])
    assert len(every) == len(prediction.features)
    assert [one.sample for one in some] == [prediction.sample_ids[4], prediction.sample_ids[2]]
    for one, same in zip((some[0], some[-1], *every[2:5:2]), (every[4], every[2], some[1], some[0]), strict=True):
        assert (one.probability, one.score) == pytest.approx((same.probability, same.score), rel=1e-12)
        assert replace(one, probability=same.probability, score=same.score) == same
    assert explain(model, prediction.features[4:5])[0].reasons == some[0].reasons
    chosen = np.isin(np.arange(len(every)), [2, 4])
    assert explain(model, prediction, rows=chosen).samples == (some[1].sample, some[0].sample)
    for wrong in ([0.7], [len(every)], chosen[1:], ["2"], [[1]], 1):
        with pytest.raises(UsageError, match="must be positions from 0 to"):
            explain(model, prediction, rows=wrong)
    for none in ([], ~chosen & chosen):
        with pytest.raises(UsageError, match="No row is chosen"):
            explain(model, prediction, rows=none)
    with pytest.raises(UsageError, match="No row is chosen"):
        explain(model, prediction.features[:0])
    figure = explanation_figure(some[0], top=3)
    assert len(figure.axes[0].get_yticks()) == 4
    with pytest.raises(IndexError):
        every[len(every)]


def test_what_cannot_be_done_is_said(model, training, prediction, tmp_path):
    with pytest.raises(NotTrainedError, match=f"There is no trained model in {tmp_path}"):
        load_model(tmp_path)
    with pytest.raises(UsageError, match=r"has no labels; give a data set with the class"):
        fit(prediction)
    with pytest.raises(UsageError, match=r"The data is a ndarray; give a data set"):
        fit(prediction.features)
    for none in ("magic", None):
        with pytest.raises(UsageError, match=f"There is no processor '{none}'"):
            fit(training, processor=none)
    with pytest.raises(NotEnoughDataError, match="no sample of class 1"):
        fit(DataSet(training.header, training.features, np.zeros_like(training.labels), None))
    fewer = DataSet.from_frame(prediction.to_polars().drop(prediction.header.columns[0]), prediction.header.metadata)
    for use in (model.predict_proba, lambda data: explain(model, data)):
        with pytest.raises(ModelError, match="trained on 98 columns but the frame has 97"):
            use(fewer)
    assert issubclass(ModelError, BackendError)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"split": "courses"}, "There is no kind of split 'courses'; did you mean course?"),
        ({"split": "tiem"}, "There is no kind of split 'tiem'; did you mean time?"),
        ({"split": None}, "There is no kind of split 'None'; choose one of course, row, time."),
        ({"iterations": 0}, "iterations is 0; it must be a whole number of 1 or more."),
        ({"iterations": -1}, "iterations is -1; it must be"),
        ({"seed": -1}, "seed is -1; it must be a whole number of 0 or more."),
        ({"seed": None}, "seed is None; it must be"),
        ({"groups": [None]}, "The groups cannot be told apart"),
        ({"times": ["2026-01-01"]}, "The times are not numbers"),
    ],
)
def test_options_that_mean_nothing_are_refused(training, options, sentence):
    repeated = {
        name: value * len(training.labels) if isinstance(value, list) else value for name, value in options.items()
    }
    for use in (splits, partial(evaluate, processor=QUICK)):
        with pytest.raises(UsageError) as refused:
            use(training, **repeated)
        assert sentence in str(refused.value)
    if not {"seed", "groups"}.isdisjoint(options):
        with pytest.raises(UsageError):
            fit(training, processor=QUICK, **repeated)


@needs_shared
def test_a_model_of_the_reference_package_is_loaded():
    found = load_model(SHARED / "data" / "reference-model")
    assert found.columns is None
    data = read_dataset(SHARED / "data" / "split-evaluation-predict.csv.gz")
    expected = json.loads((SHARED / "data" / "reference-model" / "predictions.json").read_text())["predictions"]
    assert [found.classes[label] for label in found.predict(data)] == [str(label) for _, label, *_ in expected]
