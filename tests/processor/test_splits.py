"""How an evaluation parts its rows: by course, by row, by time."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from fixtures.backend import samples_of
from moodlemlbackend import evaluate as evaluate_data
from moodlemlbackend import splits as splits_of_data
from moodlemlbackend.dataset.courses import known_courses
from moodlemlbackend.errors import NotEnoughDataError
from moodlemlbackend.metrics import Rating
from moodlemlbackend.operations.evaluate import split_in_words
from moodlemlbackend.processor import get_processor
from moodlemlbackend.processor.evaluation import verdict
from moodlemlbackend.processor.splits import (
    COURSE,
    FOLDS,
    ROW,
    TIME,
    CannotSplitError,
    course_splits,
    draw_splits,
    smaller_splits,
    time_splits,
)

COURSES = 11


@pytest.fixture(scope="module")
def samples():
    """Rows of eleven courses of other sizes and other shares of the classes."""
    rng = np.random.default_rng(3)
    sizes = rng.integers(10, 60, COURSES)
    groups = np.repeat(np.arange(COURSES), sizes)
    labels = (rng.random(len(groups)) < 0.15 + 0.4 * (groups % 3 == 0)).astype(np.int64)
    features = np.round(rng.normal(labels[:, None], 1, (len(groups), 6)).clip(-1, 1), 2).astype(np.float32)
    return replace(samples_of(features, labels), courses=known_courses(groups), times=groups * 100.0)


def test_whole_courses_are_held_out_all_equally_often(samples):
    drawn = course_splits(samples, 10, seed=1)
    groups = samples.courses.groups
    times, differences = np.zeros(COURSES), []
    for split in drawn:
        assert not set(groups[split.training]) & set(groups[split.held_out])
        assert len(split.training) + len(split.held_out) == len(samples)
        assert 0.1 < len(split.held_out) / len(samples) < 0.32
        shares = [samples.labels[rows].mean() for rows in (split.training, split.held_out)]
        differences.append(abs(shares[0] - shares[1]))
        times[np.unique(groups[split.held_out])] += 1
    assert set(times) == {10 / FOLDS}
    assert np.mean(differences) < 0.12, "the classes' shares are as equal as whole courses allow"


def test_other_seeds_hold_out_other_courses(samples):
    first, second = (course_splits(samples, 5, seed) for seed in (1, 2))
    assert any(set(one.held_out) != set(other.held_out) for one, other in zip(first, second, strict=True))


def test_by_time_no_model_sees_a_course_that_began_later(samples):
    drawn = time_splits(samples)
    assert len(drawn) > 1
    rated = [set(samples.courses.groups[split.held_out]) for split in drawn]
    for split in drawn:
        assert samples.times[split.training].max() < samples.times[split.held_out].min()
    assert sum(map(len, rated)) == len(set().union(*rated)), "no course is rated twice"


def test_a_course_began_when_any_of_its_rows_says(samples):
    some = np.where(np.arange(len(samples)) % 3 == 0, samples.times, np.nan)
    for one, other in zip(time_splits(replace(samples, times=some)), time_splits(samples), strict=True):
        np.testing.assert_array_equal(one.training, other.training)
        np.testing.assert_array_equal(one.held_out, other.held_out)
    with pytest.raises(CannotSplitError, match="times of the rows are unknown"):
        time_splits(replace(samples, times=np.full(len(samples), np.nan)))


def test_what_cannot_be_split_by_course_says_why(samples):
    few = replace(samples, courses=known_courses(samples.courses.groups % 3))
    with pytest.raises(CannotSplitError, match="3 courses, and 5 are needed"):
        course_splits(few, 10, seed=1)
    with pytest.raises(CannotSplitError, match="times of the rows are unknown"):
        draw_splits(replace(samples, times=None), TIME, 10, 1)
    lone = np.zeros((len(samples), 2), np.float32)
    lone[:, 0] = 1
    lone[samples.courses.groups == 4] = [0, 1]
    with pytest.raises(CannotSplitError, match="class 1 occurs in only 1 of 11 courses"):
        course_splits(replace(samples, targets=lone), 10, seed=1)


def test_a_learning_curve_goes_over_courses(samples):
    drawn = course_splits(samples, 5, seed=1)
    parts = smaller_splits(samples, COURSE, drawn, seed=1)
    assert parts
    for number, rows in parts:
        inside = set(samples.courses.groups[rows])
        assert inside < set(samples.courses.groups[drawn[number].training])
        assert np.isin(samples.courses.groups, list(inside)).sum() == len(rows), "courses are whole"


def test_an_evaluation_rates_new_courses_and_seen_ones(samples):
    rated = get_processor("logistic_regression").evaluate(samples, iterations=6, seed=1)
    assert (rated.kind, rated.reason, len(rated.rated), len(rated.seen)) == (COURSE, "", 6, 3)
    result, _ = verdict(
        [rating for rating, _ in rated], minimum_score=0.7, accepted_deviation=0.05, score="mcc", seen=rated.seen
    )
    words = split_in_words(rated, samples, result)
    assert words.startswith("Whole courses were held out from a total of 11 courses: the score in new courses is 0.")


def test_courses_that_a_split_by_time_leaves_out_are_counted(samples):
    times = np.where(samples.courses.groups < 2, np.nan, samples.times)
    for given, end in ((times, "Courses left out because their time is unknown: 2."), (samples.times, "")):
        timed = replace(samples, times=given)
        rated = get_processor("logistic_regression").evaluate(timed, iterations=1, seed=1, split=TIME)
        result, _ = verdict(
            [rating for rating, _ in rated], minimum_score=0.7, accepted_deviation=1, score="mcc", seen=rated.seen
        )
        words = split_in_words(rated, timed, result)
        assert words.endswith(end)
        assert ("left out" in words) == bool(end)


def test_rows_are_dealt_where_courses_are_not_known(samples):
    unknown = replace(samples, courses=replace(samples.courses, groups=None, reason="they are secret"))
    rated = get_processor("logistic_regression").evaluate(unknown, iterations=2, seed=1)
    assert (rated.kind, rated.reason, rated.seen) == (ROW, "they are secret", [])
    assert "because they are secret" in split_in_words(rated, unknown, {})
    asked = get_processor("logistic_regression").evaluate(samples, iterations=2, seed=1, split=ROW)
    assert (asked.kind, asked.seen) == (ROW, [])


def test_the_splitting_alone_never_makes_it_too_little_data():
    def rating(right: float) -> Rating:
        labels = np.tile([0, 1], 500)
        wrong = np.arange(1000) >= right * 1000
        chances = np.where(wrong, 1 - labels, labels) * 0.8 + 0.1
        return Rating(labels, np.stack([1 - chances, chances], axis=1), 0.5)

    differing, alike = [rating(right) for right in (0.75, 0.95)], [rating(right) for right in (0.9, 0.91)]
    limits = {"minimum_score": 0.7, "accepted_deviation": 0.05, "score": "mcc"}
    assert verdict(differing, **limits)[0]["status"] == 8
    assert verdict(differing, **limits, seen=alike)[0]["status"] == 0
    assert verdict(differing, **limits, seen=differing)[0]["status"] == 8


def test_the_python_api_takes_groups_and_times_as_scikit_learn_does(courses):
    from moodlemlbackend import read_dataset

    data = read_dataset(courses.training)
    groups = np.arange(len(data.labels)) // 17
    for training, held_out in splits_of_data(data, iterations=5, groups=groups):
        assert not set(groups[training]) & set(groups[held_out])
    by_time = evaluate_data(data, processor="logistic_regression", split="time", groups=groups, times=groups * 1.0)
    assert 1 < len(by_time.ratings) <= 4
    with pytest.raises(NotEnoughDataError, match="cannot be split by time because the times"):
        splits_of_data(data, split="time", groups=groups)


def test_parts_of_a_network_can_be_dealt_by_course():
    from moodlemlbackend.model.folds import deal

    rng = np.random.default_rng(0)
    groups = np.repeat(np.arange(8), 5)
    targets = np.eye(2, dtype=np.float32)[rng.integers(0, 2, 40)]
    dealt = deal(targets, 5, rng, groups)
    np.testing.assert_array_equal(dealt.sum(axis=0), targets)
    fold_of_row = dealt.any(axis=2).argmax(axis=0)
    assert all(len(set(fold_of_row[groups == course])) == 1 for course in range(8))
