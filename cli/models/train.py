"""``moodlemlbackend models train``."""

from __future__ import annotations

from ..command import Answer
from ..command import command as make
from ..options import MODEL
from ..output import progress_of
from ..session import Session
from .shared import ALL, run_answer


@make("train", MODEL, ALL, site=True, store=True, cluster=True, examples="moodlemlbackend models train 1")
def command(session: Session, modelid: int, everything: bool) -> Answer:
    """Train a model on new data from the site."""
    from moodlemlbackend.analytics import lifecycle

    shown = progress_of(session.site)(session.model(modelid))
    return run_answer(lifecycle.train(session.workspace, session.site, modelid, shown=shown), everything=everything)
