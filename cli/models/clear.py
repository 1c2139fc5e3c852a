"""``moodlemlbackend models clear``."""

from __future__ import annotations

from ..command import Answer
from ..command import command as make
from ..confirmation import confirm
from ..options import MODEL, YES
from ..session import Session
from .shared import changed


@make("clear", MODEL, YES, store=True, examples="moodlemlbackend models clear 1 --yes")
def command(session: Session, modelid: int, yes: bool) -> Answer:
    """Delete all predictions of a model and what it has learned."""
    from moodlemlbackend.analytics import models
    from moodlemlbackend.analytics.lifecycle import losses

    confirm(losses.if_cleared(session.workspace, modelid).sentence, yes=yes)
    return changed(models.clear(session.workspace, modelid), "cleared")
