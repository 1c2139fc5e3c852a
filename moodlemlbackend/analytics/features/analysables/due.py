"""When the activities of a course are due: Moodle's "activities completed by" a range."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from moodlemlbackend.analytics.features.analysables.activities import FROM, Dates
from moodlemlbackend.analytics.features.analysables.course import Course
from moodlemlbackend.analytics.features.ranges import Ranges
from moodlemlbackend.analytics.features.weeks import EARLY_SECONDS, week_end
from moodlemlbackend.analytics.site.database import Integers

Flags = npt.NDArray[np.bool_]


def due_activities(course: Course, ranges: Ranges) -> Flags:
    """Which activities are due in which range: (ranges, activities).

    An activity's closing time decides; without one the first date condition that does, its own before its
    section's; without any, its section.
    """
    activities = course.activities
    starts, ends = ranges.starts[:, None], ranges.ends[:, None]
    closes = _inside(activities.closes, starts, ends)
    belongs: Flags = np.where(activities.closes != 0, closes, _by_section(course, starts, ends))
    for at in np.flatnonzero(activities.closes == 0):
        for dates in (activities.section_dates[at], activities.dates[at]):
            _restrict(belongs[:, at], dates, ranges)
    return belongs


def _by_section(course: Course, starts: Integers, ends: Integers) -> Flags:
    """Which sections end in which range, in the course's format."""
    if course.in_weeks:
        return _inside(_week_ends(course), starts, ends)
    dated: Flags = np.full(len(ends), bool(course.start and course.end))[:, None] & (course.activities.sections != 0)
    if not course.uses_sections:
        return dated
    length = np.floor((course.end - course.start) / max(course.activities.section_count, 1) + 0.5)
    times = course.start + length * course.activities.sections
    return dated & _inside(times, starts, ends)


def _week_ends(course: Course) -> Integers:
    """When the week of each activity's section is taken for over: (activities,); section 0 is of the first week."""
    early = EARLY_SECONDS if course.site.weeks_end_early else 0
    weeks, index = np.unique(np.maximum(course.activities.sections, 1), return_inverse=True)
    ends = np.array([week_end(course.site, course.start, week) - early for week in weeks.tolist()], np.int64)
    return ends[index]


def _inside(times: npt.NDArray[Any], starts: Integers, ends: Integers) -> Flags:
    inside: Flags = (starts < times) & (times <= ends)
    return inside


def _restrict(belongs: Flags, dates: Dates, ranges: Ranges) -> None:
    """Let the first date condition that decides say whether an activity belongs to a range; in place."""
    open_ = np.ones(len(ranges), bool)
    for direction, time in dates:
        if direction == FROM:
            no, yes = time > ranges.ends, np.zeros(len(ranges), bool)
        else:
            no = (time < ranges.starts) | (time > ranges.ends)
            yes = (ranges.starts < time) & (time < ranges.ends)
        belongs[open_ & no] = False
        belongs[open_ & yes] = True
        open_ &= ~(no | yes)
