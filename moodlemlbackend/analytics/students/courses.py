"""Courses as managers see them: how many students are at risk, who has acted, and where the model does not fit."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from moodlemlbackend.analytics.db import follow_ups, risks
from moodlemlbackend.analytics.features.analysables import Courses
from moodlemlbackend.analytics.site.names import format_name
from moodlemlbackend.analytics.students.bands import Band, band_of, minimum_score
from moodlemlbackend.analytics.students.course_students import students_by_course
from moodlemlbackend.analytics.students.standing import State, flagged_since, standing_of

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


@dataclass(frozen=True)
class Load(CourseAtRisk):
    """A course with its students of now, and what is left to do about those at high risk.

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
    """The courses that a model has predicted in and that go on, or that are over, in no order.

    Everybody is counted who was predicted, those who have left since too.
    """
    now = workspace.clock()
    by_context = {course.context: course for course in site.courses if (0 < course.end <= now) is over}
    with workspace.store.read() as connection:
        counted = risks.by_course(connection, model.id, minimum_score(model))
    return [
        CourseAtRisk(row, format_name(row.fullname or row.shortname, site.language), course)
        for course in counted
        if (row := by_context.get(course.contextid)) is not None
    ]


def loads(workspace: Workspace, site: Site, model: AnalyticsModel, courses: Sequence[CourseAtRisk]) -> list[Load]:
    """Who is left in some courses, and what is left to do."""
    now, minimum, rows = workspace.clock(), minimum_score(model), [course.row for course in courses]
    if not rows:
        return []
    with workspace.store.read() as connection:
        predicted = risks.latest(connection, model.id, [row.context for row in rows])
        done = follow_ups.in_courses(connection, [row.id for row in rows])
    students = students_by_course(site, rows, now)
    teachers = {course.id: len(course.teachers) for course in Courses(site, rows, now)}
    result = []
    for course in courses:
        key, of_course = course.row.id, predicted.get(course.row.context, {})
        trends = {user: student.trend(of_course) for user, student in students.get(key, {}).items()}
        bands = Counter(band_of(trend[-1], minimum) for trend in trends.values() if trend)
        counted = replace(course.risks, **{band.value: bands[band] for band in (Band.HIGH, Band.MEDIUM, Band.LOW)})
        standings = [
            standing_of(done.get((key, user), []), now, flagged)
            for user, trend in trends.items()
            if (flagged := flagged_since(trend, minimum)) is not None
        ]
        result.append(
            Load(
                course.row, course.name, counted,
                sum(standing.contact is not None for standing in standings),
                sum(standing.state is State.OPEN and standing.contact is None for standing in standings),
                teachers[key],
            )
        )  # fmt: skip
    return result
