"""What teachers do about students: messages, notes, and where a student stands with them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import delete, or_, select, update

from moodlemlbackend.analytics.db import messages
from moodlemlbackend.analytics.db.database import among
from moodlemlbackend.analytics.db.schema import FOLLOW_UPS, MESSAGES

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from sqlalchemy import ColumnElement, Connection

MESSAGE, NOTE, CONTACTED, RESOLVED, SNOOZED, REOPENED = (
    "message", "note", "contacted", "resolved", "snoozed", "reopened",
)  # fmt: skip
KINDS = (MESSAGE, NOTE, CONTACTED, RESOLVED, SNOOZED, REOPENED)


@dataclass(frozen=True)
class FollowUp:
    """Something that a teacher (``userid``) did about a student in a course.

    Attributes
    ----------
    kind
        one of :data:`KINDS`.
    text
        of a note or message; empty without.
    until
        when a snooze ends, a Unix time; None for other kinds.
    predictionid, probability
        the insight about the student at that time, and its probability; None without one.
    batch
        the same for what was done at once.
    timecreated
        a Unix time.
    """

    id: int
    courseid: int
    studentid: int
    userid: int
    kind: str
    text: str
    until: int | None
    predictionid: int | None
    probability: float | None
    batch: str
    timecreated: int


_COLUMNS = tuple(
    FOLLOW_UPS.c[name]
    for name in (
        "id", "courseid", "studentid", "userid", "kind", "text", "until", "predictionid", "probability", "batch",
        "timecreated",
    )
)  # fmt: skip


def insert(
    connection: Connection,
    *,
    courseid: int,
    studentid: int,
    userid: int,
    kind: str,
    batch: str,
    now: int,
    text: str = "",
    until: int | None = None,
    predictionid: int | None = None,
    probability: float | None = None,
) -> int:
    """Note what a teacher has done; returns its id."""
    values = {
        "courseid": courseid, "studentid": studentid, "userid": userid, "kind": kind, "text": text or None,
        "until": until, "predictionid": predictionid, "probability": probability, "batch": batch, "timecreated": now,
    }  # fmt: skip
    key = connection.execute(FOLLOW_UPS.insert().values(values)).inserted_primary_key
    return int(key[0]) if key else 0


def listed(
    connection: Connection, courseid: int, studentids: Collection[int] | None = None
) -> dict[int, list[FollowUp]]:
    """What was done in a course and not undone, by student, oldest first; of some students or of all."""
    chosen = [FOLLOW_UPS.c.courseid == courseid]
    if studentids is not None:
        chosen.append(among(FOLLOW_UPS.c.studentid, studentids))
    return {student: follow_ups for (_, student), follow_ups in _by_student(connection, *chosen).items()}


def in_courses(connection: Connection, courseids: Collection[int]) -> dict[tuple[int, int], list[FollowUp]]:
    """The same of several courses, by course and student."""
    return _by_student(connection, among(FOLLOW_UPS.c.courseid, courseids))


def _by_student(connection: Connection, *where: ColumnElement[bool]) -> dict[tuple[int, int], list[FollowUp]]:
    query = select(*_COLUMNS).where(*where, FOLLOW_UPS.c.timeundone.is_(None)).order_by(FOLLOW_UPS.c.id)
    by_student: dict[tuple[int, int], list[FollowUp]] = {}
    for row in connection.execute(query):
        follow_up = FollowUp(**{**row._asdict(), "text": row.text or ""})
        by_student.setdefault((follow_up.courseid, follow_up.studentid), []).append(follow_up)
    return by_student


def undo(connection: Connection, batch: str, courseid: int, userid: int, now: int) -> int:
    """Undo what a teacher did at once in a course; returns how many students it concerned.

    Messages that have been sent from here stay: nobody can take them back.
    """
    chosen = _undoable(batch, courseid, userid)
    return connection.execute(update(FOLLOW_UPS).where(*chosen).values(timeundone=now)).rowcount


def undoable(connection: Connection, batch: str, courseid: int, userid: int) -> bool:
    """Whether there is anything that :func:`undo` would undo."""
    chosen = select(FOLLOW_UPS.c.id).where(*_undoable(batch, courseid, userid))
    return connection.execute(chosen.limit(1)).first() is not None


def _undoable(batch: str, courseid: int, userid: int) -> tuple[ColumnElement[bool], ...]:
    sent = select(MESSAGES.c.followupid).where(MESSAGES.c.timesent.is_not(None))
    return (
        FOLLOW_UPS.c.batch == batch, FOLLOW_UPS.c.courseid == courseid, FOLLOW_UPS.c.userid == userid,
        FOLLOW_UPS.c.timeundone.is_(None), FOLLOW_UPS.c.id.not_in(sent),
    )  # fmt: skip


def students_of(connection: Connection, batch: str) -> set[int]:
    """Ids of the students about whom something was done under this name of a batch, and not undone."""
    query = select(FOLLOW_UPS.c.studentid).where(FOLLOW_UPS.c.batch == batch, FOLLOW_UPS.c.timeundone.is_(None))
    return set(connection.execute(query).scalars())


def students(connection: Connection) -> set[int]:
    """Ids of the students about whom something was done."""
    return set(connection.execute(select(FOLLOW_UPS.c.studentid).distinct()).scalars())


def courses(connection: Connection) -> set[int]:
    """Ids of the courses in which something was done."""
    return set(connection.execute(select(FOLLOW_UPS.c.courseid).distinct()).scalars())


def forget(connection: Connection, *, courseids: Sequence[int] = (), studentids: Sequence[int] = ()) -> int:
    """Delete what was done in courses and about students, with the messages; returns how much."""
    messages.forget(connection, courseids=courseids, studentids=studentids)
    concerned = or_(FOLLOW_UPS.c.courseid.in_(courseids), FOLLOW_UPS.c.studentid.in_(studentids))
    return connection.execute(delete(FOLLOW_UPS).where(concerned)).rowcount
