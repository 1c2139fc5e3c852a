"""Charts of the course page, as numbers for SVG."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from moodlemlbackend.analytics.db.risks import Risk

_WIDTH, _HEIGHT = 300, 90


@dataclass(frozen=True)
class RiskScale:
    """A probability on a scale 100 wide: the point, the threshold, and start and width of its range, None without."""

    point: int
    threshold: int
    start: int | None
    width: int


def risk_scale(risk: Risk) -> RiskScale:
    """Place a risk on its scale."""
    point, threshold = round(100 * risk.probability), round(100 * risk.threshold)
    if risk.low is None or risk.high is None:
        return RiskScale(point, threshold, None, 0)
    start = round(100 * risk.low)
    return RiskScale(point, threshold, start, round(100 * risk.high) - start)


def spark_line(trend: Sequence[Risk], width: int = 48, height: int = 16) -> str:
    """The probabilities of a trend as points of a line in a chart, y downwards."""
    margin = height // 8
    step, most = (width - 2 * margin) / max(1, len(trend) - 1), height - 2 * margin
    return _line(
        [(round(margin + step * at, 1), round(height - margin - most * risk.probability, 1))
         for at, risk in enumerate(trend)]
    )  # fmt: skip


@dataclass(frozen=True)
class WeeklyChart:
    """Shares of active students by week as lines in a chart of 300 × 90, y downwards.

    ``earlier`` is that of former courses, empty without, and ``names`` theirs; ``latest`` and ``then`` are the shares
    of the latest week, here and there; ``x``, ``y`` and ``week`` are the place and the number of the latest week.
    """

    line: str
    earlier: str
    names: Sequence[str]
    latest: float
    then: float | None
    x: float
    y: float
    week: int


def weekly_chart(shares: Mapping[int, float], earlier: Mapping[int, float], names: Sequence[str]) -> WeeklyChart | None:
    """Chart the shares so far, by the number of the week, in the order of weeks; None without any."""
    if not shares:
        return None
    first, week = min(shares), max(shares)
    step = _WIDTH / max(max([week, *earlier]) - first, 1)

    def points(values: Mapping[int, float]) -> list[tuple[float, float]]:
        return [
            (round(step * (number - first), 1), round(_HEIGHT - (_HEIGHT - 4) * value, 1))
            for number, value in values.items()
            if number >= first
        ]

    own = points(shares)
    return WeeklyChart(_line(own), _line(points(earlier)), names, shares[week], earlier.get(week), *own[-1], week)


def _line(points: Sequence[tuple[float, float]]) -> str:
    return " ".join(f"{x:g},{y:g}" for x, y in points)
