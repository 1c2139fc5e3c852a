"""Messages to students of a course: written, shown as each student will get it, sent, and what came of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from moodlemlbackend.analytics.db import messages as stored
from moodlemlbackend.analytics.db import templates as stored_templates
from moodlemlbackend.analytics.insights.actions import mailto
from moodlemlbackend.analytics.notifications.switch import ATTEMPTS
from moodlemlbackend.analytics.site.people import describe
from moodlemlbackend.analytics.students import follow_up, messages, templates
from moodlemlbackend.analytics.students.course_facts import read_course_facts
from moodlemlbackend.analytics.students.messages import MOODLE, OWN, Sender
from moodlemlbackend.errors import RequestError
from moodlemlbackend.server import limits
from moodlemlbackend.server.pages.site.acting import NOTHING, UNDONE, batch_of, chosen_students, known_of
from moodlemlbackend.server.pages.site.course_access import open_course
from moodlemlbackend.server.pages.site.responses import Page, go
from moodlemlbackend.server.texts import say

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from fastapi.responses import Response

    from moodlemlbackend.analytics.db.messages import Progress
    from moodlemlbackend.analytics.students.messages import WrittenMessage
    from moodlemlbackend.analytics.students.student import Student
    from moodlemlbackend.server.pages.site.course_access import CourseAccess
    from moodlemlbackend.server.pages.site.forms import PageForm
    from moodlemlbackend.server.pages.site.request_context import RequestContext

AT_FIRST = "question"
"""The template that a message begins with: what it says is true of everybody."""

SEND, EDIT = "send", "edit"
REFRESH_SECONDS = 5
SENDING_SECONDS = 60


@dataclass(frozen=True)
class Draft:
    """A message as a teacher has written it; ``way`` is how it is to be sent."""

    subject: str
    text: str
    way: str


@dataclass(frozen=True)
class Sent:
    """A message in a list: to whom, from whom, and what has become of it in one word."""

    student: Student
    teacher: str
    progress: Progress
    now: int

    @property
    def state(self) -> str:
        """``sent``, ``failed``, ``sending`` in the first minute, or ``waits`` for the next run of the tasks."""
        if self.progress.sent is not None:
            return "sent"
        if self.progress.attempts >= ATTEMPTS:
            return "failed"
        return "waits" if self.progress.error or self.now - self.progress.created > SENDING_SECONDS else "sending"


def compose(ctx: RequestContext, courseid: int, userids: Sequence[int], template: str) -> Page:
    """The page on which a message to students is written, beginning with a template."""
    access = open_course(ctx, courseid)
    students = chosen_students(access, userids, limits.MESSAGES_AT_ONCE)
    chosen = find_template(ctx, courseid, template or AT_FIRST)
    way = messages.ways(ctx.workspace.settings, ctx.site)[0]
    return _compose(ctx, access, students, Draft(chosen.subject, chosen.text, way), template or AT_FIRST)


def take(ctx: RequestContext, form: PageForm, courseid: int) -> Page | Response:
    """Show a message that has been written as each student will get it, or send it as it was shown."""
    access = open_course(ctx, courseid)
    students = chosen_students(access, form.numbers("student"), limits.MESSAGES_AT_ONCE)
    draft = Draft(templates.one_line(form.text("subject")), templates.lines(form.text("text")), form.text("way"))
    if draft.way not in messages.ways(ctx.workspace.settings, ctx.site):
        raise RequestError(say("no such way"), 400)
    if form.text("step") == EDIT:
        return _compose(ctx, access, students, draft)
    if problem := problem_of(draft.subject, draft.text):
        return _compose(ctx, access, students, draft, problem=problem)
    sender = _sender(ctx, access)
    written = _written(ctx, access, sender, students, draft)
    reached = [message for message in written if not messages.hindrance(draft.way, message.to)]
    if form.text("step") != SEND:
        return _preview(ctx, access, sender, draft, written, reached, form.number("show"))
    if not reached:
        raise RequestError(say("nobody reached"), 400)
    batch = batch_of(form)
    known = known_of(ctx, access, [message.to for message in reached])
    new = messages.put(ctx.workspace, sender, reached, known, draft.way, batch)
    if draft.way == OWN:
        return _own_program(access, draft, reached, batch)
    if new:
        ctx.sender.send(ctx.workspace, batch)
    return go(f"/courses/{courseid}/messages?batch={batch}")


def index(ctx: RequestContext, courseid: int, batch: str, page: int, done: str) -> Page:
    """The messages to students of a course, newest first; or what has become of those that were sent at once."""
    access = open_course(ctx, courseid)
    first = (page - 1) * limits.PAGE_STUDENTS
    most = limits.MESSAGES_AT_ONCE if batch else limits.PAGE_STUDENTS
    with ctx.workspace.store.read() as connection:
        found = stored.progress(
            connection, courseid, batch=batch, students=access.students.keys(), most=most + 1, offset=first
        )
    teachers = ctx.names({progress.userid for progress in found})
    now = ctx.workspace.clock()
    sent = [Sent(access.students[one.studentid], teachers[one.userid], one, now) for one in found[:most]]
    own = [one for one in sent if one.progress.userid == ctx.person.id]
    counts = {state: sum(one.state == state for one in sent) for state in ("sent", "sending", "waits", "failed")}
    values = {
        "course": access, "sent": sent, "counts": counts, "batch": batch, "page": page,
        "more": not batch and len(found) > most,
        "stoppable": bool(batch) and any(one.state == "waits" for one in own),
        "notice": {UNDONE: say("messages stopped"), NOTHING: say("done nothing")}.get(done, ""),
    }  # fmt: skip
    return Page("messages.html", values, REFRESH_SECONDS if batch and counts["sending"] else None)


def find_template(ctx: RequestContext, courseid: int, name: str) -> stored_templates.Template:
    """A template that a teacher has in a course, by its id or its name among those that are there from the start."""
    if name in templates.BUILT_IN:
        return templates.built_in(name)
    with ctx.workspace.store.read() as connection:
        listed = stored_templates.listed(connection, courseid, ctx.person.id)
    found = next((template for template in listed if str(template.id) == name), None)
    if found is None:
        raise RequestError(say("no such template"), 404)
    return found


def problem_of(subject: str, text: str) -> str:
    """Why a message or template cannot be taken as it was written, in one sentence; empty if it can."""
    if not subject or not text:
        return say("message empty")
    if len(subject) > limits.SUBJECT_CHARACTERS:
        return say("subject too long", count=limits.SUBJECT_CHARACTERS)
    if len(text) > limits.MESSAGE_CHARACTERS:
        return say("text too long", count=limits.MESSAGE_CHARACTERS)
    if unknown := templates.unknown_placeholder(subject, text):
        known = ", ".join(f"{{{name}}}" for name in templates.PLACEHOLDERS)
        return say("wrong placeholder", placeholder=unknown, known=known)
    return ""


def _compose(
    ctx: RequestContext,
    access: CourseAccess,
    students: Sequence[Student],
    draft: Draft,
    chosen: str = "",
    problem: str = "",
) -> Page:
    with ctx.workspace.store.read() as connection:
        listed = stored_templates.listed(connection, access.course.id, ctx.person.id)
    values = {
        "course": access, "students": students, "draft": draft, "chosen": chosen, "problem": problem,
        "ways": messages.ways(ctx.workspace.settings, ctx.site), "placeholders": templates.PLACEHOLDERS,
        "groups": grouped(listed), "built_in": [(name, templates.built_in(name)) for name in templates.BUILT_IN],
        "limits": limits,
    }  # fmt: skip
    return Page("compose.html", values)


def grouped(
    listed: Iterable[stored_templates.Template],
) -> list[tuple[str, list[stored_templates.Template]]]:
    """Templates by whose they are: ``own``, ``course`` or ``site``; only groups that have some."""
    groups: dict[str, list[stored_templates.Template]] = {owner: [] for owner in stored_templates.OWNERS}
    for template in listed:
        groups[template.owner].append(template)
    return [(name, members) for name, members in groups.items() if members]


def _preview(
    ctx: RequestContext,
    access: CourseAccess,
    sender: Sender,
    draft: Draft,
    written: Sequence[WrittenMessage],
    reached: Sequence[WrittenMessage],
    show: int | None,
) -> Page:
    shown = next((message for message in written if message.to.userid == show), (reached or written)[0])
    text = shown.sent_through_moodle(ctx.workspace.settings, sender) if draft.way == MOODLE else shown.text
    uses_due = templates.DUE in templates.used(draft.subject, draft.text)
    values: dict[str, Any] = {
        "course": access, "students": [message.to for message in written], "draft": draft, "shown": shown, "text": text,
        "reached": reached,
        "written": written, "sender": sender, "batch": follow_up.new_batch(),
        "unreached": [(message.to, why) for message in written if (why := messages.hindrance(draft.way, message.to))],
        "nothing_due": [message.to for message in written if uses_due and not message.due],
    }  # fmt: skip
    return Page("message-preview.html", values)


def _written(
    ctx: RequestContext, access: CourseAccess, sender: Sender, students: Sequence[Student], draft: Draft
) -> list[WrittenMessage]:
    due: dict[int, list[str]] = {}
    if templates.DUE in templates.used(draft.subject, draft.text):
        facts = read_course_facts(ctx.site, access.course, ctx.workspace.clock())
        due = messages.due_by_student(ctx.site, facts, [student.userid for student in students])
    return [
        messages.write(sender, student, draft.subject, draft.text, due.get(student.userid, ())) for student in students
    ]


def _sender(ctx: RequestContext, access: CourseAccess) -> Sender:
    described = describe(ctx.site, "user", [ctx.person.id]).get(ctx.person.id)
    return Sender(ctx.person.id, ctx.person.name, described.email if described else "", access.course.id, access.name)


def _own_program(access: CourseAccess, draft: Draft, reached: Sequence[WrittenMessage], batch: str) -> Page:
    """Links that open the teacher's own mail program, one a student; or one for all who get the same words."""
    same = len({(message.subject, message.text) for message in reached}) == 1 and len(reached) > 1
    links = [(message.to.name, _mail_link([message])) for message in reached]
    values = {
        "course": access, "mails": links, "everybody": _mail_link(reached) if same else "", "batch": batch,
        "draft": draft,
    }  # fmt: skip
    return Page("own-program.html", values)


def _mail_link(written: Sequence[WrittenMessage]) -> str:
    """A link that opens a mail program with the same message to everybody."""
    text = written[0].text.replace("\n", "\r\n")
    return mailto([message.to.email for message in written], written[0].subject, text)
