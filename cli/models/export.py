"""``moodlemlbackend models export``."""

from __future__ import annotations

from pathlib import Path

from ..command import Answer
from ..command import command as make
from ..options import MODEL
from ..session import Session
from .shared import WEIGHTS, ZIP_FILE


@make("export", MODEL, ZIP_FILE, WEIGHTS, site=True, store=True, examples="moodlemlbackend models export 1 dropout.zip")
def command(session: Session, modelid: int, file: str, weights: bool) -> Answer:
    """Export a model as a package that Moodle and other sites can import.

    The package does not reveal which site it comes from. If you name a site, the package lists the versions of the
    components it needs.
    """
    from moodlemlbackend.analytics.lifecycle import packages

    if session.settings.site:
        packages.remember_components(session.workspace, session.site)
    packages.export_model(session.workspace, modelid, Path(file), weights=weights)
    return Answer({"model": modelid, "file": file}, f"Model {modelid} is exported to {file}.")
