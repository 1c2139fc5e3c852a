"""Messages from teachers to students: written for each, noted as a follow-up in the same transaction, then sent.

What is to be sent is in the store first, so a server that is killed leaves it to the scheduled tasks. Whoever sends a
message claims it for some minutes. A sender that is killed after a mail server has taken a message and before that is
noted sends it once more, under the same Message-ID; Moodle has nothing by which the same message could be recognised,
so there it is given up with a sentence instead. What cannot be sent is tried again later, up to :data:`ATTEMPTS` times;
a message that is given up no longer counts as contact.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from moodlemlbackend.analytics.db import follow_ups, messages
from moodlemlbackend.analytics.notifications import moodle
from moodlemlbackend.analytics.notifications.attempts import FIRST_DELAY_SECONDS
from moodlemlbackend.analytics.notifications.mail import Email, Mailer
from moodlemlbackend.analytics.notifications.switch import ATTEMPTS
from moodlemlbackend.analytics.site.names import format_name
from moodlemlbackend.analytics.students import follow_up
from moodlemlbackend.analytics.students.templates import COURSE, DUE, NAME, TEACHER, fill, lines, one_line
from moodlemlbackend.analytics.students.texts import say
from moodlemlbackend.errors import BusyError, DeliveryError, RefusedError
from moodlemlbackend.language.dates import Dates

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from moodlemlbackend.analytics.db import Connection
    from moodlemlbackend.analytics.db.messages import Outgoing
    from moodlemlbackend.analytics.site import Site
    from moodlemlbackend.analytics.students.course_facts import CourseFacts
    from moodlemlbackend.analytics.students.follow_up import Known
    from moodlemlbackend.analytics.students.student import Student
    from moodlemlbackend.analytics.workspace import Workspace
    from moodlemlbackend.settings.analytics import AnalyticsSettings

MOODLE, EMAIL, OWN = "moodle", "email", "own"
"""Through Moodle, by e-mail from the server, and with the teacher's own mail program."""

CLAIM_SECONDS = 900
"""Longer than any message takes to be sent."""

MOST_DUE = 10
"""Activities that a message names; the others are counted."""

AT_ONCE = 50

KILLED = (
    "Nobody can tell whether Moodle has sent the message, because the sender was stopped in the middle, so it was not "
    "sent again; look at the conversation in Moodle."
)


@dataclass(frozen=True)
class Sender:
    """The teacher who writes, and the course it is about; ``email`` is empty for a teacher without an address."""

    userid: int
    name: str
    email: str
    courseid: int
    course: str


@dataclass(frozen=True)
class WrittenMessage:
    """A message to one student as it will be sent; ``text`` is what the teacher wrote, filled in.

    ``due`` says whether the student has anything to do that is due.
    """

    to: Student
    subject: str
    text: str
    due: bool

    def sent_through_moodle(self, settings: AnalyticsSettings, sender: Sender) -> str:
        """The text with a line that says who wrote it, because another user sends it."""
        url = f"{settings.wwwroot}/message/index.php?id={sender.userid}"
        return f"{self.text}\n\n{say('from teacher', teacher=sender.name, course=sender.course, url=url)}"


@dataclass
class SentMessages:
    """What came of the messages that were due; ``given_up`` includes those whose fate nobody knows."""

    sent: int = 0
    waiting: int = 0
    given_up: int = 0
    problems: list[str] = field(default_factory=list)


def ways(settings: AnalyticsSettings, site: Site) -> list[str]:
    """The ways in which messages can be sent here: as the administrator has set them up, and as the site allows."""
    allowed = site.config.get("messaging", "1") not in ("", "0")
    through_moodle = allowed and settings.moodle_token and settings.wwwroot
    return [*([MOODLE] if through_moodle else []), *([EMAIL] if settings.smtp_host else []), OWN]


def hindrance(way: str, student: Student) -> str:
    """Why a student cannot be reached in a way: ``no address`` or ``no email``; empty for one who can."""
    if way == MOODLE:
        return ""
    if not student.email:
        return "no address"
    return "no email" if way == EMAIL and not student.wants_email else ""


def due_by_student(site: Site, facts: CourseFacts, students: Sequence[int]) -> dict[int, list[str]]:
    """The activities of a course that are due and that each student has not done, one a line, in the reader's words."""
    dates = Dates(site.zone)
    by_student = {}
    for student in students:
        missing = facts.missing(student)
        shown = [
            say("activity due", name=one_line(format_name(activity.name, site.language)), day=dates.day(closed))
            for closed, activity in missing[:MOST_DUE]
        ]
        more = len(missing) - len(shown)
        by_student[student] = [*shown, *([say("activities due more", count=more)] if more else [])]
    return by_student


def write(sender: Sender, student: Student, subject: str, text: str, due: Sequence[str]) -> WrittenMessage:
    """Fill in what a teacher has written, for one student."""
    values = {
        NAME: one_line(student.first_name) or one_line(student.name), COURSE: one_line(sender.course),
        DUE: "\n".join(due), TEACHER: one_line(sender.name),
    }  # fmt: skip
    in_subject = {**values, DUE: ", ".join(due)}
    return WrittenMessage(student, one_line(fill(one_line(subject), in_subject)), fill(lines(text), values), bool(due))


def put(
    workspace: Workspace,
    sender: Sender,
    written: Sequence[WrittenMessage],
    known: Mapping[int, Known],
    way: str,
    batch: str,
) -> bool:
    """Write down messages and that the students are contacted; False when all of this batch were written down before.

    Those that were undone since are written down again.
    Those that the teacher's own mail program sends are follow-ups only.
    """
    with workspace.store.lock(f"messages {sender.courseid}") as held, workspace.store.write() as connection:
        if not held:
            raise BusyError("Other messages to this course are being saved right now; send yours again.")
        before = follow_ups.students_of(connection, batch)
        written = [message for message in written if message.to.userid not in before]
        texts = {message.to.userid: message.text for message in written}
        about = {message.to.userid: known.get(message.to.userid, follow_up.Known()) for message in written}
        ids = follow_up.record(
            connection, workspace, sender.courseid, about, follow_ups.MESSAGE, batch=batch, texts=texts
        )
        for message in written if way != OWN else ():
            through_moodle = way == MOODLE
            messages.insert(
                connection,
                ids[message.to.userid],
                channel=way,
                address="" if through_moodle else message.to.email,
                replyto="" if through_moodle else sender.email,
                subject=message.subject,
                text=message.sent_through_moodle(workspace.settings, sender) if through_moodle else message.text,
                now=workspace.clock(),
            )
    return bool(written)


def deliver(workspace: Workspace, batch: str = "", stopping: Callable[[], bool] = bool) -> SentMessages:
    """Send what is due, or what is due of a batch; several processes may do that at once.

    It ends early when ``stopping`` says so.
    """
    result, unreachable, after = SentMessages(), set[str](), 0
    for channel, missing in _missing(workspace.settings).items():
        if missing:
            unreachable.add(channel)
    with Mailer(workspace.settings) as mailer:
        while outgoing := _due(workspace, after, unreachable, batch):
            after = outgoing[-1].id
            for message in outgoing:
                if stopping():
                    return result
                if message.channel not in unreachable and not _send(workspace, message, mailer, result):
                    unreachable.add(message.channel)
    with workspace.store.read() as connection:
        result.waiting = messages.waiting(connection, ATTEMPTS)
    return result


def _missing(settings: AnalyticsSettings) -> dict[str, bool]:
    """The channels that have been switched off since: what waits for them stays."""
    return {MOODLE: not (settings.moodle_token and settings.wwwroot), EMAIL: not settings.smtp_host}


def _due(workspace: Workspace, after: int, unreachable: set[str], batch: str) -> list[Outgoing]:
    with workspace.store.read() as connection:
        return messages.due(
            connection, now=workspace.clock(), attempts=ATTEMPTS, after=after, without=unreachable, batch=batch,
            most=AT_ONCE,
        )  # fmt: skip


def _send(workspace: Workspace, message: Outgoing, mailer: Mailer, result: SentMessages) -> bool:
    """Send one message and note what came of it; False when nothing can be sent through its channel now."""
    now = workspace.clock()
    with workspace.store.write() as connection:
        if not messages.claim(connection, message, now=now, until=now + CLAIM_SECONDS):
            return True
        if message.begun and message.channel == MOODLE:
            _give_up(connection, message, now, KILLED, result)
            return True
    problem, reachable, final = "", True, False
    try:
        if message.channel == MOODLE:
            moodle.send(workspace.settings, message.studentid, message.text)
        else:
            mailer.send(_email(message))
    except RefusedError as error:
        problem, final = str(error), error.final
    except DeliveryError as error:
        problem, reachable = str(error), False
    now = workspace.clock()
    with workspace.store.write() as connection:
        if not problem:
            messages.sent(connection, message, now)
            result.sent += 1
        elif final or message.attempts + 1 >= ATTEMPTS:
            _give_up(connection, message, now, problem, result)
        else:
            again = now + FIRST_DELAY_SECONDS * 2**message.attempts
            messages.postponed(connection, message, again=again, error=problem)
            _note(result, problem)
    return reachable


def _give_up(connection: Connection, message: Outgoing, now: int, problem: str, result: SentMessages) -> None:
    messages.given_up(connection, message, attempts=ATTEMPTS, now=now, error=problem)
    result.given_up += 1
    _note(result, problem)


def _note(result: SentMessages, problem: str) -> None:
    if problem not in result.problems:
        result.problems.append(problem)


def _email(message: Outgoing) -> Email:
    return Email(
        message.address, message.subject, message.text, "", message.created, f"message {message.id}",
        reply_to=message.replyto, personal=True,
    )  # fmt: skip
