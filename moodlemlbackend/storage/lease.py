"""The right to train one model, held by one server at a time: an object with its owner and its end.

The holder renews it while it works. One that is not renewed, because its server died or lost the network, is taken over
after its end. The clocks of the servers may differ by :data:`SKEW_SECONDS`; a holder whose clock runs ahead is
recognised as dead by never renewing. Where the store has no conditional writes, a holder waits :data:`SETTLE_SECONDS`
and looks whether the lease is still its own: two that came at the same moment see the same owner.
"""

from __future__ import annotations

import json
import math
import random
import threading
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from moodlemlbackend.errors import StorageError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from moodlemlbackend.storage.object_store import Objects

LEASE_SECONDS = 60.0
SKEW_SECONDS = 30.0
POLL_SECONDS = 0.5
SETTLE_SECONDS = 2.0


class Lease:
    """A lease that this process holds.

    Attributes
    ----------
    version
        Number of the newest version that this holder, or one before it that never let go, may be writing.
    """

    def __init__(self, objects: Objects, key: str, owner: str) -> None:
        self.version = 0
        self._objects = objects
        self._key = key
        self._owner = owner
        self._tag: Any = None
        self._mutex = threading.Lock()

    @classmethod
    @contextmanager
    def hold(cls, objects: Objects, key: str, owner: str, what: str, wait: float) -> Iterator[Lease]:
        """Hold the lease in the block, renewed by a thread; StorageError when another has it for ``wait`` seconds.

        ``owner`` is a name that no other holder ever has.
        """
        lease = cls(objects, key, owner)
        lease._acquire(what, wait)
        done = threading.Event()
        keeper = threading.Thread(target=lease._keep, args=(done,), name="lease", daemon=True)
        keeper.start()
        try:
            yield lease
        finally:
            done.set()
            keeper.join()
            with suppress(StorageError):
                lease.release()

    def renew(self, version: int | None = None) -> None:
        """Prolong the lease, noting the version to be written; StorageError when another has taken it or removed it."""
        with self._mutex:
            self.version = self.version if version is None else version
            tag = self._objects.replace(self._key, self._content(), self._tag)
            if tag is None:
                stored = self._objects.read_tagged(self._key)
                if stored is not None and _read(stored[0])["owner"] == self._owner:  # ours: an answer was lost
                    tag = self._objects.replace(self._key, self._content(), stored[1])
            if tag is None:
                raise StorageError(
                    "Nothing was published, because the model has since been removed, or another server has started to "
                    f"train it ({self._objects.name}); run the training again if you still want the model."
                )
            self._tag = tag

    def release(self) -> None:
        """Let go of the lease, if its owner still has it."""
        stored = self._objects.read(self._key)
        if stored is not None and _read(stored)["owner"] == self._owner:
            self._objects.remove([self._key])

    def _acquire(self, what: str, wait: float) -> None:
        deadline = time.monotonic() + wait
        seen, since = None, time.monotonic()
        while not self._try(seen, since):
            if time.monotonic() >= deadline:
                raise StorageError(
                    f"Another server has been training {what} for more than {wait:g} seconds; run the command "
                    "again once that training has ended, or increase the lock_wait setting."
                )
            stored = self._objects.read(self._key)
            if stored != seen:
                seen, since = stored, time.monotonic()
            time.sleep(POLL_SECONDS * random.uniform(0.5, 1.0))  # noqa: S311

    def _try(self, seen: bytes | None, since: float) -> bool:
        """Take the lease if it is free, at its end, or has been as ``seen`` for longer than its holder would let it."""
        stored = self._objects.read_tagged(self._key)
        if stored is None:
            self._tag = self._objects.create(self._key, self._content())
        else:
            former = _read(stored[0])
            unchanged = time.monotonic() - since if stored[0] == seen else 0.0
            if time.time() < former["expires"] + SKEW_SECONDS and unchanged < LEASE_SECONDS + SKEW_SECONDS:
                return False
            self.version = max(self.version, former["version"])
            self._tag = self._objects.replace(self._key, self._content(), stored[1])
        if self._tag is None:
            return False
        if self._objects.conditional:
            return True
        time.sleep(SETTLE_SECONDS)
        settled = self._objects.read(self._key)
        return settled is not None and _read(settled)["owner"] == self._owner

    def _keep(self, done: threading.Event) -> None:
        """Renew the lease in time; what goes wrong is found again before anything is put in force."""
        while not done.wait(LEASE_SECONDS / 3):
            with suppress(StorageError):
                self.renew()

    def _content(self) -> bytes:
        content = {"owner": self._owner, "expires": time.time() + LEASE_SECONDS, "version": self.version}
        return json.dumps(content).encode("ascii")


def _read(content: bytes) -> dict[str, Any]:
    """Return what a lease says; one that cannot be read may be half written, and only ends by never changing."""
    with suppress(ValueError, KeyError, TypeError, OverflowError, RecursionError):
        stored = json.loads(content)
        return {"owner": stored["owner"], "expires": float(stored["expires"]), "version": int(stored["version"])}
    return {"owner": None, "expires": math.inf, "version": 0}
