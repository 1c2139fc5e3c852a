"""A file of a stored model: read whole up to a limit, and every defect found in it told in one sentence."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from moodlemlbackend.errors import ModelError
from moodlemlbackend.files import storage_errors

_REMEDY = "restore it from a backup, or clear the model in Moodle and train it again"


def read_bounded(path: Path, limit: int) -> bytes:
    """Return the content of a regular file of at most ``limit`` bytes.

    Raises ModelError when it is missing, no regular file or larger, StorageError when it cannot be read.
    """
    with storage_errors(path):
        if not path.is_file():
            raise ModelError(f"{path}, a part of the stored model, is missing; {_REMEDY}.")
        if path.stat().st_size > limit:
            raise ModelError(
                f"{path} is larger than {limit:,} bytes, more than any model from the former package; {_REMEDY}."
            )
        return path.read_bytes()


@contextmanager
def naming(path: Path) -> Iterator[None]:
    """Turn a ValueError about what ``path`` holds into the ModelError that names it."""
    try:
        yield
    except ValueError as error:
        raise ModelError(
            f"{path} is not a model from version 3.0.5 of the former package: {error}; {_REMEDY}."
        ) from error
