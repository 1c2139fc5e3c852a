"""``moodlemlbackend enable-model``: Moodle's tool of that name."""

from __future__ import annotations

import sys

import click

from .command import Answer
from .command import command as make
from .confirmation import confirm
from .evaluate_model import ANALYSIS_INTERVAL, LIST, MODELID, model_list
from .models.shared import model_facts
from .session import Session

EXAMPLES = """\
moodlemlbackend enable-model --list
moodlemlbackend enable-model --modelid=1 --analysisinterval=quarters
"""


@make(
    "enable-model", MODELID, LIST, ANALYSIS_INTERVAL,
    click.option("--non-interactive", is_flag=True, help="Do not ask before deleting a trained model."),
    store=True, tables=True, examples=EXAMPLES,
)  # fmt: skip
def command(
    session: Session, modelid: int | None, listing: bool, interval: str | None, non_interactive: bool
) -> Answer:
    """Enable a model with an analysis interval; without --modelid, list the models.

    Changing the interval deletes the predictions and the trained model. On a terminal the command asks first; elsewhere
    it does not, just like Moodle's tool.
    """
    from moodlemlbackend.analytics import models
    from moodlemlbackend.analytics.features import definitions, registry
    from moodlemlbackend.analytics.lifecycle import losses
    from moodlemlbackend.errors import UsageError

    if listing or modelid is None:
        return model_list(session)
    if interval is None:
        raise UsageError("Specify the analysis interval with --analysisinterval.")
    chosen = registry.get_time_splitting(interval).id
    lost = losses.if_edited(session.workspace, modelid, enabled=True, interval=chosen)
    confirm(lost.sentence, yes=non_interactive or not sys.stdin.isatty())
    model = models.enable(session.workspace, modelid, chosen)
    deleted = f"Deleted: {lost.text}." if lost.parts else ""
    info = [sentence for sentence in (definitions.cannot_help(model.target, model.interval), deleted) if sentence]
    return Answer({"model": model_facts(model)}, "\n".join(["Success", *info]), info=info)
