"""On a simulated site: what people who are no students were graded changes no cell of anybody."""

from __future__ import annotations

import io
import shutil
import sqlite3
from contextlib import closing

from fixtures.oracle import analysis
from fixtures.trained_sites import NOW, site, site_url
from moodlemlbackend.analytics.features.datasets import write_dataset
from moodlemlbackend.analytics.site import open_site

_ = (site, site_url)  # fixtures

LOOKED_AT_FEEDBACK = {
    "assign": r"\mod_assign\event\feedback_viewed",
    "quiz": r"\mod_quiz\event\course_module_viewed",
}
TEACHERS = """
    SELECT x.instanceid, MIN(a.userid) FROM mdl_role_assignments a
    JOIN mdl_role r ON r.id = a.roleid AND r.archetype = 'editingteacher'
    JOIN mdl_context x ON x.id = a.contextid AND x.contextlevel = 50 GROUP BY x.instanceid"""
ACTIVITIES = """
    SELECT c.id, c.startdate, c.enddate, k.name, m.instance, m.id, x.id, i.id FROM mdl_course_modules m
    JOIN mdl_modules k ON k.id = m.module JOIN mdl_course c ON c.id = m.course
    JOIN mdl_context x ON x.contextlevel = 70 AND x.instanceid = m.id
    JOIN mdl_grade_items i ON i.itemmodule = k.name AND i.iteminstance = m.instance AND i.courseid = c.id"""


def data_set(path):
    file = io.BytesIO()
    with open_site(path) as opened:
        write_dataset(file, opened, analysis("course_dropout", "quarters", NOW))
    return file.getvalue()


def add(database, table, **values):
    """Insert a row as the table's first one, with other values."""
    cursor = database.execute(f"SELECT * FROM mdl_{table} ORDER BY id LIMIT 1")
    row = dict(zip((column[0] for column in cursor.description), cursor.fetchone(), strict=True))
    row |= {"id": database.execute(f"SELECT MAX(id) + 1 FROM mdl_{table}").fetchone()[0], **values}
    database.execute(
        f"INSERT INTO mdl_{table} ({', '.join(row)}) VALUES ({', '.join('?' * len(row))})", [*row.values()]
    )


def test_teachers_with_grades_change_nothing(site_url, tmp_path):
    """They look at feedback all the course long, after they were graded in every assignment and quiz."""
    path = tmp_path / "site.sqlite"
    shutil.copy(site_url.removeprefix("sqlite:///"), path)
    with closing(sqlite3.connect(path)) as database, database:
        teachers = dict(database.execute(TEACHERS).fetchall())
        found = [row for row in database.execute(ACTIVITIES) if row[3] in LOOKED_AT_FEEDBACK and row[0] in teachers]
        for course, start, end, module, _instance, place, context, _item in found:
            for part in (0.1, 0.3, 0.6, 0.9):
                add(
                    database, "logstore_standard_log", eventname=LOOKED_AT_FEEDBACK[module], contextid=context,
                    contextlevel=70, contextinstanceid=place, userid=teachers[course], courseid=course, anonymous=0,
                    crud="r", timecreated=int(start + part * ((end or start) - start)),
                )  # fmt: skip
    before = data_set(path)
    with closing(sqlite3.connect(path)) as database, database:
        for course, *_, item in found:
            values = {"itemid": item, "userid": teachers[course], "finalgrade": 5.0, "overridden": 0}
            add(database, "grade_grades", **values, timemodified=1)
    assert len(found) > 10
    assert data_set(path) == before
