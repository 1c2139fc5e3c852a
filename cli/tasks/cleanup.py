"""``moodlemlbackend tasks cleanup``."""

from __future__ import annotations

from ..command import Answer
from ..command import command as make
from ..output import working
from ..session import Session
from .summary import task_answer


@make("cleanup", site=True, store=True, examples="moodlemlbackend tasks cleanup")
def command(session: Session) -> Answer:
    """Remove the data of deleted courses and users, and expired calculations."""
    from moodlemlbackend.analytics.lifecycle.tasks import clean_up

    with working("Cleaning up"):
        summary = clean_up(session.workspace, session.site)
    return task_answer(summary)
