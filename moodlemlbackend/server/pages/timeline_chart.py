"""The chart of a student's time line, as numbers for SVG: weeks to the right, actions a day upwards, events below."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from math import ceil, floor, log10
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from moodlemlbackend.analytics.students.timeline import Week

WIDE, NARROW = 720, 350
"""Widths of the chart in a window and on a phone."""

LEFT, MARGIN = 36, 8
TOP, BOTTOM = 14, 174
LANES, LANE_HEIGHT = 222, 42
DATE_WIDTH = 80
"""That a date takes below the chart."""


class EventKind(Enum):
    """What happened; each kind has a lane and a shape of its own."""

    HANDED_IN = "handed in"
    GRADED = "graded"
    PREDICTED = "predicted"
    TEACHERS = "teachers"


class Event(NamedTuple):
    """Something that happened at a Unix time, with its words; ``mark`` is the class of its shape beside the kind's."""

    kind: EventKind
    time: int
    text: str
    mark: str = ""


class Mark(NamedTuple):
    """An event in its lane."""

    x: float
    y: float
    event: Event


class Lane(NamedTuple):
    """A row of marks under the chart; ``y`` is its middle."""

    kind: EventKind
    y: float
    marks: list[Mark]


class WeekMark(NamedTuple):
    """A week of the student's, as a point."""

    x: float
    y: float
    week: Week


@dataclass(frozen=True)
class TimelineChart:
    """What the template draws, in a box of ``width`` and ``height``, y downwards.

    Attributes
    ----------
    left, right
        between which weeks lie.
    grid
        height and value of each line, the last one 0.
    dates
        place and Unix time of some weeks' first days.
    bands
        polygons of the middle half, one for each row of weeks that have one.
    line
        the student's, through ``points``.
    """

    width: int
    height: int
    left: int
    right: int
    grid: list[tuple[float, float]]
    dates: list[tuple[float, int]]
    bands: list[str]
    line: str
    points: list[WeekMark]
    lanes: list[Lane]


def timeline_chart(weeks: Sequence[Week], events: Sequence[Event], width: int) -> TimelineChart:
    """Chart weeks, of which there is one at least, and the events in them."""
    right = width - MARGIN
    start, end = weeks[0].start, weeks[-1].end
    highest = max(max(week.a_day or 0, week.middle[1] if week.middle else 0) for week in weeks)
    top = _round_up(highest)

    def across(time: float) -> float:
        return round(LEFT + (right - LEFT) * (time - start) / (end - start), 1)

    def up(value: float) -> float:
        return round(BOTTOM - (BOTTOM - TOP) * value / top, 1)

    points = [
        WeekMark(across((week.start + week.end) / 2), up(week.a_day), week) for week in weeks if week.a_day is not None
    ]
    by_kind = {
        kind: [event for event in events if event.kind is kind and start <= event.time < end] for kind in EventKind
    }
    kinds = [kind for kind, of_kind in by_kind.items() if of_kind]
    lanes = []
    for number, kind in enumerate(kinds):
        y = LANES + LANE_HEIGHT * number
        lanes.append(Lane(kind, y, [Mark(across(event.time), y, event) for event in by_kind[kind]]))
    step = ceil(len(weeks) * DATE_WIDTH / (right - LEFT))
    return TimelineChart(
        width=width,
        left=LEFT,
        right=right,
        height=LANES + LANE_HEIGHT * len(kinds) - (22 if kinds else 40),
        grid=[(up(value), value) for value in (top, top / 2, 0)],
        dates=[(x, week.start) for week in weeks[::step] if (x := across(week.start)) <= right - DATE_WIDTH / 2],
        bands=[_polygon(part, across, up) for part in _parts(weeks)],
        line=" ".join(f"{point.x},{point.y}" for point in points),
        points=points,
        lanes=lanes,
    )


def _parts(weeks: Sequence[Week]) -> list[list[Week]]:
    """The weeks with a middle half, in rows without a gap."""
    parts: list[list[Week]] = [[]]
    for week in weeks:
        if week.middle:
            parts[-1].append(week)
        elif parts[-1]:
            parts.append([])
    return [part for part in parts if part]


def _polygon(weeks: Sequence[Week], across: Callable[[float], float], up: Callable[[float], float]) -> str:
    """From the first week's start to the last one's end, along the upper ends and back along the lower ones."""
    middles = [week.middle for week in weeks if week.middle]
    xs = [across(weeks[0].start), *(across((week.start + week.end) / 2) for week in weeks), across(weeks[-1].end)]
    edges = [[up(middle[end]) for middle in (middles[0], *middles, middles[-1])] for end in (1, 0)]
    return " ".join(
        f"{x},{y}" for x, y in [*zip(xs, edges[0], strict=True), *reversed([*zip(xs, edges[1], strict=True)])]
    )


def _round_up(value: float) -> float:
    """The next number that is easily halved, at least 1."""
    if value <= 1:
        return 1.0
    power = 10.0 ** floor(log10(value))
    return next(step * power for step in (1, 2, 3, 4, 6, 8, 10) if step * power >= value)
