"""The question before something is done that cannot be taken back."""

from __future__ import annotations

import sys
from contextlib import suppress
from pathlib import Path

import click

from moodlemlbackend.errors import BackendError, UsageError

from .errors import reporting_errors
from .output import safe


def confirm(*sentences: str, yes: bool) -> None:
    """Ask whether what the sentences say may be done; nothing is asked where they are empty, or with ``yes``.

    Raises
    ------
    UsageError
        There is no terminal to ask at.
    click.Abort
        The answer is no.
    """
    reasons = [sentence for sentence in sentences if sentence]
    if yes or not reasons:
        return
    if not sys.stdin.isatty():
        listed = "; ".join(reason[0].lower() + reason[1:].removesuffix(".") for reason in reasons)
        raise UsageError(f"Nothing was changed; add --yes to go ahead: {listed}.")
    click.confirm(safe(" ".join([*reasons, "Go ahead?"])), abort=True, err=True)


def confirm_overwriting(path: str | Path, *, yes: bool) -> None:
    """Ask before a file that holds something is written again."""
    with suppress(OSError, ValueError):
        file = Path(path)
        if not (file.is_file() and file.stat().st_size):
            return
    confirm(f"This overwrites {path}.", yes=yes)


def confirm_replacing(outputdir: str, *, yes: bool, as_json: bool) -> None:
    """Ask before the trained model in a directory is replaced; ends the command as :func:`.reporting_errors` does."""
    with reporting_errors(as_json=as_json):
        if not yes and outputdir and _is_trained(Path(outputdir)):
            confirm(f"This replaces the trained model in {outputdir} and what it has learned.", yes=yes)


def _is_trained(outputdir: Path) -> bool:
    """Whether there is a model in a directory, whatever its state."""
    from moodlemlbackend.reference import is_reference_model
    from moodlemlbackend.storage.model_store import ModelStore

    store = ModelStore(outputdir)
    with suppress(BackendError):
        return store.published() is not None or is_reference_model(store.folder)
    return False
