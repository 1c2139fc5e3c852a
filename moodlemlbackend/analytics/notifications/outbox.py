"""Notifications are written with the predictions, in one transaction, and sent afterwards.

A run that is killed in between leaves them to the next one. One that is killed after a mail server or a webhook has
taken a message and before that is noted sends it once more, under the same Message-ID or Idempotency-Key; nothing is
ever lost.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from moodlemlbackend.analytics.db import notifications
from moodlemlbackend.analytics.notifications import switch
from moodlemlbackend.analytics.notifications.channels import EMAIL, KEPT, WEBHOOK, allowed, available
from moodlemlbackend.analytics.notifications.mail import Email, Mailer
from moodlemlbackend.analytics.notifications.switch import ATTEMPTS
from moodlemlbackend.analytics.notifications.webhook import post
from moodlemlbackend.analytics.site.message_preferences import wanted_processors
from moodlemlbackend.analytics.site.people import named_users
from moodlemlbackend.errors import DeliveryError, RefusedError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from moodlemlbackend.analytics.db import Connection
    from moodlemlbackend.analytics.db.notifications import Delivery
    from moodlemlbackend.analytics.notifications.message import Message
    from moodlemlbackend.analytics.site import Site
    from moodlemlbackend.analytics.workspace import Workspace

FIRST_DELAY_SECONDS = 600
"""After a failure; each further one doubles it."""

AT_ONCE = 200


@dataclass
class Delivered:
    """What came of the messages that were due; ``switch`` says whether notifications are on."""

    switch: str = ""
    sent: dict[str, int] = field(default_factory=dict)
    waiting: int = 0
    given_up: int = 0
    unwanted: int = 0
    problems: list[str] = field(default_factory=list)


def addressed(
    connection: Connection, workspace: Workspace, messages: Iterable[Message]
) -> Iterator[tuple[Message, list[str]]]:
    """The messages that somebody gets, each with the channels that the site has and its reader wants."""
    offered = available(workspace.settings)
    off = notifications.unwanted(connection)
    for message in messages:
        channels = [
            channel
            for channel in offered
            if channel in message.channels
            and (message.to.id, channel) not in off
            and (channel != EMAIL or message.to.email)
        ]
        if channels:
            yield message, channels


def put(connection: Connection, workspace: Workspace, messages: Iterable[Message]) -> int:
    """Write notifications in the caller's transaction, for the channels that each person wants; returns how many."""
    now = workspace.clock()
    written = 0
    for message, channels in addressed(connection, workspace, messages):
        addresses = {EMAIL: message.to.email, WEBHOOK: workspace.settings.webhook_url}
        notifications.insert(
            connection,
            modelid=message.modelid,
            predictionid=message.predictionid,
            contextid=message.contextid,
            userid=message.to.id,
            courseid=message.courseid,
            subject=message.subject,
            text=message.text,
            html=message.html,
            url=message.url,
            data={**message.data, "recipient": vars(message.to)},
            kept=KEPT in channels,
            addresses={channel: addresses[channel] for channel in channels if channel != KEPT},
            now=now,
        )
        written += 1
    return written


def waiting(workspace: Workspace) -> int:
    """How many messages of earlier runs the next run would send; none while notifications are off."""
    with workspace.store.read() as connection:
        state = switch.read(connection, workspace.settings)
        return notifications.waiting(connection, ATTEMPTS) if state.on and state.since is not None else 0


def deliver(workspace: Workspace, site: Site | None) -> Delivered:
    """Send what is due; what cannot be sent now is tried again later, up to :data:`ATTEMPTS` times.

    What a person has come to want no more, here or in Moodle where there is a site to ask, is not sent. While
    notifications are off, nothing is.
    """
    result = Delivered(unwanted=switch.follow(workspace))
    with workspace.store.read() as connection:
        result.switch = switch.read(connection, workspace.settings).sentence
    if not workspace.settings.notifications:
        return result
    with workspace.store.lock("notifications", 0) as held:
        if not held:
            return result
        unreachable: set[str] = set()
        after = 0
        with Mailer(workspace.settings) as mailer:
            while deliveries := _due(workspace, after, unreachable):
                after = deliveries[-1].delivery
                unwanted = _unwanted(workspace, site, deliveries)
                _withdraw(workspace, unwanted, result)
                for delivery in deliveries:
                    if delivery in unwanted:
                        continue
                    if delivery.channel not in unreachable and not _send(workspace, delivery, mailer, result):
                        unreachable.add(delivery.channel)
        with workspace.store.read() as connection:
            result.waiting = notifications.waiting(connection, ATTEMPTS)
    return result


def _due(workspace: Workspace, after: int, unreachable: set[str]) -> list[Delivery]:
    with workspace.store.read() as connection:
        return notifications.due(
            connection, now=workspace.clock(), attempts=ATTEMPTS, after=after, without=unreachable, most=AT_ONCE
        )


def _unwanted(workspace: Workspace, site: Site | None, deliveries: Sequence[Delivery]) -> dict[Delivery, str]:
    """What is no longer to be sent, and why."""
    users = {delivery.userid for delivery in deliveries}
    with workspace.store.read() as connection:
        off = notifications.unwanted(connection)
    named = named_users(site, users) if site else {}
    processors = wanted_processors(site, users, workspace.clock()) if site else {}
    unwanted = {}
    for delivery in deliveries:
        user, channel = delivery.userid, delivery.channel
        if site and user not in named:
            unwanted[delivery] = f"User {user} can no longer log in to Moodle."
        elif site and channel == EMAIL and not named[user].email:
            unwanted[delivery] = f"User {user} has turned off e-mail in Moodle."
        elif channel not in allowed(processors.get(user)):
            unwanted[delivery] = f"User {user} has switched off insights by {channel} in Moodle."
        elif (user, channel) in off:
            unwanted[delivery] = f"User {user} has switched off {channel}."
    return unwanted


def _withdraw(workspace: Workspace, unwanted: Mapping[Delivery, str], result: Delivered) -> None:
    """Note why messages are not sent."""
    with workspace.store.write() as connection:
        for delivery, reason in unwanted.items():
            notifications.failed(connection, delivery, attempts=ATTEMPTS, again=workspace.clock(), error=reason)
    result.unwanted += len(unwanted)


def _send(workspace: Workspace, delivery: Delivery, mailer: Mailer, result: Delivered) -> bool:
    """Send one message and note what came of it; False when nothing can be sent through its channel now."""
    problem, reachable, final = "", True, False
    try:
        if delivery.channel == EMAIL:
            key = f"{delivery.id} {delivery.contexturl}"
            text, html = delivery.fullmessage, delivery.fullmessagehtml
            mailer.send(Email(delivery.address, delivery.subject, text, html, delivery.timecreated, key))
        else:
            post(workspace.settings, delivery, workspace.clock())
    except RefusedError as error:
        problem, final = str(error), error.final
    except DeliveryError as error:
        problem, reachable = str(error), False
    now = workspace.clock()
    attempts = ATTEMPTS if final else delivery.attempts + 1
    with workspace.store.write() as connection:
        if problem:
            again = now + FIRST_DELAY_SECONDS * 2**delivery.attempts
            notifications.failed(connection, delivery, attempts=attempts, again=again, error=problem)
        else:
            notifications.sent(connection, delivery, now)
    if not problem:
        result.sent[delivery.channel] = result.sent.get(delivery.channel, 0) + 1
    elif problem not in result.problems:
        result.problems.append(problem)
    result.given_up += bool(problem) and attempts >= ATTEMPTS
    return reachable
