"""A webhook: each notification as JSON, posted to one address and signed.

``X-Moodlemlbackend-Signature`` is ``sha256=`` and the HMAC, in hexadecimal digits, of the timestamp in
``X-Moodlemlbackend-Timestamp``, a full stop and the body. ``Idempotency-Key`` is the same when a post is repeated.
"""

from __future__ import annotations

import hashlib
import hmac
import http.client
import json
import urllib.error
import urllib.request
from typing import TYPE_CHECKING

from moodlemlbackend import __version__
from moodlemlbackend.analytics.notifications.opener import OPENER
from moodlemlbackend.deadline import within
from moodlemlbackend.errors import DeliveryError, RefusedError

if TYPE_CHECKING:
    from moodlemlbackend.analytics.db.notifications import Delivery
    from moodlemlbackend.settings.analytics import AnalyticsSettings

TIMEOUT_SECONDS = 15.0
CALL_SECONDS = 30.0
"""The first for each step, the second for the whole call."""

_MOST_OF_A_REASON = 200
_REFUSALS = (400, 410, 413, 415, 422)
"""Answers that are about this post; all others are about the webhook as such."""


def signature(secret: str, timestamp: int, body: bytes) -> str:
    """Return the value of the header that proves where a post comes from."""
    return "sha256=" + hmac.new(secret.encode(), f"{timestamp}.".encode() + body, hashlib.sha256).hexdigest()


def post(settings: AnalyticsSettings, delivery: Delivery, now: int) -> None:
    """Post one notification.

    Raises
    ------
    RefusedError
        The server will not take this post, now or later.
    DeliveryError
        The server cannot be reached, or has no time.
    """
    content = {
        "id": delivery.id,
        "event": "insight",
        "time": delivery.timecreated,
        "subject": delivery.subject,
        "text": delivery.fullmessage,
        "url": delivery.contexturl,
        **json.loads(delivery.data),
    }
    body = json.dumps(content).encode()
    headers = {
        "Content-Type": "application/json",
        "User-Agent": f"moodlemlbackend/{__version__}",
        "Idempotency-Key": f"insight-{delivery.id}-{delivery.timecreated}",
        "X-Moodlemlbackend-Timestamp": str(now),
    }
    if settings.webhook_secret:
        headers["X-Moodlemlbackend-Signature"] = signature(settings.webhook_secret, now, body)
    request = urllib.request.Request(delivery.address, body, headers, method="POST")  # noqa: S310  http(s): the setting says
    try:
        within(CALL_SECONDS, lambda: OPENER.open(request, timeout=TIMEOUT_SECONDS).close())
    except urllib.error.HTTPError as error:
        error.close()
        sentence = f"The webhook {delivery.address} answered {error.code}; check webhook_url and webhook_secret."
        if error.code in _REFUSALS:
            raise RefusedError(sentence) from error
        raise DeliveryError(sentence) from error
    except (OSError, ValueError, http.client.HTTPException) as error:
        text = str(getattr(error, "reason", "") or error) or type(error).__name__
        reason = "".join(filter(str.isprintable, text))[:_MOST_OF_A_REASON]
        raise DeliveryError(
            f"The webhook {delivery.address} cannot be reached ({reason}); check webhook_url."
        ) from error
