"""Analysers: which analysables there are, and which samples each has."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import Any, ClassVar

import numpy as np

from moodlemlbackend.analytics.features.analysable_samples import AnalysableSamples
from moodlemlbackend.analytics.features.analysables import Course, Courses, SiteWide, User, Users
from moodlemlbackend.analytics.site.database import Integers
from moodlemlbackend.analytics.site.site import CourseRow, Site
from moodlemlbackend.analytics.site.users import UserRow, analysed_users

COURSES_A_BATCH = 50
"""Courses whose facts are read together."""

USERS_A_BATCH = 1000


class Analyser(ABC):
    """An analyser: lists analysables and gives the samples of one."""

    id: ClassVar[str]
    origin: ClassVar[str]
    """Table of the samples."""
    provides: ClassVar[frozenset[str]]
    """What its samples have, for indicators that require it."""
    one_sample_per_analysable: ClassVar[bool] = False
    restricted_by_contexts: ClassVar[bool] = False
    audience: ClassVar[str] = "teachers"
    """Who is notified about its samples; users about themselves are ``students``."""

    @abstractmethod
    def rows(self, site: Site, contexts: Collection[int] = ()) -> Sequence[Any]:
        """List the analysables in Moodle's order; ``contexts`` are ids of contexts at or below which they must lie."""

    @abstractmethod
    def batches(self, rows: Sequence[Any]) -> Iterator[Sequence[Any]]:
        """Cut the list into parts that are read together."""

    @abstractmethod
    def open(self, site: Site, rows: Sequence[Any], now: int, events: Iterable[str]) -> Iterable[Any]:
        """Make the analysables of a part."""

    @abstractmethod
    def samples(self, analysable: Any) -> AnalysableSamples:
        """Every sample of an analysable, before a target looks at it."""


def _parts(rows: Sequence[Any], size: int) -> Iterator[Sequence[Any]]:
    for start in range(0, len(rows), size):
        yield rows[start : start + size]


def _single(id: int) -> Integers:  # noqa: A002
    return np.array([id], np.int64)


class _ByCourse(Analyser):
    restricted_by_contexts = True

    def rows(self, site: Site, contexts: Collection[int] = ()) -> Sequence[CourseRow]:
        """Every course but the front page, hidden ones included."""
        wanted = set(contexts)
        return [course for course in site.courses if not wanted or wanted & set(course.path)]

    def batches(self, rows: Sequence[CourseRow]) -> Iterator[Sequence[CourseRow]]:
        """Some courses at a time."""
        return _parts(rows, COURSES_A_BATCH)

    def open(self, site: Site, rows: Sequence[CourseRow], now: int, events: Iterable[str]) -> Iterable[Course]:
        """Courses."""
        return Courses(site, rows, now, events)


class StudentEnrolments(_ByCourse):
    """A sample for each student who is enrolled: the enrolment with the lowest id."""

    id = r"\core\analytics\analyser\student_enrolments"
    origin = "user_enrolments"
    provides = frozenset({"user_enrolments", "context", "course", "user"})

    def samples(self, analysable: Course) -> AnalysableSamples:
        """Enrolments of the course's students; in Moodle 3.7 each of a student's several."""
        enrolments = analysable.enrolments.take(
            np.flatnonzero(np.isin(analysable.enrolments.users, analysable.students))
        )
        if not analysable.site.is_37:
            enrolments = enrolments.take(np.sort(np.unique(enrolments.users, return_index=True)[1]))
        count = len(enrolments.ids)
        return AnalysableSamples(
            analysable, self.origin, enrolments.ids, np.full(count, analysable.context), enrolments.users,
            (analysable,), np.zeros(count, np.int64), enrolments,
        )  # fmt: skip


class CoursesAnalyser(_ByCourse):
    """Every course is a sample of its own."""

    id = r"\core\analytics\analyser\courses"
    origin = "course"
    provides = frozenset({"course", "context"})
    one_sample_per_analysable = True

    def samples(self, analysable: Course) -> AnalysableSamples:
        """The course."""
        return AnalysableSamples(
            analysable, self.origin, _single(analysable.id), _single(analysable.context),
            courses=(analysable,), course_index=np.zeros(1, np.int64),
        )  # fmt: skip


class SiteCourses(Analyser):
    """Every course is a sample of the site."""

    id = r"\core\analytics\analyser\site_courses"
    audience = "managers"
    origin = "course"
    provides = frozenset({"course", "context"})

    def rows(self, site: Site, contexts: Collection[int] = ()) -> Sequence[Site]:  # noqa: ARG002
        """The site."""
        return [site]

    def batches(self, rows: Sequence[Any]) -> Iterator[Sequence[Any]]:
        """One."""
        yield rows

    def open(self, site: Site, rows: Sequence[Any], now: int, events: Iterable[str]) -> Iterable[SiteWide]:  # noqa: ARG002
        """The site."""
        return [SiteWide(site, now, events)]

    def samples(self, analysable: SiteWide) -> AnalysableSamples:
        """Every course but the front page; a prediction about one is shown in the system's context."""
        courses = tuple(analysable.courses)
        return AnalysableSamples(
            analysable, self.origin, np.array([course.id for course in courses], np.int64),
            np.full(len(courses), analysable.context), courses=courses, course_index=np.arange(len(courses)),
        )  # fmt: skip


class UsersAnalyser(Analyser):
    """Every user is a sample of the user's own."""

    id = r"\core\analytics\analyser\users"
    audience = "students"
    origin = "user"
    provides = frozenset({"user", "context"})
    one_sample_per_analysable = True

    def rows(self, site: Site, contexts: Collection[int] = ()) -> Sequence[UserRow]:  # noqa: ARG002
        """Users who are neither deleted, suspended, unconfirmed, administrators nor the guest."""
        return analysed_users(site)

    def batches(self, rows: Sequence[Any]) -> Iterator[Sequence[Any]]:
        """Some users at a time."""
        return _parts(rows, USERS_A_BATCH)

    def open(self, site: Site, rows: Sequence[Any], now: int, events: Iterable[str]) -> Iterable[User]:  # noqa: ARG002
        """Users."""
        return Users(site, rows, now)

    def samples(self, analysable: User) -> AnalysableSamples:
        """The user."""
        return AnalysableSamples(
            analysable, self.origin, _single(analysable.id), _single(analysable.context),
            _single(analysable.id), user_facts=(analysable,),
        )  # fmt: skip


ANALYSERS: dict[str, Analyser] = {
    analyser.id: analyser for analyser in (StudentEnrolments(), CoursesAnalyser(), SiteCourses(), UsersAnalyser())
}
"""By id."""
