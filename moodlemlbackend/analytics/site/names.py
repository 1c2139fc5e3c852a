"""Names of courses and activities as Moodle shows them: in the reader's language, as plain text."""

from __future__ import annotations

import re
from dataclasses import replace
from html import unescape
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from moodlemlbackend.analytics.site.people import SampleInfo

_BLOCK = re.compile(r"\{\s*mlang\s+([\w\s,-]+)\}(.*?)\{\s*mlang\s*\}", re.DOTALL | re.IGNORECASE)
_SPAN = re.compile(
    r"""<span(?=[^>]*\sclass\s*=\s*["']multilang["'])[^>]*?\slang\s*=\s*["']([\w-]+)["'][^>]*>(.*?)</span>""",
    re.DOTALL | re.IGNORECASE,
)
_SPANS = re.compile(rf"(?:{_SPAN.pattern}\s*)+", _SPAN.flags)
_TAG = re.compile(r"</?[a-zA-Z!][^<>]*>")


def format_name(name: str, language: str) -> str:
    """A name without what is meant for other languages, without tags, its entities as characters.

    Where a name has several languages and not the reader's, nor that which it derives from (``en`` of ``en_us``), the
    one for all others counts, else the first.
    """
    if blocks := _BLOCK.findall(name):
        chosen = _choice([code for codes, _ in blocks for code in codes.split(",")], language)
        name = _BLOCK.sub(lambda block: block[2] if chosen in map(_code, block[1].split(",")) else "", name)
    name = _SPANS.sub(lambda spans: _of_spans(spans[0], language), name)
    return " ".join(unescape(_TAG.sub("", name)).split())


def format_samples(samples: Mapping[int, SampleInfo], language: str) -> dict[int, SampleInfo]:
    """Samples with the names of their courses as a reader sees them."""
    courses = {name: format_name(name, language) for name in {sample.course_name for sample in samples.values()}}
    return {key: replace(sample, course_name=courses[sample.course_name]) for key, sample in samples.items()}


def _of_spans(spans: str, language: str) -> str:
    texts = _SPAN.findall(spans)
    chosen = _choice((code for code, _ in texts), language)
    text: str = next(text for code, text in texts if _code(code) == chosen)
    return text + spans[len(spans.rstrip()) :]


def _choice(codes: Iterable[str], language: str) -> str:
    offered = [_code(code) for code in codes]
    own = _code(language)
    wanted = (own, own.rpartition("_")[0], own.partition("_")[0], "other")
    return next((code for code in wanted if code in offered), offered[0])


def _code(language: str) -> str:
    return language.strip().lower().replace("-", "_")
