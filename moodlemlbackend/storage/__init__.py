"""Where the models of a server are: a local directory, or any URL that fsspec knows, S3 first of all.

A base holds model directories, ``{base}/{id}/{dirhash}`` or ``{base}/{user}/{id}/{dirhash}``; the names in one are
those of :mod:`.layout`. A local base is used in place, a remote one through a cache of directories with that same
layout, so that commands never know the difference.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

from moodlemlbackend.errors import UsageError
from moodlemlbackend.storage.storage import Storage

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["Storage", "base_of_reference", "open_storage"]

WAIT_SECONDS = 600.0

DIRECTORY_VARIABLE = "MOODLE_MLBACKEND_PYTHON_DIR"
BUCKET_VARIABLE = "MOODLE_MLBACKEND_PYTHON_S3_BUCKET_NAME"

_BUCKET = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{1,254}", re.ASCII)


def open_storage(url_or_path: str | Path, *, cache: Path | None = None, wait: float = WAIT_SECONDS) -> Storage:
    """Return the storage of a base; nothing is read or written yet, so any process may do it at its start.

    ``cache`` is where a remote base is mirrored, by default a folder of this user among the temporary files; it may be
    shared by the server processes of one machine. ``wait`` is how many seconds a checkout for writing waits for
    another server that trains the same model.

    Raises
    ------
    UsageError
        The base is no path and no URL that can be used.
    StorageError
        There is no place for a cache.
    """
    base = str(url_or_path)
    if "://" in base:
        from moodlemlbackend.storage.remote import RemoteStorage

        return RemoteStorage(base, cache, wait)
    from moodlemlbackend.storage.local import LocalStorage

    if not base:
        raise UsageError("The base directory is not set; specify a directory that can be written to, or a URL.")
    return LocalStorage(Path(base))


def base_of_reference(environment: Mapping[str, str] = os.environ) -> str | None:
    """Return the base that the settings of the reference package name; None when none is set.

    A bucket counts more than a directory, and means ``s3://{bucket}``.

    Raises
    ------
    UsageError
        The name of the bucket cannot be one.
    """
    bucket = environment.get(BUCKET_VARIABLE, "").strip()
    if bucket and not _BUCKET.fullmatch(bucket):
        raise UsageError(
            f"The environment variable {BUCKET_VARIABLE} is {bucket[:80]!r}; give it the name of a bucket."
        )
    return f"s3://{bucket}" if bucket else environment.get(DIRECTORY_VARIABLE, "").strip() or None
