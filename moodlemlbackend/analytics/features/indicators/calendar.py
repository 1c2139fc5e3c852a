"""Whether activities are due, by the calendar (``\\core_course\\analytics\\indicator\\activities_due``)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from moodlemlbackend.analytics.features.analysable_samples import AnalysableSamples
from moodlemlbackend.analytics.features.indicators.indicator import Indicator, Kind, Values, yes_or_no
from moodlemlbackend.analytics.features.ranges import Ranges
from moodlemlbackend.analytics.site.database import Integers
from moodlemlbackend.analytics.site.site import Site
from moodlemlbackend.analytics.site.tables import rows_by_key

WITHOUT_USER = "bigbluebuttonbn"
"""The module whose events are nobody's in particular."""

DONE = {
    "quiz": "SELECT DISTINCT userid, quiz FROM {quiz_attempts} WHERE userid IN :users AND state = 'finished'",
    "assign": (
        "SELECT DISTINCT userid, assignment FROM {assign_submission} WHERE userid IN :users AND status = 'submitted'"
    ),
    "choice": "SELECT DISTINCT userid, choiceid FROM {choice_answers} WHERE userid IN :users",
    "feedback": "SELECT DISTINCT userid, feedback FROM {feedback_completed} WHERE userid IN :users",
    "lesson": "SELECT DISTINCT userid, lessonid FROM {lesson_grades} WHERE userid IN :users",
}
"""What users have done already, by module: user and instance."""

ATTEMPT = ("mod/quiz:attempt", "mod/quiz:reviewmyattempts")
"""Capabilities of which a user needs one to have a quiz due."""

NONE: Integers = np.empty(0, np.int64)


class ActivitiesDue(Indicator):
    """Whether the user's calendar holds something to do in the range, both bounds included."""

    id = r"\core_course\analytics\indicator\activities_due"
    kind = Kind.BINARY
    requires = frozenset({"user"})

    def calculate(self, samples: AnalysableSamples, ranges: Ranges) -> Values:
        """By the events of all the user's courses."""
        due = samples.user_values(due_times, NONE)
        found = [
            [bool(((start <= times) & (times <= end)).any()) for times in due]
            for start, end in zip(ranges.starts.tolist(), ranges.ends.tolist(), strict=True)
        ]
        return yes_or_no(np.array(found, bool).reshape(len(ranges), len(samples)))


class CalendarEvent(NamedTuple):
    """Something to do, by the calendar; ``time`` is a Unix time, ``course`` 0 for a user's own events."""

    course: int
    group: int
    user: int
    module: str
    instance: int
    time: int
    name: str


def due_times(site: Site, users: Sequence[int], now: int) -> dict[int, Integers]:
    """Unix times of what each user has to do; see :func:`due_events`."""
    return {
        user: np.array([event.time for event in events], np.int64)
        for user, events in due_events(site, users, now).items()
    }


def due_events(site: Site, users: Sequence[int], now: int) -> dict[int, list[CalendarEvent]]:
    """What each user has to do, by time: events of the user's courses, groups, and own ones.

    What the user has completed or handed in is no longer due. Visibility follows the event and its course; other
    restrictions of an activity are not looked at.
    """
    wanted = list(users)
    courses = _active_courses(site, wanted, now)
    groups: dict[int, set[int]] = defaultdict(set)
    for user, group in site.database.rows("SELECT userid, groupid FROM {groups_members} WHERE userid IN :users",
                                          users=wanted):  # fmt: skip
        groups[user].add(group)
    by_course, by_user = _events(site, wanted, {course for found in courses.values() for course in found})
    modules = _course_modules(site, {course for found in courses.values() for course in found})
    completed = set(
        site.database.rows(
            "SELECT userid, coursemoduleid FROM {course_modules_completion} "
            "WHERE userid IN :users AND completionstate > 0",
            users=wanted,
        )
    )
    done = {
        (module, *row)
        for module, sql in DONE.items()
        if site.database.schema.has(module)
        for row in site.database.rows(sql, users=wanted)
    }
    may_attempt = _may_attempt(site, wanted)
    due: dict[int, list[CalendarEvent]] = {}
    for user in wanted:
        events = [event for course in courses.get(user, ()) for event in by_course.get(course, ())]
        chosen = [
            event
            for event in events + by_user.get(user, [])
            if (not event.group or event.group in groups[user])
            and (event.module, user, event.instance) not in done
            and (user, modules.get((event.module, event.instance))) not in completed
            and (event.module != "quiz" or (user, event.course) in may_attempt or event.course == 0)
        ]
        due[user] = sorted(chosen, key=lambda event: event.time)
    return due


def _active_courses(site: Site, users: list[int], now: int) -> dict[int, set[int]]:
    """Visible courses in which each user has an active enrolment now."""
    rows = site.database.rows(
        "SELECT DISTINCT u.userid, e.courseid FROM {user_enrolments} u JOIN {enrol} e ON e.id = u.enrolid "
        "WHERE u.userid IN :users AND u.status = 0 AND e.status = 0 AND u.timestart < :now "
        "AND (u.timeend = 0 OR u.timeend > :now)",
        users=users,
        now=now,
    )
    visible = {course.id for course in site.courses if course.visible}
    found: dict[int, set[int]] = defaultdict(set)
    for user, course in rows:
        if course in visible:
            found[user].add(course)
    return found


def _events(
    site: Site, users: list[int], courses: set[int]
) -> tuple[dict[int, list[CalendarEvent]], dict[int, list[CalendarEvent]]]:
    """Visible events that ask for an action, by course and, those of no course, by user."""
    columns = "courseid, groupid, userid, modulename, instance, timesort, name"
    rows = site.database.rows(
        f"SELECT {columns} FROM {{event}} WHERE type = 1 AND visible = 1 AND modulename <> '' "
        "AND modulename <> :without AND timesort IS NOT NULL "
        "AND (courseid IN :courses OR (courseid = 0 AND userid IN :users))",
        without=WITHOUT_USER,
        courses=sorted(courses) or [-1],
        users=users,
    )
    by_course: dict[int, list[CalendarEvent]] = defaultdict(list)
    by_user: dict[int, list[CalendarEvent]] = defaultdict(list)
    for course, group, user, module, instance, time, name in rows:
        event = CalendarEvent(course, group, user, module, instance, time, str(name or ""))
        (by_course[event.course] if event.course else by_user[event.user]).append(event)
    return by_course, by_user


def _course_modules(site: Site, courses: set[int]) -> dict[tuple[str, int], int]:
    rows = site.database.rows(
        "SELECT n.name, m.instance, m.id FROM {course_modules} m JOIN {modules} n ON n.id = m.module "
        "WHERE m.course IN :courses",
        courses=sorted(courses) or [-1],
    )
    return {(name, instance): module for name, instance, module in rows}


def _may_attempt(site: Site, users: list[int]) -> set[tuple[int, int]]:
    """User and course of those who may attempt quizzes there, by the definitions of their roles."""
    rows = site.database.rows(
        "SELECT DISTINCT roleid FROM {role_capabilities} "
        "WHERE contextid = :system AND permission = 1 AND capability IN :capabilities",
        system=site.system_context,
        capabilities=list(ATTEMPT),
    )
    roles = [row[0] for row in rows] or site.roles("student").tolist() or [-1]
    by_context = rows_by_key(
        site,
        "SELECT contextid, userid FROM {role_assignments} WHERE userid IN :users AND roleid IN :roles",
        users=users,
        roles=roles,
    )
    return {
        (user, course.id)
        for course in site.courses
        for context in course.path
        for (user,) in by_context.get(context, ())
    }
