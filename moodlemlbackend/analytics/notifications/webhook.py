"""A webhook: each notification as JSON, posted to one address and signed.

``X-Moodlemlbackend-Signature`` is ``sha256=`` and the HMAC, in hexadecimal digits, of the timestamp in
``X-Moodlemlbackend-Timestamp``, a full stop and the body. ``Idempotency-Key`` is the same when a post is repeated.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import urllib.error
import urllib.request
from typing import TYPE_CHECKING, Any

from moodlemlbackend import __version__
from moodlemlbackend.errors import DeliveryError, RefusedError

if TYPE_CHECKING:
    from sqlalchemy import Row

    from moodlemlbackend.settings.analytics import AnalyticsSettings

TIMEOUT_SECONDS = 15.0
_REFUSALS = (400, 410, 413, 415, 422)
"""Answers that are about this post; all others are about the webhook as such."""


def _opener() -> urllib.request.OpenerDirector:
    """An opener that follows no redirection: students' names go where somebody decided that they go."""
    opener = urllib.request.OpenerDirector()
    for handler in (
        urllib.request.HTTPHandler,
        urllib.request.HTTPSHandler,
        urllib.request.HTTPDefaultErrorHandler,
        urllib.request.HTTPErrorProcessor,
    ):
        opener.add_handler(handler())
    return opener


_OPENER = _opener()


def signature(secret: str, timestamp: int, body: bytes) -> str:
    """Return the value of the header that proves where a post comes from."""
    return "sha256=" + hmac.new(secret.encode(), f"{timestamp}.".encode() + body, hashlib.sha256).hexdigest()


def post(settings: AnalyticsSettings, row: Row[Any], now: int) -> None:
    """Post one notification.

    Raises
    ------
    RefusedError
        The server will not take this post, now or later.
    DeliveryError
        The server cannot be reached, or has no time.
    """
    content = {
        "id": row.id,
        "event": "insight",
        "time": row.timecreated,
        "subject": row.subject,
        "text": row.fullmessage,
        "url": row.contexturl,
        **json.loads(row.data),
    }
    body = json.dumps(content).encode()
    headers = {
        "Content-Type": "application/json",
        "User-Agent": f"moodlemlbackend/{__version__}",
        "Idempotency-Key": f"insight-{row.id}-{row.timecreated}",
        "X-Moodlemlbackend-Timestamp": str(now),
    }
    if settings.webhook_secret:
        headers["X-Moodlemlbackend-Signature"] = signature(settings.webhook_secret, now, body)
    request = urllib.request.Request(row.address, body, headers, method="POST")  # noqa: S310  http(s): the setting says
    try:
        with _OPENER.open(request, timeout=TIMEOUT_SECONDS):
            pass
    except urllib.error.HTTPError as error:
        error.close()
        sentence = f"The webhook {row.address} answers {error.code}; check webhook_url and webhook_secret."
        if error.code in _REFUSALS:
            raise RefusedError(sentence) from error
        raise DeliveryError(sentence) from error
    except (OSError, ValueError) as error:
        reason = getattr(error, "reason", error)
        raise DeliveryError(f"The webhook {row.address} cannot be reached ({reason}); check webhook_url.") from error
