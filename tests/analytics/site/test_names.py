"""Names of courses in the reader's language."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from fixtures.small_site import NOW, SmallSite
from moodlemlbackend.analytics.features import registry
from moodlemlbackend.analytics.features.invalid import invalid_elements
from moodlemlbackend.analytics.features.site_check import check_site
from moodlemlbackend.analytics.site.names import format_name, format_samples
from moodlemlbackend.analytics.site.people import describe, languages

SPANS = '<span lang="en" class="multilang">Maths</span> <span class="multilang" lang="es">Matemáticas</span>'
BLOCKS = "{mlang en}Maths{mlang}{mlang es,ca}Matemáticas{mlang}{mlang other}Mathématiques{mlang} 1"


@pytest.mark.parametrize(
    ("name", "language", "shown"),
    [
        (SPANS, "es", "Matemáticas"),
        (SPANS, "es_mx", "Matemáticas"),
        (SPANS, "de", "Maths"),
        (f"A {SPANS} B", "es", "A Matemáticas B"),
        (BLOCKS, "en_us", "Maths 1"),
        (BLOCKS, "ca", "Matemáticas 1"),
        (BLOCKS, "de", "Mathématiques 1"),
        ("{mlang fr}Chimie{mlang}{mlang es}Química{mlang}", "de", "Chimie"),
        ("<b>Law</b> &amp; <i>order</i>", "en", "Law & order"),
        ("a < b, c > d", "en", "a < b, c > d"),
        ("&lt;b&gt;", "en", "<b>"),
        ("{mlang en}never closed", "en", "{mlang en}never closed"),
    ],
)
def test_a_name_is_shown_as_in_moodle(name, language, shown):
    assert format_name(name, language) == shown


def test_a_reader_has_the_own_language_or_the_sites(tmp_path):
    small = SmallSite(tmp_path / "site.sqlite")
    small.add("config", name="lang", value="es")
    course = small.course(fullname=SPANS)
    english, other = small.user(lang="en"), small.user(lang="")
    with small.open() as site:
        found = languages(site, [english, other, 99])
        assert found == {english: "en", other: "es", 99: "es"}
        samples = describe(site, "course", [course])
        assert {user: format_samples(samples, code)[course].title for user, code in found.items()} == {
            english: "Maths", other: "Matemáticas", 99: "Matemáticas",
        }  # fmt: skip


def test_what_cannot_be_used_is_named_in_the_sites_language(tmp_path):
    """Lists of courses: ``models invalid`` and ``site check``; a page sets the reader's language."""
    small = SmallSite(tmp_path / "site.sqlite")
    small.add("config", name="lang", value="es")
    small.course(shortname=f"{SPANS} <b>&amp;</b> {BLOCKS}")
    with small.open() as site:
        target = registry.get_target(r"\core_course\analytics\target\course_dropout")
        found = check_site(site, target, NOW)
        assert [course.name for course in found.courses] == ["Matemáticas & Matemáticas 1"]
        model = SimpleNamespace(target=target.id, indicators=(), contexts=())
        [invalid] = invalid_elements(site, model, NOW)
        assert invalid.name == "Matemáticas & Matemáticas 1"
        site.language = "en"
        [invalid] = invalid_elements(site, model, NOW)
        assert invalid.name == "Maths & Maths 1"
