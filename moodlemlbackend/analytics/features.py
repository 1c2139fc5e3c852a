"""Features: the columns of a data set, made of the values of indicators."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from moodlemlbackend.analytics.indicators.base import MAXIMUM, MINIMUM, Indicator, Kind
from moodlemlbackend.analytics.rounding import php_round
from moodlemlbackend.errors import IndicatorError

Values = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Features:
    """Rows of a data set: all samples of the first range, then all of the second, and so on.

    ``values`` has the shape (rows, columns), NaN for an empty cell. ``stored`` marks cells that a stored calculation
    fills with its own text, such as ``1.00``; None when there are none. ``samples`` and ``ranges`` are the positions
    of each row's sample and range: (rows,).
    """

    values: Values
    samples: npt.NDArray[np.int64]
    ranges: npt.NDArray[np.int64]
    stored: npt.NDArray[np.bool_] | None = None

    def __len__(self) -> int:
        return len(self.values)

    def cells(self) -> npt.NDArray[np.float64] | npt.NDArray[np.object_]:
        """What a data set file holds: the values, with the texts of stored calculations."""
        if self.stored is None or not self.stored.any():
            return self.values
        cells = self.values.astype(object)
        cells[self.stored] = [f"{value:.2f}" for value in self.values[self.stored]]
        return cells


def headers(indicators: Sequence[Indicator], range_columns: int) -> list[str]:
    """Names of the columns of features."""
    names = [f"range/{number}" for number in range(range_columns)]
    for indicator in indicators:
        if indicator.kind is Kind.DISCRETE:
            names += [f"{indicator.id}/{value}" for value in indicator.classes]
        else:
            names.append(indicator.id)
            if _has_mean(indicator):
                names.append(f"{indicator.id}/mean")
    return names


def assemble(
    indicators: Sequence[Indicator],
    values: Mapping[str, Values],
    indexes: npt.NDArray[np.int64],
    range_columns: int,
    stored: Mapping[str, npt.NDArray[np.bool_]] | None = None,
) -> Features:
    """Make rows of the values of each indicator, (ranges, samples) by its id.

    ``indexes`` are the numbers of the ranges. Rows without any value are left out. ``stored`` marks the values that
    come from stored calculations.
    """
    ranges, samples = next(iter(values.values())).shape
    marks = stored or {}
    columns: list[Values] = []
    texts: list[npt.NDArray[np.bool_]] = []
    plain = np.zeros((ranges, samples), bool)
    for indicator in indicators:
        own = values[indicator.id]
        if indicator.kind is Kind.DISCRETE:
            made = [np.where(own == value, 1.0, 0.0) for value in indicator.classes]
        elif indicator.kind is Kind.LINEAR:
            made = [php_round(own), *([_means(own)] if _has_mean(indicator) else [])]
        else:
            made = [own]
        columns += made
        as_text = indicator.kind is Kind.BINARY and indicator.id in marks
        texts += [marks[indicator.id] if as_text else plain] * len(made)
    table = np.stack(columns, axis=2).reshape(ranges * samples, len(columns))
    filled = ~np.logical_and.reduce([np.isnan(own) for own in values.values()]).reshape(-1)
    kept = np.flatnonzero(filled)
    one_hot = (indexes[kept // max(samples, 1)][:, None] == np.arange(range_columns)).astype(np.float64)
    marked = None
    if marks:
        marked = np.stack(texts, axis=2).reshape(ranges * samples, len(columns))[kept]
        marked = np.hstack([np.zeros(one_hot.shape, bool), marked])
    return Features(np.hstack([one_hot, table[kept]]), kept % max(samples, 1), kept // max(samples, 1), marked)


def check_values(indicator: Indicator, values: Values, shape: tuple[int, int], analysable: str) -> Values:
    """Return the values as floats; raises :class:`IndicatorError` when one is out of range or their shape is wrong."""
    made = np.asarray(values, np.float64)
    if made.shape != shape:
        try:
            made = np.broadcast_to(made, shape)
        except ValueError:
            raise IndicatorError(
                f"The indicator {indicator.id} returned values of shape {made.shape} for {analysable}; "
                f"it must be (ranges, samples), here {shape}."
            ) from None
    if indicator.kind is not Kind.DISCRETE:
        outside = (made < MINIMUM) | (made > MAXIMUM)
        if outside.any():
            raise IndicatorError(
                f"The indicator {indicator.id} gives {made[outside][0]:g} for {analysable}, outside of -1 to 1."
            )
    return made


def _has_mean(indicator: Indicator) -> bool:
    return indicator.kind is Kind.LINEAR and indicator.average


def _means(values: Values) -> Values:
    """The mean of each range, over all samples, those without a value as 0; added up in the order of the samples."""
    if not values.shape[1]:
        return values
    empty = np.isnan(values)
    totals = np.add.accumulate(np.where(empty, 0.0, values), axis=1)[:, -1]
    means = np.where(empty.all(axis=1), np.nan, php_round(totals / values.shape[1]))
    return np.broadcast_to(means[:, None], values.shape)
