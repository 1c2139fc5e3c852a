"""``moodlemlbackend models enable``."""

from __future__ import annotations

from ..command import Answer
from ..command import command as make
from ..confirmation import confirm
from ..options import INTERVAL, MODEL, YES
from ..session import Session
from .shared import changed


@make("enable", MODEL, INTERVAL, YES, store=True, examples="moodlemlbackend models enable 1 --interval quarters")
def command(session: Session, modelid: int, interval: str | None, yes: bool) -> Answer:
    """Enable a model: from now on the scheduled tasks train it and predict with it.

    Changing the interval deletes the predictions and the trained model. The command asks first; it also asks if the
    interval cannot help students in time.
    """
    from moodlemlbackend.analytics import models
    from moodlemlbackend.analytics.features import definitions, registry
    from moodlemlbackend.analytics.lifecycle import losses
    from moodlemlbackend.analytics.models import KEEP

    chosen = registry.get_time_splitting(interval).id if interval else None
    model = session.model(modelid)
    lost = losses.if_edited(session.workspace, modelid, enabled=True, interval=chosen or KEEP)
    confirm(definitions.cannot_help(model.target, chosen or model.interval), lost.sentence, yes=yes)
    return changed(models.enable(session.workspace, modelid, chosen), "enabled")
