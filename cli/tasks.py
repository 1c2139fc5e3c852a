"""``moodlemlbackend tasks``: what cron or a systemd timer runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from ._analytics import LazyGroup, Session, print_json, progress
from ._analytics import command as make
from .models_run import show_figures

if TYPE_CHECKING:
    from moodlemlbackend.analytics.lifecycle.tasks import TaskSummary

_MODULE = "tasks"


EXAMPLES = """\
moodlemlbackend tasks train
moodlemlbackend tasks predict --json
"""


@click.group("tasks", cls=LazyGroup, epilog=EXAMPLES, lazy=dict.fromkeys(("train", "predict", "cleanup"), _MODULE))
def command() -> None:
    """Scheduled tasks; each may run while another one does.

    The exit code is 1 when a model met an error, else 0: also when there was nothing to do.
    """


@make(site=True, examples="moodlemlbackend tasks train")
def train(session: Session, as_json: bool) -> int:
    """Train every enabled model with what is new on the site."""
    from moodlemlbackend.analytics.lifecycle.tasks import train_models

    return _show(train_models(session.workspace, session.site, shown=progress), as_json)


@make(site=True, examples="moodlemlbackend tasks predict")
def predict(session: Session, as_json: bool) -> int:
    """Have every enabled and trained model predict, and tell people of it."""
    from moodlemlbackend.analytics.lifecycle.tasks import predict_models

    return _show(predict_models(session.workspace, session.site, shown=progress), as_json)


@make(site=True, examples="moodlemlbackend tasks cleanup")
def cleanup(session: Session, as_json: bool) -> int:
    """Remove what belongs to courses and users that are gone, and calculations past their time."""
    from moodlemlbackend.analytics.lifecycle.tasks import clean_up

    return _show(clean_up(session.workspace, session.site), as_json)


def _show(summary: TaskSummary, as_json: bool) -> int:
    if as_json:
        print_json(summary.as_dict())
        return int(summary.failed)
    for sentence in summary.info:
        click.echo(sentence)
    for outcome in summary.results:
        show_figures(outcome)
    if summary.removed:
        click.echo("Removed: " + ", ".join(f"{number} {name}" for name, number in summary.removed.items()) + ".")
    if summary.delivered:
        sent = ", ".join(f"{number} by {channel}" for channel, number in summary.delivered.sent.items()) or "nothing"
        click.echo(f"Sent: {sent}; waiting: {summary.delivered.waiting}.")
        for problem in summary.delivered.problems:
            click.echo(problem)
    click.echo(f"Done in {summary.seconds:.1f} s.")
    return int(summary.failed)
