"""Addresses of the pages of a course's students."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastapi import Request
from fastapi.responses import Response

from moodlemlbackend.server.auth.login import AnyLogin
from moodlemlbackend.server.pages.site import student
from moodlemlbackend.server.pages.site.routing import HIDDEN, AskedId, Id, answer

if TYPE_CHECKING:
    from fastapi import FastAPI


def add_course_pages(app: FastAPI) -> None:
    """Add the pages that teachers of a course have."""
    _add_student(app)


def _add_student(app: FastAPI) -> None:
    @app.get("/courses/{courseid}/students/{userid}", **HIDDEN)
    async def show_student(
        request: Request, user: AnyLogin, courseid: Id, userid: Id, model: AskedId = None
    ) -> Response:
        query = student.StudentQuery(courseid, userid, model)
        return await answer(request, user, lambda ctx: student.student(ctx, query))
