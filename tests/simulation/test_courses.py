"""The simulator's data sets have Moodle's shape and rules, and can be learned from, but not perfectly."""

from __future__ import annotations

import csv
import gzip
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from fixtures.paths import SHARED, needs_shared
from moodlemlbackend import metrics
from moodlemlbackend.dataset import data_set
from moodlemlbackend.errors import StorageError, UsageError
from moodlemlbackend.simulation import courses
from moodlemlbackend.simulation.courses import SimulatedDataSet, simulate, write_demo

MOODLE_DATA_SET = SHARED / "oracle" / "datasets" / "evaluation" / "course_dropout--quarters.csv.gz"


@pytest.fixture(scope="module")
def data() -> SimulatedDataSet:
    return simulate()


def column(data: SimulatedDataSet, name: str) -> np.ndarray:
    """The one column whose name ends so."""
    (index,) = (index for index, candidate in enumerate(data.columns) if candidate.endswith(name))
    return data.features[:, index]


@needs_shared
def test_header_rows_are_those_of_moodle(tmp_path: Path) -> None:
    training = write_demo(tmp_path, courses=2, students=3).training
    with gzip.open(MOODLE_DATA_SET, "rt", encoding="utf-8") as moodle, training.open(encoding="utf-8") as ours:
        assert [next(ours) for _ in range(3)] == [next(moodle) for _ in range(3)]


def test_shape_is_that_of_moodles_dropout_model(data: SimulatedDataSet) -> None:
    linear = [name.removesuffix("/mean") for name in data.columns if name.endswith("/mean")]
    ranges = [name for name in data.columns if name.startswith("range/")]
    assert (len(data.columns), len(ranges), len(linear)) == (98, 4, 45)
    assert set(linear) < set(data.columns)
    assert data.metadata["nfeatures"] == "98"
    assert data.metadata["targetclasses"] == "[0,1]"
    assert data.metadata["targetcolumn"] == data.target
    assert data.features.shape == (len(data.labels), 98)
    assert data.features.dtype == np.float64
    assert len(data.sample_ids) == len(set(data.sample_ids)) == len(data.labels)
    assert 30 * 25 < len(data.labels) / 4 < 30 * 55


def test_cells_are_like_moodles(data: SimulatedDataSet) -> None:
    features = data.features
    filled = features[~np.isnan(features)]
    np.testing.assert_array_equal(filled, filled.round(2))
    assert filled.min() == -1
    assert filled.max() == 1
    assert not np.signbit(filled[filled == 0]).any()
    for name in ("any_access_after_end", "any_access_before_start", "any_write_action_in_course", "completion_enabled"):
        assert set(column(data, name)) == {-1, 1}
    assert set(column(data, "read_actions")) == {-1, -0.33, 0.33, 1}
    ids = [sample_id.split("-") for sample_id in data.sample_ids]
    np.testing.assert_array_equal(features[:, :4].argmax(axis=1), [int(quarter) for _, quarter in ids])
    assert (features[:, :4].sum(axis=1) == 1).all()


def test_some_columns_say_nothing_and_some_rows_repeat(data: SimulatedDataSet) -> None:
    shown = np.nan_to_num(data.features, nan=9)
    assert 0 < (shown == shown[0]).all(axis=0).sum() < 30
    assert len(np.unique(shown, axis=1).T) < 90
    assert len(np.unique(shown, axis=0)) < 0.8 * len(shown)
    assert 0.4 < np.isnan(data.features).mean() < 0.8


def test_activity_types_without_activities_are_empty(data: SimulatedDataSet) -> None:
    for kind in courses.ACTIVITY_TYPES:
        names = [f"mod_{kind.name}\\analytics\\indicator\\{depth}" for depth in ("cognitive_depth", "social_breadth")]
        empty = [np.isnan(column(data, name + suffix)) for name in names for suffix in ("", "/mean")]
        assert all((other == empty[0]).all() for other in empty), kind.name
    labels = column(data, r"mod_label\analytics\indicator\cognitive_depth")
    assert set(labels[~np.isnan(labels)]) == {-1}  # a label cannot be opened


def test_means_are_of_the_course_and_the_quarter() -> None:
    data = simulate(courses=1, students=80, seed=3)
    for quarter in range(4):
        rows = data.features[data.features[:, quarter] == 1]
        for index, name in enumerate(data.columns):
            if name.endswith("/mean"):
                means, values = rows[:, index], rows[:, index - 1]
                np.testing.assert_array_equal(means, np.full(len(rows), means[0]))
                np.testing.assert_allclose(means[0], values.mean(), atol=0.0101)


def test_an_empty_value_counts_as_zero_in_a_mean() -> None:
    values = np.full((4, 49), np.nan)
    values[:3, 3] = -1, np.nan, 0.33
    cells = courses._columns(values, first=np.array([0, 3]), size=np.array([3, 1]))
    np.testing.assert_array_equal(cells[:, 3], [-1, np.nan, 0.33, np.nan])
    np.testing.assert_array_equal(cells[:, 4], [-0.22, -0.22, -0.22, np.nan])
    assert cells.shape == (4, 94)


def test_halves_are_rounded_away_from_zero() -> None:
    rounded = courses._two_decimals(np.array([0.125, -0.125, 1.005, -0.004, 0.3333, np.nan]))
    np.testing.assert_array_equal(rounded, [0.13, -0.13, 1.01, 0, 0.33, np.nan])
    assert not np.signbit(rounded[3])


@pytest.mark.parametrize(
    ("kind", "number", "answered", "opened", "contributed", "opened_answered", "cognitive", "social"),
    [
        ("assign", 2, 0, 1, 1, 0, -0.6, -0.5),  # one of two is handed in and never graded
        ("assign", 2, 2, 0, 0, 2, 1.0, 1.0),  # both handed in again after feedback
        ("choice", 1, 0, 1, 1, 0, 1 / 3, 0.0),
        ("book", 4, 0, 1, 0, 0, -0.5, -0.5),
        ("page", 0, 0, 0, 0, 0, np.nan, np.nan),
    ],
)
def test_depth_and_breadth_follow_from_what_was_done(
    kind: str,
    number: int,
    answered: int,
    opened: int,
    contributed: int,
    opened_answered: int,
    cognitive: float,
    social: float,
) -> None:
    types = [each.name for each in courses.ACTIVITY_TYPES]
    course = courses._draw_courses(np.ones(1, dtype=bool), np.random.default_rng(0))
    one, nothing = np.zeros((1, len(types)), dtype=int), np.zeros((1, len(types)), dtype=int)
    one[0, types.index(kind)] = 1
    course = replace(
        course,
        activities=np.repeat((number * one)[:, :, None], 4, axis=2),
        answered=np.repeat((answered * one)[:, :, None], 4, axis=2),
        feedback_level=5 * one,
    )
    work = courses._Work(opened * one, contributed * one, opened_answered * one, nothing)
    depths = courses._community_of_inquiry(course, np.zeros(1, dtype=int), work, quarter=2)
    index = 2 * types.index(kind)
    np.testing.assert_allclose(depths[0, index : index + 2], [cognitive, social])
    assert np.isnan(np.delete(depths[0], [index, index + 1])).all()


def test_without_completion_who_dropped_out_left_no_trace_in_the_last_quarter(data: SimulatedDataSet) -> None:
    last = (data.features[:, 3] == 1) & (column(data, "completion_enabled") == -1)
    gone = last & (data.labels == 1)
    traces = ["any_access_after_end", "any_write_action_in_course", r"indicator\read_actions"]
    traces += [rf"mod_{kind.name}\analytics\indicator\cognitive_depth" for kind in courses.ACTIVITY_TYPES]
    values = np.column_stack([column(data, name) for name in traces])
    assert gone.sum() > 50
    assert set(np.unique(values[gone][~np.isnan(values[gone])])) == {-1}
    assert (values[last & (data.labels == 0)] > -1).any(axis=1).mean() > 0.95


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_classes_are_imbalanced(seed: int) -> None:
    two, three = (simulate(seed=seed, classes=classes) for classes in (2, 3))
    assert 0.1 < two.labels.mean() < 0.22
    assert three.metadata["targetclasses"] == "[0,1,2]"
    completes, behind, gone = np.bincount(three.labels) / len(three.labels)
    assert completes > 0.7
    assert 0.02 < behind < gone < 0.22
    np.testing.assert_array_equal(two.features, three.features)


def test_students_at_risk_can_be_learned_but_not_perfectly(data: SimulatedDataSet) -> None:
    from sklearn.ensemble import HistGradientBoostingClassifier

    features = data.features[:, ~np.isnan(data.features).all(axis=0)]
    shuffled = np.random.default_rng(0).permutation(len(features))
    held_out, rest = shuffled[: len(features) // 5], shuffled[len(features) // 5 :]
    model = HistGradientBoostingClassifier(max_iter=40, random_state=0).fit(features[rest], data.labels[rest])
    scores, labels = model.predict_proba(features[held_out])[:, 1], data.labels[held_out]
    assert 0.85 < metrics.roc_auc(scores, labels) < 0.97
    assert 0.45 < metrics.matthews_correlation(scores >= 0.5, labels) < 0.75


def test_the_same_seed_writes_the_same_bytes(tmp_path: Path) -> None:
    first, again, other = (
        write_demo(tmp_path / name, courses=3, students=5, seed=seed) for name, seed in (("a", 1), ("b", 1), ("c", 2))
    )
    for file in ("training", "evaluation", "prediction", "answers"):
        written = getattr(first, file).read_bytes()
        assert getattr(again, file).read_bytes() == written
        assert getattr(other, file).read_bytes() != written
        assert getattr(first, file).name == f"{file}.csv"
    np.testing.assert_array_equal(simulate(2, 3, seed=7).features, simulate(2, 3, seed=7).features)


def test_demo_files_read_back(tmp_path: Path) -> None:
    files = write_demo(tmp_path / "made" / "here", courses=12, students=10, seed=4)
    labelled = [data_set.read_labelled(path) for path in (files.training, files.evaluation)]
    for data in labelled:
        assert data.features.shape[1] == 98
        assert data.header.columns == courses.COLUMNS
        assert data.labels is not None
        assert 0 < data.labels.mean() < 0.4
    assert not np.array_equal(labelled[0].features, labelled[1].features)

    ongoing = data_set.read_unlabelled(files.prediction)
    assert ongoing.sample_ids is not None
    answers = dict(list(csv.reader(files.answers.read_text(encoding="utf-8").splitlines()))[1:])
    assert list(answers) == list(ongoing.sample_ids)
    assert set(answers.values()) == {"0", "1"}
    assert len(ongoing.features) > 3 * 4
    quarters = ongoing.features[:, :4]
    assert (quarters.sum(axis=1) == 1).all()
    assert not quarters[:, 3].any()
    assert (ongoing.features[:, 4] == -1).all()  # no access after the end of a course that goes on
    assert len({sample_id.split("-")[0] for sample_id in ongoing.sample_ids}) == len(ongoing.features)


def test_the_smallest_site_is_one_course(tmp_path: Path) -> None:
    data = simulate(1, 1)
    assert len(data.labels) >= 4
    files = write_demo(tmp_path, courses=1, students=1)
    assert all(path.stat().st_size for path in vars(files).values())


def test_what_cannot_be_simulated_or_written_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="at least one course"):
        simulate(0)
    with pytest.raises(UsageError, match="at least one course"):
        write_demo(tmp_path, courses=3, students=0)
    with pytest.raises(ValueError, match="2 or 3"):
        simulate(classes=4)
    (tmp_path / "file").touch()
    with pytest.raises(StorageError, match="choose another directory"):
        write_demo(tmp_path / "file")


def test_hundreds_of_courses_take_a_moment() -> None:
    begin = time.process_time()
    data = simulate(400, 40)
    assert time.process_time() - begin < 3  # 0.5 s on a quiet machine
    assert len(data.labels) > 400 * 30 * 4
