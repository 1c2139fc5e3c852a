"""What the analytics and the server rest on: site, store, mail, webhook, schedule, and the server itself."""

from __future__ import annotations

import socket
import ssl
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from moodlemlbackend.doctor.directories import check_folder, check_privacy
from moodlemlbackend.doctor.finding import Finding, Level
from moodlemlbackend.errors import BackendError
from moodlemlbackend.interpreter import install_line
from moodlemlbackend.settings.analytics import SETTINGS, AnalyticsSettings, load_analytics_settings
from moodlemlbackend.settings.loading import ANALYTICS_SECTION, SERVER_SECTION, origins

if TYPE_CHECKING:
    from moodlemlbackend.settings.server import ServerSettings

CONNECT_SECONDS = 10
LATE_SECONDS = 2 * 86_400
"""After so long without a run of a task, nobody seems to start it."""

Check = Callable[[AnalyticsSettings], Iterator[Finding]]


def check_services() -> Iterator[Finding]:
    """Look at all that is set up; what is not is left alone."""
    try:
        settings = load_analytics_settings()
    except BackendError as error:
        yield Finding("Analytics settings", Level.PROBLEM, str(error), "Correct it or remove it.")
    else:
        for topic, check in _CHECKS.items():
            yield from _findings(topic, lambda check=check: check(settings))  # type: ignore[misc]
    yield from _findings("Server", _server)


def _findings(topic: str, check: Callable[[], Iterator[Finding]]) -> Iterator[Finding]:
    """The findings of a check; what it raises is a problem."""
    try:
        yield from check()
    except BackendError as error:
        yield Finding(topic, Level.PROBLEM, str(error), "Follow this advice, then run the doctor again.")
    except ModuleNotFoundError as error:
        extra = "server" if topic == "Server" else "analytics"
        yield Finding(topic, Level.PROBLEM, f"needs {error.name}", f"Install it: {install_line(extra)}.")
    except (OSError, ssl.SSLError) as error:
        text = f"cannot be reached: {error.strerror or error}"
        yield Finding(
            topic,
            Level.PROBLEM,
            text,
            "Check that its address is right, that it is running, and that it accepts connections from this machine.",
        )


def _site(settings: AnalyticsSettings) -> Iterator[Finding]:
    if not settings.site:
        yield Finding("Moodle site", Level.OK, "no site is set, so analytics don't run here")
        return
    from moodlemlbackend.analytics.notifications.switch import Switch, also_by_moodle
    from moodlemlbackend.analytics.site import open_configured

    with open_configured(settings) as site:
        yield Finding("Moodle site", Level.OK, f"{site.name}, Moodle {site.release or site.version}, can be read")
        on = settings.notifications
        yield Finding("Notifications", Level.OK, Switch(on).sentence)
        if warning := also_by_moodle(site, on=on):
            yield Finding("Notifications by Moodle", Level.WARNING if on else Level.OK, warning)


def _store(settings: AnalyticsSettings) -> Iterator[Finding]:
    """Whether the store can be reached, and whether the tasks on it run."""
    chosen = origins(SETTINGS, ANALYTICS_SECTION)
    if not settings.site and chosen["store"] == chosen["directory"] == "default":
        return
    yield from check_folder(settings.folder)
    yield from check_privacy(settings.folder)
    if not settings.store and not Path(settings.store_url.removeprefix("sqlite:///")).exists():
        yield Finding("Store", Level.OK, "does not exist yet; the first command that needs it will create it")
        return
    from moodlemlbackend.analytics import models
    from moodlemlbackend.analytics.databases import make_engine, parse_url
    from moodlemlbackend.analytics.db import history
    from moodlemlbackend.analytics.db.database import Store, is_empty

    store = Store(make_engine(parse_url(settings.store_url, "The store")))
    try:
        with store.read() as connection:
            if is_empty(connection):
                yield Finding("Store", Level.OK, f"{store} can be read; it is empty")
                return
            enabled = models.listed(connection, enabled=True)
            runs = [run for model in enabled for run in history.runs(connection, model.id)]
        yield Finding("Store", Level.OK, f"{store} can be read; {len(enabled)} models are enabled")
    finally:
        store.close()
    if not enabled or not settings.site:
        return
    begun = [run["timestarted"] for run in runs if run["task"] == "predict"]
    advice = "Have systemd timers or cron run moodlemlbackend tasks train, predict and cleanup (docs/deployment.md)."
    if not begun:
        yield Finding("Schedule", Level.WARNING, "no model has made predictions yet", advice)
    elif time.time() - max(begun) > LATE_SECONDS:
        days = int((time.time() - max(begun)) / 86_400)
        yield Finding("Schedule", Level.WARNING, f"the last prediction was {days} days ago", advice)
    else:
        yield Finding("Schedule", Level.OK, "models have made predictions in the last two days")


def _mail(settings: AnalyticsSettings) -> Iterator[Finding]:
    if not settings.smtp_host:
        return
    from moodlemlbackend.analytics.notifications.mail import Mailer

    with Mailer(settings) as mailer:
        mailer.connect()
    text = f"{settings.smtp_host}:{settings.smtp_port} answers" + (
        " and accepts the login" if settings.smtp_user else ""
    )
    yield Finding("Mail", Level.OK, text)


def _webhook(settings: AnalyticsSettings) -> Iterator[Finding]:
    if not settings.webhook_url:
        return
    url = urlsplit(settings.webhook_url)
    port = url.port or (443 if url.scheme == "https" else 80)
    with socket.create_connection((url.hostname or "", port), CONNECT_SECONDS) as connection:
        if url.scheme == "https":
            with ssl.create_default_context().wrap_socket(connection, server_hostname=url.hostname):
                pass
    yield Finding("Webhook", Level.OK, f"{url.hostname}:{port} answers")


def _moodle_messages(settings: AnalyticsSettings) -> Iterator[Finding]:
    if not settings.moodle_token:
        return
    from moodlemlbackend.analytics.notifications import moodle

    topic = "Messages through Moodle"
    if not settings.wwwroot:
        yield Finding(
            topic, Level.PROBLEM, "moodle_token is set, but wwwroot is not", "Set wwwroot to Moodle's address."
        )
        return
    moodle.check(settings)
    yield Finding(topic, Level.OK, f"{settings.wwwroot} accepts the token; no message was sent")


_CHECKS: dict[str, Check] = {
    "Moodle site": _site, "Store": _store, "Mail": _mail, "Webhook": _webhook,
    "Messages through Moodle": _moodle_messages,
}  # fmt: skip


def _server() -> Iterator[Finding]:
    """Whether the server's settings can be used, and whether it answers; nothing when it is not set up."""
    from moodlemlbackend.settings.server import SETTINGS as SERVER_SETTINGS
    from moodlemlbackend.settings.server import load_server_settings

    if set(origins(SERVER_SETTINGS, SERVER_SECTION).values()) == {"default"}:
        return
    settings = load_server_settings()
    from moodlemlbackend.server.auth.authenticator import Authenticator

    Authenticator(settings.users, settings.people, registrations=settings.lti)
    if "://" not in settings.directory:
        yield from check_folder(Path(settings.directory))
        yield from check_privacy(Path(settings.directory))
    if settings.port:
        yield _answering(settings)


def _answering(settings: ServerSettings) -> Finding:
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(settings.host, settings.host)  # noqa: S104
    try:
        socket.create_connection((host, settings.port), CONNECT_SECONDS).close()
    except OSError as error:
        text = f"no answer from {host}, port {settings.port}: {error.strerror or error}"
        return Finding(
            "Server",
            Level.WARNING,
            text,
            "Start it with moodlemlbackend serve or its systemd unit (docs/deployment.md).",
        )
    return Finding("Server", Level.OK, f"answers at {host}, port {settings.port}")
