"""Opening sites: databases and folders, older and newer schemas, what is missing, and what goes wrong."""

from __future__ import annotations

import csv
import json
import secrets
from pathlib import Path
from types import SimpleNamespace
from urllib.parse import urlsplit

import numpy as np
import pytest

from fixtures.databases import KINDS, new_database
from fixtures.oracle import ORACLE_COURSE, create, load_postgresql, tables
from fixtures.paths import needs_shared
from fixtures.small_site import DAY, END, MODULE_IDS, NOW, START, WEEK, SmallSite, one_course
from moodlemlbackend.analytics.features import refusal
from moodlemlbackend.analytics.features.analysis import Analysis, AnalysisStatus, analyse
from moodlemlbackend.analytics.features.datasets import write_dataset
from moodlemlbackend.analytics.features.refusal import (
    FINISHED,
    HIDDEN,
    NO_END,
    NOT_MEASURED,
    NOT_YET_FINISHED,
    Refusal,
    decisive,
)
from moodlemlbackend.analytics.features.registry import get_indicator, get_target, get_time_splitting, indicators_of
from moodlemlbackend.analytics.features.site_check import check_site
from moodlemlbackend.analytics.features.weeks import week_end
from moodlemlbackend.analytics.site import open_site
from moodlemlbackend.analytics.site.database import Database
from moodlemlbackend.analytics.site.moodle_models import PREDICTING_TASK, predicting_targets
from moodlemlbackend.analytics.site.schema import TABLES
from moodlemlbackend.analytics.site.site import FARTHEST_DATE
from moodlemlbackend.errors import SiteError, UsageError


@pytest.fixture
def small(tmp_path):
    return SmallSite(tmp_path / "site.sqlite")


def busy_course(small, students=3, logs=12, **values):
    """A finished course whose students were active enough to learn from."""
    course = small.course(**values)
    for number in (1, 2):
        small.section(course, number)
    context, _ = small.activity(course, "page", section=1)
    users = small.students(course, students)
    for user in users:
        for number in range(logs):
            small.log(course, user, START + 1 + number * DAY, context=context)
    return course, users


def plan(target="course_dropout", method="quarters", now=NOW, training=True, indicators=None):
    made = get_target(target)
    chosen = [get_indicator(one) for one in indicators or indicators_of(made)]
    return Analysis(made, chosen, [get_time_splitting(method)], now, training)


def reasons(small, target="course_dropout", now=NOW, training=True):
    with small.open() as site:
        results = list(analyse(site, plan(target, now=now, training=training)))
    return {result.analysable.name: result.reason.identifier for result in results}


# ---- what a site says of itself ----


def test_facts_of_a_site(small):
    small.course(sortorder=2, shortname="second")
    small.course(sortorder=1, shortname="first", startdate=None, enddate=None)
    small.course(format="site", shortname="front page")
    with small.open() as site:
        assert (site.version, site.release, site.is_37, str(site.zone)) == ("2023042403", "", False, "UTC")
        assert [(course.shortname, course.start, course.end) for course in site.courses] == [
            ("first", 0, 0), ("second", START, END),
        ]  # fmt: skip
        assert (site.administrators, site.guest) == ([2], 1)


def test_ids_may_be_more_than_a_statement_can_have_parameters(small):
    first, last = small.course(), small.course()
    with small.open() as site:
        query = "SELECT id FROM {course} WHERE id IN :ids ORDER BY id"
        assert site.database.rows(query, ids=[*range(last), *range(last + 1, 300_000)]) == [(first,)]


@pytest.mark.parametrize(
    ("setting", "hours"), [("Europe/Madrid", 1), ("99", 0), ("", 0), ("5.5", 5.5), ("-3", -3), ("America/Lima", -5)]
)
def test_time_zones(small, setting, hours):
    small.set(f"UPDATE mdl_config SET value = '{setting}' WHERE name = 'timezone'")
    with small.open() as site:
        import datetime

        winter = datetime.datetime(2024, 1, 1, tzinfo=site.zone)
        assert winter.utcoffset() == datetime.timedelta(hours=hours)


def test_a_time_zone_that_is_not_known(small):
    small.set("UPDATE mdl_config SET value = 'Middle/Earth' WHERE name = 'timezone'")
    with small.open() as site, pytest.raises(UsageError, match="--time-zone"):
        _ = site.zone
    with small.open(time_zone="Europe/Madrid") as site:
        assert str(site.zone) == "Europe/Madrid"


def test_nothing_can_be_written(small):
    small.course()
    with small.open() as site, pytest.raises(SiteError):
        site.database.rows("DELETE FROM {course}".replace("{course}", "mdl_course"))
    with small.open() as site:
        assert len(site.courses) == 1


def test_a_wrong_prefix(small):
    small.commit()
    with pytest.raises(SiteError, match="no table abc_course; check the table prefix"):
        open_site(small.url, prefix="abc_")
    with pytest.raises(UsageError, match="prefix"):
        open_site(small.url, prefix="mdl_; DROP TABLE x")


@pytest.mark.parametrize(
    ("location", "said"),
    [
        ("sqlite:////nowhere/site.db", "no SQLite database"),
        ("nowhere.db", "no SQLite database 'nowhere.db'"),
        ("oracle://x/y", "choose postgresql"),
        ("postgresql://u:secret@127.0.0.1:1/x", "no server answers there"),
        ("postgresql://u:secret@no.such.host.invalid/x", "the host does not exist"),
        ("mysql://u:secret@127.0.0.1:1/x", "no server answers there"),
        ("postgresql+nosuchdriver://u:secret@h/x", "no driver 'nosuchdriver'"),
        ("postgresql+psycopg2://u:secret@h/x", r"pip install .*postgresql"),
        ("postgresql://u:secret@h:port/x", "for example"),
    ],
)
def test_what_cannot_be_opened_is_told_in_a_sentence(location, said):
    pytest.importorskip("psycopg")
    pytest.importorskip("pymysql")
    with pytest.raises((SiteError, UsageError), match=said) as caught:
        open_site(location)
    assert "secret" not in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_file_that_is_no_database(tmp_path):
    (tmp_path / "site.db").write_text("not a database, but long enough to be looked at as one" * 20)
    with pytest.raises(SiteError, match="not an SQLite database; check its path"):
        open_site(tmp_path / "site.db")


# ---- courses that are not as they should be ----


def test_why_courses_are_refused(small):
    busy_course(small, shortname="good")
    busy_course(small, shortname="idle", logs=9)
    busy_course(small, shortname="no end", enddate=0)
    busy_course(small, shortname="backwards", enddate=START - 1)
    busy_course(small, shortname="no start", startdate=0)
    busy_course(small, shortname="endless", enddate=START + 33_955_201)
    busy_course(small, shortname="long", startdate=END - 33_955_200)
    busy_course(small, shortname="social", format="social")
    busy_course(small, shortname="ongoing", enddate=NOW + 1)
    busy_course(small, shortname="to come", startdate=NOW + 1, enddate=NOW + 2)
    busy_course(small, shortname="hidden", visible=0, enddate=NOW + 1)
    busy_course(small, shortname="empty", students=0)
    late = START + 33_955_202
    assert reasons(small, now=late) == {
        "good": "successfullyanalysed", "idle": "nocourseactivity", "no end": "nocourseendtime",
        "backwards": "errorendbeforestart", "no start": "coursenotyetstarted", "endless": "coursetoolong",
        "long": "successfullyanalysed", "social": "nocoursesections", "ongoing": "successfullyanalysed",
        "to come": "nocourseactivity", "hidden": "successfullyanalysed", "empty": "nocoursestudents",
    }  # fmt: skip
    found = reasons(small, training=False)
    assert (found["ongoing"], found["hidden"], found["good"]) == (
        "successfullyanalysed", "hiddenfromstudents", "coursealreadyfinished",
    )  # fmt: skip


def test_a_student_enrolled_twice_is_one_sample_with_the_lowest_enrolment(small):
    course = small.course()
    other, twice = small.user(), small.user()
    first = small.enrol(course, twice)
    small.enrol(course, other)
    small.enrol(course, twice)
    analyser = plan().analyser
    with small.open() as site:
        samples = analyser.samples(one_course(site))
        assert (samples.ids.tolist(), samples.users.tolist()) == ([first, first + 1], [twice, other])
    small.set("UPDATE mdl_config SET value = '2019052002' WHERE name = 'version'")
    with small.open() as site:
        assert analyser.samples(one_course(site)).ids.tolist() == [first, first + 1, first + 2]


def test_who_counts_as_a_student(small):
    course = small.course()
    enrolled_only, deleted, suspended, above = (small.user(deleted=number == 1) for number in range(4))
    small.enrol(course, enrolled_only, role=3)
    small.enrol(course, deleted)
    small.enrol(course, suspended, status=1, timeend=START + 1)
    small.enrol(course, above, role=3)
    small.add("role_assignments", roleid=5, contextid=1, userid=above)
    with small.open() as site:
        assert plan().analyser.samples(one_course(site)).users.tolist() == [deleted, suspended, above]
    small.set("UPDATE mdl_role SET archetype = '' WHERE id = 5")
    with small.open() as site:  # without the archetype everybody with a role is a student
        assert len(plan().analyser.samples(one_course(site))) == 4


@pytest.mark.parametrize(
    ("enrolment", "valid"),
    [
        ({}, True),
        ({"timeend": START - 1}, False),
        ({"timeend": START}, True),
        ({"timecreated": START - 33_955_201}, False),
        ({"timestart": START - 33_955_200}, True),
        ({"timecreated": END + 1}, False),
        ({"timestart": END + 1}, False),
        ({"timestart": NOW + 1}, False),
    ],
)
def test_which_enrolments_are_judged(small, enrolment, valid):
    course = small.course()
    small.enrol(course, small.user(), **enrolment)
    with small.open() as site:
        made = one_course(site)
        samples = plan().analyser.samples(made)
        assert get_target("course_dropout").valid_samples(samples, training=True).tolist() == [valid]


def test_an_unknown_module_and_a_module_without_indicators(small):
    course, _ = busy_course(small)
    MODULE_IDS["thirdparty"] = small.add("modules", name="thirdparty")
    small.activity(course, "thirdparty", section=1)
    small.activity(course, "h5pactivity", section=1)
    assert reasons(small) == {"C1": "successfullyanalysed"}
    del MODULE_IDS["thirdparty"]


@pytest.mark.parametrize("training", [True, False])
def test_a_course_of_nothing_but_such_modules_is_left_out_everywhere_with_one_reason(small, training):
    from moodlemlbackend.analytics.features.invalid import invalid_elements

    course = small.course(enddate=END if training else NOW + DAY)
    small.section(course, 1)
    context, _ = small.activity(course, "h5pactivity", section=1)
    for user in small.students(course, 2):
        for number in range(12):
            small.log(course, user, START + 1 + number, context=context)
    target = get_target("course_dropout")
    model = SimpleNamespace(target=target.id, contexts=None, indicators=indicators_of(target))
    other = SimpleNamespace(target=target.id, contexts=None, indicators=[r"\core\analytics\indicator\read_actions"])
    with small.open() as site:
        [result] = analyse(site, plan(training=training))
        [checked] = check_site(site, target, NOW).courses
        [listed] = invalid_elements(site, model, NOW)
        assert list(invalid_elements(site, other, NOW)) == []
        [used] = analyse(site, plan(training=training, indicators=other.indicators))
    assert (result.status, result.reason) == (AnalysisStatus.INVALID_FOR_TARGET, NOT_MEASURED)
    reasons = (checked.training, checked.prediction)
    assert reasons[0 if training else 1] == NOT_MEASURED
    assert checked.invalid
    assert (listed.training, listed.prediction) == reasons
    assert listed.advice == NOT_MEASURED.advice
    assert used.status is AnalysisStatus.OK


def test_every_reason_against_a_course_says_what_to_do():
    found = [value for value in vars(refusal).values() if isinstance(value, Refusal)]
    assert len(found) == 14
    assert all(one.advice.endswith(".") for one in found)


def test_what_to_do_about_a_course_is_what_keeps_it_from_being_learned_from_unless_only_time_does():
    assert decisive(NO_END, FINISHED) is NO_END
    assert decisive(NOT_YET_FINISHED, HIDDEN) is HIDDEN
    assert decisive(None, HIDDEN) is HIDDEN


def test_availability_that_is_not_json_is_no_restriction(small):
    course, _ = busy_course(small)
    small.activity(course, "url", section=1, availability='{"op": "date"')
    small.activity(course, "url", section=1, availability='{"op":"&","c":[{"type":"date","d":"?","t":"x"}, 7]}')
    assert reasons(small) == {"C1": "successfullyanalysed"}


# ---- tables and columns that are missing ----


def some_values(small):
    busy_course(small)
    with small.open() as site:
        [result] = analyse(site, plan())
        return result.features.values


def test_the_newest_schema_lacks_chat_and_survey(tmp_path):
    whole = some_values(SmallSite(tmp_path / "a.sqlite"))
    newest = some_values(SmallSite(tmp_path / "b.sqlite", version="2025041400", without=("chat", "survey")))
    np.testing.assert_array_equal(whole, newest)


@pytest.mark.parametrize(
    "without",
    [name for name, table in TABLES.items() if table.module == name]
    + [
        f"{name}.{column}"
        for name, table in TABLES.items()
        for column, default in table.columns.items()
        if default and column != "enddate"
    ],
)
def test_what_may_be_missing_changes_nothing_that_does_not_need_it(tmp_path, without):
    found = some_values(SmallSite(tmp_path / "site.sqlite", without=(without,)))
    assert np.isfinite(found[:, :8]).all(), without


def test_a_course_without_end_dates_at_all(tmp_path):
    small = SmallSite(tmp_path / "site.sqlite", without=("course.enddate",))
    busy_course(small)
    assert reasons(small) == {"C1": "nocourseendtime"}


@pytest.mark.parametrize(
    "without",
    [
        name
        for name, table in TABLES.items()
        if name != "course" and not table.rare and (table.module != name or len(table.columns) > 3)
    ],
)
def test_a_site_without_a_table_that_every_moodle_has_is_refused(tmp_path, command, without):
    """Tables of activities are among them where ``modules`` names the activity."""
    small = SmallSite(tmp_path / "site.sqlite")
    small.set(f"DROP TABLE mdl_{without}")
    with pytest.raises(SiteError, match=f"cannot be analysed: mdl_{without} cannot be read.* grant"):
        small.open()


def test_the_check_and_the_data_set_say_the_same_of_missing_tables(small, command, tmp_path):
    busy_course(small)
    for table in ("course_completions", "quiz_attempts"):
        small.set(f"DROP TABLE mdl_{table}")
    env = {"MOODLEMLBACKEND_SITE": small.commit()}
    check = command("site", "check", env=env)
    options = ("--target", "course_dropout", "--interval", "quarters", "-o", tmp_path / "x.csv")
    dataset = command("site", "dataset", *options, env=env)
    assert check.returncode == dataset.returncode == 1
    assert check.stderr == dataset.stderr
    assert "mdl_course_completions cannot be read" in check.stderr
    assert not (tmp_path / "x.csv").exists()


@needs_shared
def test_a_table_that_the_sites_user_may_not_read_is_named():
    """A role of PostgreSQL without SELECT on one table, and on one column."""
    psycopg = pytest.importorskip("psycopg")
    from sqlalchemy import make_url

    role = f"reader_{secrets.token_hex(6)}"
    with load_postgresql() as url, psycopg.connect(url, autocommit=True) as database:
        database.execute(f"CREATE ROLE {role} LOGIN")
        try:
            database.execute(f"GRANT SELECT ON ALL TABLES IN SCHEMA public TO {role}")
            theirs = make_url(url).set(username=role).render_as_string(hide_password=False)
            open_site(theirs).close()
            database.execute(f"REVOKE SELECT ON mdl_course_completions FROM {role}")
            with pytest.raises(SiteError, match="mdl_course_completions cannot be read"):
                open_site(theirs)
            database.execute(f"GRANT SELECT (id, userid) ON mdl_course_completions TO {role}")
            with (
                open_site(theirs) as site,
                pytest.raises(SiteError, match="not read the table mdl_course_comp"),
            ):
                site.database.rows("SELECT timecompleted FROM {course_completions}")
        finally:
            database.execute(f"DROP OWNED BY {role}")
            database.execute(f"DROP ROLE {role}")


def empty_tables(execute, dialect):
    """Make the tables of a Moodle, all of them empty but those that say what it is."""
    for name in tables(ORACLE_COURSE):
        execute(create(name, dialect, folder=ORACLE_COURSE))
    execute("INSERT INTO mdl_config (id, name, value) VALUES (1, 'version', '2023042403')")


def test_a_table_that_the_sites_user_may_not_read_is_named_on_mariadb(tmp_path):
    from sqlalchemy import create_engine, make_url, text

    user = f"reader_{secrets.token_hex(6)}"
    with new_database("mariadb", tmp_path) as url:
        engine = create_engine(make_url(url).set(drivername="mysql+pymysql"), isolation_level="AUTOCOMMIT")
        with engine.connect() as connection:
            empty_tables(lambda sql: connection.execute(text(sql)), "mysql")
            connection.execute(text(f"CREATE USER {user}@'%'"))
            try:
                for name in tables(ORACLE_COURSE):
                    connection.execute(text(f"GRANT SELECT ON {name} TO {user}@'%'"))
                theirs = make_url(url).set(username=user, password=None).render_as_string(hide_password=False)
                open_site(theirs).close()
                connection.execute(text(f"REVOKE SELECT ON mdl_course_completions FROM {user}@'%'"))
                with pytest.raises(SiteError, match="mdl_course_completions cannot be read"):
                    open_site(theirs)
            finally:
                connection.execute(text(f"DROP USER {user}@'%'"))
        engine.dispose()


def test_tables_in_another_schema_are_named_with_the_search_path_that_finds_them(tmp_path):
    psycopg = pytest.importorskip("psycopg")
    with new_database("postgresql", tmp_path) as url:
        with psycopg.connect(url, options="-csearch_path=moodle") as database:
            database.execute("CREATE SCHEMA moodle")
            empty_tables(database.execute, "postgresql")
        with pytest.raises(SiteError) as raised:
            open_site(url)
        assert str(raised.value) == (
            "The table mdl_course is in the schema moodle, which is not on this user's search path: add "
            "?options=-csearch_path%3Dmoodle to the URL of the site, or set the user's search_path."
        )
        with open_site(f"{url}?options=-csearch_path%3Dmoodle") as site:
            assert (site.version, site.courses) == ("2023042403", [])


def test_a_column_that_is_needed_is_named(tmp_path):
    small = SmallSite(tmp_path / "site.sqlite", without=("logstore_standard_log.crud",))
    busy_course(small)
    with small.open() as site, pytest.raises(SiteError, match="mdl_logstore_standard_log has no column crud"):
        list(analyse(site, plan()))


# ---- folders ----


@pytest.mark.parametrize("ending", ["csv", "csv.gz", "parquet"])
def test_a_folder_of_tables(small, tmp_path, ending):
    busy_course(small, shortname="2024")
    small.add("analytics_models", enabled=1, trained=1, target=r"\local\own")
    small.add("task_scheduled", classname=PREDICTING_TASK, disabled=0)
    folder = small.export(tmp_path / "tables", ending)
    with small.open() as site:
        [expected] = analyse(site, plan())
    with open_site(folder) as site:
        temporary = Path(urlsplit(site.database.url).path)
        assert temporary.is_file()
        assert site.name == str(folder)
        [found] = analyse(site, plan())
        assert found.analysable.name == "2024"
        assert predicting_targets(site) == [r"\local\own"]
    np.testing.assert_array_equal(found.features.values, expected.features.values)
    assert not temporary.parent.exists()


def write_again(folder, delimiter, encoding):
    """Write the tables of a folder otherwise."""
    for path in folder.glob("*.csv"):
        with path.open(newline="") as file:
            rows = list(csv.reader(file))
        with path.open("w", newline="", encoding=encoding) as file:
            csv.writer(file, delimiter=delimiter).writerows(rows)


@pytest.mark.parametrize("null", ["NULL", r"\N", "null", "-"])
def test_null_as_others_write_it(small, tmp_path, null):
    course, users = busy_course(small)
    small.set("UPDATE mdl_course SET enablecompletion = 1")
    small.add("course_completion_criteria", course=course)
    small.set("UPDATE mdl_user SET lastname = 'Null', description = NULL")
    for user, done in zip(users, (END, None, None), strict=True):
        small.add("course_completions", course=course, userid=user, timecompleted=done)
    folder = small.export(tmp_path / "tables", "csv")
    indicators = [*indicators_of(get_target("course_dropout")), r"\core_user\analytics\indicator\user_profile_set"]
    with open_site(folder) as site:
        [expected] = analyse(site, plan(indicators=indicators))
    assert expected.labels.tolist() == [0, 1, 1] * 4
    folder = small.export(tmp_path / "others", "csv", null)
    with open_site(f"{folder}?null=-" if null == "-" else folder) as site:
        [found] = analyse(site, plan(indicators=indicators))
        assert site.database.rows("SELECT DISTINCT lastname, description FROM {user}") == [("Null", None)]
    np.testing.assert_array_equal(found.labels, expected.labels)
    np.testing.assert_array_equal(found.features.values, expected.features.values)


@pytest.mark.parametrize("text", ["2026-03-01", "1,795", "1.76E+09", "nan", "1e400", "\u0661", "-", "9" * 20])
def test_what_is_no_number_is_refused_with_its_place(small, tmp_path, text):
    busy_course(small)
    folder = small.export(tmp_path / "tables", "csv")
    rows = [["userid", "course", "timecompleted", "note"], [1, 1, "NULL", text], [2, 1, text, ""]]
    with (folder / "course_completions.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows(rows)
    with pytest.raises(SiteError) as raised:
        open_site(folder)
    said = (
        f"Row 3 of {folder / 'course_completions.csv'} has {text!r} in the column timecompleted, which is not a number"
    )
    assert str(raised.value).startswith(said)


def test_delimiter_and_encoding_follow_the_folder(small, tmp_path, command):
    busy_course(small, shortname="F\u00edsica")
    folder = small.export(tmp_path / "tables", "csv")
    write_again(folder, ";", "cp1252")
    with pytest.raises(SiteError, match=r"add it after the folder"):
        open_site(folder)
    with open_site(f"{folder}?delimiter=;&encoding=cp1252") as site:
        assert [course.shortname for course in site.courses] == ["F\u00edsica"]
    shown = command("site", "check", "--site", f"{folder}/?delimiter=%3B&encoding=cp1252", "--now", str(NOW))
    assert (shown.returncode, shown.stderr) == (0, "")
    for query, said in {
        "separator=;": "no option 'separator'", "delimiter=ab": "not one character", "encoding=x": "no encoding 'x'",
    }.items():  # fmt: skip
        with pytest.raises(UsageError, match=said):
            open_site(f"{folder}?{query}")


def test_folders_that_cannot_be_read(small, tmp_path):
    with pytest.raises(SiteError, match="has none of Moodle's tables"):
        open_site(tmp_path)
    folder = small.export(tmp_path / "tables", "csv")
    (folder / "course.csv").write_text("id,shortname\n1,a\n2\n")
    with pytest.raises(SiteError, match=r"Row 3 of .*course.csv has 1 fields but must have 2"):
        open_site(folder)
    (folder / "course.csv").write_bytes(b"id,name\n1,\xff\xfe\n")
    with pytest.raises(SiteError, match=r"course.csv cannot be read"):
        open_site(folder)
    (folder / "course.csv").write_text("")
    with pytest.raises(SiteError, match="is empty"):
        open_site(folder)
    (folder / "course.csv").unlink()
    (folder / "course.parquet").write_text("no parquet")
    with pytest.raises(SiteError, match=r"course.parquet cannot be read"):
        open_site(folder)


# ---- the commands ----


def test_site_check_says_what_it_found(small, command):
    busy_course(small, shortname="good")
    busy_course(small, shortname="no end", enddate=0)
    busy_course(small, shortname="ongoing", enddate=NOW + 1)
    env = {"MOODLEMLBACKEND_SITE": small.commit()}
    shown = command("site", "check", "--now", str(NOW), env=env)
    assert (shown.returncode, shown.stderr) == (0, "")
    assert "3: 2 with both dates, 1 without an end, 0 without a start" in shown.stdout
    assert "1 courses can be used for training, 1 for prediction now" in shown.stdout
    assert "Set an end date in the" in shown.stdout
    assert "ongoing" not in shown.stdout
    assert "ongoing" in command("site", "check", "--now", str(NOW), "--all", env=env).stdout
    found = json.loads(command("site", "check", "--now", str(NOW), "--json", env=env).stdout)
    assert found["invalid"] == [
        {
            "identifier": "nocourseendtime",
            "component": "course",
            "text": "The course has no end date.",
            "advice": "Set an end date in the course settings.",
            "courses": 1,
        }
    ]
    verdicts = [
        (course["name"], course["training"] is None, course["prediction"] is None) for course in found["courses"]
    ]
    assert verdicts == [
        ("good", True, False), ("no end", False, False), ("ongoing", False, True),
    ]  # fmt: skip
    assert (found["students"], found["log_rows"], found["log_first"]) == (9, 108, START + 1)


def test_site_check_warns(small):
    busy_course(small)
    small.add("config_plugins", plugin="logstore_standard", name="loglifetime", value="35")
    small.set("UPDATE mdl_role SET archetype = '' WHERE id = 5")
    small.set("UPDATE mdl_config SET value = '' WHERE name = 'version'")
    with small.open() as site:
        warnings = " ".join(check_site(site, get_target("course_dropout"), NOW).warnings)
    for said in (
        "version is not in its settings",
        "archetype student",
        "after 35 days",
        "begins after the start of 1 courses",
    ):
        assert said in warnings
    with small.open() as site, pytest.raises(UsageError, match="does not look at individual courses"):
        check_site(site, get_target("no_teaching"), NOW)


def test_a_course_without_its_context_is_named(small):
    busy_course(small, shortname="kept")
    course, _ = busy_course(small, shortname="lost")
    small.set(f"DELETE FROM mdl_context WHERE contextlevel = 50 AND instanceid = {course}")
    with small.open() as site:
        found = check_site(site, get_target("course_dropout"), NOW)
    assert [made.name for made in found.courses] == ["kept"]
    assert "1 courses have no row in the context table and are left out (lost)" in " ".join(found.warnings)


def test_site_dataset_writes_what_moodle_would(small, command, tmp_path):
    busy_course(small)
    indicator = r"\core\analytics\indicator\any_write_action_in_course"
    output = tmp_path / "dropout.csv"
    options = [
        "--site",
        small.commit(),
        "--target",
        "course_dropout",
        "--interval",
        "quarters",
        "--now",
        str(NOW),
    ]
    done = command("site", "dataset", *options, "--indicator", indicator, "-o", output)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == f"Wrote 12 rows with 5 features to {output}; analysed: 1, left out: 0.\n"
    lines = output.read_text().splitlines()
    assert lines[0] == "timesplitting,nfeatures,moodleversion,targetcolumn,targettype,targetclasses"
    assert lines[1] == (
        r'"\core\analytics\time_splitting\quarters",5,2023042403,'
        r'"\core_course\analytics\target\course_dropout",discrete,"[0,1]"'
    )
    assert lines[2] == (
        rf'range/0,range/1,range/2,range/3,"{indicator}","\core_course\analytics\target\course_dropout"'
    )
    assert lines[3] == "1,0,0,0,-1,1"
    assert len(lines) == 15
    small.set(f"UPDATE mdl_course SET enddate = {NOW + WEEK}")
    small.commit()
    done = command("site", "dataset", *options, "--unlabelled", "-o", "-")
    assert done.stdout.splitlines()[3].startswith("1-2,0,0,1,0,")
    assert done.stderr.startswith("Wrote 3 rows with 98 features")


@pytest.mark.parametrize(
    ("options", "code", "said"),
    [
        (["--target", "nothing", "--interval", "quarters"], 2, "There is no target 'nothing'"),
        (["--target", "course_dropout", "--interval", "half"], 2, "There is no interval 'half'"),
        (["--target", "course_dropout", "--interval", "upcoming_week"], 2, "does not work with"),
        (["--target", "no_teaching", "--interval", "single_range", "--indicator",
          r"\core\analytics\indicator\any_course_access"], 2, "needs user"),
        (["--target", "course_dropout", "--interval", "quarters", "--now", "soon"], 2, "is not a time"),
        (["--target", "course_dropout", "--interval", "quarters", "--now", "2002-01-01"], 2, "has no samples"),
    ],
)  # fmt: skip
def test_site_dataset_that_cannot_be_made(small, command, tmp_path, options, code, said):
    busy_course(small)
    output = tmp_path / "out.csv"
    done = command("site", "dataset", "--site", small.commit(), *options, "-o", output)
    assert done.returncode == code
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert not output.exists()


# ---- snapshots and threads ----


def test_courses_side_by_side_give_the_same(small):
    for _ in range(25):
        busy_course(small, students=2)
    with small.open() as site:
        one, several = (
            [(result.analysable.id, result.features.values.tolist()) for result in analyse(site, plan(), jobs=jobs)]
            for jobs in (1, 3)
        )
    assert len(one) == 25
    assert repr(one) == repr(several)


@needs_shared
def test_every_connection_sees_the_moment_of_the_first():
    psycopg = pytest.importorskip("psycopg")
    with load_postgresql() as url, open_site(url) as site:
        before = site.database.rows("SELECT COUNT(*) FROM {course}")
        with psycopg.connect(url) as writer:
            writer.execute("DELETE FROM mdl_course WHERE id > 30")
        with open_site(url) as fresh:
            assert fresh.database.rows("SELECT COUNT(*) FROM {course}") != before
        from moodlemlbackend.analytics.site import Site

        with Site.join(site.share()) as other:
            assert other.database.rows("SELECT COUNT(*) FROM {course}") == before
        with pytest.raises(SiteError, match="read-only"):
            site.database.rows("UPDATE mdl_course SET visible = 0")


def test_a_data_set_of_nothing_says_why(small, tmp_path):
    from moodlemlbackend.errors import NoDataSetError

    busy_course(small, enddate=0)
    with small.open() as site, pytest.raises(NoDataSetError, match=r"the course has no end date \(1 of 1\)"):
        write_dataset(tmp_path / "x.csv", site, plan())
    assert list(tmp_path.glob("*.csv")) == []


@needs_shared
def test_another_driver_is_called_by_way_of_sqlalchemy(monkeypatch):
    pytest.importorskip("sqlalchemy")
    from moodlemlbackend.analytics.site import connection

    with load_postgresql() as url:
        with open_site(url) as site:
            expected = [
                (result.analysable.id, result.features is None) for result in analyse(site, plan(now=NOW + 10**8))
            ]
        monkeypatch.setitem(connection.DRIVERS, "postgresql", "the usual one")
        with open_site(url.replace("postgresql://", "postgresql+psycopg://")) as site:
            assert expected == [
                (result.analysable.id, result.features is None) for result in analyse(site, plan(now=NOW + 10**8))
            ]
            with pytest.raises(SiteError, match="read-only"):
                site.database.rows("DELETE FROM mdl_course")


def test_tables_that_only_code_of_ones_own_reads(small):
    small.set("CREATE TABLE mdl_local_mine (course, value)")
    small.set("INSERT INTO mdl_local_mine VALUES (1, 2)")
    with small.open() as site:
        assert site.database.rows("SELECT value FROM {local_mine} WHERE course IN :courses", courses=[1, 2]) == [(2,)]
        with pytest.raises(SiteError, match="no table mdl_local_other"):
            site.database.rows("SELECT 1 FROM {local_other} o")


def test_an_activity_of_ones_own_joins_after_the_site_was_opened(small):
    from fixtures.small_site import values
    from moodlemlbackend.analytics.features.indicators import MODULES, CognitiveDepth, Module

    small.set("CREATE TABLE mdl_thirdparty (id, course, closes)")
    small.set(f"INSERT INTO mdl_thirdparty VALUES (1, 1, {START + WEEK})")
    MODULE_IDS["thirdparty"] = small.add("modules", name="thirdparty")
    course, _ = busy_course(small)
    small.activity(course, "thirdparty", section=1)
    try:
        depth = CognitiveDepth(Module("thirdparty", cognitive=2, social=1, close="closes"))
        found = np.array(values(small, depth, (START, START + WEEK), (START + WEEK, END)), float)
        assert np.isnan(found).tolist() == [[False] * 3, [True] * 3]
    finally:
        del MODULES["thirdparty"], TABLES["thirdparty"], MODULE_IDS["thirdparty"]


@pytest.mark.parametrize("time", [10**12, 10**15, 2**63 - 1, -(10**15)])
def test_dates_of_courses_that_no_calendar_has_are_moved_into_it(tmp_path, time):
    """Milliseconds, for instance; they once stopped the models of the whole site."""
    small = SmallSite(tmp_path / "site.sqlite")
    small.course(startdate=time, enddate=time)
    small.section(small.course(), 1)
    small.set("UPDATE mdl_course_sections SET sequence = '\u00b2,7'")
    with small.open() as site:
        far, other = one_course(site), one_course(site, at=1)
        assert abs(far.start) == abs(far.end) == FARTHEST_DATE
        assert week_end(site, far.start, 1) - far.start == WEEK
        assert not len(other.activities.closes)


def test_an_empty_value_where_moodle_has_one_is_told(tmp_path):
    small = SmallSite(tmp_path / "site.sqlite")
    small.students(small.course(), 1)
    small.set("UPDATE mdl_role_assignments SET userid = NULL")
    with small.open() as site, pytest.raises(SiteError, match=r"There is no value .* in .*role_assignments.*; export"):
        one_course(site).students  # noqa: B018


@pytest.mark.parametrize("kind", KINDS)
def test_a_null_among_whole_numbers_is_told_by_every_database(kind, tmp_path):
    with new_database(kind, tmp_path) as url:
        if kind == "sqlite":
            (tmp_path / "store.sqlite").touch()
        database = Database(url, "mdl_")
        assert database.integers("SELECT 1, 2 UNION ALL SELECT 3, 4", 2).tolist() == [[1, 2], [3, 4]]
        with pytest.raises(SiteError, match="There is no value where every Moodle site has one"):
            database.integers("SELECT 1, 2 UNION ALL SELECT 3, NULL", 2)
        database.close()


def test_numbers_as_texts_in_sqlite_are_told(tmp_path):
    small = SmallSite(tmp_path / "site.sqlite")
    small.course()
    small.set("ALTER TABLE mdl_course RENAME TO old")
    small.set("CREATE TABLE mdl_course AS SELECT * FROM old")
    small.set("ALTER TABLE mdl_course ADD marker TEXT")
    small.set("ALTER TABLE mdl_course DROP COLUMN startdate")
    small.set("ALTER TABLE mdl_course ADD startdate TEXT")
    small.open().close()
    small.set("UPDATE mdl_course SET startdate = 5, marker = 'x'")
    with pytest.raises(SiteError, match=r"^The column startdate of mdl_course has numbers as texts; use the folder"):
        small.open()
