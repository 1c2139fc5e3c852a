"""Drawings of pages, as numbers for SVG."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from moodlemlbackend.server.pages.texts import indicator_name

if TYPE_CHECKING:
    from collections.abc import Sequence

    from moodlemlbackend.analytics.insights.listing import InsightReason


@dataclass(frozen=True)
class Bar:
    """A reason as a bar in a drawing 200 wide, to the right of the middle if it speaks for the prediction."""

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
    found = []
    for reason in sorted(reasons, key=lambda one: -abs(one.contribution))[:most]:
        width = round(100 * abs(reason.contribution) / scale, 1)
        x = 100.0 if reason.contribution > 0 else round(100 - width, 1)
        found.append(Bar(indicator_name(reason.indicator, reason.label), reason.value, reason.contribution, x, width))
    return found
