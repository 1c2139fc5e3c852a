"""The catalogues: complete, up to date, and with the values of the English texts."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("babel", reason="needs the extra server or analytics")
pytest.importorskip("fastapi", reason="needs the extra server")
pytest.importorskip("sqlalchemy", reason="needs the extra analytics")

from fixtures.catalogues import TOOL
from moodlemlbackend.language import CATALOGUES, ENGLISH, offered
from moodlemlbackend.server.texts import _ROOMS

CODES = sorted(offered() - {ENGLISH})


def values(text):
    return set(re.findall(r"\{(\w+)\}", text))


def forms(texts):
    return [texts] if isinstance(texts, str) else [*texts]


def keys(catalog):
    return {(message.context, message.id) for message in catalog if message.id}


@pytest.fixture(scope="module")
def english():
    return TOOL["every_text"]()


def test_there_are_german_and_spanish():
    assert {"de", "es"} <= set(CODES)


@pytest.mark.parametrize("code", CODES)
def test_a_catalogue_is_complete_and_has_nothing_else(code, english):
    catalog = TOOL["read"](code)
    assert keys(catalog) == keys(english), "run: make catalogues"
    assert not TOOL["untranslated"](catalog)
    assert not catalog.obsolete
    assert not [message.id for message in catalog if message.fuzzy]


@pytest.mark.parametrize("code", CODES)
def test_translations_have_the_values_of_the_text(code):
    for message in TOOL["read"](code):
        if message.id:
            needed, *_ = (values(text) for text in forms(message.id)[::-1])
            counted = {"count"} if message.pluralizable else set()
            for text in forms(message.string):
                assert needed - counted <= values(text) <= needed | counted, (message.context, text)
                assert text == text.strip()
                text.format(**dict.fromkeys(needed | counted, ""))


def test_no_text_of_the_pages_has_the_name_of_another():
    names = [name for room in _ROOMS for name in room.ENGLISH]
    assert sorted(names) == sorted(set(names))


def test_the_tool_leaves_a_complete_catalogue_as_it_is(tmp_path):
    for code in CODES:
        (tmp_path / f"{code}.po").write_bytes((CATALOGUES / f"{code}.po").read_bytes())
    script = (
        "import runpy, sys; from pathlib import Path; from moodlemlbackend import language; "
        f"language.CATALOGUES = Path({str(tmp_path)!r}); sys.argv[1:] = ['fr']; "
        f"runpy.run_path({str(Path(__file__).parents[2] / 'tools' / 'catalogues.py')!r}, run_name='__main__')"
    )
    shown = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout
    for code in CODES:
        assert (tmp_path / f"{code}.po").read_bytes() == (CATALOGUES / f"{code}.po").read_bytes()
        assert f"{code}: 0 of " in shown
    french = (tmp_path / "fr.po").read_text("utf-8")
    assert 'msgid "Previous page"\nmsgstr ""\n' in french
    assert "Plural-Forms" in french
