"""What an admin of our analytics can choose; how a value is found is the business of :mod:`.loading`.

In the file the keys are in the section ``[analytics]``.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import ClassVar

from moodlemlbackend.settings.loading import (
    ANALYTICS_SECTION,
    Setting,
    load,
    parse_matching,
    parse_printable,
    parse_seconds,
    parse_switch,
    parse_whole,
)

SYSTEM_DIRECTORY = Path("/var/lib/moodlemlbackend")
STORE_FILE = "store.sqlite"

QUARTERS = "\\core\\analytics\\time_splitting\\quarters"
EVALUATED = (QUARTERS, f"{QUARTERS}_accum", "\\core\\analytics\\time_splitting\\single_range")
SECURITY = ("none", "starttls", "tls")
DIGESTS = ("off", "daily", "weekly")
WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
NO_QUIET_HOURS = "none"


@dataclass(frozen=True)
class AnalyticsSettings:
    """The values in force; see :data:`SETTINGS` for their meaning."""

    site: str = ""
    prefix: str = "mdl_"
    time_zone: str = ""
    log_store: str = ""
    directory: str = ""
    store: str = ""
    wwwroot: str = ""
    pages_url: str = ""
    intervals: tuple[str, ...] = EVALUATED
    model_time_limit: float = 1200.0
    calculations_lifetime: int = 35
    feedback_weight: int = 5
    notifications: bool = False
    notify_when_most_flagged: bool = False
    learn_after_end: bool = False
    digest: str = "daily"
    digest_hour: int = 7
    digest_weekday: str = "Monday"
    quiet_hours: str = "20:00-07:00"
    mails_a_week: int = 7
    smtp_host: str = ""
    smtp_port: int = 587
    smtp_security: str = "starttls"
    smtp_user: str = ""
    smtp_password: str = ""
    mail_from: str = ""
    webhook_url: str = ""
    webhook_secret: str = ""
    moodle_token: str = ""

    @property
    def folder(self) -> Path:
        """Where models and data sets are: the directory that was set, else the system's, else the user's own."""
        if self.directory:
            return Path(self.directory)
        if SYSTEM_DIRECTORY.is_dir() and os.access(SYSTEM_DIRECTORY, os.W_OK):
            return SYSTEM_DIRECTORY
        data = os.environ.get("XDG_DATA_HOME", "").strip()
        return (Path(data) if data else Path.home() / ".local" / "share") / "moodlemlbackend"

    @property
    def store_url(self) -> str:
        """The store that was set, else a file of SQLite beside the models."""
        return self.store or f"sqlite:///{self.folder.resolve() / STORE_FILE}"


@dataclass(frozen=True)
class AnalyticsSetting(Setting):
    """A key of the section ``[analytics]``."""

    values: ClassVar[type] = AnalyticsSettings


def _parse_url(text: str) -> str:
    if not re.fullmatch(r"https?://[^\s/]\S*", text):
        raise ValueError(text)
    return text.rstrip("/")


def parse_quiet_hours(text: str) -> str:
    """Read two different times of the day such as ``20:00-07:00``, or ``none``."""
    if text.lower() == NO_QUIET_HOURS:
        return NO_QUIET_HOURS
    start, end = parse_matching(r"([01]?\d|2[0-3]):[0-5]\d *- *([01]?\d|2[0-3]):[0-5]\d", text).split("-")
    if start.strip().zfill(5) == end.strip().zfill(5):
        raise ValueError(text)
    return f"{start.strip().zfill(5)}-{end.strip().zfill(5)}"


def _parse_classes(text: str) -> tuple[str, ...]:
    names = tuple(dict.fromkeys(name.strip() for name in text.split(",") if name.strip()))
    if not all(re.fullmatch(r"(\\\w+)+", name, re.ASCII) for name in names):
        raise ValueError(text)
    return names


SETTINGS = {
    setting.key: setting
    for setting in (
        AnalyticsSetting(
            "site",
            "a PostgreSQL, MariaDB or SQLite URL, or a folder of tables",
            "the Moodle site to read; nothing is written to it",
            parse_printable,
            secret=True,
        ),
        AnalyticsSetting("prefix", "a Moodle table prefix", "prefix of the site's table names", parse_printable),
        AnalyticsSetting(
            "time_zone", "a name such as Europe/Madrid", "time zone to use instead of the site's own", parse_printable
        ),
        AnalyticsSetting(
            "log_store",
            "a database URL, or a folder, files or an object store of Parquet or CSV",
            "where the site's log is, or a replica of it; if not set, where Moodle's own settings say",
            parse_printable,
            secret=True,
        ),
        AnalyticsSetting(
            "directory",
            "a directory",
            f"where models and data sets are kept; if not set, {SYSTEM_DIRECTORY} if it is writable, otherwise "
            "~/.local/share/moodlemlbackend",
            parse_printable,
        ),
        AnalyticsSetting(
            "store",
            "an SQLite, PostgreSQL or MariaDB URL",
            f"database for models, predictions and insights; if not set, {STORE_FILE} in the directory",
            parse_printable,
            secret=True,
        ),
        AnalyticsSetting("wwwroot", "a URL", "Moodle's address, for links to Moodle pages", _parse_url),
        AnalyticsSetting(
            "pages_url", "a URL", "address of this package's server, for links to its insight pages", _parse_url
        ),
        AnalyticsSetting(
            "intervals",
            "class names with leading backslashes, separated by commas",
            "intervals that an evaluation tries",
            _parse_classes,
        ),
        AnalyticsSetting(
            "model_time_limit",
            "seconds, from 0 to 604800",
            "time after which a run starts no more courses; the next run continues from there",
            partial(parse_seconds, least=0, most=604_800),
        ),
        AnalyticsSetting(
            "calculations_lifetime",
            "days, from 0 to 36500",
            "how long stored calculations are kept; 0 keeps them forever",
            partial(parse_whole, least=0, most=36_500),
        ),
        AnalyticsSetting(
            "feedback_weight",
            "a whole number from 1 to 1000",
            "how many samples each prediction marked as not useful counts for in the next training run",
            partial(parse_whole, least=1, most=1000),
        ),
        AnalyticsSetting(
            "notifications", "on or off", "whether people are notified about new predictions", parse_switch
        ),
        AnalyticsSetting(
            "notify_when_most_flagged",
            "on or off",
            "whether teachers are notified even if more than half of a course, and at least 10 students, are flagged",
            parse_switch,
        ),
        AnalyticsSetting(
            "learn_after_end",
            "on or off",
            "whether models learn from facts that are known only after a course has ended, such as who came back",
            parse_switch,
        ),
        AnalyticsSetting(
            "digest",
            "off, daily or weekly",
            "how often a person gets e-mail, with everything new in it; off sends an e-mail at once for each model and "
            "course",
            partial(parse_matching, "|".join(DIGESTS)),
        ),
        AnalyticsSetting(
            "digest_hour",
            "a whole number from 0 to 23",
            "hour from which the daily or weekly e-mail is sent, in the recipient's time zone",
            partial(parse_whole, least=0, most=23),
        ),
        AnalyticsSetting(
            "digest_weekday",
            ", ".join(WEEKDAYS[:-1]) + f" or {WEEKDAYS[-1]}",
            "day on which the weekly e-mail is sent",
            lambda text: parse_matching("|".join(WEEKDAYS), text.capitalize()),
        ),
        AnalyticsSetting(
            "quiet_hours",
            "two times such as 20:00-07:00, or none",
            "hours in which no e-mail is sent, in the recipient's time zone",
            parse_quiet_hours,
        ),
        AnalyticsSetting(
            "mails_a_week",
            "a whole number from 0 to 1000",
            "most e-mails a person gets in 7 days; anything new after that waits for the next e-mail; 0 sets no limit",
            partial(parse_whole, least=0, most=1000),
        ),
        AnalyticsSetting("smtp_host", "a host name", "mail server; without one, no e-mail is sent", parse_printable),
        AnalyticsSetting("smtp_port", "a port", "the mail server's port", partial(parse_whole, least=1, most=65_535)),
        AnalyticsSetting(
            "smtp_security",
            "none, starttls or tls",
            "encryption of the connection to the mail server; none is allowed only without a login",
            partial(parse_matching, "|".join(SECURITY)),
        ),
        AnalyticsSetting("smtp_user", "a text", "user name for the mail server", parse_printable),
        AnalyticsSetting("smtp_password", "a text", "password for the mail server", parse_printable, secret=True),
        AnalyticsSetting("mail_from", "an address", "sender address of e-mails", parse_printable),
        AnalyticsSetting(
            "webhook_url",
            "a URL",
            "URL to which insights are posted as JSON; if it is not set, nothing is posted",
            _parse_url,
        ),
        AnalyticsSetting(
            "webhook_secret", "a text", "key that signs each post (HMAC-SHA256)", parse_printable, secret=True
        ),
        AnalyticsSetting(
            "moodle_token",
            "a text",
            "token of the Moodle web service that sends teachers' messages to students; wwwroot must be set, too",
            parse_printable,
            secret=True,
        ),
    )
}


def load_analytics_settings(**overrides: object) -> AnalyticsSettings:
    """Read the settings; ``overrides`` and errors as of :func:`.loading.load`."""
    return load(AnalyticsSettings, SETTINGS, ANALYTICS_SECTION, overrides)
