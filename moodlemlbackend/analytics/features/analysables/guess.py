"""When a course without dates probably began and ended, by its enrolments, its log and its last accesses."""

from __future__ import annotations

import numpy as np

from moodlemlbackend.analytics.features.analysables import facts
from moodlemlbackend.analytics.features.analysables.analysable import MAX_TIME
from moodlemlbackend.analytics.features.analysables.course import Course
from moodlemlbackend.analytics.features.analysables.logs import COURSE_LEVEL
from moodlemlbackend.analytics.site.database import Integers

STILL_OPEN_SECONDS = 4_838_400
"""Eight weeks: a student who came since then is still at it."""


def guess_start(course: Course) -> int:
    """Middle of the median first access and the median beginning of enrolments; 0 when there is nothing to go by.

    Accesses are those of students; enrolments are those in force, of anybody, the first of each user.
    """
    students, logs = course.students, course.logs()
    first = logs.earliest(logs.contexts == COURSE_LEVEL, students, MAX_TIME)
    accesses = first[first < MAX_TIME]
    enrolments = course.enrolments
    active = enrolments.take(np.flatnonzero(enrolments.active(course.now)))
    firsts = active.take(np.unique(active.users, return_index=True)[1])
    begins = np.where(firsts.starts != 0, firsts.starts, firsts.created)
    if not len(accesses) or not len(begins):
        return 0
    return int((_median(accesses) + _median(begins)) / 2)


def guess_end(course: Course) -> int:
    """Median of the last accesses of enrolled students; 0 when some still come, or none ever did."""
    if not np.isin(course.logs().users, course.students).any():
        return 0
    accesses = course.fact(facts.last_accesses, np.empty((0, 2), np.int64))
    enrolled = np.intersect1d(course.students, course.enrolments.users)
    times = accesses[np.isin(accesses[:, 0], enrolled) & (accesses[:, 1] != 0), 1]
    if not len(times) or (times > course.now - STILL_OPEN_SECONDS).any():
        return 0
    return _median(np.unique(times))


def _median(values: Integers) -> int:
    """The middle value; between two the whole part of their mean."""
    ordered = np.sort(values)
    middle = (len(ordered) - 1) // 2
    return int(ordered[middle]) if len(ordered) % 2 else int((int(ordered[middle]) + int(ordered[middle + 1])) / 2)
