"""``moodlemlbackend models edit``."""

from __future__ import annotations

import click

from ..command import Answer
from ..command import command as make
from ..confirmation import confirm
from ..options import INDICATOR, INTERVAL, MODEL, PROCESSOR, YES
from ..session import Session
from .shared import CONTEXT, NAME, changed

EXAMPLES = """\
moodlemlbackend models edit 1 --interval quarters --yes
moodlemlbackend models edit 1 --name "Pilot" --context 27
"""


@make(
    "edit", MODEL, INDICATOR, INTERVAL, PROCESSOR, NAME, CONTEXT,
    click.option("--site-processor", is_flag=True, help="Train it with the site's processor, whichever that is."),
    click.option("--all-contexts", is_flag=True, help="Analyse everything, not only some contexts."),
    YES, store=True, examples=EXAMPLES,
)  # fmt: skip
def command(
    session: Session,
    modelid: int,
    indicators: tuple[str, ...],
    interval: str | None,
    processor: str | None,
    name: str | None,
    contexts: tuple[int, ...],
    site_processor: bool,
    all_contexts: bool,
    yes: bool,
) -> Answer:
    """Change a model.

    Other indicators, another interval or processor delete its predictions and what it has learned; it asks first.
    """
    from moodlemlbackend.analytics import models
    from moodlemlbackend.analytics.features import definitions, registry
    from moodlemlbackend.analytics.lifecycle import losses
    from moodlemlbackend.analytics.models import KEEP, Changes

    model = session.model(modelid)
    changes = Changes(
        indicators=definitions.full_ids(model.target, indicators) if indicators else KEEP,
        interval=registry.get_time_splitting(interval).id if interval else KEEP,
        processor=None if site_processor else processor or KEEP,
        contexts=None if all_contexts else contexts or KEEP,
        name=KEEP if name is None else name,
    )
    confirm(losses.if_edited(session.workspace, modelid, **changes).sentence, yes=yes)
    edited = models.edit(session.workspace, modelid, **changes)
    return changed(edited, "changed" if edited.trained or not model.trained else "changed; it is to be trained anew")
