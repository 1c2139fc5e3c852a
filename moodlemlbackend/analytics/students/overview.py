"""The overview of a course: how many students are in each band, now and in the parts of the course so far."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from moodlemlbackend.analytics.students.bands import Band, band_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from moodlemlbackend.analytics.students.roster import RosterRow


@dataclass(frozen=True)
class BandCounts:
    """How many students were in each band in a part of the course, which ends at ``end``, a Unix time."""

    end: int
    counts: Mapping[Band, int]


def current_bands(rows: Sequence[RosterRow]) -> dict[Band, int]:
    """How many students are in each band now."""
    counts = Counter(row.band for row in rows)
    return {band: counts[band] for band in Band}


def band_history(rows: Sequence[RosterRow], minimum_score: float) -> list[BandCounts]:
    """The bands of every part of the course that was predicted, the first one first.

    Who was not predicted then is in the band NONE.
    """
    ends: dict[int, int] = {}
    counts: dict[int, Counter[Band]] = {}
    for row in rows:
        for risk in row.trend:
            ends[risk.rangeindex] = max(ends.get(risk.rangeindex, 0), risk.end)
            counts.setdefault(risk.rangeindex, Counter())[band_of(risk, minimum_score)] += 1
    history = []
    for index in sorted(counts):
        of_range = {band: counts[index][band] for band in Band}
        of_range[Band.NONE] = len(rows) - sum(of_range.values())
        history.append(BandCounts(ends[index], of_range))
    return history
