"""``moodlemlbackend enable-model``: Moodle's tool of that name."""

from __future__ import annotations

import click

from ._analytics import Session, print_json
from ._analytics import command as make
from .evaluate_model import ANALYSIS_INTERVAL, LIST, MODELID, list_models
from .models_manage import facts

EXAMPLES = """\
moodlemlbackend enable-model --list
moodlemlbackend enable-model --modelid=1 --analysisinterval=quarters
"""


@make(MODELID, LIST, ANALYSIS_INTERVAL, examples=EXAMPLES)
def enable_model(session: Session, modelid: int | None, listing: bool, interval: str | None, as_json: bool) -> int:
    """Enable a model with an analysis interval; without --modelid the models are listed."""
    from moodlemlbackend.analytics import models
    from moodlemlbackend.analytics.features import registry
    from moodlemlbackend.errors import UsageError

    if listing or modelid is None:
        list_models(session)
        return 0
    if interval is None:
        raise UsageError("Name the analysis interval with --analysisinterval.")
    model = models.enable(session.workspace, modelid, registry.get_time_splitting(interval).id)
    if as_json:
        print_json(facts(model))
    else:
        click.echo("Success")
    return 0


command = enable_model
