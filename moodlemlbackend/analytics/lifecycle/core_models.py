"""The models that every site begins with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from moodlemlbackend.analytics import models
from moodlemlbackend.analytics.db import facts
from moodlemlbackend.analytics.features import definitions

if TYPE_CHECKING:
    from collections.abc import Collection

    from moodlemlbackend.analytics.db import Connection
    from moodlemlbackend.analytics.models import AnalyticsModel
    from moodlemlbackend.analytics.site import Site
    from moodlemlbackend.analytics.workspace import Workspace

_INSTALLED = "core_models"
MODULES_FACT = "modules"
"""Under which the store remembers the activities that the site has."""

_INTERVAL = "\\core\\analytics\\time_splitting\\"
_COURSE = "\\core_course\\analytics\\"


@dataclass(frozen=True)
class Declared:
    """A model as it is at first: its indicators are the core ones of its target."""

    target: str
    interval: str | None = None

    def indicators(self, modules: Collection[str] | None) -> tuple[str, ...]:
        """Ids of the indicators, without those of activities that the site, once it is known, does not have."""
        return definitions.core_indicators(self.target, modules)


CORE_MODELS = (
    Declared(f"{_COURSE}target\\course_dropout"),
    Declared(f"{_COURSE}target\\no_teaching", f"{_INTERVAL}single_range"),
    Declared("\\core_user\\analytics\\target\\upcoming_activities_due", f"{_INTERVAL}upcoming_week"),
    Declared(f"{_COURSE}target\\no_access_since_course_start", f"{_INTERVAL}one_month_after_start"),
    Declared(f"{_COURSE}target\\no_recent_accesses", f"{_INTERVAL}past_month"),
)
"""Those with an interval are enabled."""


def install_core_models(workspace: Workspace) -> None:
    """Make the core models that this store has not had yet and whose target has no model; once each, not again."""
    wanted = [core.target for core in CORE_MODELS]
    with workspace.store.read() as connection:
        if facts.read(connection, _INSTALLED) == wanted:
            return
    with workspace.store.write() as connection:
        had = facts.hold(connection, _INSTALLED, [])
        for core in CORE_MODELS:
            if core.target not in had and not models.listed(connection, target=core.target):
                _insert(workspace, connection, core)
        facts.write(connection, _INSTALLED, wanted)


def restore_core_models(workspace: Workspace) -> list[AnalyticsModel]:
    """Make the core models again for which there is none with the same target and set of indicators."""
    with workspace.store.write() as connection:
        facts.hold(connection, _INSTALLED, [])
        return [_insert(workspace, connection, core) for core in _missing(connection)]


def restored_next_to(workspace: Workspace) -> list[AnalyticsModel]:
    """The models that have the target of a core model which :func:`restore_core_models` would make again."""
    with workspace.store.read() as connection:
        return [model for core in _missing(connection) for model in models.listed(connection, target=core.target)]


def fit_core_model(workspace: Workspace, site: Site, modelid: int) -> None:
    """Leave the indicators of activities that the site does not have out of a core model that has not learned yet.

    Core models are made before a site is known; Moodle leaves these indicators out when it makes them.
    """
    with workspace.store.read() as connection:
        model = models.get(connection, modelid)
    if model.static or model.trained or not definitions.has_target(model.target):
        return
    wanted = definitions.core_indicators(model.target, site.modules)
    if wanted and set(wanted) < set(model.indicators) == set(definitions.core_indicators(model.target)):
        models.edit(workspace, modelid, indicators=wanted)


def _missing(connection: Connection) -> list[Declared]:
    """The core models for which there is none with the same target and set of indicators."""
    modules = facts.read(connection, MODULES_FACT)

    def present(core: Declared) -> bool:
        wanted = set(core.indicators(modules))
        return any(set(model.indicators) == wanted for model in models.listed(connection, target=core.target))

    return [core for core in CORE_MODELS if not present(core)]


def _insert(workspace: Workspace, connection: Connection, core: Declared) -> AnalyticsModel:
    indicators = core.indicators(facts.read(connection, MODULES_FACT))
    return models.insert(
        connection, workspace, core.target, indicators, interval=core.interval, enabled=core.interval is not None
    )
