"""What users have completed, handed in, or are rated proficient in."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from moodlemlbackend.analytics.site.database import Integers
from moodlemlbackend.analytics.site.site import Site
from moodlemlbackend.analytics.site.tables import integers_by_key, rows_by_key

_HANDED_IN = {
    "quiz": ("quiz_attempts", "quiz", " AND h.state IN ('finished', 'submitted')"),
    "assign": ("assign_submission", "assignment", " AND h.status = 'submitted'"),
    "choice": ("choice_answers", "choiceid", ""),
    "feedback": ("feedback_completed", "feedback", ""),
    "lesson": ("lesson_grades", "lessonid", ""),
}
"""By module the table of what is done, its column of the instance, and what of it counts.

From Moodle 5.0 on, an attempt at a quiz is submitted, and finished once it has been graded.
"""

HANDED_IN = frozenset(_HANDED_IN)
"""Modules in which something can be finished or handed in."""


def completion_criteria(site: Site, courses: Sequence[int]) -> dict[int, int]:
    """Number of completion criteria by course."""
    rows = site.database.rows(
        "SELECT course, COUNT(*) FROM {course_completion_criteria} WHERE course IN :courses GROUP BY course",
        courses=courses,
    )
    return {course: int(count) for course, count in rows}


def completed_courses(site: Site, courses: Sequence[int]) -> dict[int, Integers]:
    """Ids of the users who have completed each course."""
    by_user = integers_by_key(
        site,
        "SELECT course, userid FROM {course_completions} WHERE course IN :courses AND timecompleted > 0",
        1,
        courses=courses,
    )
    return {course: table[:, 0] for course, table in by_user.items()}


def completed_modules(site: Site, users: Sequence[int]) -> set[tuple[Any, ...]]:
    """User and course module of what some users have completed."""
    return set(
        site.database.rows(
            "SELECT userid, coursemoduleid FROM {course_modules_completion} "
            "WHERE userid IN :users AND completionstate > 0",
            users=users,
        )
    )


def handed_in(site: Site, users: Sequence[int]) -> set[tuple[Any, ...]]:
    """Module name, user and instance of the activities that some users have finished or handed in."""
    return {
        (module, *row)
        for module, (table, instance, counts) in _HANDED_IN.items()
        if site.database.schema.has(module)
        for row in site.database.rows(
            f"SELECT DISTINCT h.userid, h.{instance} FROM {{{table}}} h WHERE h.userid IN :users{counts}", users=users
        )
    }


_TEAMS = (
    "SELECT DISTINCT m.userid, h.assignment FROM {assign_submission} h JOIN {assign} a ON a.id = h.assignment "
    "JOIN {groups_members} m ON m.groupid = h.groupid "
    "WHERE a.course = :course AND h.userid = 0 AND h.groupid > 0 AND h.status = 'submitted'"
)
_WORKSHOPS = (
    "SELECT DISTINCT h.authorid, h.workshopid FROM {workshop_submissions} h JOIN {workshop} a ON a.id = h.workshopid "
    "WHERE a.course = :course AND h.example = 0"
)
"""Not among :data:`HANDED_IN`: Moodle's target about activities that are due knows no work handed in to these."""


def handed_in_course(site: Site, course: int) -> set[tuple[Any, ...]]:
    """Module name, user and instance of what anybody has finished or handed in in a course, alone or as a team."""
    queries = [
        (module, f"SELECT DISTINCT h.userid, h.{instance} FROM {{{table}}} h JOIN {{{module}}} a "
                 f"ON a.id = h.{instance} WHERE a.course = :course{counts}")
        for module, (table, instance, counts) in _HANDED_IN.items()
    ]  # fmt: skip
    has = site.database.schema.has
    if has("workshop_submissions"):
        queries.append(("workshop", _WORKSHOPS))
    return {
        (module, *row)
        for module, query in [*queries, ("assign", _TEAMS)]
        if has(module)
        for row in site.database.rows(query, course=course)
    }


def without_submissions(site: Site, course: int) -> set[int]:
    """Ids of the assignments of a course to which nothing is handed in here."""
    rows = site.database.rows("SELECT id FROM {assign} WHERE course = :course AND nosubmissions = 1", course=course)
    return {key for (key,) in rows}


def completed_in_course(site: Site, course: int) -> list[tuple[int, int]]:
    """User and course module of what anybody has completed in a course."""
    rows = site.database.rows(
        "SELECT c.userid, c.coursemoduleid FROM {course_modules_completion} c "
        "JOIN {course_modules} m ON m.id = c.coursemoduleid WHERE m.course = :course AND c.completionstate > 0",
        course=course,
    )
    return [(user, module) for user, module in rows]


def course_competencies(site: Site, courses: Sequence[int]) -> dict[int, list[tuple[Any, ...]]]:
    """Ids of the competencies linked to each course."""
    return rows_by_key(
        site,
        "SELECT DISTINCT courseid, competencyid FROM {competency_coursecomp} WHERE courseid IN :courses",
        courses=courses,
    )


def proficient_users(site: Site, courses: Sequence[int]) -> dict[int, list[tuple[Any, ...]]]:
    """User and competency of each rating as proficient in each course."""
    return rows_by_key(
        site,
        "SELECT DISTINCT courseid, userid, competencyid FROM {competency_usercompcourse} "
        "WHERE courseid IN :courses AND proficiency = 1",
        courses=courses,
    )
