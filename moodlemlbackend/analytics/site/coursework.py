"""What students have to hand in, what one of them has handed in, and the grades for it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from moodlemlbackend.analytics.site.activities import for_some_only
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
        "WHERE state IN ('finished', 'submitted') AND preview = 0 AND quiz IN :instances AND userid = :user "
        "GROUP BY quiz"
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

_OWN_DATE = f"MAX(CASE WHEN o.{{date}} = 0 THEN {_LATEST} ELSE o.{{date}} END)"
_OWN_DATE_QUERY = (
    f"SELECT o.{{instance}}, m.userid, {_OWN_DATE}, 0 AS own FROM {{table}} o "
    "JOIN {members} m ON m.groupid = o.groupid "
    "WHERE o.{instance} IN :instances AND o.{date} IS NOT NULL{of_member} GROUP BY 1, 2 "
    f"UNION ALL SELECT o.{{instance}}, o.userid, {_OWN_DATE}, 1 AS own FROM {{table}} o "
    "WHERE o.{instance} IN :instances AND o.{date} IS NOT NULL AND o.userid > 0{of_user} GROUP BY 1, 2 ORDER BY own"
)
"""Instance, user, date, and whether it is the user's own or a group's, the latest of which counts."""


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

    @property
    def key(self) -> tuple[str, int]:
        """Type and instance."""
        return self.module, self.instance


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
            module, instance, cmid, format_name(str(name or ""), site.language), due or 0, for_some_only(availability)
        )
        for module, instance, cmid, name, due, availability in rows
    ]
    return sorted(work, key=lambda one: (one.due == 0, one.due, one.cmid))


def own_due_dates(
    site: Site, regular: Mapping[tuple[str, int], int], userid: int | None = None
) -> dict[int, dict[tuple[str, int], int]]:
    """When users' work is due, where that is not for everybody so: a Unix time, 0 for never.

    By user, of all or of one, then by type and instance. ``regular`` has the work, and when it is due for the others.
    A date for the user counts before those for groups, of which the latest does; an extension may only be later.
    """
    dates: dict[int, dict[tuple[str, int], int]] = {}
    for module, (table, instance, date) in _OWN_DATES.items():
        instances = [key for name, key in regular if name == module]
        query = _OWN_DATE_QUERY.format(
            table=f"{{{table}}}", instance=instance, date=date, members="{groups_members}",
            of_user="" if userid is None else " AND o.userid = :user",
            of_member="" if userid is None else " AND m.userid = :user",
        )  # fmt: skip
        rows = instances and site.database.rows(query, user=userid, instances=instances)
        for key, user, until, _ in rows or ():
            dates.setdefault(user, {})[module, key] = 0 if until >= _LATEST else int(until)
    for key, user, until in _extensions(site, regular, userid):
        own = dates.setdefault(user, {})
        if own.get(key, regular[key]):
            own[key] = max(own.get(key, regular[key]), until)
    return dates


def _extensions(
    site: Site, regular: Mapping[tuple[str, int], int], userid: int | None
) -> list[tuple[tuple[str, int], int, int]]:
    """Type and instance, user, and Unix time of each extension."""
    rows = site.database.rows(
        "SELECT assignment, userid, MAX(extensionduedate) FROM {assign_user_flags} "
        "WHERE extensionduedate > 0 AND assignment IN :instances"
        f"{'' if userid is None else ' AND userid = :user'} GROUP BY assignment, userid",
        user=userid,
        instances=[key for name, key in regular if name == "assign"] or [-1],
    )
    return [(("assign", instance), user, int(until)) for instance, user, until in rows]


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
