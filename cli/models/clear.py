"""``moodlemlbackend models clear``."""

from __future__ import annotations

from ..command import Answer
from ..command import command as make
from ..options import MODEL, YES
from ..output import confirm
from ..session import Session
from .shared import changed


@make("clear", MODEL, YES, store=True, examples="moodlemlbackend models clear 1 --yes")
def command(session: Session, modelid: int, yes: bool) -> Answer:
    """Delete all predictions of a model and what it has learned."""
    from moodlemlbackend.analytics import models

    confirm(f"All predictions of model {modelid} and what it has learned will be deleted. Go on?", yes=yes)
    return changed(models.clear(session.workspace, modelid), "cleared")
