"""``moodlemlbackend models predict``."""

from __future__ import annotations

from ..command import Answer
from ..command import command as make
from ..options import MODEL
from ..output import progress_of
from ..session import Session
from .shared import ALL, run_answer


@make("predict", MODEL, ALL, site=True, store=True, examples="moodlemlbackend models predict 1")
def command(session: Session, modelid: int, everything: bool) -> Answer:
    """Predict with a model for what is new on the site, and notify people if notifications are on."""
    from moodlemlbackend.analytics import lifecycle
    from moodlemlbackend.analytics.notifications import outbox

    shown = progress_of(session.site)(session.model(modelid))
    result = lifecycle.predict(session.workspace, session.site, modelid, shown=shown)
    delivered = outbox.deliver(session.workspace, session.site)
    result.info += [delivered.switch, *delivered.problems]
    return run_answer(result, everything=everything)
