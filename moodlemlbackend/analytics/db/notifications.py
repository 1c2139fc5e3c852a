"""Notifications, what is to be sent of them, and through which channels their recipients want them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from sqlalchemy import and_, delete, func, select, update

from moodlemlbackend.analytics.db.database import among, upsert
from moodlemlbackend.analytics.db.schema import DELIVERIES, NOTIFICATIONS, PREFERENCES

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from sqlalchemy import Connection


@dataclass(frozen=True)
class Delivery:
    """A notification that is to be sent through a channel: ``id`` is the notification's; ``data`` is JSON.

    ``predictionid`` is set where the notification is about one prediction only.
    """

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
    predictionid: int | None = None


class WaitingMail(NamedTuple):
    """What is known of an e-mail, or of a part of one, before it is read: ``notificationid`` is what it is about.

    ``mailid`` is the same for what goes in one e-mail, since ``timemailed``; None for what has not been gathered yet.
    """

    id: int
    notificationid: int
    userid: int
    mailid: int | None
    timemailed: int | None
    attempts: int
    timenext: int


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
    chosen = among(NOTIFICATIONS.c.id, [*notifications]) & NOTIFICATIONS.c.timeread.is_(None)
    connection.execute(update(NOTIFICATIONS).where(chosen).values(timeread=now))


def due(connection: Connection, channel: str, *, now: int, attempts: int, after: int, most: int) -> list[Delivery]:
    """What is to be sent through a channel now and has been tried less often than ``attempts`` times, after an id."""
    due_now = (DELIVERIES.c.timenext <= now, DELIVERIES.c.id > after)
    query = _deliveries().where(_waits(attempts), DELIVERIES.c.channel == channel, *due_now).limit(most)
    return [Delivery(*row) for row in connection.execute(query)]


def of_ids(connection: Connection, deliveryids: Collection[int]) -> list[Delivery]:
    """Read deliveries, oldest first."""
    query = _deliveries().where(among(DELIVERIES.c.id, deliveryids))
    return [Delivery(*row) for row in connection.execute(query)]


def waiting_mail(connection: Connection, channel: str, attempts: int, userid: int | None = None) -> list[WaitingMail]:
    """What has not been sent through a channel, to a person or to all, and been tried less often; oldest first."""
    query = (
        select(
            DELIVERIES.c.id, DELIVERIES.c.notificationid, NOTIFICATIONS.c.useridto, DELIVERIES.c.mailid,
            DELIVERIES.c.timemailed, DELIVERIES.c.attempts, DELIVERIES.c.timenext,
        )
        .join(NOTIFICATIONS, NOTIFICATIONS.c.id == DELIVERIES.c.notificationid)
        .where(_waits(attempts), DELIVERIES.c.channel == channel)
        .order_by(DELIVERIES.c.id)
    )  # fmt: skip
    if userid is not None:
        query = query.where(NOTIFICATIONS.c.useridto == userid)
    return [WaitingMail(*row) for row in connection.execute(query)]


def gather(connection: Connection, deliveryids: Sequence[int], now: int) -> int:
    """Have deliveries go in one e-mail, for good; returns the id of the e-mail: that of the first of them."""
    chosen = among(DELIVERIES.c.id, deliveryids)
    connection.execute(update(DELIVERIES).where(chosen).values(mailid=min(deliveryids), timemailed=now))
    return min(deliveryids)


def mailed(connection: Connection, channel: str, since: int, userid: int | None = None) -> dict[int, list[int]]:
    """When each person, or one, got e-mails from a time on; one that several messages went in counts once."""
    one = func.coalesce(DELIVERIES.c.mailid, DELIVERIES.c.id)
    query = (
        select(NOTIFICATIONS.c.useridto, func.max(DELIVERIES.c.timesent))
        .join(NOTIFICATIONS, NOTIFICATIONS.c.id == DELIVERIES.c.notificationid)
        .where(DELIVERIES.c.timesent >= since, DELIVERIES.c.channel == channel)
        .group_by(NOTIFICATIONS.c.useridto, one)
    )
    if userid is not None:
        query = query.where(NOTIFICATIONS.c.useridto == userid)
    times: dict[int, list[int]] = {}
    for user, moment in connection.execute(query):
        times.setdefault(user, []).append(moment)
    return times


def waiting(connection: Connection, attempts: int) -> int:
    """How many deliveries have not been sent, and tried less often than ``attempts`` times."""
    return int(connection.execute(select(func.count()).select_from(DELIVERIES).where(_waits(attempts))).scalar() or 0)


def withdraw(connection: Connection, attempts: int, error: str) -> int:
    """Have nothing that waits be sent, and note why; returns how many deliveries."""
    values = {"attempts": attempts, "error": error}
    return connection.execute(update(DELIVERIES).where(_waits(attempts)).values(values)).rowcount


def sent(connection: Connection, deliveryids: Collection[int], attempts: int, now: int) -> None:
    """Note that deliveries have been sent, after how many attempts."""
    values = {"attempts": attempts, "timesent": now, "error": None}
    connection.execute(update(DELIVERIES).where(among(DELIVERIES.c.id, deliveryids)).values(values))


def failed(connection: Connection, deliveryids: Collection[int], *, attempts: int, again: int, error: str) -> None:
    """Note that deliveries could not be sent, how often they count as tried, and when they are to be tried again."""
    values = {"attempts": attempts, "timenext": again, "error": error}
    connection.execute(update(DELIVERIES).where(among(DELIVERIES.c.id, deliveryids)).values(values))


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


def _waits(attempts: int) -> Any:
    return and_(DELIVERIES.c.timesent.is_(None), DELIVERIES.c.attempts < attempts)


def _deliveries() -> Any:
    """Deliveries with what they are of, in the order of :class:`Delivery`, oldest first."""
    names = ("id", "subject", "fullmessage", "fullmessagehtml", "contexturl", "data", "timecreated", "predictionid")
    query = select(
        DELIVERIES.c.id.label("delivery"), DELIVERIES.c.channel, DELIVERIES.c.address, DELIVERIES.c.attempts,
        NOTIFICATIONS.c.useridto, *(NOTIFICATIONS.c[name] for name in names),
    )  # fmt: skip
    return query.join(NOTIFICATIONS, NOTIFICATIONS.c.id == DELIVERIES.c.notificationid).order_by(DELIVERIES.c.id)
