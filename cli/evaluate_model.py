"""``moodlemlbackend evaluate-model``: Moodle's tool of that name."""

from __future__ import annotations

import sys

import click

from .command import Answer
from .command import command as make
from .confirmation import confirm
from .models.shared import MODE, evaluation_answer, model_facts
from .options import MODEL_NAME
from .output import last_part, progress_of, progress_of_past
from .session import Session
from .tables import Table

EXAMPLES = """\
moodlemlbackend evaluate-model --list
moodlemlbackend evaluate-model --modelid=1 --non-interactive
moodlemlbackend evaluate-model --modelid=1 --analysisinterval='\\core\\analytics\\time_splitting\\quarters'
"""

MODELID = click.option("--modelid", metavar="MODEL", type=MODEL_NAME, help="The model: its id, its name or its target.")
LIST = click.option("--list", "listing", is_flag=True, help="List the models.")
ANALYSIS_INTERVAL = click.option(
    "--analysisinterval", "--timesplitting", "interval", metavar="NAME",
    help="Analysis interval, such as quarters; moodlemlbackend models intervals lists them.",
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
        help="Reuse what was calculated in the last week.",
    ),
    site=True,
    store=True,
    cluster=True,
    tables=True,
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
    """Evaluate a model, then offer to enable it if it is disabled.

    The exit code is the status of the best interval: 4 if its score is too low, 8 if there is too little data.
    """
    from moodlemlbackend.analytics import lifecycle
    from moodlemlbackend.errors import Status, UsageError
    from moodlemlbackend.runtime.progress import reporter_of_process

    if listing:
        return model_list(session)
    if modelid is None:
        raise UsageError("Specify the model with --modelid; --list shows all models.")
    model = session.model(modelid)
    result = lifecycle.evaluate(
        session.workspace, session.site, modelid, interval=interval, mode=mode, reuse=reuse,
        shown=progress_of(session.site)(model), shown_past=progress_of_past(),
    )  # fmt: skip
    answer = evaluation_answer(result)
    judged = [
        evaluated.interval
        for evaluated in result.evaluations
        if not evaluated.status & (Status.NO_DATASET | Status.GENERAL_ERROR)
    ]
    context = click.get_current_context()
    silent = non_interactive or context.params["as_json"] or context.params["as_csv"] or not sys.stdin.isatty()
    if judged and not model.enabled and not silent:
        reporter_of_process().close()
        assert callable(answer.show)
        answer.show()
        answer.show = _offer(session, modelid, judged)
    return answer


def _offer(session: Session, modelid: int, intervals: list[str]) -> str:
    """Ask for an interval to enable the model with, then train it and have it predict; returns what came of it."""
    from moodlemlbackend.analytics import lifecycle, models
    from moodlemlbackend.analytics.features import definitions
    from moodlemlbackend.analytics.lifecycle import losses
    from moodlemlbackend.analytics.lifecycle.sending import send_due

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
        send_due(session.workspace, session.site)
        lines.append(f"The model is enabled and trained; {predicted.figures.get('predictions', 0)} insights.")
    return "\n".join(lines)


def model_list(session: Session) -> Answer:
    """The models as Moodle's tools show them: id, name, status."""
    from moodlemlbackend.analytics import models

    with session.workspace.store.read() as connection:
        listed = models.listed(connection)
    rows = [(model.id, model.name, "enabled" if model.enabled else "disabled") for model in listed]
    empty = "No models yet; create one with moodlemlbackend models create."
    table = Table(("Model ID", "Name", "Status"), rows, "List of models", right=("Model ID",), empty=empty)
    return Answer({"models": [model_facts(model) for model in listed]}, tables=[table])
