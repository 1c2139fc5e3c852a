"""What server and workers send each other: a job, and what it came to."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from moodlemlbackend.settings.server import Limits

RESULT_NAME = "result.json"
"""What a run came to, beside its log: the pages for people read it."""

JSON, ZIP, TEXT = "application/json", "application/zip", "text/plain; charset=utf-8"

DIRHASH = re.compile(r"[0-9a-f]{32}", re.ASCII)
RUNID = re.compile(r"\d{1,19}", re.ASCII)
"""What a directory's hash and a run's number look like; a model id is :data:`.operations.trained_models.MODEL_ID`."""

Parts = tuple[str, ...]


@dataclass(frozen=True)
class WorkerSettings:
    """What a worker needs to know; ``trains`` says whether it loads the libraries of training at its start."""

    directory: str
    limits: Limits
    trains: bool


@dataclass(frozen=True)
class Job:
    """One piece of work: ``kind`` is the name of Moodle's call, ``owner`` the user's folder or nothing."""

    kind: str
    owner: Parts
    uniqueid: str
    scratch: str
    dirhash: str = ""
    values: dict[str, Any] = field(default_factory=dict)

    @property
    def model(self) -> Parts:
        """Where the model is in the storage."""
        return (*self.owner, self.uniqueid, self.dirhash)


@dataclass(frozen=True)
class WorkerReply:
    """What a job came to: HTTP status, body or the file that holds it, and facts for metrics and log."""

    code: int
    body: bytes
    media: str = TEXT
    file: str | None = None
    status: int = 0
    rows: int = 0
    fault: str = ""
