"""``moodlemlbackend models export-data``."""

from __future__ import annotations

from pathlib import Path

from ..command import Answer
from ..command import command as make
from ..confirmation import confirm_overwriting
from ..options import MODEL, YES
from ..session import Session
from .shared import FILE


@make("export-data", MODEL, FILE, YES, store=True, examples="moodlemlbackend models export-data 1 training-data.csv")
def command(session: Session, modelid: int, file: str, yes: bool) -> Answer:
    """Write what a model was trained with on this site, without anything that identifies the site or a person."""
    from moodlemlbackend.analytics.lifecycle import packages

    confirm_overwriting(file, yes=yes)
    rows = packages.export_training_data(session.workspace, modelid, Path(file))
    return Answer({"model": modelid, "file": file, "rows": rows}, f"{rows} rows are in {file}.")
