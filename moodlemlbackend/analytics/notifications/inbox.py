"""Notifications that are kept to be read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from moodlemlbackend.analytics.db import notifications as stored

if TYPE_CHECKING:
    from collections.abc import Iterable

    from moodlemlbackend.analytics.workspace import Workspace

MOST = 1000


def listed(
    workspace: Workspace, *, userid: int | None = None, unread: bool = False, most: int = MOST
) -> list[dict[str, Any]]:
    """The notifications of a user, or of all, newest first, by column."""
    with workspace.store.read() as connection:
        return stored.listed(connection, userid=userid, unread=unread, most=most)


def mark_read(workspace: Workspace, notifications: Iterable[int]) -> None:
    """Note that notifications have been read."""
    with workspace.store.write() as connection:
        stored.mark_read(connection, notifications, workspace.clock())
