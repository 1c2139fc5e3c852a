"""What has been done with models: their evaluations and runs."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from sqlalchemy import delete, func, select, update

from moodlemlbackend.analytics.db.schema import MODELS_LOG, RUNS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Connection

    from moodlemlbackend.analytics.db.models import ModelRecord

MOST_RUNS = 100


def evaluations(connection: Connection, modelid: int) -> list[dict[str, Any]]:
    """The log of a model's evaluations, newest first; ``info`` is a list of sentences."""
    query = select(MODELS_LOG).where(MODELS_LOG.c.modelid == modelid).order_by(MODELS_LOG.c.id.desc())
    return [
        {**row._asdict(), "info": json.loads(row.info or "[]"), "indicators": json.loads(row.indicators)}
        for row in connection.execute(query)
    ]


def last_evaluations(connection: Connection) -> dict[int, dict[str, dict[str, Any]]]:
    """The newest evaluation with each interval, by model and interval."""
    newest = select(func.max(MODELS_LOG.c.id)).group_by(MODELS_LOG.c.modelid, MODELS_LOG.c.timesplitting)
    query = select(MODELS_LOG.c.modelid, MODELS_LOG.c.timecreated, MODELS_LOG.c.score, MODELS_LOG.c.timesplitting)
    evaluations: dict[int, dict[str, dict[str, Any]]] = {}
    for row in connection.execute(query.where(MODELS_LOG.c.id.in_(newest))):
        evaluations.setdefault(row.modelid, {})[row.timesplitting or ""] = row._asdict()
    return evaluations


def log_evaluation(
    connection: Connection,
    model: ModelRecord,
    *,
    interval: str,
    mode: str,
    score: float,
    info: Sequence[str],
    folder: str,
    userid: int,
    now: int,
) -> int:
    """Log an evaluation of a model as it is; returns the id of the entry."""
    values = {
        "modelid": model.id,
        "version": model.version,
        "evaluationmode": mode,
        "target": model.target,
        "indicators": json.dumps([*model.indicators]),
        "timesplitting": interval,
        "score": round(score, 5),
        "info": json.dumps([*info]),
        "dir": folder,
        "timecreated": now,
        "usermodified": userid,
    }
    key = connection.execute(MODELS_LOG.insert().values(values)).inserted_primary_key
    return int(key[0]) if key else 0


def runs(connection: Connection, modelid: int, most: int = MOST_RUNS) -> list[dict[str, Any]]:
    """A model's last runs, newest first; one without ``timefinished`` goes on, or was killed."""
    query = select(RUNS).where(RUNS.c.modelid == modelid).order_by(RUNS.c.id.desc()).limit(most)
    return [
        {"figures": {}, "info": [], **json.loads(row.summary or "{}"), "id": row.id, "task": row.task,
         "status": row.status, "timestarted": row.timestarted, "timefinished": row.timefinished}
        for row in connection.execute(query)
    ]  # fmt: skip


def begin_run(connection: Connection, task: str, modelid: int, now: int) -> int:
    """Note that a run has begun; returns its id."""
    key = connection.execute(RUNS.insert().values(task=task, modelid=modelid, timestarted=now)).inserted_primary_key
    return int(key[0]) if key else 0


def end_run(connection: Connection, runid: int, status: int, summary: dict[str, Any], now: int) -> None:
    """Note what came of a run."""
    values = {"status": status, "summary": json.dumps(summary), "timefinished": now}
    connection.execute(update(RUNS).where(RUNS.c.id == runid).values(values))


def forget_runs(connection: Connection, before: int) -> int:
    """Forget the runs that began before a time; returns how many."""
    return connection.execute(delete(RUNS).where(RUNS.c.timestarted < before)).rowcount
