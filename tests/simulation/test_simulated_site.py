"""The simulated Moodle site: its tables hold together, hold what they should, and are made whole or not at all."""

from __future__ import annotations

import csv
import os
import re
import signal
import subprocess
import sys
import time
from contextlib import closing, suppress
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

sa = pytest.importorskip("sqlalchemy", reason="needs the extra analytics")

from fixtures.databases import new_database  # noqa: E402
from fixtures.paths import ROOT, SHARED, needs_shared, posix  # noqa: E402
from moodlemlbackend import metrics  # noqa: E402
from moodlemlbackend.cli.demo_site import command as demo_site  # noqa: E402
from moodlemlbackend.errors import BackendError, StorageError, UsageError  # noqa: E402
from moodlemlbackend.simulation.site.activities import KINDS  # noqa: E402
from moodlemlbackend.simulation.site.build import SimulatedSite, write_site  # noqa: E402
from moodlemlbackend.simulation.site.loader import BATCH_BLOCKS, Loader  # noqa: E402
from moodlemlbackend.simulation.site.tables import SCHEMAS, tables  # noqa: E402

NOW = 1_795_000_000
COURSES, STUDENTS = 20, 16

REFERENCES = """
    course_categories.parent course_categories; course.category course_categories; course_sections.course course
    course_modules.course course; course_modules.module modules; course_modules.section course_sections
    course_format_options.courseid course; enrol.courseid course; enrol.roleid role; user_enrolments.enrolid enrol
    user_enrolments.userid user; role_assignments.roleid role; role_assignments.contextid context
    role_assignments.userid user; role_capabilities.roleid role; role_capabilities.contextid context
    role_context_levels.roleid role; user_lastaccess.userid user; user_lastaccess.courseid course
    groups.courseid course; groups_members.groupid groups; groups_members.userid user
    user_preferences.userid user; grade_categories.courseid course; grade_items.courseid course
    grade_items.categoryid grade_categories; grade_grades.itemid grade_items; grade_grades.userid user
    grade_grades.usermodified user; course_completion_criteria.course course
    course_completion_criteria.moduleinstance course_modules; course_completion_aggr_methd.course course
    course_completion_crit_compl.criteriaid course_completion_criteria; course_completion_crit_compl.userid user
    course_completions.userid user; course_completions.course course
    course_modules_completion.coursemoduleid course_modules; course_modules_completion.userid user
    competency.competencyframeworkid competency_framework; competency_framework.scaleid scale
    competency_coursecomp.courseid course; competency_coursecomp.competencyid competency
    competency_usercompcourse.userid user; competency_usercompcourse.courseid course
    competency_usercompcourse.competencyid competency; event.courseid course; event.userid user
    assign_submission.assignment assign; assign_submission.userid user; assign_grades.assignment assign
    assign_grades.userid user; assign_grades.grader user; book_chapters.bookid book; chat_messages.chatid chat
    chat_messages.userid user; choice_options.choiceid choice; choice_answers.choiceid choice
    choice_answers.optionid choice_options; choice_answers.userid user; data_records.dataid data
    data_records.userid user; feedback_completed.feedback feedback; feedback_completed.userid user
    forum_discussions.forum forum; forum_discussions.course course; forum_discussions.firstpost forum_posts
    forum_posts.discussion forum_discussions; forum_posts.parent forum_posts; forum_posts.userid user
    glossary_entries.glossaryid glossary; lesson_pages.lessonid lesson; lesson_timer.lessonid lesson
    lesson_grades.lessonid lesson; lti_submission.ltiid lti; quiz_sections.quizid quiz; quiz_attempts.quiz quiz
    quiz_attempts.uniqueid question_usages; question_usages.contextid context; quiz_grades.quiz quiz
    scorm.launch scorm_scoes; scorm_scoes.scorm scorm; scorm_scoes_track.scoid scorm_scoes
    survey_answers.survey survey; wiki_subwikis.wikiid wiki; wiki_pages.subwikiid wiki_subwikis
    wiki_versions.pageid wiki_pages; workshop_submissions.workshopid workshop; workshop_submissions.authorid user
    workshop_assessments.submissionid workshop_submissions; workshop_assessments.reviewerid user
    logstore_standard_log.contextid context; logstore_standard_log.userid user
    logstore_standard_log.relateduserid user; logstore_standard_log.courseid course
"""


@pytest.fixture(scope="module")
def path(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("site") / "site.db"


@pytest.fixture(scope="module")
def made(path) -> SimulatedSite:
    return write_site(str(path), courses=COURSES, students=STUDENTS, seed=3, now=NOW)


@pytest.fixture(scope="module")
def query(made, path):
    """Return a function that gives the rows of a query on the site, as tuples; ``{x}`` is Moodle's table x."""
    with closing(connect(str(path))) as connection:
        yield lambda sql: [tuple(row) for row in connection.exec_driver_sql(re.sub(r"\{(\w+)\}", r"mdl_\1", sql))]


@pytest.fixture(params=["postgresql", "mariadb"])
def server(request, tmp_path):
    """The URL of a database of this test's own on a server, as a person writes it."""
    with new_database(request.param, tmp_path) as url:
        yield url


def connect(url: str) -> sa.Connection:
    """Connect to the database of a URL as a person writes it, or of a path."""
    url = url.replace("postgresql:", "postgresql+psycopg:").replace("mariadb:", "mariadb+pymysql:")
    return sa.create_engine(url if "://" in url else f"sqlite:///{url}", poolclass=sa.NullPool).connect()


def table_names(url: str, prefix: str = "") -> set[str]:
    with closing(connect(url)) as connection:
        return {name for name in sa.inspect(connection).get_table_names() if name.startswith(prefix)}


def contents(url: str, prefix: str = "mdl_") -> dict[str, list[tuple]]:
    """Every row of every table, ordered by id, by table without the prefix."""
    found = {}
    with closing(connect(url)) as connection:
        quote = connection.dialect.identifier_preparer.quote
        for name in table_names(url, prefix):
            table = name.removeprefix(prefix)
            columns = ", ".join(quote(column.name) for column in tables("4.2")[table])
            rows = connection.exec_driver_sql(f"SELECT {columns} FROM {quote(name)} ORDER BY id")
            found[table] = [tuple(_plain(value) for value in row) for row in rows]
    return found


def _plain(value):
    return value if value is None or isinstance(value, str) else round(float(value), 5)


# ---- it holds together ----


def test_what_is_referred_to_exists(query):
    broken = []
    for line in " ; ".join(REFERENCES.strip().splitlines()).split(";"):
        place, table = line.split()
        name, column = place.split(".")
        lost = query(
            f"SELECT COUNT(*) FROM {{{name}}} a LEFT JOIN {{{table}}} b ON b.id = a.{column} "
            f"WHERE a.{column} IS NOT NULL AND a.{column} <> 0 AND b.id IS NULL"
        )[0][0]
        number = query(f"SELECT COUNT(*) FROM {{{name}}}")[0][0]
        if lost or not number:
            broken.append(f"{line.strip()}: {lost} of {number}")
    assert not broken


def test_every_activity_is_an_instance_of_its_kind_in_its_course(query):
    for kind in KINDS:
        modules = query(
            f"SELECT cm.instance, cm.course FROM {{course_modules}} cm JOIN {{modules}} m ON m.id = cm.module "
            f"WHERE m.name = '{kind}' ORDER BY 1"
        )
        assert modules == query(f"SELECT id, course FROM {{{kind}}} ORDER BY 1"), kind
        assert modules, kind
    for number, sequence in query("SELECT id, sequence FROM {course_sections}"):
        inside = {one for (one,) in query(f"SELECT id FROM {{course_modules}} WHERE section = {number}")}
        assert inside == {int(one) for one in sequence.split(",") if one}


def test_contexts_form_a_tree_of_what_there_is(query):
    contexts = {row[0]: row[1:] for row in query("SELECT id, contextlevel, instanceid, path, depth FROM {context}")}
    things = {10: [(0,)], 30: "user", 40: "course_categories", 50: "course", 70: "course_modules"}
    for level, table in things.items():
        found = sorted(instance for one, instance, *_ in contexts.values() if one == level)
        there = query(f"SELECT id FROM {{{table}}} ORDER BY id") if isinstance(table, str) else table
        assert found == [one for (one,) in there], level
    for number, (_, _, path, depth) in contexts.items():
        *above, own = path.strip("/").split("/")
        assert (int(own), len(above) + 1) == (number, depth)
        assert not above or contexts[int(above[-1])][2] == "/" + "/".join(above)
    assert not query(
        "SELECT cm.id FROM {course_modules} cm JOIN {context} x ON x.contextlevel = 70 AND x.instanceid = cm.id "
        "JOIN {context} c ON c.contextlevel = 50 AND c.instanceid = cm.course WHERE x.path <> c.path || '/' || x.id"
    )
    assert {len(path.split("/")) for level, _, path, _ in contexts.values() if level == 40} == {3, 4}


def test_the_log_says_where_and_on_what_something_happened(query):
    assert not query(
        "SELECT l.id FROM {logstore_standard_log} l JOIN {context} c ON c.id = l.contextid WHERE "
        "c.contextlevel <> l.contextlevel OR c.instanceid <> l.contextinstanceid LIMIT 3"
    )
    assert not query(
        "SELECT l.id FROM {logstore_standard_log} l JOIN {course_modules} m ON l.contextlevel = 70 "
        "AND m.id = l.contextinstanceid WHERE m.course <> l.courseid LIMIT 3"
    )
    logged = query("SELECT DISTINCT objecttable FROM {logstore_standard_log} WHERE objecttable IS NOT NULL")
    for (table,) in logged:
        lost = query(
            f"SELECT eventname FROM {{logstore_standard_log}} l LEFT JOIN {{{table}}} o ON o.id = l.objectid "
            f"WHERE l.objecttable = '{table}' AND o.id IS NULL LIMIT 3"
        )
        assert not lost, table
    first, last, kinds = query("SELECT MIN(timecreated), MAX(timecreated), COUNT(DISTINCT crud) FROM "
                               "{logstore_standard_log}")[0]  # fmt: skip
    assert NOW - 800 * 86400 < first < NOW - 100 * 86400
    assert NOW - 2 * 86400 < last <= NOW
    assert kinds == 3
    lost = query(
        "SELECT a.userid FROM {user_lastaccess} a JOIN (SELECT userid, courseid, MAX(timecreated) AS t FROM "
        "{logstore_standard_log} GROUP BY 1, 2) l ON l.userid = a.userid AND l.courseid = a.courseid "
        "WHERE l.t <> a.timeaccess"
    )
    assert not lost


@needs_shared
def test_no_column_is_invented(query):
    known = {}
    with (SHARED / "oracle" / "schema.csv").open(newline="") as file:
        for row in csv.DictReader(file):
            known.setdefault(row["table"].removeprefix("mdl_"), {})[row["column"]] = row["type"], row["nullable"]
    kinds = {"int": "BigInteger", "mid": "Integer", "small": "SmallInteger", "text": "Text", "float": "Double"}
    for table, columns in tables("4.2").items():
        if table == "bigbluebuttonbn":  # not in that site
            continue
        left_out = {"policyagreed", "institution", "department", "address"} if table == "user" else set()
        assert {column.name for column in columns} == set(known[table]) | left_out, table
        for column in columns:
            name = kinds.get(column.kind) or ("String" if column.is_text else "Numeric") + f"({column.kind})"
            expected = name, "YES" if column.nullable else "NO"
            assert column.name in left_out or known[table][column.name] == expected, (table, column)


# ---- it holds what a site holds ----


def test_courses_of_every_kind(made, query):
    assert made.courses["finished"] >= 10
    assert made.courses["ongoing"] >= 2
    assert made.courses["starting"] >= 2
    names = " ".join(name for (name,) in query("SELECT shortname FROM {course} WHERE id > 1"))
    assert query("SELECT COUNT(*) FROM {course} WHERE id > 1 AND enddate = 0")[0][0] == made.courses["no end"]
    assert query("SELECT COUNT(*) FROM {course} WHERE enddate > 0 AND enddate < startdate")[0][0]
    assert query("SELECT COUNT(*) FROM {course} WHERE enddate - startdate > 33955200")[0][0]
    assert query(f"SELECT COUNT(*) FROM {{course}} WHERE startdate > {NOW}")[0][0]
    assert {"FINISHED-1", "NO-END-18"} < set(names.split())
    assert {"topics", "weeks"} <= {form for (form,) in query("SELECT format FROM {course}")}
    empty = query(
        "SELECT c.shortname FROM {course} c JOIN {context} x ON x.contextlevel = 50 AND x.instanceid = c.id "
        "LEFT JOIN {role_assignments} r ON r.contextid = x.id AND r.roleid = 5 WHERE c.id > 1 AND r.id IS NULL"
    )
    assert "FINISHED-1" in {name for (name,) in empty}
    assert len(empty) == 2


def test_odd_enrolments_and_users(query):
    odd = {
        "late": "e.timecreated > c.startdate + 86400",
        "over early": "e.timeend > 0 AND e.timeend < c.startdate + 0.9 * (c.enddate - c.startdate)",
        "long ago": "e.timecreated < c.startdate - 33955200",
        "suspended": "e.status = 1",
    }
    for name, condition in odd.items():
        assert query(
            "SELECT e.id FROM {user_enrolments} e JOIN {enrol} n ON n.id = e.enrolid JOIN {course} c "
            f"ON c.id = n.courseid WHERE c.enddate > c.startdate AND {condition}"
        ), name
    twice = query(
        "SELECT n.courseid, e.userid FROM {user_enrolments} e JOIN {enrol} n ON n.id = e.enrolid GROUP BY 1, 2 "
        "HAVING COUNT(*) > 1"
    )
    assert twice
    assert not query("SELECT id FROM {user_enrolments} WHERE timeend > 0 AND timestart > timeend")
    assert query("SELECT MAX(timecreated) FROM {user_enrolments}")[0][0] < NOW
    for flag in ("deleted = 1", "suspended = 1", "confirmed = 0"):
        assert len(query(f"SELECT id FROM {{user}} WHERE {flag}")) == 1
    assert query("SELECT value FROM {config} WHERE name = 'siteadmins'") == [("2",)]
    archetypes = "SELECT DISTINCT r.archetype FROM {role_assignments} a JOIN {role} r ON r.id = a.roleid ORDER BY 1"
    assert query(archetypes) == [("editingteacher",), ("manager",), ("student",), ("teacher",)]


def test_the_clock_is_kept(made, query):
    assert made.now == NOW
    kept = query("SELECT name, value FROM {config_plugins} WHERE plugin = 'local_simulator' ORDER BY 1")
    assert kept == [("now", str(NOW)), ("seed", "3")]


@pytest.fixture(scope="module")
def outcomes(query):
    """Of the students of finished courses: logs in the third quarter, in the last one, in all; completion, if any."""
    rows = query(
        "SELECT c.id, r.userid, SUM(l.timecreated > c.enddate - (c.enddate - c.startdate) / 2 AND l.timecreated <= "
        "c.enddate - (c.enddate - c.startdate) / 4), SUM(l.timecreated > c.enddate - (c.enddate - c.startdate) / 4), "
        "COUNT(l.id), (SELECT COUNT(*) FROM {course_completion_criteria} k WHERE k.course = c.id), "
        "(SELECT timecompleted FROM {course_completions} d WHERE d.course = c.id AND d.userid = r.userid) "
        "FROM {course} c JOIN {context} x ON x.contextlevel = 50 AND x.instanceid = c.id JOIN {role_assignments} r "
        "ON r.contextid = x.id AND r.roleid = 5 LEFT JOIN {logstore_standard_log} l ON l.courseid = c.id "
        "AND l.userid = r.userid WHERE c.shortname LIKE 'FINISHED%' GROUP BY c.id, r.userid, c.startdate, c.enddate"
    )
    course, _, third, last, logs, criteria, completed = zip(*rows, strict=True)
    tracked = np.array(criteria) > 0
    silent = np.array([not one for one in last])
    dropped = np.where(tracked, [one is None for one in completed], silent)
    third = np.array([one or 0 for one in third])
    return {"course": np.array(course), "third": third, "logs": np.array(logs), "tracked": tracked, "dropped": dropped}


def test_both_classes_by_either_rule(outcomes):
    for tracked in (False, True):
        share = outcomes["dropped"][outcomes["tracked"] == tracked].mean()
        assert 0.08 < share < 0.5, tracked


def test_courses_have_logs_enough_for_training(outcomes):
    for course in np.unique(outcomes["course"]):
        assert outcomes["logs"][outcomes["course"] == course].mean() > 20


def test_who_drops_out_shows_it_before_but_not_for_certain(outcomes):
    auc = metrics.roc_auc(-np.log1p(outcomes["third"]), outcomes["dropped"].astype(int))
    assert 0.75 < auc < 0.97


def test_other_targets_have_both_classes(query):
    passed = (
        "SELECT SUM(g.finalgrade >= i.gradepass), COUNT(*) FROM {grade_grades} g JOIN {grade_items} i ON i.id = "
        "g.itemid WHERE i.itemtype = 'course' AND i.gradepass > 0"
    )
    rated = "SELECT SUM(proficiency), COUNT(*) FROM {competency_usercompcourse}"
    for sql in (passed, rated):
        good, number = query(sql)[0]
        assert 0.1 < good / number < 0.95


def test_activities_come_due_after_now(query):
    due = query(f"SELECT modulename, timesort FROM {{event}} WHERE timesort > {NOW} AND timesort < {NOW + 14 * 86400}")
    assert due


def test_every_kind_is_opened_worked_on_and_answered(query):
    seen = dict(query("SELECT eventname, COUNT(*) FROM {logstore_standard_log} GROUP BY 1"))
    for kind in KINDS.values():
        events = [one for part in (kind.looked, kind.written, kind.graded, kind.read) for one in part]
        assert kind.name == "label" or rf"\mod_{kind.name}\event\course_module_viewed" in seen
        assert all(one.eventname in seen for one in events), kind.name
    assert query("SELECT COUNT(*) FROM {logstore_standard_log} WHERE anonymous = 1")[0][0]
    assert query("SELECT COUNT(*) FROM {course_modules} WHERE availability IS NOT NULL")[0][0]


# ---- the same everywhere ----


def test_the_same_seed_makes_the_same_rows(tmp_path):
    def make(name: str, seed: int) -> dict[str, list[tuple]]:
        write_site(str(tmp_path / name), courses=3, students=5, seed=seed, now=NOW)
        return contents(str(tmp_path / name))

    first = make("a", 1)
    assert make("b", 1) == first
    other = make("c", 2)
    assert other["logstore_standard_log"] != first["logstore_standard_log"]
    assert other["course"] != first["course"]


def test_every_database_gets_the_same_rows(server, tmp_path):
    arguments = {"courses": 2, "students": 6, "seed": 5, "now": NOW}
    write_site(str(tmp_path / "site.db"), **arguments)
    write_site(server, **arguments)
    assert contents(server) == contents(str(tmp_path / "site.db"))


def test_the_log_has_moodles_indexes(query):
    names = [name for _, name, *_ in query("PRAGMA index_list({logstore_standard_log})")]
    columns = {tuple(row[2] for row in query(f"PRAGMA index_info({name})")) for name in names}
    assert columns >= {
        ("timecreated",),
        ("courseid", "anonymous", "timecreated"),
        ("userid", "contextlevel", "contextinstanceid", "crud", "edulevel", "timecreated"),
        ("contextid",),
    }


def test_more_log_rows_on_demand(tmp_path):
    few, many = (
        write_site(str(tmp_path / f"{factor}.db"), courses=2, students=8, now=NOW, log_rows_factor=factor)
        for factor in (1, 5)
    )
    ratio = many.rows["logstore_standard_log"] / few.rows["logstore_standard_log"]
    assert 4 < ratio < 6.5
    assert many.rows["assign_submission"] == few.rows["assign_submission"]


def test_rows_that_come_one_by_one_do_not_pile_up():
    """Small courses add a row or two to each table: after a while these are loaded, however few they are."""
    engine = sa.create_engine("sqlite://")
    with engine.connect() as connection:
        made = sa.Table("mdl_config", sa.MetaData(), *(sa.Column(c.name, sa.Text) for c in tables("4.2")["config"]))
        made.create(connection)
        loader = Loader(connection, {"config": made}, "4.2", commits=False)
        for number in range(3 * BATCH_BLOCKS - 1):
            loader.add("config", 1, {"name": str(number)})
        assert connection.exec_driver_sql("SELECT COUNT(*) FROM mdl_config").scalar() == 2 * BATCH_BLOCKS
        loader.flush()
        assert connection.exec_driver_sql("SELECT COUNT(*) FROM mdl_config").scalar() == 3 * BATCH_BLOCKS - 1
    engine.dispose()


@pytest.mark.parametrize("schema", SCHEMAS)
def test_older_and_newer_versions(schema, tmp_path):
    site = write_site(str(tmp_path / "site.db"), courses=4, students=4, schema=schema, now=NOW)
    with closing(connect(str(tmp_path / "site.db"))) as connection:
        inspector = sa.inspect(connection)
        there = {name.removeprefix("mdl_") for name in inspector.get_table_names() if name.startswith("mdl_")}
        columns = {column["name"] for column in inspector.get_columns("mdl_course")}
        kinds = {name for (name,) in connection.exec_driver_sql("SELECT name FROM mdl_modules")}
    assert there == set(tables(schema)) >= set(site.rows)
    assert ("bigbluebuttonbn" in there) == (schema != "3.7")
    assert ("chat" in there) == ("survey" in there) == (schema != "5.0")
    assert ("relativedatesmode" in columns) == (schema != "3.7")
    assert kinds == {name for name in KINDS if name in there}


def test_the_smallest_site(tmp_path):
    site = write_site(str(tmp_path / "site.db"), courses=1, students=1, now=NOW)
    assert site.rows["course"] == 2
    with pytest.raises(UsageError, match="at least one course"):
        write_site(str(tmp_path / "other.db"), courses=0)


# ---- all or nothing ----


def test_a_database_with_such_tables_is_left_alone(path, made, server):
    before = path.read_bytes()
    with pytest.raises(StorageError, match=r"already has tables with the prefix 'mdl_'.*nothing was changed"):
        write_site(str(path), courses=1, students=1)
    assert path.read_bytes() == before
    with closing(connect(server)) as connection:
        connection.exec_driver_sql("CREATE TABLE mdl_user (id INT)")
        connection.commit()
    with pytest.raises(StorageError, match="mdl_user, 1 in all"):
        write_site(server, courses=1, students=1)
    assert table_names(server) == {"mdl_user"}


def test_another_prefix_beside_other_tables(tmp_path):
    path = str(tmp_path / "site.db")
    write_site(path, courses=1, students=1, now=NOW)
    before = contents(path)
    write_site(path, courses=1, students=1, now=NOW, prefix="m2_")
    assert contents(path) == before
    assert contents(path, "m2_") == before


class StopHereError(Exception):
    pass


def fail_later(done: int, _number: int) -> None:
    if done == 2:
        raise StopHereError


def test_a_failure_leaves_no_file(tmp_path):
    with pytest.raises(StopHereError):
        write_site(str(tmp_path / "site.db"), courses=3, students=3, progress=fail_later)
    assert not list(tmp_path.iterdir())


def test_what_a_killed_process_left_is_in_nobodys_way(tmp_path):
    """In a container, the next process has the same number."""
    (tmp_path / f".site.db-{os.getpid()}").touch()
    write_site(str(tmp_path / "site.db"), courses=1, students=1, now=NOW)
    assert table_names(str(tmp_path / "site.db"))


def test_a_failure_leaves_other_tables_alone(tmp_path):
    path = str(tmp_path / "site.db")
    write_site(path, courses=1, students=1, now=NOW)
    before = contents(path)
    with pytest.raises(StopHereError):
        write_site(path, courses=3, students=3, prefix="m2_", progress=fail_later)
    assert contents(path) == before
    assert not table_names(path, "m2_")


def test_a_failure_leaves_no_tables_on_a_server(server):
    with pytest.raises(StopHereError):
        write_site(server, courses=3, students=3, progress=fail_later)
    assert not table_names(server)


@posix
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_leaves_nothing(number, tmp_path):
    call = [sys.executable, "-m", "moodlemlbackend", "demo", "site", "--courses", "500", "-o", "site.db"]
    process = subprocess.Popen(call, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    deadline = time.monotonic() + 120
    while not any(one.stat().st_size > 100_000 for one in tmp_path.iterdir()):
        assert time.monotonic() < deadline
        assert process.poll() is None
        time.sleep(0.05)
    process.send_signal(number)
    out, err = process.communicate(timeout=120)
    assert (process.returncode, out) == (1, b"")
    assert f"Stopped by signal {number.name}; nothing was kept." in err.decode()
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("postgresql://me:secret@127.0.0.1:1/moodle", "Cannot open .*me:\\*\\*\\*@127.0.0.1:1.* check the host"),
        ("mariadb://me:secret@127.0.0.1:1/moodle", "Cannot open .*me:\\*\\*\\*@127.0.0.1:1.* check the host"),
        ("postgresql://me:secret@no-such-host.invalid/moodle", "Cannot open .*no-such-host.invalid"),
        ("elsewhere://me:secret@host/moodle", "The site cannot be in 'elsewhere'"),
        ("postgresql//site.db", "Cannot use postgresql/site.db: No such file"),
        ("://me:secret@host", "The site must be a database URL, such as postgresql"),
        ("sqlite://", "needs a file"),
        ("no/such/folder/site.db", "Cannot use no/such/folder/site.db: No such file or directory"),
    ],
)
def test_what_cannot_be_opened_is_told_in_one_sentence(url, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(BackendError, match=message) as raised:
        write_site(url, courses=1, students=1)
    assert "secret" not in str(raised.value)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("server", ["mariadb"], indirect=True)
def test_a_wrong_password_is_not_repeated(server):
    url = sa.make_url(server).set(username="nobody", password="hush-hush").render_as_string(hide_password=False)
    with pytest.raises(StorageError, match=r"Access denied for user 'nobody'@.*; check the host") as raised:
        write_site(url, courses=1, students=1)
    assert "hush-hush" not in str(raised.value)


def test_a_missing_driver_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(
        UsageError, match=r"psycopg, .* not installed; in the clone .* -m pip install '\.\[postgresql\]'"
    ):
        write_site("postgresql://me@host/moodle")


def test_files_that_cannot_be_written(tmp_path):
    (tmp_path / "text").write_text("not a database, but long enough to be taken for one" * 100)
    with pytest.raises(StorageError, match="file is not a database"):
        write_site(str(tmp_path / "text"), courses=1, students=1)
    with pytest.raises(StorageError, match="Cannot open"):
        write_site(str(tmp_path), courses=1, students=1)
    with pytest.raises(UsageError, match="The prefix 'Mdl;' cannot be used"):
        write_site(str(tmp_path / "site.db"), prefix="Mdl;")


# ---- the command ----


def test_the_command_says_what_it_made(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    arguments = ["--courses", "3", "--students", "4", "--now", "2026-03-01", "-o", "site.db"]
    result = CliRunner().invoke(demo_site, arguments)
    assert result.exit_code == 0, result.output
    assert "Courses     3: 2 finished, 1 ongoing\n" in result.output
    assert "Now         1772323200, 2026-03-01 00:00 UTC\n" in result.output
    again = CliRunner().invoke(demo_site, arguments)
    assert again.exit_code == 1
    assert again.output.startswith("sqlite:///site.db already has tables")


@posix
def test_progress_is_shown_on_a_terminal_only(tmp_path):
    import pty

    ours, theirs = pty.openpty()
    call = [sys.executable, "-m", "moodlemlbackend", "demo", "site", "--courses", "3", "--students", "3", "-o", "x.db"]
    with subprocess.Popen(call, cwd=tmp_path, stdout=subprocess.PIPE, stderr=theirs) as process:
        os.close(theirs)
        shown = b""
        with suppress(OSError):  # the terminal's other end is closed
            while part := os.read(ours, 4096):
                shown += part
        out = process.stdout.read()
    os.close(ours)
    assert process.returncode == 0
    assert "━" in shown.decode()
    assert out.startswith(b"Courses     3: ")


@pytest.mark.parametrize("text", ["yesterday", "12", "1999-01-01"])
def test_times_that_make_no_sense(text):
    result = CliRunner().invoke(demo_site, ["--now", text, "-o", "site.db"])
    assert result.exit_code == 2
    assert "write 2026-03-01, or Unix seconds" in result.output


def test_its_options_are_described():
    text = (ROOT / "docs" / "researchers.md").read_text("utf-8")
    section = text.partition("\n### moodlemlbackend demo site\n")[2].partition("\n## ")[0]
    for parameter in demo_site.params:
        assert f"`{parameter.opts[-1]}" in section, parameter.opts
