"""What an admin can choose without touching code.

A value comes from the first of: the command's option, the environment variable, the settings file, the default.
:data:`SETTINGS` lists every key with its variable, default, allowed values and meaning. The file is INI::

    [moodlemlbackend]
    score = f1

Sections ``[server]`` and ``[analytics]`` beside it hold what :mod:`moodlemlbackend.settings.server` and
:mod:`moodlemlbackend.settings.analytics` list. The file is the one named by
``MOODLEMLBACKEND_SETTINGS``, else the first that exists of ``{sys.prefix}/etc/moodlemlbackend.ini`` and
``/etc/moodlemlbackend.ini``. A variable or value left empty counts as not given.
"""

from __future__ import annotations

import os
import re
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, TypeVar

from moodlemlbackend import __version__
from moodlemlbackend.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

FILE_VARIABLE = "MOODLEMLBACKEND_SETTINGS"
FILE_NAME = "moodlemlbackend.ini"
SECTION = "moodlemlbackend"
SERVER_SECTION = "server"
ANALYTICS_SECTION = "analytics"
SECTIONS = (SECTION, SERVER_SECTION, ANALYTICS_SECTION)
FILE_BYTES = 1 << 20

T = TypeVar("T")

# What each major version answers: Moodle 3.6/3.7 want >= 1.0.1 and < 2, 3.8 to 3.11 >= 2.6.5 and < 3.
_VERSION_OF_MAJOR = {"1": "1.9.0", "2": "2.9.0", "3": __version__}


@dataclass(frozen=True)
class Settings:
    """The values in force; see :data:`SETTINGS` for their meaning."""

    reported_version: str = __version__
    processor: str = "neural_network"
    score: str = "mcc"
    lock_wait: float = 600.0
    seed: int | None = None


@dataclass(frozen=True)
class Setting:
    """One key: its allowed values and meaning in words, and how its text is read (ValueError when it cannot be)."""

    key: str
    allowed: str
    meaning: str
    parse: Callable[[str], object]

    prefix: ClassVar[str] = "MOODLEMLBACKEND_"
    values: ClassVar[type] = Settings

    @property
    def variable(self) -> str:
        """The environment variable of this key."""
        return f"{self.prefix}{self.key.upper()}"

    @property
    def variables(self) -> tuple[str, ...]:
        """Every environment variable of this key; the first that is given counts."""
        return (self.variable,)

    @property
    def default(self) -> object:
        """The value when nobody chose one."""
        return getattr(self.values, self.key)

    @property
    def secret(self) -> bool:
        """Whether a value must not be shown, not even a wrong one."""
        return False


def _parse_version(text: str) -> str:
    if text in _VERSION_OF_MAJOR:
        return _VERSION_OF_MAJOR[text]
    return _match(r"\d{1,9}(\.\d{1,9}){1,3}", text)


def _parse_seconds(text: str) -> float:
    seconds = float(text)
    if not 0 <= seconds <= 86_400:
        raise ValueError(text)
    return seconds


def _parse_seed(text: str) -> int | None:
    return None if text == "none" else int(_match(r"\d{1,9}", text))


def _parse_score(text: str) -> str:
    return _match("mcc|f1", text)


def _parse_processor(text: str) -> str:
    return _match("[a-z][a-z0-9_]{0,63}", text)


def _match(pattern: str, text: str) -> str:
    if not re.fullmatch(pattern, text, re.ASCII):
        raise ValueError(text)
    return text


SETTINGS = {
    setting.key: setting
    for setting in (
        Setting(
            "reported_version",
            "1, 2, 3 or a full version such as 3.0.5",
            "version that Moodle is told: 1 for Moodle 3.6 and 3.7, 2 for 3.8 to 3.11, 3 from 4.0 on",
            _parse_version,
        ),
        Setting(
            "processor",
            "the name of a processor: lower-case letters, digits and _",
            "predictions processor that trains new models",
            _parse_processor,
        ),
        Setting(
            "score",
            "mcc or f1",
            "score of an evaluation: Matthews correlation scaled to 0..1, or weighted F1",
            _parse_score,
        ),
        Setting(
            "lock_wait",
            "seconds, from 0 to 86400",
            "how long a command waits for another that trains the same model",
            _parse_seconds,
        ),
        Setting(
            "seed",
            "none, or a whole number from 0 to 999999999",
            "seed of every random choice, to repeat a run; none draws a new one each time",
            _parse_seed,
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
    return load(Settings, SETTINGS, SECTION, overrides)


def load(values: type[T], settings: Mapping[str, Setting], section: str, overrides: Mapping[str, object]) -> T:
    """Read the settings of one section of the file into an object of ``values``; as :func:`load_settings`."""
    chosen = _chosen(overrides, settings, section)
    return values(**{key: _parse(settings[key], text, origin) for key, (text, origin) in chosen.items()})


def settings_file() -> Path | None:
    """Return the settings file: the one that the environment names, else the first usual one that exists."""
    chosen = os.environ.get(FILE_VARIABLE, "").strip()
    return Path(chosen) if chosen else next((path for path in usual_files() if path.exists()), None)


def usual_files() -> tuple[Path, ...]:
    """Return where a settings file is looked for."""
    return Path(sys.prefix, "etc", FILE_NAME), Path("/etc", FILE_NAME)


def origins() -> dict[str, str]:
    """Say where the value of each key comes from; errors as of :func:`load_settings`."""
    chosen = _chosen({})
    return {key: chosen[key][1] if key in chosen else "default" for key in SETTINGS}


def _chosen(
    overrides: Mapping[str, object], settings: Mapping[str, Setting] = SETTINGS, section: str = SECTION
) -> dict[str, tuple[str, str]]:
    """Return text and origin of each value that somebody chose, by key."""
    unknown = sorted(overrides.keys() - settings.keys())
    if unknown:
        raise UsageError(f"There is no setting {unknown[0]!r}; the settings are {', '.join(settings)}.")
    in_file, file = _read_file(section)
    unknown = sorted(in_file.keys() - settings.keys())
    if unknown:
        raise UsageError(f"The settings file {file} has no use for {unknown[0]!r}; its keys are {', '.join(settings)}.")
    chosen: dict[str, tuple[str, str]] = {}
    for key, setting in settings.items():
        option = overrides.get(key)
        variable = next((name for name in setting.variables if os.environ.get(name, "").strip()), None)
        if option is not None:
            chosen[key] = str(option), f"option --{key.replace('_', '-')}"
        elif variable:
            chosen[key] = os.environ[variable].strip(), f"environment variable {variable}"
        elif in_file.get(key):
            chosen[key] = in_file[key], f"setting {key} in {file}"
    return chosen


def reported_version() -> str:
    """Return the version to tell Moodle; the package's own where the settings cannot be used."""
    variable = os.environ.get(SETTINGS["reported_version"].variable, "").strip()
    try:
        return _parse_version(variable or _read_file()[0].get("reported_version") or __version__)
    except (UsageError, ValueError):
        return __version__


def _parse(setting: Setting, text: str, origin: str) -> object:
    try:
        return setting.parse(text.strip())
    except ValueError:
        shown = "not right" if setting.secret else repr(text)
        raise UsageError(f"The {origin} is {shown}; allowed: {setting.allowed}.") from None


def _read_file(wanted: str = SECTION) -> tuple[Mapping[str, str], Path | None]:
    """Return the file's values by key, and its path; no values when there is no file."""
    path = settings_file()
    if path is None:
        return {}, None
    import configparser

    parser = configparser.ConfigParser(
        interpolation=None, inline_comment_prefixes=("#", ";"), default_section="", empty_lines_in_values=False
    )
    try:
        with path.open(encoding="utf-8-sig") as file:
            parser.read_string(file.read(FILE_BYTES), str(path))
    except OSError as error:
        named = f" that {FILE_VARIABLE} names" if os.environ.get(FILE_VARIABLE) else ""
        raise UsageError(f"The settings file {path}{named} cannot be read: {error.strerror}.") from error
    except (configparser.Error, ValueError) as error:
        raise UsageError(
            f"The settings file {path} is not a valid INI file: {' '.join(str(error).split())}."
        ) from error
    for section in parser.sections():
        if section not in SECTIONS:
            known = ", ".join(f"[{name}]" for name in SECTIONS)
            raise UsageError(f"The settings file {path} has a section [{section}]; there are {known}.")
    return dict(parser[wanted]) if parser.has_section(wanted) else {}, path
