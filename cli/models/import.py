"""``moodlemlbackend models import``."""

from __future__ import annotations

from pathlib import Path

import click

from ..command import Answer
from ..command import command as make
from ..session import Session
from .shared import FILE, NAME, WEIGHTS, model_facts


@make(
    "import", FILE, WEIGHTS, NAME,
    click.option("--ignore-versions", is_flag=True, help="Take it though the site has other versions of components."),
    site=True, store=True, examples="moodlemlbackend models import dropout.zip",
)  # fmt: skip
def command(session: Session, file: str, weights: bool, name: str | None, ignore_versions: bool) -> Answer:
    """Make a model, disabled, from a package."""
    from moodlemlbackend.analytics.lifecycle import packages

    if session.settings.site:
        packages.remember_components(session.workspace, session.site)
    imported = packages.import_model(
        session.workspace, Path(file), name=name or "", weights=weights, ignore_versions=ignore_versions
    )
    text = "\n".join([f"Model {imported.model.id} is made: {imported.model.name}.", *imported.notes])
    return Answer({"model": model_facts(imported.model)}, text, info=imported.notes)
