"""The reader's language, and texts, numbers and dates in it."""

from __future__ import annotations

import time
from datetime import timezone

import pytest

pytest.importorskip("babel", reason="needs the extra server or analytics")

from fixtures.catalogues import catalogue
from moodlemlbackend import language
from moodlemlbackend.dataset import words
from moodlemlbackend.dataset.columns import indicators_of
from moodlemlbackend.language import choose, current, language_of, preferred, speaking, translate
from moodlemlbackend.language.dates import Dates
from moodlemlbackend.language.numbers import number
from moodlemlbackend.language.texts import EVERY, Texts

OCTOBER, NOVEMBER, NEXT_YEAR = 1_793_366_700, 1_795_788_300, 1_800_000_000

_ = catalogue  # a fixture


@pytest.mark.parametrize(
    ("code", "texts", "locale", "tag"),
    [
        ("en", "en", "en_GB", "en"),
        ("en_us", "en", "en_US", "en-US"),
        ("de", "de", "de", "de"),
        ("de_at", "de", "de_AT", "de-AT"),
        ("de_du", "de", "de", "de"),
        ("es_mx", "es", "es_MX", "es-MX"),
        ("es-ES", "es", "es_ES", "es-ES"),
        ("pt_br", "en", "en_GB", "en"),
        ("xx_kids", "en", "en_GB", "en"),
        ("../de", "en", "en_GB", "en"),
        ("", "en", "en_GB", "en"),
    ],
)
def test_codes_of_moodle_fall_back_to_the_language_they_derive_from(code, texts, locale, tag):
    chosen = language_of(code)
    assert (chosen.code, chosen.locale, chosen.tag, chosen.direction) == (texts, locale, tag, "ltr")


@pytest.mark.parametrize(
    ("header", "code"),
    [
        ("", "en"),
        ("de", "de"),
        ("fr-FR,fr;q=0.9,es;q=0.8,de;q=0.85", "de"),
        ("es-419,es;q=0.9", "es"),
        ("en-GB,de;q=0.9", "en"),
        ("de;q=0, es;q=0.1", "es"),
        ("*, ;q=, de;q=x, \u00fc", "en"),
        ("de;" * 1000, "en"),
    ],
)
def test_browsers_say_what_they_prefer(header, code):
    assert preferred(header).code == code


@pytest.mark.parametrize("text", ["aa-" * 20_000 + "!", "aa" + "-a" * 30_000, "aa" + " " * 60_000 + "x"])
def test_a_long_header_is_read_at_once(text):
    """It once took a minute, before any login."""
    began = time.process_time()
    assert preferred(text).code == "en"
    assert time.process_time() - began < 5


def test_a_language_holds_for_its_block():
    with speaking("de_at"):
        assert current().code == "de"
        with speaking("es"):
            assert current().code == "es"
        assert current().tag == "de-AT"
    assert current().code == "en"


def test_texts_are_translated_by_name_with_the_plurals_of_the_language(catalogue):
    texts = Texts({"waits": "{count} wait", "waits one": "One waits", "a": "May", "b": "May", "new": "New {x}"})
    EVERY.remove(texts)
    say = texts.say
    assert [say("waits", count=number) for number in (1, 2, 1234)] == ["One waits", "2 wait", "1,234 wait"]
    catalogue("pl", {("waits", "One waits", "{count} wait"): ("{count} czeka", "{count} czekają", "{count} czeka!"),
                     ("a", "May"): "Maj"})  # fmt: skip
    with speaking("pl"):
        shown = [say("waits", count=number) for number in (1, 2, 5, 1234)]
        assert shown == ["1 czeka", "2 czekają", "5 czeka!", "1\xa0234 czekają"]
        assert (say("a"), say("b")) == ("Maj", "May")
        assert say("new", x="{y}") == "New {y}"
    with pytest.raises(KeyError):
        say("none of these")


def test_a_variant_has_its_own_text_or_the_common_one():
    texts = Texts({"label": "Any", "label x": "Of x"})
    EVERY.remove(texts)
    assert [texts.say("label", "x"), texts.say("label", "y"), texts.known("label y")] == ["Of x", "Any", False]


def test_numbers_have_the_signs_of_the_language():
    row = [-0.1234, 0.5]
    [indicator] = indicators_of(["x", "x/mean"])
    assert (number(1234567), number(-0.5, ".2f"), words.percent(0.347)) == ("1,234,567", "−0.50", "35%")
    with speaking("de"):
        assert (number(1234567), number(-0.5, ".2f")) == ("1.234.567", "−0,50")
        assert "−0,1234" in indicator.value(row)
        assert "0,5" in indicator.value(row)
    with speaking("es_mx"):
        assert number(1234567.25, ",.2f") == "1,234,567.25"
    with speaking("es"):
        assert number(1.5, ".1f") == "1,5"


def test_dates_are_written_as_people_of_the_language_write_them():
    dates = Dates(timezone.utc)
    assert dates.zone == "UTC"
    assert dates.minute(NOVEMBER) == "27 Nov 2026, 14:05"
    assert dates.day(NOVEMBER) == "27 Nov 2026"
    assert dates.span(OCTOBER, NOVEMBER) == "30 October to 27 November 2026"
    assert dates.days(OCTOBER, NOVEMBER) == "from 30 October to 27 November 2026"
    assert dates.span(NOVEMBER, NEXT_YEAR) == "27 November 2026 to 15 January 2027"
    assert dates.days(NOVEMBER, NOVEMBER + 60) == "on 27 November 2026"
    assert dates.span(NOVEMBER, NOVEMBER) == "27 November 2026"
    assert (dates.minute(None), dates.day(0)) == ("–", "–")
    assert dates.day(10**15) == "1 Jan 3000"
    with speaking("en_us"):
        assert dates.day(NOVEMBER) == "Nov 27, 2026"
        assert dates.minute(NOVEMBER) == "Nov 27, 2026, 2:05\u202fPM"
    with speaking("de"):
        assert dates.minute(NOVEMBER) == "27.11.2026, 14:05"
        assert dates.days(NOVEMBER, NEXT_YEAR).endswith("15. Januar 2027")
    with speaking("es"):
        assert "30 de octubre" in dates.days(OCTOBER, NOVEMBER)


def test_what_is_written_from_the_right_says_so(catalogue):
    catalogue("he", {("a", "May"): "מאי"})
    assert (language_of("he").direction, language_of("he").tag) == ("rtl", "he")
    with speaking("he"):
        assert translate("a", "May") == "מאי"
        assert number(-1, ".0f") == "−1"


def test_english_needs_no_babel(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "babel", None)
    choose(language_of("en"))
    assert words.probability(0.3, (0.2, 0.41)) == "30% (20% to 41% in 8 of 10 courses)"
    assert current().direction == "ltr"
    assert language.offered() >= {"en", "de", "es"}
