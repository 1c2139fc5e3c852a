"""``moodlemlbackend evaluate-model``: Moodle's tool of that name."""

from __future__ import annotations

import sys

import click

from .command import Answer
from .command import command as make
from .confirmation import confirm
from .models.shared import MODE, evaluation_answer, model_facts
from .output import last_part, print_table, progress_of, progress_of_past
from .session import Session

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
    "evaluate-model",
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
    store=True,
    examples=EXAMPLES,
)  # fmt: skip
def command(
    session: Session,
    modelid: int | None,
    listing: bool,
    interval: str | None,
    mode: str,
    non_interactive: bool,
    reuse: bool,
) -> Answer:
    """Evaluate a model, and offer to enable it if it is disabled.

    The exit code is the status of the best interval: 4 for a score that is too low, 8 for too little data.
    """
    from moodlemlbackend.analytics import lifecycle
    from moodlemlbackend.errors import Status, UsageError

    if listing:
        return model_list(session)
    if modelid is None:
        raise UsageError("Name the model with --modelid; --list shows which there are.")
    model = session.model(modelid)
    result = lifecycle.evaluate(
        session.workspace, session.site, modelid, interval=interval, mode=mode, reuse=reuse, shown=progress_of(model),
        shown_past=progress_of_past(),
    )  # fmt: skip
    answer = evaluation_answer(result)
    judged = [
        evaluated.interval
        for evaluated in result.evaluations
        if not evaluated.status & (Status.NO_DATASET | Status.GENERAL_ERROR)
    ]
    silent = non_interactive or click.get_current_context().params["as_json"] or not sys.stdin.isatty()
    if judged and not model.enabled and not silent:
        assert callable(answer.show)
        answer.show()
        answer.show = _offer(session, modelid, judged)
    return answer


def _offer(session: Session, modelid: int, intervals: list[str]) -> str:
    """Ask for an interval to enable the model with, then train it and have it predict; returns what came of it."""
    from moodlemlbackend.analytics import lifecycle, models
    from moodlemlbackend.analytics.features import definitions
    from moodlemlbackend.analytics.lifecycle import losses
    from moodlemlbackend.analytics.notifications import outbox

    names = [last_part(interval) for interval in intervals]
    chosen = click.prompt("Enable the model with the interval", type=click.Choice([*names, "none"]), err=True)
    if chosen == "none":
        return ""
    interval = intervals[names.index(chosen)]
    lost = losses.if_edited(session.workspace, modelid, enabled=True, interval=interval)
    confirm(definitions.cannot_help(session.model(modelid).target, interval), lost.sentence, yes=False)
    models.enable(session.workspace, modelid, interval)
    trained = lifecycle.train(session.workspace, session.site, modelid)
    lines = [*trained.info]
    if not trained.status:
        predicted = lifecycle.predict(session.workspace, session.site, modelid)
        outbox.deliver(session.workspace, session.site)
        lines.append(f"The model is enabled and trained; {predicted.figures.get('predictions', 0)} insights.")
    return "\n".join(lines)


def model_list(session: Session) -> Answer:
    """The models as Moodle's tools show them: id, name, status."""
    from moodlemlbackend.analytics import models

    with session.workspace.store.read() as connection:
        listed = models.listed(connection)
    rows = [(model.id, model.name, "enabled" if model.enabled else "disabled") for model in listed]
    return Answer(
        {"models": [model_facts(model) for model in listed]},
        lambda: print_table("List of models", ("Model ID", "Name", "Status"), rows),
    )
