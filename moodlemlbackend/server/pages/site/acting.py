"""What a teacher does about students of a course, one or many, and undoes: a form on any of the course's pages."""

from __future__ import annotations

import re
from datetime import date, datetime, time, timedelta
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, urlencode

from moodlemlbackend.analytics.db import follow_ups
from moodlemlbackend.analytics.students import follow_up
from moodlemlbackend.analytics.students.templates import lines
from moodlemlbackend.errors import RequestError
from moodlemlbackend.server import limits
from moodlemlbackend.server.pages.site.course_access import open_course
from moodlemlbackend.server.pages.site.responses import go
from moodlemlbackend.server.texts import say

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fastapi.responses import Response

    from moodlemlbackend.analytics.students.follow_up import Known
    from moodlemlbackend.analytics.students.student import Student
    from moodlemlbackend.server.pages.site.course_access import CourseAccess
    from moodlemlbackend.server.pages.site.forms import PageForm
    from moodlemlbackend.server.pages.site.request_context import RequestContext

UNDO = "undo"
UNDONE, NOTHING = "undone", "nothing"
"""What came of Undo."""

SNOOZES = (1, 3, 7, 14, 30)
"""For how many days one can snooze with a click."""

ACTIONS = {
    "contacted": follow_ups.CONTACTED, "resolved": follow_ups.RESOLVED, "reopened": follow_ups.REOPENED,
    "snooze": follow_ups.SNOOZED, "note": follow_ups.NOTE,
}  # fmt: skip

_BATCH = re.compile(rf"[0-9a-f]{{{follow_up.BATCH_DIGITS}}}")
_OWN_PATH = re.compile(r"/courses/(\d{1,18})(?:/students/(\d{1,18})|/messages)?")


def act(ctx: RequestContext, form: PageForm, courseid: int) -> Response:
    """Note what a form says was done about students, all of whom the person may see; or undo it."""
    access, action = open_course(ctx, courseid), form.text("action")
    if action == UNDO:
        undone = follow_up.undo(ctx.workspace, courseid, batch_of(form))
        return go(back_to(form.text("back"), access, done=UNDONE if undone else NOTHING))
    if action not in ACTIONS:
        raise RequestError(say("no such action"), 400)
    students = chosen_students(access, form.numbers("student"), limits.STUDENTS_AT_ONCE)
    text = _note(form.text("text")) if action == "note" else ""
    until = _until(ctx, form.text("until")) if action == "snooze" else None
    batch, kind = follow_up.new_batch(), ACTIONS[action]
    known, texts = known_of(ctx, access, students), {student.userid: text for student in students}
    with ctx.workspace.store.write() as connection:
        follow_up.record(connection, ctx.workspace, courseid, known, kind, batch=batch, texts=texts, until=until)
    return go(back_to(form.text("back"), access, done=kind, batch=batch))


def said_done(ctx: RequestContext, courseid: int, done: str, batch: str) -> str:
    """What a page says that a form did just before: what came of Undo, or what the person can still undo; or empty."""
    if done in (UNDONE, NOTHING):
        return done
    with ctx.workspace.store.read() as connection:
        mine = done in follow_ups.KINDS and follow_ups.undoable(connection, batch, courseid, ctx.person.id)
    return done if mine else ""


def chosen_students(access: CourseAccess, userids: Sequence[int], most: int) -> list[Student]:
    """The students of these ids, each once; RequestError of 400 for none or too many, 404 for one who is not seen."""
    wanted = [*dict.fromkeys(userids)]
    if not wanted:
        raise RequestError(say("course nobody selected"), 400)
    if len(wanted) > most:
        raise RequestError(say("too many students", count=most), 400)
    if any(userid not in access.students for userid in wanted):
        raise RequestError(say("not all students"), 404)
    return [access.students[userid] for userid in wanted]


def known_of(ctx: RequestContext, access: CourseAccess, students: Sequence[Student]) -> dict[int, Known]:
    """What the course's first model says of students now."""
    modelid = access.models[0].id if access.models else None
    with ctx.workspace.store.read() as connection:
        return follow_up.known_now(connection, access.contextid, modelid, students)


def batch_of(form: PageForm) -> str:
    """The field that names what was done at once; RequestError of 400 for none."""
    batch = form.text("batch")
    if not _BATCH.fullmatch(batch):
        raise RequestError(say("bad id"), 400)
    return batch


def back_to(back: str, access: CourseAccess, **fields: str) -> str:
    """The address of a page of this course, with more fields; the course's own where ``back`` is none or has gone."""
    path, _, query = back.partition("?")
    own = _OWN_PATH.fullmatch(path)
    here = own and int(own[1]) == access.course.id and (own[2] is None or int(own[2]) in access.students)
    if not (here and query.isascii() and query.isprintable()):
        path, query = f"/courses/{access.course.id}", ""
    kept = [(name, value) for name, value in parse_qsl(query.partition("#")[0]) if name not in ("done", "batch")]
    given = urlencode([*kept, *fields.items()])
    return f"{path}?{given}" if given else path


def _note(text: str) -> str:
    text = lines(text)
    if not text:
        raise RequestError(say("note empty"), 400)
    if len(text) > limits.MESSAGE_CHARACTERS:
        raise RequestError(say("text too long", count=limits.MESSAGE_CHARACTERS), 400)
    return text


def _until(ctx: RequestContext, text: str) -> int:
    """The beginning of a day, a Unix time: of a date, or so many days from now."""
    today = datetime.fromtimestamp(ctx.workspace.clock(), ctx.site.zone).date()
    try:
        day = today + timedelta(int(text)) if re.fullmatch(r"[0-9]{1,3}", text) else date.fromisoformat(text)
    except ValueError:
        raise RequestError(say("bad snooze", count=limits.SNOOZE_DAYS), 400) from None
    if not today < day <= today + timedelta(limits.SNOOZE_DAYS):
        raise RequestError(say("bad snooze", count=limits.SNOOZE_DAYS), 400)
    return int(datetime.combine(day, time(), ctx.site.zone).timestamp())
