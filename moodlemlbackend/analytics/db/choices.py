"""What people have chosen for themselves, as text under names."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import delete, select

from moodlemlbackend.analytics.db.database import among, upsert
from moodlemlbackend.analytics.db.schema import CHOICES

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from sqlalchemy import Connection


def read(connection: Connection, userid: int) -> dict[str, str]:
    """All that a user has chosen, by name."""
    rows = connection.execute(select(CHOICES.c.name, CHOICES.c.value).where(CHOICES.c.userid == userid))
    return {row.name: row.value for row in rows}


def of_users(connection: Connection, name: str, userids: Collection[int]) -> dict[int, str]:
    """What users have chosen under one name, by user; those who have not chosen are missing."""
    query = select(CHOICES.c.userid, CHOICES.c.value).where(CHOICES.c.name == name, among(CHOICES.c.userid, userids))
    return {row.userid: row.value for row in connection.execute(query)}


def write(connection: Connection, userid: int, name: str, value: str) -> None:
    """Keep what a user has chosen."""
    upsert(connection, CHOICES, {"userid": userid, "name": name, "value": value}, ("userid", "name"))


def forget(connection: Connection, userid: int, name: str) -> None:
    """Have a user's choice be the default again."""
    connection.execute(delete(CHOICES).where(CHOICES.c.userid == userid, CHOICES.c.name == name))


def people(connection: Connection) -> set[int]:
    """Ids of the users who have chosen anything."""
    return set(connection.execute(select(CHOICES.c.userid).distinct()).scalars())


def forget_people(connection: Connection, userids: Sequence[int]) -> int:
    """Delete all that users have chosen; returns how much."""
    return connection.execute(delete(CHOICES).where(CHOICES.c.userid.in_(userids))).rowcount
