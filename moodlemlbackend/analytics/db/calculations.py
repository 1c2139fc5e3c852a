"""Stored calculations of indicators, which are used again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import delete, select

from moodlemlbackend.analytics.db.database import insert_rows
from moodlemlbackend.analytics.db.schema import INDICATOR_CALC

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from sqlalchemy import Connection


def recall(
    connection: Connection, *, contextid: int, origin: str, start: int, end: int
) -> dict[str, tuple[list[int], list[float]]]:
    """The values of a range of samples in a context, without null ones: by indicator, samples and their values."""
    query = (
        select(INDICATOR_CALC.c.indicator, INDICATOR_CALC.c.sampleid, INDICATOR_CALC.c.value)
        .where(
            INDICATOR_CALC.c.starttime == start,
            INDICATOR_CALC.c.endtime == end,
            INDICATOR_CALC.c.contextid == contextid,
            INDICATOR_CALC.c.sampleorigin == origin,
            INDICATOR_CALC.c.value.is_not(None),
        )
        .order_by(INDICATOR_CALC.c.id)
    )
    stored: dict[str, tuple[list[int], list[float]]] = {}
    for indicator, sampleid, value in connection.execute(query):
        ids, values = stored.setdefault(indicator, ([], []))
        ids.append(sampleid)
        values.append(value)
    return stored


def keep(connection: Connection, rows: Iterable[dict[str, Any]]) -> None:
    """Write calculations."""
    insert_rows(connection, INDICATOR_CALC, rows)


def contexts(connection: Connection) -> set[int]:
    """Ids of the contexts that have calculations."""
    return set(connection.execute(select(INDICATOR_CALC.c.contextid).distinct()).scalars())


def forget(connection: Connection, contextids: Sequence[int]) -> int:
    """Delete the calculations in contexts; returns how many."""
    return connection.execute(delete(INDICATOR_CALC).where(INDICATOR_CALC.c.contextid.in_(contextids))).rowcount


def forget_older(connection: Connection, before: int) -> int:
    """Delete calculations made before a time; returns how many."""
    return connection.execute(delete(INDICATOR_CALC).where(INDICATOR_CALC.c.timecreated < before)).rowcount
