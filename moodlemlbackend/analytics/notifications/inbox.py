"""Notifications that are kept to be read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import select, update

from moodlemlbackend.analytics.db.schema import NOTIFICATIONS

if TYPE_CHECKING:
    from collections.abc import Iterable

    from moodlemlbackend.analytics.workspace import Workspace

MOST = 1000


def listed(
    workspace: Workspace, *, userid: int | None = None, unread: bool = False, most: int = MOST
) -> list[dict[str, Any]]:
    """The notifications of a user, or of all, newest first, by column."""
    query = select(NOTIFICATIONS).order_by(NOTIFICATIONS.c.id.desc()).limit(most)
    if userid is not None:
        query = query.where(NOTIFICATIONS.c.useridto == userid)
    if unread:
        query = query.where(NOTIFICATIONS.c.timeread.is_(None))
    with workspace.store.read() as connection:
        return [row._asdict() for row in connection.execute(query)]


def mark_read(workspace: Workspace, notifications: Iterable[int]) -> None:
    """Note that notifications have been read."""
    chosen = NOTIFICATIONS.c.id.in_([*notifications]) & NOTIFICATIONS.c.timeread.is_(None)
    with workspace.store.write() as connection:
        connection.execute(update(NOTIFICATIONS).where(chosen).values(timeread=workspace.clock()))
