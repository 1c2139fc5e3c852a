"""What the students of a course did in a range of time, counted once for all of them: the evidence behind indicators.

:func:`read_evidence` reads it with one query on the course's logs. What it returns holds plain data only, so it
outlives the connection and may be shared between threads. What is due, and what counts, is as the indicators have it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from moodlemlbackend.analytics.features import registry
from moodlemlbackend.analytics.features.analysables import MAX_TIME, Courses, facts
from moodlemlbackend.analytics.features.analysables.due import due_activities
from moodlemlbackend.analytics.features.analysers import StudentEnrolments
from moodlemlbackend.analytics.features.indicators import CORE, CognitiveDepth
from moodlemlbackend.analytics.features.indicators.calendar import ActivitiesDue, due_events
from moodlemlbackend.analytics.features.indicators.community_of_inquiry import (
    CommunityOfInquiry,
    Footprints,
    potential_levels,
)
from moodlemlbackend.analytics.features.indicators.indicator import (
    LEAST_CLASSMATES,
    ComparedCount,
    OwnCounts,
    events_of,
)
from moodlemlbackend.analytics.features.ranges import Ranges
from moodlemlbackend.analytics.features.rounding import php_round
from moodlemlbackend.analytics.site.logs import COURSE_LEVEL, READ, WRITE, oldest_log
from moodlemlbackend.analytics.site.modules import MODULES
from moodlemlbackend.errors import UsageError

if TYPE_CHECKING:
    import datetime
    from collections.abc import Collection, Iterable, Mapping

    from moodlemlbackend.analytics.features.analysable_samples import AnalysableSamples
    from moodlemlbackend.analytics.features.analysables import Course
    from moodlemlbackend.analytics.features.analysables.logs import Logs, Mask
    from moodlemlbackend.analytics.features.indicators import Indicator
    from moodlemlbackend.analytics.features.indicators.indicator import Values
    from moodlemlbackend.analytics.site import Site
    from moodlemlbackend.analytics.site.calendar_events import CalendarEvent
    from moodlemlbackend.analytics.site.database import Integers

SUBMITTED = ("assign", "quiz", "workshop", "lesson")
"""Types of activities in which writing is a submission."""

LEAVES_NO_TRACE = "label"
"""The type of activities of which the logs never say that somebody saw it."""

TOLERANCE = 0.011
"""By which a stored value, rounded to two decimals, may differ from one that is calculated again."""


@dataclass(frozen=True)
class OfType:
    """What a student did in the activities of a type that are due in the range.

    ``opened`` and ``wrote`` are how many of those ``due`` the student opened, and wrote in, in the range; ``…_earlier``
    and ``…_later`` how many of the others before it, or only after it. ``last_wrote`` is the Unix time of the last
    writing in any activity of the type up to then, 0 for never; ``wrote_since`` whether there was any after.
    """

    module: str
    due: int
    opened: ComparedCount
    opened_earlier: int
    opened_later: int
    wrote: ComparedCount
    wrote_earlier: int
    wrote_later: int
    last_wrote: int
    wrote_since: bool


@dataclass(frozen=True, eq=False)
class CourseEvidence:
    """What each student of a course did from ``start`` to ``as_of``; Unix times, ``start`` 0 for an open one.

    Attributes
    ----------
    end, as_of, now
        the end of the range; until when it is counted: its end, or earlier if it was not over; when this was read.
    users, active
        ids of the students, and whether each was enrolled and not suspended at ``as_of``: (users,). Students are
        compared with those who were.
    due
        how many activities of each type were due by then.
    counts, times
        whole numbers and Unix times (0 for never) by name, each (users,): ``opened``, ``wrote`` and ``last wrote``
        followed by a type; ``reads`` of the course's page, ``views`` of any page, ``writes``, ``written`` activities,
        ``done`` activities of those ``due``, ``submissions``; ``first access``, ``last access``, ``last wrote``,
        ``last submission``.
    values
        of indicators by id, (users,), calculated again.
    hidden
        types of activities about which no single student is counted, because their logs are anonymous.
    logged, complete
        whether there are logs of the range, and none of it, or of the course until then, is old enough for the site to
        have deleted it.
    events
        what each student has to do in the range, by the calendar, earliest first.
    """

    courseid: int
    course_start: int
    course_end: int
    start: int
    end: int
    as_of: int
    now: int
    zone: datetime.tzinfo
    users: Integers
    active: Mask
    due: Mapping[str, int]
    counts: Mapping[str, Integers]
    times: Mapping[str, Integers]
    values: Mapping[str, Values]
    hidden: frozenset[str]
    logged: bool
    complete: bool
    events: Mapping[int, tuple[CalendarEvent, ...]]
    _least: Mapping[str, Values] = field(repr=False)
    _most: Mapping[str, Values] = field(repr=False)
    _sorted: dict[str, Any] = field(init=False, repr=False, default_factory=dict)
    _index: dict[int, int] = field(init=False, repr=False, default_factory=dict)

    def __post_init__(self) -> None:
        self._index.update({user: at for at, user in enumerate(self.users.tolist())})

    def __contains__(self, userid: int) -> bool:
        return userid in self._index

    def time(self, name: str, userid: int) -> int:
        """One of the times of a student."""
        return int(self.times[name][self._index[userid]])

    def value(self, indicator: str, userid: int) -> float | None:
        """The value of an indicator as it is calculated again; None for one that is not, or has none."""
        if indicator not in self.values or userid not in self._index:
            return None
        value = float(self.values[indicator][self._index[userid]])
        return None if np.isnan(value) else value

    def count(self, name: str, userid: int) -> ComparedCount:
        """A count of a student beside the middle half of the others."""
        at = self._index[userid]
        own = int(self.counts[name][at])
        others = self._others(name, own, at)
        if len(others) < LEAST_CLASSMATES:
            return ComparedCount(own)
        low, high = (int(others[-(-len(others) * quarter // 4) - 1]) for quarter in (1, 3))
        return ComparedCount(own, low, high)

    def of_type(self, module: str, userid: int) -> OfType | None:
        """What a student did in the activities of a type; None where that is not known."""
        if not self.logged or module in self.hidden or userid not in self._index:
            return None
        if not self.due.get(module):
            return OfType(module, 0, ComparedCount(0), 0, 0, ComparedCount(0), 0, 0, 0, wrote_since=False)
        at = self._index[userid]

        def number(name: str) -> int:
            return int(self.counts[name][at])

        last = self.time(f"last wrote {module}", userid)
        return OfType(
            module, self.due[module],
            self.count(f"opened {module}", userid), number(f"opened earlier {module}"),
            number(f"opened later {module}"),
            self.count(f"wrote {module}", userid), number(f"wrote earlier {module}"), number(f"wrote later {module}"),
            last, wrote_since=self.time(f"latest wrote {module}", userid) > last,
        )  # fmt: skip

    def agrees(self, indicator: str, userid: int, value: float | None) -> bool:
        """Whether a value that was stored follows from what is counted; logs may have been deleted since."""
        if userid not in self._index:
            return False
        at = self._index[userid]
        if indicator in self._least:
            least, most = self._least[indicator][at], self._most[indicator][at]
            if value is None or np.isnan(least):
                return value is None and bool(np.isnan(least))
            return bool(least - TOLERANCE <= value <= most + TOLERANCE)
        again = self.value(indicator, userid)
        if value is None or again is None:
            return value is None and again is None
        return abs(value - again) <= TOLERANCE

    def like(self, name: str, userid: int) -> tuple[int, int] | None:
        """For how many classmates something is so, or not, as for a student, and how many there are; None with too few.

        ``name`` is that of a count or of an indicator; it is so where the number is more than 0.
        """
        at = self._index[userid]
        own = (self.counts if name in self.counts else self.values)[name][at]
        others = self._others(name, own, at)
        if len(others) < LEAST_CLASSMATES or np.isnan(own):
            return None
        return int(((others > 0) == (own > 0)).sum()), len(others)

    def tenths_below(self, indicator: str, userid: int) -> tuple[int, int] | None:
        """Of 10 classmates how many have a lower value, and how many a higher one, rounded down; None with too few."""
        at = self._index[userid]
        own = self.values[indicator][at]
        others = self._others(indicator, own, at)
        if len(others) < LEAST_CLASSMATES or np.isnan(own):
            return None
        return int(10 * (others < own).sum() // len(others)), int(10 * (others > own).sum() // len(others))

    def own_counts(self, indicator: str, userid: int) -> OwnCounts | None:
        """What an indicator with a sentence of its own has counted of a student."""
        value = self.value(indicator, userid)
        if value is None:
            return None
        beginning = f"{indicator} "
        names = [name for name in self.counts if name.startswith(beginning)]
        return OwnCounts(value, {name.removeprefix(beginning): self.count(name, userid) for name in names})

    def _others(self, name: str, own: float, at: int) -> Any:
        """The sorted numbers of the active students but one."""
        everybody = self._sorted.get(name)
        if everybody is None:
            numbers = (self.counts if name in self.counts else self.values)[name][self.active]
            everybody = self._sorted[name] = np.sort(numbers[~np.isnan(numbers)])
        if not self.active[at] or np.isnan(own):
            return everybody
        return np.delete(everybody, np.searchsorted(everybody, own))


def read_evidence(
    site: Site,
    courseid: int,
    start: int,
    end: int,
    now: int,
    *,
    as_of: int | None = None,
    indicators: Collection[str] | None = None,
) -> CourseEvidence | None:
    """Read what the students of a course did in a range; None when the course is not there.

    Parameters
    ----------
    start, end, now
        Unix times: of the range, 0 for an open start, and of the present.
    as_of
        until when a range is counted that was not over when it was predicted; the present unless given.
    indicators
        ids of those that will be asked about; Moodle's unless given. Only those of others can need more than one query
        on the logs; what no indicator needs of profiles and calendars is not read.
    """
    row = next((course for course in site.courses if course.id == courseid), None)
    if row is None:
        return None
    until = min(end or MAX_TIME, now, now if as_of is None else as_of)
    wanted = _installed([indicator.id for indicator in CORE] if indicators is None else indicators)
    [course] = Courses(site, [row], now, events_of(one for one in wanted if not isinstance(one, CommunityOfInquiry)))
    course.plan_logs(bound for bound in (start, end, until, now) if bound)
    samples = StudentEnrolments().samples(course)
    assert samples.users is not None
    samples = samples.take(np.sort(np.unique(samples.users, return_index=True)[1]))
    return _Reading(course, samples, Ranges.of([(start, end, until)]), until, now).evidence(wanted)


def _installed(ids: Iterable[str]) -> list[Indicator]:
    """The indicators of ids, of those that can be calculated of students in a course."""
    chosen = []
    for name in dict.fromkeys(ids):
        try:
            indicator = registry.get_indicator(name)
        except UsageError:
            continue
        if indicator.requires <= StudentEnrolments.provides:
            chosen.append(indicator)
    return chosen


class _Reading:
    """Counts one course; positions of ranges: so far, before, after."""

    def __init__(self, course: Course, samples: AnalysableSamples, whole: Ranges, until: int, now: int) -> None:
        assert samples.users is not None
        self.course, self.samples, self.whole, self.until, self.now = course, samples, whole, until, now
        self.users: Integers = samples.users
        self.start, self.end = int(whole.starts[0]), int(whole.ends[0])
        self.ranges = Ranges.of([(self.start, until, 0), (0, self.start, 0), (until, now, 0)])
        self.logs: Logs = course.logs({*whole.bounds, *self.ranges.bounds})
        self.oldest = oldest_log(course.site, now)
        self.counts: dict[str, Integers] = {}
        self.times: dict[str, Integers] = {}
        self.values: dict[str, Values] = {}
        self.due: dict[str, int] = {}
        self.least: dict[str, Values] = {}
        self.most: dict[str, Values] = {}
        self.hidden: set[str] = set()

    def evidence(self, wanted: Collection[Indicator]) -> CourseEvidence:
        """Count everything."""
        course = self.course
        enrolments = course.enrolments
        in_force = enrolments.active(self.until) & (enrolments.created <= self.until)
        self._count_activities()
        self._count_actions()
        events = self._events(wanted)
        for indicator in wanted:
            if not isinstance(indicator, (CommunityOfInquiry, ActivitiesDue)):
                self._calculate(indicator)
        return CourseEvidence(
            courseid=course.id, course_start=course.start, course_end=course.end, start=self.start, end=self.end,
            as_of=self.until, now=self.now, zone=course.site.zone, users=self.users,
            active=np.isin(self.users, enrolments.users[in_force]), due=self.due, counts=self.counts, times=self.times,
            values=self.values, hidden=frozenset(self.hidden), logged=self._logged(self.start or course.start),
            complete=self._logged(course.start), events=events, _least=self.least, _most=self.most,
        )  # fmt: skip

    def _logged(self, since: int) -> bool:
        return since >= self.oldest and bool(self.logs.within(self.ranges)[0].any())

    def _count_activities(self) -> None:
        """By type: due, opened, written in; and between which values the indicators of the type must lie."""
        activities, logs = self.course.activities, self.logs
        due_in_all = due_activities(self.course, self.whole)[0]
        due = due_activities(self.course, self.ranges.take([0]))[0]
        seen, wrote = Footprints(logs, activities, self.ranges).who(self.users)
        cognitive, social = potential_levels(activities)
        done = np.zeros(len(self.users), np.int64)
        due_to_do = 0
        anonymous = np.unique(logs.contexts[logs.anonymous])
        for module in sorted(set(activities.modules)):
            of_type = activities.of(module)
            chosen = of_type[due[of_type]]
            self.due[module] = len(chosen)
            for name, traces in (("opened", seen), ("wrote", wrote)):
                now, before, after = (traces[place][chosen] for place in range(3))
                before = before & ~now if self.start else np.zeros_like(now)
                self.counts[f"{name} {module}"] = now.sum(axis=0)
                self.counts[f"{name} earlier {module}"] = before.sum(axis=0)
                self.counts[f"{name} later {module}"] = (after & ~now & ~before).sum(axis=0)
            self._time_writing(module, np.isin(logs.contexts, activities.contexts[of_type]))
            if np.isin(activities.contexts[of_type], anonymous).any():
                self.hidden.add(module)
            if module in MODULES:
                self._bound(module, of_type[due_in_all[of_type]], seen[0], wrote[0], cognitive, social)
            if module != LEAVES_NO_TRACE:
                writes = module in MODULES and MODULES[module].cognitive > 1
                done += (wrote if writes else seen)[0][chosen].sum(axis=0)
                due_to_do += len(chosen)
        self.counts["done"], self.due["done"] = done, due_to_do
        self.counts["submissions"] = sum(
            (wrote[0][activities.of(module)].sum(axis=0) for module in SUBMITTED), np.zeros(len(self.users), np.int64)
        )
        self.counts["written"] = wrote[0].sum(axis=0)
        submitted = np.isin(activities.modules, SUBMITTED)
        self._time_writing("", np.isin(logs.contexts, activities.contexts[submitted]), "submission")

    def _time_writing(self, module: str, inside: Mask, what: str = "wrote") -> None:
        writes = inside & (self.logs.kinds == WRITE)
        within = self.logs.within(Ranges.of([(0, self.until, 0), (0, self.now, 0)]))
        for name, until in (("last", within[0]), ("latest", within[1])):
            self.times[f"{name} {what} {module}".strip()] = self.logs.latest(writes & until, self.users)

    def _bound(
        self, module: str, due: Integers, seen: Mask, wrote: Mask, cognitive: Integers, social: Integers
    ) -> None:
        """The least and most that cognitive depth and social breadth can be; feedback is granted to all who opened."""
        depth = CognitiveDepth(MODULES[module]).id
        for id_, potentials in ((depth, cognitive), (depth.replace("cognitive_depth", "social_breadth"), social)):
            deep = potentials[due, None]
            own = np.where(seen[due], np.where(wrote[due] & (deep >= 2) & (id_ == depth), 2, 1), 0)
            parts = (own / np.maximum(deep, 1), seen[due].astype(float))
            least, most = (-1 + 2 * part.sum(axis=0) / max(len(due), 1) for part in parts)
            for bounds, numbers in ((self.least, least), (self.most, most)):
                bounds[id_] = numbers if len(due) else np.full(len(self.users), np.nan)

    def _count_actions(self) -> None:
        logs, users, so_far = self.logs, self.users, self.ranges.take([0])
        reads = logs.kinds == READ
        of_course = logs.contexts == COURSE_LEVEL
        writes = (logs.kinds == WRITE) & ~logs.anonymous
        chosen = {"reads": reads & of_course, "views": reads, "writes": writes}
        self.counts |= {name: logs.count(groups, users, so_far)[0] for name, groups in chosen.items()}
        until = logs.within(Ranges.of([(0, self.until, 0)]))[0]
        self.times["last wrote"] = logs.latest(writes & until, users)
        self.times["latest wrote"] = logs.latest(writes & logs.within(Ranges.of([(0, self.now, 0)]))[0], users)
        first = logs.earliest(of_course, users, MAX_TIME)
        self.times["first access"] = np.where(first == MAX_TIME, 0, first)
        accesses = self.course.fact(facts.last_accesses, np.empty((0, 2), np.int64))
        by_user = dict(zip(accesses[:, 0].tolist(), accesses[:, 1].tolist(), strict=True))
        self.times["last access"] = np.array([by_user.get(user, 0) for user in users.tolist()], np.int64)

    def _events(self, wanted: Collection[Indicator]) -> dict[int, tuple[CalendarEvent, ...]]:
        """What each student has to do in the range, by the calendar, if an indicator asks for it."""
        if not any(isinstance(indicator, ActivitiesDue) for indicator in wanted):
            return {}
        due = due_events(self.course.site, self.users.tolist(), self.now)
        end = self.end or MAX_TIME
        events = {
            user: tuple(event for event in of_user if self.start <= event.time <= end) for user, of_user in due.items()
        }
        self.values[ActivitiesDue.id] = np.array([1.0 if events.get(user) else -1.0 for user in self.users.tolist()])
        return events

    def _calculate(self, indicator: Indicator) -> None:
        """Values over the whole range, and what the indicator counts; nothing of one that fails."""
        shape = len(self.users)
        try:
            values = np.broadcast_to(np.asarray(indicator.calculate(self.samples, self.whole), float), (1, shape))[0]
            counts = {
                f"{indicator.id} {name}": np.broadcast_to(np.asarray(numbers), (1, shape))[0].astype(np.int64)
                for name, numbers in indicator.counts(self.samples, self.whole).items()
            }
        except Exception:  # a reason less; the prediction has reported what is wrong
            return
        self.values[indicator.id] = php_round(values)
        self.counts |= counts
