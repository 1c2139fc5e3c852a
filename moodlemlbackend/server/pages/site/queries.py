"""What pages count that the insights and models themselves do not."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import and_, func, select

from moodlemlbackend.analytics.db.schema import EXPLANATIONS, MODELS, PREDICTION_ACTIONS, PREDICTIONS
from moodlemlbackend.analytics.insights.actions import HIDING

if TYPE_CHECKING:
    from collections.abc import Collection

    from sqlalchemy import Connection

_AT_ONCE = 500


@dataclass(frozen=True)
class Open:
    """Predictions of a model in a context that a user has not dealt with, and the highest of their probabilities."""

    modelid: int
    contextid: int
    number: int
    highest: float | None


@dataclass(frozen=True)
class Said:
    """The last thing that a user has said of a prediction."""

    predictionid: int
    modelid: int
    action: str
    time: int


def open_insights(connection: Connection, userid: int, contextids: Collection[int]) -> list[Open]:
    """Count, by enabled model and context, what waits for a user: the last range of each sample counts."""
    found: list[Open] = []
    ids = sorted(contextids)
    for start in range(0, len(ids), _AT_ONCE):
        found += _open(connection, userid, ids[start : start + _AT_ONCE])
    return found


def _open(connection: Connection, userid: int, contextids: list[int]) -> list[Open]:
    of_sample = (PREDICTIONS.c.modelid, PREDICTIONS.c.contextid, PREDICTIONS.c.sampleid)
    last = (
        select(*of_sample, func.max(PREDICTIONS.c.rangeindex).label("rangeindex"))
        .where(PREDICTIONS.c.contextid.in_(contextids))
        .group_by(*of_sample)
        .subquery()
    )
    same = and_(*(PREDICTIONS.c[column.name] == column for column in last.c))
    dealt_with = select(PREDICTION_ACTIONS.c.predictionid).where(
        PREDICTION_ACTIONS.c.userid == userid, PREDICTION_ACTIONS.c.actionname.in_(HIDING)
    )
    query = (
        select(
            PREDICTIONS.c.modelid, PREDICTIONS.c.contextid, func.count(PREDICTIONS.c.sampleid.distinct()),
            func.max(EXPLANATIONS.c.probability),
        )
        .join(last, same)
        .join(MODELS, MODELS.c.id == PREDICTIONS.c.modelid)
        .outerjoin(EXPLANATIONS, EXPLANATIONS.c.predictionid == PREDICTIONS.c.id)
        .where(MODELS.c.enabled == 1, MODELS.c.trained == 1, PREDICTIONS.c.id.not_in(dealt_with))
        .group_by(PREDICTIONS.c.modelid, PREDICTIONS.c.contextid)
    )  # fmt: skip
    return [Open(*row) for row in connection.execute(query)]


def said(connection: Connection, userid: int, contextid: int) -> dict[int, Said]:
    """What a user has dealt with in a context, by prediction, latest first."""
    query = (
        select(
            PREDICTIONS.c.id, PREDICTIONS.c.modelid, PREDICTION_ACTIONS.c.actionname, PREDICTION_ACTIONS.c.timecreated
        )
        .join(PREDICTIONS, PREDICTIONS.c.id == PREDICTION_ACTIONS.c.predictionid)
        .where(
            PREDICTION_ACTIONS.c.userid == userid,
            PREDICTION_ACTIONS.c.actionname.in_(HIDING),
            PREDICTIONS.c.contextid == contextid,
        )
        .order_by(PREDICTION_ACTIONS.c.id.desc())
    )
    found: dict[int, Said] = {}
    for row in connection.execute(query):
        found.setdefault(row[0], Said(*row))
    return found


def models_in(connection: Connection, contextid: int) -> list[int]:
    """Ids of the enabled models that have predicted in a context."""
    query = (
        select(MODELS.c.id)
        .where(MODELS.c.enabled == 1, MODELS.c.trained == 1)
        .where(MODELS.c.id.in_(select(PREDICTIONS.c.modelid).where(PREDICTIONS.c.contextid == contextid)))
    )
    return list(connection.execute(query).scalars())


def place(connection: Connection, predictionid: int) -> tuple[int, int] | None:
    """Model and context of a prediction; None when there is no such one."""
    query = select(PREDICTIONS.c.modelid, PREDICTIONS.c.contextid).where(PREDICTIONS.c.id == predictionid)
    row = connection.execute(query).one_or_none()
    return None if row is None else (row[0], row[1])


def by_context(connection: Connection, modelid: int) -> dict[int, tuple[int, int]]:
    """Number of a model's predictions and time of the last one, by context."""
    query = (
        select(PREDICTIONS.c.contextid, func.count(), func.max(PREDICTIONS.c.timecreated))
        .where(PREDICTIONS.c.modelid == modelid)
        .group_by(PREDICTIONS.c.contextid)
    )
    return {row[0]: (row[1], row[2]) for row in connection.execute(query)}


def by_model(connection: Connection) -> dict[int, int]:
    """Number of predictions by model."""
    query = select(PREDICTIONS.c.modelid, func.count()).group_by(PREDICTIONS.c.modelid)
    return {row[0]: row[1] for row in connection.execute(query)}
