"""The students of courses: those with an active enrolment and a student's role; and those of one in a table."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from moodlemlbackend.analytics.db import follow_ups, risks
from moodlemlbackend.analytics.features.analysables import facts
from moodlemlbackend.analytics.site.people import profiles
from moodlemlbackend.analytics.students.bands import minimum_score
from moodlemlbackend.analytics.students.course_facts import read_course_facts
from moodlemlbackend.analytics.students.roster import RosterQuery, chosen, roster
from moodlemlbackend.analytics.students.student import Student

if TYPE_CHECKING:
    from collections.abc import Sequence
    from collections.abc import Set as AbstractSet

    from moodlemlbackend.analytics.models import AnalyticsModel
    from moodlemlbackend.analytics.site import Site
    from moodlemlbackend.analytics.site.site import CourseRow
    from moodlemlbackend.analytics.students.roster import RosterRow
    from moodlemlbackend.analytics.workspace import Workspace


def course_students(
    site: Site, course: CourseRow, now: int, enrolments: AbstractSet[int] | None = None
) -> dict[int, Student]:
    """The students of a course by user id; ``enrolments`` limits them to those with one of these."""
    students = students_by_course(site, [course], now).get(course.id, {})
    return {
        user: student
        for user, student in students.items()
        if enrolments is None or not enrolments.isdisjoint(student.enrolments)
    }


def students_by_course(site: Site, courses: Sequence[CourseRow], now: int) -> dict[int, dict[int, Student]]:
    """The students of courses by course and user id, of those who can log in."""
    every, learners = facts.enrolments(site, courses), facts.students(site, courses)
    enrolled: dict[int, dict[int, list[int]]] = {}
    for course, of_course in every.items():
        students = np.intersect1d(of_course.users[of_course.active(now)], learners[course])
        theirs = of_course.take(np.flatnonzero(np.isin(of_course.users, students)))
        by_user = enrolled[course] = {}
        for enrolment, user in zip(theirs.ids.tolist(), theirs.users.tolist(), strict=True):
            by_user.setdefault(user, []).append(enrolment)
    known = {profile.id: profile for profile in profiles(site, set().union(*enrolled.values()))}
    return {
        course: {user: Student(user, tuple(ids), *known[user][1:]) for user, ids in by_user.items() if user in known}
        for course, by_user in enrolled.items()
    }


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
