"""``moodlemlbackend insights``: what people are told, and what they do about it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from ._analytics import USER, LazyGroup, Session, moment, print_json, print_table
from ._analytics import command as make

if TYPE_CHECKING:
    from moodlemlbackend.analytics.insights.listing import Insight

_MODULE = "insights"
_PREDICTION = click.argument("prediction", metavar="ID", type=click.IntRange(1))
_MODEL = click.option("--model", metavar="ID", type=click.IntRange(1), help="Of one model.")
_COURSE = click.option("--course", metavar="ID", type=click.IntRange(1), help="Of one course.")
_SHOWN_REASONS = 3


EXAMPLES = """\
moodlemlbackend insights list --user 453
moodlemlbackend insights act not-useful 12
"""


@click.group(
    "insights",
    cls=LazyGroup,
    epilog=EXAMPLES,
    lazy=dict.fromkeys(("list", "show", "act", "notifications", "preferences", "send"), _MODULE),
)
def command() -> None:
    """List insights, show why, and do something about them."""


@make(
    _MODEL, _COURSE, USER,
    click.option("--page", type=click.IntRange(0), default=0, show_default=True, help="Page, from 0 on."),
    click.option("--perpage", type=click.IntRange(1, 1000), default=100, show_default=True, help="Insights a page."),
    site=True,
    examples="moodlemlbackend insights list --course 29\nmoodlemlbackend insights list --user 453 --json",
)  # fmt: skip
def list(  # noqa: A001
    session: Session, model: int | None, course: int | None, user: int | None, page: int, perpage: int, as_json: bool
) -> None:
    """List the insights of enabled models, those at the greatest risk first.

    With --user only those that this user may see and has not dealt with.
    """
    from moodlemlbackend.analytics.insights import listing
    from moodlemlbackend.analytics.insights.capabilities import Capabilities
    from moodlemlbackend.errors import UsageError

    contextids: set[int] | None = None
    if course is not None:
        contextids = {row.context for row in session.site.courses if row.id == course}
        if not contextids:
            raise UsageError(f"The site has no course {course}.")
    insights = listing.listed(
        session.workspace, session.site, modelid=model, contextids=contextids, userid=user,
        reader=None if user is None else Capabilities(session.site, session.now), page=page, perpage=perpage,
    )  # fmt: skip
    if as_json:
        print_json([facts(insight) for insight in insights])
        return
    rows = [
        (one.id, one.title, one.sample.course_name if one.sample and one.sample.userid else "", one.label,
         f"{one.probability:.0%}" if one.probability is not None else "", _because(one), moment(one.created))
        for one in insights
    ]  # fmt: skip
    print_table("", ("ID", "Whom", "Course", "Prediction", "Probability", "Because", "Time (UTC)"), rows)


@make(_PREDICTION, site=True, examples="moodlemlbackend insights show 12")
def show(session: Session, prediction: int, as_json: bool) -> None:
    """Show one insight: the prediction, its indicators and why, and what can be done."""
    from moodlemlbackend.analytics.insights import listing

    one = listing.get(session.workspace, session.site, prediction)
    if as_json:
        print_json(facts(one))
        return
    click.echo(f"{one.title}: {one.label}")
    if one.sample and one.sample.userid and one.sample.course_name:
        click.echo(f"Course: {one.sample.course_name}")
    click.echo(f"Model: {one.model.name} (model {one.model.id}), {moment(one.created)} UTC")
    if one.start is not None and one.end is not None:
        click.echo(f"From: {moment(one.start)} to {moment(one.end)}")
    if one.probability is not None:
        click.echo(f"Probability: {one.probability:.0%}")
    if one.reasons:
        rows = [(reason.label, reason.value, f"{reason.contribution:+.2f}") for reason in one.reasons]
        print_table("Why", ("Indicator", "Value", "Adds (log-odds)"), rows)
    print_table("Indicators", ("Indicator", "Value"), [(value.label, value.value) for value in one.indicators])
    for action in one.links:
        click.echo(f"{action.label}: {action.url}")
    click.echo("Act: " + ", ".join(f"{action.name} ({action.label})" for action in one.judgements))
    if one.done:
        click.echo("Done: " + ", ".join(one.done))


@make(
    click.argument("action", metavar="ACTION"),
    click.argument("predictions", metavar="ID...", type=click.IntRange(1), nargs=-1, required=True),
    USER,
    examples="moodlemlbackend insights act acknowledge 12 13 --user 453\nmoodlemlbackend insights act not-useful 12",
)  # fmt: skip
def act(session: Session, action: str, predictions: tuple[int, ...], user: int | None, as_json: bool) -> None:
    """Record that somebody has dealt with predictions: acknowledge, not-useful, not-applicable, useful or take-back.

    Predictions that are not useful are learned from in the next training: they become less likely. take-back undoes
    what the user has said.
    """
    from moodlemlbackend.analytics.insights import actions

    if action == "take-back":
        number = actions.take_back(session.workspace, predictions)
        said = f"Taken back; {number} of these predictions will be unlearned."
    else:
        number = actions.perform(session.workspace, action, predictions)
        said = f"Recorded; {number} of these predictions will be learned from."
    if as_json:
        print_json({"action": action, "predictions": [*predictions], "learned": number, "user": user})
    else:
        click.echo(said if number else said.partition(";")[0] + ".")


@make(
    USER,
    click.option("--unread", is_flag=True, help="Only those that have not been read."),
    click.option("--read", "mark", is_flag=True, help="Mark those that are shown as read."),
    examples="moodlemlbackend insights notifications --user 453 --unread",
)  # fmt: skip
def notifications(session: Session, user: int | None, unread: bool, mark: bool, as_json: bool) -> None:
    """List what users have been told; of one user with --user."""
    from moodlemlbackend.analytics.notifications import inbox

    found = inbox.listed(session.workspace, userid=user, unread=unread)
    if mark:
        inbox.mark_read(session.workspace, [one["id"] for one in found])
    if as_json:
        print_json(found)
        return
    rows = [
        (one["id"], one["useridto"], one["subject"], one["contexturl"], moment(one["timecreated"])) for one in found
    ]
    print_table("", ("ID", "User", "Subject", "Link", "Time (UTC)"), rows)


@make(
    click.argument("user", metavar="USER", type=click.IntRange(1)),
    click.option("--kept/--no-kept", default=None, help="Keep notifications to be read."),
    click.option("--email/--no-email", default=None, help="Send e-mails."),
    click.option("--webhook/--no-webhook", default=None, help="Tell the webhook."),
    examples="moodlemlbackend insights preferences 453 --no-email",
)
def preferences(
    session: Session, user: int, kept: bool | None, email: bool | None, webhook: bool | None, as_json: bool
) -> None:
    """Show or set how a user is told of insights."""
    from moodlemlbackend.analytics.notifications import channels

    wanted = {
        name: value for name, value in (("kept", kept), ("email", email), ("webhook", webhook)) if value is not None
    }
    with session.workspace.store.write() as connection:
        channels.choose(connection, user, wanted)
        chosen = channels.preferences(connection, user)
    if as_json:
        print_json({"user": user, **chosen})
    else:
        for name, enabled in chosen.items():
            click.echo(f"{name:8} {'yes' if enabled else 'no'}")


@make(examples="moodlemlbackend insights send")
def send(session: Session, as_json: bool) -> None:
    """Send what could not be sent before; the tasks predict and cleanup do so, too."""
    from moodlemlbackend.analytics.notifications import outbox

    delivered = outbox.deliver(session.workspace)
    if as_json:
        print_json(vars(delivered))
        return
    click.echo(f"Sent: {sum(delivered.sent.values())}, waiting: {delivered.waiting}, given up: {delivered.given_up}.")
    for problem in delivered.problems:
        click.echo(problem)


def facts(one: Insight) -> dict[str, Any]:
    """An insight as JSON has it."""
    return {
        **{
            key: getattr(one, key)
            for key in ("id", "contextid", "sampleid", "rangeindex", "prediction", "label", "score", "probability",
                        "created", "start", "end", "done")
        },
        "model": {"id": one.model.id, "name": one.model.name, "target": one.model.target},
        "sample": vars(one.sample) if one.sample else None,
        "indicators": [vars(value) for value in one.indicators],
        "reasons": [vars(reason) for reason in one.reasons],
        "links": [{"name": action.name, "label": action.label, "url": action.url} for action in one.links],
        "judgements": [{"name": action.name, "label": action.label} for action in one.judgements],
    }  # fmt: skip


def _because(one: Insight) -> str:
    for_it = [reason for reason in one.reasons if reason.contribution > 0][:_SHOWN_REASONS]
    return "; ".join(f"{reason.label}: {reason.value}" for reason in for_it)
