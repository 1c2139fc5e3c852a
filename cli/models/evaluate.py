"""``moodlemlbackend models evaluate``."""

from __future__ import annotations

import click

from ..command import Answer
from ..command import command as make
from ..options import INTERVAL, MODEL
from ..output import progress_of, progress_of_past
from ..session import Session
from .shared import MODE, evaluation_answer


@make(
    "evaluate", MODEL, INTERVAL, MODE,
    click.option(
        "--reuse/--no-reuse", default=True, show_default=True,
        help="Reuse what was calculated in the last week.",
    ),
    site=True, store=True, cluster=True, tables=True, examples="moodlemlbackend models evaluate 1 --interval quarters",
)  # fmt: skip
def command(session: Session, modelid: int, interval: str | None, mode: str, reuse: bool) -> Answer:
    """Evaluate a model on the site's finished courses, with every enabled interval or the one you name.

    The exit code is the status of the best interval: 4 if its score is too low, 8 if there is too little data.
    """
    from moodlemlbackend.analytics import lifecycle

    shown = progress_of(session.site)(session.model(modelid))
    return evaluation_answer(
        lifecycle.evaluate(
            session.workspace,
            session.site,
            modelid,
            interval=interval,
            mode=mode,
            reuse=reuse,
            shown=shown,
            shown_past=progress_of_past(),
        )
    )
