"""Columns of a data set as the indicators they belong to, and cells as people read them.

Moodle gives an indicator one column (binary), two (linear: ``X`` and ``X/mean``, the mean over the course) or one a
class (discrete: ``X/class``); ``range/N`` says which part of the course a sample is of.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from moodlemlbackend.dataset.words import say
from moodlemlbackend.language.numbers import number

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

TIME = "range"
"""Name of what the columns ``range/N`` belong to."""

AFTER_END = r"\core\analytics\indicator\any_access_after_end"
"""The core indicator that is known only after a course has ended: always -1 while it runs."""

_ID = re.compile(r"\\?(?P<component>\w+)\\(?:\w+\\)*indicator\\(?P<name>\w+)", re.ASCII)
_PLAIN_COMPONENT = re.compile(r"core(_\w+)?", re.ASCII)


@dataclass(frozen=True)
class IndicatorColumns:
    """An indicator and its columns.

    ``name`` as the file has it, ``label`` as people read it; ``parts`` the rest of each column's name after ``name``:
    an empty text for the value itself, ``mean``, a class, or the number of a part of the course.
    """

    name: str
    label: str
    columns: tuple[int, ...]
    parts: tuple[str, ...]

    def value(self, row: npt.NDArray[np.floating]) -> str:
        """The value in a (columns,) row of a data set, as people read it."""
        cells = {part: float(row[column]) for part, column in zip(self.parts, self.columns, strict=True)}
        if "" in cells:
            return self._plain_value(cells)
        chosen = [part for part, cell in cells.items() if cell == 1]
        others = [cell for cell in cells.values() if cell != 1]
        if len(cells) > 1 and not any(others) and len(chosen) <= 1:
            if self.name == TIME:
                if chosen and chosen[0].isdecimal():
                    return say("part", part=int(chosen[0]) + 1, parts=len(cells))
                return say("part none")
            return chosen[0] if chosen else say("not calculated")
        return ", ".join(f"{part} {_number(cell)}" for part, cell in cells.items())

    def _plain_value(self, cells: dict[str, float]) -> str:
        value = cells[""]
        if math.isnan(value):
            text = say("not calculated")
        elif len(cells) == 1 and abs(value) == 1 and _ID.fullmatch(self.name):
            text = say("yes") if value > 0 else say("no")
        else:
            text = _number(value)
        mean = cells.get("mean", math.nan)
        return text if math.isnan(mean) else say("value", value=text, mean=_number(mean))


def indicators_of(columns: Sequence[str]) -> tuple[IndicatorColumns, ...]:
    """Group the columns of a data set by indicator, in the order of the first column of each."""
    grouped: dict[str, list[tuple[int, str]]] = {}
    for position, column in enumerate(columns):
        name, _, part = column.partition("/")
        grouped.setdefault(name, []).append((position, part))
    labels = {name: _label(name, [part for _, part in members]) for name, members in grouped.items()}
    times = Counter(labels.values())
    return tuple(
        IndicatorColumns(
            name,
            labels[name] if times[labels[name]] == 1 else name,
            tuple(position for position, _ in members),
            tuple(part for _, part in members),
        )
        for name, members in grouped.items()
    )


def _label(name: str, parts: list[str]) -> str:
    if name == TIME and all(part.isdecimal() for part in parts):
        return say("time")
    match = _ID.fullmatch(name)
    if not match:
        return name
    component, words = match["component"], match["name"].replace("_", " ")
    return words if _PLAIN_COMPONENT.fullmatch(component) else f"{component.removeprefix('mod_')}: {words}"


def _number(value: float) -> str:
    return say("not calculated") if math.isnan(value) else number(value, ".4g")
