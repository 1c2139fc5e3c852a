"""``moodlemlbackend tasks train``."""

from __future__ import annotations

from ..command import Answer
from ..command import command as make
from ..output import progress_of
from ..session import Session
from .summary import task_answer


@make("train", site=True, store=True, cluster=True, examples="moodlemlbackend tasks train")
def command(session: Session) -> Answer:
    """Train every enabled model on new data from the site."""
    from moodlemlbackend.analytics.lifecycle.tasks import train_models

    return task_answer(train_models(session.workspace, session.site, shown=progress_of(session.site)))
