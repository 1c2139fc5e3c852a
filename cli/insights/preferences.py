"""``moodlemlbackend insights preferences``."""

from __future__ import annotations

import click

from ..command import Answer
from ..command import command as make
from ..session import Session


@make(
    "preferences",
    click.argument("user", metavar="USER", type=click.IntRange(1)),
    click.option("--kept/--no-kept", default=None, help="Show notifications on this server's pages."),
    click.option("--email/--no-email", default=None, help="Send e-mails."),
    click.option("--webhook/--no-webhook", default=None, help="Post to the webhook."),
    store=True, examples="moodlemlbackend insights preferences 453 --no-email",
)  # fmt: skip
def command(session: Session, user: int, **given: bool | None) -> Answer:
    """Show or set how a user is notified of insights; USER is Moodle's user id."""
    from moodlemlbackend.analytics.notifications import channels

    with session.workspace.store.write() as connection:
        channels.choose(connection, user, {name: value for name, value in given.items() if value is not None})
        chosen = channels.preferences(connection, user)
    lines = [f"{name:8} {'yes' if enabled else 'no'}" for name, enabled in chosen.items()]
    return Answer({"user": user, **chosen}, "\n".join(lines))
