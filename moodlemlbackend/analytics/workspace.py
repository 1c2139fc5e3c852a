"""What every operation on models works with: the store, the folder of models and data sets, the settings, a clock."""

from __future__ import annotations

import hashlib
import json
import shutil
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from sqlalchemy import select

from moodlemlbackend.analytics.db import open_store
from moodlemlbackend.analytics.db.schema import FACTS
from moodlemlbackend.errors import BusyError
from moodlemlbackend.files import storage_errors

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from sqlalchemy import Connection

    from moodlemlbackend.analytics.db import Store
    from moodlemlbackend.analytics.db.models import AnalyticsModel
    from moodlemlbackend.settings.analytics import AnalyticsSettings

LOCK_WAIT_SECONDS = 10.0
COMMAND_LINE = 0
"""User id of who works at the command line, or of a scheduled task."""


def _now() -> int:
    return int(time.time())


@dataclass(frozen=True)
class Workspace:
    """A store, and a folder with ``models/`` and ``datasets/``.

    Attributes
    ----------
    clock
        Returns the time in Unix seconds.
    userid
        Moodle's id of the user who acts.
    """

    store: Store
    folder: Path
    settings: AnalyticsSettings
    clock: Callable[[], int] = field(default=_now)
    userid: int = COMMAND_LINE

    def modeldir(self, model: AnalyticsModel) -> Path:
        """The folder of a model, all of its versions."""
        return self.folder / "models" / str(model.id)

    def versiondir(self, model: AnalyticsModel) -> Path:
        """The folder of a model's present version."""
        return self.modeldir(model) / str(model.version)

    def executiondir(self, model: AnalyticsModel) -> Path:
        """Where the trained model is."""
        return self.versiondir(model) / "execution"

    def evaluationdir(self, model: AnalyticsModel, interval: str) -> Path:
        """Where evaluations of one interval leave their logs."""
        return self.versiondir(model) / "evaluation" / interval.replace("\\", "")

    def datasetdir(self, modelid: int) -> Path:
        """Where the data sets of a model are."""
        return self.folder / "datasets" / str(modelid)

    def unique_id(self, model: AnalyticsModel) -> str:
        """The id that a processor knows a model's version by, as Moodle makes it."""
        text = f"{self.settings.wwwroot}$${self.settings.prefix}$${model.id}$${model.version}"
        return hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()

    @contextmanager
    def lock(self, modelid: int) -> Iterator[None]:
        """Keep every other run on a model out.

        Raises
        ------
        BusyError
            Another run has held it for :data:`LOCK_WAIT_SECONDS`.
        """
        with self.store.lock(f"model:{modelid}", LOCK_WAIT_SECONDS) as held:
            if not held:
                raise BusyError(f"Another run works on model {modelid}; it is left to that run.")
            yield

    def remove(self, *folders: Path) -> None:
        """Remove folders, those that there are."""
        for folder in folders:
            with storage_errors(folder):
                if folder.is_dir():
                    shutil.rmtree(folder)


def open_workspace(settings: AnalyticsSettings, *, now: int | None = None, userid: int = COMMAND_LINE) -> Workspace:
    """Open the store and the folder that the settings name; the core models are there from the first time on.

    ``now`` fixes the clock. Errors as of :func:`moodlemlbackend.analytics.db.open_store`.
    """
    from moodlemlbackend.analytics.lifecycle.core_models import install_core_models

    folder = settings.folder.resolve()
    with storage_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
    store = open_store(settings.store_url)
    workspace = Workspace(store, folder, settings, clock=_now if now is None else lambda: now, userid=userid)
    install_core_models(workspace)
    return workspace


def read_fact(connection: Connection, name: str) -> Any:
    """Return what the store remembers under a name, None for nothing."""
    value = connection.execute(select(FACTS.c.value).where(FACTS.c.name == name)).scalar()
    return None if value is None else json.loads(value)


def write_fact(connection: Connection, name: str, value: Any) -> None:
    """Remember a value, as JSON holds it."""
    connection.execute(FACTS.delete().where(FACTS.c.name == name))
    connection.execute(FACTS.insert().values(name=name, value=json.dumps(value)))


def forget_fact(connection: Connection, name: str) -> None:
    """Remember nothing under a name."""
    connection.execute(FACTS.delete().where(FACTS.c.name == name))
