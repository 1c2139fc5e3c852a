"""Opening a workspace: the core models are there from the first time on, and what was interrupted is put right."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from moodlemlbackend.analytics import models
from moodlemlbackend.analytics.db import open_store, unfinished
from moodlemlbackend.analytics.lifecycle.core_models import install_core_models
from moodlemlbackend.analytics.workspace import COMMAND_LINE, Workspace
from moodlemlbackend.analytics.workspace import now as clock
from moodlemlbackend.errors import BusyError
from moodlemlbackend.files import storage_errors

if TYPE_CHECKING:
    from moodlemlbackend.settings.analytics import AnalyticsSettings


def open_workspace(settings: AnalyticsSettings, *, now: int | None = None, userid: int = COMMAND_LINE) -> Workspace:
    """Open the store and the folder that the settings name.

    ``now`` fixes the clock. Errors as of :func:`moodlemlbackend.analytics.db.open_store`.
    """
    folder = settings.folder.resolve()
    with storage_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
    store = open_store(settings.store_url)
    workspace = Workspace(store, folder, settings, clock=clock if now is None else lambda: now, userid=userid)
    install_core_models(workspace)
    _put_right(workspace)
    return workspace


def _put_right(workspace: Workspace) -> None:
    """Complete removals and undo imports whose process was killed; a model that a run works on is left to that run."""
    with workspace.store.read() as connection:
        modelids = unfinished.removals(connection) | unfinished.imports(connection)
    for modelid in sorted(modelids):
        with suppress(BusyError), workspace.lock(modelid, 0):
            with workspace.store.read() as connection:
                imported = modelid not in unfinished.imports(connection)
            if not imported:
                models.remove_locked(workspace, modelid)
