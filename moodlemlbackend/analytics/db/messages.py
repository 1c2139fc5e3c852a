"""Messages to students that are sent from here: what is to be sent, and what came of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import delete, func, or_, select, update

from moodlemlbackend.analytics.db.database import among
from moodlemlbackend.analytics.db.schema import FOLLOW_UPS, MESSAGES

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from sqlalchemy import Connection

NOTHING = {"address": "", "replyto": "", "text": ""}
"""What is left of a message that is not sent any more: what it said is in its follow-up."""


@dataclass(frozen=True)
class Outgoing:
    """A message that is to be sent to a student.

    Attributes
    ----------
    begun
        whether sending it began before, and nobody noted how that ended.
    created
        when it was written, a Unix time.
    """

    id: int
    followupid: int
    studentid: int
    channel: str
    address: str
    replyto: str
    subject: str
    text: str
    attempts: int
    begun: bool
    created: int


@dataclass(frozen=True)
class Progress:
    """What came of a message so far: who wrote it to whom, how, when, and the last problem; times are Unix times.

    ``sent`` is None for one that has not been sent; ``text`` is what the teacher wrote to the student.
    """

    courseid: int
    studentid: int
    userid: int
    batch: str
    channel: str
    subject: str
    text: str
    attempts: int
    again: int
    created: int
    sent: int | None
    error: str


def insert(
    connection: Connection,
    followupid: int,
    *,
    channel: str,
    address: str,
    replyto: str,
    subject: str,
    text: str,
    now: int,
) -> None:
    """Write a message that is to be sent from now on."""
    values = {
        "followupid": followupid, "channel": channel, "address": address, "replyto": replyto, "subject": subject,
        "text": text, "timenext": now,
    }  # fmt: skip
    connection.execute(MESSAGES.insert().values(values))


def due(
    connection: Connection, *, now: int, attempts: int, after: int, without: Collection[str], batch: str, most: int
) -> list[Outgoing]:
    """What is to be sent now and has been tried less often than ``attempts`` times, after a message's id.

    ``batch`` limits it to what was written at once; empty for all.
    """
    message, follow_up = MESSAGES.c, FOLLOW_UPS.c
    query = (
        select(
            message.id, message.followupid, follow_up.studentid, message.channel, message.address, message.replyto,
            message.subject, message.text, message.attempts, message.timebegun, follow_up.timecreated,
        )
        .join(FOLLOW_UPS, follow_up.id == message.followupid)
        .where(
            message.timesent.is_(None), message.timenext <= now, message.attempts < attempts, message.id > after,
            message.channel.not_in(without),
        )
        .order_by(message.id)
        .limit(most)
    )  # fmt: skip
    if batch:
        query = query.where(follow_up.batch == batch)
    return [Outgoing(*row[:9], row.timebegun is not None, row.timecreated) for row in connection.execute(query)]


def claim(connection: Connection, message: Outgoing, *, now: int, until: int) -> bool:
    """Have nobody else send a message until a time; False when somebody was quicker. It counts as an attempt."""
    mine = (
        MESSAGES.c.id == message.id, MESSAGES.c.timesent.is_(None), MESSAGES.c.timenext <= now,
        MESSAGES.c.attempts == message.attempts,
    )  # fmt: skip
    values = {"attempts": message.attempts + 1, "timenext": until, "timebegun": now}
    return connection.execute(update(MESSAGES).where(*mine).values(values)).rowcount == 1


def sent(connection: Connection, message: Outgoing, now: int) -> None:
    """Note that a message has been sent, even if it was withdrawn meanwhile; only its follow-up keeps the text."""
    values = {**NOTHING, "timesent": now, "timebegun": None, "error": None}
    connection.execute(update(MESSAGES).where(MESSAGES.c.id == message.id).values(values))
    connection.execute(update(FOLLOW_UPS).where(FOLLOW_UPS.c.id == message.followupid).values(timeundone=None))


def postponed(connection: Connection, message: Outgoing, *, again: int, error: str) -> None:
    """Note that a message could not be sent, and when it is to be tried again."""
    values = {"timenext": again, "timebegun": None, "error": error}
    connection.execute(update(MESSAGES).where(MESSAGES.c.id == message.id).values(values))


def given_up(connection: Connection, message: Outgoing, *, attempts: int, now: int, error: str) -> None:
    """Note that a message will not be sent, and why; the student has not been contacted by it."""
    values = {**NOTHING, "attempts": attempts, "timebegun": None, "error": error}
    connection.execute(update(MESSAGES).where(MESSAGES.c.id == message.id).values(values))
    undone = FOLLOW_UPS.c.id == message.followupid, FOLLOW_UPS.c.timeundone.is_(None)
    connection.execute(update(FOLLOW_UPS).where(*undone).values(timeundone=now))


def withdraw(connection: Connection, batch: str, courseid: int, userid: int, *, attempts: int) -> None:
    """Have what a teacher wrote at once not be sent: delete it, and give up what is being sent after this attempt."""
    own = FOLLOW_UPS.c.batch == batch, FOLLOW_UPS.c.courseid == courseid, FOLLOW_UPS.c.userid == userid
    written = select(FOLLOW_UPS.c.id).where(*own)
    waits = MESSAGES.c.timesent.is_(None), MESSAGES.c.attempts < attempts, MESSAGES.c.followupid.in_(written)
    connection.execute(delete(MESSAGES).where(*waits, MESSAGES.c.timebegun.is_(None)))
    connection.execute(update(MESSAGES).where(*waits).values({**NOTHING, "attempts": attempts}))


def progress(
    connection: Connection,
    courseid: int,
    *,
    batch: str = "",
    students: Collection[int] | None = None,
    most: int,
    offset: int = 0,
) -> list[Progress]:
    """What came of a course's messages, newest first; of those written at once, and to some students, or of all."""
    message, follow_up = MESSAGES.c, FOLLOW_UPS.c
    query = (
        select(
            follow_up.courseid, follow_up.studentid, follow_up.userid, follow_up.batch, message.channel,
            message.subject, follow_up.text, message.attempts, message.timenext.label("again"),
            follow_up.timecreated.label("created"), message.timesent.label("sent"), message.error,
        )
        .join(FOLLOW_UPS, follow_up.id == message.followupid)
        .where(follow_up.courseid == courseid)
        .order_by(message.id.desc())
        .limit(most)
        .offset(offset)
    )  # fmt: skip
    if batch:
        query = query.where(follow_up.batch == batch)
    if students is not None:
        query = query.where(among(follow_up.studentid, students))
    rows = connection.execute(query)
    return [Progress(**{**row._asdict(), "text": row.text or "", "error": row.error or ""}) for row in rows]


def waiting(connection: Connection, attempts: int) -> int:
    """How many messages have not been sent, and tried less often than ``attempts`` times."""
    query = select(func.count()).select_from(MESSAGES)
    query = query.where(MESSAGES.c.timesent.is_(None), MESSAGES.c.attempts < attempts)
    return int(connection.execute(query).scalar() or 0)


def forget(connection: Connection, *, courseids: Sequence[int] = (), studentids: Sequence[int] = ()) -> None:
    """Delete the messages in courses and to students; to be called before their follow-ups are."""
    concerned = or_(FOLLOW_UPS.c.courseid.in_(courseids), FOLLOW_UPS.c.studentid.in_(studentids))
    connection.execute(delete(MESSAGES).where(MESSAGES.c.followupid.in_(select(FOLLOW_UPS.c.id).where(concerned))))
