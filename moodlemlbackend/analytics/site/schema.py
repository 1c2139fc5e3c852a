"""The tables and columns of Moodle that are read, and what stands in for those that a site does not have.

Moodle's schema differs between versions (subsections came with 4.5, chat and survey left with 5.0), and researchers
receive extracts. A column with a default is read as that default where it is missing; a site that lacks a table that
every Moodle has is refused in one sentence, for what is not there would count as what never happened.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from copy import copy
from dataclasses import dataclass

from moodlemlbackend.errors import SiteError, UsageError

PREFIX_PATTERN = re.compile(r"[a-z][a-z0-9_]{0,9}|")
"""Table prefixes that Moodle accepts; at most ten characters."""

REQUIRED = None
"""Default of a column that has none."""

LOG = "logstore_standard_log"
"""The table of the log, which may be in another database than the others, under another name."""

TEXT_COLUMNS = frozenset({
    "archetype", "capability", "crud", "eventname", "format", "itemtype", "modulename", "name", "plugin", "shortname",
    "state",
})  # fmt: skip
"""Columns of texts that are never null in Moodle, beside those whose default is a text: somebody may be called Null."""

NULLABLE_TEXTS = frozenset({
    "availability", "component", "description", "itemmodule", "itemname", "path", "sequence", "value",
})  # fmt: skip

_TEXTS_OF_TABLES = {
    ("analytics_models", "target"), ("assign_submission", "status"), ("scale", "scale"),
    ("task_scheduled", "classname"),
}  # fmt: skip
"""Texts in this table, numbers in others."""

_PLACEHOLDER = re.compile(r"\{(\w+)\}(?P<alias> [a-z]\b)?")


@dataclass(frozen=True)
class SiteTable:
    """A table that is read: its columns with an SQL literal each that stands for a missing one.

    Every Moodle has a table, unless it belongs to a ``module``: then every Moodle in which that is installed. It is
    read as empty elsewhere. One that is ``rare`` is missed only by what reads it. ``dated`` is SQL for the Unix time
    from which on a row was there; without it rows have no date.
    """

    columns: Mapping[str, str | None]
    module: str = ""
    rare: bool = False
    dated: str = ""


def _table(required: str, *, module: str = "", dated: str = "", **defaults: str) -> SiteTable:
    return SiteTable({**dict.fromkeys(required.split(), REQUIRED), **defaults}, module, dated=dated)


def _rare(required: str, *, module: str = "", **defaults: str) -> SiteTable:
    return SiteTable({**dict.fromkeys(required.split(), REQUIRED), **defaults}, module, rare=True)


_NEVER = "9999999999"
"""Stands for a date that a site does not keep: such a row is in no past."""

_LAST_ACCESS = (
    "(SELECT userid, courseid, MAX(timecreated) AS timeaccess FROM {logstore_standard_log} GROUP BY userid, courseid)"
)
"""The table of last accesses forgets the former ones; in the past it is made of the log."""


_UNREAD = {"id", "course", "name"}
_UNDESCRIBED = SiteTable({})  # a table that only code of one's own reads

TABLES: dict[str, SiteTable] = {
    "config": _table("name value"),
    "course": _table(
        "id shortname format startdate", fullname="''", sortorder="0", enddate="0", visible="1",
        enablecompletion="0", category="0", groupmode="0", defaultgroupingid="0",
    ),
    "context": _table("id contextlevel instanceid path"),
    "role": _table("id archetype"),
    "role_assignments": _table("roleid contextid userid"),
    "enrol": _table("id courseid", status="0"),
    "user_enrolments": _table(
        "id enrolid userid timestart timeend timecreated", status="0", dated="timecreated"
    ),
    "user": _table(
        "id", firstname="'-'", lastname="'-'", deleted="0", confirmed="1", suspended="0", username="''",
        timecreated="0", firstaccess="0", trackforums="0", description="''", picture="0", institution="''",
        department="''", address="''", city="''", country="''", url="''", policyagreed="1", email="'-'",
        auth="'manual'", emailstop="0", lastaccess="0", lang="''", timezone="'99'",
    ),
    "user_preferences": _table("userid name value"),
    "user_lastaccess": _table("userid courseid timeaccess"),
    "modules": _table("id name"),
    "course_modules": _table(
        "id course module instance section", availability="NULL", visible="1", completion="0"
    ),
    "course_sections": _table("id course section sequence", availability="NULL", component="NULL", itemid="0"),
    "course_format_options": _table("courseid format sectionid name value"),
    "course_completion_criteria": _table("id course"),
    "course_completions": _table("userid course timecompleted", dated="timecompleted"),
    "grade_items": _table(
        "id courseid itemtype itemmodule iteminstance", gradetype="1", gradepass="0", outcomeid="NULL", grademax="100",
        grademin="0", itemname="NULL", scaleid="NULL",
    ),
    "grade_grades": _table(
        "itemid userid finalgrade timemodified", overridden="0",
        dated="CASE WHEN overridden > 0 THEN overridden ELSE timemodified END",
    ),
    "competency_coursecomp": _table("courseid competencyid"),
    "competency_usercompcourse": _table(
        "userid courseid competencyid proficiency", timemodified=_NEVER, dated="timemodified"
    ),
    "config_plugins": _table("plugin name value"),
    "event": _table(
        "id courseid userid modulename instance timesort", groupid="0", type="0", visible="1", eventtype="''",
        name="''",
    ),
    "groups_members": _table("groupid userid", timeadded=_NEVER, dated="timeadded"),
    "groups": _rare("id courseid", name="''"),
    "groupings_groups": _rare("groupingid groupid"),
    "course_categories": _rare("id name"),
    "analytics_models": _rare("id enabled trained target"),
    "task_scheduled": _rare("classname disabled"),
    "course_modules_completion": _table(
        "coursemoduleid userid completionstate", timemodified=_NEVER, dated="timemodified"
    ),
    "role_capabilities": _table("contextid roleid capability permission"),
    "quiz_attempts": _table(
        "quiz userid state", module="quiz", preview="0", timefinish="0", timemodified=_NEVER, dated="timemodified"
    ),
    "assign_submission": _table(
        "assignment userid status", module="assign", groupid="0", timemodified=_NEVER, dated="timemodified"
    ),
    "choice_answers": _table("choiceid userid", module="choice", timemodified=_NEVER, dated="timemodified"),
    "feedback_completed": _table("feedback userid", module="feedback", timemodified=_NEVER, dated="timemodified"),
    "lesson_grades": _table("lessonid userid", module="lesson", completed=_NEVER, dated="completed"),
    "assign": _table("id course", module="assign", nosubmissions="0"),
    "workshop_submissions": _rare("workshopid authorid timemodified", module="workshop", example="0"),
    "assign_overrides": _rare("assignid userid groupid duedate", module="assign"),
    "assign_user_flags": _rare("assignment userid extensionduedate", module="assign"),
    "quiz_overrides": _rare("quiz userid groupid timeclose", module="quiz"),
    "lesson_overrides": _rare("lessonid userid groupid deadline", module="lesson"),
    "scale": _rare("id scale"),
    LOG: _table(
        "eventname crud contextid contextlevel contextinstanceid userid courseid timecreated",
        id="0", anonymous="0", dated="timecreated",
    ),
}  # fmt: skip
"""By name without prefix. The tables of activities are added by :func:`activity_table`."""


def activity_table(name: str, *columns: str) -> None:
    """Have the table of an activity module read: ``id``, ``course`` and ``name``, and columns that default to 0."""
    known = TABLES.get(name, SiteTable({})).columns
    common = {"id": REQUIRED, "course": REQUIRED, "name": "''"}
    TABLES[name] = SiteTable({**common, **known, **dict.fromkeys(columns, "0")}, name)


def is_text(table: str, column: str) -> bool | None:
    """Whether Moodle's column is one of texts; None for a column that is not known here."""
    columns = TABLES[table].columns if table in TABLES else {}
    return (
        column in TEXT_COLUMNS
        or column in NULLABLE_TEXTS
        or (table, column) in _TEXTS_OF_TABLES
        or (columns.get(column) or "").startswith("'")
        or (False if column in columns else None)
    )


class Schema:
    """The tables of one site: fills the names of tables into SQL, as ``{course}``.

    ``log_table`` is the whole name of the log's table, where it is not that of Moodle's.
    """

    def __init__(self, prefix: str, log_table: str = "") -> None:
        self.prefix, self.log_table = prefix, log_table
        self._columns: dict[str, frozenset[str]] = {}
        self._inspected: set[str] = set()
        self._moment: int | None = None

    def at(self, moment: int) -> Schema:
        """The tables as they were at a Unix time, as far as their rows are dated: without what came later."""
        then = copy(self)
        then._moment = moment
        return then

    def learn(self, tables: Iterable[str], columns: Mapping[str, frozenset[str]]) -> None:
        """Take the columns of those of some tables that the site has, by their names with the prefix."""
        self._inspected |= set(tables)
        self._columns.update(columns)

    def named(self, table: str) -> str:
        """The whole name of a table."""
        return self.log_table if table == LOG and self.log_table else self.prefix + table

    def tables(self, sql: str) -> set[str]:
        """Tables that are read for a text, named without their prefix."""
        named = {match[1] for match in _PLACEHOLDER.finditer(sql)}
        from_log = {"user_lastaccess"} & named if self._moment is not None else set()
        return named - from_log | ({LOG} if from_log else set())

    def unknown(self, sql: str) -> set[str]:
        """Tables that a text names and about which nothing was learnt."""
        return {match[1] for match in _PLACEHOLDER.finditer(sql)} - self._inspected

    def has(self, table: str) -> bool:
        """Whether the site has a table, named without its prefix."""
        return self.named(table) in self._columns

    def missing(self, modules: Collection[str]) -> list[str]:
        """Names, with their prefix, of the tables that a site with these modules must have and that are not there.

        Of an activity that neither closes nor has an option only names are read.
        """
        return sorted(
            self.named(name)
            for name, table in TABLES.items()
            if not self.has(name)
            and not table.rare
            and (not table.module or (table.module in modules and table.columns.keys() != _UNREAD))
        )

    def fill(self, sql: str) -> str:
        """Replace each ``{table}`` by the table, or by a selection that supplies what is missing.

        A table may have an alias of one small letter, as in ``{course} c``.
        """
        return _PLACEHOLDER.sub(lambda match: self._source_then(match[1]) + (match["alias"] or " AS t"), sql)

    def _source_then(self, name: str) -> str:
        """The source of a table, cut at the moment."""
        dated = TABLES.get(name, _UNDESCRIBED).dated
        if self._moment is None:
            return self._source(name)
        if name == "user_lastaccess":
            return self.fill(_LAST_ACCESS)
        if not dated:
            return self._source(name)
        return f"(SELECT * FROM {self._source(name)} AS r WHERE {dated} <= {self._moment})"

    def _source(self, name: str) -> str:
        table, columns = TABLES.get(name, _UNDESCRIBED), self._columns.get(self.named(name))
        if columns is None:
            if not table.module:
                raise SiteError(
                    f"The site has no table {self.named(name)}; check the table prefix, and that all of "
                    "Moodle's tables are there."
                )
            literals = ", ".join(f"{default or '0'} AS {column}" for column, default in table.columns.items())
            return f"(SELECT {literals} FROM {self.prefix}course WHERE 1 = 0)"
        if columns >= table.columns.keys():
            return self.named(name)
        for column, default in table.columns.items():
            if column not in columns and default is REQUIRED:
                raise SiteError(
                    f"The table {self.named(name)} has no column {column}, which is needed; copy the whole table."
                )
        literals = ", ".join(
            column if column in columns else f"{default} AS {column}" for column, default in table.columns.items()
        )
        return f"(SELECT {literals} FROM {self.named(name)})"


def checked_prefix(prefix: str) -> str:
    """Return the prefix if Moodle would accept it; raises :class:`UsageError`."""
    if not PREFIX_PATTERN.fullmatch(prefix):
        raise UsageError(
            f"The table prefix {prefix[:40]!r} is not valid in Moodle; use at most ten lower-case letters, "
            "digits and underscores, such as mdl_."
        )
    return prefix
