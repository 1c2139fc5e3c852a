"""Rows of what students left behind: submissions and the like, grades, completion, competencies."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from moodlemlbackend.simulation.site.activities import KINDS
from moodlemlbackend.simulation.site.course import GRADED, NAMES, WORKED_ON, SimulatedCourse
from moodlemlbackend.simulation.site.plan import ADMIN
from moodlemlbackend.simulation.site.site_rows import COMPETENCIES
from moodlemlbackend.simulation.site.structure_rows import TEXTS, CourseIds, add_rows, grade_maxima

if TYPE_CHECKING:
    from moodlemlbackend.simulation.site.behaviour import Work
    from moodlemlbackend.simulation.site.loader import Loader
    from moodlemlbackend.simulation.site.plan import Booleans, Floats, Integers


@dataclass(frozen=True, eq=False)
class WorkIds:
    """Ids in the database of pieces of work, (P,); 0 for none."""

    record: Integers  # in the first table of the kind's records
    grade: Integers  # in the table of grades or assessments
    grader: Integers  # user id


def add_work(loader: Loader, course: SimulatedCourse, ids: CourseIds, work: Work) -> WorkIds:
    """Add the rows of all work until now, and return their ids."""
    added = _add_records(loader, course, ids, work)
    final, dated = _gradebook(course, work)
    total = _add_grades(loader, course, ids, final, dated)
    if course.completion:
        _add_completion(loader, course, ids, work)
    if course.plan.competencies:
        _add_ratings(loader, course, ids, total, dated)
    return added


def _add_records(loader: Loader, course: SimulatedCourse, ids: CourseIds, work: Work) -> WorkIds:
    number = len(work.student)
    added = WorkIds(*(np.zeros(number, dtype=np.int64) for _ in range(3)))
    users = course.plan.students[work.student]
    kinds = course.activities.kind[work.activity]
    for code in np.unique(kinds[work.written > 0]):
        kind = KINDS[NAMES[code]]
        chosen = np.flatnonzero((kinds == code) & (work.written > 0))
        record = added.record[chosen] = loader.ids(kind.records[0].table, len(chosen))
        sources = ids.sources(course, work.activity[chosen]) | {
            "user": users[chosen],
            "time": work.written[chosen],
            "grade": np.round(work.grade[chosen] * kind.grademax / 100, 2),
            "record": record,
            "text": TEXTS[chosen % len(TEXTS)],
        }
        add_rows(loader, kind.records[0], sources, len(chosen), record)
        for rows in kind.records[1:]:
            add_rows(loader, rows, sources, len(chosen))
        if kind.grading == "teacher":
            added.grader[chosen] = ids.teacher
        elif kind.grading == "peer":  # who handed in the next one
            added.grader[chosen] = np.roll(users[chosen], 1)
    _add_assessments(loader, course, ids, work, added)
    return added


def _add_assessments(loader: Loader, course: SimulatedCourse, ids: CourseIds, work: Work, added: WorkIds) -> None:
    """Add what graders of assignments and workshops decided."""
    kinds = course.activities.kind[work.activity]
    grades = np.flatnonzero((kinds == NAMES.index("assign")) & (work.graded > 0))
    added.grade[grades] = loader.add(
        "assign_grades",
        len(grades),
        {
            "assignment": ids.instances[work.activity[grades]],
            "userid": course.plan.students[work.student[grades]],
            "timecreated": work.graded[grades],
            "timemodified": work.graded[grades],
            "grader": added.grader[grades],
            "grade": np.round(work.grade[grades], 2),
        },
    )
    assessments = np.flatnonzero((kinds == NAMES.index("workshop")) & (work.graded > 0))
    added.grade[assessments] = loader.add(
        "workshop_assessments",
        len(assessments),
        {
            "submissionid": added.record[assessments],
            "reviewerid": added.grader[assessments],
            "weight": 1,
            "timecreated": work.graded[assessments],
            "timemodified": work.graded[assessments],
            "grade": np.round(work.grade[assessments], 2),
        },
    )


def _gradebook(course: SimulatedCourse, work: Work) -> tuple[Floats, Integers]:
    """Grades from 0 to 100, NaN for none, and their times, 0 for never, each (S, A)."""
    shape = len(course.plan.students), len(course.activities)
    final, dated = np.full(shape, np.nan), np.zeros(shape, dtype=np.int64)
    done = work.graded > 0
    cells = work.student[done], work.activity[done]
    final[cells], dated[cells] = work.grade[done], work.graded[done]
    return final, dated


def _add_grades(loader: Loader, course: SimulatedCourse, ids: CourseIds, final: Floats, dated: Integers) -> Floats:
    """Add the grade of every student in every graded activity, if only an empty one, and the course's; return this."""
    students = course.plan.students
    graded = np.flatnonzero(GRADED[course.activities.kind])
    maxima = grade_maxima(course.activities.kind[graded])
    values, times = final[:, graded].T, dated[:, graded].T
    points = np.round(values * maxima[:, None] / 100, 2)
    by_teacher = np.array([kind.grading == "teacher" for kind in KINDS.values()])[course.activities.kind[graded]]
    none = np.isnan(points).ravel()
    words = np.array(["Good", "Please look at page 3 again.", None], dtype=object)
    _add_grade_rows(
        loader,
        items=np.repeat(ids.items[graded], len(students)),
        users=np.tile(students, len(graded)),
        grades=points.ravel(),
        maxima=np.repeat(maxima, len(students)),
        times=times.ravel(),
        teacher=np.ma.masked_array(np.full(len(none), ids.teacher), ~np.repeat(by_teacher, len(students)) | none),
        feedback=words[np.where(none | ~np.repeat(by_teacher, len(students)), 2, np.arange(len(none)) % 3)],
    )
    counted = (~np.isnan(values)).any(axis=1)
    total = np.full(len(students), np.nan)
    if counted.any():
        known = values[counted]
        total = np.where(np.isnan(known).all(axis=0), np.nan, np.nansum(known, axis=0) / len(known))
    _add_grade_rows(
        loader,
        items=np.full(len(students), ids.course_item),
        users=students,
        grades=np.round(total, 2),
        maxima=np.full(len(students), 100.0),
        times=times.max(axis=0, initial=0),
        teacher=np.ma.masked_array(students, np.ones(len(students), dtype=bool)),
        feedback=np.full(len(students), None, dtype=object),
    )
    return total


def _add_grade_rows(
    loader: Loader,
    *,
    items: Integers,
    users: Integers,
    grades: Floats,
    maxima: Floats,
    times: Integers,
    teacher: np.ma.MaskedArray[tuple[int], np.dtype[np.int64]],
    feedback: np.ndarray[tuple[int], np.dtype[np.object_]],
) -> None:
    none = np.isnan(grades)
    given = np.ma.masked_array(np.nan_to_num(grades), none)
    when = np.ma.masked_array(times, none)
    loader.add(
        "grade_grades",
        len(items),
        {
            "itemid": items,
            "userid": users,
            "rawgrade": given,
            "rawgrademax": maxima,
            "usermodified": teacher,
            "finalgrade": given,
            "feedback": feedback,
            "feedbackformat": 1,
            "timecreated": when,
            "timemodified": when,
            "aggregationstatus": np.where(none, "novalue", "used").astype(object),
            "aggregationweight": 0.0,
        },
    )


def _add_completion(loader: Loader, course: SimulatedCourse, ids: CourseIds, work: Work) -> None:
    """Activities are complete with the work done, every second one without work when it is opened."""
    students, activities = course.plan.students, course.activities
    worked_on = WORKED_ON[activities.kind[work.activity]]
    when = np.where(worked_on, work.written, np.where(work.activity % 2 == 0, work.opened, 0))
    done = when > 0
    loader.add(
        "course_modules_completion",
        int(done.sum()),
        {
            "coursemoduleid": ids.modules[work.activity[done]],
            "userid": students[work.student[done]],
            "completionstate": 1,
            "timemodified": when[done],
        },
    )
    if not course.has_criteria:
        return
    times = np.zeros((len(students), len(activities)), dtype=np.int64)
    times[work.student[done], work.activity[done]] = when[done]
    times = times[:, activities.criterion]
    _add_criteria_met(loader, students, ids, times)
    first = np.full(len(students), np.iinfo(np.int64).max)
    np.minimum.at(first, work.student, work.opened)
    completed = (times > 0).all(axis=1)
    loader.add(
        "course_completions",
        len(students),
        {
            "userid": students,
            "course": ids.course,
            "timeenrolled": course.enrolments.first,
            "timestarted": np.where(np.isin(np.arange(len(students)), work.student), first, 0),
            "timecompleted": np.ma.masked_array(times.max(axis=1), ~completed),
        },
    )


def _add_criteria_met(loader: Loader, students: Integers, ids: CourseIds, times: Integers) -> None:
    """Add which student met which criterion when; ``times`` is (S, criteria), 0 for never."""
    met: Booleans = times > 0
    student, criterion = np.nonzero(met)
    loader.add(
        "course_completion_crit_compl",
        len(student),
        {
            "userid": students[student],
            "course": ids.course,
            "criteriaid": ids.criteria[criterion],
            "timecompleted": times[met],
        },
    )


def _add_ratings(loader: Loader, course: SimulatedCourse, ids: CourseIds, total: Floats, dated: Integers) -> None:
    """Link two competencies to the course, and rate the students who have a grade in them."""
    plan = course.plan
    linked = 1 + (np.array([0, 2]) + plan.number) % COMPETENCIES
    loader.add(
        "competency_coursecomp",
        2,
        {
            "courseid": ids.course,
            "competencyid": linked,
            "ruleoutcome": 1,
            "timecreated": ids.made,
            "timemodified": ids.made,
            "usermodified": ADMIN,
            "sortorder": np.arange(2),
        },
    )
    rated = np.flatnonzero(~np.isnan(total))
    proficient = np.concatenate([total[rated] >= 25, total[rated] >= 35])
    when = np.tile(dated.max(axis=1, initial=0)[rated], 2)
    loader.add(
        "competency_usercompcourse",
        2 * len(rated),
        {
            "userid": np.tile(plan.students[rated], 2),
            "courseid": ids.course,
            "competencyid": np.repeat(linked, len(rated)),
            "proficiency": proficient,
            "grade": 1 + proficient,
            "timecreated": when,
            "timemodified": when,
            "usermodified": ids.teacher,
        },
    )
