"""``moodlemlbackend evaluate-model``: Moodle's tool of that name."""

from __future__ import annotations

import sys

import click

from ._analytics import Session, last, print_table, progress
from ._analytics import command as make
from .models_run import MODE, model_of, show_evaluation

EXAMPLES = """\
moodlemlbackend evaluate-model --list
moodlemlbackend evaluate-model --modelid=1 --non-interactive
moodlemlbackend evaluate-model --modelid=1 --analysisinterval='\\core\\analytics\\time_splitting\\quarters'
"""

MODELID = click.option("--modelid", metavar="ID", type=click.IntRange(1), help="The model.")
LIST = click.option("--list", "listing", is_flag=True, help="List the models.")
ANALYSIS_INTERVAL = click.option(
    "--analysisinterval", "--timesplitting", "interval", metavar="NAME",
    help="Analysis interval: its class in Moodle, or the last part.",
)  # fmt: skip


@make(
    MODELID,
    LIST,
    ANALYSIS_INTERVAL,
    MODE,
    click.option("--non-interactive", is_flag=True, help="Do not ask whether to enable the model."),
    click.option(
        "--reuse-prev-analysed/--no-reuse-prev-analysed", "reuse", default=True, show_default=True,
        help="Use what was calculated of a course in the last week.",
    ),
    site=True,
    examples=EXAMPLES,
)  # fmt: skip
def evaluate_model(
    session: Session,
    modelid: int | None,
    listing: bool,
    interval: str | None,
    mode: str,
    non_interactive: bool,
    reuse: bool,
    as_json: bool,
) -> int:
    """Evaluate a model, and offer to enable it if it is disabled.

    The exit code is the status of the best interval: 4 for a score that is too low, 8 for too little data.
    """
    from moodlemlbackend.analytics import lifecycle
    from moodlemlbackend.errors import Status, UsageError

    if listing:
        list_models(session)
        return 0
    if modelid is None:
        raise UsageError("Name the model with --modelid; --list shows which there are.")
    model = model_of(session, modelid)
    outcome = lifecycle.evaluate(
        session.workspace, session.site, modelid, interval=interval, mode=mode, reuse=reuse, shown=progress(model)
    )
    show_evaluation(outcome, as_json)
    judged = [one for one in outcome.evaluations if not one.status & (Status.NO_DATASET | Status.GENERAL_ERROR)]
    if judged and not model.enabled and not non_interactive and not as_json and sys.stdin.isatty():
        _offer(session, modelid, [one.interval for one in judged])
    return outcome.status


def _offer(session: Session, modelid: int, intervals: list[str]) -> None:
    """Ask for an interval to enable the model with, then train it and have it predict."""
    from moodlemlbackend.analytics import lifecycle, models
    from moodlemlbackend.analytics.notifications import outbox

    names = [last(interval) for interval in intervals]
    chosen = click.prompt("Enable the model with the interval", type=click.Choice([*names, "none"]), err=True)
    if chosen == "none":
        return
    models.enable(session.workspace, modelid, intervals[names.index(chosen)])
    trained = lifecycle.train(session.workspace, session.site, modelid)
    for sentence in trained.info:
        click.echo(sentence)
    if not trained.status:
        predicted = lifecycle.predict(session.workspace, session.site, modelid)
        outbox.deliver(session.workspace)
        click.echo(f"The model is enabled and trained; {predicted.figures.get('predictions', 0)} insights.")


def list_models(session: Session) -> None:
    """Print the models as Moodle's tools do: id, name, status."""
    from moodlemlbackend.analytics import models

    with session.workspace.store.read() as connection:
        found = models.listed(connection)
    rows = [(model.id, model.name, "enabled" if model.enabled else "disabled") for model in found]
    print_table("List of models", ("Model ID", "Name", "Status"), rows)


command = evaluate_model
