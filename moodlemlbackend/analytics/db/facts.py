"""What the store remembers under names, as JSON holds it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from sqlalchemy import delete, select

from moodlemlbackend.analytics.db.database import upsert
from moodlemlbackend.analytics.db.schema import FACTS

if TYPE_CHECKING:
    from sqlalchemy import Connection


def read(connection: Connection, name: str) -> Any:
    """Return what is remembered under a name, None for nothing."""
    value = connection.execute(select(FACTS.c.value).where(FACTS.c.name == name)).scalar()
    return None if value is None else json.loads(value)


def starting_with(connection: Connection, start: str) -> dict[str, Any]:
    """What is remembered under names that start so, by name."""
    rows = connection.execute(select(FACTS).where(FACTS.c.name.startswith(start, autoescape=True)))
    return {row.name: json.loads(row.value) for row in rows}


def write(connection: Connection, name: str, value: Any) -> None:
    """Remember a value."""
    upsert(connection, FACTS, {"name": name, "value": json.dumps(value)}, ("name",))


def hold(connection: Connection, name: str, default: Any) -> Any:
    """Read a value, remembered from now on if there is none, that nobody else can hold until the transaction ends.

    So what is done once in the life of a store is done by one process, however many begin it at the same time.
    """
    upsert(connection, FACTS, {"name": name, "value": json.dumps(default)}, ("name",), replace=False)
    held = select(FACTS.c.value).where(FACTS.c.name == name).with_for_update()
    return json.loads(connection.execute(held).scalar_one())


def forget(connection: Connection, name: str) -> None:
    """Remember nothing under a name."""
    connection.execute(delete(FACTS).where(FACTS.c.name == name))
