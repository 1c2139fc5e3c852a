"""``moodlemlbackend tasks predict``."""

from __future__ import annotations

from ..command import Answer
from ..command import command as make
from ..output import progress_of
from ..session import Session
from .summary import task_answer


@make("predict", site=True, store=True, examples="moodlemlbackend tasks predict")
def command(session: Session) -> Answer:
    """Predict with every enabled and trained model, and notify people if notifications are on."""
    from moodlemlbackend.analytics.lifecycle.tasks import predict_models

    return task_answer(predict_models(session.workspace, session.site, shown=progress_of(session.site)))
