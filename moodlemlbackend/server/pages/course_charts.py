"""Charts of the course page, as numbers for SVG."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

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


def spark_line(trend: Sequence[Risk]) -> str:
    """The probabilities of a trend as points of a line in a chart of 48 × 16, y downwards."""
    step = 44 / max(1, len(trend) - 1)
    return " ".join(
        f"{round(2 + step * at, 1):g},{round(14 - 12 * risk.probability, 1):g}" for at, risk in enumerate(trend)
    )


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


def weekly_chart(shares: Sequence[float], earlier: Sequence[float], names: Sequence[str]) -> WeeklyChart | None:
    """Chart the shares of the weeks so far; None without any."""
    if not shares:
        return None
    step = _WIDTH / max(len(shares) - 1, len(earlier) - 1, 1)

    def points(values: Sequence[float]) -> list[tuple[float, float]]:
        return [(round(step * at, 1), round(_HEIGHT - (_HEIGHT - 4) * value, 1)) for at, value in enumerate(values)]

    own, week = points(shares), len(shares)
    then = earlier[week - 1] if week <= len(earlier) else None
    return WeeklyChart(_line(own), _line(points(earlier)), names, shares[-1], then, *own[-1], week)


def _line(points: Sequence[tuple[float, float]]) -> str:
    return " ".join(f"{x:g},{y:g}" for x, y in points)
