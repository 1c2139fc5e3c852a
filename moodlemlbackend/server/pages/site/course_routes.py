"""Addresses of the pages of a course's students."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

from fastapi import Depends, Query, Request
from fastapi.responses import Response
from pydantic import Field

from moodlemlbackend.analytics.students.roster import RosterQuery
from moodlemlbackend.server.auth.login import AnyLogin
from moodlemlbackend.server.pages.site import acting, course, course_csv, message_templates, messages, student
from moodlemlbackend.server.pages.site.course import CourseQuery
from moodlemlbackend.server.pages.site.routing import HIDDEN, MOST_ID, AskedId, Id, PageNumber, Word, answer, take_form

if TYPE_CHECKING:
    from fastapi import FastAPI

_Sort = Annotated[str, Query(pattern="^-?[a-z]{0,20}$")]
_Search = Annotated[str, Query(max_length=100)]
_Group = Annotated[str, Query(pattern=r"^(\d{1,18}|[a-z]{0,20})$")]
_Students = Annotated[Sequence[Annotated[int, Field(ge=1, le=MOST_ID)]], Query(max_length=1000)]
_Template = Annotated[str, Query(pattern="^[a-z0-9]{0,20}$")]
_Batch = Annotated[str, Query(pattern="^[0-9a-f]{0,32}$")]


def add_course_pages(app: FastAPI) -> None:
    """Add the pages that teachers of a course have."""
    _add_table(app)
    _add_acting(app)
    _add_student(app)


def _query(
    courseid: Id, model: AskedId = None, sort: _Sort = "", q: _Search = "", group: _Group = "", band: Word = "",
    alert: Word = "", contact: Word = "", page: PageNumber = 1, part: Word = "", done: Word = "", batch: _Batch = "",
) -> CourseQuery:  # fmt: skip
    return CourseQuery(courseid, model, RosterQuery(sort, q, group, band, alert, contact), page, part, done, batch)


_Asked = Annotated[CourseQuery, Depends(_query)]


def _add_table(app: FastAPI) -> None:
    @app.get("/courses/{courseid}", **HIDDEN)
    async def students(request: Request, user: AnyLogin, query: _Asked) -> Response:
        return await answer(request, user, lambda ctx: course.index(ctx, query))

    @app.get("/courses/{courseid}/students.csv", **HIDDEN)
    async def export(request: Request, user: AnyLogin, query: _Asked) -> Response:
        return await answer(request, user, lambda ctx: course_csv.export(ctx, query))

    @app.post("/courses/{courseid}/columns", **HIDDEN)
    async def columns(request: Request, user: AnyLogin, courseid: Id) -> Response:
        return await take_form(request, user, lambda ctx, form: course.choose_columns(ctx, form, courseid))

    @app.post("/courses/{courseid}/write", **HIDDEN)
    async def write(request: Request, user: AnyLogin, courseid: Id) -> Response:
        return await take_form(request, user, lambda ctx, form: course.write(ctx, form, courseid))


def _add_acting(app: FastAPI) -> None:
    @app.post("/courses/{courseid}/act", **HIDDEN)
    async def act(request: Request, user: AnyLogin, courseid: Id) -> Response:
        return await take_form(request, user, lambda ctx, form: acting.act(ctx, form, courseid))

    @app.get("/courses/{courseid}/message", **HIDDEN)
    async def compose(
        request: Request, user: AnyLogin, courseid: Id, student: _Students = (), template: _Template = ""
    ) -> Response:
        return await answer(request, user, lambda ctx: messages.compose(ctx, courseid, student, template))

    @app.post("/courses/{courseid}/message", **HIDDEN)
    async def message(request: Request, user: AnyLogin, courseid: Id) -> Response:
        return await take_form(request, user, lambda ctx, form: messages.take(ctx, form, courseid))

    @app.get("/courses/{courseid}/messages", **HIDDEN)
    async def sent(
        request: Request, user: AnyLogin, courseid: Id, batch: _Batch = "", page: PageNumber = 1, done: Word = ""
    ) -> Response:
        return await answer(request, user, lambda ctx: messages.index(ctx, courseid, batch, page, done))

    @app.get("/courses/{courseid}/templates", **HIDDEN)
    async def templates(
        request: Request, user: AnyLogin, courseid: Id, template: _Template = "", done: Word = ""
    ) -> Response:
        return await answer(request, user, lambda ctx: message_templates.index(ctx, courseid, template, done))

    @app.post("/courses/{courseid}/templates", **HIDDEN)
    async def change_templates(request: Request, user: AnyLogin, courseid: Id) -> Response:
        return await take_form(request, user, lambda ctx, form: message_templates.take(ctx, form, courseid))


def _add_student(app: FastAPI) -> None:
    @app.get("/courses/{courseid}/students/{userid}", **HIDDEN)
    async def show_student(
        request: Request, user: AnyLogin, courseid: Id, userid: Id, model: AskedId = None, done: Word = "",
        batch: _Batch = "",
    ) -> Response:  # fmt: skip
        query = student.StudentQuery(courseid, userid, model, done, batch)
        return await answer(request, user, lambda ctx: student.student(ctx, query))
