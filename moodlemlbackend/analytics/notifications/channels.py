"""Through which channels a user is told, and the choice that each user has."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import delete, select

from moodlemlbackend.analytics.db.schema import PREFERENCES
from moodlemlbackend.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sqlalchemy import Connection

    from moodlemlbackend.settings.analytics import AnalyticsSettings

KEPT, EMAIL, WEBHOOK = "kept", "email", "webhook"
CHANNELS = (KEPT, EMAIL, WEBHOOK)


def available(settings: AnalyticsSettings) -> list[str]:
    """The channels that the site has: notifications can always be kept."""
    return [KEPT, *([EMAIL] if settings.smtp_host else []), *([WEBHOOK] if settings.webhook_url else [])]


def preferences(connection: Connection, userid: int) -> dict[str, bool]:
    """Which channels a user wants; all of them unless they chose otherwise."""
    chosen = connection.execute(select(PREFERENCES).where(PREFERENCES.c.userid == userid))
    return {**dict.fromkeys(CHANNELS, True), **{row.channel: bool(row.enabled) for row in chosen}}


def unwanted(connection: Connection) -> set[tuple[int, str]]:
    """The channels that users have switched off: pairs of user and channel."""
    chosen = connection.execute(select(PREFERENCES).where(PREFERENCES.c.enabled == 0))
    return {(row.userid, row.channel) for row in chosen}


def choose(connection: Connection, userid: int, wanted: Mapping[str, bool]) -> None:
    """Set which channels a user wants; UsageError for one that there is not."""
    for channel, enabled in wanted.items():
        if channel not in CHANNELS:
            raise UsageError(f"There is no channel {channel!r}; choose among {', '.join(CHANNELS)}.")
        connection.execute(delete(PREFERENCES).where(PREFERENCES.c.userid == userid, PREFERENCES.c.channel == channel))
        connection.execute(PREFERENCES.insert().values(userid=userid, channel=channel, enabled=int(enabled)))
