"""E-mails: what each person is due by their schedule, gathered for good in the store, and then sent.

What goes in one e-mail is noted before it is sent, so that a run after one that was killed sends the same e-mail again,
under the same Message-ID, and never the same message in another one.
"""

from __future__ import annotations

import json
from datetime import timezone
from itertools import groupby
from typing import TYPE_CHECKING, NamedTuple

from moodlemlbackend.analytics.db import choices, notifications
from moodlemlbackend.analytics.notifications import switch
from moodlemlbackend.analytics.notifications.attempts import attempt, unwanted, withdraw
from moodlemlbackend.analytics.notifications.channels import EMAIL
from moodlemlbackend.analytics.notifications.digest import compose
from moodlemlbackend.analytics.notifications.mail import Email
from moodlemlbackend.analytics.notifications.schedule import schedule
from moodlemlbackend.analytics.notifications.switch import ATTEMPTS
from moodlemlbackend.analytics.site.people import time_zones
from moodlemlbackend.analytics.site.zones import zone_named

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

    from moodlemlbackend.analytics.db import Connection
    from moodlemlbackend.analytics.db.notifications import Delivery, WaitingMail
    from moodlemlbackend.analytics.notifications.attempts import Delivered
    from moodlemlbackend.analytics.notifications.mail import Mailer
    from moodlemlbackend.analytics.notifications.schedule import Schedule
    from moodlemlbackend.analytics.site import Site
    from moodlemlbackend.analytics.workspace import Workspace

    StillNew = Callable[[int, Sequence[Delivery]], Mapping[int, Collection[int]]]
    """Of messages to a user, by delivery, the predictions that still concern them; those that do not say are whole."""

DIGEST, QUIET_HOURS = "digest", "quiet_hours"
"""Names of what a person may choose."""

PAST = "The insight has been dealt with or has changed, or the recipient may no longer see it."

_LOOKED_BACK_SECONDS = 9 * 86_400
_USERS_AT_ONCE = 200


class Upcoming(NamedTuple):
    """E-mails that a person gets at a Unix time, with so many messages in them, of these notifications in the store."""

    userid: int
    time: int
    mails: int
    messages: int
    notificationids: frozenset[int] = frozenset()


def schedules(
    connection: Connection, workspace: Workspace, site: Site | None, userids: Iterable[int]
) -> dict[int, Schedule]:
    """When each of these users gets e-mail; without a site in the time zones that they had when last written to."""
    users = sorted(set(userids))
    digest, quiet = (choices.of_users(connection, name, users) for name in (DIGEST, QUIET_HOURS))
    if site is not None:
        zones = time_zones(site, users)
    else:
        named = {user: zone_named(name) for user, name in _last_zones(connection, users).items()}
        zones = {user: zone for user, zone in named.items() if zone is not None}
    return {
        user: schedule(workspace.settings, zones.get(user, timezone.utc), digest.get(user, ""), quiet.get(user, ""))
        for user in users
    }


def choose(connection: Connection, userid: int, **chosen: str) -> None:
    """Keep what a user chose of ``digest`` and ``quiet_hours``; an empty text is the site's again."""
    for name, value in chosen.items():
        if value:
            choices.write(connection, userid, name, value)
        else:
            choices.forget(connection, userid, name)


def send_mail(
    workspace: Workspace, site: Site | None, mailer: Mailer, result: Delivered, still_new: StillNew | None = None
) -> None:
    """Send every e-mail that is due, until the mail server cannot be used."""
    now = workspace.clock()
    with workspace.store.read() as connection:
        waiting = notifications.waiting_mail(connection, EMAIL, ATTEMPTS)
        sent = notifications.mailed(connection, EMAIL, now - _LOOKED_BACK_SECONDS)
        by_user = _by_user(waiting)
        planned = schedules(connection, workspace, site, by_user)
    due = {}
    for user, rows in by_user.items():
        times = sent.get(user, [])
        again, fresh = _due(rows, planned[user], times, now)
        if again or fresh:
            due[user] = again, fresh
    users = sorted(due)
    for start in range(0, len(users), _USERS_AT_ONCE):
        part = users[start : start + _USERS_AT_ONCE]
        reasons = unwanted(workspace, site, EMAIL, part)
        for user in part:
            again, fresh = due[user]
            rows = [*(row for mail in again for row in mail), *fresh]
            if user in reasons:
                withdraw(workspace, [row.id for row in rows], reasons[user], result)
                continue
            deliveries, concerned = _still_new(workspace, user, rows, result, still_new)
            fresh = [row for row in fresh if row.id in deliveries]
            mails = [[row for row in mail if row.id in deliveries] for mail in again]
            mails += [fresh] if _gathers(planned[user], fresh, sent.get(user, []), now) else [[row] for row in fresh]
            for mail in filter(None, mails):
                if not _send(workspace, mailer, mail, deliveries, concerned, result):
                    return


def upcoming(
    workspace: Workspace, site: Site, new: Mapping[int, int] | None = None, userid: int | None = None
) -> list[Upcoming]:
    """The e-mails of all users or of one that wait, with as many ``new`` messages by user as would be written now.

    What waits while notifications are off is never sent.
    """
    now = workspace.clock()
    with workspace.store.read() as connection:
        state = switch.read(connection, workspace.settings)
        waits = state.on and state.since is not None
        by_user = _by_user(notifications.waiting_mail(connection, EMAIL, ATTEMPTS, userid) if waits else ())
        users = {*by_user, *(new or {})}
        sent = notifications.mailed(connection, EMAIL, now - _LOOKED_BACK_SECONDS, userid)
        planned = schedules(connection, workspace, site, users)
    found = []
    for user in sorted(users):
        chosen, times, rows = planned[user], sent.get(user, []), by_user.get(user, [])
        again, fresh = _mails(rows)
        for mail in again:
            moment = chosen.loud(max(now, *(row.timenext for row in mail)))
            found.append(Upcoming(user, moment, 1, len(mail), _notifications(mail)))
        messages = len(fresh) + (new or {}).get(user, 0)
        if messages:
            written = min([now, *(row.timenext for row in fresh)])
            moment = chosen.due(written, times, now)
            mails = 1 if chosen.gathers(messages, written, times, moment) else messages
            found.append(Upcoming(user, moment, mails, messages, _notifications(fresh)))
    return found


def _by_user(waiting: Iterable[WaitingMail]) -> dict[int, list[WaitingMail]]:
    by_user: dict[int, list[WaitingMail]] = {}
    for row in waiting:
        by_user.setdefault(row.userid, []).append(row)
    return by_user


def _mails(rows: Iterable[WaitingMail]) -> tuple[list[list[WaitingMail]], list[WaitingMail]]:
    """The e-mails that were gathered before, and what was not."""
    gathered = sorted((row for row in rows if row.mailid is not None), key=lambda row: (row.mailid or 0, row.id))
    return [[*mail] for _, mail in groupby(gathered, lambda row: row.mailid)], [row for row in rows if not row.mailid]


def _due(
    rows: Sequence[WaitingMail], chosen: Schedule, sent: Sequence[int], now: int
) -> tuple[list[list[WaitingMail]], list[WaitingMail]]:
    """What is to be sent to a person now: e-mails gathered before, and what waits for the next."""
    again, fresh = _mails(rows)
    again = [mail for mail in again if chosen.loud(max(now, *(row.timenext for row in mail))) <= now]
    if fresh and chosen.due(min(row.timenext for row in fresh), sent, now) > now:
        fresh = []
    return again, fresh


def _gathers(chosen: Schedule, rows: Sequence[WaitingMail], sent: Sequence[int], now: int) -> bool:
    return bool(rows) and chosen.gathers(len(rows), min(row.timenext for row in rows), sent, now)


def _notifications(rows: Iterable[WaitingMail]) -> frozenset[int]:
    return frozenset(row.notificationid for row in rows)


def _still_new(
    workspace: Workspace, user: int, rows: Sequence[WaitingMail], result: Delivered, still_new: StillNew | None
) -> tuple[dict[int, Delivery], Mapping[int, Collection[int]]]:
    """Read what is due to a user, and withdraw messages of which nothing concerns them any more."""
    with workspace.store.read() as connection:
        deliveries = {
            delivery.delivery: delivery for delivery in notifications.of_ids(connection, [row.id for row in rows])
        }
    concerned = still_new(user, [*deliveries.values()]) if still_new else {}
    past = [delivery for delivery, predictions in concerned.items() if not predictions]
    if past:
        withdraw(workspace, past, PAST, result)
    return {key: delivery for key, delivery in deliveries.items() if key not in past}, concerned


def _send(
    workspace: Workspace,
    mailer: Mailer,
    mail: Sequence[WaitingMail],
    deliveries: Mapping[int, Delivery],
    concerned: Mapping[int, Collection[int]],
    result: Delivered,
) -> bool:
    """Send one e-mail and note what came of it; False when the mail server cannot be used now."""
    ids = [row.id for row in mail]
    mailid, moment = mail[0].mailid, mail[0].timemailed
    if mailid is None or moment is None:
        moment = workspace.clock()
        with workspace.store.write() as connection:
            mailid = notifications.gather(connection, ids, moment)
    parts = [deliveries[row.id] for row in mail]
    address = parts[-1].address
    written = compose(workspace.settings, parts, concerned)
    email = Email(address, written.subject, written.text, written.html, moment, f"{mailid} {parts[0].contexturl}")
    tried = max(row.attempts for row in mail)
    return attempt(workspace, EMAIL, ids, tried, lambda: mailer.send(email), result)


def _last_zones(connection: Connection, userids: Collection[int]) -> dict[int, str]:
    """Names of the time zones that users had when they were last written to."""
    last = {row.userid: row.id for row in notifications.waiting_mail(connection, EMAIL, ATTEMPTS)}
    deliveries = notifications.of_ids(connection, [last[user] for user in userids if user in last])
    return {
        delivery.userid: str(json.loads(delivery.data).get("recipient", {}).get("zone", "UTC"))
        for delivery in deliveries
    }
