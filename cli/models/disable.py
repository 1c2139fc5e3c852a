"""``moodlemlbackend models disable``."""

from __future__ import annotations

from ..command import Answer
from ..command import command as make
from ..options import MODEL
from ..session import Session
from .shared import changed


@make("disable", MODEL, store=True, examples="moodlemlbackend models disable 1")
def command(session: Session, modelid: int) -> Answer:
    """Disable a model; its insights stay hidden until you enable it again."""
    from moodlemlbackend.analytics import models

    return changed(models.edit(session.workspace, modelid, enabled=False), "disabled")
