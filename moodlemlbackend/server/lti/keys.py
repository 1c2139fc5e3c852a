"""The keys by which Moodle signs, fetched from Moodle: kept for an hour, and fetched again for a key that is new."""

from __future__ import annotations

import asyncio
import json
import time
from typing import Any

import httpx
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from jwt.algorithms import RSAAlgorithm
from jwt.exceptions import InvalidKeyError

FETCH_SECONDS = 5.0
"""Of a request for the keys, from its begin to its end."""
FETCH_BYTES = 65_536
KEPT_SECONDS = 3600.0
AGAIN_SECONDS = 10.0
"""Between two requests, whatever keys are asked for."""
KEY_BITS = 2048
_KEYS = 64


class KeysLostError(Exception):
    """Moodle's keys cannot be had; the text says why, for the log."""


class PlatformKeys:
    """The keys at an address of Moodle."""

    def __init__(self, address: str) -> None:
        self._address = address
        self._keys: dict[str, RSAPublicKey] = {}
        self._fetched = self._tried = float("-inf")
        self._turn = asyncio.Lock()

    async def get(self, kid: str) -> RSAPublicKey | None:
        """Return a key; None when Moodle has no such key, KeysLostError when it does not say."""
        async with self._turn:
            now = time.monotonic()
            kept = now - self._fetched < KEPT_SECONDS
            if (not kept or kid not in self._keys) and now - self._tried >= AGAIN_SECONDS:
                self._tried = now
                self._keys = await _fetch(self._address)
                self._fetched, kept = now, True
            if not kept:
                raise KeysLostError("failed a moment ago")
            return self._keys.get(kid)


async def _fetch(address: str) -> dict[str, RSAPublicKey]:
    try:
        body = await asyncio.wait_for(_read(address), FETCH_SECONDS)
    except asyncio.TimeoutError:
        raise KeysLostError("too slow") from None
    except httpx.HTTPError as error:
        raise KeysLostError(type(error).__name__) from error
    try:
        listed = json.loads(body)["keys"][:_KEYS]
        keys = {str(jwk["kid"]): key for jwk in listed if (key := _public_key(jwk)) is not None}
    except (ValueError, LookupError, TypeError, RecursionError):
        raise KeysLostError("no key set") from None
    if not keys:
        raise KeysLostError("no usable key")
    return keys


async def _read(address: str) -> bytes:
    """Read what is at an address, without following where it leads."""
    body = b""
    headers = {"Accept-Encoding": "identity", "Accept": "application/json"}
    async with (
        httpx.AsyncClient(timeout=FETCH_SECONDS) as client,
        client.stream("GET", address, headers=headers) as sent,
    ):
        if sent.status_code != 200:
            raise KeysLostError(f"status {sent.status_code}")
        async for part in sent.aiter_raw():
            body += part
            if len(body) > FETCH_BYTES:
                raise KeysLostError("too large")
    return body


def _public_key(jwk: Any) -> RSAPublicKey | None:
    """An RSA key that checks signatures; None for any other kind, and for one that is too short."""
    usual = {"kty": "RSA", "use": "sig", "alg": "RS256"}
    if (
        not isinstance(jwk, dict)
        or "kid" not in jwk
        or any(jwk.get(name, value) != value for name, value in usual.items())
    ):
        return None
    try:
        key = RSAAlgorithm.from_jwk(jwk)
    except (InvalidKeyError, ValueError, TypeError, AttributeError):
        return None
    return key if isinstance(key, RSAPublicKey) and key.key_size >= KEY_BITS else None
