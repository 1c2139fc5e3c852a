"""How a command that fails tells of it: one sentence on standard error, the same in the JSON that was asked for."""

from __future__ import annotations

import os
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, NoReturn

from click.exceptions import Exit

from moodlemlbackend.errors import BackendError
from moodlemlbackend.files import explain
from moodlemlbackend.interpreter import install_line

from .exit_codes import FAILED, code_of_error
from .output import OutputError, print_json, print_sentence

if TYPE_CHECKING:
    from collections.abc import Iterator

_EXTRAS = {
    "sqlalchemy": "analytics", "alembic": "analytics", "joblib": "analytics",
    "fastapi": "server", "fsspec": "server", "prometheus_client": "server", "python_multipart": "server",
    "uvicorn": "server",
}  # fmt: skip
"""The extra that brings a module."""


@contextmanager
def reporting_errors(*, as_json: bool) -> Iterator[None]:
    """End the command with one sentence and an exit code when something goes wrong in the block."""
    try:
        yield
    except OutputError as error:
        _end_without_output(str(error))
    except BackendError as error:
        _end(str(error) or type(error).__name__, code_of_error(error), as_json)
    except MemoryError:
        _end("There is not enough memory; give this command more, or process less data at once.", FAILED, as_json)
    except OSError as error:
        if error.filename is None:
            raise
        _end(explain(error), FAILED, as_json)
    except ModuleNotFoundError as error:
        extra = _EXTRAS.get((error.name or "").partition(".")[0])
        if extra is None:
            raise
        _end(f"This needs the package {error.name}: {install_line(extra)}.", FAILED, as_json)


def _end(sentence: str, code: int, as_json: bool) -> NoReturn:
    if as_json:
        with suppress(OutputError):
            print_json({"status": code, "info": [sentence], "errors": [sentence]})
    with suppress(OutputError):
        print_sentence(sentence, err=True)
    raise Exit(code)


def _end_without_output(sentence: str) -> NoReturn:
    """Tell of an output that takes nothing; what is left in its buffer must not fail again when Python ends."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    if sentence:
        with suppress(OutputError):
            print_sentence(sentence, err=True)
    raise Exit(FAILED)
