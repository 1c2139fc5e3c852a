"""``moodlemlbackend models export-data``."""

from __future__ import annotations

from pathlib import Path

from ..command import Answer
from ..command import command as make
from ..confirmation import confirm_overwriting
from ..options import MODEL, YES
from ..session import Session
from .shared import CSV_FILE


@make(
    "export-data", MODEL, CSV_FILE, YES,
    store=True, examples="moodlemlbackend models export-data 1 training-data.csv",
)  # fmt: skip
def command(session: Session, modelid: int, file: str, yes: bool) -> Answer:
    """Export the data that a model was trained on at this site; the data does not identify the site or any person."""
    from moodlemlbackend.analytics.lifecycle import packages

    confirm_overwriting(file, yes=yes)
    rows = packages.export_training_data(session.workspace, modelid, Path(file))
    return Answer({"model": modelid, "file": file, "rows": rows}, f"Wrote {rows:,} rows to {file}.")
