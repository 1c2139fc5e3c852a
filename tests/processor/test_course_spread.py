"""The range of a probability: in 8 of 10 courses that the model has not seen, the real share of cases lies in it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from fixtures.backend import samples_of
from moodlemlbackend.dataset import words
from moodlemlbackend.dataset.courses import CoursesOfRows, find_courses, known_courses
from moodlemlbackend.errors import ModelError
from moodlemlbackend.processor import get_processor
from moodlemlbackend.processor.course_spread import (
    course_shifts,
    course_spread,
    probability_ranges,
)
from moodlemlbackend.processor.memory import taught
from moodlemlbackend.processor.splits import FOLDS, course_splits
from moodlemlbackend.processor.training_rows import join_samples
from moodlemlbackend.runtime.progress import QuietReporter
from moodlemlbackend.runtime.run import Run
from moodlemlbackend.simulation.courses import simulate
from moodlemlbackend.storage.model_store import ModelStore
from moodlemlbackend.storage.stored_model import read_model

SITES, COURSES = 3, 40


def sigmoid(log_odds):
    return 1 / (1 + np.exp(-log_odds))


def site(courses: int, students: int, spread: float, seed: int):
    """Log-odds of students, their classes and courses, whose log-odds are moved by a normal of deviation ``spread``."""
    rng = np.random.default_rng(seed)
    course = np.repeat(np.arange(courses), students)
    log_odds = rng.normal(-1, 1, len(course))
    cases = rng.random(len(course)) < sigmoid(log_odds + rng.normal(0, spread, courses)[course])
    return log_odds, cases.astype(float), course


def covered(low, high, cases, courses):
    """Whether the number of cases of each course is between the sums of the ends, to within half a case."""
    low, high, real = (np.bincount(courses, values) for values in (low, high, cases))
    return ((low - 0.5 <= real) & (real <= high + 0.5))[np.unique(courses)]


@pytest.fixture(scope="module")
def simulated():
    """Predictions for unseen courses of several simulated sites: probabilities, cases, courses, spread."""
    found = []
    for seed in range(SITES):
        data = simulate(COURSES, 25, seed=seed)
        rows = [row for row, name in enumerate(data.sample_ids) if name.endswith("-2")]  # of one quarter
        samples = samples_of(data.features[rows], data.labels[rows])
        samples = replace(samples, columns=data.columns, courses=find_courses(data.columns, {}, samples.coded.decode()))
        assert samples.courses.number == COURSES
        splits = course_splits(samples, FOLDS, seed)
        fits = get_processor("logistic_regression").fit_splits(samples, [one.training for one in splits], seed=seed)
        for split, fitted in zip(splits, fits, strict=True):
            unseen = samples.take(split.held_out)
            chances = fitted.classifier.probabilities_of_coded(unseen.coded)[:, 1]
            spread = fitted.spread(samples.take(split.training))
            found.append((chances, unseen.targets[:, 1], unseen.courses.groups, spread))
    return found


def test_the_real_share_of_8_of_10_unseen_courses_lies_in_the_range(simulated):
    """Half the spread covers far fewer and twice the spread nearly all, so that the right one is not met by chance."""

    def coverage(factor: float) -> float:
        inside = []
        for chances, cases, courses, spread in simulated:
            low, high = probability_ranges(chances, factor * spread).T
            inside.append(covered(low, high, cases, courses))
        assert sum(map(len, inside)) == SITES * COURSES
        return np.concatenate(inside).mean()

    assert 0.72 < coverage(1) < 0.88
    assert coverage(0.5) < 0.6
    assert coverage(2) > 0.9


def test_it_is_as_wide_as_courses_differ():
    for deviation in (0.4, 0.8, 1.5):
        log_odds, cases, courses = site(400, 500, deviation, 1)
        spread = course_spread(sigmoid(log_odds), cases, np.ones(len(cases)), courses)
        assert spread == pytest.approx(1.28 * deviation, rel=0.15)


def test_promises_are_kept_with_nine_courses():
    """By courses that are exchangeable, few as there are to learn the spread from."""
    inside = []
    for seed in range(150):
        log_odds, cases, courses = site(12, 60, 0.8, seed)
        known = courses < 9
        spread = course_spread(sigmoid(log_odds[known]), cases[known], np.ones(known.sum()), courses[known])
        low, high = probability_ranges(sigmoid(log_odds[~known]), spread).T
        inside.append(covered(low, high, cases[~known], courses[~known]))
    assert 0.74 < np.mean(inside) < 0.86


def test_a_shift_makes_the_probabilities_add_up():
    log_odds, cases, courses = site(6, 50, 1, 3)
    cases[courses == 2] = 0
    weights = np.where(courses == 4, 3.0, 1.0)
    shifts = course_shifts(sigmoid(log_odds), cases * weights, weights, courses)
    for course, shift in enumerate(shifts):
        rows = courses == course
        promised, moved = ((weights[rows] * sigmoid(log_odds[rows] + one)).sum() for one in (0, shift))
        real = (cases * weights)[rows].sum()
        assert abs(real - promised) > 0.5
        assert moved == pytest.approx(real + (0.5 if promised > real else -0.5), abs=0.02)
    assert np.isfinite(shifts).all(), "also of a course without a case"


def test_a_course_whose_promise_is_kept_to_within_half_a_case_is_not_shifted():
    chances, ones, courses = np.full(40, 0.26), np.ones(40), np.repeat([0, 1], 20)
    cases = (np.arange(40) % 20 < 5).astype(float)
    assert course_shifts(chances, cases, ones, courses) == pytest.approx([0, 0], abs=1e-3)


def test_a_range_holds_its_probability_and_stays_between_0_and_1():
    chances = np.array([0.0, 1e-320, 0.001, 0.35, 0.999, 1.0])
    low, high = probability_ranges(chances, 1.2).T
    assert ((low <= chances + 1e-9) & (chances - 1e-9 <= high)).all()
    assert (low >= 0).all()
    assert (high <= 1).all()
    assert sigmoid(np.log(0.35 / 0.65) - 1.2) == pytest.approx(low[3])
    assert words.probability_range((0.2164, 0.408)) == "22% to 41% in 8 of 10 courses"


# ---- in models ----


def train(processor, store: ModelStore, samples, former=None):
    with Run.start(store.folder.parent, QuietReporter()) as run, store.lock():
        return processor.train(store, samples, run, former=former, seed=1)


def rows_of_courses(courses: int, seed: int = 0):
    rng = np.random.default_rng(seed)
    groups = np.repeat(np.arange(courses), 30)
    labels = (rng.random(len(groups)) < 0.2 + 0.4 * (groups % 3 == 0)).astype(np.int64)
    features = np.round(rng.normal(labels[:, None], 1, (len(groups), 4)).clip(-1, 1), 2).astype(np.float32)
    return replace(samples_of(features, labels), courses=known_courses(groups))


@pytest.mark.parametrize("name", ["logistic_regression", "neural_network"])
def test_both_processors_keep_the_spread_of_courses(name, tmp_path):
    processor, samples = get_processor(name), rows_of_courses(8)
    store = ModelStore(tmp_path / "model")
    fitted = train(processor, store, samples)
    kept = processor.load(store.current())
    assert kept.spread == fitted.spread(samples) > 0.3
    features = samples.coded.decode()
    ranges = kept.ranges(kept.classifier.probabilities(features))
    chances = kept.classifier.probabilities(features)[:, 1]
    assert (ranges[:, 0] < chances).all()
    assert (chances < ranges[:, 1]).all()


@pytest.mark.parametrize("name", ["logistic_regression", "neural_network"])
def test_there_is_none_without_five_known_courses_and_two_classes(name):
    processor, samples = get_processor(name), rows_of_courses(5)
    assert processor.fit(samples, seed=1).spread(samples) is not None
    three = np.eye(3, dtype=np.float32)[np.arange(len(samples)) % 3]
    for less in (
        rows_of_courses(4),
        replace(samples, courses=CoursesOfRows()),
        replace(samples, targets=three, classes=("0", "1", "2")),
    ):
        assert processor.fit(less, seed=1).spread(less) is None


def test_equal_rows_count_for_the_courses_they_are_of():
    """Five kinds of rows in ten courses, half of which have no case."""
    processor = get_processor("logistic_regression")
    groups = np.repeat(np.arange(10), 40)
    features = (np.arange(400) % 20 / 20).astype(np.float32)[:, None]
    labels = ((groups % 2 == 1) & (np.arange(400) % 3 > 0)).astype(np.int64)
    samples = replace(samples_of(features, labels), courses=known_courses(groups))
    assert processor.fit(samples, seed=1).spread(samples) > 1.5


def test_what_a_teacher_says_is_no_real_course(tmp_path):
    """A model that was imported teaches its successor: only what has happened says how far courses differ."""
    processor, samples = get_processor("logistic_regression"), rows_of_courses(12)
    store = ModelStore(tmp_path / "model")
    train(processor, store, samples)
    exported = tmp_path / "exported"
    processor.export(store.current(), exported)
    imported = ModelStore(tmp_path / "imported")
    with imported.lock():
        processor.import_model(imported, read_model(exported))
    teacher = processor.load(imported.current())
    assert teacher.spread == processor.load(store.current()).spread, "an export carries it"
    fitted = train(processor, imported, samples, former=(teacher, imported.current()))
    both = join_samples(taught(teacher.classifier, teacher.classes, teacher.rows, samples), samples)
    kept = processor.load(imported.current()).spread
    assert kept == fitted.spread(both, len(samples)) != fitted.spread(both)
    train(processor, imported, rows_of_courses(4), former=(teacher, None))
    assert processor.load(imported.current()).spread is None, "four real courses are too few"


def test_a_model_without_it_has_no_range_and_one_with_nonsense_is_refused(tmp_path):
    processor, samples = get_processor("logistic_regression"), rows_of_courses(6)
    store = ModelStore(tmp_path / "model")
    train(processor, store, samples)
    stored = store.current()
    former = replace(stored, settings={key: value for key, value in stored.settings.items() if key != "spread"})
    model = processor.load(former)
    assert model.spread is None
    assert model.ranges(np.array([[0.4, 0.6]])) is None
    wrong = processor.load(replace(stored, settings={**stored.settings, "spread": -1}))
    with pytest.raises(ModelError, match="its spread of courses is -1"):
        processor.prove(wrong, tmp_path)
    with pytest.raises(ModelError, match="cannot be used"):
        processor.load(replace(stored, settings={**stored.settings, "spread": "wide"}))
