"""``moodlemlbackend models predict``."""

from __future__ import annotations

from ..command import Answer
from ..command import command as make
from ..exit_codes import code_of_run
from ..options import MODEL
from ..output import progress_of
from ..session import Session
from .dry_run import DRY_RUN, dry_run_answer
from .shared import ALL, run_answer

EXAMPLES = """\
moodlemlbackend models predict 1 --dry-run
moodlemlbackend models predict 1
"""


@make("predict", MODEL, ALL, DRY_RUN, site=True, store=True, cluster=True, examples=EXAMPLES)
def command(session: Session, modelid: int, everything: bool, dry_run: bool) -> Answer:
    """Make a model's predictions for new data on the site, and notify people if notifications are on."""
    from moodlemlbackend.analytics import lifecycle
    from moodlemlbackend.analytics.lifecycle.sending import send_due

    shown = progress_of(session.site)(session.model(modelid))
    if dry_run:
        from moodlemlbackend.analytics.lifecycle.preview import rehearse_model

        result, preview = rehearse_model(session.workspace, session.site, modelid, shown=shown)
        return dry_run_answer(session, [result], preview, status=code_of_run(result.status))
    result = lifecycle.predict(session.workspace, session.site, modelid, shown=shown)
    delivered = send_due(session.workspace, session.site)
    result.info += [delivered.switch, *delivered.problems]
    return run_answer(result, everything=everything)
