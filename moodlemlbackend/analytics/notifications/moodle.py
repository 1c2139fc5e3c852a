"""Messages through Moodle's web services: ``core_message_send_instant_messages`` with the token of a service.

The user of the token sends them, whoever wrote them. The token is in the body of each request, never in its address.
"""

from __future__ import annotations

import http.client
import json
import urllib.error
import urllib.request
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from moodlemlbackend import __version__
from moodlemlbackend.analytics.notifications.opener import OPENER
from moodlemlbackend.deadline import within
from moodlemlbackend.errors import DeliveryError, RefusedError

if TYPE_CHECKING:
    from moodlemlbackend.settings.analytics import AnalyticsSettings

TIMEOUT_SECONDS = 15.0
CALL_SECONDS = 30.0
"""The first for each step, the second for the whole call."""

FUNCTION = "core_message_send_instant_messages"
ENDPOINT = "/webservice/rest/server.php"

_PLAIN_TEXT = "2"
_ANSWER_BYTES = 1 << 20
_MOST_OF_A_REASON = 200
_NOTHING_SENT = "invalidparameter"
"""What Moodle says of a call without messages, after it has accepted the token and the function."""

_BUSY = (408, 429, 503)


def send(settings: AnalyticsSettings, userid: int, text: str) -> None:
    """Send a plain text to a user of the site.

    Raises
    ------
    RefusedError
        Moodle does not deliver this message, or nobody can tell whether it has: it must not be sent again.
    DeliveryError
        Nothing was sent: Moodle cannot be reached, or refuses the token or the web service.
    """
    message = {"touserid": userid, "text": text, "textformat": _PLAIN_TEXT}
    answer = _call(settings, {f"messages[0][{name}]": value for name, value in message.items()})
    if isinstance(answer, dict) and "exception" in answer:
        raise DeliveryError(_refused(settings, answer))
    if not (isinstance(answer, list) and len(answer) == 1 and isinstance(answer[0], dict) and "msgid" in answer[0]):
        raise RefusedError(_unknown("its answer is not the one that Moodle gives"))
    if not isinstance(answer[0]["msgid"], int) or answer[0]["msgid"] <= 0:
        reason = _short(answer[0].get("errormessage")) or "no reason given"
        raise RefusedError(f"Moodle did not deliver the message: {reason.rstrip('.')}.")


def check(settings: AnalyticsSettings) -> None:
    """Whether Moodle accepts the token for this function, sending nothing; DeliveryError if it does not."""
    answer = _call(settings, {})
    if not isinstance(answer, dict) or answer.get("errorcode") != _NOTHING_SENT:
        refusal = answer if isinstance(answer, dict) else {"message": "an answer that is not Moodle's"}
        raise DeliveryError(_refused(settings, refusal))


def _call(settings: AnalyticsSettings, parameters: dict[str, Any]) -> Any:
    """Call the function; returns its answer, which may be anything that JSON can hold."""
    fixed = {"wstoken": settings.moodle_token, "wsfunction": FUNCTION, "moodlewsrestformat": "json"}
    body = urlencode({**fixed, **parameters}).encode()
    headers = {
        "Content-Type": "application/x-www-form-urlencoded",
        "User-Agent": f"moodlemlbackend/{__version__}",
        "Accept": "application/json",
    }
    place = f"{settings.wwwroot}{ENDPOINT}"
    request = urllib.request.Request(place, body, headers, method="POST")  # noqa: S310  http(s): the setting says
    try:
        answer = within(CALL_SECONDS, lambda: _read(request))
    except urllib.error.HTTPError as error:
        error.close()
        sentence = f"{place} answered {error.code}; check wwwroot, and that web services and REST are on in Moodle."
        if error.code < http.client.INTERNAL_SERVER_ERROR or error.code in _BUSY:
            raise DeliveryError(sentence) from error
        raise RefusedError(_unknown(f"it answered {error.code}")) from error
    except urllib.error.URLError as error:
        raise DeliveryError(f"Moodle cannot be reached at {place} ({_short(error.reason)}); check wwwroot.") from error
    except (OSError, ValueError, http.client.HTTPException) as error:  # the request may have been read
        raise RefusedError(_unknown(_short(error) or type(error).__name__)) from error
    try:
        return json.loads(answer)
    except (ValueError, RecursionError) as error:
        raise RefusedError(_unknown("its answer is not JSON")) from error


def _read(request: urllib.request.Request) -> bytes:
    with OPENER.open(request, timeout=TIMEOUT_SECONDS) as answer:
        read: bytes = answer.read(_ANSWER_BYTES)
        return read


def _refused(settings: AnalyticsSettings, answer: dict[str, Any]) -> str:
    code, text = _short(answer.get("errorcode")), _short(answer.get("message")).rstrip(".")
    reason = f"{text} ({code})" if code else text or "no reason given"
    if settings.moodle_token:
        reason = reason.replace(settings.moodle_token, "…")
    return f"Moodle refused to send messages: {reason}; check moodle_token and the web service it belongs to."


def _unknown(why: str) -> str:
    return (
        f"Nobody can tell whether Moodle has sent the message ({why}), so it was not sent again; look at the "
        "conversation in Moodle."
    )


def _short(reason: object) -> str:
    text = "" if reason is None else str(reason)
    return " ".join("".join(filter(str.isprintable, text)).split())[:_MOST_OF_A_REASON]
