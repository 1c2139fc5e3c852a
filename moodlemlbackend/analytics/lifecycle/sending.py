"""Sending what was written about predictions, as far as it still concerns its readers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from moodlemlbackend.analytics.notifications import outbox
from moodlemlbackend.analytics.students.still_new import StillNew

if TYPE_CHECKING:
    from moodlemlbackend.analytics.notifications.attempts import Delivered
    from moodlemlbackend.analytics.site import Site
    from moodlemlbackend.analytics.workspace import Workspace


def send_due(workspace: Workspace, site: Site | None) -> Delivered:
    """Send what is due now; as :func:`.outbox.deliver`."""
    return outbox.deliver(workspace, site, StillNew(workspace, site))
