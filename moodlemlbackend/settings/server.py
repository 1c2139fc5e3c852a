"""What an admin of the server can choose; how a value is found is the business of :mod:`.loading`.

In the file the keys are in the section ``[server]``. Variables of the former package are understood as well; those that
say where its models are count when ``directory`` is not set (:func:`moodlemlbackend.storage.base_of_reference`).
"""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from functools import partial
from ipaddress import ip_network
from typing import ClassVar

from moodlemlbackend.errors import UsageError
from moodlemlbackend.settings.loading import (
    SERVER_SECTION,
    Setting,
    load,
    parse_printable,
    parse_seconds,
    parse_switch,
    parse_whole,
)
from moodlemlbackend.storage import archives, base_of_reference

_CORES = os.cpu_count() or 1


@dataclass(frozen=True)
class Limits:
    """How much a request may bring: see :data:`SETTINGS`."""

    upload_bytes: int = 1024 * archives.MIB
    uncompressed_bytes: int = archives.UNPACKED_BYTES
    rows: int = 10_000_000
    columns: int = 20_000
    zip_entries: int = archives.ENTRIES


@dataclass(frozen=True)
class ServerSettings:
    """The values in force; see :data:`SETTINGS` for their meaning."""

    directory: str = ""
    users: str = ""
    people: str = ""
    lti: str = ""
    namespaces: bool = False
    host: str = "127.0.0.1"
    port: int = 5000
    proxies: str = ""
    scratch: str = ""
    training_workers: int = max(1, _CORES // 2)
    prediction_workers: int = max(1, min(4, _CORES))
    waiting_trainings: int = 20
    waiting_predictions: int = 1000
    time_limit: float = 7200.0
    stop_wait: float = 30.0
    upload_bytes: int = Limits.upload_bytes
    uncompressed_bytes: int = Limits.uncompressed_bytes
    rows: int = Limits.rows
    columns: int = Limits.columns
    zip_entries: int = Limits.zip_entries

    @property
    def limits(self) -> Limits:
        """How much a request may bring."""
        return Limits(self.upload_bytes, self.uncompressed_bytes, self.rows, self.columns, self.zip_entries)


@dataclass(frozen=True)
class ServerSetting(Setting):
    """A key of the section ``[server]``."""

    prefix: ClassVar[str] = "MOODLEMLBACKEND_SERVER_"
    values: ClassVar[type] = ServerSettings


def _parse_networks(text: str) -> str:
    return ",".join(str(ip_network(part.strip())) for part in text.split(","))


_parse_count = partial(parse_whole, least=1, most=1024)
_parse_waiting = partial(parse_whole, least=0, most=100_000)
_parse_amount = partial(parse_whole, least=1, most=1 << 50)
_parse_seconds = partial(parse_seconds, least=1, most=604_800)

_WHOLE = "a whole number from"

SETTINGS: dict[str, ServerSetting] = {
    setting.key: setting
    for setting in (
        ServerSetting(
            "directory",
            "a directory, or a URL such as s3://bucket/models",
            "where the models of all sites are kept",
            parse_printable,
        ),
        ServerSetting(
            "users",
            "entries user:password, user:sha256:salt:digest or user:scrypt:…, separated by commas",
            "who may use the server; moodlemlbackend passwd creates an entry",
            parse_printable,
            former="MOODLE_MLBACKEND_PYTHON_USERS",
            secret=True,
        ),
        ServerSetting(
            "people",
            "entries as in users",
            "who may see the Moodle site's pages and nothing else; use Moodle's user names",
            parse_printable,
            secret=True,
        ),
        ServerSetting(
            "lti",
            "entries wwwroot client-id deployment-id, separated by commas",
            "external tools through which users of the Moodle site sign in to the pages",
            parse_printable,
        ),
        ServerSetting(
            "namespaces", "on or off", "each user has separate models, in a directory named after the user",
            parse_switch,
        ),
        ServerSetting("host", "a host name or address", "address to listen on; 0.0.0.0 means all", parse_printable),
        ServerSetting("port", f"{_WHOLE} 0 to 65535", "port to listen on", partial(parse_whole, least=0, most=65_535)),
        ServerSetting(
            "proxies", "addresses or networks, separated by commas",
            "proxies whose X-Forwarded-For and X-Forwarded-Proto headers are trusted", _parse_networks,
        ),
        ServerSetting(
            "scratch",
            "a directory",
            "where uploads are kept while they are processed",
            parse_printable,
            former="MOODLE_MLBACKEND_TEMPDIR",
        ),
        ServerSetting(
            "training_workers", f"{_WHOLE} 1 to 1024", "how many training runs and evaluations run at the same time",
            _parse_count,
        ),
        ServerSetting(
            "prediction_workers", f"{_WHOLE} 1 to 1024",
            "how many predictions and other short jobs run at the same time", _parse_count,
        ),
        ServerSetting(
            "waiting_trainings", f"{_WHOLE} 0 to 100000", "how many training runs and evaluations can wait",
            _parse_waiting,
        ),
        ServerSetting(
            "waiting_predictions", f"{_WHOLE} 0 to 100000", "how many predictions and other short jobs can wait",
            _parse_waiting,
        ),
        ServerSetting(
            "time_limit", "seconds, from 1 to 604800", "how long one job may take", _parse_seconds
        ),
        ServerSetting(
            "stop_wait", "seconds, from 1 to 604800", "how long the server waits for running jobs when it is stopped",
            _parse_seconds,
        ),
        ServerSetting("upload_bytes", f"{_WHOLE} 1", "maximum size of a request body", _parse_amount),
        ServerSetting(
            "uncompressed_bytes", f"{_WHOLE} 1", "maximum size of a data set or archive when unpacked", _parse_amount
        ),
        ServerSetting("rows", f"{_WHOLE} 1", "maximum number of rows in a data set", _parse_amount),
        ServerSetting("columns", f"{_WHOLE} 1", "maximum number of columns in a data set", _parse_amount),
        ServerSetting(
            "zip_entries", f"{_WHOLE} 1 to 65534", "maximum number of files in an archive",
            partial(parse_whole, least=1, most=65_534),
        ),
    )
}  # fmt: skip


def load_server_settings(**overrides: object) -> ServerSettings:
    """Read the server's settings; ``overrides`` and errors as of :func:`.loading.load`.

    UsageError also when it is not said where models are.
    """
    settings = load(ServerSettings, SETTINGS, SERVER_SECTION, overrides)
    settings = replace(settings, directory=settings.directory or base_of_reference() or "")
    if not settings.directory:
        raise UsageError(
            "The server does not know where to keep its models; specify the directory, for example with "
            f"{SETTINGS['directory'].variable}."
        )
    return settings
