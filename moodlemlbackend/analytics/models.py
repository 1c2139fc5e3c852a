"""Models: what each one is, and what an administrator does with it, by the rules of Moodle.

A model has an id, a target (what is predicted), indicators (from what), an analysis interval (when), a processor, and a
version, which changes whenever what it learned no longer fits. A static model learns nothing: its target is computed
from its indicators by assumption, and these cannot be changed.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypedDict

from moodlemlbackend.analytics.db import facts, unfinished
from moodlemlbackend.analytics.db import models as rows
from moodlemlbackend.analytics.db.models import ModelRecord
from moodlemlbackend.analytics.db.schema import MODEL_NAME
from moodlemlbackend.analytics.features import definitions
from moodlemlbackend.errors import UsageError, unknown

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    from typing_extensions import Unpack

    from moodlemlbackend.analytics.db import Connection
    from moodlemlbackend.analytics.workspace import Workspace

MOST_FLAGGED = "most flagged"
"""What the names of :func:`most_flagged_fact` begin with."""

KEEP: Any = object()
"""A change of :func:`edit` that leaves things as they are."""


@dataclass(frozen=True)
class AnalyticsModel(ModelRecord):
    """A model as its target's definition makes it."""

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
            raise UsageError(f"Model {self.id} has no interval; enable it with one.")
        if not self.indicators:
            raise UsageError(f"Model {self.id} has no indicators; add some with models edit.")
        return self.interval


def get(connection: Connection, modelid: int) -> AnalyticsModel:
    """Read a model; UsageError when there is none of this id."""
    row = rows.find(connection, modelid)
    if row is None:
        raise UsageError(f"There is no model {modelid}; see moodlemlbackend models list.")
    return AnalyticsModel(**vars(row))


def id_of(connection: Connection, name: str) -> int:
    """The id of the model that a person names by its id, its name or its target; UsageError unless that is one."""
    if name.isdecimal() and len(name) < 10:
        return int(name)
    every = [AnalyticsModel(**vars(row)) for row in rows.read(connection)]
    named = {model.id: (model.name, model.target, definitions.last_part(model.target)) for model in every}
    fits = [modelid for modelid, names in named.items() if name.casefold() in map(str.casefold, names)]
    if len(fits) == 1:
        return fits[0]
    if not fits:
        known = [known for name_, _, target in named.values() for known in (name_, target)]
        raise unknown("model", name, known, "moodlemlbackend models list shows them all.")
    listed = ", ".join(f"{modelid} ({named[modelid][0]})" for modelid in sorted(fits))
    raise UsageError(f"The name {name[:120]!r} matches several models: {listed}; give the id of one.")


def by_id(connection: Connection, modelids: Collection[int]) -> dict[int, AnalyticsModel]:
    """Read the models of these ids whose target is installed."""
    every = (AnalyticsModel(**vars(row)) for row in rows.read(connection, modelids=modelids))
    return {model.id: model for model in every if definitions.has_target(model.target)}


def listed(
    connection: Connection, *, enabled: bool | None = None, trained: bool | None = None, target: str | None = None
) -> list[AnalyticsModel]:
    """Read the models by name; those whose target is not installed are left out."""
    read = rows.read(connection, enabled=enabled, trained=trained, target=target)
    installed = (AnalyticsModel(**vars(row)) for row in read if definitions.has_target(row.target))
    return sorted(installed, key=lambda model: model.name.lower())


def create(
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
    """Make a model; UsageError for what is not installed or does not go together."""
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
            enabled=enabled,
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
    if enabled and not interval:
        raise UsageError("A model cannot be enabled without an interval; choose one.")
    now = workspace.clock()
    row = ModelRecord(
        id=0,
        enabled=enabled,
        trained=definitions.is_static(target),
        given_name=checked_name(name),
        target=target,
        indicators=tuple(indicators),
        interval=interval,
        processor=processor,
        version=now,
        contexts=_contexts(contexts),
        created=now,
        modified=now,
        modified_by=workspace.userid,
    )
    return get(connection, rows.insert(connection, row))


class Changes(TypedDict, total=False):
    """What can be changed of a model; :data:`KEEP` leaves things as they are."""

    enabled: bool
    indicators: Sequence[str]
    interval: str | None
    processor: str | None
    contexts: Iterable[int] | None
    name: str


def planned(workspace: Workspace, model: AnalyticsModel, changes: Changes) -> AnalyticsModel:
    """A model as an edit makes it: of a later version where what was learned no longer fits; UsageError as of it."""
    given: dict[str, Any] = {name: value for name, value in changes.items() if value is not KEEP}
    for name in ("interval", "processor"):
        if name in given:
            given[name] = given[name] or None
    if "indicators" in given:
        given["indicators"] = tuple(given["indicators"])
    if "contexts" in given:
        given["contexts"] = _contexts(given["contexts"])
    if "name" in given:
        given["given_name"] = checked_name(given.pop("name"))
    now = workspace.clock()
    plan = replace(model, **given, modified=now, modified_by=workspace.userid)
    if model.static and (plan.indicators, plan.processor) != (model.indicators, model.processor):
        raise UsageError(
            f"Model {model.id} is rule-based: you can change its interval and contexts, and enable or disable "
            "it, but not its indicators or processor."
        )
    if _learned_by(plan) != _learned_by(model):
        definitions.check_model(plan.target, plan.indicators, plan.interval)
        _check_processor(plan.processor)
        plan = replace(plan, version=max(now, model.version + 1), trained=model.static)
    if plan.enabled and not plan.interval:
        raise UsageError(f"Model {model.id} cannot be enabled without an interval; choose one.")
    return plan


def edit(workspace: Workspace, modelid: int, **changes: Unpack[Changes]) -> AnalyticsModel:
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
            edited = planned(workspace, model, changes)
            if edited.version != model.version:
                _forget(connection, workspace, model)
            rows.change(connection, edited)
        workspace.finish(modelid)
        return edited


def enable(workspace: Workspace, modelid: int, interval: str | None = None) -> AnalyticsModel:
    """Enable a model, with another interval if one is given."""
    return edit(workspace, modelid, enabled=True, interval=interval or KEEP)


def clear(workspace: Workspace, modelid: int) -> AnalyticsModel:
    """Delete all predictions, what was learned and the registers of what was used; the log of evaluations stays."""
    with workspace.lock(modelid):
        with workspace.store.write() as connection:
            model = get(connection, modelid)
            _forget(connection, workspace, model)
            cleared = replace(model, trained=model.static, modified=workspace.clock())
            rows.change(connection, cleared)
        workspace.finish(modelid)
        return cleared


def remove(workspace: Workspace, modelid: int) -> None:
    """Delete a model with everything that belongs to it."""
    with workspace.lock(modelid):
        remove_locked(workspace, modelid)


def remove_locked(workspace: Workspace, modelid: int) -> None:
    """Delete a model whose lock is held."""
    with workspace.store.write() as connection:
        model = get(connection, modelid)
        workspace.begin_removal(connection, modelid, workspace.modeldir(model), workspace.datasetdir(modelid))
        _forget_facts(connection, modelid)
        facts.forget(connection, backtest_fact(modelid))
        unfinished.end_import(connection, modelid)
        rows.remove(connection, modelid)
    workspace.finish(modelid)


def trained_locally(connection: Connection, model: AnalyticsModel) -> bool:
    """Whether a model has learned from this site's samples, not (only) elsewhere."""
    return model.trained and not model.static and rows.has_trained_samples(connection, model.id)


def training_fact(modelid: int) -> str:
    """The name under which the store remembers what a training began from."""
    return f"training {modelid}"


def most_flagged_fact(modelid: int) -> str:
    """The name under which the store remembers which courses no one was notified about."""
    return f"{MOST_FLAGGED} {modelid}"


def backtest_fact(modelid: int) -> str:
    """The name under which the store keeps the figures of a model's last backtest."""
    return f"backtest {modelid}"


def _learned_by(model: ModelRecord) -> tuple[object, ...]:
    return model.indicators, model.interval, model.processor


def _forget(connection: Connection, workspace: Workspace, model: AnalyticsModel) -> None:
    """Delete what a model has predicted, learned and used, and have its files removed."""
    rows.forget(connection, model.id)
    _forget_facts(connection, model.id)
    workspace.begin_removal(connection, model.id, workspace.versiondir(model), workspace.datasetdir(model.id))


def _forget_facts(connection: Connection, modelid: int) -> None:
    for name in (training_fact(modelid), most_flagged_fact(modelid)):
        facts.forget(connection, name)


def _check_processor(name: str | None) -> None:
    if name is not None:
        from moodlemlbackend.processor import get_processor

        get_processor(name)


def _contexts(contexts: Iterable[int] | None) -> tuple[int, ...] | None:
    return tuple(sorted({int(contextid) for contextid in contexts or ()})) or None


def checked_name(name: str) -> str:
    """A name as it is kept; UsageError when it is too long."""
    text = " ".join(name.split())
    if len(text) > MODEL_NAME:
        raise UsageError(f"The name is too long; a model's name may have at most {MODEL_NAME} characters.")
    return text
