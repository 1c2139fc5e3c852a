"""``moodlemlbackend models export``."""

from __future__ import annotations

from pathlib import Path

from ..command import Answer
from ..command import command as make
from ..confirmation import confirm_overwriting
from ..options import MODEL, YES
from ..output import working
from ..session import Session
from .shared import WEIGHTS, ZIP_FILE


@make(
    "export", MODEL, ZIP_FILE, WEIGHTS, YES,
    site=True, store=True, examples="moodlemlbackend models export 1 dropout.zip",
)  # fmt: skip
def command(session: Session, modelid: int, file: str, weights: bool, yes: bool) -> Answer:
    """Export a model as a package that Moodle and other sites can import.

    The package does not reveal which site it comes from. If you specify a site, the package lists the versions of the
    components it needs.
    """
    from moodlemlbackend.analytics.lifecycle import packages

    confirm_overwriting(file, yes=yes)
    if session.settings.site:
        packages.remember_components(session.workspace, session.site)
    with working("Exporting the model"):
        packages.export_model(session.workspace, modelid, Path(file), weights=weights)
    return Answer({"model": modelid, "file": file}, f"Model {modelid} has been exported to {file}.")
