"""Templates have no text of their own, and every text is there and used."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

pytest.importorskip("fastapi", reason="needs the extra server")

from moodlemlbackend import server
from moodlemlbackend.analytics.insights import names
from moodlemlbackend.analytics.insights.names import indicator_name, interval_name
from moodlemlbackend.server.pages.rendering import TEMPLATES
from moodlemlbackend.server.texts import ENGLISH, say

AROUND = ("base.html", "login.html", "launch.html")
TRANSLATED = [*(TEMPLATES / name for name in AROUND), *sorted((TEMPLATES / "site").glob("*.html"))]
PYTHON = sorted(Path(server.__file__).parent.rglob("*.py"))
BUILT = r"say\((?:f\"([^\"{]+)\{|\"([^\"]+)\" ~ )"
"""Calls that put a name together: its begin."""


def source() -> str:
    return "\n".join(path.read_text("utf-8") for path in [*TRANSLATED, *PYTHON])


@pytest.mark.parametrize("template", TRANSLATED[1:], ids=lambda path: path.name)
def test_templates_have_no_text_of_their_own(template):
    written = re.sub(r"\{% macro address\(.*?\{% endmacro %\}", "", template.read_text("utf-8"))
    text = re.sub(r"\{[%{#].*?[%}#]\}", "", written, flags=re.DOTALL)
    shown = re.sub(r"<text[^>]*>[01.5]+</text>", "", text)
    shown = re.sub(r"<[^>]*>", "", shown)
    assert not re.findall(r"[A-Za-z]{2,}", shown)
    for attribute in ("aria-label", "alt", "title", "placeholder", "data-name"):
        assert not re.findall(rf'{attribute}="[^"]*[A-Za-z][^"]*"', text)


def test_every_text_that_is_asked_for_is_there():
    asked = set(re.findall(r"say\(\"([^\"]+)\"(?! ~)", source()))
    assert asked
    assert asked <= ENGLISH.keys()


def test_every_text_is_used():
    asked = set(re.findall(r"say\(\"([^\"]+)\"(?! ~)", source()))
    begins = tuple(first or second for first, second in re.findall(BUILT, source()))
    shown_as = {"probability", "percent"}  # by a macro
    for name in ENGLISH:
        plain = name.removesuffix(" one")
        known = plain in asked | shown_as or plain.startswith((*begins, "counted ", "indicator \\", "interval \\"))
        assert known, name


def test_texts_are_filled_in_and_count():
    assert say("section number", count=1) == "One insight."
    assert say("section number", count=2) == "2 insights, highest probability first."
    with pytest.raises(KeyError):
        say("there is no such text")


def test_what_insights_offer_has_a_meaning():
    pytest.importorskip("polars", reason="needs the extra analytics")
    from moodlemlbackend.analytics.features import definitions, registry
    from moodlemlbackend.analytics.insights import actions

    for target in definitions.targets():
        for action in actions.judgements(target):
            assert say(f"means {action.name}")
            assert action.adjusts is (not definitions.is_static(target) and action.name in actions.ADJUSTING)
    for method in registry.list_time_splittings():
        assert "_" not in interval_name(method.id)
        assert names.known(f"interval {method.id}")
    for indicator in registry.list_indicators():
        assert indicator_name(indicator.id) != indicator.id


def test_what_is_not_known_keeps_its_name():
    assert indicator_name(r"\local_x\analytics\indicator\own", "x: own") == "x: own"
    assert interval_name(r"\local_x\analytics\time_splitting\my_terms") == "my terms"
    assert interval_name(None) == "none chosen"
