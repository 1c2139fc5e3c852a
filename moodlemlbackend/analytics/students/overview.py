"""The overview of a course: how many students are in each band, now and in the parts of the course so far."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from moodlemlbackend.analytics.students.bands import Band, band_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from moodlemlbackend.analytics.db.risks import Risk
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
    """The bands of every part of the course that was predicted, in the order of prediction.

    Who was not predicted then is in the band NONE.
    """
    parts: dict[int, list[Risk]] = {}
    for row in rows:
        for risk in row.trend:
            parts.setdefault(risk.rangeindex, []).append(risk)
    history = []
    for part in sorted(parts.values(), key=lambda part: max((risk.created, risk.rangeindex) for risk in part)):
        counted = Counter(band_of(risk, minimum_score) for risk in part)
        counts = {band: counted[band] for band in Band} | {Band.NONE: len(rows) - len(part)}
        history.append(BandCounts(max(risk.end for risk in part), counts))
    return history
