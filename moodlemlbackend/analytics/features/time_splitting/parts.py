"""Methods that cut the whole duration: into one range, equal parts, or parts that grow from the start."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from moodlemlbackend.analytics.features.analysables.analysable import MAX_TIME, Analysable
from moodlemlbackend.analytics.features.ranges import Ranges
from moodlemlbackend.analytics.features.time_splitting.time_splitting import Clock, Family, TimeSplitting


class SingleRange(TimeSplitting):
    """The whole duration, ready at once."""

    id = r"\core\analytics\time_splitting\single_range"
    whole = True

    def define(self, analysable: Analysable, clock: Clock) -> Ranges:  # noqa: ARG002
        """One range."""
        return Ranges.of([(analysable.start, analysable.end, 0)])


class NoSplitting(TimeSplitting):
    """All of time, always ready."""

    id = r"\core\analytics\time_splitting\no_splitting"
    whole = True
    family = Family.NONE

    def define(self, analysable: Analysable, clock: Clock) -> Ranges:  # noqa: ARG002
        """One range without a start."""
        return Ranges.of([(0, MAX_TIME, 0)])


class EqualParts(TimeSplitting):
    """``parts`` ranges of equal length; no second belongs to two of them unless the analysable is very short."""

    parts: ClassVar[int]

    def __init_subclass__(cls) -> None:
        cls.range_columns = cls.parts

    def define(self, analysable: Analysable, clock: Clock) -> Ranges:  # noqa: ARG002
        """Equal parts."""
        length = (analysable.end - analysable.start) / self.parts
        starts = [analysable.start + int(length * part) for part in range(self.parts)]
        ends = [analysable.start + int(length * part) for part in range(1, self.parts + 1)]
        if length >= self.parts:
            starts[1:] = [start + (start == end) for start, end in zip(starts[1:], ends, strict=False)]
        ends[-1] = analysable.end
        return _ready_at_end(starts, ends)


class Accumulative(TimeSplitting):
    """``parts`` ranges that all begin at the start; each ends one part later."""

    parts: ClassVar[int]

    def __init_subclass__(cls) -> None:
        cls.range_columns = cls.parts

    def define(self, analysable: Analysable, clock: Clock) -> Ranges:  # noqa: ARG002
        """Growing parts."""
        length = (analysable.end - analysable.start) / self.parts
        ends = [analysable.start + int(length * part) for part in range(1, self.parts + 1)]
        ends[-1] = analysable.end
        return _ready_at_end([analysable.start] * self.parts, ends)


def _ready_at_end(starts: list[int], ends: list[int]) -> Ranges:
    return Ranges(np.array(starts, np.int64), np.array(ends, np.int64), np.array(ends, np.int64))


class Quarters(EqualParts):
    """Quarters."""

    id = r"\core\analytics\time_splitting\quarters"
    parts = 4


class QuartersAccum(Accumulative):
    """Quarters, each with all before it."""

    id = r"\core\analytics\time_splitting\quarters_accum"
    parts = 4


class Deciles(EqualParts):
    """Tenths."""

    id = r"\core\analytics\time_splitting\deciles"
    parts = 10


class DecilesAccum(Accumulative):
    """Tenths, each with all before it."""

    id = r"\core\analytics\time_splitting\deciles_accum"
    parts = 10
