"""What Moodle knows of a course's students now: when they came, what they have done of what was due, and their grades.

Facts are those of everybody in the course; who may see whom is decided where they are shown.
"""

from __future__ import annotations

from dataclasses import dataclass
from operator import itemgetter
from typing import TYPE_CHECKING

from moodlemlbackend.analytics.features.analysables import Courses
from moodlemlbackend.analytics.features.analysables.due import due_activities
from moodlemlbackend.analytics.features.ranges import Ranges
from moodlemlbackend.analytics.site import activities as site_activities
from moodlemlbackend.analytics.site import completion, grades, logs
from moodlemlbackend.analytics.site.coursework import own_due_dates
from moodlemlbackend.analytics.site.groups import course_groups

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from moodlemlbackend.analytics.features.analysables import Course
    from moodlemlbackend.analytics.site import Site
    from moodlemlbackend.analytics.site.groups import Group
    from moodlemlbackend.analytics.site.site import CourseRow


@dataclass(frozen=True)
class Activity:
    """An activity that students see and can do: hand in, be graded for, or complete.

    Attributes
    ----------
    id
        of the course module.
    name
        as it is stored, which may be in several languages; empty for a type of activities that is not known.
    closes
        a Unix time, 0 when it does not close.
    due
        whether it has been due by now: by its closing time, or else by its section.
    restricted
        whether it is for some people only; it counts where a student has done it, for nobody knows here whom it is for.
    """

    id: int
    module: str
    instance: int
    name: str
    closes: int
    due: bool
    restricted: bool = False


@dataclass(frozen=True)
class CourseFacts:
    """What is known of a course at a time, ``now``; everything is by user id.

    Attributes
    ----------
    activities
        in the order of the course's page.
    done
        ids of the course modules that a user has handed in or completed, or was graded for.
    own_dates
        when activities close for a user, where that is not for everybody so; 0 for never; by course module.
    enrolled
        since when the active enrolment that began first is in force.
    grades
        final grade of the course so far; ``scale`` is the lowest and the highest, None where grades are no numbers.
    """

    now: int
    activities: tuple[Activity, ...]
    done: Mapping[int, frozenset[int]]
    own_dates: Mapping[int, Mapping[int, int]]
    enrolled: Mapping[int, int]
    last_access: Mapping[int, int]
    grades: Mapping[int, float]
    scale: tuple[float, float] | None
    groups: tuple[Group, ...]

    def work(self, userid: int) -> tuple[int, int]:
        """How many of the activities that have been due a user has done, and how many there are."""
        own, done = self.own_dates.get(userid, {}), self.done.get(userid, frozenset())
        due = {
            activity.id
            for activity in self._expected(done)
            if (0 < own[activity.id] <= self.now if activity.id in own else activity.due)
        }
        return len(due & done), len(due)

    def closing(self, userid: int, until: int) -> list[tuple[int, Activity]]:
        """When which activities close for a user from now to a Unix time, the first to close first."""
        return self._by_date(userid, self.now, until)

    def missing(self, userid: int) -> list[tuple[int, Activity]]:
        """When which activities closed for a user who has not done them, the first to close first."""
        done = self.done.get(userid, frozenset())
        return [
            (closed, activity) for closed, activity in self._by_date(userid, 0, self.now) if activity.id not in done
        ]

    def _by_date(self, userid: int, after: int, until: int) -> list[tuple[int, Activity]]:
        own = self.own_dates.get(userid, {})
        dates = [(own.get(activity.id, activity.closes), activity) for activity in self._expected()]
        return sorted(((closes, activity) for closes, activity in dates if after < closes <= until), key=itemgetter(0))

    def _expected(self, done: Collection[int] = ()) -> list[Activity]:
        """Activities that everybody is to do, and those for some people that a user has done."""
        return [activity for activity in self.activities if activity.id in done or not activity.restricted]

    def grade(self, userid: int) -> float | None:
        """A user's grade so far, from 0 for the lowest to 1 for the highest; None without one."""
        grade = self.grades.get(userid)
        if grade is None or self.scale is None or self.scale[1] <= self.scale[0]:
            return None
        return (grade - self.scale[0]) / (self.scale[1] - self.scale[0])


def read_course_facts(site: Site, row: CourseRow, now: int) -> CourseFacts:
    """Read what is known of a course; with a few queries, however many students it has."""
    [course] = Courses(site, [row], now)
    activities = _activities(course)
    scale = grades.course_scale(site, row.id)
    final = grades.final_course_grades(site, [row.id]).get(row.id, ()) if scale else ()
    return CourseFacts(
        now=now,
        activities=activities,
        done=_done(site, row.id, activities),
        own_dates=_own_dates(site, activities),
        enrolled=course.enrolments.since(course.now),
        last_access=read_last_access(site, row.id),
        grades={user: float(grade) for user, grade in final},
        scale=scale,
        groups=tuple(course_groups(site, row.id)),
    )


def read_last_access(site: Site, courseid: int) -> dict[int, int]:
    """When each user who has opened a course was there last; Unix times by user."""
    table = logs.last_accesses(site, [courseid]).get(courseid)
    return {} if table is None else {user: time for user, time in table.tolist() if time}


def _activities(course: Course) -> tuple[Activity, ...]:
    """By :func:`.due_activities`, of which only those count that can be done."""
    site, listed = course.site, course.activities
    if not len(listed):
        return ()
    due = due_activities(course, Ranges.of([(course.start, course.now, course.now)]))[0]
    visible = site_activities.visible_modules(site, course.id)
    graded = {(module, instance) for module, instance in grades.graded_activities(site, [course.id]).get(course.id, ())}
    offline = completion.without_submissions(site, course.id)
    names = site_activities.activity_names(site, course.id, listed.modules)
    chosen = []
    for at, module in enumerate(listed.modules):
        key, instance = int(listed.ids[at]), int(listed.instances[at])
        if key not in visible:
            continue
        tracked = course.completion_enabled and visible[key].tracked
        by_itself = module in completion.HANDED_IN or (module, instance) in graded
        if module == "assign" and instance in offline:
            by_itself = False
        if tracked or by_itself:
            name, closes = names.get((module, instance), ""), int(listed.closes[at])
            chosen.append(Activity(key, module, instance, name, closes, bool(due[at]), visible[key].restricted))
    return tuple(chosen)


def _own_dates(site: Site, activities: tuple[Activity, ...]) -> dict[int, dict[int, int]]:
    ids = {(activity.module, activity.instance): activity.id for activity in activities}
    regular = {(activity.module, activity.instance): activity.closes for activity in activities}
    by_user = own_due_dates(site, regular)
    return {user: {ids[key]: date for key, date in dates.items()} for user, dates in by_user.items()}


def _done(site: Site, courseid: int, activities: tuple[Activity, ...]) -> dict[int, frozenset[int]]:
    ids = {(activity.module, activity.instance): activity.id for activity in activities}
    pairs = set(completion.completed_in_course(site, courseid))
    handed_in = completion.handed_in_course(site, courseid)
    pairs |= {(user, ids[module, instance]) for module, user, instance in handed_in if (module, instance) in ids}
    graded = grades.first_grades(site, [courseid]).get(courseid, ())
    pairs |= {(user, ids[module, instance]) for module, instance, user, _ in graded if (module, instance) in ids}
    by_user: dict[int, set[int]] = {}
    for user, key in pairs:
        by_user.setdefault(user, set()).add(key)
    return {user: frozenset(keys) for user, keys in by_user.items()}
