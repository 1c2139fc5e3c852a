"""How settings are read: the command's option, else the environment variable, else the settings file, else the default.

The file is INI::

    [moodlemlbackend]
    score = f1

with the sections ``[server]`` and ``[analytics]`` beside it. A line that begins with ``#`` or ``;`` is a comment; a
value goes to the end of its line, whatever it holds. The file is the one named by ``MOODLEMLBACKEND_SETTINGS``, else
the first that exists of ``{sys.prefix}/etc/moodlemlbackend.ini`` and ``/etc/moodlemlbackend.ini``. A variable or value
left empty counts as not given.
"""

from __future__ import annotations

import os
import re
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, TypeVar

from moodlemlbackend.errors import UsageError
from moodlemlbackend.files import is_named_pipe

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

FILE_VARIABLE = "MOODLEMLBACKEND_SETTINGS"
FILE_NAME = "moodlemlbackend.ini"
BACKEND_SECTION = "moodlemlbackend"
SERVER_SECTION = "server"
ANALYTICS_SECTION = "analytics"
SECTIONS = (BACKEND_SECTION, SERVER_SECTION, ANALYTICS_SECTION)
FILE_BYTES = 1 << 20

T = TypeVar("T")


@dataclass(frozen=True)
class Setting:
    """One key: its allowed values and meaning in words, and how its text is read (ValueError when it cannot be).

    ``secret`` values are not shown, not even wrong ones; ``former`` is the former package's variable, if there is one.
    """

    key: str
    allowed: str
    meaning: str
    parse: Callable[[str], object]
    secret: bool = False
    former: str = ""

    prefix: ClassVar[str] = "MOODLEMLBACKEND_"
    values: ClassVar[type]

    @property
    def variable(self) -> str:
        """The environment variable of this key."""
        return f"{self.prefix}{self.key.upper()}"

    @property
    def variables(self) -> tuple[str, ...]:
        """Every environment variable of this key; the first that is given counts."""
        return (self.variable, self.former) if self.former else (self.variable,)

    @property
    def default(self) -> object:
        """The value when nobody chose one."""
        return getattr(self.values, self.key)


def load(values: type[T], settings: Mapping[str, Setting], section: str, overrides: Mapping[str, object]) -> T:
    """Read the settings of one section into an object of ``values``; ``overrides`` are options, None if not given.

    Raises
    ------
    UsageError
        An unknown key, a value that is not allowed, or a settings file that cannot be read.
    """
    chosen = _chosen(settings, section, overrides)
    return values(**{key: _parse(settings[key], text, origin) for key, (text, origin) in chosen.items()})


def origins(settings: Mapping[str, Setting], section: str) -> dict[str, str]:
    """Say where the value of each key comes from; errors as of :func:`load`."""
    chosen = _chosen(settings, section, {})
    return {key: chosen[key][1] if key in chosen else "default" for key in settings}


def settings_file() -> Path | None:
    """Return the settings file: the one that the environment names, else the first usual one that exists."""
    chosen = os.environ.get(FILE_VARIABLE, "").strip()
    return Path(chosen) if chosen else next((path for path in usual_files() if path.exists()), None)


def usual_files() -> tuple[Path, ...]:
    """Return where a settings file is looked for."""
    return Path(sys.prefix, "etc", FILE_NAME), Path("/etc", FILE_NAME)


def read_section(wanted: str) -> tuple[Mapping[str, str], Path | None]:
    """Return the file's values of a section by key, and its path; no values when there is no file."""
    path = settings_file()
    if path is None:
        return {}, None
    import configparser

    if is_named_pipe(path):
        raise UsageError(f"The settings file {path} is a named pipe; use a regular file.")
    parser = configparser.ConfigParser(interpolation=None, default_section="", empty_lines_in_values=False)
    try:
        with path.open(encoding="utf-8-sig") as file:
            text = file.read(FILE_BYTES + 1)
            if len(text) > FILE_BYTES:
                raise UsageError(f"The settings file {path} is longer than {FILE_BYTES} characters; shorten it.")
            parser.read_string(text, str(path))
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
            raise UsageError(f"The settings file {path} has an unknown section [{section}]; the sections are {known}.")
    return dict(parser[wanted]) if parser.has_section(wanted) else {}, path


def _chosen(
    settings: Mapping[str, Setting], section: str, overrides: Mapping[str, object]
) -> dict[str, tuple[str, str]]:
    """Return text and origin of each value that somebody chose, by key."""
    unknown = sorted(overrides.keys() - settings.keys())
    if unknown:
        raise UsageError(f"There is no setting {unknown[0]!r}; choose one of {', '.join(settings)}.")
    in_file, file = read_section(section)
    unknown = sorted(in_file.keys() - settings.keys())
    if unknown:
        raise UsageError(
            f"The settings file {file} has an unknown key {unknown[0]!r}; the keys are {', '.join(settings)}."
        )
    chosen: dict[str, tuple[str, str]] = {}
    for key, setting in settings.items():
        option = overrides.get(key)
        variable = next((name for name in setting.variables if os.environ.get(name, "").strip()), None)
        if option is not None:
            chosen[key] = str(option), f"option --{key.replace('_', '-')}"
        elif variable:
            chosen[key] = os.environ[variable].strip(), f"environment variable {variable}"
        elif in_file.get(key):
            chosen[key] = in_file[key], f"{key} setting in {file}"
    return chosen


def _parse(setting: Setting, text: str, origin: str) -> object:
    try:
        return setting.parse(text.strip())
    except ValueError:
        shown = "invalid" if setting.secret else repr(text)
        raise UsageError(f"The {origin} is {shown}; allowed: {setting.allowed}.") from None


# ---- how the text of a value is read ----


def parse_matching(pattern: str, text: str) -> str:
    """Return the text if it matches the pattern as a whole, in ASCII."""
    if not re.fullmatch(pattern, text, re.ASCII):
        raise ValueError(text)
    return text


def parse_printable(text: str) -> str:
    """Return a text without control characters."""
    if not text.isprintable():
        raise ValueError(text)
    return text


def parse_switch(text: str) -> bool:
    """Read ``on`` or ``off``."""
    if text.lower() not in ("on", "off"):
        raise ValueError(text)
    return text.lower() == "on"


def parse_whole(text: str, least: int, most: int) -> int:
    """Read a whole number from ``least`` to ``most``."""
    number = int(parse_matching(r"\d{1,16}", text))
    if not least <= number <= most:
        raise ValueError(text)
    return number


def parse_seconds(text: str, least: float, most: float) -> float:
    """Read a number of seconds from ``least`` to ``most``."""
    seconds = float(text)
    if not least <= seconds <= most:
        raise ValueError(text)
    return seconds
