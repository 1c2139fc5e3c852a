"""Templates of messages to students: a teacher's own, the course's, and the site's, which managers write."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from moodlemlbackend.analytics.db import templates as stored
from moodlemlbackend.analytics.db.templates import COURSE, OWN, SITE
from moodlemlbackend.analytics.students import templates
from moodlemlbackend.errors import RequestError
from moodlemlbackend.server import limits
from moodlemlbackend.server.pages.site.confirmations import Question, ask
from moodlemlbackend.server.pages.site.course_access import open_course
from moodlemlbackend.server.pages.site.messages import find_template, grouped, problem_of
from moodlemlbackend.server.pages.site.responses import Page, go
from moodlemlbackend.server.texts import say

if TYPE_CHECKING:
    from fastapi.responses import Response

    from moodlemlbackend.analytics.db.templates import Template
    from moodlemlbackend.server.pages.site.course_access import CourseAccess
    from moodlemlbackend.server.pages.site.forms import PageForm
    from moodlemlbackend.server.pages.site.request_context import RequestContext

DELETE = "delete"
NOTICES = ("saved", "deleted")


@dataclass(frozen=True)
class Typed:
    """What the form holds: the id of a template that is changed (0 for a new one), whose it is, its words, and
    the digest of the template as it was when it was opened."""

    id: int = 0
    owner: str = OWN
    name: str = ""
    subject: str = ""
    text: str = ""
    seen: str = ""
    problem: str = ""


def index(ctx: RequestContext, courseid: int, template: str, done: str) -> Page:
    """The templates that a teacher has in a course, and a form: empty, or with one of them."""
    access, typed = open_course(ctx, courseid), Typed()
    if template:
        chosen = find_template(ctx, courseid, template)
        changed = chosen.id if chosen.id and _may_change(ctx, chosen) else 0
        typed = Typed(
            changed, chosen.owner if changed else OWN, chosen.name, chosen.subject, chosen.text, chosen.digest
        )
    return _page(ctx, access, typed, done)


def take(ctx: RequestContext, form: PageForm, courseid: int) -> Page | Response:
    """Save or delete a template as a form says."""
    access, templateid = open_course(ctx, courseid), form.number("id")
    place = f"/courses/{courseid}/templates"
    current = None if templateid is None else _changeable(ctx, courseid, templateid)
    if form.text("action") == DELETE:
        if templateid is None:
            raise RequestError(say("no such template"), 404)
        template = _changeable(ctx, courseid, templateid)
        fields = [("id", templateid), ("action", DELETE)]
        title, meaning = say("confirm template", name=template.name), [say("confirm template means")]
        if page := ask(form, Question(title, say("template delete"), place, place, meaning, fields=fields)):
            return page
        with ctx.workspace.store.write() as connection:
            stored.remove(connection, templateid)
        return go(f"{place}?done=deleted")
    typed = Typed(
        templateid or 0, form.text("owner"), templates.one_line(form.text("name")),
        templates.one_line(form.text("subject")), templates.lines(form.text("text")), form.text("seen"),
    )  # fmt: skip
    problem = _problem(ctx, courseid, typed)
    if problem:
        return _page(ctx, access, replace(typed, problem=problem), "")
    now, words = ctx.workspace.clock(), {"name": typed.name, "subject": typed.subject, "text": typed.text}
    with ctx.workspace.store.write() as connection:
        if current is not None:
            as_seen = typed.seen in ("", current.digest)
            saved = as_seen and stored.change(connection, current, **words, by=ctx.person.id, now=now)
        else:
            saved = True
            course, user = _place(ctx, courseid, typed.owner)
            stored.insert(connection, courseid=course, userid=user, **words, by=ctx.person.id, now=now)
    if not saved:
        seen = _changeable(ctx, courseid, typed.id).digest
        return _page(ctx, access, replace(typed, seen=seen, problem=say("template changed")), "")
    return go(f"{place}?done=saved")


def _page(ctx: RequestContext, access: CourseAccess, typed: Typed, done: str) -> Page:
    with ctx.workspace.store.read() as connection:
        listed = stored.listed(connection, access.course.id, ctx.person.id)
    values = {
        "course": access, "typed": typed, "groups": grouped(listed),
        "built_in": [(name, templates.built_in(name)) for name in templates.BUILT_IN],
        "changeable": {template.id for template in listed if _may_change(ctx, template)},
        "owners": [OWN, COURSE, *([SITE] if ctx.manages else [])], "placeholders": templates.PLACEHOLDERS,
        "limits": limits, "notice": say(f"template {done}") if done in NOTICES else "",
    }  # fmt: skip
    return Page("message-templates.html", values)


def _problem(ctx: RequestContext, courseid: int, typed: Typed) -> str:
    if not typed.name:
        return say("template nameless")
    if len(typed.name) > limits.SUBJECT_CHARACTERS:
        return say("subject too long", count=limits.SUBJECT_CHARACTERS)
    if not typed.id:
        course, user = _place(ctx, courseid, typed.owner)
        with ctx.workspace.store.read() as connection:
            if stored.number(connection, courseid=course, userid=user) >= limits.TEMPLATES:
                return say("too many templates", count=limits.TEMPLATES)
    return problem_of(typed.subject, typed.text)


def _place(ctx: RequestContext, courseid: int, owner: str) -> tuple[int | None, int | None]:
    """Course and user of a new template; RequestError of 403 for one of the site by someone who manages nothing."""
    if owner == SITE:
        ctx.require_manager()
        return None, None
    if owner not in (OWN, COURSE):
        raise RequestError(say("no such template"), 400)
    return (courseid, None) if owner == COURSE else (None, ctx.person.id)


def _changeable(ctx: RequestContext, courseid: int, templateid: int) -> Template:
    """A template that a teacher may change; RequestError of 404 for one that is not theirs to see, 403 to change."""
    template = find_template(ctx, courseid, str(templateid))
    if not _may_change(ctx, template):
        raise RequestError(say("no manager"), 403)
    return template


def _may_change(ctx: RequestContext, template: Template) -> bool:
    """Own ones and those of the course, which :func:`.messages.find_template` has let be seen; the site's: managers."""
    return template.owner != SITE or ctx.manages
