"""The samples that a run predicts: what is known of each, and what is news of them; hardly any of it in memory."""

from __future__ import annotations

from array import array
from typing import TYPE_CHECKING, Any

import numpy as np

from moodlemlbackend.errors import DataSetError
from moodlemlbackend.spooled import SpooledItems

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator

    import numpy.typing as npt

    from moodlemlbackend.analytics.db.dataset_files import DatasetFile

    Moment = tuple[int, int]
    """A context and the number of a range."""

    Explained = dict[str, Any]
    """``probability``, ``probability_range`` and ``reasons``, as a prediction is stored."""

SAMPLE = np.dtype(
    [
        ("sample", np.int64), ("range", np.int64), ("context", np.int64), ("start", np.int64), ("end", np.int64),
        ("prediction", np.float64), ("score", np.float64), ("news", np.bool_),
    ]
)  # fmt: skip
"""What is known of a sample; ``start`` and ``end`` of its range are Unix times, ``news`` says whether it is kept."""

_NONE = np.empty(0, np.int64)

NOT_EXPLAINED: Explained = {"probability": None, "probability_range": None, "reasons": []}

_TOLD_AT_ONCE = 4096


class Places:
    """The context of each sample and when its range begins and ends, as the data sets of single analysables say."""

    def __init__(self, parts: Iterable[DatasetFile]) -> None:
        samples, contexts, numbers = [_NONE], [_NONE], [_NONE]
        bounds: list[tuple[int, int, int]] = []
        for part in parts:
            ids = np.array([*part.details["contexts"]], np.int64)
            for index, (start, end) in part.details["ranges"].items():
                samples.append(ids)
                contexts.append(np.array([*part.details["contexts"].values()], np.int64))
                numbers.append(np.full(len(ids), len(bounds)))
                bounds.append((int(index), start, end))
        number, self._bounds = np.concatenate(numbers), np.array(bounds, np.int64).reshape(-1, 3)
        self._ranges = np.unique(self._bounds[:, 0])
        keys = self._keys_of(np.concatenate(samples), self._bounds[number, 0])
        order = np.argsort(keys, kind="stable")
        self._keys, self._contexts, self._numbers = keys[order], np.concatenate(contexts)[order], number[order]

    def fill(self, rows: npt.NDArray[Any]) -> None:
        """Add to rows of :data:`SAMPLE` what their sample and range say; the newest file counts."""
        keys = self._keys_of(rows["sample"], rows["range"])
        at = np.searchsorted(self._keys, keys, side="right") - 1
        if len(unknown := np.flatnonzero(self._keys[at] != keys)):
            row = rows[unknown[0]]
            raise DataSetError(
                f"The store does not know where the sample {row['sample']}-{row['range']} comes from; clear the model."
            )
        rows["context"] = self._contexts[at]
        rows["start"], rows["end"] = self._bounds[self._numbers[at], 1:].T

    def _keys_of(self, samples: npt.NDArray[np.int64], ranges: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        before, until = (np.searchsorted(self._ranges, ranges, side) for side in ("left", "right"))
        keys: npt.NDArray[np.int64] = samples * (2 * len(self._ranges) + 1) + before + until
        return keys


class News:
    """The predictions that are news, by column, each with why it is as it is."""

    def __init__(self) -> None:
        self._items, self._contexts = SpooledItems(), array("q")

    def __len__(self) -> int:
        return len(self._items)

    def __iter__(self) -> Iterator[tuple[dict[str, Any], Explained]]:
        return map(tuple, self._items)

    def __getitem__(self, position: int) -> tuple[dict[str, Any], Explained]:
        row, explained = self._items[position]
        return row, explained

    def add(self, row: dict[str, Any], explained: Explained = NOT_EXPLAINED) -> None:
        """Add a prediction behind the others."""
        self._items.add((row, explained))
        self._contexts.append(row["contextid"])

    def by_context(self, without: Collection[int]) -> Iterator[list[int]]:
        """Positions of those to be told of together: of some contexts all; in the order in which contexts come."""
        contexts = np.array(self._contexts)
        _, first, of = np.unique(contexts, return_index=True, return_inverse=True)
        together: list[int] = []
        before = None
        for position in np.argsort(first[of], kind="stable").tolist():
            if (context := self._contexts[position]) in without:
                continue
            if context != before and len(together) >= _TOLD_AT_ONCE:
                yield together
                together = []
            together.append(position)
            before = context
        if together:
            yield together


def by_moment(rows: npt.NDArray[Any]) -> Iterator[tuple[Moment, npt.NDArray[np.int64]]]:
    """Positions of the rows of :data:`SAMPLE` of each moment among them."""
    order = np.lexsort((rows["range"], rows["context"]))
    contexts, ranges = rows["context"][order], rows["range"][order]
    ends = np.flatnonzero((contexts[1:] != contexts[:-1]) | (ranges[1:] != ranges[:-1])) + 1
    for positions in np.split(order, ends):
        first = rows[positions[0]]
        yield (int(first["context"]), int(first["range"])), positions
