"""Who would be notified about what, for managers: about the newest predictions in the store; nothing is predicted."""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING

from moodlemlbackend.analytics.lifecycle.preview import newest
from moodlemlbackend.analytics.notifications import switch
from moodlemlbackend.server import limits
from moodlemlbackend.server.pages.site.responses import Page

if TYPE_CHECKING:
    from moodlemlbackend.server.pages.site.request_context import RequestContext


def index(ctx: RequestContext, page: int) -> Page:
    """The people by model and course, with their roles and channels; counts first."""
    ctx.require_manager()
    with ctx.workspace.store.read() as connection:
        notifications = switch.read(connection, ctx.workspace.settings)
    preview = newest(ctx.workspace, ctx.site)
    groups = preview.recipients()
    first = (page - 1) * limits.PAGE_RECIPIENTS
    shown = groups[first : first + limits.PAGE_RECIPIENTS]
    values = {
        "notifications": notifications, "preview": preview, "page": page, "more": len(groups) > first + len(shown),
        "warning": switch.also_by_moodle(ctx.site, on=notifications.on),
        "by_model": [[*of_model] for _, of_model in groupby(shown, lambda group: group.modelid)],
    }  # fmt: skip
    return Page("recipients.html", values)
