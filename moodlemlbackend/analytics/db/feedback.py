"""Predictions that people marked as not useful: the next training makes them less likely.

The sample and its range join that training as a sample of the other class, ``weight`` times. That can be taken back:
what has been learned in between is then learned afresh without it, from the data sets that are kept.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import select, update

from moodlemlbackend.analytics.db.schema import FEEDBACK
from moodlemlbackend.analytics.features import definitions
from moodlemlbackend.errors import DataSetError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import BinaryIO

    from sqlalchemy import Connection, Row

    from moodlemlbackend.analytics.db.models import AnalyticsModel
    from moodlemlbackend.analytics.workspace import Workspace


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


def record(connection: Connection, workspace: Workspace, model: AnalyticsModel, prediction: Row[Any]) -> bool:
    """Have a prediction learned as of the other class; False when nothing is to be learned from it.

    That is so of static models, of targets without exactly one other class, and of what has been marked before.
    """
    classes = definitions.classes(model.target)
    others = [label for label in classes if label != prediction.prediction]
    if model.static or len(classes) != 2 or len(others) != 1:
        return False
    same = (
        FEEDBACK.c.modelid == model.id,
        FEEDBACK.c.sampleid == prediction.sampleid,
        FEEDBACK.c.rangeindex == prediction.rangeindex,
        FEEDBACK.c.timereverted.is_(None),
    )
    if connection.execute(select(FEEDBACK.c.id).where(*same)).first():
        return False
    values = {
        "modelid": model.id,
        "predictionid": prediction.id,
        "sampleid": prediction.sampleid,
        "rangeindex": prediction.rangeindex,
        "userid": workspace.userid,
        "prediction": prediction.prediction,
        "label": others[0],
        "weight": workspace.settings.feedback_weight,
        "calculations": prediction.calculations,
        "timecreated": workspace.clock(),
    }
    connection.execute(FEEDBACK.insert().values(values))
    return True


def revert(connection: Connection, workspace: Workspace, predictionid: int) -> bool:
    """Take the mark of a prediction back; False when there is none."""
    marked = (FEEDBACK.c.predictionid == predictionid, FEEDBACK.c.timereverted.is_(None))
    done = connection.execute(update(FEEDBACK).where(*marked).values(timereverted=workspace.clock()))
    return bool(done.rowcount)


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


def settle(connection: Connection, model: AnalyticsModel, learned: Sequence[int], now: int, *, afresh: bool) -> None:
    """Note what a training has learned; one afresh has none of what was taken back."""
    if afresh:
        gone = (FEEDBACK.c.modelid == model.id, FEEDBACK.c.timereverted.is_not(None))
        connection.execute(update(FEEDBACK).where(*gone).values(timetrained=None))
    if learned:
        marked = FEEDBACK.c.id.in_(learned)
        connection.execute(update(FEEDBACK).where(marked, FEEDBACK.c.timetrained.is_(None)).values(timetrained=now))


def append(marks: Sequence[Feedback], columns: Sequence[str], file: BinaryIO) -> int:
    """Write marks to the end of a labelled data set with these columns; returns the rows written."""
    rows = 0
    for mark in marks:
        if set(mark.calculations) != set(columns):
            raise DataSetError(
                f"The prediction {mark.predictionid} that was marked as not useful has other columns than the model; "
                "clear the model."
            )
        cells = [_cell(mark.calculations[column]) for column in columns]
        line = ",".join([*cells, _cell(mark.label)]) + "\n"
        file.write(line.encode() * mark.weight)
        rows += mark.weight
    return rows


def _cell(value: Any) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else f"{value:.14G}"
