"""What all servers of one directory know of logins: a key, and the sessions that were ended."""

from __future__ import annotations

import hashlib
import secrets
import threading
import time
from typing import TYPE_CHECKING

from itsdangerous import URLSafeSerializer

from moodlemlbackend.errors import StorageError

if TYPE_CHECKING:
    from moodlemlbackend.storage.object_store import Objects

FOLDER = ".logins"
"""Below the directory; models and users have names that begin otherwise."""
KEY_BYTES = 32
_KEY, _ENDED, _USED = f"{FOLDER}/key", f"{FOLDER}/ended", f"{FOLDER}/used"
_WAIT_SECONDS = 2.0


class SharedLogins:
    """The folder of logins; its methods read and write files or objects, so they are not for the event loop."""

    def __init__(self, objects: Objects) -> None:
        self._objects = objects
        self._key = b""
        self._mutex = threading.Lock()

    def signer(self, purpose: str) -> URLSafeSerializer:
        """What signs texts for a purpose, and knows them again; BadData for any other."""
        signing = {"key_derivation": "hmac", "digest_method": hashlib.sha256}
        return URLSafeSerializer(self.key(), salt=purpose, signer_kwargs=signing)

    def key(self) -> bytes:
        """A secret, made by the server that needs it first."""
        with self._mutex:
            if not self._key:
                self._key = self._read_or_make()
            return self._key

    def end(self, session: str, until: int) -> None:
        """Remember, until it would end anyway, that a session was ended; forget those that would have ended by now."""
        self._remember(_ENDED, session, until)

    def use(self, name: str, until: int) -> bool:
        """Remember, until it expires, that a thing for a single use was used; False when it was used before."""
        return self._remember(_USED, name, until)

    def has_ended(self, session: str, until: int) -> bool:
        """Whether a session was ended."""
        return self._objects.read(f"{_ENDED}/{until}-{session}") is not None

    def _remember(self, folder: str, name: str, until: int) -> bool:
        """Whether a name was not there yet; names whose time is over are removed."""
        created = self._objects.create(f"{folder}/{until}-{name}", b"") is not None
        now = str(int(time.time()))
        past = [name for name in self._objects.children(folder) if name.partition("-")[0] < now]
        self._objects.remove(f"{folder}/{name}" for name in past)
        return created

    def _read_or_make(self) -> bytes:
        self._objects.create(_KEY, secrets.token_bytes(KEY_BYTES))
        deadline = time.monotonic() + _WAIT_SECONDS
        while len(key := self._objects.read(_KEY) or b"") != KEY_BYTES:  # another server may be writing it
            if time.monotonic() > deadline:
                raise StorageError(f"The file {_KEY} in the directory of models is damaged; remove it.")
            time.sleep(0.02)
        return key
