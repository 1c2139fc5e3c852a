"""What a message of Moodle must be to let somebody in: signed by Moodle, for this tool, now, and a launch."""

from __future__ import annotations

import hmac
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import jwt

if TYPE_CHECKING:
    from moodlemlbackend.server.auth.registrations import Registration
    from moodlemlbackend.server.lti.keys import PlatformKeys

LEEWAY_SECONDS = 60
"""By which the clocks of Moodle and of this server may differ."""
TOKEN_CHARACTERS = 65_536

_CLAIM = "https://purl.imsglobal.org/spec/lti/claim/"
_ID = re.compile(r"[1-9]\d{0,17}", re.ASCII)


class UntrustedMessageError(Exception):
    """A message that lets nobody in; the text says why, for the log."""


class UnknownDeploymentError(UntrustedMessageError):
    """A message of a deployment that is not registered."""


@dataclass(frozen=True)
class Launch:
    """Who comes, by the id of the Moodle user, from which course, and the address of this server that Moodle has."""

    userid: int
    courseid: int | None
    target: str


async def read_launch(token: str, registration: Registration, nonce: str, keys: PlatformKeys) -> Launch:
    """Read a launch; UntrustedMessageError, or KeysLostError when that cannot be found out."""
    claims = await _verified(token, registration, keys)
    if not hmac.compare_digest(str(claims["nonce"]).encode(errors="replace"), nonce.encode()):
        raise UntrustedMessageError("nonce")
    audience = claims["aud"]
    party = claims.get("azp", registration.client)
    if party != registration.client or (isinstance(audience, list) and len(audience) > 1 and "azp" not in claims):
        raise UntrustedMessageError("azp")
    deployment = claims.get(f"{_CLAIM}deployment_id")
    if not isinstance(deployment, str) or deployment not in registration.deployments:
        raise UnknownDeploymentError("deployment_id")
    for name, wanted in {"version": "1.3.0", "message_type": "LtiResourceLinkRequest"}.items():
        if claims.get(_CLAIM + name) != wanted:
            raise UntrustedMessageError(name)
    user, context = str(claims["sub"]), claims.get(f"{_CLAIM}context", {})
    course = str(context.get("id", "")) if isinstance(context, dict) else "?"
    if not _ID.fullmatch(user) or (course and not _ID.fullmatch(course)):
        raise UntrustedMessageError("sub or context")
    return Launch(int(user), int(course) if course else None, str(claims.get(f"{_CLAIM}target_link_uri", "")))


async def _verified(token: str, registration: Registration, keys: PlatformKeys) -> dict[str, Any]:
    if len(token) > TOKEN_CHARACTERS:
        raise UntrustedMessageError("too long")
    try:
        header = jwt.get_unverified_header(token)
        if header.get("alg") != "RS256":
            raise UntrustedMessageError("alg")
        key = await keys.get(str(header.get("kid", "")))
        if key is None:
            raise UntrustedMessageError("kid")
        claims: dict[str, Any] = jwt.decode(
            token, key, algorithms=["RS256"], audience=registration.client, issuer=registration.issuer,
            leeway=LEEWAY_SECONDS, options={"require": ["exp", "iat", "iss", "aud", "sub", "nonce"]},
        )  # fmt: skip
    except (jwt.InvalidTokenError, RecursionError, OverflowError) as error:  # the last: infinity, with PyJWT up to 2.14
        raise UntrustedMessageError(type(error).__name__) from error
    return claims
