"""Notifications are written with the predictions, in one transaction, and sent afterwards.

A run that is killed in between leaves them to the next one. One that is killed after a mail server has taken a message
and before that is noted sends it once more, under the same Message-ID; nothing is ever lost.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from sqlalchemy import select, update

from moodlemlbackend.analytics.db.schema import DELIVERIES, NOTIFICATIONS
from moodlemlbackend.analytics.notifications.channels import EMAIL, KEPT, WEBHOOK, available, unwanted
from moodlemlbackend.analytics.notifications.mail import Mailer
from moodlemlbackend.analytics.notifications.webhook import post
from moodlemlbackend.errors import DeliveryError, RefusedError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sqlalchemy import Connection, Row

    from moodlemlbackend.analytics.notifications.message import Message
    from moodlemlbackend.analytics.workspace import Workspace

ATTEMPTS = 5
FIRST_DELAY_SECONDS = 600
"""After a failure; each further one doubles it."""

AT_ONCE = 200


@dataclass
class Delivered:
    """What came of the messages that were due."""

    sent: dict[str, int] = field(default_factory=dict)
    waiting: int = 0
    given_up: int = 0
    problems: list[str] = field(default_factory=list)


def put(connection: Connection, workspace: Workspace, messages: Iterable[Message]) -> int:
    """Write notifications in the caller's transaction, for the channels that each person wants; returns how many."""
    offered = available(workspace.settings)
    off = unwanted(connection)
    now = workspace.clock()
    written = 0
    for message in messages:
        channels = [channel for channel in offered if (message.to.id, channel) not in off]
        if EMAIL in channels and not message.to.email:
            channels.remove(EMAIL)
        if not channels:
            continue
        values = {
            "modelid": message.modelid,
            "predictionid": message.predictionid,
            "contextid": message.contextid,
            "useridto": message.to.id,
            "courseid": message.courseid,
            "subject": message.subject,
            "fullmessage": message.text,
            "fullmessagehtml": message.html,
            "contexturl": message.url,
            "data": json.dumps({**message.data, "recipient": vars(message.to)}),
            "timecreated": now,
            "timeread": None if KEPT in channels else now,
        }
        key = connection.execute(NOTIFICATIONS.insert().values(values)).inserted_primary_key
        addresses = {EMAIL: message.to.email, WEBHOOK: workspace.settings.webhook_url}
        for channel in channels:
            if channel != KEPT:
                connection.execute(
                    DELIVERIES.insert().values(
                        notificationid=key[0] if key else 0, channel=channel, address=addresses[channel], timenext=now
                    )
                )
        written += 1
    return written


def deliver(workspace: Workspace) -> Delivered:
    """Send what is due; what cannot be sent now is tried again later, up to :data:`ATTEMPTS` times."""
    result = Delivered()
    with workspace.store.lock("notifications", 0) as held:
        if not held:
            return result
        unreachable: set[str] = set()
        after = 0
        with Mailer(workspace.settings) as mailer:
            while rows := _due(workspace, after, unreachable):
                after = rows[-1].delivery
                for row in rows:
                    if row.channel not in unreachable and not _send(workspace, row, mailer, result):
                        unreachable.add(row.channel)
        with workspace.store.read() as connection:
            open_ones = select(DELIVERIES.c.id).where(DELIVERIES.c.timesent.is_(None), DELIVERIES.c.attempts < ATTEMPTS)
            result.waiting = len(connection.execute(open_ones).all())
    return result


def _due(workspace: Workspace, after: int, unreachable: set[str]) -> list[Row[tuple[object, ...]]]:
    query = (
        select(NOTIFICATIONS, DELIVERIES.c.id.label("delivery"), DELIVERIES.c.channel, DELIVERIES.c.address,
               DELIVERIES.c.attempts)
        .join(NOTIFICATIONS, NOTIFICATIONS.c.id == DELIVERIES.c.notificationid)
        .where(
            DELIVERIES.c.timesent.is_(None), DELIVERIES.c.timenext <= workspace.clock(),
            DELIVERIES.c.attempts < ATTEMPTS, DELIVERIES.c.id > after, DELIVERIES.c.channel.not_in(unreachable),
        )
        .order_by(DELIVERIES.c.id)
        .limit(AT_ONCE)
    )  # fmt: skip
    with workspace.store.read() as connection:
        return list(connection.execute(query).all())


def _send(workspace: Workspace, row: Row[tuple[object, ...]], mailer: Mailer, result: Delivered) -> bool:
    """Send one message and note what came of it; False when nothing can be sent through its channel now."""
    problem, reachable, final = "", True, False
    try:
        if row.channel == EMAIL:
            mailer.send(row)
        else:
            post(workspace.settings, row, workspace.clock())
    except RefusedError as error:
        problem, final = str(error), error.final
    except DeliveryError as error:
        problem, reachable = str(error), False
    now = workspace.clock()
    if problem:
        attempts = ATTEMPTS if final else row.attempts + 1
        delay = FIRST_DELAY_SECONDS * 2**row.attempts
        values = {"attempts": attempts, "timenext": now + delay, "error": problem}
        result.given_up += attempts >= ATTEMPTS
        if problem not in result.problems:
            result.problems.append(problem)
    else:
        values = {"attempts": row.attempts + 1, "timesent": now, "error": None}
        result.sent[row.channel] = result.sent.get(row.channel, 0) + 1
    with workspace.store.write() as connection:
        connection.execute(update(DELIVERIES).where(DELIVERIES.c.id == row.delivery).values(values))
    return reachable
