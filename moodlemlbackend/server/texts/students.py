"""Texts of the pages of a course's students."""

from __future__ import annotations

ENGLISH = {
    "no such course": "There is no such course, or you may not see insights in it.",
}
