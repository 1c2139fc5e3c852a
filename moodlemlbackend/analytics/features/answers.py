"""What elements answer when they are asked about an analysable: only what their contracts allow.

An element may be a third party's. A fault in its code, and an answer that it may not give, become a sentence that names
the element, the analysable and what to correct.
"""

from __future__ import annotations

import datetime
import traceback
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from moodlemlbackend.analytics.features.analysable_samples import AnalysableSamples
from moodlemlbackend.analytics.features.analysables import Analysable, Course
from moodlemlbackend.analytics.features.indicators import Indicator
from moodlemlbackend.analytics.features.indicators.indicator import as_floats, shaped
from moodlemlbackend.analytics.features.ranges import Ranges
from moodlemlbackend.analytics.features.refusal import Refusal
from moodlemlbackend.analytics.features.targets import Target
from moodlemlbackend.analytics.features.targets.target import WHOLE, Window
from moodlemlbackend.analytics.features.time_splitting import Clock, TimeSplitting
from moodlemlbackend.errors import BackendError, SiteError

Values = npt.NDArray[np.float64]
Answer = TypeVar("Answer")


def name_of(analysable: Analysable) -> str:
    """How messages call an analysable."""
    return f"{analysable.name} (id {analysable.id})"


def accepts(target: Target, method: TimeSplitting) -> bool:
    """Whether a target works with a time splitting method."""
    return _ask(f"target {target.id}", method, lambda: bool(target.accepts(method)))


def refusal(target: Target, analysable: Any, *, training: bool) -> Refusal | None:
    """Why a target refuses an analysable; None when it does not."""
    asked = f"target {target.id}"
    return _refusal(asked, analysable, _ask(asked, analysable, lambda: target.refuses(analysable, training=training)))


def log_bounds(target: Target, analysable: Any) -> set[int]:
    """Unix times at which a target will have the logs of an analysable cut."""
    return _ask(f"target {target.id}", analysable, lambda: {int(bound) for bound in target.log_bounds(analysable)})


def refusal_of(indicators: Iterable[Indicator], analysable: Any) -> Refusal | None:
    """Why an analysable cannot be used with some indicators: the first that refuses it, if it is a course."""
    if not isinstance(analysable, Course):
        return None
    for indicator in indicators:
        asked = f"indicator {indicator.id}"
        answer = _ask(asked, analysable, lambda asking=indicator: asking.refuses(analysable))  # type: ignore[misc]
        if reason := _refusal(asked, analysable, answer):
            return reason
    return None


def valid_samples(target: Target, samples: AnalysableSamples, *, training: bool) -> npt.NDArray[np.bool_]:
    """Which samples a target can judge: (samples,)."""
    asked = f"target {target.id}"
    mask = _ask(asked, samples.analysable, lambda: np.asarray(target.valid_samples(samples, training=training)))
    if mask.shape != (len(samples),) or (len(mask) and mask.dtype != bool):
        raise _wrong(
            asked, samples.analysable, f"valid_samples returned {mask.dtype} of shape {mask.shape}",
            f"it must return True or False for each sample, in the shape ({len(samples)},)",
        )  # fmt: skip
    return mask.astype(bool, copy=False)


def labels(target: Target, samples: AnalysableSamples, window: Window = WHOLE) -> Values:
    """The class, or the number, that a target gives each sample, NaN for none: (samples,)."""
    asked = f"target {target.id}"
    made = _ask(asked, samples.analysable, lambda: as_floats(target.calculate(samples, window)))
    if made.shape != (len(samples),):
        raise _wrong(
            asked, samples.analysable, f"calculate returned values of shape {made.shape}",
            f"it must return a value for each sample, in the shape ({len(samples)},)",
        )  # fmt: skip
    allowed = np.isnan(made)
    if target.linear:
        allowed |= (made >= target.minimum) & (made <= target.maximum)
        those = f"lie between its minimum and maximum, {target.minimum:g} and {target.maximum:g}"
    else:
        allowed |= np.isin(made, target.classes)
        those = f"be one of its classes, {', '.join(map(str, target.classes))}"
    if not allowed.all():
        value = f"{made[~allowed][0]:.10g}"
        raise _wrong(asked, samples.analysable, f"calculate returned {value}", f"every value must {those}, or be NaN")
    return made


def cut(method: TimeSplitting, analysable: Analysable, clock: Clock, *, training: bool) -> Ranges | None:
    """The ranges of an analysable that are used to train or predict; None where the method does not accept it."""
    asked = f"interval {method.id}"
    if not _ask(asked, analysable, lambda: method.accepts(analysable, clock)):
        return None
    ranges = _ask(asked, analysable, lambda: method.define(analysable, clock))
    _check_ranges(method, ranges, analysable)
    choose = method.training_ranges if training else method.prediction_ranges
    used = _ask(asked, analysable, lambda: choose(ranges, clock))
    _check_ranges(method, used, analysable)
    return used


def moments(method: TimeSplitting, analysable: Analysable, zone: datetime.tzinfo) -> list[int]:
    """Unix times at which another range of an analysable becomes ready."""
    return _ask(f"interval {method.id}", analysable, lambda: method.moments(analysable, zone))


def values(indicator: Indicator, samples: AnalysableSamples, ranges: Ranges) -> Values:
    """What an indicator calculates: (ranges, samples)."""

    def calculate() -> Values:
        made = indicator.calculate(samples, ranges)
        return shaped(indicator, made, (len(ranges), len(samples)), name_of(samples.analysable))

    return _ask(f"indicator {indicator.id}", samples.analysable, calculate)


def _ask(asked: str, about: Analysable | TimeSplitting, answer: Callable[[], Answer]) -> Answer:
    """What an element answers; a fault in its code becomes a sentence that names the line."""
    try:
        return answer()
    except BackendError:
        raise
    except Exception as error:
        frame = traceback.extract_tb(error.__traceback__)[-1]
        where = f"{type(error).__name__} in line {frame.lineno} of {Path(frame.filename).name}"
        named = about.id if isinstance(about, TimeSplitting) else name_of(about)
        raise SiteError(f"The {asked} failed for {named}: {error} ({where}); correct it or leave it out.") from error


def _wrong(asked: str, analysable: Analysable, returned: str, must: str) -> SiteError:
    return SiteError(f"The {asked} cannot be used for {name_of(analysable)}: its {returned}; {must}.")


def _refusal(asked: str, analysable: Analysable, answer: object) -> Refusal | None:
    if answer is None or isinstance(answer, Refusal):
        return answer
    raise _wrong(asked, analysable, f"refuses returned {answer!r:.60}", "it must return a Refusal or None")


def _check_ranges(method: TimeSplitting, ranges: object, analysable: Analysable) -> None:
    """Raise SiteError for what are no ranges, for ranges without a column, and for any that start after their end.

    The latter may only be where the analysable does so itself, or has no end.
    """
    asked = f"interval {method.id}"
    if not isinstance(ranges, Ranges):
        raise _wrong(asked, analysable, f"define returned {ranges!r:.60}", "it must return Ranges")
    arrays = [np.asarray(array) for array in (ranges.starts, ranges.ends, ranges.times, ranges.indexes)]
    if any(array.dtype.kind != "i" or array.shape != (len(arrays[0]),) for array in arrays):
        raise _wrong(
            asked, analysable, "ranges are not arrays of whole numbers of one length", "Ranges.of makes such arrays"
        )
    starts, ends, _, indexes = arrays
    if method.range_columns and ((indexes < 0) | (indexes >= method.range_columns)).any():
        raise _wrong(
            asked, analysable, f"ranges have the indexes {indexes.min()} to {indexes.max()}",
            f"they must lie from 0 to {method.range_columns - 1}, for it has {method.range_columns} range_columns",
        )  # fmt: skip
    late = starts > ends
    if late.any() and 0 < analysable.start <= analysable.end:
        raise _wrong(
            asked, analysable, f"range {indexes[late][0]} starts at {starts[late][0]} and ends at {ends[late][0]}",
            "no range may start after its end",
        )  # fmt: skip
