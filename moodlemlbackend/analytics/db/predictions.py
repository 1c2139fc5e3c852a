"""Predictions with their explanations, and what people did about them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import bindparam, delete, func, select

from moodlemlbackend.analytics.db.database import among, upsert
from moodlemlbackend.analytics.db.schema import EXPLANATIONS, INSIGHTS, PREDICTION_ACTIONS, PREDICTIONS, RUNS

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from sqlalchemy import Connection

_SAMPLE = ("modelid", "contextid", "sampleid")

_INSERT = PREDICTIONS.insert()
_DELETE_EARLIER = delete(INSIGHTS).where(
    *(INSIGHTS.c[name] == bindparam(name) for name in _SAMPLE), INSIGHTS.c.rangeindex <= bindparam("rangeindex")
)


@dataclass(frozen=True)
class PredictionRow:
    """A prediction; ``calculations`` is JSON, a value by column."""

    id: int
    modelid: int
    contextid: int
    sampleid: int
    rangeindex: int
    prediction: float
    predictionscore: float
    calculations: str
    timecreated: int
    timestart: int | None
    timeend: int | None


def insert(
    connection: Connection,
    values: dict[str, Any],
    probability: float | None,
    probability_range: tuple[float, float] | None,
    reasons: Sequence[dict[str, Any]],
) -> int:
    """Write a prediction, with its explanation if there is a probability; returns its id.

    It is the insight of its sample unless a later range has been predicted.
    """
    key = connection.execute(_INSERT, values).inserted_primary_key
    predictionid = int(key[0]) if key else 0
    if probability is not None:
        low, high = probability_range or (None, None)
        connection.execute(
            EXPLANATIONS.insert().values(
                predictionid=predictionid, probability=probability, low=low, high=high, reasons=json.dumps([*reasons])
            )
        )
    insight = {column.name: values[column.name] for column in INSIGHTS.c if column.name in values}
    insight |= {"predictionid": predictionid, "probability": probability}
    connection.execute(_DELETE_EARLIER, {name: values[name] for name in (*_SAMPLE, "rangeindex")})
    upsert(connection, INSIGHTS, insight, _SAMPLE, replace=False)
    return predictionid


def find(connection: Connection, predictionid: int) -> PredictionRow | None:
    """Read a prediction, None when there is none of this id."""
    row = connection.execute(select(PREDICTIONS).where(PREDICTIONS.c.id == predictionid)).one_or_none()
    return None if row is None else PredictionRow(**row._asdict())


def of_samples(
    connection: Connection, modelid: int, contextid: int, sampleids: Collection[int]
) -> dict[tuple[int, int], int]:
    """Ids of a model's predictions of samples in a context, by sample and range."""
    query = (
        select(PREDICTIONS.c.sampleid, PREDICTIONS.c.rangeindex, PREDICTIONS.c.id)
        .where(PREDICTIONS.c.modelid == modelid, PREDICTIONS.c.contextid == contextid)
        .where(among(PREDICTIONS.c.sampleid, sampleids))
        .order_by(PREDICTIONS.c.id)
    )
    return {(row.sampleid, row.rangeindex): row.id for row in connection.execute(query)}


def newest(connection: Connection, modelid: int) -> list[PredictionRow]:
    """The predictions of a model's last run that made any, oldest first."""
    of_model = PREDICTIONS.c.modelid == modelid
    last = connection.execute(select(func.max(PREDICTIONS.c.timecreated)).where(of_model)).scalar()
    if last is None:
        return []
    begun = select(func.max(RUNS.c.timestarted)).where(
        RUNS.c.modelid == modelid, RUNS.c.task == "predict", RUNS.c.timestarted <= last
    )
    since = connection.execute(begun).scalar() or last
    query = select(PREDICTIONS).where(of_model, PREDICTIONS.c.timecreated >= since).order_by(PREDICTIONS.c.id)
    return [PredictionRow(**row._asdict()) for row in connection.execute(query)]


def count(connection: Connection, modelid: int) -> int:
    """Number of a model's predictions."""
    query = select(func.count()).select_from(PREDICTIONS).where(PREDICTIONS.c.modelid == modelid)
    return int(connection.execute(query).scalar() or 0)


def by_model(connection: Connection) -> dict[int, int]:
    """Number of predictions by model."""
    query = select(PREDICTIONS.c.modelid, func.count()).group_by(PREDICTIONS.c.modelid)
    return {row[0]: row[1] for row in connection.execute(query)}


def by_context(connection: Connection, modelid: int) -> dict[int, tuple[int, int]]:
    """Number of a model's predictions and time of the last one, by context."""
    query = (
        select(PREDICTIONS.c.contextid, func.count(), func.max(PREDICTIONS.c.timecreated))
        .where(PREDICTIONS.c.modelid == modelid)
        .group_by(PREDICTIONS.c.contextid)
    )
    return {row[0]: (row[1], row[2]) for row in connection.execute(query)}


def act(connection: Connection, predictionid: int, userid: int, action: str, now: int) -> None:
    """Note that a user has done something about a prediction."""
    values = {"predictionid": predictionid, "userid": userid, "actionname": action, "timecreated": now}
    connection.execute(PREDICTION_ACTIONS.insert().values(values))


def take_back(connection: Connection, predictionid: int, userid: int, actions: Collection[str]) -> None:
    """Forget what a user has done about a prediction."""
    done = (
        PREDICTION_ACTIONS.c.predictionid == predictionid,
        PREDICTION_ACTIONS.c.userid == userid,
        PREDICTION_ACTIONS.c.actionname.in_(actions),
    )
    connection.execute(PREDICTION_ACTIONS.delete().where(*done))


def was_done(connection: Connection, predictionid: int, actions: Collection[str]) -> bool:
    """Whether anybody has done one of these about a prediction."""
    done = (PREDICTION_ACTIONS.c.predictionid == predictionid, PREDICTION_ACTIONS.c.actionname.in_(actions))
    return connection.execute(select(PREDICTION_ACTIONS.c.id).where(*done)).first() is not None


def done_by(
    connection: Connection, userid: int, predictionids: Collection[int], actions: Collection[str]
) -> dict[int, dict[str, int]]:
    """Which of these a user has done about predictions, and when last, by prediction; the latest first."""
    query = (
        select(PREDICTION_ACTIONS.c.predictionid, PREDICTION_ACTIONS.c.actionname, PREDICTION_ACTIONS.c.timecreated)
        .where(among(PREDICTION_ACTIONS.c.predictionid, predictionids), PREDICTION_ACTIONS.c.userid == userid)
        .where(PREDICTION_ACTIONS.c.actionname.in_(actions))
        .order_by(PREDICTION_ACTIONS.c.id.desc())
    )
    done: dict[int, dict[str, int]] = {}
    for predictionid, action, time in connection.execute(query):
        done.setdefault(predictionid, {}).setdefault(action, time)
    return done


def actions_by_prediction(connection: Connection, predictionids: Sequence[int]) -> dict[int, list[str]]:
    """What has been done about predictions, in its order, by prediction."""
    done: dict[int, list[str]] = {}
    query = select(PREDICTION_ACTIONS.c.predictionid, PREDICTION_ACTIONS.c.actionname)
    query = query.where(PREDICTION_ACTIONS.c.predictionid.in_(predictionids)).order_by(PREDICTION_ACTIONS.c.id)
    for predictionid, action in connection.execute(query):
        done.setdefault(predictionid, []).append(action)
    return done


def forget(connection: Connection, contextids: Sequence[int]) -> int:
    """Delete the predictions in contexts, with what belongs to them; returns how many."""
    there = select(PREDICTIONS.c.id).where(PREDICTIONS.c.contextid.in_(contextids))
    for table in (PREDICTION_ACTIONS, EXPLANATIONS, INSIGHTS):
        connection.execute(delete(table).where(table.c.predictionid.in_(there)))
    return connection.execute(delete(PREDICTIONS).where(PREDICTIONS.c.contextid.in_(contextids))).rowcount


def contexts(connection: Connection) -> set[int]:
    """Ids of the contexts that predictions are in."""
    return set(connection.execute(select(PREDICTIONS.c.contextid).distinct()).scalars())
