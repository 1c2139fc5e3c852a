"""The log of a course: a row for everything that people did there, ordered by time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pyarrow as pa

from moodlemlbackend.simulation.site.activities import KINDS, VIEWED, SimulatedEvent, event
from moodlemlbackend.simulation.site.course import NAMES, SimulatedCourse
from moodlemlbackend.simulation.site.loader import BATCH_ROWS
from moodlemlbackend.simulation.site.plan import DAY
from moodlemlbackend.simulation.site.site_rows import COURSE_LEVEL, MODULE_LEVEL, SYSTEM, SYSTEM_LEVEL

if TYPE_CHECKING:
    from collections.abc import Iterator

    from moodlemlbackend.simulation.site.behaviour import Behaviour, Sessions, Work
    from moodlemlbackend.simulation.site.loader import Values
    from moodlemlbackend.simulation.site.plan import Booleans, Integers
    from moodlemlbackend.simulation.site.structure_rows import CourseIds
    from moodlemlbackend.simulation.site.work_rows import WorkIds

LOOKS = 1.6  # around in a session, besides what is due
ROWS = 5.0  # of a session, about

COURSE_VIEWED = event("core/course_viewed r")
LOGGED_IN = event("core/user_loggedin r user:user 0")
GRADES_VIEWED = event("gradereport_user/grade_report_viewed r")
PEOPLE_VIEWED = event("core/user_list_viewed r course:course")
MODULE_UPDATED = event("core/course_module_updated u course_modules:module 1")
DISCUSSION_CREATED = event("mod_forum/discussion_created c forum_discussions:part")
POST_UPLOADED = event("mod_forum/assessable_uploaded c forum_posts:part2")

EVENTS = tuple(
    dict.fromkeys(
        [
            *(COURSE_VIEWED, LOGGED_IN, GRADES_VIEWED, PEOPLE_VIEWED),
            *(MODULE_UPDATED, DISCUSSION_CREATED, POST_UPLOADED),
            *VIEWED.values(),
            *(
                logged
                for kind in KINDS.values()
                for events in (kind.looked, kind.written, kind.graded, kind.read, kind.again)
                for logged in events
            ),
        ]
    )
)
"""All that is ever logged; a row of the log refers to one by its index here."""

_CODES = {kind: code for code, kind in enumerate(EVENTS)}
_VIEWED_CODES = np.array([_CODES[VIEWED[name]] if name in VIEWED else -1 for name in NAMES])


class _Rows(NamedTuple):
    """Rows to come, each (rows,); a place is the index of an activity, or the number of them for the course itself."""

    event: Integers
    time: Integers
    user: Integers
    place: Integers
    object: Integers
    related: Integers  # user id, 0 for nobody


class Log:
    """Collects what happened in a course and makes rows of it."""

    def __init__(self, course: SimulatedCourse, ids: CourseIds) -> None:
        self._course = course
        self._ids = ids
        self._rows: list[_Rows] = []
        self._in_course = len(course.activities)
        self._in_system = self._in_course + 1

    def add(self, behaviour: Behaviour, added: WorkIds, factor: float, random: np.random.Generator) -> None:
        """Collect the sessions of students and teachers and the work; ``factor`` multiplies the rows, about."""
        plan = self._course.plan
        self._add_sessions(behaviour.students, plan.students, factor, random)
        self._add_sessions(behaviour.teachers, plan.teachers, factor, random)
        self._add_work(behaviour.work, added, random)
        if len(plan.teachers):
            self._add_preparation(random)

    def batches(self, now: int) -> Iterator[dict[str, Values]]:
        """Yield the columns of the log's rows until ``now``, ordered by time, some rows at once."""
        rows = _Rows(*(np.concatenate(columns) for columns in zip(*self._rows, strict=True)))
        order = np.argsort(rows.time, kind="stable")
        order = order[: np.count_nonzero(rows.time <= now)]
        for begin in range(0, len(order), BATCH_ROWS):
            yield self._columns(_Rows(*(column[order[begin : begin + BATCH_ROWS]] for column in rows)))

    def _columns(self, rows: _Rows) -> dict[str, Values]:
        ids, number = self._ids, len(self._course.activities)
        places = {
            "contextid": np.concatenate([ids.contexts, [ids.context, SYSTEM]]),
            "contextlevel": np.repeat([MODULE_LEVEL, COURSE_LEVEL, SYSTEM_LEVEL], [number, 1, 1]),
            "contextinstanceid": np.concatenate([ids.modules, [ids.course, 0]]),
            "courseid": np.repeat([ids.course, 0], [number + 1, 1]),
        }
        people, person = np.unique(rows.user, return_inverse=True)
        addresses = [f"10.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}" for number in people.tolist()]
        has_object = np.array([bool(kind.objectid) for kind in EVENTS])[rows.event]
        return {
            **{name: _texts(rows.event, [getattr(kind, name) or None for kind in EVENTS]) for name in _EVENT_COLUMNS},
            **{name: values[rows.place] for name, values in places.items()},
            "edulevel": np.array([kind.edulevel for kind in EVENTS])[rows.event],
            "objectid": np.ma.masked_array(rows.object, ~has_object),
            "userid": rows.user,
            "relateduserid": np.ma.masked_array(rows.related, rows.related == 0),
            "anonymous": self._is_anonymous(rows),
            "other": "null",
            "timecreated": rows.time,
            "origin": _texts(((rows.user + rows.time // DAY) % 10 == 0).astype(np.int64), ["web", "ws"]),
            "ip": _texts(person, addresses),
        }

    def _is_anonymous(self, rows: _Rows) -> Booleans:
        """Whether the row is an answer to a feedback activity that keeps no names."""
        answered = _CODES[KINDS["feedback"].written[0]]
        instances = np.concatenate([self._ids.instances, [1, 1]])
        anonymous: Booleans = (rows.event == answered) & (instances[rows.place] % 2 == 0)
        return anonymous

    def _add_sessions(self, sessions: Sessions, users: Integers, factor: float, random: np.random.Generator) -> None:
        """A login, the course's page, and looks around: mostly at activities, the more recent the more often."""
        user, none = users[sessions.person], np.zeros_like(sessions.time)
        course = np.full_like(none, self._in_course)
        login = random.random(len(none)) < 0.6
        self._put(LOGGED_IN, sessions.time[login] - 20, user[login], none[login] + self._in_system, user[login])
        self._put(COURSE_VIEWED, sessions.time, user, course, none)

        looks = np.repeat(np.arange(len(none)), random.poisson(LOOKS + (factor - 1) * ROWS, size=len(none)))
        time = sessions.time[looks] + 10 + random.exponential(500, size=len(looks)).astype(np.int64)
        place, code = self._choose_pages(sessions.week[looks], random)
        objects = np.concatenate([self._ids.instances, [self._ids.course]])[place]
        self._rows.append(_Rows(code, time, user[looks], place, objects, np.zeros_like(time)))

    def _choose_pages(self, week: Integers, random: np.random.Generator) -> tuple[Integers, Integers]:
        """Choose where to look, and return places and events."""
        activities = self._course.activities
        pages = np.flatnonzero(_VIEWED_CODES[activities.kind] >= 0)
        pages = pages[np.argsort(activities.week[pages], kind="stable")]
        open_pages = np.searchsorted(activities.week[pages], week, side="right")
        recent = (open_pages * random.random(len(week)) ** 0.35).astype(np.int64)
        elsewhere = random.random(len(week))
        at_course = (elsewhere < 0.3) | (open_pages == 0)
        place = np.full(len(week), self._in_course)
        place[~at_course] = pages[recent[~at_course]]
        code = np.select(
            [elsewhere < 0.07, elsewhere < 0.12], [_CODES[GRADES_VIEWED], _CODES[PEOPLE_VIEWED]], _CODES[COURSE_VIEWED]
        )
        code[~at_course] = _VIEWED_CODES[activities.kind[place[~at_course]]]
        return place, code

    def _add_work(self, work: Work, added: WorkIds, random: np.random.Generator) -> None:
        """What is logged of each piece of work, by kind of activity."""
        kinds = self._course.activities.kind[work.activity]
        students = self._course.plan.students[work.student]
        nobody = np.zeros_like(students)
        for code in np.unique(kinds):
            kind = KINDS[NAMES[code]]
            viewed = (VIEWED[kind.name],) if kind.name in VIEWED else ()
            by_student = (students, nobody)
            steps = (
                ((*viewed, *kind.looked), work.opened, by_student),
                (kind.written, work.written, by_student),
                (kind.graded, work.graded, (added.grader, students)),
                (kind.read, work.read, by_student),
                (kind.again, work.again, by_student),
            )
            for events, times, (actor, related) in steps:
                chosen = np.flatnonzero((kinds == code) & (times > 0) & (actor > 0))
                place = work.activity[chosen]
                sources = self._ids.sources(self._course, place) | {
                    "record": added.record[chosen],
                    "graded": added.grade[chosen],
                }
                wait = np.zeros(len(chosen), dtype=np.int64)
                for logged in events:
                    objects = sources[logged.objectid] if logged.objectid else np.zeros_like(wait)
                    self._put(logged, times[chosen] + wait, actor[chosen], place, objects, related[chosen])
                    wait = wait + random.integers(1, 8, size=len(chosen))

    def _add_preparation(self, random: np.random.Generator) -> None:
        """The teacher edits activities before the course and opens the discussions on its first day."""
        ids, activities = self._ids, self._course.activities
        every = np.arange(len(activities))
        teacher = np.full(len(every), ids.teacher)
        time = ids.made + random.integers(20 * DAY, size=len(every))
        self._put(MODULE_UPDATED, time, teacher, every, ids.modules)
        forums = every[activities.kind == NAMES.index("forum")]
        start = np.full(len(forums), self._course.plan.start + 60)
        self._put(DISCUSSION_CREATED, start, teacher[forums], forums, ids.part[forums])
        self._put(POST_UPLOADED, start + 1, teacher[forums], forums, ids.part2[forums])

    def _put(
        self,
        kind: SimulatedEvent,
        time: Integers,
        user: Integers,
        place: Integers,
        objects: Integers,
        related: Integers | None = None,
    ) -> None:
        code = np.full(len(time), _CODES[kind])
        self._rows.append(_Rows(code, time, user, place, objects, np.zeros_like(time) if related is None else related))


_EVENT_COLUMNS = ("eventname", "component", "action", "target", "objecttable", "crud")


def _texts(codes: Integers, texts: list[Any]) -> pa.DictionaryArray:
    return pa.DictionaryArray.from_arrays(pa.array(codes, pa.int32()), pa.array(texts, pa.string()))
