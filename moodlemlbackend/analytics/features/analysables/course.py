"""A course: its dates, people, activities and logs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, TypeVar

import numpy as np

from moodlemlbackend.analytics.features.analysables import facts
from moodlemlbackend.analytics.features.analysables.activities import Activities, activities
from moodlemlbackend.analytics.features.analysables.facts import Enrolments
from moodlemlbackend.analytics.features.analysables.logs import Logs, read_logs
from moodlemlbackend.analytics.site.database import Integers
from moodlemlbackend.analytics.site.names import format_name
from moodlemlbackend.analytics.site.site import CourseRow, Site

FORMATS_WITHOUT_SECTIONS = frozenset({"site", "social", "singleactivity"})
FORMATS_OF_WEEKS = frozenset({"weeks"})

Fact = TypeVar("Fact")

_NOTHING = Enrolments(*(np.empty(0, np.int64),) * 6)


class Course:
    """A course as an analysable (``\\core_analytics\\course``). Its facts are read when first asked for."""

    def __init__(self, row: CourseRow, batch: Courses) -> None:
        self.row = row
        self.id, self.context, self.path, self.format = row.id, row.context, row.path, row.format
        self.name = format_name(row.shortname, batch.site.language)
        self.start, self.end = row.start, row.end
        self.site, self.now = batch.site, batch.now
        self._batch = batch
        self._logs: Logs | None = None
        self._planned: set[int] = set()
        self._memory: dict[Any, Any] = {}

    def fact(self, reader: Callable[[Site, Sequence[CourseRow]], dict[int, Fact]], default: Fact) -> Fact:
        """What a reader of :mod:`facts`, or of one's own, finds for this course; it is called once a batch."""
        return self._batch.fact(reader).get(self.id, default)

    @property
    def was_started(self) -> bool:
        """Whether the course has begun."""
        return self.start != 0 and self.now >= self.start

    @property
    def is_finished(self) -> bool:
        """Whether the course is over."""
        return self.end != 0 and self.now >= self.end

    @property
    def visible(self) -> bool:
        """Whether students see the course."""
        return self.row.visible

    @property
    def uses_sections(self) -> bool:
        """Whether the course's format has sections."""
        return self.format not in FORMATS_WITHOUT_SECTIONS

    @property
    def in_weeks(self) -> bool:
        """Whether each section of the course is a week."""
        return self.format in FORMATS_OF_WEEKS

    @property
    def completion_enabled(self) -> bool:
        """Whether completion is tracked, in the site and in the course."""
        return self.site.completion_enabled and self.row.completion

    @property
    def completion_criteria(self) -> int:
        """Number of criteria for completing the course."""
        return self.fact(facts.criteria, 0)

    @property
    def students(self) -> Integers:
        """Ids of the users with a student's role in the course or above it, sorted."""
        return self.fact(facts.students, facts.NOBODY)

    @property
    def teachers(self) -> Integers:
        """Ids of the users with a teacher's role in the course or above it, sorted."""
        return self.fact(facts.teachers, facts.NOBODY)

    @property
    def enrolments(self) -> Enrolments:
        """User enrolments of every method and status, by id."""
        return self.fact(facts.enrolments, _NOTHING)

    @property
    def activities(self) -> Activities:
        """Activities of every type, hidden ones included, in the order of the course's page."""
        return self.fact(activities, Activities.NONE)

    def plan_logs(self, bounds: Iterable[int]) -> None:
        """Say in advance at which times the logs will be cut, so that they are read once."""
        self._planned |= set(bounds)

    def logs(self, bounds: Iterable[int] = ()) -> Logs:
        """The course's logs, cut at these times at least; read from the site when they are not yet."""
        bounds = set(bounds)
        if self._logs is None or not self._logs.covers(bounds, self._batch.events):
            self._planned |= bounds
            self._logs = read_logs(self.site, self.id, self._planned, self._batch.events)
        return self._logs

    def remember(self, key: Any, make: Callable[[], Fact]) -> Fact:
        """What ``make`` returns, made once for a key: for what several indicators have in common."""
        if key not in self._memory:
            self._memory[key] = make()
        fact: Fact = self._memory[key]
        return fact

    def forget(self) -> None:
        """Free what is remembered, the logs too."""
        self._logs = None
        self._memory.clear()


class Courses:
    """A batch of courses whose facts are read together, and the events that its analysis tells apart.

    ``now`` is the Unix time of the analysis.
    """

    def __init__(self, site: Site, rows: Iterable[CourseRow], now: int, events: Iterable[str] = ()) -> None:
        self.site, self.now = site, now
        self.events = frozenset(events)
        self._rows = list(rows)
        self._courses = [Course(row, self) for row in self._rows]
        self._facts: dict[Any, dict[int, Any]] = {}

    def __iter__(self) -> Iterator[Course]:
        return iter(self._courses)

    def __len__(self) -> int:
        return len(self._courses)

    def fact(self, reader: Callable[[Site, Sequence[CourseRow]], dict[int, Fact]]) -> dict[int, Fact]:
        """What a reader finds, by course id."""
        if reader not in self._facts:
            self._facts[reader] = reader(self.site, self._rows)
        return self._facts[reader]
