"""What a model has used: which samples were trained with or predicted, which analysables were looked at, and when."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from sqlalchemy import delete, func, select, update

from moodlemlbackend.analytics.db.database import insert_rows
from moodlemlbackend.analytics.db.schema import PREDICT_SAMPLES, TRAIN_SAMPLES, USED_ANALYSABLES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from sqlalchemy import Connection

_AT_ONCE = 500


def trained(
    connection: Connection, modelid: int, interval: str, analysableid: int | None = None
) -> dict[int, list[int]]:
    """Samples that a model was trained with, by analysable; of one or of all."""
    return _registered(connection, TRAIN_SAMPLES, modelid, interval, analysableid)


def predicted(
    connection: Connection, modelid: int, interval: str, rangeindex: int, analysableid: int | None = None
) -> dict[int, list[int]]:
    """Samples that a model has predicted in a range, by analysable; of one or of all."""
    in_range = PREDICT_SAMPLES.c.rangeindex == rangeindex
    return _registered(connection, PREDICT_SAMPLES, modelid, interval, analysableid, in_range)


def register_trained(
    connection: Connection, modelid: int, interval: str, samples: Sequence[tuple[int, Sequence[int]]], now: int
) -> None:
    """Register that samples, by analysable, were trained with."""
    common = {"modelid": modelid, "timesplitting": interval, "timecreated": now}
    rows = [{**common, "analysableid": key, "sampleids": _text(ids)} for key, ids in samples]
    insert_rows(connection, TRAIN_SAMPLES, rows)


def register_predicted(
    connection: Connection,
    modelid: int,
    interval: str,
    samples: Sequence[tuple[int, int, Sequence[int]]],
    now: int,
    *,
    known_new: Callable[[int, int], bool],
) -> None:
    """Register that samples, by analysable and range, were predicted; they join those that are registered there.

    ``known_new`` says of an analysable and a range that none are.
    """
    rows = []
    for analysableid, rangeindex, ids in samples:
        key = {"modelid": modelid, "analysableid": analysableid, "timesplitting": interval, "rangeindex": rangeindex}
        if not known_new(analysableid, rangeindex):
            same = (PREDICT_SAMPLES.c[name] == value for name, value in key.items())
            row = connection.execute(select(PREDICT_SAMPLES).where(*same)).first()
            if row is not None:
                more = {"sampleids": _text([*json.loads(row.sampleids).values(), *ids]), "timemodified": now}
                connection.execute(update(PREDICT_SAMPLES).where(PREDICT_SAMPLES.c.id == row.id).values(more))
                continue
        rows.append({**key, "sampleids": _text(ids), "timecreated": now, "timemodified": now})
    insert_rows(connection, PREDICT_SAMPLES, rows)


def last_analysed(connection: Connection, modelid: int, action: str) -> dict[int, int]:
    """When each analysable was last analysed for an action."""
    used = USED_ANALYSABLES.c
    query = select(used.analysableid, used.timeanalysed).where(used.modelid == modelid, used.action == action)
    return {row[0]: row[1] for row in connection.execute(query)}


def first_analysed(connection: Connection, modelid: int) -> dict[int, int]:
    """When each analysable was first analysed for any action."""
    used = USED_ANALYSABLES.c
    query = select(used.analysableid, func.min(used.firstanalysis)).where(used.modelid == modelid)
    return {row[0]: row[1] for row in connection.execute(query.group_by(used.analysableid))}


def register_analysed(
    connection: Connection, modelid: int, action: str, *, new: Mapping[int, int], again: Mapping[int, int]
) -> None:
    """Register when analysables were analysed: those that never were before, and the others."""
    common = {"modelid": modelid, "action": action}
    rows = [{**common, "analysableid": key, "firstanalysis": time, "timeanalysed": time} for key, time in new.items()]
    insert_rows(connection, USED_ANALYSABLES, rows)
    by_time: dict[int, list[int]] = {}
    for key, time in again.items():
        by_time.setdefault(time, []).append(key)
    used = USED_ANALYSABLES.c
    for time, keys in by_time.items():
        for start in range(0, len(keys), _AT_ONCE):
            chosen = used.analysableid.in_(keys[start : start + _AT_ONCE])
            of_action = (used.modelid == modelid, used.action == action)
            connection.execute(update(USED_ANALYSABLES).where(*of_action, chosen).values(timeanalysed=time))


def forget_others(connection: Connection, modelid: int, there: Iterable[int]) -> int:
    """Delete what is registered of analysables that are not among these; returns how many rows."""
    removed, known = 0, set(there)
    for table in (TRAIN_SAMPLES, PREDICT_SAMPLES, USED_ANALYSABLES):
        of_model = table.c.modelid == modelid
        used = set(connection.execute(select(table.c.analysableid).where(of_model).distinct()).scalars())
        gone = sorted(used - known)
        for start in range(0, len(gone), _AT_ONCE):
            chosen = table.c.analysableid.in_(gone[start : start + _AT_ONCE])
            removed += connection.execute(delete(table).where(of_model, chosen)).rowcount
    return removed


def _registered(
    connection: Connection, table: Any, modelid: int, interval: str, analysableid: int | None, *where: Any
) -> dict[int, list[int]]:
    query = select(table.c.analysableid, table.c.sampleids)
    query = query.where(table.c.modelid == modelid, table.c.timesplitting == interval, *where)
    if analysableid is not None:
        query = query.where(table.c.analysableid == analysableid)
    samples: dict[int, list[int]] = {}
    for analysable, text in connection.execute(query):
        samples.setdefault(analysable, []).extend(map(int, json.loads(text)))
    return samples


def _text(ids: Iterable[int]) -> str:
    return json.dumps({str(key): key for key in ids})
