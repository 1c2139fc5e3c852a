"""Why a model is likely to flag most of a course, found in the course and in what the model has learned from."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from moodlemlbackend.analytics.db import dataset_files
from moodlemlbackend.analytics.db.dataset_files import LABELLED
from moodlemlbackend.analytics.features import registry
from moodlemlbackend.analytics.features.course_dates import doubt_dates
from moodlemlbackend.analytics.features.definitions import could_be_known, last_part
from moodlemlbackend.analytics.insights.texts import say
from moodlemlbackend.dataset import data_set
from moodlemlbackend.dataset.columns import TIME, IndicatorColumns, indicators_of
from moodlemlbackend.errors import BackendError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from moodlemlbackend.analytics.features.analysables import Course
    from moodlemlbackend.analytics.models import AnalyticsModel
    from moodlemlbackend.analytics.workspace import Workspace

Rows = npt.NDArray[np.float32]

MOST_COURSES = 200
"""The latest courses of a training that a course is compared with."""

FAR = 0.25
"""How far outside of all values that were learned from a value is new."""

TIMES = 2
"""How many times larger or smaller than all others a course is of another kind."""

MOST_NAMED = 3


def likely_reason(
    course: Course, interval: str, columns: Sequence[str], rows: Rows, learned: Sequence[Rows]
) -> str:  # fmt: skip
    """Say why most students of a course are flagged, as the end of a sentence that begins with "because".

    ``interval`` is the id of the model's; ``rows`` (students, columns) are the course's, of one part of its time;
    ``learned`` those of each course that the model has learned from, of all parts.
    """
    every = [indicator for indicator in indicators_of(columns) if indicator.name != TIME]
    indicators = [indicator for indicator in every if could_be_known(indicator.name, course.end, course.now)]
    part = [number for number, name in enumerate(columns) if name.startswith(f"{TIME}/")]
    others = [other[(other[:, part] == rows[0, part]).all(axis=1)] for other in learned]
    others = [other for other in others if len(other)]
    return (
        doubt_dates(course)
        or (registry.get_time_splitting(interval).whole and say("because of interval", interval=last_part(interval)))
        or _empty(indicators, rows, others)
        or _another_size(rows, others)
        or _new_values(indicators, rows, others)
        or say("because of its kind")
    )


def learned_rows(workspace: Workspace, model: AnalyticsModel, interval: str) -> list[Rows]:
    """The rows of each course that a model has learned from here, of the latest; files that are gone are left out."""
    with workspace.store.read() as connection:
        files = dataset_files.of_analysables(connection, workspace, model, LABELLED, interval, merged=True)
    courses: dict[int | None, list[Rows]] = {}
    for file in files[-MOST_COURSES:]:
        with suppress(BackendError):
            courses.setdefault(file.analysable, []).append(data_set.read_labelled(file.path).features)
    return [np.concatenate(parts) for parts in courses.values()]


def _empty(indicators: Sequence[IndicatorColumns], rows: Rows, others: Sequence[Rows]) -> str:
    """Whether fewer than half as many indicators tell students apart as in the courses that were learned from."""
    differing = _differing(indicators, rows)
    usual = int(np.median([_differing(indicators, other) for other in others] or [1]))
    if 2 * differing >= usual:
        return ""
    return say("because of indicators", number=differing, usual=usual) if others else say("because of all indicators")


def _differing(indicators: Sequence[IndicatorColumns], rows: Rows) -> int:
    """How many indicators do not have the same value for all."""
    same = ((rows == rows[0]) | (np.isnan(rows) & np.isnan(rows[0]))).all(axis=0)
    return sum(not same[list(indicator.columns)].all() for indicator in indicators)


def _another_size(rows: Rows, others: Sequence[Rows]) -> str:
    sizes = [len(other) for other in others]
    if not sizes or min(sizes) / TIMES <= len(rows) <= TIMES * max(sizes):
        return ""
    return say("because of its size", number=len(rows), least=min(sizes), most=max(sizes))


def _new_values(indicators: Sequence[IndicatorColumns], rows: Rows, others: Sequence[Rows]) -> str:
    """Of which indicators most students have values that no student had who was learned from."""
    if not others:
        return ""
    known = np.concatenate(others)
    least, most = np.fmin.reduce(known) - FAR, np.fmax.reduce(known) + FAR
    new = ~np.isnan(rows) & ~((least <= rows) & (rows <= most))
    mostly = 2 * new.sum(axis=0) > len(rows)
    own = [
        (indicator, [at for at, part in zip(indicator.columns, indicator.parts, strict=True) if part != "mean"])
        for indicator in indicators
    ]
    names = [indicator.label for indicator, at in own if mostly[at].any()]
    if not names:
        return ""
    more = len(names) - MOST_NAMED
    return say("because of values", indicators=", ".join(names[:MOST_NAMED]) + (f", {more} more" if more > 0 else ""))
