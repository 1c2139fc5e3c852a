"""``moodlemlbackend models export-data``."""

from __future__ import annotations

from pathlib import Path

from ..command import Answer
from ..command import command as make
from ..options import MODEL
from ..session import Session
from .shared import CSV_FILE


@make("export-data", MODEL, CSV_FILE, store=True, examples="moodlemlbackend models export-data 1 training-data.csv")
def command(session: Session, modelid: int, file: str) -> Answer:
    """Export the data that a model was trained on here; nothing in it identifies the site or a person."""
    from moodlemlbackend.analytics.lifecycle import packages

    rows = packages.export_training_data(session.workspace, modelid, Path(file))
    return Answer({"model": modelid, "file": file, "rows": rows}, f"Wrote {rows:,} rows to {file}.")
