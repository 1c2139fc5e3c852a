"""A simulated site, built course by course into a database."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from time import time as current_time
from typing import TYPE_CHECKING

import numpy as np

from moodlemlbackend.errors import UsageError
from moodlemlbackend.simulation.site.activities import KINDS
from moodlemlbackend.simulation.site.behaviour import live
from moodlemlbackend.simulation.site.course import draw_course
from moodlemlbackend.simulation.site.database import new_site
from moodlemlbackend.simulation.site.loader import Loader
from moodlemlbackend.simulation.site.log import Log
from moodlemlbackend.simulation.site.plan import FIRST, CoursePlan, SitePlan, plan_site
from moodlemlbackend.simulation.site.site_rows import SiteIds, add_site, add_users
from moodlemlbackend.simulation.site.structure_rows import add_structure
from moodlemlbackend.simulation.site.tables import tables
from moodlemlbackend.simulation.site.work_rows import add_work

if TYPE_CHECKING:
    from collections.abc import Callable

    from moodlemlbackend.simulation.site.plan import Integers

NEVER = np.iinfo(np.int64).max


@dataclass(frozen=True)
class SimulatedSite:
    """What was made: the clock it stopped at, courses by kind, and rows by table without the prefix."""

    now: int
    courses: dict[str, int]
    rows: dict[str, int]


def write_site(
    url: str,
    *,
    courses: int = 40,
    students: int = 40,
    seed: int = 0,
    now: int | None = None,
    prefix: str = "mdl_",
    schema: str = "4.2",
    log_rows_factor: float = 1.0,
    progress: Callable[[int, int], None] | None = None,
) -> SimulatedSite:
    """Simulate a Moodle site with ``students`` students a course on average, in a database that has none.

    ``url`` is an SQLAlchemy URL or the path of an SQLite file. The same arguments make the same rows on any database;
    ``now`` is a Unix time, the current one unless given. ``progress`` is called with the courses done and their
    number. Raises UsageError and StorageError; then nothing is left behind.
    """
    if min(courses, students) < 1:
        raise UsageError(f"A site needs at least one course and one student per course, not {courses} and {students}.")
    now = int(current_time()) if now is None else now
    site = plan_site(courses, students, seed, now)
    kinds = [name for name in KINDS if name in tables(schema)]
    seen = np.zeros((2, FIRST + len(site.drive)), dtype=np.int64)
    seen[0] = NEVER
    with new_site(url, prefix, schema) as loader:
        ids = add_site(loader, site, schema, seed, kinds)
        for number, plan in enumerate(site.courses, start=1):
            random = np.random.default_rng([seed, number])
            _add_course(loader, site, plan, ids, log_rows_factor, seen, random)
            if progress is not None:
                progress(number, courses)
        add_users(loader, site, np.where(seen[0] < NEVER, seen[0], 0), seen[1])
    return SimulatedSite(now, dict(Counter(plan.kind for plan in site.courses)), dict(loader.rows))


def _add_course(
    loader: Loader,
    site: SitePlan,
    plan: CoursePlan,
    ids: SiteIds,
    factor: float,
    seen: Integers,
    random: np.random.Generator,
) -> None:
    """Add all rows of one course, and note in ``seen`` (2, users) when its people were first and last on the site."""
    course = draw_course(plan, ids.kinds, site.now, random)
    behaviour = live(course, site, random)
    placed = add_structure(loader, course, ids)
    added = add_work(loader, course, placed, behaviour.work)
    log = Log(course, placed)
    log.add(behaviour, added, factor, random)
    last = np.zeros_like(seen[1])
    for rows in log.batches(site.now):
        user, time, where = (np.asarray(rows[name]) for name in ("userid", "timecreated", "courseid"))
        loader.add("logstore_standard_log", len(time), rows)
        np.minimum.at(seen[0], user, time)
        np.maximum.at(seen[1], user, time)
        np.maximum.at(last, user[where > 0], time[where > 0])
    there = np.flatnonzero(last)
    columns = {"userid": there, "courseid": placed.course, "timeaccess": last[there]}
    loader.add("user_lastaccess", len(there), columns)
