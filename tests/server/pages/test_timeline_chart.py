"""The chart of a student's time line is numbers for SVG."""

from __future__ import annotations

import pytest

pytest.importorskip("jinja2", reason="needs the extra server")

import itertools

from moodlemlbackend.analytics.students.timeline import Week
from moodlemlbackend.server.pages.timeline_chart import (
    BOTTOM,
    LEFT,
    NARROW,
    TOP,
    WIDE,
    Event,
    EventKind,
    timeline_chart,
)

WEEK = 604_800


def week(number, actions=0.0, middle=None):
    return Week(number, (number - 1) * WEEK, number * WEEK, None if actions is None else 7, actions, middle)


def numbers(points):
    return [tuple(map(float, point.split(","))) for point in points.split()]


@pytest.mark.parametrize("width", [WIDE, NARROW])
def test_weeks_and_events_lie_where_their_time_is(width):
    weeks = [week(1, None, (0.5, 2)), week(2, 1.5, (0.5, 3)), week(3, 0, None), week(4, 2, (1, 2.5))]
    events = [Event(EventKind.GRADED, 2 * WEEK, "b"), Event(EventKind.HANDED_IN, 0, "a")]
    chart = timeline_chart(weeks, [*events, Event(EventKind.PREDICTED, 4 * WEEK, "after the last week")], width)
    scale = (chart.right - LEFT) / (4 * WEEK)
    assert [(point.x, point.week.number) for point in chart.points] == [
        (pytest.approx(LEFT + scale * WEEK * (number - 0.5), abs=0.1), number) for number in (2, 3, 4)
    ]
    assert [point.y for point in chart.points] == [(TOP + BOTTOM) / 2, BOTTOM, pytest.approx(TOP + 160 / 3, abs=0.1)]
    assert [(value, y) for y, value in chart.grid] == [(3, TOP), (1.5, (TOP + BOTTOM) / 2), (0, BOTTOM)]
    assert [lane.kind for lane in chart.lanes] == [EventKind.HANDED_IN, EventKind.GRADED]
    assert [[mark.x for mark in lane.marks] for lane in chart.lanes] == [
        [LEFT], [pytest.approx((LEFT + chart.right) / 2, abs=0.1)]
    ]  # fmt: skip
    assert chart.lanes[-1].y < chart.height


def test_a_band_has_a_gap_where_too_few_students_were_there():
    middle = (1, 2)
    chart = timeline_chart([week(1, 0, middle), week(2, 0, middle), week(3), week(4, 0, middle)], [], WIDE)
    first, second = map(numbers, chart.bands)
    assert (len(first), len(second)) == (8, 6)
    assert max(x for x, _ in first) < min(x for x, _ in second)
    assert {y for _, y in first} == {TOP, (TOP + BOTTOM) / 2}
    assert timeline_chart([week(1)], [], WIDE).bands == []


@pytest.mark.parametrize(("most", "top"), [(0, 1), (0.4, 1), (1.2, 2), (2.1, 3), (9.5, 10), (31, 40), (4100, 6000)])
def test_the_scale_ends_at_a_number_that_is_easily_halved(most, top):
    chart = timeline_chart([week(1, most)], [], WIDE)
    assert chart.grid[0] == (TOP, top)
    assert TOP <= chart.points[0].y <= BOTTOM


@pytest.mark.parametrize(("width", "most"), [(WIDE, 9), (NARROW, 4)])
def test_dates_do_not_overlap(width, most):
    chart = timeline_chart([week(number) for number in range(1, 61)], [], width)
    places = [x for x, _ in chart.dates]
    assert 2 < len(places) <= most
    assert min(later - earlier for earlier, later in itertools.pairwise(places)) >= 70
