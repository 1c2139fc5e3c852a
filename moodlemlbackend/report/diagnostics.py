"""What a careful statistician would say about a run, from its record."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from moodlemlbackend import metrics
from moodlemlbackend.errors import Status
from moodlemlbackend.report import curves
from moodlemlbackend.report.captions import class_in_words
from moodlemlbackend.report.record import RATING, TRAINING, Record

FEW_OF_A_CLASS = 50
"""Samples of a class under which its figures move by chance."""

MANY_REPEATED = 0.05
"""Share of held-out samples equal to one of the training from which on it is told."""

IMPLAUSIBLE_AUC, IMPLAUSIBLE_MCC = 0.995, 0.97
"""No model known to the authors comes near to this on students; who does has seen the outcome."""

POOR_CALIBRATION = 0.03
"""Mean distance between predicted and observed share from which on it is told, if chance cannot explain half of it."""

MANY_CONTRADICTED = 0.05
RARE_CLASS = 0.05
MANY_EMPTY = 0.5
FEW_SPLITS = 5
NEARLY_ALL = 0.8


class Diagnostic(NamedTuple):
    """``grave`` ones put the figures in doubt, the others help to read them."""

    grave: bool
    title: str
    text: str


def diagnostics(record: Record) -> list[Diagnostic]:
    """Everything to be said, the grave first."""
    looks = (*_LOOKS, *_LOOKS_AT_HELD_OUT) if record.held else _LOOKS
    results = [diagnostic for look in looks for diagnostic in look(record)]
    return sorted(results, key=lambda diagnostic: not diagnostic.grave)


def _few(record: Record) -> Iterator[Diagnostic]:
    small = {name: count for name, count in _classes(record).items() if count < FEW_OF_A_CLASS}
    if small:
        counts = "; ".join(f"{count} of {class_in_words(record, name)}" for name, count in small.items())
        yield Diagnostic(
            True, "Too few samples of a class",
            f"There are only {counts}. With fewer than {FEW_OF_A_CLASS}, the figures depend largely on "
            "chance; wait for more courses to finish before you rely on them.",
        )  # fmt: skip


def _repeated(record: Record) -> Iterator[Diagnostic]:
    repeats = record.facts.get("held_out_repeats") or {}
    share = _number(repeats.get("share"))
    if not share >= MANY_REPEATED:
        return
    here, there = _number(record.result.get("auc")), _number(repeats.get("auc of the others"))
    others = "" if math.isnan(there) else f" On the other samples alone, the AUC is {there:.3f} instead of {here:.3f}."
    yield Diagnostic(
        math.isnan(there) or here - there > 0.02, "The same samples in training and test",
        f"{_percent(share)} of the held-out samples are identical to a training sample in every indicator.{others} "
        "This is harmless if many students share a few values, such as no activity at all. If the same "
        "student or course occurs twice, the figures are too good.",
    )  # fmt: skip


def _alone(record: Record) -> Iterator[Diagnostic]:
    alone = record.facts.get("alone") or {}
    for name, share in list(alone.items())[:3]:
        yield Diagnostic(
            True, "One column predicts the class by itself",
            f"{name} alone avoids {_percent(share)} of the errors you would make by always predicting the "
            "most common class. Check that it is known before the outcome, and not derived from it.",
        )  # fmt: skip


def _after_end(record: Record) -> Iterator[Diagnostic]:
    for name in record.facts.get("after_end") or ():
        yield Diagnostic(
            True, "Known only after the end",
            f"The column {name} is always −1 while a course is running, and gives away part of the outcome "
            "once it has ended. A model that learns from it promises more than it can deliver; remove the "
            "indicator from the model.",
        )  # fmt: skip
    for name in record.facts.get("masked") or ():
        yield Diagnostic(
            False, "Left out of training",
            f"The column {name} is only known after a course has ended, so the model did not learn from it. "
            "You can change this with the learn_after_end setting.",
        )  # fmt: skip


def _varies(record: Record) -> Iterator[Diagnostic]:
    if int(record.result.get("status") or 0) & Status.NOT_ENOUGH_DATA and len(record.held) > 1:
        yield Diagnostic(
            True, "Results vary too much",
            f"The standard deviation of the score over the splits is {_number(record.result['score_deviation']):.3f}; "
            f"{_number(record.result['accepted_deviation']):g} is the limit. More samples would reduce it.",
        )  # fmt: skip


def _implausible(record: Record) -> Iterator[Diagnostic]:
    auc, mcc = (_mean_of(record, name) for name in ("auc", "mcc"))
    if auc >= IMPLAUSIBLE_AUC or mcc >= IMPLAUSIBLE_MCC:
        yield Diagnostic(
            True, "Too good to be true",
            f"An AUC of {auc:.3f} and a Matthews correlation of {mcc:.3f} are very rare for human behaviour. "
            "Look for an indicator that already knows the outcome, or for samples that are in both training and test.",
        )  # fmt: skip


def _chance(record: Record) -> Iterator[Diagnostic]:
    if record.kind == TRAINING or len(record.held) < 2:
        return
    areas = np.array([curves.figures_of(held)["auc"] for held in record.held])
    if not np.isnan(areas).any() and areas.mean() - 2 * metrics.standard_error(areas) < 0.5:
        yield Diagnostic(
            True, "No better than chance",
            f"The AUC is {areas.mean():.3f}, which is within two standard errors of 0.5, the AUC of guessing.",
        )  # fmt: skip


def _calibration(record: Record) -> Iterator[Diagnostic]:
    worst = max((miscalibration(record, k) for k in curves.classes_shown(record)), key=lambda item: item[0])
    if worst[0] > POOR_CALIBRATION and worst[0] > 2 * worst[1]:
        yield Diagnostic(
            True, "Poor calibration",
            f"Predicted probabilities and observed shares differ by {_percent(worst[0])} on average; chance "
            f"explains only {_percent(worst[1])}. Use the probabilities to rank samples, but don't take them "
            "literally.",
        )  # fmt: skip


def miscalibration(record: Record, k: int) -> tuple[float, float]:
    """Mean distance between predicted and observed share of class k, and that expected of perfect calibration."""
    reliability = curves.calibration(record, k)
    known = ~np.isnan(reliability.predicted)
    counts, chance = reliability.counts[known] * len(record.held), reliability.predicted[known]
    if not counts.sum():
        return 0.0, 0.0
    # A sample that several splits hold out counts once for what chance does.
    once = min(1.0, float(record.facts.get("rows", math.inf)) / counts.sum())
    distance = counts @ np.abs(reliability.observed[known] - chance) / counts.sum()
    of_chance = np.sqrt(2 / np.pi * chance * (1 - chance) / np.maximum(counts * once, 1))
    return float(distance), float(counts @ of_chance / counts.sum())


def _splits(record: Record) -> Iterator[Diagnostic]:
    if record.kind == RATING:
        yield Diagnostic(
            False, "This is a trained model",
            "If the model learned from some of these samples or their courses, the figures are too good. "
            "They have no deviation, because there is only one model.",
        )  # fmt: skip
    elif record.kind != TRAINING and len(record.held) < FEW_SPLITS:
        yield Diagnostic(
            False, "Few splits",
            f"The deviations come from only {len(record.held)} splits; ten would give a better estimate.",
        )  # fmt: skip


def _dependent(record: Record) -> Iterator[Diagnostic]:
    parts, means = record.facts.get("parts") or {}, record.facts.get("course_means")
    if record.kind == RATING or record.result.get("split") in ("course", "time") or not (parts or means):
        return
    reasons = [f"a student occurs in up to {len(parts)} parts of a course"] if parts else []
    reasons += ["samples from one course share its means"] if means else []
    yield Diagnostic(
        False, "Samples that belong together",
        f"As in Moodle, the splits separate samples, not courses, but {' and '.join(reasons)}. Expect "
        "somewhat lower figures for courses the model has never seen.",
    )  # fmt: skip


def _contradicted(record: Record) -> Iterator[Diagnostic]:
    share = _number(record.facts.get("contradicted"))
    if share >= MANY_CONTRADICTED:
        yield Diagnostic(
            False, "Samples no model can tell apart",
            f"{_percent(share)} of the samples are identical to a sample of another class in every indicator. "
            "Only other indicators can tell them apart.",
        )  # fmt: skip


def _columns(record: Record) -> Iterator[Diagnostic]:
    constant, columns = int(record.facts.get("constant", 0)), max(1, int(record.facts.get("columns", 1)))
    if constant > columns / 2:
        yield Diagnostic(
            False,
            "Many columns are constant",
            f"{constant} of the {columns} columns have the same value in every sample.",
        )
    empty = _number(record.facts.get("empty"))
    if empty > MANY_EMPTY:
        yield Diagnostic(False, "Many empty cells", f"{_percent(empty)} of the cells have no value.")


def _rare(record: Record) -> Iterator[Diagnostic]:
    counts = _classes(record)
    total = max(1, sum(counts.values()))
    name = min(counts, key=lambda name: counts[name], default="")
    if name and counts[name] / total < RARE_CLASS:
        yield Diagnostic(
            False, "A rare class",
            f"{_percent(counts[name] / total)} of the samples are of {class_in_words(record, name)}. Always predicting "
            f"another class would be right for {_percent(1 - counts[name] / total)}. Look at the Matthews "
            "correlation, not the accuracy.",
        )  # fmt: skip


def _one_indicator(record: Record) -> Iterator[Diagnostic]:
    falls = {item.label: max(0.0, float(np.mean(item.falls))) for item in record.importances}
    total = sum(falls.values())
    if len(falls) > 1 and total > 0:
        label = max(falls, key=lambda name: falls[name])
        if falls[label] / total > NEARLY_ALL:
            yield Diagnostic(
                False, "One indicator does almost all the work",
                f"The predictions depend on {label}; shuffling any other indicator makes little difference.",
            )  # fmt: skip


def _rising(record: Record) -> Iterator[Diagnostic]:
    if not record.curve:
        return
    most = max(point.rows for point in record.curve)
    before = float(np.mean([point.figures["mcc"] for point in record.curve if point.rows == most]))
    splits = sorted({point.split for point in record.curve if point.rows == most})
    now = [curves.figures_of(record.held[split])["mcc"] for split in splits if split < len(record.held)]
    deviation = _number(record.result.get("mcc_deviation"))
    if now and float(np.mean(now)) - before > max(0.01, deviation):
        yield Diagnostic(
            False, "More samples will help",
            f"The Matthews correlation rose from {before:.3f} to {np.mean(now):.3f} with more than {most} "
            "training samples, and has not levelled off.",
        )  # fmt: skip


_LOOKS = (_few, _alone, _after_end, _dependent, _contradicted, _rare, _columns)
_LOOKS_AT_HELD_OUT = (_implausible, _chance, _varies, _repeated, _calibration, _splits, _one_indicator, _rising)


def _classes(record: Record) -> dict[str, int]:
    return {str(name): int(count) for name, count in (record.facts.get("classes") or {}).items()}


def _mean_of(record: Record, name: str) -> float:
    return curves.mean_and_deviation([curves.figures_of(held)[name] for held in record.held])[0]


def _number(value: Any) -> float:
    return float(value) if isinstance(value, (int, float)) else math.nan


def _percent(share: float) -> str:
    percent = 100 * share
    return f"{percent:.0f}%" if percent >= 10 else f"{percent:.1f}%"
