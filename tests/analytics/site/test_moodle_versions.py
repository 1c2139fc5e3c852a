"""The tables of Moodle 3.6 to 5.2: whatever a version has or lacks of what is read, a course's data set is the same."""

from __future__ import annotations

import io
import sqlite3
from contextlib import closing

import pytest

pytest.importorskip("sqlalchemy", reason="needs the extra analytics")

from fixtures.oracle import ORACLE_COURSE, analysis, compare_by_id, load_sqlite, read_with_ids
from fixtures.small_site import NOW, START, WEEK, SmallSite
from moodlemlbackend.analytics.features import course_dates
from moodlemlbackend.analytics.features.datasets import write_dataset
from moodlemlbackend.analytics.site import open_site
from moodlemlbackend.analytics.site.completion import handed_in, handed_in_course

DATA_SET = "course_dropout--quarters"
RELEASES = {
    "3.6": 2018120300, "3.7": 2019052000, "3.8": 2019111800, "3.9": 2020061500, "3.10": 2020110900,
    "3.11": 2021051700, "4.0": 2022041900, "4.1": 2022112800, "4.2": 2023042400, "4.3": 2023100900,
    "4.4": 2024042200, "4.5": 2024100700, "5.0": 2025041400, "5.1": 2025100600, "5.2": 2026042000,
}  # fmt: skip


def version_of(release):
    return tuple(map(int, release.split(".")))


def without(*modules):
    """SQL that removes types of activities, and what there is of them."""
    for name in modules:
        kind = f"(SELECT id FROM mdl_modules WHERE name = '{name}')"
        yield f"DELETE FROM mdl_course_modules WHERE module = {kind}"
        yield f"DELETE FROM mdl_modules WHERE name = '{name}'"
        yield f"DROP TABLE IF EXISTS mdl_{name}"


SUBSECTIONS = [
    "ALTER TABLE mdl_course_sections ADD COLUMN component VARCHAR(100)",
    "ALTER TABLE mdl_course_sections ADD COLUMN itemid BIGINT",
    "CREATE TABLE mdl_subsection (id BIGINT PRIMARY KEY, course BIGINT, name TEXT, timemodified BIGINT)",
    "INSERT INTO mdl_modules (id, name) VALUES (901, 'subsection')",
]
QUESTION_BANKS = [
    "CREATE TABLE mdl_qbank (id BIGINT PRIMARY KEY, course BIGINT, name TEXT, type TEXT, timemodified BIGINT)",
    "INSERT INTO mdl_modules (id, name) VALUES (902, 'qbank')",
    "INSERT INTO mdl_qbank VALUES (1, 5, 'Question bank', 'standard', 1782518537)",
    "INSERT INTO mdl_course_modules (id, course, module, instance, section, visible, groupmode)"
    " VALUES (9001, 5, 902, 1, 29, 1, 0)",
    "INSERT INTO mdl_context (id, contextlevel, instanceid, path) VALUES (9001, 70, 9001, '/1/9001')",
    "UPDATE mdl_course_sections SET sequence = sequence || ',9001' WHERE id = 29",
]
ATTEMPTS_MADE_BEFOREHAND = [
    "INSERT INTO mdl_quiz_attempts (id, quiz, userid, state)"
    " SELECT 9000 + ROW_NUMBER() OVER (), q.id, u.id, 'notstarted' FROM mdl_quiz q, mdl_user u WHERE q.course = 5"
]


def changes(release):
    """SQL that makes the tables of the course in the repository, which are those of 4.2, those of a release."""
    version = version_of(release)
    made = [f"UPDATE mdl_config SET value = '{RELEASES[release]}' WHERE name = 'version'"]
    if version < (3, 11):
        made += ["ALTER TABLE mdl_user ADD COLUMN url VARCHAR(255) NOT NULL DEFAULT ''"]
    if version < (3, 9):
        made += without("h5pactivity")
    if version < (4, 0):
        made += without("bigbluebuttonbn")
    if version >= (4, 5):
        made += SUBSECTIONS
    if version >= (5, 0):
        made += [*without("chat", "survey"), *QUESTION_BANKS, *ATTEMPTS_MADE_BEFOREHAND]
    return made


def data_set(path, statements):
    """The course's data set after changes of its tables: the lines with their results."""
    url = load_sqlite(path, ORACLE_COURSE)
    with closing(sqlite3.connect(path)) as database, database:
        for statement in statements:
            database.execute(statement)
    file, results = io.BytesIO(), []
    with open_site(url) as site:
        write_dataset(file, site, analysis(*DATA_SET.split("--")), progress=results.append)
    return file.getvalue().decode().splitlines()[3:], results


@pytest.mark.parametrize("release", RELEASES)
def test_a_course_in_every_version(release, tmp_path):
    lines, results = data_set(tmp_path / "site.sqlite", changes(release))
    assert len(lines) >= 24
    if (4, 2) <= version_of(release) < (5, 0):
        compare_by_id(read_with_ids(DATA_SET, ORACLE_COURSE), results, lines)
    else:  # values mean something else, or activities are gone: as with these rows in the tables of 4.2
        rows = ("UPDATE mdl_config ", "DELETE FROM mdl_course_modules ")
        assert lines == data_set(tmp_path / "4.2.sqlite", [one for one in changes(release) if one.startswith(rows)])[0]


def test_what_is_in_a_subsection_is_due_with_its_section(tmp_path):
    into_subsections = [
        "INSERT INTO mdl_course_sections (id, course, section, sequence, component, itemid)"
        " SELECT 1000 + id, course, 100 + section, sequence, 'mod_subsection', 500 + id FROM mdl_course_sections",
        "INSERT INTO mdl_course_modules (id, course, module, instance, section, visible, groupmode)"
        " SELECT 2000 + id, course, 901, 500 + id, id, 1, 0 FROM mdl_course_sections WHERE section < 100",
        "INSERT INTO mdl_context (id, contextlevel, instanceid, path)"
        " SELECT 2000 + id, 70, 2000 + id, '/1/' || id FROM mdl_course_sections WHERE section < 100",
        "UPDATE mdl_course_sections SET sequence = 2000 + id WHERE section < 100",
    ]
    for kind in ("weeks", "topics"):
        as_kind = f"UPDATE mdl_course SET format = '{kind}' WHERE id = 5"
        lines, _ = data_set(tmp_path / f"{kind}.sqlite", [*changes("5.2"), as_kind, *into_subsections])
        assert lines == data_set(tmp_path / f"{kind}-before.sqlite", [*changes("5.2"), as_kind])[0]


def test_subsections_are_no_weeks(tmp_path):
    small = SmallSite(tmp_path / "site.sqlite")
    course = small.course(format="weeks", enddate=0)
    for number in (1, 2, 3):
        small.section(course, number)
    small.section(course, 4, component="mod_subsection", itemid=1)
    with small.open() as site:
        [proposal] = course_dates.propose(site, NOW, start=False)
    assert proposal.new_end == START + 3 * WEEK


def test_a_submitted_attempt_is_handed_in_before_it_is_graded(tmp_path):
    small = SmallSite(tmp_path / "site.sqlite")
    course = small.course()
    users = small.students(course, 4)
    _, quiz = small.activity(course, "quiz", name="Quiz")
    for user, state in zip(users, ("notstarted", "inprogress", "submitted", "finished"), strict=True):
        small.add("quiz_attempts", quiz=quiz, userid=user, state=state, preview=0, timefinish=START + WEEK)
    with small.open() as site:
        assert handed_in(site, users) == handed_in_course(site, course) == {("quiz", one, quiz) for one in users[2:]}
