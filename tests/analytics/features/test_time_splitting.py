"""Ranges of time splitting methods, calendar arithmetic and PHP's rounding, by hand and by vectors."""

from __future__ import annotations

import datetime
from decimal import ROUND_HALF_UP, Decimal
from types import SimpleNamespace
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from moodlemlbackend.analytics.features.calendar_time import Period, shift
from moodlemlbackend.analytics.features.registry import get_time_splitting, list_time_splittings
from moodlemlbackend.analytics.features.rounding import php_round
from moodlemlbackend.analytics.features.time_splitting import Clock

DAY = 86_400
MADRID = ZoneInfo("Europe/Madrid")
NOW = 1_700_000_000


def ranges(method, start, end, now=NOW, zone=datetime.timezone.utc, first=None):
    made = get_time_splitting(method).define(SimpleNamespace(start=start, end=end), Clock(now, zone, first))
    return list(zip(made.starts.tolist(), made.ends.tolist(), strict=True))


def local(*parts, zone=MADRID):
    return int(datetime.datetime(*parts, tzinfo=zone).timestamp())


@pytest.mark.parametrize(
    ("method", "start", "end", "expected"),
    [
        ("quarters", 0, 100, [(0, 25), (26, 50), (51, 75), (76, 100)]),
        ("quarters", 1000, 1015, [(1000, 1003), (1003, 1007), (1007, 1011), (1011, 1015)]),
        ("quarters", 1000, 1016, [(1000, 1004), (1005, 1008), (1009, 1012), (1013, 1016)]),
        ("quarters", 1000, 1018, [(1000, 1004), (1005, 1009), (1010, 1013), (1014, 1018)]),
        ("quarters_accum", 0, 100, [(0, 25), (0, 50), (0, 75), (0, 100)]),
        ("single_range", 7, 9, [(7, 9)]),
        ("no_splitting", 7, 9, [(0, 9_999_999_999)]),
    ],
)  # fmt: skip
def test_parts(method, start, end, expected):
    assert ranges(method, start, end) == expected


def test_tenths():
    starts = [0, 100001, 200001, 300001, 400002, 500002, 600002, 700003, 800003, 900003]
    ends = [100000, 200000, 300000, 400001, 500001, 600001, 700002, 800002, 900002, 1000003]
    assert ranges("deciles", 5, 1_000_008) == [(a + 5, b + 5) for a, b in zip(starts, ends, strict=True)]


def test_past_weeks():
    start = NOW - 17 * DAY
    assert ranges("past_week", start, 0) == [(start, start + 7 * DAY), (start + 10 * DAY, NOW)]
    assert ranges("past_week", start, start + 15 * DAY) == [
        (start, start + 7 * DAY), (start + 7 * DAY, start + 14 * DAY),
    ]  # fmt: skip
    assert ranges("past_week", NOW - 3 * DAY, 0) == []


def test_the_last_past_period_keeps_its_number():
    method = get_time_splitting("past_week")
    clock = Clock(NOW)
    made = method.define(SimpleNamespace(start=NOW - 17 * DAY, end=0), clock)
    used = method.prediction_ranges(made, clock)
    assert (used.indexes.tolist(), used.ends.tolist()) == ([1], [NOW])


def test_upcoming_weeks_begin_at_the_first_analysis():
    assert ranges("upcoming_week", 1, 9_999_999_999) == [(NOW, NOW + 7 * DAY)]
    first = NOW - 15 * DAY
    assert ranges("upcoming_week", 1, 9_999_999_999, first=first) == [
        (first + number * 7 * DAY, first + (number + 1) * 7 * DAY) for number in range(3)
    ]


def test_weeks_of_the_calendar_cross_a_change_of_the_clock():
    """In Madrid the clock went back on 29 October 2023 and forward on 31 March 2024."""
    start = local(2023, 10, 26, 12)
    [first] = ranges("past_week", start, start + 8 * DAY, now=start + 9 * DAY, zone=MADRID)
    assert first == (start, local(2023, 11, 2, 12))
    assert first[1] - first[0] == 7 * DAY + 3600
    assert shift(local(2024, 3, 30, 2, 30), Period(days=1), MADRID) == local(2024, 3, 31, 3, 30)
    assert shift(local(2024, 3, 30, 12), Period(days=1), MADRID) == local(2024, 3, 30, 12) + 23 * 3600


@pytest.mark.parametrize(
    ("day", "back", "expected"),
    [
        ((2026, 1, 31), False, (2026, 3, 3)),
        ((2024, 1, 31), False, (2024, 3, 2)),
        ((2026, 3, 31), True, (2026, 3, 3)),
        ((2026, 12, 15), False, (2027, 1, 15)),
        ((2026, 1, 15), True, (2025, 12, 15)),
    ],
)
def test_months_run_over(day, back, expected):
    utc = datetime.timezone.utc
    assert shift(local(*day, zone=utc), Period(months=1), utc, back=back) == local(*expected, zone=utc)


def test_after_start():
    month = get_time_splitting("one_month_after_start")
    now = local(2026, 3, 1, zone=datetime.timezone.utc)
    clock = Clock(now)
    assert month.accepts(SimpleNamespace(start=now - 28 * DAY, end=0), clock)
    assert not month.accepts(SimpleNamespace(start=now - 28 * DAY + 1, end=0), clock)
    assert not month.accepts(SimpleNamespace(start=0, end=0), clock)
    tenth = get_time_splitting("ten_percent_after_start")
    assert tenth.accepts(SimpleNamespace(start=now - 10, end=now + 90), clock)
    assert not tenth.accepts(SimpleNamespace(start=now - 9, end=now + 91), clock)
    assert not tenth.accepts(SimpleNamespace(start=now - 10, end=0), clock)
    assert not tenth.accepts(SimpleNamespace(start=now - 10, end=now - 20), clock)
    assert ranges("ten_percent_after_start", 5, 9, now=NOW) == [(5, NOW)]


def test_what_is_ready():
    method, clock = get_time_splitting("quarters"), Clock(60)
    made = method.define(SimpleNamespace(start=0, end=100), clock)
    assert method.ready_to_predict(made, clock).tolist() == [True, True, False, False]
    assert method.prediction_ranges(made, clock).indexes.tolist() == [1]
    assert len(method.training_ranges(made, clock)) == 4
    assert not len(method.prediction_ranges(made, Clock(24)))


def test_methods_are_all_there_and_sound():
    methods = list_time_splittings()
    assert len({method.id for method in methods}) == len(methods) >= 15
    widths = {method.id.rpartition("\\")[2]: method.range_columns for method in methods}
    assert (widths["quarters"], widths["deciles_accum"], widths["single_range"], widths["past_week"]) == (4, 10, 0, 0)
    uncached = {method.id.rpartition("\\")[2] for method in methods if not method.caches_calculations}
    assert uncached == {"upcoming_3_days", "upcoming_week", "upcoming_fortnight", "one_week_after_start",
                        "one_month_after_start", "ten_percent_after_start"}  # fmt: skip


@pytest.mark.parametrize(("value", "rounded"), [(0.285, 0.29), (1.005, 1.01), (0.145, 0.15), (-0.125, -0.13)])
def test_halves_go_away_from_zero(value, rounded):
    assert php_round([value, -value]).tolist() == [rounded, -rounded]


def test_nothing_is_kept_and_zero_has_a_sign():
    found = php_round([np.nan, -0.004, 0.004, -0.0])
    assert np.isnan(found[0])
    assert [f"{value:g}" for value in found[1:]] == ["-0", "0", "-0"]


def exactly(value):
    if abs(value) < 0.01:
        return np.copysign(np.floor(abs(value * 100) + 0.5) / 100, value)
    return np.copysign(float(Decimal(f"{abs(value):.15g}").quantize(Decimal("0.01"), ROUND_HALF_UP)), value)


@given(st.lists(st.one_of(
    st.floats(-1, 1), st.integers(-2000, 2000).map(lambda n: n / 1000), st.integers(1, 60).map(lambda n: -1 + 2 / n),
    st.tuples(st.integers(-200, 200), st.sampled_from([5e-17, -5e-17, 1e-15, 0])).map(lambda p: p[0] / 200 + p[1]),
), min_size=1))  # fmt: skip
def test_rounding_is_phps(values):
    assert php_round(values).tolist() == [exactly(value) for value in values]
