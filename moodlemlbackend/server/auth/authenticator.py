"""Who is asking: a user name and a password, with failed logins that cost the client time and not the server."""

from __future__ import annotations

import asyncio
import base64
import binascii
import hashlib
import hmac
import logging
import secrets
import time
from collections import OrderedDict
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

from moodlemlbackend.errors import RequestError, UsageError
from moodlemlbackend.server import limits
from moodlemlbackend.server.auth.passwords import Password, read_users, unusable
from moodlemlbackend.server.auth.registrations import launched, read_registrations

if TYPE_CHECKING:
    from collections.abc import Callable

    from moodlemlbackend.server.auth.registrations import Registration

log = logging.getLogger("moodlemlbackend.server")

_REFUSED = "Wrong user name or password; correct them in Moodle's analytics settings."


@dataclass
class _Failures:
    count: int = 0
    last: float = 0.0
    delayed: int = 0
    turn: float = 0.0


class Authenticator:
    """Knows the users, and the clients that failed to log in.

    A right password is recognised again by a keyed digest, so that scrypt is paid once a user and not once a request.
    """

    def __init__(
        self, users: str, people: str = "", failed: Callable[[], None] = lambda: None, registrations: str = ""
    ) -> None:
        self.replace_users(users, people, registrations)
        self._checks: dict[bytes, asyncio.Future[bool]] = {}
        self._failures: OrderedDict[tuple[str, str], _Failures] = OrderedDict()
        self._failed = failed
        self._threads = ThreadPoolExecutor(2, "password")

    def replace_users(self, users: str, people: str = "", registrations: str = "") -> None:
        """Know these users, people and registrations from now on, and no others; UsageError changes nothing."""
        known_registrations = read_registrations(registrations)
        known_people = read_users(people, "people") if people.strip() else {}
        known_users = read_users(users)
        both = {name.casefold() for name in known_users} & {name.casefold() for name in known_people}
        if both:
            raise UsageError(
                f"The name {min(both)!r} is in both users and people; remove it from one, or choose another name."
            )
        self.registrations: dict[str, Registration] = known_registrations
        self._people = known_people
        self._users = {**known_users, **known_people}
        self._unusable = unusable(slow=any(password.slow for password in self._users.values()))
        self._key = secrets.token_bytes(32)
        self._seen: dict[str, bytes] = {}
        plain = sorted(name for name, password in self._users.items() if password.kind == "plain")
        if plain:
            log.warning(
                "Passwords are stored as plain text in the users or people setting; replace them with the "
                "output of moodlemlbackend passwd.",
                extra={"users": plain},
            )

    @property
    def users(self) -> int:
        """How many users there are, without the people."""
        return len(self._users) - len(self._people)

    @property
    def people(self) -> int:
        """How many people there are."""
        return len(self._people)

    def is_person(self, user: str) -> bool:
        """Whether a name is of the people, who may see pages of the Moodle site only."""
        return user in self._people or launched(user) is not None

    def registration(self, user: str) -> Registration | None:
        """That by which a user came; None for a user with a password, or when it is there no more."""
        came = launched(user)
        return self.registrations.get(came[0]) if came else None

    def fingerprint(self, user: str) -> bytes | None:
        """That of the user's entry, which is another once the password is; None when there is no such user.

        The name of a user who came by a launch holds the registration's entry itself.
        """
        if registration := self.registration(user):
            return registration.name.encode()
        password = self._users.get(user)
        return password.fingerprint if password else None

    async def enter(self, authorization: str, client: str) -> str:
        """Return the name of the user whose login the header ``Authorization`` is; RequestError as :meth:`check`."""
        if not authorization:
            raise RequestError("Log in with your user name and password for this server.", 401)
        user, password = _credentials(authorization)
        await self.check(user, password, client)
        return user

    async def check(self, user: str, password: str, client: str) -> None:
        """Let the right password of a user pass.

        Raises
        ------
        RequestError
            401 for any other, after a delay; 429 while a client has so many such answers of this user outstanding
            that they take their turn, and these are wrong, too, or many.
        """
        client_user = client, user[: limits.USER_CHARACTERS]
        failures = self._failures.get(client_user)
        many = failures is not None and failures.delayed >= limits.FAILED_LOGINS_AT_ONCE
        if failures is not None and many:
            await self._take_turn(failures, known=user in self._seen)
        if await self._right(user, password):
            return
        self._failed()
        log.warning("Failed login", extra={"client": client})
        if many:
            raise _too_many()
        await self._delay(client_user)
        raise RequestError(_REFUSED, 401)

    async def _take_turn(self, failures: _Failures, *, known: bool) -> None:
        """Wait until this login is looked at: the right password gets in among many wrong ones, which win no time."""
        now = time.monotonic()
        turn = max(now, failures.turn + (limits.KNOWN_LOGIN_SECONDS if known else limits.FAILED_LOGIN_SECONDS))
        if turn - now > limits.LONGEST_DELAY_SECONDS:
            raise _too_many()
        failures.turn = turn
        await asyncio.sleep(turn - now)

    async def _right(self, user: str, password: str) -> bool:
        if len(password) > limits.PASSWORD_CHARACTERS:
            return False
        known = self._users.get(user, self._unusable)
        mark = hmac.digest(self._key, f"{user}\0{password}".encode("utf-8", "surrogatepass"), hashlib.sha256)
        if user in self._seen and hmac.compare_digest(self._seen[user], mark):
            return True
        right = await (self._check_slowly(known, password, mark) if known.slow else _check(known, password))
        if right and self._users.get(user) is known:
            self._seen[user] = mark
            return True
        return False

    async def _check_slowly(self, known: Password, password: str, mark: bytes) -> bool:
        """Check in a thread; requests with the same credentials share one check."""
        check = self._checks.get(mark)
        if check is None:
            if len(self._checks) >= limits.LOGINS_CHECKED_AT_ONCE:
                raise RequestError("Too many logins at the same time; try again in a minute.", 429, retry_after=30)
            check = asyncio.get_running_loop().run_in_executor(self._threads, known.matches, password)
            self._checks[mark] = check
            check.add_done_callback(lambda _: self._checks.pop(mark, None))
        return await asyncio.shield(check)

    async def _delay(self, client_user: tuple[str, str]) -> None:
        now = time.monotonic()
        failures = self._failures.pop(client_user, None)
        if failures is None or now - failures.last > limits.FORGET_FAILURES_SECONDS:
            failures = _Failures()
        self._failures[client_user] = failures
        while len(self._failures) > limits.CLIENTS_REMEMBERED:
            self._failures.popitem(last=False)
        failures.count += 1
        failures.last = now
        failures.delayed += 1
        try:
            seconds = limits.FAILED_LOGIN_SECONDS * 2 ** min(failures.count - 1, 10)
            await asyncio.sleep(min(seconds, limits.LONGEST_DELAY_SECONDS))
        finally:
            failures.delayed -= 1


def _too_many() -> RequestError:
    return RequestError("Too many failed logins; wait a minute.", 429, retry_after=int(limits.LONGEST_DELAY_SECONDS))


async def _check(known: Password, password: str) -> bool:
    return known.matches(password)


def _credentials(authorization: str) -> tuple[str, str]:
    """UserLogin and password of the header; both empty when it is not Basic."""
    scheme, _, encoded = authorization.partition(" ")
    try:
        text = base64.b64decode(encoded.strip(), validate=True).decode("utf-8") if scheme.lower() == "basic" else ""
    except (binascii.Error, ValueError):
        text = ""
    user, _, password = text.partition(":")
    return user, password
