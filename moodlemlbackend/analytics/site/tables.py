"""Reading facts of several courses at once, and handing each course its own."""

from __future__ import annotations

from typing import Any

import numpy as np

from moodlemlbackend.analytics.site.database import Integers
from moodlemlbackend.analytics.site.site import Site


def integers_by_key(site: Site, sql: str, width: int, **parameters: Any) -> dict[int, Integers]:
    """Return a query's rows by the value of their first column, without it: (rows, ``width``), in the query's order."""
    table = site.database.integers(sql, width + 1, **parameters)
    if not len(table):
        return {}
    order = np.argsort(table[:, 0], kind="stable")
    table = table[order]
    edges = np.flatnonzero(np.diff(table[:, 0])) + 1
    return {int(part[0, 0]): part[:, 1:] for part in np.split(table, edges)}


def rows_by_key(site: Site, sql: str, **parameters: Any) -> dict[int, list[tuple[Any, ...]]]:
    """The same for queries with texts or nulls."""
    by_key: dict[int, list[tuple[Any, ...]]] = {}
    for row in site.database.rows(sql, **parameters):
        by_key.setdefault(row[0], []).append(row[1:])
    return by_key
