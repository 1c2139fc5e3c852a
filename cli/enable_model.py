"""``moodlemlbackend enable-model``: Moodle's tool of that name."""

from __future__ import annotations

from .command import Answer
from .command import command as make
from .evaluate_model import ANALYSIS_INTERVAL, LIST, MODELID, model_list
from .models.shared import model_facts
from .session import Session

EXAMPLES = """\
moodlemlbackend enable-model --list
moodlemlbackend enable-model --modelid=1 --analysisinterval=quarters
"""


@make("enable-model", MODELID, LIST, ANALYSIS_INTERVAL, store=True, tables=True, examples=EXAMPLES)
def command(session: Session, modelid: int | None, listing: bool, interval: str | None) -> Answer:
    """Enable a model with an analysis interval; without --modelid, list the models."""
    from moodlemlbackend.analytics import models
    from moodlemlbackend.analytics.features import definitions, registry
    from moodlemlbackend.errors import UsageError

    if listing or modelid is None:
        return model_list(session)
    if interval is None:
        raise UsageError("Name the analysis interval with --analysisinterval.")
    model = models.enable(session.workspace, modelid, registry.get_time_splitting(interval).id)
    why_not = definitions.cannot_help(model.target, model.interval)
    return Answer({"model": model_facts(model)}, f"Success\n{why_not}", info=[why_not] if why_not else [])
