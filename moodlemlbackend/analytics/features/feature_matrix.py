"""Features: the columns of a data set, made of the values of indicators."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from moodlemlbackend.analytics.features.indicators.indicator import MAXIMUM, MINIMUM, Indicator, Kind
from moodlemlbackend.analytics.features.rounding import php_round
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
            if indicator.kind is Kind.LINEAR and indicator.average:
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
    stack = np.stack([values[indicator.id] for indicator in indicators])
    _, ranges, samples = stack.shape
    filled = np.flatnonzero(~np.isnan(stack).all(axis=0).reshape(-1))
    linear = [number for number, indicator in enumerate(indicators) if indicator.kind is Kind.LINEAR]
    rounded = dict(zip(linear, php_round(stack[linear]), strict=True))
    means = dict(zip(linear, _means(stack[linear]), strict=True))
    marks = stored or {}
    columns: list[Values] = []
    texts: list[npt.NDArray[np.bool_]] = []
    for number, indicator in enumerate(indicators):
        if indicator.kind is Kind.DISCRETE:
            made = [np.where(stack[number] == value, 1.0, 0.0) for value in indicator.classes]
        elif indicator.kind is Kind.LINEAR:
            made = [rounded[number], *([means[number]] if indicator.average else [])]
        else:
            made = [stack[number]]
        columns += made
        as_text = indicator.kind is Kind.BINARY and indicator.id in marks
        texts += [marks[indicator.id] if as_text else np.zeros((ranges, samples), bool)] * len(made)
    one_hot = indexes[filled // max(samples, 1)][:, None] == np.arange(range_columns)
    marked = None
    if marks:
        marked = np.hstack([np.zeros(one_hot.shape, bool), _rows(texts, filled)])
    table = np.hstack([one_hot.astype(np.float64), _rows(columns, filled)])
    return Features(table, filled % max(samples, 1), filled // max(samples, 1), marked)


def _rows(columns: Sequence[npt.NDArray[Any]], kept: npt.NDArray[np.intp]) -> npt.NDArray[Any]:
    """Columns of (ranges, samples) as the kept rows of a table."""
    return np.stack(columns, axis=2).reshape(-1, len(columns))[kept]


def check_values(indicators: Sequence[Indicator], values: Mapping[str, Values], analysable: str) -> None:
    """Raise :class:`IndicatorError` when a value is none of its indicator's kind; NaN always is one."""
    alike: dict[tuple[float, ...], list[str]] = {}
    for indicator in indicators:
        steps = {Kind.BINARY: (MINIMUM, MAXIMUM), Kind.DISCRETE: indicator.classes, Kind.LINEAR: ()}[indicator.kind]
        alike.setdefault(steps, []).append(indicator.id)
    for steps, names in alike.items():
        stack = np.stack([values[name] for name in names])
        wrong = ~np.isin(stack, steps) & ~np.isnan(stack) if steps else (stack < MINIMUM) | (stack > MAXIMUM)
        if wrong.any():
            first = int(wrong.any(axis=(1, 2)).argmax())
            raise IndicatorError(
                f"The indicator {names[first]} gives {stack[first][wrong[first]][0]:g} for {analysable}, which is "
                + (f"none of its values {', '.join(f'{step:g}' for step in steps)}." if steps else "outside -1 to 1.")
            )


def _means(values: Values) -> Values:
    """The mean of each indicator and range over all samples, those without a value as 0, in place of each value.

    Values are added up in the order of the samples, as Moodle does.
    """
    if not values.size:
        return values
    empty = np.isnan(values)
    totals = np.add.accumulate(np.where(empty, 0.0, values), axis=2)[:, :, -1]
    means = np.where(empty.all(axis=2), np.nan, php_round(totals / values.shape[2]))
    return np.broadcast_to(means[:, :, None], values.shape)
