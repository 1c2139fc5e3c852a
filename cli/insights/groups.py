"""What separate groups hide from the user for whom a command is run."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ..session import Session


def check_groups(session: Session, user: int, predictions: Iterable[int]) -> None:
    """Raise UsageError for predictions that separate groups hide from a user."""
    from moodlemlbackend.analytics.insights import listing
    from moodlemlbackend.analytics.insights.capabilities import Capabilities

    listing.check_groups(session.workspace, Capabilities(session.site, session.now), user, predictions)
