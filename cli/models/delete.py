"""``moodlemlbackend models delete``."""

from __future__ import annotations

from ..command import Answer
from ..command import command as make
from ..confirmation import confirm
from ..options import MODEL, YES
from ..session import Session


@make("delete", MODEL, YES, store=True, examples="moodlemlbackend models delete 6 --yes")
def command(session: Session, modelid: int, yes: bool) -> Answer:
    """Delete a model and everything that belongs to it."""
    from moodlemlbackend.analytics import models
    from moodlemlbackend.analytics.lifecycle import losses

    confirm(losses.if_removed(session.workspace, modelid).sentence, yes=yes)
    models.remove(session.workspace, modelid)
    return Answer({"deleted": modelid}, f"Model {modelid} is deleted.")
