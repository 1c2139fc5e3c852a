"""Registrations of LTI 1.3: which tools of the Moodle site may sign its users in here, as the setting ``lti`` says.

An entry is ``wwwroot client-id deployment-id``, with further deployments if there are any, and with ``auth=`` and
``keys=`` for addresses of Moodle that are not the usual ones. A user who comes by a launch has a name that no user of
``users`` or ``people`` can have: it holds the entry, so that the session ends when the entry changes.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from urllib.parse import urlsplit

from moodlemlbackend.errors import UsageError

_ADDRESS = re.compile(
    r"(?:https://[A-Za-z0-9.-]+|http://(?:localhost|127\.0\.0\.1))(?::\d{1,5})?(?:/[A-Za-z0-9._~/-]*)?", re.ASCII
)
_WORD = re.compile(r"[!-+\--<>-~]{1,255}", re.ASCII)
_LAUNCHED = re.compile(r"lti:([0-9a-f]{16}):([1-9]\d{0,17})", re.ASCII)


@dataclass(frozen=True)
class Registration:
    """A tool as Moodle knows it; ``name`` stands for the whole entry.

    Attributes
    ----------
    auth, keys
        addresses of Moodle: where a browser is signed in, and the keys that sign its messages.
    """

    issuer: str
    client: str
    deployments: frozenset[str]
    auth: str
    keys: str
    name: str

    @property
    def origin(self) -> str:
        """The origin of Moodle's pages, which may frame ours."""
        parts = urlsplit(self.issuer)
        return f"{parts.scheme}://{parts.netloc}"

    def user(self, userid: int) -> str:
        """The name at this server of a user of the Moodle site."""
        return f"lti:{self.name}:{userid}"


def read_registrations(text: str) -> dict[str, Registration]:
    """Return the registrations by name; UsageError when an entry cannot be used."""
    registrations: dict[str, Registration] = {}
    tools = set()
    for number, entry in enumerate([part.strip() for part in text.split(",") if part.strip()], start=1):
        registration = _read(entry, f"Entry {number} of lti")
        if (registration.issuer, registration.client) in tools:
            raise UsageError(
                f"Entry {number} of lti has the client id of another entry; list all its deployments in one entry."
            )
        tools.add((registration.issuer, registration.client))
        registrations[registration.name] = registration
    return registrations


def launched(user: str) -> tuple[str, int] | None:
    """The registration and the Moodle user's id of a name that :meth:`Registration.user` made; None for others."""
    matched = _LAUNCHED.fullmatch(user)
    return (matched[1], int(matched[2])) if matched else None


def _read(entry: str, place: str) -> Registration:
    words = entry.split()
    given = dict(word.split("=", 1) for word in words if word.startswith(("auth=", "keys=")))
    plain = [word for word in words if not word.startswith(("auth=", "keys="))]
    if len(plain) < 3 or not all(_WORD.fullmatch(word) for word in plain[1:]):
        raise UsageError(
            f"{place} is not of the form wwwroot client-id deployment-id; Moodle shows these values "
            "in the tool's details."
        )
    issuer, client, *deployments = plain
    usual = {"auth": f"{issuer}/mod/lti/auth.php", "keys": f"{issuer}/mod/lti/certs.php"}
    addresses = {**usual, **given}
    if issuer.endswith("/") or not all(_ADDRESS.fullmatch(address) for address in (issuer, *addresses.values())):
        raise UsageError(
            f"{place} has an address that is not of the form https://host or https://host/path, "
            "without a slash at the end."
        )
    name = hashlib.sha256(" ".join(words).encode()).hexdigest()[:16]
    return Registration(issuer, client, frozenset(deployments), addresses["auth"], addresses["keys"], name)
