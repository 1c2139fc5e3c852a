"""What a person may see of a course: its models about students, its students, and whether their grades."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from moodlemlbackend.analytics import models
from moodlemlbackend.analytics.db import risks
from moodlemlbackend.analytics.insights import listing
from moodlemlbackend.analytics.insights.capabilities import LIST_INSIGHTS, VIEW_GRADES, VIEW_IDENTITY
from moodlemlbackend.analytics.site.contexts import course_context
from moodlemlbackend.analytics.site.names import format_name
from moodlemlbackend.analytics.students.course_students import course_students
from moodlemlbackend.analytics.students.student import Student
from moodlemlbackend.errors import RequestError
from moodlemlbackend.server.texts import say

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from moodlemlbackend.analytics.models import AnalyticsModel
    from moodlemlbackend.analytics.site.site import CourseRow
    from moodlemlbackend.server.pages.site.request_context import RequestContext

_DROPOUT = r"\core_course\analytics\target\course_dropout"


@dataclass(frozen=True)
class CourseAccess:
    """What a person may see of a course.

    Attributes
    ----------
    name, short_name
        in the reader's language.
    models
        those whose predictions in the course the person may read: about dropping out first, then the latest.
    students
        those whom the person may see, by user id.
    sees_grades
        whether the person may see other people's grades in the course.
    sees_addresses
        whether the person may see other people's e-mail addresses in a list.
    own_groups
        whether separate groups limit the person to some of the students.
    """

    course: CourseRow
    name: str
    short_name: str
    models: Sequence[AnalyticsModel]
    students: Mapping[int, Student]
    sees_grades: bool
    sees_addresses: bool
    own_groups: bool

    @property
    def contextid(self) -> int:
        """The course's context."""
        return self.course.context

    def model(self, modelid: int | None) -> AnalyticsModel | None:
        """The model of this id, or the first without one, None if there is none; RequestError of 404 for another."""
        if modelid is None:
            return next(iter(self.models), None)
        model = next((model for model in self.models if model.id == modelid), None)
        if model is None:
            raise RequestError(say("no insights there"), 404)
        return model


def open_course(ctx: RequestContext, courseid: int) -> CourseAccess:
    """What the person of a request may see of a course.

    Raises
    ------
    RequestError
        404 for a course that there is none of, whose insights the person may not list, or that the person has left.
    """
    contextid = course_context(ctx.site, courseid)
    if contextid is None or not ctx.capabilities.may_enter(ctx.person.id, LIST_INSIGHTS, contextid):
        raise _no_course()
    row = next((course for course in ctx.site.courses if course.id == courseid), None)
    if row is None:
        raise _no_course()
    limit = _limit(ctx, row)
    full, short = (format_name(name, ctx.site.language) for name in (row.fullname, row.shortname))
    return CourseAccess(
        course=row,
        name=full or short,
        short_name=short,
        models=_models(ctx, contextid),
        students=course_students(ctx.site, row, ctx.workspace.clock(), limit),
        sees_grades=ctx.capabilities.may(ctx.person.id, VIEW_GRADES, contextid),
        sees_addresses=ctx.capabilities.may(ctx.person.id, VIEW_IDENTITY, contextid),
        own_groups=limit is not None,
    )


def _no_course() -> RequestError:
    return RequestError(say("no such course"), 404)


def _models(ctx: RequestContext, contextid: int) -> list[AnalyticsModel]:
    with ctx.workspace.store.read() as connection:
        ids = risks.models_in(connection, contextid)
        by_id = models.by_id(connection, ids)
    known = [by_id[modelid] for modelid in ids if modelid in by_id]
    readable = {
        target: bool(listing.readable(ctx.capabilities, ctx.person.id, target, [contextid]))
        for target in {model.target for model in known}
    }
    return sorted((model for model in known if readable[model.target]), key=lambda model: model.target != _DROPOUT)


def _limit(ctx: RequestContext, row: CourseRow) -> set[int] | None:
    """The enrolments to which separate groups limit the person; None for no limit."""
    limits = ctx.capabilities.own_groups({row.context: [ctx.person.id]})
    return limits.get((row.context, ctx.person.id))
