"""What a teacher does about students: written down with the insight about each, and undone as it was done, at once."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING

from moodlemlbackend.analytics.db import follow_ups, insights, messages, risks
from moodlemlbackend.analytics.notifications.switch import ATTEMPTS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from moodlemlbackend.analytics.db import Connection
    from moodlemlbackend.analytics.students.student import Student
    from moodlemlbackend.analytics.workspace import Workspace

BATCH_DIGITS = 32


@dataclass(frozen=True)
class Known:
    """What a model says of a student now: the insight (None without one) and the probability (None without one)."""

    predictionid: int | None = None
    probability: float | None = None


def new_batch() -> str:
    """A name for what is done at once: hexadecimal digits."""
    return secrets.token_hex(BATCH_DIGITS // 2)


def known_now(
    connection: Connection, contextid: int, modelid: int | None, students: Sequence[Student]
) -> dict[int, Known]:
    """What a model says of students in a course's context, by user."""
    if modelid is None:
        return {student.userid: Known() for student in students}
    enrolments = {enrolment for student in students for enrolment in student.enrolments}
    predicted = risks.in_context(connection, contextid, modelid, enrolments)
    flagged = insights.of_samples(connection, contextid, modelid, enrolments)
    known = {}
    for student in students:
        last = next(reversed(student.trend(predicted)), None)
        sample = last.sampleid if last else next((own for own in student.enrolments if own in flagged), None)
        insight, probability = flagged.get(sample or 0), last.probability if last else None
        known[student.userid] = Known(insight, probability)
    return known


def record(
    connection: Connection,
    workspace: Workspace,
    courseid: int,
    known: Mapping[int, Known],
    kind: str,
    *,
    batch: str,
    texts: Mapping[int, str] | None = None,
    until: int | None = None,
) -> dict[int, int]:
    """Note that the workspace's user did something about students; returns the id of each follow-up, by student.

    ``texts`` are those of notes and messages, by student.
    """
    now = workspace.clock()
    return {
        student: follow_ups.insert(
            connection, courseid=courseid, studentid=student, userid=workspace.userid, kind=kind, batch=batch, now=now,
            text=(texts or {}).get(student, ""), until=until, predictionid=insight.predictionid,
            probability=insight.probability,
        )
        for student, insight in known.items()
    }  # fmt: skip


def undo(workspace: Workspace, courseid: int, batch: str) -> int:
    """Undo what the workspace's user did at once in a course; returns how many students it concerned.

    Messages that wait are not sent any more, and one that is being sent is not tried again; those that were sent stay.
    """
    with workspace.store.write() as connection:
        messages.withdraw(connection, batch, courseid, workspace.userid, attempts=ATTEMPTS)
        return follow_ups.undo(connection, batch, courseid, workspace.userid, workspace.clock())
