"""Facts of courses, each read for a batch of courses with one query or two.

A reader takes the site and some courses and returns a value by course id; courses without an entry have none. Code of
one's own adds readers of this form and calls them through :meth:`Course.fact`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from moodlemlbackend.analytics.site import completion, grades
from moodlemlbackend.analytics.site import logs as site_logs
from moodlemlbackend.analytics.site.database import Integers
from moodlemlbackend.analytics.site.enrolments import role_assignments, user_enrolments
from moodlemlbackend.analytics.site.site import CourseRow, Site

STUDENT_ARCHETYPES = ("student",)
TEACHER_ARCHETYPES = ("editingteacher", "teacher")

NOBODY: Integers = np.empty(0, np.int64)


@dataclass(frozen=True, eq=False)
class Enrolments:
    """User enrolments, by id: arrays of shape (enrolments,); times are Unix times, 0 when not set.

    ``enabled`` is 1 where neither the enrolment is suspended nor its method switched off.
    """

    ids: Integers
    users: Integers
    starts: Integers
    ends: Integers
    created: Integers
    enabled: Integers

    def active(self, now: int) -> npt.NDArray[np.bool_]:
        """Which are in force at a time."""
        begun, over = (self.starts == 0) | (self.starts < now), (self.ends != 0) & (self.ends <= now)
        active: npt.NDArray[np.bool_] = (self.enabled == 1) & begun & ~over
        return active

    def since(self, now: int) -> dict[int, int]:
        """Since when each user's enrolment is in force at a time, the one that began first; Unix times by user."""
        active = self.active(now)
        begins = np.maximum(self.starts, self.created)
        since: dict[int, int] = {}
        for user, begin in zip(self.users[active].tolist(), begins[active].tolist(), strict=True):
            since[user] = min(begin, since.get(user, begin))
        return since

    def take(self, chosen: Integers) -> Enrolments:
        """The enrolments at these positions."""
        return Enrolments(*(column[chosen] for column in vars(self).values()))


class GradeTimes(NamedTuple):
    """When students were graded: module name and instance of each activity with grade items, and by student, in their
    order, the earliest Unix time of a grade that is set."""

    activities: frozenset[tuple[str, int]]
    times: dict[tuple[str, int], tuple[Integers, Integers]]


class CourseGrade(NamedTuple):
    """Grade item of a course: its type, the grade to pass, and final grades by user."""

    gradetype: int
    pass_grade: float
    grades: dict[int, float]


def _ids(courses: Sequence[CourseRow]) -> list[int]:
    return [course.id for course in courses]


def enrolments(site: Site, courses: Sequence[CourseRow]) -> dict[int, Enrolments]:
    """User enrolments of every method and status, ordered by id."""
    return {course: Enrolments(*table.T) for course, table in user_enrolments(site, _ids(courses)).items()}


def students(site: Site, courses: Sequence[CourseRow]) -> dict[int, Integers]:
    """Ids of the users with a student's role in the course or above it, sorted."""
    return _people(site, courses, STUDENT_ARCHETYPES)


def teachers(site: Site, courses: Sequence[CourseRow]) -> dict[int, Integers]:
    """Ids of the users with a teacher's role in the course or above it, sorted."""
    return _people(site, courses, TEACHER_ARCHETYPES)


def _people(site: Site, courses: Sequence[CourseRow], archetypes: tuple[str, ...]) -> dict[int, Integers]:
    """Without a role of these archetypes every user with any role counts, as in Moodle."""
    roles = site.roles(*archetypes)
    contexts = sorted({context for course in courses for context in course.path})
    by_context = role_assignments(site, roles if len(roles) else None, contexts=contexts)
    return {
        course.id: np.unique(np.concatenate([by_context.get(context, NOBODY) for context in course.path]))
        for course in courses
    }


def has_student(site: Site, courses: Sequence[CourseRow]) -> dict[int, bool]:
    """Courses in whose own context a student's role is assigned."""
    return _assigned(site, courses, STUDENT_ARCHETYPES)


def has_teacher(site: Site, courses: Sequence[CourseRow]) -> dict[int, bool]:
    """Courses in whose own context a teacher's role is assigned."""
    return _assigned(site, courses, TEACHER_ARCHETYPES)


def _assigned(site: Site, courses: Sequence[CourseRow], archetypes: tuple[str, ...]) -> dict[int, bool]:
    contexts = role_assignments(site, site.roles(*archetypes), contexts=[course.context for course in courses])
    return {course.id: course.context in contexts for course in courses}


def criteria(site: Site, courses: Sequence[CourseRow]) -> dict[int, int]:
    """Number of completion criteria."""
    return completion.completion_criteria(site, _ids(courses))


def completed(site: Site, courses: Sequence[CourseRow]) -> dict[int, Integers]:
    """Ids of the users who have completed the course."""
    return completion.completed_courses(site, _ids(courses))


def last_accesses(site: Site, courses: Sequence[CourseRow]) -> dict[int, Integers]:
    """User and Unix time of each user's last access: (users, 2), sorted by user."""
    return site_logs.last_accesses(site, _ids(courses))


def grade_times(site: Site, courses: Sequence[CourseRow]) -> dict[int, GradeTimes]:
    """When grades of activities were given to students; outcomes are no grades, and others' grades do not count."""
    items = grades.graded_activities(site, _ids(courses))
    graded = grades.first_grades(site, _ids(courses))
    learners = students(site, courses)
    result = {}
    for course, activities in items.items():
        by_activity: dict[tuple[str, int], list[tuple[int, int]]] = {}
        for module, instance, user, time in graded.get(course, ()):
            by_activity.setdefault((module, instance), []).append((user, time))
        times = {}
        for activity, pairs in by_activity.items():
            table = np.array(sorted(pairs), np.int64)
            table = table[np.isin(table[:, 0], learners[course])]
            if len(table):
                times[activity] = (table[:, 0], table[:, 1])
        result[course] = GradeTimes(frozenset(activities), times)
    return result


def course_grades(site: Site, courses: Sequence[CourseRow]) -> dict[int, CourseGrade]:
    """The course's own grade item and the final grades in it."""
    final = grades.final_course_grades(site, _ids(courses))
    return {
        course: CourseGrade(int(kind), float(needed or 0), {u: float(grade) for u, grade in final.get(course, ())})
        for course, kind, needed in grades.course_items(site, _ids(courses))
    }


def competencies(site: Site, courses: Sequence[CourseRow]) -> dict[int, frozenset[int]]:
    """Ids of the competencies linked to the course."""
    by_course = completion.course_competencies(site, _ids(courses))
    return {course: frozenset(row[0] for row in rows) for course, rows in by_course.items()}


def proficiencies(site: Site, courses: Sequence[CourseRow]) -> dict[int, list[tuple[int, int]]]:
    """User and competency of each rating as proficient in the course."""
    by_course = completion.proficient_users(site, _ids(courses))
    return {course: [(user, competency) for user, competency in rows] for course, rows in by_course.items()}
