"""Notifications are written with the predictions, in one transaction, and sent afterwards.

E-mails are gathered by person (:mod:`.mailing`); the webhook gets every message by itself. A run that is killed in
between leaves them to the next one. One that is killed after a mail server or a webhook has taken something and before
that is noted sends the same once more, under the same Message-ID or Idempotency-Key; nothing is ever lost.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from moodlemlbackend.analytics.db import notifications
from moodlemlbackend.analytics.notifications import switch
from moodlemlbackend.analytics.notifications.attempts import Delivered, attempt, unwanted, withdraw
from moodlemlbackend.analytics.notifications.channels import EMAIL, KEPT, WEBHOOK, available
from moodlemlbackend.analytics.notifications.mail import Mailer
from moodlemlbackend.analytics.notifications.mailing import send_mail
from moodlemlbackend.analytics.notifications.switch import ATTEMPTS
from moodlemlbackend.analytics.notifications.webhook import post

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from moodlemlbackend.analytics.db import Connection
    from moodlemlbackend.analytics.db.notifications import Delivery
    from moodlemlbackend.analytics.notifications.mailing import StillNew
    from moodlemlbackend.analytics.notifications.message import Message
    from moodlemlbackend.analytics.site import Site
    from moodlemlbackend.analytics.workspace import Workspace

_AT_ONCE = 200


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


def deliver(workspace: Workspace, site: Site | None, still_new: StillNew | None = None) -> Delivered:
    """Send what is due; what cannot be sent now is tried again later, up to :data:`ATTEMPTS` times.

    What a person has come to want no more, here or in Moodle where there is a site to ask, is not sent, nor what
    ``still_new`` says no longer concerns them. While notifications are off, nothing is.
    """
    result = Delivered(unwanted=switch.follow(workspace))
    with workspace.store.read() as connection:
        result.switch = switch.read(connection, workspace.settings).sentence
    if not workspace.settings.notifications:
        return result
    with workspace.store.lock("notifications", 0) as held:
        if not held:
            return result
        with Mailer(workspace.settings) as mailer:
            send_mail(workspace, site, mailer, result, still_new)
        _post(workspace, site, result)
        with workspace.store.read() as connection:
            result.waiting = notifications.waiting(connection, ATTEMPTS)
    return result


def _post(workspace: Workspace, site: Site | None, result: Delivered) -> None:
    """Post to the webhook what is due, until it cannot be reached."""
    after = 0
    while deliveries := _due(workspace, after):
        after = deliveries[-1].delivery
        reasons = unwanted(workspace, site, WEBHOOK, {delivery.userid for delivery in deliveries})
        for delivery in deliveries:
            if delivery.userid in reasons:
                withdraw(workspace, [delivery.delivery], reasons[delivery.userid], result)
                continue
            send = partial(post, workspace.settings, delivery, workspace.clock())
            if not attempt(workspace, WEBHOOK, [delivery.delivery], delivery.attempts, send, result):
                return


def _due(workspace: Workspace, after: int) -> list[Delivery]:
    with workspace.store.read() as connection:
        return notifications.due(
            connection, WEBHOOK, now=workspace.clock(), attempts=ATTEMPTS, after=after, most=_AT_ONCE
        )
