"""Bases whose every call may fail, before it is done or once it is: the former model is in force, or the new one."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("fsspec", reason="the extra [server] is not installed")

from fixtures import object_stores
from fixtures.object_stores import BUCKET, MODEL, needs_moto
from moodlemlbackend.errors import StorageError
from moodlemlbackend.storage import Storage, lease, open_storage

WEIGHTS = np.arange(12, dtype=np.float32)
CALLS = ("cat_file", "pipe_file", "mv", "put", "get", "ls", "find", "modified", "rm_file", "rm", "makedirs")
"""What is asked of a file system."""

CALLS_OF_S3 = ("_call_s3", "_lsdir")
"""What all of these come down to with S3; listing asks it past the first in older releases."""

FAULTS = ("refused", "answer lost", "gone")
"""A call fails before it is done, or after it; or that one and all that follow."""

KINDS = ["memory", "file", pytest.param("s3", marks=needs_moto)]


class Calls:
    """Counts the calls of a base's file system, and has one of them fail."""

    def __init__(self, storage: Storage) -> None:
        self.number, self._fault, self._at = 0, "", 0
        file_system = storage._objects._fs  # type: ignore[attr-defined]
        for name in CALLS_OF_S3 if hasattr(file_system, "_call_s3") else CALLS:
            original = getattr(file_system, name)
            setattr(file_system, name, partial(self._later if name[0] == "_" else self._now, original))

    def fail(self, fault: str, at: int) -> None:
        """Count anew, and let a call fail."""
        self.number, self._fault, self._at = 0, fault, at

    def _now(self, call: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
        lost = self._count()
        answer = call(*arguments, **options)
        return self._raise() if lost else answer

    async def _later(self, call: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
        lost = self._count()
        answer = await call(*arguments, **options)
        return self._raise() if lost else answer

    def _count(self) -> bool:
        """Fail instead of the call that comes; whether it is to fail after it."""
        self.number += 1
        now = self.number == self._at
        if (now and self._fault == "refused") or (self._fault == "gone" and self.number >= self._at):
            self._raise()
        return now and self._fault == "answer lost"

    @staticmethod
    def _raise() -> None:
        raise ConnectionResetError("secret")


@pytest.fixture
def base(request, tmp_path, monkeypatch) -> Iterator[Callable[[], tuple[Storage, Calls]]]:
    """A function that opens a new base, with a model in it, and counts what is asked of it."""
    for name, seconds in {
        "LEASE_SECONDS": 0.6,
        "SKEW_SECONDS": 0.1,
        "SETTLE_SECONDS": 0.02,
        "POLL_SECONDS": 0.02,
    }.items():
        monkeypatch.setattr(lease, name, seconds)
    monkeypatch.setattr(lease.Lease, "_keep", lambda _self, done: done.wait())  # a call more on a slow machine
    if request.param == "s3":
        request.getfixturevalue("s3")
    count = iter(range(10_000))

    def make() -> tuple[Storage, Calls]:
        number = next(count)
        place = f"{tmp_path.name}-{number}"
        url = {"memory": f"memory://{place}", "file": f"file://{tmp_path}/{place}", "s3": f"s3://{BUCKET}/{place}"}
        storage = open_storage(url[request.param], cache=tmp_path / f"cache{number}", wait=30)
        calls = Calls(storage)
        train(storage, 1)
        return storage, calls

    yield make
    with suppress(ImportError):
        from fsspec.implementations.memory import MemoryFileSystem

        MemoryFileSystem.store.clear()


def train(storage: Storage, number: int) -> None:
    with storage.checkout(MODEL, write=True) as folder:
        object_stores.publish(folder, number, WEIGHTS)
        (folder / "logs" / str(number)).mkdir(parents=True)
        (folder / "logs" / str(number) / "info.log").write_text("trained")


def number_in_force(storage: Storage) -> int | None:
    return object_stores.number_in_force(storage, WEIGHTS)


DONE: dict[str, tuple[Callable[[Storage], Any], set[int | None]]] = {
    "train": (lambda storage: train(storage, 2), {1, 2}),
    "read": (number_in_force, {1}),
    "remove": (lambda storage: storage.remove(MODEL), {1, None}),
    "list": (lambda storage: storage.listing((*MODEL, "logs")), {1}),
}
"""What is done, and which model may be in force when it failed."""


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("done", DONE)
@pytest.mark.parametrize("base", KINDS, indirect=True)
def test_a_call_that_fails(base, done, fault, chosen):
    do, in_force = DONE[done]
    storage, calls = base()
    calls.fail("", 0)
    expected = do(storage)
    for call in chosen(calls.number):
        storage, tried = base()
        other = open_storage(storage._objects._url, cache=Path(storage._cache, "other"), wait=30)
        tried.fail(fault, call)
        about = f"{done}, {fault} at call {call} of {calls.number}"
        told = ""
        try:
            assert do(storage) == expected, about
        except StorageError as error:
            told = str(error)
        assert re.fullmatch(r"([A-Z][^\n]*\.)?", told), about
        assert "secret" not in told, about
        tried.fail("", 0)
        found = {number_in_force(storage), number_in_force(other)}
        assert len(found) == 1, about
        assert found <= in_force, about
        if done == "train":
            assert bool(told) == (found == {1}), about
            train(other, 3)
            assert number_in_force(storage) == number_in_force(other) == 3, about
        else:
            do(storage)
            assert number_in_force(other) == (None if done == "remove" else 1), about
