"""``moodlemlbackend insights notifications``."""

from __future__ import annotations

import click

from ..command import Answer
from ..command import command as make
from ..options import USER
from ..output import moment, print_table
from ..session import Session

COLUMNS = ("ID", "User", "Subject", "Link", "Time (UTC)")


@make(
    "notifications", USER,
    click.option("--unread", is_flag=True, help="Only those that have not been read."),
    click.option("--read", "mark", is_flag=True, help="Mark those that are shown as read."),
    store=True, examples="moodlemlbackend insights notifications --user 453 --unread",
)  # fmt: skip
def command(session: Session, user: int | None, unread: bool, mark: bool) -> Answer:
    """List what users have been told; of one user with --user."""
    from moodlemlbackend.analytics.notifications import inbox

    listed = inbox.listed(session.workspace, userid=user, unread=unread)
    if mark:
        inbox.mark_read(session.workspace, [message["id"] for message in listed])
    rows = [
        (message["id"], message["useridto"], message["subject"], message["contexturl"], moment(message["timecreated"]))
        for message in listed
    ]
    return Answer({"notifications": listed}, lambda: print_table("", COLUMNS, rows))
