"""A small Moodle site, made by hand in SQLite: what each test says of it, and defaults for the rest."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from moodlemlbackend.analytics.features.analysables import Course, Courses
from moodlemlbackend.analytics.features.indicators import Indicator
from moodlemlbackend.analytics.features.indicators.indicator import events_of
from moodlemlbackend.analytics.features.ranges import Ranges
from moodlemlbackend.analytics.features.registry import ANALYSERS, get_indicator
from moodlemlbackend.analytics.site import Site, open_site
from moodlemlbackend.analytics.site.schema import TABLES

START = 1_700_000_000
DAY, WEEK = 86_400, 604_800
END = START + 10 * WEEK
NOW = END + WEEK

SYSTEM_CONTEXT = 1
MANAGER, TEACHER, STUDENT = 1, 3, 5
MODULE_IDS = {name: number for number, name in enumerate(
    ("assign", "book", "chat", "choice", "data", "feedback", "folder", "forum", "glossary", "h5pactivity", "label",
     "lesson", "lti", "page", "quiz", "resource", "scorm", "survey", "url", "wiki", "workshop", "bigbluebuttonbn"), 1
)}  # fmt: skip

DEFAULTS: dict[str, dict[str, Any]] = {
    "course": {"format": "topics", "visible": 1, "startdate": START, "enddate": END, "category": 1,
               "enablecompletion": 0, "sortorder": 0, "fullname": "A course"},
    "user": {"confirmed": 1, "deleted": 0, "suspended": 0, "firstname": "Ada", "lastname": "Lovelace", "email": "a@b.c",
             "policyagreed": 1, "picture": 0, "trackforums": 0, "timecreated": START - WEEK, "description": "",
             "institution": "", "department": "", "address": "", "city": "", "country": "", "url": ""},
    "user_enrolments": {"status": 0, "timestart": 0, "timeend": 0, "timecreated": START},
    "enrol": {"status": 0},
    "logstore_standard_log": {"anonymous": 0, "crud": "r", "eventname": r"\core\event\course_viewed"},
    "grade_items": {"itemtype": "mod", "gradetype": 1, "gradepass": 0},
    "grade_grades": {"overridden": 0},
    "course_modules": {"visible": 1},
}  # fmt: skip


class SmallSite:
    """A database file that is filled row by row, with a system context, roles, and modules in it."""

    def __init__(self, path: Path, *, version: str = "2023042403", without: Sequence[str] = ()) -> None:
        self.path = path
        self.url = f"sqlite:///{path}"
        self._database = sqlite3.connect(path)
        self._database.execute("PRAGMA synchronous = OFF")
        self._columns = {
            name: [c for c in dict.fromkeys(("id", *table.columns)) if f"{name}.{c}" not in without]
            for name, table in TABLES.items()
            if name not in without
        }
        self._ids = dict.fromkeys(self._columns, 0)
        for name, columns in self._columns.items():
            self._database.execute(f"CREATE TABLE mdl_{name} ({', '.join(columns)})")
        for setting, value in {"version": version, "timezone": "UTC", "enablecompletion": "1", "siteadmins": "2",
                               "siteguest": "1"}.items():  # fmt: skip
            self.add("config", name=setting, value=value)
        self.add("context", id=SYSTEM_CONTEXT, contextlevel=10, instanceid=0, path="/1")
        for role, archetype in ((MANAGER, "manager"), (TEACHER, "editingteacher"), (STUDENT, "student")):
            self.add("role", id=role, archetype=archetype)
        for module, number in MODULE_IDS.items():
            self.add("modules", id=number, name=module)

    def add(self, table: str, **values: Any) -> int:
        """Insert a row and return its id; a table that the site does not have is left alone."""
        if table not in self._columns:
            return 0
        self._ids[table] = values.setdefault("id", self._ids[table] + 1)
        row = {**DEFAULTS.get(table, {}), **values}
        columns = self._columns[table]
        marks = ", ".join("?" * len(columns))
        self._database.execute(f"INSERT INTO mdl_{table} VALUES ({marks})", [row.get(column) for column in columns])
        return int(values["id"])

    def set(self, sql: str) -> None:
        self._database.execute(sql)

    def course(self, **values: Any) -> int:
        """A course with its context and the general section."""
        course = self.add("course", **{"shortname": f"C{self._ids['course'] + 1}", **values})
        context = self.add("context", contextlevel=50, instanceid=course)
        self.set(f"UPDATE mdl_context SET path = '/1/{context}' WHERE id = {context}")
        self.add("enrol", courseid=course)
        self.section(course, 0)
        return course

    def context(self, level: int, instance: int) -> int:
        found = self._database.execute(
            "SELECT id FROM mdl_context WHERE contextlevel = ? AND instanceid = ?", (level, instance)
        )
        return int(found.fetchone()[0])

    def user(self, **values: Any) -> int:
        user = self.add("user", **values)
        self.add("context", contextlevel=30, instanceid=user, path=f"/1/u{user}")
        return user

    def enrol(self, course: int, user: int, role: int = STUDENT, **values: Any) -> int:
        """Enrol a user with a role in the course; returns the enrolment."""
        self.add("role_assignments", roleid=role, contextid=self.context(50, course), userid=user)
        [(method,)] = self._database.execute("SELECT MIN(id) FROM mdl_enrol WHERE courseid = ?", (course,)).fetchall()
        return self.add("user_enrolments", enrolid=method, userid=user, **values)

    def students(self, course: int, number: int) -> list[int]:
        users = [self.user() for _ in range(number)]
        for user in users:
            self.enrol(course, user)
        return users

    def section(self, course: int, number: int, **values: Any) -> int:
        return self.add("course_sections", course=course, section=number, sequence="", **values)

    def activity(self, course: int, module: str, *, section: int = 0, availability: str | None = None,
                 visible: int = 1, graded: bool = False, **settings: Any) -> tuple[int, int]:  # fmt: skip
        """An activity in a section; returns its context and, when graded, its grade item, else its instance."""
        instance = self.add(module, course=course, **settings) if module in self._columns else 1
        number = self.add(
            "course_modules", course=course, module=MODULE_IDS.get(module, 99), instance=instance, section=section,
            availability=availability, visible=visible,
        )  # fmt: skip
        self.set(
            "UPDATE mdl_course_sections SET sequence = trim(sequence || ',' || "
            f"{number}, ',') WHERE course = {course} AND section = {section}"
        )
        context = self.add("context", contextlevel=70, instanceid=number, path=f"/1/{number}")
        if graded:
            return context, self.add("grade_items", courseid=course, itemmodule=module, iteminstance=instance)
        return context, instance

    def log(self, course: int, user: int, time: int, *, context: int = 0, event: str = "", **values: Any) -> None:
        """A log row of the course's own page, or of an activity's context."""
        place = (
            {"contextlevel": 70, "contextinstanceid": context, "contextid": context}
            if context
            else {"contextlevel": 50, "contextinstanceid": course, "contextid": self.context(50, course)}
        )
        if event:
            values["eventname"] = event
        self.add("logstore_standard_log", userid=user, courseid=course, timecreated=time, **{**place, **values})

    def commit(self) -> str:
        """Make what was said readable to others; returns the URL."""
        self._database.commit()
        return self.url

    def open(self, **options: Any) -> Site:
        self.commit()
        return open_site(self.url, **options)


def one_course(site: Site, *indicators: Indicator, now: int = NOW, at: int = 0) -> Course:
    """The course at a place of the list, whose logs tell these indicators' events apart."""
    return list(Courses(site, site.courses, now, events_of(indicators)))[at]


def values(small: SmallSite, indicator: Indicator | str, *ranges: tuple[int, int], now: int = NOW, at: int = 0) -> Any:
    """Values of an indicator for a course's students over some ranges, as lists: (ranges, students)."""
    made = get_indicator(indicator) if isinstance(indicator, str) else indicator
    with small.open() as site:
        course = one_course(site, made, now=now, at=at)
        samples = ANALYSERS[r"\core\analytics\analyser\student_enrolments"].samples(course)
        found = made.calculate(samples, Ranges.of([(start, end, 0) for start, end in ranges or ((START, END),)]))
        return found.tolist()
