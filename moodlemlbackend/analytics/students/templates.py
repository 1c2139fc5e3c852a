"""Templates of messages to students: what may stand in braces, and the templates that are there from the start."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from moodlemlbackend.analytics.db.templates import Template
from moodlemlbackend.analytics.students.texts import say

if TYPE_CHECKING:
    from collections.abc import Mapping

NAME, COURSE, DUE, TEACHER = "name", "course", "due", "teacher"
PLACEHOLDERS = (NAME, COURSE, DUE, TEACHER)
"""The student's first name, the course, the activities due and not done, one a line, and who writes."""

BUILT_IN = ("unseen", "missing", "question")

_BRACES = re.compile(r"\{([\w .:!-]{0,40})\}")
_BLANK_LINES = re.compile(r"\n{3,}")
_NOT_SHOWN = re.compile(r"[^\S\n ]|[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


def built_in(name: str) -> Template:
    """A template that is there from the start, in the reader's language; one of :data:`BUILT_IN`."""
    kept = {placeholder: f"{{{placeholder}}}" for placeholder in PLACEHOLDERS}
    subject, text = say(f"template {name} subject", **kept), say(f"template {name} text", **kept)
    return Template(0, None, None, say(f"template {name} name"), subject, text)


def unknown_placeholder(*texts: str) -> str:
    """The first word in braces that is no placeholder, with its braces; empty where all are."""
    found = (match for text in texts for match in _BRACES.finditer(text))
    return next((match[0] for match in found if match[1] not in PLACEHOLDERS), "")


def used(*texts: str) -> set[str]:
    """The placeholders that occur."""
    return {match[1] for text in texts for match in _BRACES.finditer(text)} & {*PLACEHOLDERS}


def fill(text: str, values: Mapping[str, str]) -> str:
    """A text with its placeholders filled in; what is filled in is never looked at again."""
    filled = _BRACES.sub(lambda match: values.get(match[1], match[0]), text)
    return _BLANK_LINES.sub("\n\n", filled).strip()


def one_line(text: str) -> str:
    """A text that fits into a subject, or a name: no line breaks, nothing invisible."""
    return " ".join(_NOT_SHOWN.sub(" ", text).split())


def lines(text: str) -> str:
    """A text as it may be sent: its lines end as ours do, and nothing in it is invisible."""
    return _NOT_SHOWN.sub(" ", text.replace("\r\n", "\n").replace("\r", "\n")).strip()
