"""The students of a course: those with an active enrolment and a student's role; and all of them in a table."""

from __future__ import annotations

from typing import TYPE_CHECKING

from moodlemlbackend.analytics.db import follow_ups, risks
from moodlemlbackend.analytics.features.analysables import facts
from moodlemlbackend.analytics.site.people import profiles
from moodlemlbackend.analytics.students.bands import minimum_score
from moodlemlbackend.analytics.students.course_facts import read_course_facts
from moodlemlbackend.analytics.students.roster import RosterQuery, chosen, roster
from moodlemlbackend.analytics.students.student import Student

if TYPE_CHECKING:
    from collections.abc import Collection

    from moodlemlbackend.analytics.models import AnalyticsModel
    from moodlemlbackend.analytics.site import Site
    from moodlemlbackend.analytics.site.site import CourseRow
    from moodlemlbackend.analytics.students.roster import RosterRow
    from moodlemlbackend.analytics.workspace import Workspace


def course_students(
    site: Site, course: CourseRow, now: int, enrolments: Collection[int] | None = None
) -> dict[int, Student]:
    """The students of a course by user id; ``enrolments`` limits them to those with one of these."""
    every = facts.enrolments(site, [course]).get(course.id)
    if every is None:
        return {}
    learners = set(facts.students(site, [course]).get(course.id, facts.NOBODY).tolist())
    by_user: dict[int, list[int]] = {}
    active = every.active(now)
    for enrolment, user in zip(every.ids[active].tolist(), every.users[active].tolist(), strict=True):
        if user in learners and (enrolments is None or enrolment in enrolments):
            by_user.setdefault(user, []).append(enrolment)
    return {
        profile.id: Student(
            profile.id, tuple(sorted(by_user[profile.id])), profile.first_name, profile.last_name, profile.email,
            profile.wants_email,
        )
        for profile in profiles(site, by_user)
    }  # fmt: skip


def course_roster(workspace: Workspace, site: Site, course: CourseRow, model: AnalyticsModel | None) -> list[RosterRow]:
    """All students of a course, those at the highest risk by a model first, without grades; for an administrator."""
    now = workspace.clock()
    with workspace.store.read() as connection:
        predicted = risks.in_context(connection, course.context, model.id) if model else {}
        done = follow_ups.listed(connection, course.id)
    rows = roster(
        course, read_course_facts(site, course, now), course_students(site, course, now).values(), predicted, done,
        zone=site.zone, minimum_score=minimum_score(model), sees_grades=False, groups=(),
    )  # fmt: skip
    return chosen(rows, RosterQuery())
