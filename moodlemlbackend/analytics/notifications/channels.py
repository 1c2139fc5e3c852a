"""Through which channels a user is told, and the choice that each user has."""

from __future__ import annotations

from typing import TYPE_CHECKING

from moodlemlbackend.analytics.db import notifications
from moodlemlbackend.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from moodlemlbackend.analytics.db import Connection
    from moodlemlbackend.settings.analytics import AnalyticsSettings

KEPT, EMAIL, WEBHOOK = "kept", "email", "webhook"
CHANNELS = (KEPT, EMAIL, WEBHOOK)


def available(settings: AnalyticsSettings) -> list[str]:
    """The channels that the site has: notifications can always be kept."""
    return [KEPT, *([EMAIL] if settings.smtp_host else []), *([WEBHOOK] if settings.webhook_url else [])]


def allowed(processors: Collection[str] | None) -> tuple[str, ...]:
    """The channels that a user's choice of Moodle's message processors allows; None for no choice.

    E-mail is Moodle's own; what is kept stands for its notifications on the web; the webhook is for whoever wants any.
    """
    if processors is None:
        return CHANNELS
    wanted = {KEPT: "popup" in processors, EMAIL: "email" in processors, WEBHOOK: bool(processors)}
    return tuple(channel for channel in CHANNELS if wanted[channel])


def preferences(connection: Connection, userid: int) -> dict[str, bool]:
    """Which channels a user wants; all of them unless they chose otherwise."""
    return {**dict.fromkeys(CHANNELS, True), **notifications.preferences(connection, userid)}


def choose(connection: Connection, userid: int, wanted: Mapping[str, bool]) -> None:
    """Set which channels a user wants; UsageError for one that there is not."""
    for channel, enabled in wanted.items():
        if channel not in CHANNELS:
            raise UsageError(f"There is no channel {channel!r}; choose one of {', '.join(CHANNELS)}.")
        notifications.choose(connection, userid, channel, enabled)
