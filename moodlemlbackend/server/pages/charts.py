"""Charts of the pages, as numbers for SVG."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from moodlemlbackend.analytics.insights.names import indicator_name

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from moodlemlbackend.analytics.insights.sentences import InsightReason
    from moodlemlbackend.server.pages.model_index import RunFacts


@dataclass(frozen=True)
class Bar:
    """A reason as a bar in a chart 200 wide, to the right of the middle if it speaks for the prediction."""

    label: str
    value: str
    contribution: float
    x: float
    width: float

    @property
    def speaks_for(self) -> bool:
        """Whether it makes the prediction more likely."""
        return self.contribution > 0


def bars(reasons: Sequence[InsightReason], most: int | None = None) -> list[Bar]:
    """The reasons that count most, their bars on one scale."""
    scale = max((abs(reason.contribution) for reason in reasons), default=0.0) or 1.0
    drawn = []
    for reason in sorted(reasons, key=lambda reason: -abs(reason.contribution))[:most]:
        width = round(100 * abs(reason.contribution) / scale, 1)
        x = 100.0 if reason.contribution > 0 else round(100 - width, 1)
        drawn.append(Bar(indicator_name(reason.indicator, reason.label), reason.value, reason.contribution, x, width))
    return drawn


@dataclass(frozen=True)
class ScoreChart:
    """Scores over time as points of a chart of 640 × 200, y downwards; ``limit`` is the height of the minimum."""

    points: list[tuple[float, float, RunFacts, float]]
    line: str
    limit: float | None


def score_chart(runs: Sequence[RunFacts]) -> ScoreChart | None:
    """Chart the scores of evaluations, given the latest first; None when there is none."""
    scored = [(run, score) for run in reversed(runs) if (score := run.number("score")) is not None]
    if not scored:
        return None
    step = 560 / max(1, len(scored) - 1)
    points = [
        (round(50 + step * position, 1), _height(score), run, score) for position, (run, score) in enumerate(scored)
    ]  # fmt: skip
    least = scored[-1][0].number("min_score")
    line = " ".join(f"{x},{y}" for x, y, _, _ in points)
    return ScoreChart(points, line, None if least is None else _height(least))


@dataclass(frozen=True)
class CalibrationChart:
    """Courses as points of a chart of 340 × 340: x what was promised, y what there really was; both end at ``most``."""

    points: list[tuple[float, float, str]]
    most: int


def calibration_chart(courses: Sequence[Mapping[str, Any]]) -> CalibrationChart:
    """Chart the courses of a backtest."""
    most = math.ceil(max((max(course["promised"], course["real"]) for course in courses), default=0)) or 1
    points = [
        (round(40 + 280 * course["promised"] / most, 1), round(300 - 280 * course["real"] / most, 1), course["name"])
        for course in courses
    ]
    return CalibrationChart(points, most)


def _height(score: float) -> float:
    return round(170 - 150 * min(1.0, max(0.0, score)), 1)
