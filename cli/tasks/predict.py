"""``moodlemlbackend tasks predict``."""

from __future__ import annotations

from ..command import Answer
from ..command import command as make
from ..exit_codes import FAILED, OK
from ..models.dry_run import DRY_RUN, dry_run_answer
from ..output import progress_of
from ..session import Session
from .summary import task_answer

EXAMPLES = """\
moodlemlbackend tasks predict --dry-run
moodlemlbackend tasks predict
"""


@make("predict", DRY_RUN, site=True, store=True, cluster=True, examples=EXAMPLES)
def command(session: Session, dry_run: bool) -> Answer:
    """Predict with every enabled and trained model, and notify people if notifications are on."""
    from moodlemlbackend.analytics.lifecycle.tasks import predict_models, rehearse_models

    shown = progress_of(session.site)
    if not dry_run:
        return task_answer(predict_models(session.workspace, session.site, shown=shown))
    summary, preview = rehearse_models(session.workspace, session.site, shown=shown)
    status = FAILED if summary.failed else OK
    return dry_run_answer(session, summary.results, preview, status=status, info=summary.info)
