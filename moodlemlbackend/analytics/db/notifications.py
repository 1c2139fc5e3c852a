"""Notifications, what is to be sent of them, and through which channels their recipients want them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import delete, func, select, update

from moodlemlbackend.analytics.db.database import upsert
from moodlemlbackend.analytics.db.schema import DELIVERIES, NOTIFICATIONS, PREFERENCES

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from sqlalchemy import Connection


@dataclass(frozen=True)
class Delivery:
    """A notification that is to be sent through a channel: ``id`` is the notification's; ``data`` is JSON."""

    delivery: int
    channel: str
    address: str
    attempts: int
    userid: int
    id: int
    subject: str
    fullmessage: str
    fullmessagehtml: str
    contexturl: str
    data: str
    timecreated: int


def insert(
    connection: Connection,
    *,
    modelid: int,
    predictionid: int | None,
    contextid: int,
    userid: int,
    courseid: int,
    subject: str,
    text: str,
    html: str,
    url: str,
    data: Mapping[str, Any],
    kept: bool,
    addresses: Mapping[str, str],
    now: int,
) -> None:
    """Write a notification, with a delivery for each channel that has an address; unread unless it is not kept."""
    values = {
        "modelid": modelid,
        "predictionid": predictionid,
        "contextid": contextid,
        "useridto": userid,
        "courseid": courseid,
        "subject": subject,
        "fullmessage": text,
        "fullmessagehtml": html,
        "contexturl": url,
        "data": json.dumps(data),
        "timecreated": now,
        "timeread": None if kept else now,
    }
    key = connection.execute(NOTIFICATIONS.insert().values(values)).inserted_primary_key
    for channel, address in addresses.items():
        delivery = {"notificationid": key[0] if key else 0, "channel": channel, "address": address, "timenext": now}
        connection.execute(DELIVERIES.insert().values(delivery))


def listed(connection: Connection, *, userid: int | None, unread: bool, most: int) -> list[dict[str, Any]]:
    """The notifications of a user, or of all, newest first, by column."""
    query = select(NOTIFICATIONS).order_by(NOTIFICATIONS.c.id.desc()).limit(most)
    if userid is not None:
        query = query.where(NOTIFICATIONS.c.useridto == userid)
    if unread:
        query = query.where(NOTIFICATIONS.c.timeread.is_(None))
    return [row._asdict() for row in connection.execute(query)]


def mark_read(connection: Connection, notifications: Iterable[int], now: int) -> None:
    """Note that notifications have been read."""
    chosen = NOTIFICATIONS.c.id.in_([*notifications]) & NOTIFICATIONS.c.timeread.is_(None)
    connection.execute(update(NOTIFICATIONS).where(chosen).values(timeread=now))


def due(
    connection: Connection, *, now: int, attempts: int, after: int, without: Collection[str], most: int
) -> list[Delivery]:
    """What is to be sent now and has been tried less often than ``attempts`` times, after a delivery's id."""
    names = ("id", "subject", "fullmessage", "fullmessagehtml", "contexturl", "data", "timecreated")
    query = (
        select(
            DELIVERIES.c.id.label("delivery"), DELIVERIES.c.channel, DELIVERIES.c.address, DELIVERIES.c.attempts,
            NOTIFICATIONS.c.useridto, *(NOTIFICATIONS.c[name] for name in names),
        )
        .join(NOTIFICATIONS, NOTIFICATIONS.c.id == DELIVERIES.c.notificationid)
        .where(
            DELIVERIES.c.timesent.is_(None), DELIVERIES.c.timenext <= now, DELIVERIES.c.attempts < attempts,
            DELIVERIES.c.id > after, DELIVERIES.c.channel.not_in(without),
        )
        .order_by(DELIVERIES.c.id)
        .limit(most)
    )  # fmt: skip
    return [Delivery(*row) for row in connection.execute(query)]


def waiting(connection: Connection, attempts: int) -> int:
    """How many deliveries have not been sent, and tried less often than ``attempts`` times."""
    query = select(func.count()).select_from(DELIVERIES)
    query = query.where(DELIVERIES.c.timesent.is_(None), DELIVERIES.c.attempts < attempts)
    return int(connection.execute(query).scalar() or 0)


def withdraw(connection: Connection, attempts: int, error: str) -> int:
    """Have nothing that waits be sent, and note why; returns how many deliveries."""
    waits = DELIVERIES.c.timesent.is_(None) & (DELIVERIES.c.attempts < attempts)
    return connection.execute(update(DELIVERIES).where(waits).values(attempts=attempts, error=error)).rowcount


def sent(connection: Connection, delivery: Delivery, now: int) -> None:
    """Note that a delivery has been sent."""
    values = {"attempts": delivery.attempts + 1, "timesent": now, "error": None}
    connection.execute(update(DELIVERIES).where(DELIVERIES.c.id == delivery.delivery).values(values))


def failed(connection: Connection, delivery: Delivery, *, attempts: int, again: int, error: str) -> None:
    """Note that a delivery could not be sent, how often it counts as tried, and when it is to be tried again."""
    values = {"attempts": attempts, "timenext": again, "error": error}
    connection.execute(update(DELIVERIES).where(DELIVERIES.c.id == delivery.delivery).values(values))


def preferences(connection: Connection, userid: int) -> dict[str, bool]:
    """The channels that a user has chosen, or chosen not, to have."""
    chosen = connection.execute(select(PREFERENCES).where(PREFERENCES.c.userid == userid))
    return {row.channel: bool(row.enabled) for row in chosen}


def unwanted(connection: Connection) -> set[tuple[int, str]]:
    """The channels that users have switched off: pairs of user and channel."""
    chosen = connection.execute(select(PREFERENCES).where(PREFERENCES.c.enabled == 0))
    return {(row.userid, row.channel) for row in chosen}


def choose(connection: Connection, userid: int, channel: str, enabled: bool) -> None:
    """Set whether a user wants a channel."""
    values = {"userid": userid, "channel": channel, "enabled": int(enabled)}
    upsert(connection, PREFERENCES, values, ("userid", "channel"))


def contexts(connection: Connection) -> set[int]:
    """Ids of the contexts that notifications are about."""
    return set(connection.execute(select(NOTIFICATIONS.c.contextid).distinct()).scalars())


def forget(connection: Connection, contextids: Sequence[int]) -> None:
    """Delete the notifications about contexts."""
    about = select(NOTIFICATIONS.c.id).where(NOTIFICATIONS.c.contextid.in_(contextids))
    connection.execute(delete(DELIVERIES).where(DELIVERIES.c.notificationid.in_(about)))
    connection.execute(delete(NOTIFICATIONS).where(NOTIFICATIONS.c.contextid.in_(contextids)))
