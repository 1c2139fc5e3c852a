"""Moodle's indicators of what the logs of a course show (``\\core\\analytics\\indicator``)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from moodlemlbackend.analytics.features.analysable_samples import AnalysableSamples
from moodlemlbackend.analytics.features.analysables import MAX_TIME, Course, facts
from moodlemlbackend.analytics.features.indicators.indicator import CourseIndicator, Indicator, Kind, Values, yes_or_no
from moodlemlbackend.analytics.features.ranges import Ranges
from moodlemlbackend.analytics.site.database import Integers
from moodlemlbackend.analytics.site.logs import COURSE_LEVEL, READ, WRITE, user_logs
from moodlemlbackend.analytics.site.site import Site
from moodlemlbackend.dataset.columns import AFTER_END

SECONDS_A_WEEK = 604_800

FEW_READS_A_WEEK, MANY_READS_A_WEEK = 3, 30
"""Reads of the course's own page in a week up to which they are few, and not very many."""

READ_VALUES = (-1.0, -0.33, 0.33, 1.0)
"""Value for no, few, more and many reads."""


class AnyAccessAfterEnd(CourseIndicator):
    """Whether the user opened the course after its end."""

    id = AFTER_END
    kind = Kind.BINARY
    requires = frozenset({"user", "course", "context"})
    known_in_time = False

    def of_course(self, course: Course, users: Integers | None, ranges: Ranges) -> Values:
        """The same in every range."""
        logs = course.logs()
        latest = logs.latest(logs.contexts == COURSE_LEVEL, users, -1)
        return np.broadcast_to(yes_or_no(latest > course.end), (len(ranges), len(latest)))


class AnyAccessBeforeStart(CourseIndicator):
    """Whether the user opened the course before its start."""

    id = r"\core\analytics\indicator\any_access_before_start"
    kind = Kind.BINARY
    requires = frozenset({"user", "course", "context"})

    def of_course(self, course: Course, users: Integers | None, ranges: Ranges) -> Values:
        """The same in every range."""
        logs = course.logs()
        earliest = logs.earliest(logs.contexts == COURSE_LEVEL, users, MAX_TIME)
        return np.broadcast_to(yes_or_no(earliest < course.start), (len(ranges), len(earliest)))


class AnyCourseAccess(CourseIndicator):
    """Whether the user came to the course in the range; -1 when it is not a course that is analysed."""

    id = r"\core\analytics\indicator\any_course_access"
    kind = Kind.BINARY
    requires = frozenset({"user", "course"})

    def calculate(self, samples: AnalysableSamples, ranges: Ranges) -> Values:
        """Last accesses are known of a course that is analysed only, as in Moodle."""
        if not isinstance(samples.analysable, Course):
            return np.full((len(ranges), len(samples)), -1.0)
        return super().calculate(samples, ranges)

    def of_course(self, course: Course, users: Integers | None, ranges: Ranges) -> Values:
        """By the last access where it decides, else by the logs."""
        assert users is not None
        accesses = course.fact(facts.last_accesses, np.empty((0, 2), np.int64))
        at = np.minimum(np.searchsorted(accesses[:, 0], users), max(len(accesses) - 1, 0))
        last = np.zeros(len(users), np.int64)
        if len(accesses):
            last = np.where(accesses[at, 0] == users, accesses[at, 1], 0)
        starts, ends = ranges.starts[:, None], ranges.ends[:, None]
        conditions = np.broadcast_arrays(
            last == 0,
            (starts == 0) & (ends == 0),
            (starts != 0) & (last < starts),
            (ends != 0) & (last < ends),
            (starts != 0) & (ends == 0),
        )
        values: Values = np.select(conditions, [-1.0, 1.0, -1.0, 1.0, 1.0])
        decided = np.any(conditions, axis=0)
        if not decided.all():
            logs = course.logs(ranges.bounds)
            rows = logs.count(np.ones(len(logs), bool), users, ranges)
            values = np.where(decided, values, yes_or_no(rows > 0))
        return values


class AnyWriteAction(Indicator):
    """Whether something was written in the sample's own context: the course's, or the user's."""

    id = r"\core\analytics\indicator\any_write_action"
    kind = Kind.BINARY
    requires = frozenset({"context"})

    def calculate(self, samples: AnalysableSamples, ranges: Ranges) -> Values:
        """By the user when the sample has one."""
        return yes_or_no(_in_context(samples, ranges, WRITE) > 0)


class AnyWriteActionInCourse(CourseIndicator):
    """Whether something was written anywhere in the course, not anonymously."""

    id = r"\core\analytics\indicator\any_write_action_in_course"
    kind = Kind.BINARY
    requires = frozenset({"course"})

    def of_course(self, course: Course, users: Integers | None, ranges: Ranges) -> Values:
        """By the user when the sample has one."""
        logs = course.logs(ranges.bounds)
        return yes_or_no(logs.count((logs.kinds == WRITE) & ~logs.anonymous, users, ranges) > 0)


class ReadActions(Indicator):
    """How often the sample's own context was read, by the week; null without a start and an end."""

    id = r"\core\analytics\indicator\read_actions"
    requires = frozenset({"context"})

    def calculate(self, samples: AnalysableSamples, ranges: Ranges) -> Values:
        """By the user when the sample has one."""
        reads = _in_context(samples, ranges, READ)
        weeks = ((ranges.ends - ranges.starts) / SECONDS_A_WEEK)[:, None]
        conditions = [reads == 0, reads <= FEW_READS_A_WEEK * weeks, reads <= MANY_READS_A_WEEK * weeks]
        values = np.select(conditions, READ_VALUES[:3], READ_VALUES[3])
        values[(ranges.starts == 0) | (ranges.ends == 0)] = np.nan
        return values


_NO_ACTIONS: Integers = np.empty((0, 2), np.int64)


def _user_logs(site: Site, users: Sequence[int], now: int) -> dict[int, Integers]:  # noqa: ARG001
    return user_logs(site, users)


def _in_context(samples: AnalysableSamples, ranges: Ranges, kind: int) -> Integers:
    """Log rows of a kind of action in the samples' own context: (ranges, samples)."""
    counts = np.zeros((len(ranges), len(samples)), np.int64)
    for course, where in samples.by_course():
        logs = course.logs(ranges.bounds)
        users = None if samples.users is None else samples.users[where]
        counts[:, where] = logs.count((logs.contexts == COURSE_LEVEL) & (logs.kinds == kind), users, ranges)
    for at, user in enumerate(samples.user_facts):
        actions = user.fact(_user_logs, _NO_ACTIONS)
        chosen = actions[actions[:, 0] == kind, 1]
        after = (ranges.starts == 0)[:, None] | (chosen > ranges.starts[:, None])
        before = (ranges.ends == 0)[:, None] | (chosen <= ranges.ends[:, None])
        counts[:, at] = (after & before).sum(axis=1)
    return counts
