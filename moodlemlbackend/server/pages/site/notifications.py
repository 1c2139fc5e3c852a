"""What a person has been told of, kept to be read, and how the person wants to be told."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from moodlemlbackend.analytics.notifications import channels, inbox
from moodlemlbackend.errors import RequestError
from moodlemlbackend.server import limits
from moodlemlbackend.server.pages.site.responses import Page, go
from moodlemlbackend.server.pages.texts import say

if TYPE_CHECKING:
    from fastapi.responses import Response

    from moodlemlbackend.server.pages.site.forms import PageForm
    from moodlemlbackend.server.pages.site.request_context import RequestContext


@dataclass(frozen=True)
class Told:
    """A notification; ``url`` is empty where it leads nowhere on the web."""

    id: int
    subject: str
    lines: list[str]
    url: str
    time: int
    read: bool


def index(visit: RequestContext, done: str = "") -> Page:
    """The latest notifications of a person, and the person's channels."""
    found = inbox.listed(visit.workspace, userid=visit.person.id, most=limits.PAGE_NOTIFICATIONS)
    told = [
        Told(
            one["id"], one["subject"], [line for line in one["fullmessage"].splitlines() if line],
            one["contexturl"] if one["contexturl"].startswith(("https://", "http://")) else "",
            one["timecreated"], one["timeread"] is not None,
        )
        for one in found
    ]  # fmt: skip
    with visit.workspace.store.read() as connection:
        wanted = channels.preferences(connection, visit.person.id)
    offered = channels.available(visit.workspace.settings)
    values = {
        "told": told, "unread": [one.id for one in told if not one.read], "wanted": wanted, "channels": offered,
        "notice": say(f"notice {done}") if done in ("read", "channels") else "",
    }  # fmt: skip
    return Page("notifications.html", values)


def take(visit: RequestContext, form: PageForm) -> Response:
    """Note that notifications have been read, or which channels the person wants."""
    if form.text("action") == "read":
        own = {one["id"] for one in inbox.listed(visit.workspace, userid=visit.person.id, unread=True)}
        inbox.mark_read(visit.workspace, own & set(form.numbers("id")))
        return go("/notifications?done=read")
    if form.text("action") != "channels":
        raise RequestError(say("no form"), 400)
    offered = channels.available(visit.workspace.settings)
    with visit.workspace.store.write() as connection:
        channels.choose(connection, visit.person.id, {name: form.text(name) == "yes" for name in offered})
    return go("/notifications?done=channels")
