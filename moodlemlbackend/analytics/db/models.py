"""Models: what each one is, and what an administrator does with it, by the rules of Moodle.

A model has an id, a target (what is predicted), indicators (from what), an analysis interval (when), a processor, and a
version, which changes whenever what it learned no longer fits. A static model learns nothing: its target is computed
from its indicators by assumption, and these cannot be changed.
"""

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
    MODEL_NAME,
    MODELS,
    MODELS_LOG,
    NOTIFICATIONS,
    PREDICT_SAMPLES,
    PREDICTION_ACTIONS,
    PREDICTIONS,
    RUNS,
    TRAIN_SAMPLES,
    USED_ANALYSABLES,
    USED_FILES,
)
from moodlemlbackend.analytics.features import definitions
from moodlemlbackend.analytics.workspace import forget_fact
from moodlemlbackend.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from sqlalchemy import Connection, Row

    from moodlemlbackend.analytics.workspace import Workspace

KEEP: Any = object()
"""An argument of :func:`edit` that leaves things as they are."""

_OF_A_MODEL = (FEEDBACK, FILES, PREDICT_SAMPLES, TRAIN_SAMPLES, USED_ANALYSABLES, USED_FILES)


@dataclass(frozen=True)
class AnalyticsModel:
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

    @property
    def name(self) -> str:
        """What the model is called: its own name, or its target's."""
        return self.given_name or definitions.target_name(self.target)

    @property
    def static(self) -> bool:
        """Whether the model rests on assumptions and learns nothing."""
        return definitions.is_static(self.target)

    def require(self) -> str:
        """Return the interval; UsageError unless the model is enabled, with an interval and indicators."""
        if not self.enabled:
            raise UsageError(f"Model {self.id} is disabled; enable it first.")
        if not self.interval:
            raise UsageError(f"Model {self.id} has no analysis interval; enable it with one.")
        if not self.indicators:
            raise UsageError(f"Model {self.id} has no indicators; edit it to have some.")
        return self.interval


def get(connection: Connection, modelid: int) -> AnalyticsModel:
    """Read a model; UsageError when there is none of this id."""
    row = connection.execute(select(MODELS).where(MODELS.c.id == modelid)).one_or_none()
    if row is None:
        raise UsageError(f"There is no model {modelid}; see moodlemlbackend models list.")
    return _model(row)


def listed(
    connection: Connection, *, enabled: bool | None = None, trained: bool | None = None, target: str | None = None
) -> list[AnalyticsModel]:
    """Read the models by name; those whose target is not installed are left out."""
    query = select(MODELS).order_by(MODELS.c.enabled.desc(), MODELS.c.timemodified.desc(), MODELS.c.id)
    if enabled is not None:
        query = query.where(MODELS.c.enabled == int(enabled))
    if trained is not None:
        query = query.where(MODELS.c.trained == int(trained))
    if target is not None:
        query = query.where(MODELS.c.target == target)
    found = (_model(row) for row in connection.execute(query))
    return sorted((model for model in found if definitions.has_target(model.target)), key=lambda one: one.name.lower())


def create(
    workspace: Workspace,
    target: str,
    indicators: Sequence[str],
    *,
    interval: str | None = None,
    processor: str | None = None,
    name: str = "",
    contexts: Iterable[int] | None = None,
) -> AnalyticsModel:
    """Make a model, disabled; UsageError for what is not installed or does not go together."""
    with workspace.store.write() as connection:
        return insert(
            connection,
            workspace,
            target,
            indicators,
            interval=interval,
            processor=processor,
            name=name,
            contexts=contexts,
        )


def insert(
    connection: Connection,
    workspace: Workspace,
    target: str,
    indicators: Sequence[str],
    *,
    interval: str | None = None,
    processor: str | None = None,
    name: str = "",
    contexts: Iterable[int] | None = None,
    enabled: bool = False,
) -> AnalyticsModel:
    """Make a model in a transaction; as :func:`create`."""
    definitions.check_model(target, indicators, interval)
    _check_processor(processor)
    now = workspace.clock()
    values = {
        "enabled": int(enabled),
        "trained": int(definitions.is_static(target)),
        "name": _name(name),
        "target": target,
        "indicators": json.dumps([*indicators]),
        "timesplitting": interval,
        "predictionsprocessor": processor,
        "version": now,
        "contextids": _contexts(contexts),
        "timecreated": now,
        "timemodified": now,
        "usermodified": workspace.userid,
    }
    created = connection.execute(MODELS.insert().values(values)).inserted_primary_key
    return get(connection, int(created[0]) if created else 0)


def edit(
    workspace: Workspace,
    modelid: int,
    *,
    enabled: bool = KEEP,
    indicators: Sequence[str] = KEEP,
    interval: str | None = KEEP,
    processor: str | None = KEEP,
    contexts: Iterable[int] | None = KEEP,
    name: str = KEEP,
) -> AnalyticsModel:
    """Change a model.

    Other indicators, another interval or processor make a new version: predictions and what was learned are deleted.
    Other contexts leave both as they are.

    Raises
    ------
    UsageError
        What is asked for is not installed or does not go together, or would change a static model's assumptions.
    BusyError
        A run works on the model.
    """
    with workspace.lock(modelid):
        with workspace.store.write() as connection:
            model = get(connection, modelid)
            new_indicators = model.indicators if indicators is KEEP else tuple(indicators)
            new_interval = model.interval if interval is KEEP else interval or None
            new_processor = model.processor if processor is KEEP else processor or None
            if model.static and (new_indicators, new_processor) != (model.indicators, model.processor):
                raise UsageError(
                    f"Model {modelid} rests on assumptions: its indicators and processor cannot be changed; "
                    "its interval, its contexts and whether it is enabled can."
                )
            changed = (new_indicators, new_interval, new_processor) != (
                model.indicators, model.interval, model.processor,
            )  # fmt: skip
            values: dict[str, Any] = {"timemodified": workspace.clock(), "usermodified": workspace.userid}
            if changed:
                definitions.check_model(model.target, new_indicators, new_interval)
                _check_processor(new_processor)
                _forget(connection, model)
                values |= {
                    "indicators": json.dumps([*new_indicators]),
                    "timesplitting": new_interval,
                    "predictionsprocessor": new_processor,
                    "version": max(workspace.clock(), model.version + 1),
                    "trained": int(model.static),
                }
            values["enabled"] = int(model.enabled if enabled is KEEP else enabled)
            if values["enabled"] and not new_interval:
                raise UsageError(f"Model {modelid} cannot be enabled without an analysis interval; choose one.")
            if contexts is not KEEP:
                values["contextids"] = _contexts(contexts)
            if name is not KEEP:
                values["name"] = _name(name)
            connection.execute(update(MODELS).where(MODELS.c.id == modelid).values(values))
            edited = get(connection, modelid)
        if changed:
            workspace.remove(workspace.versiondir(model), workspace.datasetdir(modelid))
        return edited


def enable(workspace: Workspace, modelid: int, interval: str | None = None) -> AnalyticsModel:
    """Enable a model, with another interval if one is given."""
    return edit(workspace, modelid, enabled=True, interval=interval or KEEP)


def clear(workspace: Workspace, modelid: int) -> AnalyticsModel:
    """Delete all predictions, what was learned and the registers of what was used; the log of evaluations stays."""
    with workspace.lock(modelid):
        with workspace.store.write() as connection:
            model = get(connection, modelid)
            _forget(connection, model)
            values = {"trained": int(model.static), "timemodified": workspace.clock()}
            connection.execute(update(MODELS).where(MODELS.c.id == modelid).values(values))
            cleared = get(connection, modelid)
        workspace.remove(workspace.versiondir(model), workspace.datasetdir(modelid))
        return cleared


def remove(workspace: Workspace, modelid: int) -> None:
    """Delete a model with everything that belongs to it."""
    with workspace.lock(modelid):
        with workspace.store.write() as connection:
            model = get(connection, modelid)
            _forget(connection, model)
            connection.execute(delete(MODELS_LOG).where(MODELS_LOG.c.modelid == modelid))
            connection.execute(delete(RUNS).where(RUNS.c.modelid == modelid))
            connection.execute(delete(MODELS).where(MODELS.c.id == modelid))
        workspace.remove(workspace.modeldir(model), workspace.datasetdir(modelid))


def trained_locally(connection: Connection, model: AnalyticsModel) -> bool:
    """Whether a model has learned from this site's samples, not (only) elsewhere."""
    if not model.trained or model.static:
        return False
    return bool(count(connection, TRAIN_SAMPLES, model.id))


def count(connection: Connection, table: Any, modelid: int) -> int:
    """How many rows of a table belong to a model."""
    query = select(func.count()).select_from(table).where(table.c.modelid == modelid)
    return int(connection.execute(query).scalar() or 0)


def _model(row: Row[Any]) -> AnalyticsModel:
    return AnalyticsModel(
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


def _forget(connection: Connection, model: AnalyticsModel) -> None:
    """Delete what a model has predicted, learned and used."""
    of_model = select(PREDICTIONS.c.id).where(PREDICTIONS.c.modelid == model.id)
    for table in (PREDICTION_ACTIONS, EXPLANATIONS):
        connection.execute(delete(table).where(table.c.predictionid.in_(of_model)))
    told = select(NOTIFICATIONS.c.id).where(NOTIFICATIONS.c.modelid == model.id)
    connection.execute(delete(DELIVERIES).where(DELIVERIES.c.notificationid.in_(told)))
    for table in (NOTIFICATIONS, PREDICTIONS, *_OF_A_MODEL):
        connection.execute(delete(table).where(table.c.modelid == model.id))
    forget_fact(connection, f"training {model.id}")


def _check_processor(name: str | None) -> None:
    if name is not None:
        from moodlemlbackend.processor import get_processor

        get_processor(name)


def _contexts(contexts: Iterable[int] | None) -> str | None:
    ids = sorted({int(one) for one in contexts or ()})
    return json.dumps(ids) if ids else None


def _name(name: str) -> str | None:
    text = " ".join(name.split())
    if len(text) > MODEL_NAME:
        raise UsageError(f"The name of a model has at most {MODEL_NAME} characters.")
    return text or None
