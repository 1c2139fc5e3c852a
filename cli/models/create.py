"""``moodlemlbackend models create``."""

from __future__ import annotations

import click

from ..command import Answer
from ..command import command as make
from ..options import INDICATOR, INTERVAL, PROCESSOR, TARGET
from ..session import Session
from .shared import CONTEXT, changed, name_option

EXAMPLES = """\
moodlemlbackend models create --target course_completion --indicator default --interval quarters --enable
moodlemlbackend models create --target course_dropout --indicator read_actions,any_write_action_in_course --name Short
"""


@make(
    "create", TARGET, INDICATOR, INTERVAL, PROCESSOR, name_option("[default: the name of its target]"), CONTEXT,
    click.option("--enable", is_flag=True, help="Also enable the model."),
    store=True, examples=EXAMPLES,
)  # fmt: skip
def command(
    session: Session,
    target: str,
    indicators: tuple[str, ...],
    interval: str | None,
    processor: str | None,
    name: str | None,
    contexts: tuple[int, ...],
    enable: bool,
) -> Answer:
    """Create a model; without --indicator it gets the indicators of its target's core model."""
    from moodlemlbackend.analytics import models
    from moodlemlbackend.analytics.features import definitions, registry

    full = registry.get_target(target).id
    made = models.create(
        session.workspace,
        full,
        definitions.full_ids(full, indicators or ("default",)),
        interval=registry.get_time_splitting(interval).id if interval else None,
        processor=processor,
        name=name or "",
        contexts=contexts,
        enabled=enable,
    )
    return changed(made, "created")
