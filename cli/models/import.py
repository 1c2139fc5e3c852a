"""``moodlemlbackend models import``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from ..command import Answer
from ..command import command as make
from ..confirmation import confirm
from ..options import YES
from ..session import Session
from .shared import FILE, WEIGHTS, model_facts, name_option

if TYPE_CHECKING:
    from collections.abc import Sequence

    from moodlemlbackend.analytics.models import AnalyticsModel


@make(
    "import", FILE, WEIGHTS, name_option("[default: the name of its target]"),
    click.option("--ignore-versions", is_flag=True, help="Import even if component versions differ."),
    YES, site=True, store=True, examples="moodlemlbackend models import dropout.zip",
)  # fmt: skip
def command(session: Session, file: str, weights: bool, name: str | None, ignore_versions: bool, yes: bool) -> Answer:
    """Create a model from a package; it is disabled at first.

    No model is overwritten. If a model has the same target, indicators and interval, the command asks first.
    """
    from moodlemlbackend.analytics.lifecycle import packages

    if session.settings.site:
        packages.remember_components(session.workspace, session.site)

    def agree(alike: Sequence[AnalyticsModel]) -> None:
        others = ", ".join(f"model {model.id} ({model.name})" for model in alike)
        confirm(f"This adds a model with the same target, indicators and interval as {others}.", yes=yes)

    imported = packages.import_model(
        session.workspace, Path(file), name=name or "", weights=weights, ignore_versions=ignore_versions, agree=agree
    )
    text = "\n".join([f"Model {imported.model.id} is created: {imported.model.name}.", *imported.notes])
    return Answer({"model": model_facts(imported.model)}, text, info=imported.notes)
