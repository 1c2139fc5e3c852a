"""Bring the catalogues of translations in line with the English texts: ``make catalogues``.

What is new or reworded has no translation afterwards, and what is no longer used is dropped.
``python tools/catalogues.py fr`` begins a catalogue for another language.
"""

from __future__ import annotations

import io
import sys
from importlib import import_module

from babel.messages import Catalog
from babel.messages.pofile import read_po, write_po

from moodlemlbackend.analytics.features import refusal, targets
from moodlemlbackend.language import CATALOGUES
from moodlemlbackend.language.texts import EVERY

MODULES = (
    "moodlemlbackend.analytics.features.definitions",
    "moodlemlbackend.analytics.insights.names",
    "moodlemlbackend.analytics.insights.reason_texts",
    "moodlemlbackend.analytics.insights.texts",
    "moodlemlbackend.analytics.notifications.texts",
    "moodlemlbackend.analytics.students.texts",
    "moodlemlbackend.dataset.words",
    "moodlemlbackend.language.dates",
    "moodlemlbackend.server.texts",
)
"""They have all texts that are translated, but for titles of targets and reasons why something is not analysed."""

_OMITTED = ("# ", '"POT-Creation', '"PO-Revision', '"Report-', '"Last-Translator', '"Language-Team', '"Generated-By')
"""Begins of lines that no reader needs, and that would differ at every merge."""


def every_text() -> Catalog:
    """The English texts; the context of each is its name."""
    for module in MODULES:
        import_module(module)
    catalog = Catalog(project="moodlemlbackend", fuzzy=False)
    for texts in EVERY:
        for name, text in texts.english.items():
            one = texts.english.get(f"{name} one")
            if not name.endswith(" one") or name.removesuffix(" one") not in texts.english:
                catalog.add(text if one is None else (one, text), context=name)
    for target in targets.CORE:
        catalog.add(target.title, context=f"target {target.id}")
    for one in vars(refusal).values():
        if isinstance(one, refusal.Refusal):
            catalog.add(one.text, context=f"refusal {one.identifier}")
            catalog.add(one.advice, context=f"advice {one.identifier}")
    return catalog


def read(code: str) -> Catalog:
    """The catalogue of a language; an empty one where there is none yet."""
    path = CATALOGUES / f"{code}.po"
    if not path.exists():
        return Catalog(code, project="moodlemlbackend", fuzzy=False)
    with path.open("rb") as file:
        return read_po(file, locale=code)


def write(code: str, catalog: Catalog) -> None:
    """Write a catalogue."""
    out = io.BytesIO()
    write_po(out, catalog, width=120)
    lines = out.getvalue().decode().splitlines(keepends=True)
    kept = [line for line in lines if not line.startswith(_OMITTED)]
    (CATALOGUES / f"{code}.po").write_text("".join(kept), "utf-8")


def untranslated(catalog: Catalog) -> list[str]:
    """The names of the texts without a translation."""
    messages = [message for message in catalog if message.id]
    return [one.context for one in messages if not one.string or (one.pluralizable and not all(one.string))]


def main() -> None:
    """Update the catalogues that there are, and begin those that are named."""
    english = every_text()
    for code in sorted({*sys.argv[1:], *(path.stem for path in CATALOGUES.glob("*.po"))}):
        catalog = read(code)
        catalog.update(english, no_fuzzy_matching=True)
        catalog.obsolete.clear()
        write(code, catalog)
        print(f"{code}: {len(untranslated(catalog))} of {len(catalog)} texts have no translation")


if __name__ == "__main__":
    main()
