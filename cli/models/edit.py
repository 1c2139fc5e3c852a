"""``moodlemlbackend models edit``."""

from __future__ import annotations

import click

from ..command import Answer
from ..command import command as make
from ..confirmation import confirm
from ..options import INDICATOR, INTERVAL, MODEL, PROCESSOR, YES
from ..session import Session
from .shared import CONTEXT, changed, name_option

EXAMPLES = """\
moodlemlbackend models edit 1 --interval quarters --yes
moodlemlbackend models edit 1 --name "Pilot" --context 27
"""


@make(
    "edit", MODEL, INDICATOR, INTERVAL, PROCESSOR,
    name_option("If it is empty, the model is named after its target."), CONTEXT,
    click.option("--site-processor", is_flag=True, help="Use the site's default processor again."),
    click.option("--all-contexts", is_flag=True, help="Analyse the whole site, not only some courses."),
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

    Changing the indicators, interval or processor deletes the predictions and the trained model.
    The command asks first.
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
    return changed(edited, "changed" if edited.trained or not model.trained else "changed and must be trained again")
