"""What an admin of the backend can choose; how a value is found is the business of :mod:`.loading`.

:data:`SETTINGS` lists every key with its variable, default, allowed values and meaning. In the file the keys are in the
section ``[moodlemlbackend]``.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import partial
from typing import ClassVar

from moodlemlbackend import __version__
from moodlemlbackend.errors import UsageError
from moodlemlbackend.settings.loading import (
    BACKEND_SECTION,
    Setting,
    load,
    parse_matching,
    parse_printable,
    parse_seconds,
    read_section,
)

# What each major version answers: Moodle 3.6/3.7 want >= 1.0.1 and < 2, 3.8 to 3.11 >= 2.6.5 and < 3.
_VERSION_OF_MAJOR = {"1": "1.9.0", "2": "2.9.0", "3": __version__}


@dataclass(frozen=True)
class Settings:
    """The values in force; see :data:`SETTINGS` for their meaning."""

    reported_version: str = __version__
    processor: str = "neural_network"
    score: str = "mcc"
    evaluation_split: str = "course"
    lock_wait: float = 600.0
    seed: int | None = None
    cluster: str = ""
    cluster_files: str = ""


@dataclass(frozen=True)
class BackendSetting(Setting):
    """A key of the section ``[moodlemlbackend]``."""

    values: ClassVar[type] = Settings


def _parse_version(text: str) -> str:
    if text in _VERSION_OF_MAJOR:
        return _VERSION_OF_MAJOR[text]
    return parse_matching(r"\d{1,9}(\.\d{1,9}){1,3}", text)


def _parse_seed(text: str) -> int | None:
    return None if text == "none" else int(parse_matching(r"\d{1,9}", text))


SETTINGS = {
    setting.key: setting
    for setting in (
        BackendSetting(
            "reported_version",
            "1, 2, 3 or a full version such as 3.0.5",
            "version reported to Moodle: 1 for Moodle 3.6 and 3.7, 2 for 3.8 to 3.11, 3 from 4.0",
            _parse_version,
        ),
        BackendSetting(
            "processor",
            "the name of a processor: lower-case letters, digits and _",
            "processor that trains new models",
            partial(parse_matching, "[a-z][a-z0-9_]{0,63}"),
        ),
        BackendSetting(
            "score",
            "mcc or f1",
            "what an evaluation reports as its score: Matthews correlation scaled to 0..1, or weighted F1",
            partial(parse_matching, "mcc|f1"),
        ),
        BackendSetting(
            "evaluation_split",
            "course, row or time",
            "what an evaluation holds out: whole courses, single rows (as Moodle does), or the latest courses",
            partial(parse_matching, "course|row|time"),
        ),
        BackendSetting(
            "lock_wait",
            "seconds, from 0 to 86400",
            "how long a command waits while another command trains the same model",
            partial(parse_seconds, least=0, most=86_400),
        ),
        BackendSetting(
            "seed",
            "none, or a whole number from 0 to 999999999",
            "seed for all random choices, so that a run can be repeated; if there is none, the seed is derived "
            "from the rows, so the same rows give the same model",
            _parse_seed,
        ),
        BackendSetting(
            "cluster",
            "tcp://host:port or tls://host:port of a Dask scheduler, or local:N for N processes of this machine",
            "where courses, splits and training runs are calculated; if not set, in this process",
            partial(parse_matching, r"local:[1-9]\d{0,2}|(tcp|tls|ws|wss)://[!-~]+"),
        ),
        BackendSetting(
            "cluster_files",
            "a directory, or a URL such as s3://bucket/scratch",
            "where a cluster's tasks read and write their data; this machine and all workers must reach it",
            parse_printable,
        ),
    )
}


def load_settings(**overrides: object) -> Settings:
    """Read the settings; ``overrides`` are the command's options, None for one that was not given.

    Raises
    ------
    UsageError
        An unknown key, a value that is not allowed, or a settings file that cannot be read.
    """
    return load(Settings, SETTINGS, BACKEND_SECTION, overrides)


def reported_version() -> str:
    """Return the version to tell Moodle; the package's own where the settings cannot be used."""
    variable = os.environ.get(SETTINGS["reported_version"].variable, "").strip()
    try:
        return _parse_version(variable or read_section(BACKEND_SECTION)[0].get("reported_version") or __version__)
    except (UsageError, ValueError):
        return __version__
