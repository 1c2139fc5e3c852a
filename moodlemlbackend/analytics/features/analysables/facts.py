"""Facts of courses, each read for a batch of courses with one query.

A reader takes the site and some courses and returns a value by course id; courses without an entry have none. Code of
one's own adds readers of this form and calls them through :meth:`Course.fact`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt

from moodlemlbackend.analytics.site.database import Integers
from moodlemlbackend.analytics.site.site import Site
from moodlemlbackend.analytics.site.tables import ids, integers_by_key, rows_by_key

if TYPE_CHECKING:
    from moodlemlbackend.analytics.features.analysables.course import Course

STUDENT_ARCHETYPES = ("student",)
TEACHER_ARCHETYPES = ("editingteacher", "teacher")

GRADED_TYPES = (1, 2)
"""``gradetype`` of items whose grades are numbers: value and scale."""


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
        found: npt.NDArray[np.bool_] = (self.enabled == 1) & begun & ~over
        return found

    def take(self, chosen: Integers) -> Enrolments:
        """The enrolments at these positions."""
        return Enrolments(*(column[chosen] for column in vars(self).values()))


class GradeTimes(NamedTuple):
    """When students were graded: module name and instance of each activity with grade items, and by user the earliest
    Unix time of a grade that is set."""

    activities: frozenset[tuple[str, int]]
    times: dict[tuple[str, int], tuple[Integers, Integers]]


def enrolments(site: Site, courses: Sequence[Course]) -> dict[int, Enrolments]:
    """User enrolments of every method and status, ordered by id."""
    found = integers_by_key(
        site,
        "SELECT e.courseid, u.id, u.userid, u.timestart, u.timeend, u.timecreated, "
        "CASE WHEN u.status = 0 AND e.status = 0 THEN 1 ELSE 0 END "
        "FROM {user_enrolments} u JOIN {enrol} e ON e.id = u.enrolid WHERE e.courseid IN :courses ORDER BY u.id",
        6,
        courses=ids(courses),
    )
    return {course: Enrolments(*table.T) for course, table in found.items()}


def students(site: Site, courses: Sequence[Course]) -> dict[int, Integers]:
    """Ids of the users with a student's role in the course or above it, sorted."""
    return _people(site, courses, STUDENT_ARCHETYPES)


def teachers(site: Site, courses: Sequence[Course]) -> dict[int, Integers]:
    """Ids of the users with a teacher's role in the course or above it, sorted."""
    return _people(site, courses, TEACHER_ARCHETYPES)


def _people(site: Site, courses: Sequence[Course], archetypes: tuple[str, ...]) -> dict[int, Integers]:
    """Without a role of these archetypes every user with any role counts, as in Moodle."""
    roles = site.roles(*archetypes)
    contexts = sorted({context for course in courses for context in course.path}) or [-1]
    by_context = integers_by_key(
        site,
        "SELECT DISTINCT contextid, userid FROM {role_assignments} WHERE contextid IN :contexts"
        + (" AND roleid IN :roles" if len(roles) else ""),
        1,
        contexts=contexts,
        **({"roles": roles} if len(roles) else {}),
    )
    none = np.empty((0, 1), np.int64)
    return {
        course.id: np.unique(np.concatenate([by_context.get(context, none)[:, 0] for context in course.path]))
        for course in courses
    }


def has_student(site: Site, courses: Sequence[Course]) -> dict[int, bool]:
    """Courses in whose own context a student's role is assigned."""
    return _assigned(site, courses, STUDENT_ARCHETYPES)


def has_teacher(site: Site, courses: Sequence[Course]) -> dict[int, bool]:
    """Courses in whose own context a teacher's role is assigned."""
    return _assigned(site, courses, TEACHER_ARCHETYPES)


def _assigned(site: Site, courses: Sequence[Course], archetypes: tuple[str, ...]) -> dict[int, bool]:
    roles = site.roles(*archetypes)
    rows = site.database.rows(
        "SELECT DISTINCT contextid FROM {role_assignments} WHERE contextid IN :contexts AND roleid IN :roles",
        contexts=[course.context for course in courses] or [-1],
        roles=roles if len(roles) else [-1],
    )
    contexts = {row[0] for row in rows}
    return {course.id: course.context in contexts for course in courses}


def criteria(site: Site, courses: Sequence[Course]) -> dict[int, int]:
    """Number of completion criteria."""
    rows = site.database.rows(
        "SELECT course, COUNT(*) FROM {course_completion_criteria} WHERE course IN :courses GROUP BY course",
        courses=ids(courses),
    )
    return {course: int(count) for course, count in rows}


def completed(site: Site, courses: Sequence[Course]) -> dict[int, Integers]:
    """Ids of the users who have completed the course."""
    found = integers_by_key(
        site,
        "SELECT course, userid FROM {course_completions} WHERE course IN :courses AND timecompleted > 0",
        1,
        courses=ids(courses),
    )
    return {course: table[:, 0] for course, table in found.items()}


def last_accesses(site: Site, courses: Sequence[Course]) -> dict[int, Integers]:
    """User and Unix time of each user's last access: (users, 2), sorted by user."""
    return integers_by_key(
        site,
        "SELECT courseid, userid, MAX(timeaccess) FROM {user_lastaccess} WHERE courseid IN :courses "
        "GROUP BY courseid, userid ORDER BY userid",
        2,
        courses=ids(courses),
    )


def grade_times(site: Site, courses: Sequence[Course]) -> dict[int, GradeTimes]:
    """When grades of activities were given; outcomes are no grades."""
    items = rows_by_key(
        site,
        "SELECT DISTINCT courseid, itemmodule, iteminstance FROM {grade_items} "
        "WHERE courseid IN :courses AND itemtype = 'mod' AND outcomeid IS NULL AND iteminstance IS NOT NULL",
        courses=ids(courses),
    )
    graded = rows_by_key(
        site,
        "SELECT i.courseid, i.itemmodule, i.iteminstance, g.userid, "
        "MIN(CASE WHEN g.overridden > 0 THEN g.overridden ELSE g.timemodified END) "
        "FROM {grade_items} i JOIN {grade_grades} g ON g.itemid = i.id "
        "WHERE i.courseid IN :courses AND i.itemtype = 'mod' AND i.outcomeid IS NULL AND i.gradetype IN :types "
        "AND i.iteminstance IS NOT NULL AND g.finalgrade IS NOT NULL "
        "AND (g.overridden > 0 OR g.timemodified IS NOT NULL) "
        "GROUP BY i.courseid, i.itemmodule, i.iteminstance, g.userid",
        courses=ids(courses),
        types=list(GRADED_TYPES),
    )
    result = {}
    for course, activities in items.items():
        by_activity: dict[tuple[str, int], list[tuple[int, int]]] = {}
        for module, instance, user, time in graded.get(course, ()):
            by_activity.setdefault((module, instance), []).append((user, time))
        times = {}
        for activity, pairs in by_activity.items():
            table = np.array(sorted(pairs), np.int64)
            times[activity] = (table[:, 0], table[:, 1])
        result[course] = GradeTimes(frozenset(activities), times)
    return result


class CourseGrade(NamedTuple):
    """Grade item of a course: its type, the grade to pass, and final grades by user."""

    gradetype: int
    pass_grade: float
    grades: dict[int, float]


def course_grades(site: Site, courses: Sequence[Course]) -> dict[int, CourseGrade]:
    """The course's own grade item and the final grades in it."""
    items = site.database.rows(
        "SELECT courseid, gradetype, gradepass FROM {grade_items} WHERE courseid IN :courses AND itemtype = 'course'",
        courses=ids(courses),
    )
    grades = rows_by_key(
        site,
        "SELECT i.courseid, g.userid, g.finalgrade FROM {grade_items} i JOIN {grade_grades} g ON g.itemid = i.id "
        "WHERE i.courseid IN :courses AND i.itemtype = 'course' AND g.finalgrade IS NOT NULL",
        courses=ids(courses),
    )
    return {
        course: CourseGrade(int(kind), float(needed or 0), {u: float(grade) for u, grade in grades.get(course, ())})
        for course, kind, needed in items
    }


def competencies(site: Site, courses: Sequence[Course]) -> dict[int, frozenset[int]]:
    """Ids of the competencies linked to the course."""
    found = rows_by_key(
        site,
        "SELECT DISTINCT courseid, competencyid FROM {competency_coursecomp} WHERE courseid IN :courses",
        courses=ids(courses),
    )
    return {course: frozenset(row[0] for row in rows) for course, rows in found.items()}


def proficiencies(site: Site, courses: Sequence[Course]) -> dict[int, list[tuple[int, int]]]:
    """User and competency of each rating as proficient in the course."""
    found = rows_by_key(
        site,
        "SELECT DISTINCT courseid, userid, competencyid FROM {competency_usercompcourse} "
        "WHERE courseid IN :courses AND proficiency = 1",
        courses=ids(courses),
    )
    return {course: [(user, competency) for user, competency in rows] for course, rows in found.items()}
