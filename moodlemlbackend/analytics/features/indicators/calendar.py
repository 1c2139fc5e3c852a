"""Whether activities are due, by the calendar (``\\core_course\\analytics\\indicator\\activities_due``)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import numpy as np

from moodlemlbackend.analytics.features.analysable_samples import AnalysableSamples
from moodlemlbackend.analytics.features.indicators.indicator import Indicator, Kind, Values, yes_or_no
from moodlemlbackend.analytics.features.ranges import Ranges
from moodlemlbackend.analytics.site.activities import course_module_ids
from moodlemlbackend.analytics.site.calendar_events import CalendarEvent, action_events
from moodlemlbackend.analytics.site.completion import completed_modules, handed_in
from moodlemlbackend.analytics.site.database import Integers
from moodlemlbackend.analytics.site.enrolments import (
    enrolled_courses,
    group_members,
    role_assignments,
    roles_with_capability,
)
from moodlemlbackend.analytics.site.site import Site

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
        busy = [
            [bool(((start <= times) & (times <= end)).any()) for times in due]
            for start, end in zip(ranges.starts.tolist(), ranges.ends.tolist(), strict=True)
        ]
        return yes_or_no(np.array(busy, bool).reshape(len(ranges), len(samples)))


def due_times(site: Site, users: Sequence[int], now: int) -> dict[int, Integers]:
    """Unix times of what each user has to do; see :func:`due_events`."""
    return {
        user: np.array([event.time for event in events], np.int64)
        for user, events in due_events(site, users, now).items()
    }


def due_events(site: Site, users: Sequence[int], now: int) -> dict[int, list[CalendarEvent]]:
    """What each user has to do, by time: events of the user's courses, groups, and own ones.

    A date for the user counts before those for groups, of which the latest does, and these before everybody's. What the
    user has completed or handed in is no longer due. Visibility follows the event and its course; other restrictions of
    an activity are not looked at.
    """
    courses = _active_courses(site, users, now)
    listed = sorted({course for of_user in courses.values() for course in of_user})
    groups = group_members(site, users)
    by_course: dict[int, list[CalendarEvent]] = defaultdict(list)
    by_user: dict[int, list[CalendarEvent]] = defaultdict(list)
    for event in action_events(site, users, listed):
        (by_course[event.course] if event.course else by_user[event.user]).append(event)
    modules = course_module_ids(site, listed)
    completed, done = completed_modules(site, users), handed_in(site, users)
    may_attempt = _may_attempt(site, users)
    due: dict[int, list[CalendarEvent]] = {}
    for user in users:
        events = [event for course in courses.get(user, ()) for event in by_course.get(course, ())]
        chosen = [
            event
            for event in events + by_user.get(user, [])
            if (not event.group or event.group in groups.get(user, ()))
            and (event.module, user, event.instance) not in done
            and (user, modules.get((event.module, event.instance))) not in completed
            and (event.module != "quiz" or (user, event.course) in may_attempt or event.course == 0)
        ]
        counts: dict[tuple[str, int, str], tuple[bool, bool, int]] = {}
        for event in chosen:
            counts[event.work] = max(counts.get(event.work, event.precedence), event.precedence)
        in_force = (event for event in chosen if event.precedence == counts[event.work])
        due[user] = sorted(in_force, key=lambda event: event.time)
    return due


def _active_courses(site: Site, users: Sequence[int], now: int) -> dict[int, set[int]]:
    """Visible courses in which each user has an active enrolment now."""
    visible = {course.id for course in site.courses if course.visible}
    active: dict[int, set[int]] = defaultdict(set)
    for user, course in enrolled_courses(site, users, now):
        if course in visible:
            active[user].add(course)
    return active


def _may_attempt(site: Site, users: Sequence[int]) -> set[tuple[int, int]]:
    """User and course of those who may attempt quizzes there, by the definitions of their roles."""
    roles = roles_with_capability(site, ATTEMPT) or site.roles("student").tolist()
    by_context = role_assignments(site, roles, users=users)
    return {
        (user, course.id)
        for course in site.courses
        for context in course.path
        for user in by_context.get(context, NONE).tolist()
    }
