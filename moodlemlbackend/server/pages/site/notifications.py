"""What a person has been told of, kept to be read, and how the person wants to be told."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from moodlemlbackend.analytics.notifications import channels, inbox
from moodlemlbackend.errors import RequestError
from moodlemlbackend.server import limits
from moodlemlbackend.server.pages.site.responses import Page, go
from moodlemlbackend.server.texts import say

if TYPE_CHECKING:
    from fastapi.responses import Response

    from moodlemlbackend.server.pages.site.forms import PageForm
    from moodlemlbackend.server.pages.site.request_context import RequestContext


@dataclass(frozen=True)
class NotificationItem:
    """A notification; ``url`` is empty where it leads nowhere on the web."""

    id: int
    subject: str
    lines: list[str]
    url: str
    time: int
    read: bool


def index(ctx: RequestContext, done: str = "") -> Page:
    """The latest notifications of a person, and the person's channels."""
    rows = inbox.listed(ctx.workspace, userid=ctx.person.id, most=limits.PAGE_NOTIFICATIONS)
    items = [
        NotificationItem(
            row["id"], row["subject"], [line for line in row["fullmessage"].splitlines() if line],
            row["contexturl"] if row["contexturl"].startswith(("https://", "http://")) else "",
            row["timecreated"], row["timeread"] is not None,
        )
        for row in rows
    ]  # fmt: skip
    with ctx.workspace.store.read() as connection:
        preferences = channels.preferences(connection, ctx.person.id)
    offered = channels.available(ctx.workspace.settings)
    values = {
        "notifications": items, "unread": [item.id for item in items if not item.read], "preferences": preferences,
        "channels": offered, "notice": say(f"notice {done}") if done in ("read", "channels") else "",
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
    return go("/notifications?done=channels")
