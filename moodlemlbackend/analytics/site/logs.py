"""The log, reduced by the database that has it, and the last accesses of courses."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from moodlemlbackend.analytics.site.database import Integers
from moodlemlbackend.analytics.site.site import Site
from moodlemlbackend.analytics.site.tables import integers_by_key

READ, WRITE, OTHER = 0, 1, 2
"""Kinds of actions: ``crud`` r; c and u; anything else."""

COURSE_LEVEL, ELSEWHERE = 0, -1
"""Stand for the context of the course itself, and for contexts that are neither it nor an activity's."""

_USERS_A_QUERY = 5000
_SECONDS_A_DAY = 86_400

COLUMNS = 9
"""Of :func:`course_logs`."""


class LogSpan(NamedTuple):
    """Number of rows of the whole log, and the Unix times of the first and the last, 0 without any."""

    rows: int
    first: int
    last: int


def course_logs(site: Site, course: int, bounds: Sequence[int], events: Sequence[str]) -> Integers:
    """Log rows of a course, counted: (groups, 9).

    The columns are the context (an activity's, or :data:`COURSE_LEVEL`, or :data:`ELSEWHERE`); the user; the event, by
    its place in ``events`` from 1 on, 0 for others; the kind of action; whether it was anonymous; the number of bounds
    before it; how many rows there are; the Unix times of the first and the last. ``bounds`` are sorted.
    """
    parameters: dict[str, int | str] = {"course": course}
    parameters.update({f"bound{i}": cut for i, cut in enumerate(bounds)})
    parameters.update({f"event{i}": name for i, name in enumerate(events)})
    query = _query(site.database.log.dialect, len(bounds), len(events))
    return site.database.integers(query, COLUMNS, **parameters)


def actions_between(site: Site, course: int, bounds: Sequence[int]) -> Integers:
    """What users did in a course, counted between neighbouring bounds, which are sorted Unix times: (groups, 3).

    The columns are the user, the number of the part, from 0, and how many log rows of that user lie in it, its first
    second included and its last not. What was done anonymously does not count.
    """
    segment = _segment(site.database.log.dialect, len(bounds) - 2)
    query = (
        f"SELECT userid, {segment} AS segment, COUNT(*) FROM {{logstore_standard_log}} WHERE courseid = :course "
        "AND anonymous = 0 AND timecreated >= :first AND timecreated < :end GROUP BY 1, 2"
    )
    inner = {f"bound{i}": cut - 1 for i, cut in enumerate(bounds[1:-1])}
    return site.database.integers(query, 3, course=course, first=bounds[0], end=bounds[-1], **inner)


def _query(dialect: str, bounds: int, events: int) -> str:
    whens = " ".join(f"WHEN :event{i} THEN {i + 1}" for i in range(events))
    event = f"CASE eventname {whens} ELSE 0 END" if events else "0"
    return (
        "SELECT CASE WHEN contextlevel = 70 THEN contextid "
        f"WHEN contextlevel = 50 AND contextinstanceid = :course THEN {COURSE_LEVEL} ELSE {ELSEWHERE} END AS place, "
        f"userid, {event} AS event, "
        f"CASE crud WHEN 'r' THEN {READ} WHEN 'c' THEN {WRITE} WHEN 'u' THEN {WRITE} ELSE {OTHER} END AS kind, "
        f"anonymous, {_segment(dialect, bounds)} AS segment, COUNT(*), MIN(timecreated), MAX(timecreated) "
        "FROM {logstore_standard_log} WHERE courseid = :course GROUP BY 1, 2, 3, 4, 5, 6"
    )


def _segment(dialect: str, bounds: int) -> str:
    """SQL for the number of bounds before ``timecreated``."""
    names = [f":bound{i}" for i in range(bounds)]
    if not names:
        return "0"
    if dialect == "postgresql":
        return f"width_bucket(timecreated - 1, ARRAY[{', '.join(f'CAST({name} AS bigint)' for name in names)}])"
    if dialect == "mysql":
        return f"INTERVAL(timecreated - 1, {', '.join(names)})"
    return (
        "CASE "
        + " ".join(f"WHEN timecreated <= {name} THEN {i}" for i, name in enumerate(names))
        + (f" ELSE {bounds} END")
    )


def user_logs(site: Site, users: Sequence[int]) -> dict[int, Integers]:
    """Kind of action (READ or WRITE) and Unix time of what each user did in the user's own context: (rows, 2)."""
    return integers_by_key(
        site,
        f"SELECT userid, CASE crud WHEN 'r' THEN {READ} ELSE {WRITE} END, timecreated FROM {{logstore_standard_log}} "
        "WHERE userid IN :users AND contextlevel = 30 AND contextinstanceid = userid AND crud IN ('r', 'c', 'u')",
        2,
        users=users,
    )


def action_times(site: Site, course: int, users: Sequence[int], start: int, end: int) -> dict[int, list[int]]:
    """Unix times, later than ``start`` and not later than ``end``, at which users did anything in a course, by user."""
    times: dict[int, list[int]] = {}
    for first in range(0, len(users), _USERS_A_QUERY):
        for user, time in site.database.rows(
            "SELECT DISTINCT userid, timecreated FROM {logstore_standard_log} WHERE courseid = :course "
            "AND timecreated > :start AND timecreated <= :end AND userid IN :users",
            course=course, start=start, end=end, users=users[first : first + _USERS_A_QUERY],
        ):  # fmt: skip
            times.setdefault(user, []).append(time)
    return times


def last_accesses(site: Site, courses: Sequence[int]) -> dict[int, Integers]:
    """User and Unix time of each user's last access to each course: (users, 2), sorted by user."""
    return integers_by_key(
        site,
        "SELECT courseid, userid, MAX(timeaccess) FROM {user_lastaccess} WHERE courseid IN :courses "
        "GROUP BY courseid, userid ORDER BY userid",
        2,
        courses=courses,
    )


def log_span(site: Site) -> LogSpan:
    """How much the log holds, of what time."""
    [row] = site.database.rows("SELECT COUNT(*), MIN(timecreated), MAX(timecreated) FROM {logstore_standard_log}")
    return LogSpan(*(int(value or 0) for value in row))


def largest_log_id(site: Site) -> int:
    """About how many rows the log has had: quick, however many there are."""
    return int(site.database.rows("SELECT MAX(id) FROM {logstore_standard_log}")[0][0] or 0)


def oldest_log(site: Site, now: int) -> int:
    """Since when the site has its log, a Unix time; 0 where it deletes nothing."""
    days = log_lifetime(site)
    return now - days * _SECONDS_A_DAY if days else 0


def log_lifetime(site: Site) -> int:
    """Days after which the site deletes log rows; 0: never, for Moodle deletes from its own table alone."""
    log = site.database.log
    if log is not site.database and (log.temporary or log.schema.log_table):
        return 0
    rows = site.database.rows(
        "SELECT value FROM {config_plugins} WHERE plugin = 'logstore_standard' AND name = 'loglifetime'"
    )
    return int(rows[0][0]) if rows and str(rows[0][0]).isdecimal() else 0
