"""What an admin of the server can choose; the rules are those of :mod:`moodlemlbackend.settings`.

In the file the keys are in the section ``[server]``. Variables of the former package are understood as well; those that
say where its models are count when ``directory`` is not set (:func:`moodlemlbackend.storage.base_of_reference`).
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, replace
from typing import ClassVar

from moodlemlbackend.errors import UsageError
from moodlemlbackend.server import limits
from moodlemlbackend.settings.backend import SERVER_SECTION, Setting, load
from moodlemlbackend.storage import base_of_reference

_CORES = os.cpu_count() or 1


@dataclass(frozen=True)
class ServerSettings:
    """The values in force; see :data:`SETTINGS` for their meaning."""

    directory: str = ""
    users: str = ""
    people: str = ""
    namespaces: bool = False
    host: str = "127.0.0.1"
    port: int = 5000
    scratch: str = ""
    training_workers: int = max(1, _CORES // 2)
    prediction_workers: int = max(1, min(4, _CORES))
    waiting_trainings: int = 20
    waiting_predictions: int = 1000
    time_limit: float = 7200.0
    stop_wait: float = 30.0
    upload_bytes: int = limits.UPLOAD_BYTES
    uncompressed_bytes: int = limits.UNCOMPRESSED_BYTES
    rows: int = limits.ROWS
    columns: int = limits.COLUMNS
    zip_entries: int = limits.ZIP_ENTRIES

    @property
    def limits(self) -> limits.Limits:
        """How much a request may bring."""
        return limits.Limits(self.upload_bytes, self.uncompressed_bytes, self.rows, self.columns, self.zip_entries)


@dataclass(frozen=True)
class ServerSetting(Setting):
    """A key of the section ``[server]``; ``former`` is the variable of the former package."""

    former: str = ""
    hidden: bool = False

    prefix: ClassVar[str] = "MOODLEMLBACKEND_SERVER_"
    values: ClassVar[type] = ServerSettings

    @property
    def variables(self) -> tuple[str, ...]:
        """Our variable, and the former package's if there is one."""
        return (self.variable, self.former) if self.former else (self.variable,)

    @property
    def secret(self) -> bool:
        """Whether a value must not be shown."""
        return self.hidden


def _parse_text(text: str) -> str:
    if not text.isprintable():
        raise ValueError(text)
    return text


def _parse_switch(text: str) -> bool:
    if text.lower() not in ("on", "off"):
        raise ValueError(text)
    return text.lower() == "on"


def _parse_port(text: str) -> int:
    return _whole(text, 0, 65_535)


def _parse_count(text: str) -> int:
    return _whole(text, 1, 1024)


def _parse_waiting(text: str) -> int:
    return _whole(text, 0, 100_000)


def _parse_amount(text: str) -> int:
    return _whole(text, 1, 1 << 50)


def _parse_entries(text: str) -> int:
    return _whole(text, 1, 65_534)


def _parse_seconds(text: str) -> float:
    seconds = float(text)
    if not 1 <= seconds <= 604_800:
        raise ValueError(text)
    return seconds


def _whole(text: str, least: int, most: int) -> int:
    if not re.fullmatch(r"\d{1,16}", text, re.ASCII) or not least <= int(text) <= most:
        raise ValueError(text)
    return int(text)


_WHOLE = "a whole number from"

SETTINGS: dict[str, ServerSetting] = {
    setting.key: setting
    for setting in (
        ServerSetting(
            "directory",
            "a directory, or a URL such as s3://bucket/models",
            "where the models of all sites are",
            _parse_text,
        ),
        ServerSetting(
            "users",
            "entries user:password, user:sha256:salt:digest or user:scrypt:… with commas between them",
            "who may use the server; moodlemlbackend passwd makes an entry",
            _parse_text,
            former="MOODLE_MLBACKEND_PYTHON_USERS",
            hidden=True,
        ),
        ServerSetting(
            "people",
            "entries as those of users",
            "who may see the pages of the Moodle site, and nothing else; the names are those of Moodle's users",
            _parse_text,
            hidden=True,
        ),
        ServerSetting(
            "namespaces", "on or off", "every user has models of their own, in a directory of the user's name",
            _parse_switch,
        ),
        ServerSetting("host", "a host name or address", "address to listen at; 0.0.0.0 is every one", _parse_text),
        ServerSetting("port", f"{_WHOLE} 0 to 65535", "port to listen at", _parse_port),
        ServerSetting(
            "scratch",
            "a directory",
            "where uploads lie while they are worked on",
            _parse_text,
            former="MOODLE_MLBACKEND_TEMPDIR",
        ),
        ServerSetting(
            "training_workers", f"{_WHOLE} 1 to 1024", "trainings and evaluations at the same time", _parse_count
        ),
        ServerSetting(
            "prediction_workers", f"{_WHOLE} 1 to 1024", "predictions and other short work at the same time",
            _parse_count,
        ),
        ServerSetting(
            "waiting_trainings", f"{_WHOLE} 0 to 100000", "trainings and evaluations that may wait", _parse_waiting
        ),
        ServerSetting(
            "waiting_predictions", f"{_WHOLE} 0 to 100000", "predictions and other short work that may wait",
            _parse_waiting,
        ),
        ServerSetting(
            "time_limit", "seconds, from 1 to 604800", "how long one piece of work may take", _parse_seconds
        ),
        ServerSetting(
            "stop_wait", "seconds, from 1 to 604800", "how long a server that is stopped waits for running work",
            _parse_seconds,
        ),
        ServerSetting("upload_bytes", f"{_WHOLE} 1", "largest body of a request", _parse_amount),
        ServerSetting(
            "uncompressed_bytes", f"{_WHOLE} 1", "largest size of a data set or an archive when unpacked", _parse_amount
        ),
        ServerSetting("rows", f"{_WHOLE} 1", "most rows of a data set", _parse_amount),
        ServerSetting("columns", f"{_WHOLE} 1", "most columns of a data set", _parse_amount),
        ServerSetting("zip_entries", f"{_WHOLE} 1 to 65534", "most files in an archive", _parse_entries),
    )
}  # fmt: skip


def load_server_settings(**overrides: object) -> ServerSettings:
    """Read the server's settings; ``overrides`` and errors as of :func:`.backend.load_settings`.

    UsageError also when it is not said where models are.
    """
    settings = load(ServerSettings, SETTINGS, SERVER_SECTION, overrides)
    settings = replace(settings, directory=settings.directory or base_of_reference() or "")
    if not settings.directory:
        raise UsageError(
            f"The server does not know where models are to be: set directory, by {SETTINGS['directory'].variable} "
            "for instance."
        )
    return settings
