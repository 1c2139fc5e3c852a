"""``moodlemlbackend models import``."""

from __future__ import annotations

from pathlib import Path

import click

from ..command import Answer
from ..command import command as make
from ..session import Session
from .shared import FILE, WEIGHTS, model_facts, name_option


@make(
    "import", FILE, WEIGHTS, name_option("[default: the name of its target]"),
    click.option("--ignore-versions", is_flag=True, help="Ignore that the site has other versions."),
    site=True, store=True, examples="moodlemlbackend models import dropout.zip",
)  # fmt: skip
def command(session: Session, file: str, weights: bool, name: str | None, ignore_versions: bool) -> Answer:
    """Create a model from a package; it is disabled at first."""
    from moodlemlbackend.analytics.lifecycle import packages

    if session.settings.site:
        packages.remember_components(session.workspace, session.site)
    imported = packages.import_model(
        session.workspace, Path(file), name=name or "", weights=weights, ignore_versions=ignore_versions
    )
    text = "\n".join([f"Model {imported.model.id} is created: {imported.model.name}.", *imported.notes])
    return Answer({"model": model_facts(imported.model)}, text, info=imported.notes)
