"""Ranges of time, and arrays over them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

Times = npt.NDArray[np.int64]
Array = TypeVar("Array", bound=npt.NDArray[Any])


def read_only(array: Array) -> Array:
    """A view of an array that cannot be written to: an element must not change what the others are given."""
    view = array.view()
    view.flags.writeable = False
    return view


@dataclass(frozen=True, eq=False)
class Ranges:
    """Ranges of one analysable by one time splitting method, each of shape (ranges,).

    ``starts`` and ``ends`` are Unix times, 0 when not set; a log belongs to a range that is open at its start and
    closed at its end. ``times`` is when each may be used; ``indexes`` the number of each, which names it for good.
    """

    starts: Times
    ends: Times
    times: Times
    indexes: Times = field(default_factory=lambda: np.empty(0, np.int64))

    def __post_init__(self) -> None:
        if len(self.indexes) != len(self.starts):
            object.__setattr__(self, "indexes", np.arange(len(self.starts)))
        for name in ("starts", "ends", "times", "indexes"):
            object.__setattr__(self, name, read_only(getattr(self, name)))

    def __len__(self) -> int:
        return len(self.starts)

    def take(self, chosen: npt.NDArray[np.intp] | Sequence[int]) -> Ranges:
        """The ranges at these positions."""
        where = np.asarray(chosen)
        return Ranges(self.starts[where], self.ends[where], self.times[where], self.indexes[where])

    @property
    def bounds(self) -> set[int]:
        """Every start and end that is set."""
        return {int(bound) for bound in (*self.starts, *self.ends) if bound}

    @classmethod
    def of(cls, triples: Iterable[tuple[int, int, int]]) -> Ranges:
        """Ranges from (start, end, time)."""
        table = np.array(list(triples), np.int64).reshape(-1, 3)
        return cls(table[:, 0], table[:, 1], table[:, 2])
