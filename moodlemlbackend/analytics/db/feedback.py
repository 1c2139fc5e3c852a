"""Predictions that people marked as not useful, to be learned as of the other class, ``weight`` times.

That can be taken back: what has been learned in between is then learned afresh without it.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import select, update

from moodlemlbackend.analytics.db.database import upsert
from moodlemlbackend.analytics.db.schema import FEEDBACK

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Connection

    from moodlemlbackend.analytics.db.predictions import PredictionRow


@dataclass(frozen=True)
class Feedback:
    """A prediction that was marked: what was predicted, and what is learned instead."""

    id: int
    predictionid: int
    sampleid: int
    rangeindex: int
    userid: int
    prediction: float
    label: float
    weight: int
    calculations: dict[str, Any]
    created: int
    trained: int | None
    reverted: int | None


def mark(
    connection: Connection, prediction: PredictionRow, *, label: float, weight: int, userid: int, now: int
) -> bool:
    """Have a prediction learned as of another class; False when its sample and range have been marked before."""
    same = (
        FEEDBACK.c.modelid == prediction.modelid,
        FEEDBACK.c.sampleid == prediction.sampleid,
        FEEDBACK.c.rangeindex == prediction.rangeindex,
        FEEDBACK.c.timereverted.is_(None),
    )
    if connection.execute(select(FEEDBACK.c.id).where(*same)).first():
        return False
    values = {
        "modelid": prediction.modelid,
        "predictionid": prediction.id,
        "sampleid": prediction.sampleid,
        "rangeindex": prediction.rangeindex,
        "userid": userid,
        "prediction": prediction.prediction,
        "label": label,
        "weight": weight,
        "calculations": prediction.calculations,
        "timecreated": now,
        "inforce": 1,
    }
    upsert(connection, FEEDBACK, values, ("modelid", "sampleid", "rangeindex", "inforce"), replace=False)
    return True


def revert(connection: Connection, predictionid: int, now: int) -> bool:
    """Take the mark of a prediction back; False when there is none."""
    marked = (FEEDBACK.c.predictionid == predictionid, FEEDBACK.c.timereverted.is_(None))
    return bool(connection.execute(update(FEEDBACK).where(*marked).values(timereverted=now, inforce=None)).rowcount)


def has_marked(connection: Connection, userid: int) -> bool:
    """Whether a user has marked a prediction of any model, also if it was taken back."""
    return connection.execute(select(FEEDBACK.c.id).where(FEEDBACK.c.userid == userid).limit(1)).first() is not None


def listed(connection: Connection, modelid: int) -> list[Feedback]:
    """All marks of a model's predictions, oldest first."""
    rows = connection.execute(select(FEEDBACK).where(FEEDBACK.c.modelid == modelid).order_by(FEEDBACK.c.id))
    return [
        Feedback(
            row.id, row.predictionid, row.sampleid, row.rangeindex, row.userid, row.prediction, row.label, row.weight,
            json.loads(row.calculations), row.timecreated, row.timetrained, row.timereverted,
        )
        for row in rows
    ]  # fmt: skip


def in_force(marks: Sequence[Feedback]) -> list[Feedback]:
    """Those that have not been taken back."""
    return [mark for mark in marks if mark.reverted is None]


def new(marks: Sequence[Feedback]) -> list[Feedback]:
    """Those in force that no training has had."""
    return [mark for mark in in_force(marks) if mark.trained is None]


def to_be_unlearned(marks: Sequence[Feedback]) -> list[Feedback]:
    """Those that a training had before they were taken back."""
    return [mark for mark in marks if mark.reverted is not None and mark.trained is not None]


def settle(connection: Connection, modelid: int, learned: Sequence[int], now: int, *, afresh: bool) -> None:
    """Note what a training has learned; one afresh has none of what was taken back."""
    if afresh:
        gone = (FEEDBACK.c.modelid == modelid, FEEDBACK.c.timereverted.is_not(None))
        connection.execute(update(FEEDBACK).where(*gone).values(timetrained=None))
    if learned:
        marked = FEEDBACK.c.id.in_(learned)
        connection.execute(update(FEEDBACK).where(marked, FEEDBACK.c.timetrained.is_(None)).values(timetrained=now))
