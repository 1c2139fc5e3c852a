"""Locks by name, which end with the process that holds them.

A database server's own locks are tied to a connection, a file's to a process: what is killed holds nothing back.
"""

from __future__ import annotations

import hashlib
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import Connection, Engine

_POLL_SECONDS = 0.1


@contextmanager
def locked(engine: Engine, name: str, wait: float) -> Iterator[bool]:
    """Hold the lock of this name in the block; False when another held it for ``wait`` seconds."""
    if engine.dialect.name == "sqlite":
        with _locked_file(Path(str(engine.url.database)), name, wait) as held:
            yield held
        return
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        take, leave, key = _statements(connection, name)
        held = _poll(connection, take, key, wait)
        try:
            yield held
        finally:
            if held and not connection.invalidated:
                try:
                    connection.execute(text(leave), {"key": key})
                except SQLAlchemyError:
                    connection.invalidate()  # the lock ends with its connection, and the work was done


def _statements(connection: Connection, name: str) -> tuple[str, str, int | str]:
    """How a server's lock is taken and left, and its key."""
    digest = hashlib.sha256(name.encode())
    if connection.dialect.name == "postgresql":
        key = int.from_bytes(digest.digest()[:8], "big", signed=True)
        return "SELECT pg_try_advisory_lock(:key)", "SELECT pg_advisory_unlock(:key)", key
    database = hashlib.sha256(str(connection.engine.url.database).encode()).hexdigest()  # these are the server's
    return "SELECT GET_LOCK(:key, 0)", "SELECT RELEASE_LOCK(:key)", f"{database[:16]}:{digest.hexdigest()[:40]}"


def _poll(connection: Connection, take: str, key: int | str, wait: float) -> bool:
    deadline = time.monotonic() + wait
    while not connection.execute(text(take), {"key": key}).scalar():
        if time.monotonic() >= deadline:
            return False
        time.sleep(_POLL_SECONDS)
    return True


@contextmanager
def _locked_file(database: Path, name: str, wait: float) -> Iterator[bool]:
    from filelock import FileLock, Timeout

    from moodlemlbackend.files import storage_errors

    folder = database.with_name(f"{database.name}.locks")
    with storage_errors(folder):
        folder.mkdir(exist_ok=True)
        name = f"{hashlib.sha256(name.encode()).hexdigest()[:40]}.lock"
        lock = FileLock(folder / name, thread_local=False)  # another thread may release it
        try:
            lock.acquire(timeout=wait, poll_interval=_POLL_SECONDS)
        except Timeout:
            held = False
        else:
            held = True
    try:
        yield held
    finally:
        lock.release()
