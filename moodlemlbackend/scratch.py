"""Files without a name for what is too large for memory: whatever ends the process, they go with it."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path


def folder() -> str:
    """Where they are: in ``TMPDIR``, or else in ``/var/tmp``, for ``/tmp`` is often in memory itself."""
    for place in (os.environ.get("TMPDIR"), "/var/tmp"):  # noqa: S108 - a file without a name can have no link in its place
        if place and Path(place).is_dir() and os.access(place, os.W_OK):
            return place
    import tempfile

    return tempfile.gettempdir()


def nameless_file() -> int:
    """Open a new file for reading and writing, and return its descriptor; OSError when there is no place for it."""
    place = folder()
    with suppress(AttributeError, OSError):
        return os.open(place, os.O_TMPFILE | os.O_RDWR, 0o600)
    import tempfile

    with tempfile.TemporaryFile(dir=place) as file:
        return os.dup(file.fileno())
