"""What the function of an address returns: a page, somewhere else to go, a file, or a run to be started."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from fastapi.responses import RedirectResponse, Response

from moodlemlbackend.language.dates import Dates
from moodlemlbackend.server.pages.rendering import HEADERS, SCRIPTED, render
from moodlemlbackend.server.texts import say

if TYPE_CHECKING:
    from moodlemlbackend.server.pages.site.request_context import RequestContext


@dataclass(frozen=True)
class Page:
    """A template and its values; ``refresh`` is in seconds, None for never; ``scripted`` lets scripts of ours run."""

    template: str
    values: dict[str, Any] = field(default_factory=dict)
    refresh: int | None = None
    scripted: bool = False

    def response(self, ctx: RequestContext, *, person_only: bool, token: str = "", log_out: str = "") -> Response:
        """Make the page."""
        policy = SCRIPTED if self.scripted else HEADERS
        headers = {**policy, **({"Refresh": str(self.refresh)} if self.refresh else {})}
        return render(
            f"site/{self.template}", headers=headers, user=ctx.person.name, dates=Dates(ctx.site.zone),
            links=navigation(person_only=person_only, manages=ctx.manages), token=token,
            log_out=log_out, **self.values,
        )  # fmt: skip


def number_of_pages(entries: int, size: int) -> int:
    """How many pages of a size entries fill; one for none."""
    return max(1, -(-entries // size))


def go(address: str) -> Response:
    """Go to another page of this server, after a form."""
    return RedirectResponse(address, 303, HEADERS)


def refusal(
    sentence: str, code: int, headers: dict[str, str], *, person_only: bool, log_out: str = "", english: bool = False
) -> Response:
    """A page that says in one sentence why there is no other; the sentence is in the reader's language or English."""
    links = navigation(person_only=person_only, manages=False)
    title = say("refused") if code == 403 else say("not found") if code == 404 else say("failed")
    return render(
        "site/refusal.html", code, {**HEADERS, **headers}, user=None, log_out=log_out, links=links, title=title,
        text=sentence, english=english,
    )  # fmt: skip


def navigation(*, person_only: bool, manages: bool) -> list[tuple[str, str]]:
    """Addresses, and names of their texts, of what a page leads to."""
    links = [] if person_only else [("/", "models"), ("/docs", "interface")]
    own = [("/insights", "insights"), ("/notifications", "notifications")]
    return [*links, *own, *([("/analytics", "analytics")] if manages else [])]
