"""What every operation on models works with: the store, the folder of models and data sets, the settings, a clock."""

from __future__ import annotations

import hashlib
import os
import shutil
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from moodlemlbackend.analytics.db import unfinished
from moodlemlbackend.errors import BusyError
from moodlemlbackend.files import storage_errors

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from moodlemlbackend.analytics.db import Connection, Store
    from moodlemlbackend.analytics.db.models import ModelRecord
    from moodlemlbackend.settings.analytics import AnalyticsSettings

LOCK_WAIT_SECONDS = 10.0
COMMAND_LINE = 0
"""User id of who works at the command line, or of a scheduled task."""


def now() -> int:
    """The time in Unix seconds."""
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
    clock: Callable[[], int] = field(default=now)
    userid: int = COMMAND_LINE

    def modeldir(self, model: ModelRecord) -> Path:
        """The folder of a model, all of its versions."""
        return self.folder / "models" / str(model.id)

    def versiondir(self, model: ModelRecord) -> Path:
        """The folder of a model's present version."""
        return self.modeldir(model) / str(model.version)

    def executiondir(self, model: ModelRecord) -> Path:
        """Where the trained model is."""
        return self.versiondir(model) / "execution"

    def evaluationdir(self, model: ModelRecord, interval: str) -> Path:
        """Where evaluations of one interval leave their logs, whichever version of the model they judge."""
        return self.modeldir(model) / "evaluations" / interval.replace("\\", "")

    def datasetdir(self, modelid: int) -> Path:
        """Where the data sets of a model are."""
        return self.folder / "datasets" / str(modelid)

    def relative(self, path: str) -> str:
        """A path below the folder as the store keeps it, so that the folder can be moved; others stay as they are."""
        if path and Path(path).resolve().is_relative_to(self.folder):
            return Path(path).resolve().relative_to(self.folder).as_posix()
        return path

    def absolute(self, path: str) -> str:
        """Where a path that the store keeps is now; an empty one stays empty."""
        return str(self.folder / path) if path else ""

    def unique_id(self, model: ModelRecord) -> str:
        """The id that a processor knows a model's version by, as Moodle makes it."""
        text = f"{self.settings.wwwroot}$${self.settings.prefix}$${model.id}$${model.version}"
        return hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()

    @contextmanager
    def lock(self, modelid: int, wait: float | None = None) -> Iterator[None]:
        """Keep every other run on a model out; what one that was killed has left is removed first.

        Raises
        ------
        BusyError
            Another run has held it for ``wait`` seconds, :data:`LOCK_WAIT_SECONDS` unless given.
        """
        with self.store.lock(f"model:{modelid}", LOCK_WAIT_SECONDS if wait is None else wait) as held:
            if not held:
                raise BusyError(f"Another run is working on model {modelid}, so this run skips it.")
            self.finish(modelid)
            yield

    def begin_removal(self, connection: Connection, modelid: int, *folders: Path) -> None:
        """Note, with the changes that make them useless, which folders of a model are to go; see :meth:`finish`."""
        unfinished.begin_removal(connection, modelid, [self.relative(str(folder)) for folder in folders])

    def finish(self, modelid: int) -> None:
        """Remove the folders of a model that are to go; for who holds its lock."""
        with self.store.read() as connection:
            folders = [self.folder / folder for folder in unfinished.removal(connection, modelid)]
        if not folders:
            return
        with storage_errors(self.folder), os.scandir(self.folder):  # nothing is removed from a disk that is gone
            self.remove(*folders)
        with self.store.write() as connection:
            unfinished.end_removal(connection, modelid)

    @staticmethod
    def remove(*folders: Path) -> None:
        """Remove folders, those that there are."""
        for folder in folders:
            with storage_errors(folder):
                if folder.is_dir():
                    shutil.rmtree(folder)
