"""What was calculated of a sample, as people read it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from moodlemlbackend.dataset.columns import TIME, IndicatorColumns, indicators_of

if TYPE_CHECKING:
    from collections.abc import Mapping

_MODELS = 16
"""Whose columns are remembered."""


@dataclass(frozen=True)
class IndicatorValue:
    """A calculated indicator of a sample; ``good`` is False where the value is below the middle."""

    id: str
    label: str
    value: str
    good: bool


def indicator_values(calculations: Mapping[str, Any]) -> tuple[IndicatorValue, ...]:
    """The calculated indicators of a prediction, without those that could not be calculated."""
    row, values = _row(calculations), []
    for indicator in indicators_of([*calculations]):
        cells = row[list(indicator.columns)]
        if indicator.name == TIME or np.isnan(cells).all():
            continue
        own = cells[indicator.parts.index("")] if "" in indicator.parts else 1.0
        if not np.isnan(own):
            values.append(IndicatorValue(indicator.name, indicator.label, indicator.value(row), bool(own >= 0)))
    return tuple(values)


def value_in_words(calculations: Mapping[str, Any], indicator: str, otherwise: str) -> str:
    """The value of one indicator; ``otherwise`` for one that is not among them."""
    columns = _by_name(tuple(calculations)).get(indicator)
    return columns.value(_row(calculations)) if columns else otherwise


@lru_cache(_MODELS)
def _by_name(columns: tuple[str, ...]) -> dict[str, IndicatorColumns]:
    return {indicator.name: indicator for indicator in indicators_of(columns)}


def _row(calculations: Mapping[str, Any]) -> npt.NDArray[np.float64]:
    return np.array([np.nan if value is None else float(value) for value in calculations.values()])
