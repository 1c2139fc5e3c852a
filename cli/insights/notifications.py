"""``moodlemlbackend insights notifications``."""

from __future__ import annotations

import click

from ..command import Answer
from ..command import command as make
from ..options import user_option
from ..output import moment
from ..session import Session
from ..tables import Table

COLUMNS = ("ID", "User", "Subject", "Link", "Time (UTC)")


@make(
    "notifications", user_option("Only notifications to this user."),
    click.option("--unread", is_flag=True, help="Only notifications that have not been read."),
    click.option("--read", "mark", is_flag=True, help="Mark the notifications shown as read."),
    store=True, tables=True, examples="moodlemlbackend insights notifications --user 453 --unread",
)  # fmt: skip
def command(session: Session, user: int | None, unread: bool, mark: bool) -> Answer:
    """List the notifications stored for users."""
    from moodlemlbackend.analytics.notifications import inbox

    listed = inbox.listed(session.workspace, userid=user, unread=unread)
    if mark:
        inbox.mark_read(session.workspace, [message["id"] for message in listed])
    rows = [
        (message["id"], message["useridto"], message["subject"], message["contexturl"], moment(message["timecreated"]))
        for message in listed
    ]
    table = Table(COLUMNS, rows, right=("ID", "User"), least=("Time (UTC)", "Link"), empty="No notifications.")
    return Answer({"notifications": listed}, tables=[table])
