"""What has been done with models: their evaluations and runs."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from sqlalchemy import select

from moodlemlbackend.analytics.db.schema import MODELS_LOG, RUNS

if TYPE_CHECKING:
    from sqlalchemy import Connection

MOST_RUNS = 100


def evaluations(connection: Connection, modelid: int) -> list[dict[str, Any]]:
    """The log of a model's evaluations, newest first; ``info`` is a list of sentences."""
    query = select(MODELS_LOG).where(MODELS_LOG.c.modelid == modelid).order_by(MODELS_LOG.c.id.desc())
    return [
        {**row._asdict(), "info": json.loads(row.info or "[]"), "indicators": json.loads(row.indicators)}
        for row in connection.execute(query)
    ]


def runs(connection: Connection, modelid: int, most: int = MOST_RUNS) -> list[dict[str, Any]]:
    """A model's last runs, newest first; one without ``timefinished`` goes on, or was killed."""
    query = select(RUNS).where(RUNS.c.modelid == modelid).order_by(RUNS.c.id.desc()).limit(most)
    return [
        {"figures": {}, "info": [], **json.loads(row.summary or "{}"), "id": row.id, "task": row.task,
         "status": row.status, "timestarted": row.timestarted, "timefinished": row.timefinished}
        for row in connection.execute(query)
    ]  # fmt: skip
