"""What elements of third parties may answer: each fault is a sentence that names the element and the course."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest

from fixtures.small_site import DAY, NOW, START, SmallSite
from moodlemlbackend.analytics.features import registry
from moodlemlbackend.analytics.features.analysis import Analysis, analyse
from moodlemlbackend.analytics.features.indicators import CourseIndicator, Indicator, Kind
from moodlemlbackend.analytics.features.ranges import Ranges
from moodlemlbackend.analytics.features.static_predictions import predict_static
from moodlemlbackend.analytics.features.targets import CourseEnrolments
from moodlemlbackend.analytics.features.time_splitting import TimeSplitting
from moodlemlbackend.errors import SiteError

READS = r"\core\analytics\indicator\read_actions"


class Own(CourseEnrolments):
    id = r"\local_mine\analytics\target\own"
    title = "Own"

    def __init__(self, answer=None, valid=None, refused=None, **said):
        self.answer, self.valid, self.refused = answer, valid, refused
        for name, value in said.items():
            setattr(self, name, value)

    def refuses(self, analysable, *, training):
        return self.refused() if self.refused else None

    def valid_samples(self, samples, *, training):
        return self.valid(len(samples)) if self.valid else np.ones(len(samples), bool)

    def of_course(self, course, samples, indicators):
        return self.answer(len(samples)) if self.answer else np.arange(len(samples)) % 2


class Cut(TimeSplitting):
    id = r"\local_mine\analytics\time_splitting\cut"

    def __init__(self, answer, columns=0):
        self.answer, self.range_columns = answer, columns

    def define(self, analysable, clock):
        return self.answer(analysable.start, analysable.end)


class Odd(CourseIndicator):
    id = r"\local_mine\analytics\indicator\odd"

    def __init__(self, answer, kind=Kind.LINEAR, classes=()):
        self.answer, self.kind, self.classes = answer, kind, classes

    def of_course(self, course, users, ranges):
        return self.answer(users, ranges)


class Plain(Indicator):
    id = r"\local_mine\analytics\indicator\plain"

    def calculate(self, samples, ranges):
        return "words"


@pytest.fixture
def small(tmp_path):
    small = SmallSite(tmp_path / "site.sqlite")
    course = small.course()
    for user in small.students(course, 4):
        for number in range(12):
            small.log(course, user, START + 1 + number * DAY)
    return small


def results(small, target, method=None, indicators=None, **changed):
    used = method or registry.get_time_splitting("quarters")
    plan = Analysis(target, indicators or [registry.get_indicator(READS)], [used], NOW, training=True)
    return analyse(small.open(), replace(plan, **changed), jobs=1)


def fails(word, found):
    with pytest.raises(SiteError) as caught:
        list(found)
    said = str(caught.value)
    assert re.match(rf"The {word} \\local_mine\S+ (failed|cannot be used) for \S.* \(id \d+\): .+\.$", said), said
    return said


def raises(*_):
    raise KeyError("boo")


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (lambda n: np.full(n, 0.5), "returned 0.5; every value must be one of its classes, 0, 1, or be NaN"),
        (lambda n: np.full(n, np.inf), "returned inf"),
        (lambda n: np.arange(n), "returned 2"),
        (lambda n: np.ones(n + 1), r"shape (5,)"),
        (lambda n: np.ones((1, n)), r"shape (1, 4)"),
        (lambda _: None, "shape ()"),
        (lambda n: ["a"] * n, "Error in line"),
        (raises, "KeyError in line"),
    ],
)
@pytest.mark.parametrize("static", [False, True])
def test_a_target_gives_each_sample_one_of_its_classes(small, answer, said, static):
    target = Own(answer, static=static)
    if static:
        assert said in fails("target", predict_static(target, results(small, target, training=False)))
    else:
        assert said in fails("target", results(small, target))


def test_a_linear_target_keeps_to_its_bounds_and_nan_is_no_value(small):
    target = Own(lambda n: np.linspace(0, 101, n), linear=True, maximum=100.0)
    assert "returned 101; every value must lie between" in fails("target", results(small, target))
    target = Own(lambda n: [100, None, np.nan, 0][:n], linear=True, maximum=100.0)
    [found] = results(small, target)
    assert sorted(set(found.labels)) == [0, 100]


@pytest.mark.parametrize(
    ("valid", "said"),
    [
        (lambda n: np.arange(n) % 2, "valid_samples returned int64"),
        (lambda _: [True], r"shape (1,)"),
        (lambda _: None, "valid_samples returned object"),
        (raises, "KeyError in line"),
    ],
)
def test_valid_samples_are_true_or_false(small, valid, said):
    assert said in fails("target", results(small, Own(valid=valid)))
    [found] = results(small, Own(valid=lambda n: [True] * (n - 1) + [False]))
    assert len(found.samples) == 3


def test_a_refusal_is_a_refusal(small):
    assert "refuses returned 'no'" in fails("target", results(small, Own(refused=lambda: "no")))
    assert "KeyError" in fails("target", results(small, Own(refused=raises)))
    assert "KeyError" in fails("target", results(small, Own(log_bounds=raises)))
    odd = Odd(lambda users, _: users * 0)
    odd.refuses = raises
    assert "KeyError" in fails("indicator", results(small, Own(), indicators=[odd]))


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (lambda start, end: Ranges.of([(start + n, end, end) for n in range(4)]), "have the indexes 0 to 3"),
        (lambda start, end: Ranges.of([(end, start, start)]), "no range may start after its end"),
        (lambda start, end: [(start, end, end)], "it must return Ranges"),
        (lambda *_: None, "define returned None"),
        (lambda start, end: Ranges(*map(np.array, ([start, end], [end], [end]))), "of one length"),
        (lambda start, end: Ranges(*map(np.array, ([start / 2], [end], [end]))), "whole numbers"),
        (lambda start, _: Ranges.of([(float("nan"), start, start)]), "ValueError in line"),
        (raises, "KeyError in line"),
    ],
)
@pytest.mark.parametrize("training", [True, False])
def test_a_time_splitting_method_gives_ranges(small, answer, said, training):
    assert said in fails("interval", results(small, Own(), Cut(answer, 3), training=training))


@pytest.mark.parametrize(
    ("kind", "value", "said"),
    [
        (Kind.BINARY, 0.571, "gives 0.571 for .*, which is none of its values -1, 1"),
        (Kind.BINARY, 0, "gives 0 for"),
        (Kind.DISCRETE, 5, "gives 5 for .*, which is none of its values 0, 1, 2"),
        (Kind.LINEAR, -1.5, "gives -1.5 for .*, which is outside -1 to 1"),
        (Kind.LINEAR, np.inf, "gives inf for"),
    ],
)
def test_an_indicator_gives_values_of_its_kind(small, kind, value, said):
    odd = Odd(lambda users, ranges: np.full((len(ranges), len(users)), value), kind, (0, 1, 2))
    [found] = results(small, Own(), indicators=[odd])
    assert re.search(said, found.reason.text)


def test_what_a_masked_array_hides_is_no_value(small):
    odd = Odd(
        lambda users, ranges: np.ma.masked_array(
            np.ones((len(ranges), len(users)), int), mask=[[1, 0, 0, 0]] * len(ranges)
        )
    )
    [found] = results(small, Own(), indicators=[odd])
    assert np.isnan(found.values[odd.id][:, 0]).all()
    assert (found.values[odd.id][:, 1:] == 1).all()


def test_an_indicator_that_returns_words_fails_in_a_sentence(small):
    assert "ValueError in line" in fails("indicator", results(small, Own(), indicators=[Plain()]))


@pytest.mark.parametrize("given", ["users", "ranges"])
def test_an_indicator_cannot_change_what_the_others_are_given(small, given):
    def overwrites(users, ranges):
        {"users": users, "ranges": ranges.starts}[given][:] = 0

    assert "read-only" in fails("indicator", results(small, Own(), indicators=[Odd(overwrites)]))


def test_a_target_that_fails_when_asked_about_an_interval_fails_in_a_sentence():
    chosen = [registry.get_indicator(READS)]
    with pytest.raises(SiteError, match=r"own failed for \\core.*time_splitting\\quarters: 'boo' \(KeyError"):
        registry.check_fit(Own(accepts=raises), chosen, registry.get_time_splitting("quarters"))
