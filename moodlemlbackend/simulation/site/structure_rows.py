"""Rows of a course's structure: contexts, sections, activities, enrolments, gradebook, completion, calendar."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from moodlemlbackend.simulation.site.activities import KINDS, Rows, Source
from moodlemlbackend.simulation.site.course import GRADED, NAMES, WORKED_ON, SimulatedCourse
from moodlemlbackend.simulation.site.plan import ADMIN, DAY, WEEK
from moodlemlbackend.simulation.site.site_rows import COURSE_LEVEL, MODULE_LEVEL, ROLES, module_ids

if TYPE_CHECKING:
    from collections.abc import Mapping

    from moodlemlbackend.simulation.site.loader import Loader, Values
    from moodlemlbackend.simulation.site.plan import Integers
    from moodlemlbackend.simulation.site.site_rows import SiteIds

GROUPED = 4  # every fourth course has groups
TEXTS = np.array(
    ["Thank you.", "I see it otherwise.", "Here is my answer.", "Could somebody explain this?"], dtype=object
)


@dataclass(frozen=True, eq=False)
class CourseIds:
    """Ids in the database of a course and, (A,), of its activities; 0 for none."""

    course: int
    context: int
    teacher: int  # user id of the main one, or the admin's
    contexts: Integers
    modules: Integers
    instances: Integers
    part: Integers
    part2: Integers
    items: Integers  # of grades
    course_item: int
    criteria: Integers  # of completion, in the order of their activities
    made: int  # Unix time

    def sources(self, course: SimulatedCourse, chosen: Integers) -> dict[str, Any]:
        """Values of these activities for the columns of their rows."""
        return {
            "course": self.course,
            "teacher": self.teacher,
            "made": self.made,
            "start": course.plan.start,
            "instance": self.instances[chosen],
            "context": self.contexts[chosen],
            "part": self.part[chosen],
            "part2": self.part2[chosen],
            "close": course.activities.closes[chosen],
            "name": activity_names(course)[chosen],
            "either": 1 + self.instances[chosen] % 2,
            "text": TEXTS[chosen % len(TEXTS)],
        }


def add_rows(loader: Loader, rows: Rows, sources: Mapping[str, Any], number: int, ids: Integers | None = None) -> None:
    """Add such rows for ``number`` instances or pieces of work, with ``ids`` if they are given."""
    times = rows.number

    def repeat(values: Any) -> Values:
        return np.repeat(values, times) if isinstance(values, np.ndarray) and times > 1 else values

    counted = {**sources, "number": np.tile(np.arange(1, times + 1), number)}
    columns = {
        name: counted[value.name]
        if value == Source("number")
        else repeat(counted[value.name])
        if isinstance(value, Source)
        else value
        for name, value in rows.columns.items()
    }
    loader.add(rows.table, number * times, columns if ids is None else {**columns, "id": ids})


def activity_names(course: SimulatedCourse) -> Any:
    """The activities' names, (A,)."""
    return np.array([f"{NAMES[kind].capitalize()} {i}" for i, kind in enumerate(course.activities.kind, 1)], object)


def add_structure(loader: Loader, course: SimulatedCourse, site: SiteIds) -> CourseIds:
    """Add the rows of a course and what it is made of, and return their ids."""
    plan, activities = course.plan, course.activities
    number = len(activities)
    contexts = loader.ids("context", 1 + number)
    ids = CourseIds(
        course=plan.number + 2,
        context=int(contexts[0]),
        teacher=int(plan.teachers[0]) if len(plan.teachers) else ADMIN,
        contexts=contexts[1:],
        modules=loader.ids("course_modules", number),
        instances=np.zeros(number, dtype=np.int64),
        part=np.zeros(number, dtype=np.int64),
        part2=np.zeros(number, dtype=np.int64),
        items=np.zeros(number, dtype=np.int64),
        course_item=int(loader.ids("grade_items", 1)[0]),
        criteria=loader.ids("course_completion_criteria", int(activities.criterion.sum())),
        made=plan.start - 30 * DAY,
    )
    _add_course(loader, course, ids, site)
    _add_activities(loader, course, ids)
    _add_modules(loader, course, ids, site)
    _add_enrolments(loader, course, ids)
    if plan.number % GROUPED == 1:
        _add_groups(loader, course, ids)
    _add_gradebook(loader, course, ids)
    _add_calendar(loader, course, ids)
    if course.has_criteria:
        _add_criteria(loader, course, ids)
    return ids


def _add_course(loader: Loader, course: SimulatedCourse, ids: CourseIds, site: SiteIds) -> None:
    plan = course.plan
    name = f"{plan.kind.upper().replace(' ', '-')}-{plan.number + 1}"
    loader.add(
        "course",
        1,
        {
            "id": np.array([ids.course]),
            "category": site.categories[plan.category],
            "sortorder": 10_000 * (plan.category + 1) + plan.number % 10_000,
            "fullname": f"Course {name}",
            "shortname": name,
            "summary": "",
            "summaryformat": 1,
            "format": plan.format,
            "showgrades": 1,
            "newsitems": 5,
            "startdate": plan.start,
            "enddate": plan.enddate,
            "visible": int(plan.visible),
            "visibleold": int(plan.visible),
            "timecreated": ids.made,
            "timemodified": ids.made,
            "enablecompletion": int(course.completion),
            "cacherev": ids.made,
            "showcompletionconditions": 1,
        },
    )
    path = f"{site.paths[plan.category]}/{ids.context}"
    loader.add(
        "context",
        1 + len(ids.contexts),
        {
            "id": np.concatenate([[ids.context], ids.contexts]),
            "contextlevel": np.repeat([COURSE_LEVEL, MODULE_LEVEL], [1, len(ids.contexts)]),
            "instanceid": np.concatenate([[ids.course], ids.modules]),
            "path": np.array([path, *(f"{path}/{context}" for context in ids.contexts)], dtype=object),
            "depth": np.repeat([0, 1], [1, len(ids.contexts)]) + path.count("/"),
        },
    )
    options = {
        "topics": {"hiddensections": "1", "coursedisplay": "0"},
        "weeks": {"hiddensections": "1", "coursedisplay": "0", "automaticenddate": "0"},
        "social": {"numdiscussions": "10"},
        "singleactivity": {"activitytype": NAMES[course.activities.kind[0]] if len(course.activities) else "forum"},
    }[plan.format]
    loader.add(
        "course_format_options",
        len(options),
        {
            "courseid": ids.course,
            "format": plan.format,
            "name": np.array(list(options), dtype=object),
            "value": np.array(list(options.values()), dtype=object),
        },
    )


def _add_activities(loader: Loader, course: SimulatedCourse, ids: CourseIds) -> None:
    """Add the activities' own rows and their parts, and note their ids."""
    activities = course.activities
    for code in np.unique(activities.kind):
        kind = KINDS[NAMES[code]]
        chosen = np.flatnonzero(activities.kind == code)
        ids.instances[chosen] = loader.ids(kind.name, len(chosen))
        parts = [loader.ids(part.table, len(chosen) * part.number) for part in kind.parts]
        for note, rows, part in zip((ids.part, ids.part2), kind.parts, parts, strict=False):
            note[chosen] = part[:: rows.number]
        sources = ids.sources(course, chosen)
        closes = {kind.close: Source("close")} if kind.close else {}
        own = {"course": Source("course"), "name": Source("name"), "intro": "", "introformat": 1, **kind.columns}
        add_rows(loader, Rows(kind.name, 1, own | closes), sources, len(chosen), ids.instances[chosen])
        for rows, part in zip(kind.parts, parts, strict=True):
            add_rows(loader, rows, sources, len(chosen), part)


def _add_modules(loader: Loader, course: SimulatedCourse, ids: CourseIds, site: SiteIds) -> None:
    plan, activities = course.plan, course.activities
    sections = loader.ids("course_sections", course.sections)
    number = np.arange(course.sections)
    sequence = [",".join(map(str, ids.modules[activities.section == section])) for section in number]
    limited = np.full(course.sections, None, dtype=object)
    if plan.number % 5 == 3 and course.sections > 3:
        limited[-1] = _date_condition(">=", plan.start + WEEK * (plan.weeks // 2))
    loader.add(
        "course_sections",
        course.sections,
        {
            "id": sections,
            "course": ids.course,
            "section": number,
            "summary": "",
            "summaryformat": 1,
            "sequence": np.array(sequence, dtype=object),
            "visible": 1,
            "availability": limited,
            "timemodified": ids.made,
        },
    )
    modules = module_ids(site.kinds)
    worked_on = WORKED_ON[activities.kind]
    automatic = course.completion * (worked_on | (np.arange(len(activities)) % 2 == 0))
    dates = [_date_condition(">=", time) if time else None for time in activities.available_from.tolist()]
    loader.add(
        "course_modules",
        len(activities),
        {
            "id": ids.modules,
            "course": ids.course,
            "module": np.array([modules[NAMES[kind]] for kind in activities.kind], dtype=np.int64),
            "instance": ids.instances,
            "section": sections[activities.section],
            "added": ids.made,
            "visible": 1 - activities.hidden,
            "visibleoncoursepage": 1,
            "visibleold": 1 - activities.hidden,
            "completion": 2 * automatic,
            "completionview": automatic * ~worked_on,
            "availability": np.array(dates, dtype=object),
            "downloadcontent": 1,
        },
    )


def _date_condition(direction: str, time: int) -> str:
    return f'{{"op":"&","c":[{{"type":"date","d":"{direction}","t":{time}}}],"showc":[true]}}'


def _add_enrolments(loader: Loader, course: SimulatedCourse, ids: CourseIds) -> None:
    """Enrol students and teachers, and give them their roles in the course."""
    plan, enrolments = course.plan, course.enrolments
    methods = loader.add(
        "enrol",
        2,
        {
            "enrol": np.array(["manual", "self"], dtype=object),
            "status": np.array([0, int(not enrolments.twice.any())]),
            "courseid": ids.course,
            "sortorder": np.array([0, 1]),
            "enrolperiod": 0,
            "enrolstartdate": 0,
            "enrolenddate": 0,
            "expirynotify": 0,
            "expirythreshold": DAY,
            "roleid": ROLES["student"],
            "timecreated": ids.made,
            "timemodified": ids.made,
        },
    )
    teachers, twice = plan.teachers, enrolments.twice
    none = np.zeros_like(teachers)
    created = np.concatenate([none + ids.made, enrolments.timecreated, enrolments.timecreated[twice] + DAY])
    users = np.concatenate([teachers, plan.students, plan.students[twice]])
    loader.add(
        "user_enrolments",
        len(users),
        {
            "status": np.concatenate([none, enrolments.suspended, np.zeros(int(twice.sum()), dtype=np.int64)]),
            "enrolid": np.repeat(methods, [len(users) - int(twice.sum()), int(twice.sum())]),
            "userid": users,
            "timestart": np.concatenate([none, enrolments.timestart, enrolments.timestart[twice]]),
            "timeend": np.concatenate([none, enrolments.timeend, enrolments.timeend[twice]]),
            "modifierid": ADMIN,
            "timecreated": created,
            "timemodified": created,
        },
    )
    teaching = np.where(np.arange(len(teachers)) == 0, ROLES["editingteacher"], ROLES["teacher"])
    loader.add(
        "role_assignments",
        len(teachers) + len(plan.students),
        {
            "roleid": np.concatenate([teaching, np.full(len(plan.students), ROLES["student"])]),
            "contextid": ids.context,
            "userid": np.concatenate([teachers, plan.students]),
            "timemodified": np.concatenate([none + ids.made, enrolments.timecreated]),
            "modifierid": ADMIN,
        },
    )


def _add_groups(loader: Loader, course: SimulatedCourse, ids: CourseIds) -> None:
    """Divide the students into two groups."""
    groups = loader.add(
        "groups",
        2,
        {
            "courseid": ids.course,
            "name": np.array(["Group A", "Group B"], dtype=object),
            "descriptionformat": 1,
            "participation": 1,
            "timecreated": ids.made,
            "timemodified": ids.made,
        },
    )
    students = course.plan.students
    loader.add(
        "groups_members",
        len(students),
        {
            "groupid": groups[np.arange(len(students)) % 2],
            "userid": students,
            "timeadded": course.enrolments.timecreated,
        },
    )


def _add_gradebook(loader: Loader, course: SimulatedCourse, ids: CourseIds) -> None:
    """Add a category and an item for the course, and an item for each activity that is graded."""
    graded = np.flatnonzero(GRADED[course.activities.kind])
    category = int(loader.ids("grade_categories", 1)[0])
    loader.add(
        "grade_categories",
        1,
        {
            "id": np.array([category]),
            "courseid": ids.course,
            "depth": 1,
            "path": f"/{category}/",
            "fullname": "?",
            "aggregateonlygraded": 0,
            "timecreated": ids.made,
            "timemodified": ids.made,
        },
    )
    ids.items[graded] = loader.ids("grade_items", len(graded))
    every = {
        "courseid": ids.course,
        "gradetype": 1,
        "multfactor": 1.0,
        "timecreated": ids.made,
        "timemodified": ids.made,
    }
    total = {
        "id": np.array([ids.course_item]),
        "itemtype": "course",
        "iteminstance": category,
        "grademax": 100.0,
        "gradepass": 30.0 * course.plan.has_gradepass,
        "sortorder": 1,
    }
    loader.add("grade_items", 1, every | total)
    kinds = course.activities.kind[graded]
    one_each = {
        "id": ids.items[graded],
        "categoryid": category,
        "itemname": activity_names(course)[graded],
        "itemtype": "mod",
        "itemmodule": np.array(NAMES, dtype=object)[kinds],
        "iteminstance": ids.instances[graded],
        "itemnumber": 0,
        "grademax": grade_maxima(kinds),
        "gradepass": grade_maxima(kinds) / 2,
        "sortorder": 2 + np.arange(len(graded)),
    }
    loader.add("grade_items", len(graded), every | one_each)


def grade_maxima(kinds: Integers) -> Any:
    """The highest grade of activities of these kinds, float64."""
    return np.array([float(kind.grademax) for kind in KINDS.values()])[kinds]


def _add_calendar(loader: Loader, course: SimulatedCourse, ids: CourseIds) -> None:
    """Add the dates at which activities close, as Moodle's calendar has them."""
    closes = np.flatnonzero(course.activities.closes)
    kinds = [KINDS[NAMES[code]] for code in course.activities.kind[closes]]
    loader.add(
        "event",
        len(closes),
        {
            "name": activity_names(course)[closes] + " closes",
            "description": "",
            "format": 1,
            "courseid": ids.course,
            "userid": ids.teacher,
            "modulename": np.array([kind.name for kind in kinds], dtype=object),
            "instance": ids.instances[closes],
            "type": 1,
            "eventtype": np.array([kind.calendar for kind in kinds], dtype=object),
            "timestart": course.activities.closes[closes],
            "timesort": course.activities.closes[closes],
            "visible": 1 - course.activities.hidden[closes],
            "sequence": 1,
            "timemodified": ids.made,
        },
    )


def _add_criteria(loader: Loader, course: SimulatedCourse, ids: CourseIds) -> None:
    """All the activities chosen must be completed."""
    chosen = np.flatnonzero(course.activities.criterion)
    loader.add(
        "course_completion_criteria",
        len(chosen),
        {
            "id": ids.criteria,
            "course": ids.course,
            "criteriatype": 4,
            "module": np.array(NAMES, dtype=object)[course.activities.kind[chosen]],
            "moduleinstance": ids.modules[chosen],
        },
    )
    loader.add("course_completion_aggr_methd", 1, {"course": ids.course, "method": 1})
