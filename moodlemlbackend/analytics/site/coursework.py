"""What students have to hand in, what one of them has handed in, and the grades for it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from moodlemlbackend.analytics.site.grades import GRADED_TYPES
from moodlemlbackend.analytics.site.modules import MODULES
from moodlemlbackend.analytics.site.names import format_name
from moodlemlbackend.analytics.site.site import Site

SCALE = 2
"""``gradetype`` of an item whose grades are words."""

COURSE_ITEM = "course"
"""``itemtype`` of the grade of a whole course."""

_LATEST = 9_000_000_000
"""Unix times from here on stand for none: see the defaults in :mod:`.schema`."""

_IN_GROUPS = "(SELECT groupid FROM {groups_members} WHERE userid = :user)"

_HANDED_IN = {
    "assign": (
        "SELECT assignment, MAX(timemodified) FROM {assign_submission} WHERE status = 'submitted' AND assignment IN "
        f":instances AND (userid = :user OR (userid = 0 AND groupid IN {_IN_GROUPS})) GROUP BY assignment"
    ),
    "quiz": (
        "SELECT quiz, MIN(CASE WHEN timefinish > 0 THEN timefinish ELSE timemodified END) FROM {quiz_attempts} "
        "WHERE state = 'finished' AND preview = 0 AND quiz IN :instances AND userid = :user GROUP BY quiz"
    ),
    "choice": (
        "SELECT choiceid, MIN(timemodified) FROM {choice_answers} WHERE choiceid IN :instances AND userid = :user "
        "GROUP BY choiceid"
    ),
    "feedback": (
        "SELECT feedback, MIN(timemodified) FROM {feedback_completed} WHERE feedback IN :instances "
        "AND userid = :user GROUP BY feedback"
    ),
    "lesson": (
        "SELECT lessonid, MIN(completed) FROM {lesson_grades} WHERE lessonid IN :instances AND userid = :user "
        "GROUP BY lessonid"
    ),
    "workshop": (
        "SELECT workshopid, MIN(timemodified) FROM {workshop_submissions} WHERE example = 0 AND workshopid IN "
        ":instances AND authorid = :user GROUP BY workshopid"
    ),
}
"""Instance and Unix time of what a user has handed in or finished, by module: a team's work is each member's."""

_RARE = "workshop_submissions"
"""An extract of a site may lack it; then workshops are left out."""

_OWN_DATES = {
    "assign": ("assign_overrides", "assignid", "duedate"),
    "quiz": ("quiz_overrides", "quiz", "timeclose"),
    "lesson": ("lesson_overrides", "lessonid", "deadline"),
}
"""Table, its column of the instance and that of the date, where users and groups have dates of their own."""


class CourseWork(NamedTuple):
    """Something to hand in: an activity of a type that shows whether a student has.

    ``due`` is a Unix time, 0 without one; ``restricted`` whether the activity is for some people only.
    """

    module: str
    instance: int
    cmid: int
    name: str
    due: int
    restricted: bool


class Grade(NamedTuple):
    """A final grade of a student.

    ``module`` and ``instance`` are those of the activity, empty and 0 for other items; ``word`` is that of a scale,
    empty for numbers; ``time`` a Unix time, 0 when not known.
    """

    itemtype: str
    module: str
    instance: int
    name: str
    value: float
    most: float
    word: str
    time: int


def course_work(site: Site, course: int) -> list[CourseWork]:
    """What is to be handed in in a course, in the order in which it is due; what is hidden is left out."""
    has = site.database.schema.has
    present = [name for name in _HANDED_IN if name in site.modules and (name != "workshop" or has(_RARE))]
    parts = [
        f"SELECT '{name}', m.instance, m.id, i.name, i.{MODULES[name].close}, m.availability "
        f"FROM {{course_modules}} m JOIN {{modules}} n ON n.id = m.module AND n.name = '{name}' "
        f"JOIN {{{name}}} i ON i.id = m.instance WHERE m.course = :course AND m.visible = 1"
        + (" AND i.nosubmissions = 0" if name == "assign" else "")
        for name in present
    ]
    rows = site.database.rows(" UNION ALL ".join(parts), course=course) if parts else []
    work = [
        CourseWork(
            module, instance, cmid, format_name(str(name or ""), site.language), due or 0, _restricted(availability)
        )
        for module, instance, cmid, name, due, availability in rows
    ]
    return sorted(work, key=lambda one: (one.due == 0, one.due, one.cmid))


def _restricted(availability: str | None) -> bool:
    """Whether an activity's restrictions name anything but dates, such as a group; they are JSON."""
    return any(f'"type":"{kind}"' in "".join((availability or "").split()) for kind in ("group", "grouping", "profile"))


def own_due_dates(site: Site, userid: int, work: Sequence[CourseWork]) -> dict[tuple[str, int], int]:
    """When a user's work is due, where that is not for everybody so: a Unix time, 0 for never; by type and instance.

    A date for the user counts before those for groups, of which the latest does; an extension may only be later.
    """
    dates: dict[tuple[str, int], int] = {}
    for module, (table, instance, date) in _OWN_DATES.items():
        instances = [one.instance for one in work if one.module == module]
        rows = instances and site.database.rows(
            f"SELECT {instance}, CASE WHEN userid = :user THEN 1 ELSE 0 END, "
            f"MAX(CASE WHEN {date} = 0 THEN {_LATEST} ELSE {date} END) FROM {{{table}}} "
            f"WHERE {instance} IN :instances AND {date} IS NOT NULL AND (userid = :user OR groupid IN {_IN_GROUPS}) "
            "GROUP BY 1, 2 ORDER BY 2",
            user=userid,
            instances=instances,
        )
        dates |= {(module, key): 0 if until >= _LATEST else int(until) for key, _, until in rows or ()}
    for key, until in _extensions(site, userid, work).items():
        regular = next(one.due for one in work if (one.module, one.instance) == key)
        if dates.get(key, regular):
            dates[key] = max(dates.get(key, regular), until)
    return dates


def _extensions(site: Site, userid: int, work: Sequence[CourseWork]) -> dict[tuple[str, int], int]:
    rows = site.database.rows(
        "SELECT assignment, MAX(extensionduedate) FROM {assign_user_flags} "
        "WHERE userid = :user AND extensionduedate > 0 AND assignment IN :instances GROUP BY assignment",
        user=userid,
        instances=[one.instance for one in work if one.module == "assign"],
    )
    return {("assign", instance): int(until) for instance, until in rows}


def submissions(site: Site, userid: int, work: Sequence[CourseWork]) -> dict[tuple[str, int], int]:
    """When a user handed in work, a Unix time, 0 when not known; by type and instance."""
    times: dict[tuple[str, int], int] = {}
    for module, query in _HANDED_IN.items():
        if instances := [one.instance for one in work if one.module == module]:
            for instance, time in site.database.rows(query, user=userid, instances=instances):
                times[module, instance] = int(time or 0) if (time or 0) < _LATEST else 0
    return times


def grades_of(site: Site, course: int, userid: int) -> list[Grade]:
    """A user's final grades in a course, the earliest first; outcomes are no grades."""
    rows = site.database.rows(
        "SELECT i.itemtype, i.itemmodule, i.iteminstance, i.itemname, i.gradetype, i.scaleid, g.finalgrade, "
        "i.grademax, CASE WHEN g.overridden > 0 THEN g.overridden ELSE g.timemodified END AS given "
        "FROM {grade_items} i JOIN {grade_grades} g ON g.itemid = i.id "
        "WHERE i.courseid = :course AND g.userid = :user AND g.finalgrade IS NOT NULL AND i.gradetype IN :types "
        "AND i.outcomeid IS NULL AND i.itemtype <> 'category' ORDER BY given, i.id",
        course=course,
        user=userid,
        types=list(GRADED_TYPES),
    )
    words = _scales(site, {row[5] for row in rows if row[4] == SCALE and row[5]})
    return [
        Grade(
            kind, module or "", instance or 0, format_name(str(name or ""), site.language), float(value),
            float(most or 0), _word(words.get(scale, []), value) if gradetype == SCALE else "", int(time or 0),
        )
        for kind, module, instance, name, gradetype, scale, value, most, time in rows
    ]  # fmt: skip


def _scales(site: Site, scaleids: set[int]) -> dict[int, list[str]]:
    """The words of scales, the lowest first."""
    if not scaleids or not site.database.schema.has("scale"):
        return {}
    rows = site.database.rows("SELECT id, scale FROM {scale} WHERE id IN :ids", ids=sorted(scaleids))
    return {key: [format_name(word, site.language) for word in str(words).split(",")] for key, words in rows}


def _word(words: Sequence[str], value: float) -> str:
    at = round(float(value)) - 1
    return words[at] if 0 <= at < len(words) else ""
