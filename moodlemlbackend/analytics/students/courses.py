"""Courses as managers see them: how many students are at risk, who has acted, and where the model does not fit."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from moodlemlbackend.analytics.db import follow_ups, risks
from moodlemlbackend.analytics.features.analysables import Courses
from moodlemlbackend.analytics.site.names import format_name
from moodlemlbackend.analytics.site.people import users_enrolled
from moodlemlbackend.analytics.students.bands import minimum_score
from moodlemlbackend.analytics.students.standing import State, standing_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from moodlemlbackend.analytics.db.risks import CourseRisks
    from moodlemlbackend.analytics.models import AnalyticsModel
    from moodlemlbackend.analytics.site import Site
    from moodlemlbackend.analytics.site.site import CourseRow
    from moodlemlbackend.analytics.workspace import Workspace


@dataclass(frozen=True)
class CourseAtRisk:
    """A course in which a model has predicted, and how many students are in which band."""

    row: CourseRow
    name: str
    risks: CourseRisks

    @property
    def share(self) -> float:
        """Of the students who were predicted, those at high risk, 0 to 1."""
        return self.risks.high / self.risks.students


@dataclass(frozen=True)
class Load:
    """What is left to do about the students at high risk in a course.

    Attributes
    ----------
    contacted
        at high risk, and somebody has written to them or spoken with them.
    open
        at high risk, and nobody has acted: neither contacted, snoozed nor resolved.
    teachers
        users with a teacher's role in the course or above it.
    """

    contacted: int
    open: int
    teachers: int


def courses_at_risk(workspace: Workspace, site: Site, model: AnalyticsModel, *, over: bool) -> list[CourseAtRisk]:
    """The courses that a model has predicted in and that go on, or that are over, in no order."""
    now = workspace.clock()
    by_context = {course.context: course for course in site.courses if (0 < course.end <= now) is over}
    with workspace.store.read() as connection:
        counted = risks.by_course(connection, model.id, minimum_score(model))
    return [
        CourseAtRisk(row, format_name(row.fullname or row.shortname, site.language), course)
        for course in counted
        if (row := by_context.get(course.contextid)) is not None
    ]


def loads(workspace: Workspace, site: Site, model: AnalyticsModel, courses: Sequence[CourseAtRisk]) -> dict[int, Load]:
    """What is left to do in some courses, by course id."""
    if not courses:
        return {}
    now, contexts = workspace.clock(), [course.row.context for course in courses]
    with workspace.store.read() as connection:
        high = risks.at_high_risk(connection, model.id, contexts, minimum_score(model))
        done = follow_ups.in_courses(connection, [course.row.id for course in courses])
    users = users_enrolled(site, sorted(set().union(*high.values())) or [-1], now)
    teachers = {course.id: len(course.teachers) for course in Courses(site, [course.row for course in courses], now)}
    result = {}
    for course in courses:
        flagged: dict[int, int] = {}
        for sample, time in high.get(course.row.context, {}).items():
            if sample in users:
                flagged[users[sample]] = max(time, flagged.get(users[sample], 0))
        standings = [
            standing_of(done.get((course.row.id, student), []), now, time) for student, time in flagged.items()
        ]
        result[course.row.id] = Load(
            sum(standing.contact is not None for standing in standings),
            sum(standing.state is State.OPEN and standing.contact is None for standing in standings),
            teachers[course.row.id],
        )
    return result
