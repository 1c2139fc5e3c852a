"""The table of a course's students: a row for each, searched, filtered and sorted."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from typing import TYPE_CHECKING

from moodlemlbackend.analytics.students.alerts import AlertKind, alerts_in
from moodlemlbackend.analytics.students.bands import Band, band_of
from moodlemlbackend.analytics.students.standing import State, flagged_since, standing_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from datetime import tzinfo

    from moodlemlbackend.analytics.db.follow_ups import FollowUp
    from moodlemlbackend.analytics.db.risks import Risk
    from moodlemlbackend.analytics.site.groups import Group
    from moodlemlbackend.analytics.site.site import CourseRow
    from moodlemlbackend.analytics.students.alerts import Alert
    from moodlemlbackend.analytics.students.course_facts import CourseFacts
    from moodlemlbackend.analytics.students.standing import Standing
    from moodlemlbackend.analytics.students.student import Student

ANY, NOBODY = "any", "none"
"""Of alerts and groups: one at least, and none."""

TO_DO = "todo"
"""Nobody has contacted the student, and no snooze or resolution stands."""

FIRST, LAST = -1, 1


@dataclass(frozen=True)
class RosterRow:
    """A student in the table.

    Attributes
    ----------
    trend
        the risks of all ranges so far, of the enrolment that was predicted last.
    risk
        the latest of them; None when nobody predicted.
    last_access
        a Unix time; None for a student who has never opened the course.
    done, due
        how many of the activities that have been due the student has done.
    grade
        so far, from 0 to 1; None without one, or where it may not be seen.
    groups
        those of the course that may be seen.
    """

    student: Student
    trend: Sequence[Risk]
    risk: Risk | None
    band: Band
    alerts: tuple[Alert, ...]
    last_access: int | None
    done: int
    due: int
    grade: float | None
    standing: Standing
    groups: tuple[Group, ...]

    @property
    def change(self) -> float | None:
        """By how much the probability has risen since the range before; None with fewer than two."""
        return self.trend[-1].probability - self.trend[-2].probability if len(self.trend) > 1 else None

    @property
    def settled(self) -> bool:
        """Whether there is nothing to do about the student for now."""
        return self.standing.state in (State.RESOLVED, State.SNOOZED)


@dataclass(frozen=True)
class RosterQuery:
    """Which rows are asked for, and their order.

    Attributes
    ----------
    sort
        a key of :data:`ORDERS`, with a minus sign in front for the other way round; anything else is the first of them.
    search
        a part of the name.
    group, band, alert, contact
        each filters when it is not empty: the id of a group, or :data:`NOBODY`; a band; a kind of alert, :data:`ANY`
        or :data:`NOBODY`; a state, or :data:`TO_DO`.
    """

    sort: str = ""
    search: str = ""
    group: str = ""
    band: str = ""
    alert: str = ""
    contact: str = ""


def roster(
    course: CourseRow,
    facts: CourseFacts,
    students: Iterable[Student],
    risks: Mapping[int, Sequence[Risk]],
    follow_ups: Mapping[int, Sequence[FollowUp]],
    *,
    zone: tzinfo,
    minimum_score: float,
    sees_grades: bool,
    groups: Sequence[Group],
) -> list[RosterRow]:
    """Make the rows of students, in no order.

    ``risks`` are those of one model by enrolment, ``follow_ups`` by user; ``groups`` those that may be seen.
    """
    alerts = alerts_in(course, facts, zone)
    rows = []
    for student in students:
        trend = student.trend(risks)
        latest = trend[-1] if trend else None
        user = student.userid
        done, due = facts.work(user)
        rows.append(
            RosterRow(
                student=student,
                trend=trend,
                risk=latest,
                band=band_of(latest, minimum_score),
                alerts=alerts(user),
                last_access=facts.last_access.get(user),
                done=done,
                due=due,
                grade=facts.grade(user) if sees_grades else None,
                standing=standing_of(follow_ups.get(user, ()), facts.now, flagged_since(trend, minimum_score)),
                groups=tuple(group for group in groups if user in group.members),
            )
        )
    return rows


def chosen(rows: Iterable[RosterRow], query: RosterQuery) -> list[RosterRow]:
    """The rows that are asked for, in the order that is asked for."""
    wanted = plain(query.search)
    kept = [row for row in rows if _fits(row, query) and wanted in plain(row.student.name)]
    kept.sort(key=_by_name, reverse=query.sort == "-name")
    sign = -1 if query.sort.startswith("-") else 1
    key = ORDERS.get(query.sort.removeprefix("-"), ORDERS[RISK])
    return sorted(kept, key=lambda row: _placed(key(row), sign))


def plain(text: str) -> str:
    """A text as it is searched: without case, accents and spaces around it."""
    letters = unicodedata.normalize("NFKD", text.casefold())
    return "".join(letter for letter in letters if not unicodedata.combining(letter)).strip()


def _fits(row: RosterRow, query: RosterQuery) -> bool:
    kinds = {alert.kind.value for alert in row.alerts}
    groups = {str(group.id) for group in row.groups}
    return (
        (not query.band or row.band.value == query.band)
        and _has(kinds, query.alert)
        and _has(groups, query.group)
        and (not query.contact or query.contact == row.standing.state.value or (query.contact == TO_DO and _to_do(row)))
    )


def _has(values: set[str], wanted: str) -> bool:
    if wanted in ("", ANY):
        return bool(values) or not wanted
    return not values if wanted == NOBODY else wanted in values


def _to_do(row: RosterRow) -> bool:
    return row.standing.state is State.OPEN and row.standing.contact is None


def _by_name(row: RosterRow) -> tuple[str, str, int]:
    return plain(row.student.last_name), plain(row.student.first_name), row.student.userid


def _placed(key: tuple[int, float], sign: int) -> tuple[int, float]:
    """What has no value stays first or last, whichever way the others go."""
    place, value = key
    return (place, sign * value) if place == 0 else (place, 0)


def _urgency(row: RosterRow) -> tuple[int, float]:
    """Settled rows come last either way; those without a prediction, but with an alert, after the medium band."""
    if row.settled:
        return LAST, 0.0
    if row.risk is not None:
        return 0, row.band.rank - 3 - row.risk.probability
    return 0, -2 + 0.1 * [*AlertKind].index(row.alerts[0].kind) if row.alerts else 0.0


def _or_last(value: float | None) -> tuple[int, float]:
    return (LAST, 0.0) if value is None else (0, value)


RISK = "risk"

ORDERS: dict[str, Callable[[RosterRow], tuple[int, float]]] = {
    RISK: _urgency,
    "name": lambda _: (0, 0),
    "trend": lambda row: _or_last(None if row.change is None else -row.change),
    "access": lambda row: (FIRST, 0) if row.last_access is None else (0, row.last_access),
    "work": lambda row: (0, row.done - row.due),
    "grade": lambda row: _or_last(row.grade),
    "contact": lambda row: (FIRST, 0) if row.standing.contact is None else (0, row.standing.contact.timecreated),
}
"""By name what a row is sorted by: :data:`FIRST` or :data:`LAST` where it has no value, else 0, and the value."""
