"""``moodlemlbackend models enable``."""

from __future__ import annotations

from ..command import Answer
from ..command import command as make
from ..options import INTERVAL, MODEL
from ..session import Session
from .shared import changed


@make("enable", MODEL, INTERVAL, store=True, examples="moodlemlbackend models enable 1 --interval quarters")
def command(session: Session, modelid: int, interval: str | None) -> Answer:
    """Enable a model: from now on the tasks train it and have it predict."""
    from moodlemlbackend.analytics import models
    from moodlemlbackend.analytics.features import registry

    chosen = registry.get_time_splitting(interval).id if interval else None
    return changed(models.enable(session.workspace, modelid, chosen), "enabled")
