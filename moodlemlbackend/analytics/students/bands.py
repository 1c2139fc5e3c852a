"""Risk bands: how the risk of a student is shown before anybody reads a number.

A model's decision score is its calibrated probability with the logit moved so that the model's threshold lies at .5.
Moodle shows an insight from .6 on (:attr:`.Target.minimum_score`): from there on the band is high. As far below the
threshold as that is above it, the band is low; between the two lies medium, where the model cannot decide.
"""

from __future__ import annotations

import math
from enum import Enum
from typing import TYPE_CHECKING

from moodlemlbackend.analytics.features import definitions
from moodlemlbackend.analytics.features.targets.target import PREDICTION_MIN_SCORE

if TYPE_CHECKING:
    from moodlemlbackend.analytics.db.risks import Risk
    from moodlemlbackend.analytics.models import AnalyticsModel

_TINY = 1e-9


class Band(Enum):
    """How high a student's risk is; the order is that of urgency."""

    HIGH = "high"
    MEDIUM = "medium"
    LOW = "low"
    NONE = "none"
    """Not predicted yet."""

    @property
    def rank(self) -> int:
        """0 for the most urgent."""
        return [*Band].index(self)


def band_of(risk: Risk | None, minimum: float = PREDICTION_MIN_SCORE) -> Band:
    """The band of a risk; ``minimum`` is the model's :func:`minimum_score`."""
    if risk is None:
        return Band.NONE
    if risk.probability >= probability_at(minimum, risk.threshold):
        return Band.HIGH
    return Band.LOW if risk.probability <= probability_at(1 - minimum, risk.threshold) else Band.MEDIUM


def minimum_score(model: AnalyticsModel | None) -> float:
    """The decision score from which on a model's target has insights; Moodle's without a model."""
    return definitions.target(model.target).minimum_score if model else PREDICTION_MIN_SCORE


def probability_at(score: float, threshold: float) -> float:
    """The calibrated probability that has a decision score, by the model's threshold."""
    logit = _logit(score) + _logit(threshold)
    return 1 / (1 + math.exp(-logit))


def _logit(probability: float) -> float:
    inside = min(max(probability, _TINY), 1 - _TINY)
    return math.log(inside) - math.log1p(-inside)
