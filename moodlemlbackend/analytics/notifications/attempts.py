"""What comes of messages that are to be sent: noted in the store, and counted."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from moodlemlbackend.analytics.db import notifications
from moodlemlbackend.analytics.notifications.channels import EMAIL, allowed
from moodlemlbackend.analytics.notifications.switch import ATTEMPTS
from moodlemlbackend.analytics.site.message_preferences import wanted_processors
from moodlemlbackend.analytics.site.people import named_users
from moodlemlbackend.errors import DeliveryError, RefusedError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from moodlemlbackend.analytics.site import Site
    from moodlemlbackend.analytics.workspace import Workspace

FIRST_DELAY_SECONDS = 600
"""After a failure; each further one doubles it."""


@dataclass
class Delivered:
    """What came of the messages that were due; ``switch`` says whether notifications are on.

    ``sent`` counts e-mails and posts by channel, ``waiting`` messages.
    """

    switch: str = ""
    sent: dict[str, int] = field(default_factory=dict)
    waiting: int = 0
    given_up: int = 0
    unwanted: int = 0
    problems: list[str] = field(default_factory=list)


def unwanted(workspace: Workspace, site: Site | None, channel: str, users: Collection[int]) -> dict[int, str]:
    """Those of these users to whom nothing is to be sent through a channel any more, and why."""
    with workspace.store.read() as connection:
        off = notifications.unwanted(connection)
    named = named_users(site, users) if site else {}
    processors = wanted_processors(site, users, workspace.clock()) if site else {}
    reasons = {}
    for user in users:
        if site and user not in named:
            reasons[user] = f"User {user} can no longer log in to Moodle."
        elif site and channel == EMAIL and not named[user].email:
            reasons[user] = f"User {user} has turned off e-mail in Moodle."
        elif channel not in allowed(processors.get(user)):
            reasons[user] = f"User {user} has switched off insights by {channel} in Moodle."
        elif (user, channel) in off:
            reasons[user] = f"User {user} has switched off {channel}."
    return reasons


def withdraw(workspace: Workspace, deliveryids: Collection[int], reason: str, result: Delivered) -> None:
    """Note that messages are not sent, and why."""
    with workspace.store.write() as connection:
        notifications.failed(connection, deliveryids, attempts=ATTEMPTS, again=workspace.clock(), error=reason)
    result.unwanted += len(deliveryids)


def attempt(
    workspace: Workspace,
    channel: str,
    deliveryids: Collection[int],
    tried: int,
    send: Callable[[], None],
    result: Delivered,
) -> bool:
    """Send what deliveries are of, tried so often before, and note what came of it.

    False when nothing can be sent through the channel now.
    """
    problem, reachable, final = "", True, False
    try:
        send()
    except RefusedError as error:
        problem, final = str(error), error.final
    except DeliveryError as error:
        problem, reachable = str(error), False
    now = workspace.clock()
    attempts = ATTEMPTS if final else tried + 1
    with workspace.store.write() as connection:
        if problem:
            again = now + FIRST_DELAY_SECONDS * 2**tried
            notifications.failed(connection, deliveryids, attempts=attempts, again=again, error=problem)
        else:
            notifications.sent(connection, deliveryids, attempts, now)
    if not problem:
        result.sent[channel] = result.sent.get(channel, 0) + 1
    elif problem not in result.problems:
        result.problems.append(problem)
    result.given_up += bool(problem) and attempts >= ATTEMPTS
    return reachable
