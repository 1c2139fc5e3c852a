"""Finding a sample id that occurs twice, in 16 bytes a row and without a second pass over the file."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

Indices = npt.NDArray[np.int64]

LARGEST_MERGED = 1 << 18
"""Ids of a run that is not merged with another one any more: that would take several times their memory."""


class SampleIds:
    """The ids seen so far, as 64-bit hashes in sorted runs, so few that each can be searched.

    Python's hash of a text has a secret key, so nobody can make up two ids with one hash, and a million of them have
    two by chance once in 40 million files.
    """

    def __init__(self) -> None:
        self._runs: list[tuple[Indices, Indices]] = []

    def add(self, ids: Sequence[str], first_row: int) -> tuple[int, int] | None:
        """Add the ids of some rows, the first of which is ``first_row``; returns the first two equal ones' rows."""
        hashes = np.fromiter(map(hash, ids), np.int64, len(ids))
        rows = np.arange(first_row, first_row + len(ids))
        run = _sorted(hashes, rows)
        pairs = [pair for other in self._runs if (pair := _shared(other, run)) is not None]
        equal = np.flatnonzero(run[0][1:] == run[0][:-1])
        pairs += zip(run[1][equal].tolist(), run[1][equal + 1].tolist(), strict=True)
        if pairs:
            return min(pairs, key=lambda pair: pair[1])
        while self._runs and len(self._runs[-1][0]) <= min(len(run[0]), LARGEST_MERGED):
            earlier = self._runs.pop()
            run = _sorted(np.concatenate([earlier[0], run[0]]), np.concatenate([earlier[1], run[1]]))
        self._runs.append(run)
        return None


def _sorted(hashes: Indices, rows: Indices) -> tuple[Indices, Indices]:
    order = np.argsort(hashes, kind="stable")
    return hashes[order], rows[order]


def _shared(earlier: tuple[Indices, Indices], later: tuple[Indices, Indices]) -> tuple[int, int] | None:
    """Return the rows of the first id of the later run that the earlier one has, too."""
    place = np.searchsorted(earlier[0], later[0])
    place[place == len(earlier[0])] = 0
    shared = np.flatnonzero(earlier[0][place] == later[0])
    if not len(shared):
        return None
    first = shared[later[1][shared].argmin()]
    return int(earlier[1][place[first]]), int(later[1][first])
