"""Runs side by side, with a test of whether one is better than another.

Evaluations of one data set with one seed have the same splits, so their figures are compared split by split. Splits
share their training rows; the variance of the mean difference is corrected for it: the corrected resampled t-test
(Nadeau & Bengio 2003, Machine Learning 52). With several comparisons, p-values are Holm's (1979).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from moodlemlbackend.errors import UsageError, unknown
from moodlemlbackend.metrics import standard_error
from moodlemlbackend.report import curves
from moodlemlbackend.report.record import EVALUATION, Record, read_record

METRICS = ("mcc", "auc", "f1_score", "accuracy", "balanced accuracy", "average precision", "Brier score")
LOWER_IS_BETTER = ("Brier score",)
_HELD_OUT = {"course": "whole courses", "row": "single rows", "time": "the later courses"}
LEVEL = 0.05
"""p-values under it are called a difference."""


@dataclass(frozen=True)
class Difference:
    """How much better a run is than the first one; negative when it is worse.

    ``low`` and ``high`` bound the mean difference with a confidence of 95 %; ``p`` is of the hypothesis that there is
    none, two-sided, and corrected for the number of comparisons.
    """

    mean: float
    low: float
    high: float
    p: float


@dataclass(frozen=True)
class Compared:
    """One of the runs: mean and standard deviation of each metric, and its difference from the first run.

    ``held_out`` says what its splits hold out, ``seen`` are its figures in courses that it has seen, empty where
    ``metrics`` are those. ``why_not`` says why there is no test; None where there is one, and for the first run.
    """

    folder: str
    about: dict[str, str]
    splits: int
    metrics: dict[str, tuple[float, float]]
    held_out: str
    seen: dict[str, float]
    difference: Difference | None = None
    why_not: str | None = None

    def as_dict(self) -> dict[str, Any]:
        """Everything as JSON can hold it."""
        facts = asdict(self)
        facts["metrics"] = {
            name: {"mean": _finite(mean), "deviation": _finite(deviation)}
            for name, (mean, deviation) in self.metrics.items()
        }
        return facts


def compare(folders: Sequence[Path], metric: str = "mcc") -> list[Compared]:
    """Compare runs with the first of them.

    Raises
    ------
    UsageError
        Fewer than two runs, an unknown metric, or a folder without a report.
    ModelError
        A report is damaged.
    """
    if len(folders) < 2:
        raise UsageError("A comparison needs at least two runs; give their folders, such as DIR/logs/1700000000000.")
    if metric not in METRICS:
        raise unknown("metric", metric, METRICS, f"choose one of {', '.join(METRICS)}.")
    records = [read_record(folder) for folder in folders]
    tables = [[curves.figures_of(held) for held in record.held] for record in records]
    differences: dict[int, Difference] = {}
    reasons: dict[int, str] = {}
    for number in range(1, len(records)):
        reason = not_comparable(records[0], records[number])
        if reason is None:
            pairs = [(figures[metric], other[metric]) for figures, other in zip(tables[0], tables[number], strict=True)]
            sign = -1 if metric in LOWER_IS_BETTER else 1
            difference = corrected_t_test([sign * (other - figures) for figures, other in pairs])
            if difference is None:
                reason = f"the {metric} is undefined in some split"
            else:
                differences[number] = difference
        if reason is not None:
            reasons[number] = reason
    corrected = holm([figures.p for figures in differences.values()])
    for number, p in zip(differences, corrected, strict=True):
        figures = differences[number]
        differences[number] = Difference(figures.mean, figures.low, figures.high, p)
    return [
        Compared(
            str(folder),
            {name: str(record.about.get(name, "")) for name in ("model", "data set", "time splitting", "processor")},
            len(record.held),
            {name: curves.mean_and_deviation([figures[name] for figures in table]) for name in METRICS},
            _HELD_OUT.get(str(record.result.get("split")), ""),
            dict(record.result.get("seen") or {}),
            differences.get(number),
            reasons.get(number),
        )
        for number, (folder, record, table) in enumerate(zip(folders, records, tables, strict=True))
    ]


def not_comparable(first: Record, other: Record) -> str | None:
    """Why no paired test of two runs is possible; None if one is."""
    if first.kind != EVALUATION or other.kind != EVALUATION:
        return "it has no splits to compare; only evaluations that train have them"
    if first.facts.get("digest") != other.facts.get("digest"):
        return "it uses a different data set from the first run"
    here, there = (_HELD_OUT.get(str(record.result.get("split")), _HELD_OUT["row"]) for record in (other, first))
    if here != there:
        return (
            f"it holds out {here}, but the first run holds out {there}; evaluate both with the same --evaluation-split"
        )
    if [held.rows for held in first.held] != [held.rows for held in other.held]:
        return "its splits differ from those of the first run; evaluate both with the same seed and iterations"
    if len(first.held) < 2:
        return "one split is not enough"
    return None


def corrected_t_test(differences: Sequence[float]) -> Difference | None:
    """Test whether the mean of paired differences over J ≥ 2 splits is zero; None when one is not a number."""
    from scipy.special import stdtr, stdtrit

    values = np.asarray(differences, np.float64)
    if np.isnan(values).any():
        return None
    mean, freedom = float(values.mean()), len(values) - 1
    error = standard_error(values)
    if error == 0:
        return Difference(mean, mean, mean, 1.0 if mean == 0 else 0.0)
    reach = float(stdtrit(freedom, 0.975)) * error
    return Difference(mean, mean - reach, mean + reach, float(2 * stdtr(freedom, -abs(mean) / error)))


def holm(p_values: Sequence[float]) -> list[float]:
    """Correct p-values for their number, step by step (Holm 1979)."""
    corrected, least = [math.nan] * len(p_values), 0.0
    for rank, place in enumerate(np.argsort(p_values, kind="stable")):
        least = max(least, min(1.0, (len(p_values) - rank) * p_values[place]))
        corrected[place] = least
    return corrected


def sentence(number: int, compared: Compared, metric: str) -> str:
    """What came of comparing run ``number``, counted from 1, with the first."""
    difference = compared.difference
    if difference is None:
        return f"Run {number} cannot be tested against run 1: {compared.why_not}."
    interval = f"95% interval {_signed(difference.low)} to {_signed(difference.high)}, p = {difference.p:.2g}"
    if difference.p >= LEVEL:
        return f"Run {number} and run 1 may well be equally good: {metric} {_signed(difference.mean)} ({interval})."
    better = "better" if difference.mean > 0 else "worse"
    return f"Run {number} is {better} than run 1: {metric} {_signed(difference.mean)} ({interval})."


def _signed(value: float) -> str:
    return f"{value:+.4f}".replace("-", "−")


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
