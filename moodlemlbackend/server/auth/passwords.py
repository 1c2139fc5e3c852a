"""Passwords as the setting ``users`` holds them.

::

    user:password                                   plain; accepted with a warning
    user:sha256:salt:hexdigest                      as the former package has it: sha256(salt + password)
    user:scrypt:log2(n):r:p:salt:key                salt and key in URL-safe base64; made by ``moodlemlbackend passwd``
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
import secrets
from dataclasses import dataclass, replace

from moodlemlbackend.errors import UsageError

LOG_N, R, P = 15, 8, 1
SALT_BYTES, KEY_BYTES = 16, 32
_MOST_LOG_N, _MOST_R, _MOST_P = 20, 32, 16

_USER = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,63}", re.ASCII)
_SHA256 = re.compile(r"sha256:(?P<salt>[^:]*):(?P<digest>[0-9a-fA-F]{64})")
_SCRYPT = re.compile(
    r"scrypt:(?P<n>\d{1,2}):(?P<r>\d{1,2}):(?P<p>\d{1,2}):(?P<salt>[\w-]{1,128}=*):(?P<key>[\w-]{1,128}=*)", re.ASCII
)


@dataclass(frozen=True, repr=False)
class Password:
    """What is known of a user's password; its text never holds it.

    ``fingerprint`` is that of the entry, the same in every server that has this entry.
    """

    kind: str
    salt: bytes
    digest: bytes
    cost: tuple[int, int, int] = (0, 0, 0)
    fingerprint: bytes = b""

    @property
    def slow(self) -> bool:
        """Whether checking takes so long that it must not happen on an event loop."""
        return self.kind == "scrypt"

    def matches(self, password: str) -> bool:
        """Compare in constant time."""
        given = password.encode("utf-8", "surrogatepass")
        if self.kind == "scrypt":
            return hmac.compare_digest(_scrypt(given, self.salt, self.cost, len(self.digest)), self.digest)
        return hmac.compare_digest(hashlib.sha256(self.salt + given).digest(), self.digest)


def make_entry(user: str, password: str) -> str:
    """Return the entry of a user, with the password as scrypt; UsageError when the name or password cannot be used."""
    _check_user(user)
    if not password:
        raise UsageError("The password is empty; choose one.")
    salt = secrets.token_bytes(SALT_BYTES)
    key = _scrypt(password.encode("utf-8", "surrogatepass"), salt, (LOG_N, R, P), KEY_BYTES)
    encoded = [base64.urlsafe_b64encode(part).decode("ascii").rstrip("=") for part in (salt, key)]
    return ":".join([user, "scrypt", str(LOG_N), str(R), str(P), *encoded])


def read_users(text: str, setting: str = "users") -> dict[str, Password]:
    """Return what is known of each user's password; UsageError, without any of it, when an entry cannot be used."""
    users: dict[str, Password] = {}
    entries = [entry.strip() for entry in text.split(",") if entry.strip()]
    if not entries:
        raise UsageError(f"There are no users; set {setting} to the output of moodlemlbackend passwd.")
    for number, entry in enumerate(entries, start=1):
        user, colon, rest = entry.partition(":")
        place = f"Entry {number} of {setting}"
        if not colon or not rest:
            raise UsageError(f"{place} is not of the form user:password; a password cannot contain a comma.")
        _check_user(user, setting)
        if user.casefold() in {name.casefold() for name in users}:
            raise UsageError(
                f"The user {user!r} is in {setting} twice; keep one, as names must differ in more than upper "
                "and lower case."
            )
        users[user] = replace(_read(rest, place), fingerprint=hashlib.sha256(entry.encode()).digest())
    return users


def unusable(*, slow: bool) -> Password:
    """A password that nothing matches, as slow to check as a real one: for users that there are not."""
    if not slow:
        return Password("plain", b"-" * SALT_BYTES, secrets.token_bytes(KEY_BYTES))
    return Password("scrypt", b"-" * SALT_BYTES, secrets.token_bytes(KEY_BYTES), (LOG_N, R, P))


def _check_user(user: str, setting: str = "users") -> None:
    if not _USER.fullmatch(user):
        raise UsageError(
            f"A user name in {setting} is not allowed; use at most 64 letters, digits and . _ @ -, and begin "
            "with a letter or digit."
        )


def _read(rest: str, place: str) -> Password:
    if rest.startswith("sha256:"):
        matched = _SHA256.fullmatch(rest)
        if not matched:
            raise UsageError(f"{place} is not of the form user:sha256:salt:digest with a digest of 64 hex digits.")
        return Password("sha256", matched["salt"].encode(), bytes.fromhex(matched["digest"]))
    if rest.startswith("scrypt:"):
        matched = _SCRYPT.fullmatch(rest)
        cost = (int(matched["n"]), int(matched["r"]), int(matched["p"])) if matched else (0, 0, 0)
        usable = 1 <= cost[0] <= _MOST_LOG_N and 1 <= cost[1] <= _MOST_R and 1 <= cost[2] <= _MOST_P
        try:
            salt, key = (_decoded(matched[name]) if matched else b"" for name in ("salt", "key"))
        except (binascii.Error, ValueError):
            usable, salt, key = False, b"", b""
        if not usable or len(key) < 16:
            raise UsageError(f"{place} is damaged; create it again with moodlemlbackend passwd.")
        return Password("scrypt", salt, key, cost)
    salt = secrets.token_bytes(SALT_BYTES)
    return Password("plain", salt, hashlib.sha256(salt + rest.encode("utf-8", "surrogatepass")).digest())


def _decoded(text: str) -> bytes:
    return base64.urlsafe_b64decode(text.rstrip("=") + "=" * (-len(text.rstrip("=")) % 4))


def _scrypt(password: bytes, salt: bytes, cost: tuple[int, int, int], length: int) -> bytes:
    n, r, p = 1 << cost[0], cost[1], cost[2]
    return hashlib.scrypt(password, salt=salt, n=n, r=r, p=p, maxmem=128 * n * r * p + (1 << 21), dklen=length)
