"""``moodlemlbackend models enable``."""

from __future__ import annotations

from ..command import Answer
from ..command import command as make
from ..options import INTERVAL, MODEL, YES
from ..output import confirm
from ..session import Session
from .shared import changed


@make("enable", MODEL, INTERVAL, YES, store=True, examples="moodlemlbackend models enable 1 --interval quarters")
def command(session: Session, modelid: int, interval: str | None, yes: bool) -> Answer:
    """Enable a model: from now on the tasks train it and have it predict.

    Asks first where its interval cannot help students in time.
    """
    from moodlemlbackend.analytics import models
    from moodlemlbackend.analytics.features import definitions, registry

    chosen = registry.get_time_splitting(interval).id if interval else None
    model = session.model(modelid)
    if why_not := definitions.cannot_help(model.target, chosen or model.interval):
        confirm(f"{why_not} Enable the model with it all the same?", yes=yes)
    return changed(models.enable(session.workspace, modelid, chosen), "enabled")
