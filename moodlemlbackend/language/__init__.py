"""The reader's language: that of a request or of a recipient; English for commands and files.

Texts are English in the code, in dictionaries by name (:class:`.texts.Texts`), and gettext translates them: the name is
the context of a message, the English text its id. ``catalogues/`` has a file for each other language. Languages have
Moodle's codes (``de``, ``es_mx``, ``de_du``); one without a catalogue falls back to the language it derives from, or to
English. Babel is loaded for dates, and for languages other than English.
"""

from __future__ import annotations

import re
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator
    from gettext import GNUTranslations

ENGLISH = "en"
CATALOGUES = Path(__file__).parent / "catalogues"

_LOCALES = {ENGLISH: "en_GB"}
"""Of languages for which Babel assumes another country than Moodle does."""

_ACCEPTED = re.compile(r"([A-Za-z]{2,3}(?:-\w{1,8}){0,4})\s*(?:;\s*q=([01](?:\.\d{0,3})?)\s*)?(?:,|$)", re.ASCII)
"""A language of a browser; bounded, for nobody knows yet who sends the header."""


class Language(NamedTuple):
    """A language: that of its catalogue, and its locale as Babel names it, for dates and numbers."""

    code: str
    locale: str

    @property
    def tag(self) -> str:
        """What HTML calls it."""
        return self.code if self.locale == _LOCALES.get(self.code) else self.locale.replace("_", "-")

    @property
    def direction(self) -> str:
        """``rtl`` where it is written from the right to the left, else ``ltr``."""
        if self.code == ENGLISH:
            return "ltr"
        from babel import Locale

        return str(Locale.parse(self.locale).text_direction)


_ENGLISH = Language(ENGLISH, _LOCALES[ENGLISH])
_current: ContextVar[Language | None] = ContextVar("language", default=None)


def current() -> Language:
    """The reader's language."""
    return _current.get() or _ENGLISH


def choose(language: Language) -> None:
    """Set the reader's language for the rest of the request."""
    _current.set(language)


@contextmanager
def speaking(code: str) -> Iterator[None]:
    """Set the reader's language, by its code in Moodle, for a block."""
    token = _current.set(language_of(code))
    try:
        yield
    finally:
        _current.reset(token)


@cache
def offered() -> frozenset[str]:
    """Codes of the languages that have a catalogue, and English."""
    return frozenset({ENGLISH, *(path.stem for path in CATALOGUES.glob("*.po"))})


def language_of(code: str) -> Language:
    """The language for a code of Moodle's or a browser's."""
    return _known(code) or _ENGLISH


def preferred(header: str) -> Language:
    """The language that a browser's ``Accept-Language`` prefers of those offered."""
    wanted = [(float(quality or 1), code) for code, quality in _ACCEPTED.findall(header)]
    known = (_known(code) for quality, code in sorted(wanted, key=lambda choice: -choice[0]) if quality)
    return next(filter(None, known), _ENGLISH)


@cache
def translations(code: str) -> GNUTranslations:
    """The catalogue of a language."""
    from gettext import GNUTranslations
    from io import BytesIO

    from babel.messages.mofile import write_mo
    from babel.messages.pofile import read_po

    with (CATALOGUES / f"{code}.po").open("rb") as file:
        catalogue = read_po(file, locale=code)
    compiled = BytesIO()
    write_mo(compiled, catalogue)
    compiled.seek(0)
    return GNUTranslations(compiled)


def translate(name: str, english: str, plural: str | None = None, count: int = 1) -> str:
    """A text in the reader's language; where there is a ``plural``, ``english`` is the singular."""
    code = current().code
    if code == ENGLISH:
        return english if plural is None or count == 1 else plural
    if plural is None:
        return translations(code).pgettext(name, english)
    return translations(code).npgettext(name, english, plural, count)


def _known(code: str) -> Language | None:
    parts = code.strip().lower().replace("-", "_").split("_")
    for length in range(len(parts), 0, -1):
        name = "_".join(parts[:length])
        if name in offered():
            return Language(name, _locale(name, parts[1] if len(parts) > 1 else ""))
    return None


@cache
def _locale(name: str, territory: str) -> str:
    """The locale of a language in a country, ``es_MX`` for ``es`` and ``mx``, or of the language alone."""
    wanted = f"{name.partition('_')[0]}_{territory.upper()}"
    if len(territory) == 2:
        from babel.localedata import exists

        if exists(wanted):
            return wanted
    return _LOCALES.get(name, name)
