"""Opening sites: databases, older and newer schemas, what is missing, and what goes wrong."""

from __future__ import annotations

import secrets

import numpy as np
import pytest

from fixtures.busy_courses import busy_course, plan, reasons, small
from fixtures.databases import KINDS, new_database
from fixtures.oracle import ORACLE_COURSE, create, load_postgresql, tables
from fixtures.paths import needs_shared
from fixtures.small_site import END, MODULE_IDS, NOW, START, WEEK, SmallSite, one_course
from moodlemlbackend.analytics.features.analysis import analyse
from moodlemlbackend.analytics.features.datasets import write_dataset
from moodlemlbackend.analytics.features.weeks import week_end
from moodlemlbackend.analytics.site import open_site
from moodlemlbackend.analytics.site.database import Database
from moodlemlbackend.analytics.site.schema import TABLES
from moodlemlbackend.analytics.site.site import FARTHEST_DATE
from moodlemlbackend.errors import SiteError, UsageError

_ = small  # a fixture


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
