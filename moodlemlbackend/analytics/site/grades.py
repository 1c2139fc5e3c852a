"""The gradebook: grade items and final grades."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from moodlemlbackend.analytics.site.site import Site
from moodlemlbackend.analytics.site.tables import rows_by_key

GRADED_TYPES = (1, 2)
"""``gradetype`` of items whose grades are numbers: value and scale."""


def graded_activities(site: Site, courses: Sequence[int]) -> dict[int, list[tuple[Any, ...]]]:
    """Module name and instance of the activities with grade items, by course; outcomes are no grades."""
    return rows_by_key(
        site,
        "SELECT DISTINCT courseid, itemmodule, iteminstance FROM {grade_items} "
        "WHERE courseid IN :courses AND itemtype = 'mod' AND outcomeid IS NULL AND iteminstance IS NOT NULL",
        courses=courses,
    )


def first_grades(site: Site, courses: Sequence[int]) -> dict[int, list[tuple[Any, ...]]]:
    """Module name, instance, user and Unix time of the earliest grade of each user in each activity, by course.

    The grades of everybody, students or not.
    """
    return rows_by_key(
        site,
        "SELECT i.courseid, i.itemmodule, i.iteminstance, g.userid, "
        "MIN(CASE WHEN g.overridden > 0 THEN g.overridden ELSE g.timemodified END) "
        "FROM {grade_items} i JOIN {grade_grades} g ON g.itemid = i.id "
        "WHERE i.courseid IN :courses AND i.itemtype = 'mod' AND i.outcomeid IS NULL AND i.gradetype IN :types "
        "AND i.iteminstance IS NOT NULL AND g.finalgrade IS NOT NULL "
        "AND (g.overridden > 0 OR g.timemodified IS NOT NULL) "
        "GROUP BY i.courseid, i.itemmodule, i.iteminstance, g.userid",
        courses=courses,
        types=list(GRADED_TYPES),
    )


def course_items(site: Site, courses: Sequence[int]) -> list[tuple[Any, ...]]:
    """Course, ``gradetype`` and grade to pass of the courses' own grade items."""
    return site.database.rows(
        "SELECT courseid, gradetype, gradepass FROM {grade_items} WHERE courseid IN :courses AND itemtype = 'course'",
        courses=courses,
    )


def final_course_grades(site: Site, courses: Sequence[int]) -> dict[int, list[tuple[Any, ...]]]:
    """User and final grade of the whole course, by course."""
    return rows_by_key(
        site,
        "SELECT i.courseid, g.userid, g.finalgrade FROM {grade_items} i JOIN {grade_grades} g ON g.itemid = i.id "
        "WHERE i.courseid IN :courses AND i.itemtype = 'course' AND g.finalgrade IS NOT NULL",
        courses=courses,
    )


def course_scale(site: Site, course: int) -> tuple[float, float] | None:
    """Lowest and highest grade of a whole course; None without such numbers."""
    rows = site.database.rows(
        "SELECT grademin, grademax FROM {grade_items} "
        "WHERE courseid = :course AND itemtype = 'course' AND gradetype = :value AND grademax IS NOT NULL",
        course=course,
        value=GRADED_TYPES[0],
    )
    return (float(rows[0][0] or 0), float(rows[0][1])) if rows else None
