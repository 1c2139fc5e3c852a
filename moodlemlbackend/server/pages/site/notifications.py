"""What a person has been told of, kept to be read, and how the person wants to be told."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import time
from typing import TYPE_CHECKING

from moodlemlbackend.analytics.db import choices
from moodlemlbackend.analytics.notifications import channels, inbox, mailing
from moodlemlbackend.analytics.notifications.schedule import schedule
from moodlemlbackend.analytics.site.people import time_zones
from moodlemlbackend.errors import RequestError
from moodlemlbackend.language.dates import Dates
from moodlemlbackend.server import limits
from moodlemlbackend.server.pages.site.responses import Page, go
from moodlemlbackend.server.texts import say
from moodlemlbackend.settings.analytics import DIGESTS, NO_QUIET_HOURS, parse_quiet_hours

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from fastapi.responses import Response

    from moodlemlbackend.analytics.db import Connection
    from moodlemlbackend.analytics.notifications.schedule import Schedule
    from moodlemlbackend.server.pages.site.forms import PageForm
    from moodlemlbackend.server.pages.site.request_context import RequestContext

_OWN = "own"
"""Choice of the form: the quiet hours that were filled in."""


@dataclass(frozen=True)
class NotificationItem:
    """A notification; ``url`` is empty where it leads nowhere on the web."""

    id: int
    subject: str
    lines: list[str]
    url: str
    time: int
    read: bool
    waits: bool


@dataclass(frozen=True)
class MailChoices:
    """When a person gets e-mail: what the site has and what they chose, empty for the same.

    ``start`` and ``end`` are the person's own quiet hours, or else the site's, as form fields have them; ``coming`` are
    the times of the next e-mails, with the number of notifications in each.
    """

    dates: Dates
    site: Schedule
    digest: str
    quiet_hours: str
    start: str
    end: str
    coming: list[tuple[int, int]]

    def rhythm(self, digest: str) -> str:
        """What a choice of how often means."""
        day, hour = self.dates.weekday(self.site.weekday), self.dates.hour(time(self.site.hour))
        return say(f"mails {digest}", day=day, time=hour)

    def quiet(self, hours: str) -> str:
        """Quiet hours in words."""
        if hours == NO_QUIET_HOURS:
            return say("quiet none")
        start, end = map(time.fromisoformat, hours.split("-"))
        return say("quiet span", start=self.dates.hour(start), end=self.dates.hour(end))


def index(ctx: RequestContext, done: str = "") -> Page:
    """The latest notifications of a person, the person's channels, and when the next e-mail comes."""
    upcoming = mailing.upcoming(ctx.workspace, ctx.site, userid=ctx.person.id)
    rows = inbox.listed(ctx.workspace, userid=ctx.person.id, most=limits.PAGE_NOTIFICATIONS)
    items = [
        NotificationItem(
            row["id"], row["subject"], [line for line in row["fullmessage"].splitlines() if line],
            row["contexturl"] if row["contexturl"].startswith(("https://", "http://")) else "",
            row["timecreated"], row["timeread"] is not None,
            any(row["id"] in mail.notificationids for mail in upcoming),
        )
        for row in rows
    ]  # fmt: skip
    with ctx.workspace.store.read() as connection:
        preferences = channels.preferences(connection, ctx.person.id)
        chosen = choices.read(connection, ctx.person.id)
    offered = channels.available(ctx.workspace.settings)
    values = {
        "notifications": items, "unread": [item.id for item in items if not item.read], "preferences": preferences,
        "channels": offered, "digests": DIGESTS,
        "mails": _mail_choices(ctx, chosen, upcoming) if channels.EMAIL in offered else None,
        "notice": say(f"notice {done}") if done in ("read", "channels") else "",
    }  # fmt: skip
    return Page("notifications.html", values)


def take(ctx: RequestContext, form: PageForm) -> Response:
    """Note that notifications have been read, or which channels the person wants."""
    if form.text("action") == "read":
        own = {row["id"] for row in inbox.listed(ctx.workspace, userid=ctx.person.id, unread=True)}
        inbox.mark_read(ctx.workspace, own & set(form.numbers("id")))
        return go("/notifications?done=read")
    if form.text("action") != "channels":
        raise RequestError(say("no form"), 400)
    offered = channels.available(ctx.workspace.settings)
    with ctx.workspace.store.write() as connection:
        channels.choose(connection, ctx.person.id, {name: form.text(name) == "yes" for name in offered})
        if channels.EMAIL in offered:
            _choose_mails(ctx, connection, form)
    return go("/notifications?done=channels")


def _mail_choices(ctx: RequestContext, chosen: Mapping[str, str], upcoming: Sequence[mailing.Upcoming]) -> MailChoices:
    zone = time_zones(ctx.site, [ctx.person.id])[ctx.person.id]
    site = schedule(ctx.workspace.settings, zone)
    quiet = chosen.get(mailing.QUIET_HOURS, "")
    start, end = _shown_hours(site.quiet_hours, chosen).split("-")
    coming = [(mail.time, mail.messages) for mail in upcoming]
    return MailChoices(Dates(zone), site, chosen.get(mailing.DIGEST, ""), quiet, start, end, coming)


def _shown_hours(of_site: str, chosen: Mapping[str, str]) -> str:
    """The quiet hours that the fields for one's own show."""
    hours = (chosen.get(mailing.QUIET_HOURS, ""), of_site)
    return next((shown for shown in hours if shown not in ("", NO_QUIET_HOURS)), "-")


def _choose_mails(ctx: RequestContext, connection: Connection, form: PageForm) -> None:
    """Keep when the person wants e-mail; RequestError for what cannot be chosen.

    Who fills in other hours wants them, also where the choice above them still says that the site's are meant.
    """
    userid = ctx.person.id
    digest, quiet = form.text(mailing.DIGEST), form.text(mailing.QUIET_HOURS)
    typed = f"{form.text('start')}-{form.text('end')}"
    shown = _shown_hours(ctx.workspace.settings.quiet_hours, choices.read(connection, userid))
    if not quiet and typed not in (shown, "-"):
        quiet = _OWN
    if digest not in ("", *DIGESTS):
        raise RequestError(say("no such rhythm"), 400)
    if quiet not in ("", NO_QUIET_HOURS):
        try:
            quiet = parse_quiet_hours(typed)
        except ValueError:
            raise RequestError(say("bad quiet hours"), 400) from None
    mailing.choose(connection, userid, digest=digest, quiet_hours=quiet)
