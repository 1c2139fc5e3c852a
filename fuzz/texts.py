"""Texts: what people write, what browsers send in headers, and what Moodle answers."""

from __future__ import annotations

import io
import re
from functools import cache
from pathlib import Path
from typing import Any

from fuzz.target import SEPARATOR, own_folder, target

NOW = 1_795_366_777
PRIVATE = "0123456789abcdef"
_INVISIBLE = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


def _text(data: bytes) -> str:
    return data.decode("utf-8", "replace")


@target
def templates(data: bytes, _folder: Path) -> None:
    """Text, and what is filled in: nothing invisible is left, and what was filled in is not looked at again."""
    from moodlemlbackend.analytics.students.templates import PLACEHOLDERS, fill, lines, one_line, unknown_placeholder
    from moodlemlbackend.analytics.students.templates import used as placeholders

    text, _, name = _text(data).partition(SEPARATOR.decode())
    for clean in (one_line, lines):
        assert not _INVISIBLE.search(clean(text))
        assert clean(clean(text)) == clean(text)
    assert "\n" not in one_line(text)
    unknown = unknown_placeholder(text)
    assert not unknown or (unknown in text and unknown.strip("{}") not in PLACEHOLDERS)
    filled = fill(text, dict.fromkeys(PLACEHOLDERS, "{name}"))
    assert filled.count("{name}") >= len(placeholders(text)), filled
    assert placeholders(text) or filled == re.sub(r"\n{3,}", "\n\n", text).strip()
    fill(text, {"name": name})


@target
def mail(data: bytes, _folder: Path) -> None:
    """An e-mail has the headers that we write and no others, whoever is called what."""
    from email import message_from_string, policy

    from moodlemlbackend.analytics.notifications.mail import Email, Mailer
    from moodlemlbackend.settings.analytics import AnalyticsSettings

    address, subject, text = (*_text(data).split(SEPARATOR.decode(), 2), "", "")[:3]
    settings = AnalyticsSettings(smtp_host="mail.example")
    message = Mailer(settings)._message(Email(address, subject, text, f"<p>{text}", NOW, "1", reply_to=address))
    sent = policy.SMTP if address.isascii() else policy.SMTPUTF8  # as smtplib chooses
    read = message_from_string(message.as_string(policy=sent), policy=policy.default)
    expected = {
        "from", "to", "subject", "date", "message-id", "auto-submitted", "reply-to", "mime-version", "content-type",
    }  # fmt: skip
    assert {name.lower() for name in read.keys()} <= expected  # noqa: SIM118  a message iterates over its lines
    assert len(read["to"].addresses) == 1


@target
def names(data: bytes, _folder: Path) -> None:
    """Names of courses in several languages; no tag is left."""
    from moodlemlbackend.analytics.site.names import format_name

    shown = format_name(_text(data[:1333]), "de")
    assert "\n" not in shown
    assert shown == " ".join(shown.split())


@target
def zones(data: bytes, _folder: Path) -> None:
    """A time zone of a profile; it is found again by its name, and e-mails have their time in it."""
    from datetime import datetime

    from moodlemlbackend.analytics.notifications.schedule import schedule
    from moodlemlbackend.analytics.site.zones import name_of, zone_named
    from moodlemlbackend.settings.analytics import AnalyticsSettings

    zone = zone_named(_text(data))
    if zone is not None:
        moment = datetime.fromtimestamp(NOW, zone)
        again = zone_named(name_of(zone))
        assert again is not None
        assert abs((datetime.fromtimestamp(NOW, again).utcoffset() - moment.utcoffset()).total_seconds()) < 1
        slot = schedule(AnalyticsSettings(digest="daily"), zone)._slot(NOW)
        assert NOW <= slot <= NOW + 2 * 86_400


@cache
def _logins() -> Any:
    from moodlemlbackend.server.auth.shared import SharedLogins
    from moodlemlbackend.storage.object_store import open_shared

    return SharedLogins(open_shared(str(own_folder("fuzz-logins-"))))


@target
def browser(data: bytes, _folder: Path) -> None:
    """Headers of browsers: languages, logins, cookies, tokens, addresses. Nobody gets in."""
    from moodlemlbackend.language import language_of, offered, preferred
    from moodlemlbackend.server.auth.authenticator import _credentials
    from moodlemlbackend.server.auth.csrf import FormTokens
    from moodlemlbackend.server.auth.login import local_address
    from moodlemlbackend.server.auth.sessions import BrowserSessions, NoSessionError

    text = data.decode("latin-1")
    for language in (preferred(text), language_of(text)):
        assert language.code in offered()
        assert language.direction in ("ltr", "rtl")
    _credentials(text)
    assert local_address(text) == "/" or re.fullmatch(r"/[^/\\].*", text)
    shared = _logins()
    try:
        BrowserSessions(shared, lambda user: user.encode()).read(text)
    except NoSessionError:
        pass
    else:
        raise AssertionError("a session that we did not begin")
    assert not FormTokens(shared).hold("ana", "", text)


@target
def availability(data: bytes, _folder: Path) -> None:
    """Moodle's conditions of an activity, in JSON."""
    from moodlemlbackend.analytics.features.analysables.activities import _dates

    assert all(isinstance(moment, int) for _, moment in _dates(_text(data)))


@target
def moodle_answers(data: bytes, _folder: Path) -> None:
    """Moodle's answers to our calls of its web services."""
    import urllib.request
    from unittest import mock

    from moodlemlbackend.analytics.features.course_dates import Proposal, update_by_web_service
    from moodlemlbackend.analytics.notifications import moodle
    from moodlemlbackend.errors import BackendError
    from moodlemlbackend.settings.analytics import AnalyticsSettings

    settings = AnalyticsSettings(wwwroot="https://moodle.example", moodle_token=PRIVATE)
    with (
        mock.patch.object(moodle, "_read", return_value=data),
        mock.patch.object(urllib.request, "urlopen", side_effect=lambda *_, **__: io.BytesIO(data)),
    ):
        for call in (
            lambda: moodle.send(settings, 2, "Hello"),
            lambda: moodle.check(settings),
            lambda: update_by_web_service("https://moodle.example", PRIVATE, [Proposal(2, "x", 0, 0, 1, 2, "", "")]),
        ):
            try:
                call()
            except BackendError as error:
                assert PRIVATE not in str(error)
                assert "\n" not in str(error)
