"""The rows of models, and everything that belongs to one."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import delete, func, select, update

from moodlemlbackend.analytics.db.schema import (
    DELIVERIES,
    EXPLANATIONS,
    FEEDBACK,
    FILES,
    INSIGHTS,
    MODELS,
    MODELS_LOG,
    NOTIFICATIONS,
    PREDICT_SAMPLES,
    PREDICTION_ACTIONS,
    PREDICTIONS,
    RISKS,
    RUNS,
    TRAIN_SAMPLES,
    USED_ANALYSABLES,
    USED_FILES,
)

if TYPE_CHECKING:
    from collections.abc import Collection

    from sqlalchemy import Connection, Row

_OF_A_MODEL = (FEEDBACK, FILES, INSIGHTS, PREDICT_SAMPLES, RISKS, TRAIN_SAMPLES, USED_ANALYSABLES, USED_FILES)


@dataclass(frozen=True)
class ModelRecord:
    """One row of the models' table; times are Unix seconds.

    ``processor`` and ``contexts`` are None for the site's own processor and for all contexts.
    """

    id: int
    enabled: bool
    trained: bool
    given_name: str
    target: str
    indicators: tuple[str, ...]
    interval: str | None
    processor: str | None
    version: int
    contexts: tuple[int, ...] | None
    created: int
    modified: int
    modified_by: int


def find(connection: Connection, modelid: int) -> ModelRecord | None:
    """Read a model, None when there is none of this id."""
    row = connection.execute(select(MODELS).where(MODELS.c.id == modelid)).one_or_none()
    return None if row is None else _model(row)


def read(
    connection: Connection,
    *,
    modelids: Collection[int] | None = None,
    enabled: bool | None = None,
    trained: bool | None = None,
    target: str | None = None,
) -> list[ModelRecord]:
    """Read models, enabled ones first, then by time of change."""
    query = select(MODELS).order_by(MODELS.c.enabled.desc(), MODELS.c.timemodified.desc(), MODELS.c.id)
    if modelids is not None:
        query = query.where(MODELS.c.id.in_(sorted(modelids)))
    if enabled is not None:
        query = query.where(MODELS.c.enabled == int(enabled))
    if trained is not None:
        query = query.where(MODELS.c.trained == int(trained))
    if target is not None:
        query = query.where(MODELS.c.target == target)
    return [_model(row) for row in connection.execute(query)]


def ids(connection: Connection) -> set[int]:
    """Ids of all models."""
    return set(connection.execute(select(MODELS.c.id)).scalars())


def targets(connection: Connection) -> list[str]:
    """The targets of all models."""
    return [*connection.execute(select(MODELS.c.target).distinct().order_by(MODELS.c.target)).scalars()]


def insert(connection: Connection, row: ModelRecord) -> int:
    """Write a new model, whatever its id; returns the id that it has now."""
    values = {
        "enabled": int(row.enabled),
        "trained": int(row.trained),
        "name": row.given_name or None,
        "target": row.target,
        "indicators": json.dumps([*row.indicators]),
        "timesplitting": row.interval,
        "predictionsprocessor": row.processor,
        "version": row.version,
        "contextids": _contexts(row.contexts),
        "timecreated": row.created,
        "timemodified": row.modified,
        "usermodified": row.modified_by,
    }
    key = connection.execute(MODELS.insert().values(values)).inserted_primary_key
    return int(key[0]) if key else 0


def change(connection: Connection, row: ModelRecord) -> None:
    """Write what a model is now; its target and the time when it was made stay."""
    values = {
        "enabled": int(row.enabled),
        "trained": int(row.trained),
        "name": row.given_name or None,
        "indicators": json.dumps([*row.indicators]),
        "timesplitting": row.interval,
        "predictionsprocessor": row.processor,
        "version": row.version,
        "contextids": _contexts(row.contexts),
        "timemodified": row.modified,
        "usermodified": row.modified_by,
    }
    connection.execute(update(MODELS).where(MODELS.c.id == row.id).values(values))


def set_trained(connection: Connection, modelid: int) -> None:
    """Note that a model has learned."""
    connection.execute(update(MODELS).where(MODELS.c.id == modelid).values(trained=1))


def forget(connection: Connection, modelid: int) -> None:
    """Delete what a model has predicted, learned and used."""
    of_model = select(PREDICTIONS.c.id).where(PREDICTIONS.c.modelid == modelid)
    for table in (PREDICTION_ACTIONS, EXPLANATIONS):
        connection.execute(delete(table).where(table.c.predictionid.in_(of_model)))
    notifications = select(NOTIFICATIONS.c.id).where(NOTIFICATIONS.c.modelid == modelid)
    connection.execute(delete(DELIVERIES).where(DELIVERIES.c.notificationid.in_(notifications)))
    for table in (NOTIFICATIONS, PREDICTIONS, *_OF_A_MODEL):
        connection.execute(delete(table).where(table.c.modelid == modelid))


def remove(connection: Connection, modelid: int) -> None:
    """Delete a model with all that is known of it."""
    forget(connection, modelid)
    for table in (MODELS_LOG, RUNS):
        connection.execute(delete(table).where(table.c.modelid == modelid))
    connection.execute(delete(MODELS).where(MODELS.c.id == modelid))


def has_trained_samples(connection: Connection, modelid: int) -> bool:
    """Whether a model has learned from samples of this site."""
    query = select(func.count()).select_from(TRAIN_SAMPLES).where(TRAIN_SAMPLES.c.modelid == modelid)
    return bool(connection.execute(query).scalar())


def _model(row: Row[Any]) -> ModelRecord:
    return ModelRecord(
        id=row.id,
        enabled=bool(row.enabled),
        trained=bool(row.trained),
        given_name=row.name or "",
        target=row.target,
        indicators=tuple(json.loads(row.indicators)),
        interval=row.timesplitting or None,
        processor=row.predictionsprocessor or None,
        version=row.version,
        contexts=tuple(json.loads(row.contextids)) if row.contextids else None,
        created=row.timecreated or 0,
        modified=row.timemodified,
        modified_by=row.usermodified,
    )


def _contexts(contexts: tuple[int, ...] | None) -> str | None:
    return json.dumps([*contexts]) if contexts else None
