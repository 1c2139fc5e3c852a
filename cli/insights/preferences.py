"""``moodlemlbackend insights preferences``."""

from __future__ import annotations

import click

from ..command import Answer
from ..command import command as make
from ..session import Session

AS_SITE = "site"
EXAMPLES = """\
moodlemlbackend insights preferences 453 --no-email
moodlemlbackend insights preferences 453 --digest weekly --quiet-hours 18:00-08:00
"""


def _quiet_hours(_ctx: click.Context, _param: click.Parameter, text: str | None) -> str | None:
    from moodlemlbackend.settings.analytics import SETTINGS, parse_quiet_hours

    if text in (None, AS_SITE):
        return text
    try:
        return parse_quiet_hours(text or "")
    except ValueError:
        raise click.BadParameter(f"{text!r} is not {SETTINGS['quiet_hours'].allowed}, or {AS_SITE}.") from None


@make(
    "preferences",
    click.argument("user", metavar="USER", type=click.IntRange(1)),
    click.option("--kept/--no-kept", default=None, help="Show notifications on this server's pages."),
    click.option("--email/--no-email", default=None, help="Send e-mails."),
    click.option("--webhook/--no-webhook", default=None, help="Post to the webhook."),
    click.option(
        "--digest", type=click.Choice((AS_SITE, "off", "daily", "weekly")),
        help="How often the user gets e-mail; off sends one for each model and course, site means the site's setting.",
    ),
    click.option(
        "--quiet-hours", metavar="HOURS", callback=_quiet_hours,
        help="Hours in which the user gets no e-mail, such as 20:00-07:00, or none; site means the site's setting.",
    ),
    store=True, examples=EXAMPLES,
)  # fmt: skip
def command(session: Session, user: int, digest: str | None, quiet_hours: str | None, **given: bool | None) -> Answer:
    """Show or set how a user is notified of insights; USER is Moodle's user id."""
    from moodlemlbackend.analytics.db import choices
    from moodlemlbackend.analytics.notifications import channels, mailing

    times = {mailing.DIGEST: digest, mailing.QUIET_HOURS: quiet_hours}
    wanted = {name: "" if value == AS_SITE else value for name, value in times.items() if value is not None}
    with session.workspace.store.write() as connection:
        mailing.choose(connection, user, **wanted)
        channels.choose(connection, user, {name: value for name, value in given.items() if value is not None})
        chosen = channels.preferences(connection, user)
        own = choices.read(connection, user)
    lines = [f"{name:11} {'yes' if enabled else 'no'}" for name, enabled in chosen.items()]
    site = {name: getattr(session.settings, name) for name in times}
    lines += [
        f"{name.replace('_', ' '):11} {own[name] if name in own else f'as set for the site ({site[name]})'}"
        for name in times
    ]
    facts = {"user": user, **chosen, **{name: own.get(name) for name in times}}
    return Answer(facts, "\n".join(lines))
