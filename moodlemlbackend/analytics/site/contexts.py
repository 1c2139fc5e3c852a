"""Contexts: where on a site something is, and what is above it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from moodlemlbackend.analytics.site.site import Site

SYSTEM, USER, CATEGORY, COURSE, MODULE = 10, 30, 40, 50, 70
"""Levels of contexts."""

_AT_ONCE = 5000


@dataclass(frozen=True)
class Context:
    """A context: its level, the id of what it is of, and the ids of the contexts from the top down to itself."""

    id: int
    level: int
    instance: int
    path: tuple[int, ...]


def read_contexts(site: Site, contextids: Iterable[int]) -> list[Context]:
    """Those of these contexts that there are."""
    ids = sorted(set(contextids))
    contexts = []
    for start in range(0, len(ids), _AT_ONCE):
        rows = site.database.rows(
            "SELECT id, contextlevel, instanceid, path FROM {context} WHERE id IN :ids",
            ids=ids[start : start + _AT_ONCE],
        )
        for key, level, instance, path in rows:
            above = tuple(int(part) for part in (path or "").split("/") if part)
            contexts.append(Context(key, level, instance, above or (key,)))
    return contexts


def context_ids(site: Site) -> set[int]:
    """Ids of all contexts."""
    return {context for (context,) in site.database.rows("SELECT id FROM {context}")}


def course_context(site: Site, courseid: int) -> int | None:
    """Id of a course's context; None when there is no such course."""
    query = "SELECT id FROM {context} WHERE contextlevel = :level AND instanceid = :course"
    rows = [*site.database.rows(query, level=COURSE, course=courseid)]
    return int(rows[0][0]) if rows else None
