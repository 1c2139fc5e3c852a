"""The log somewhere else than in the site's own table: Moodle's external database, a replica, Parquet and CSV files."""

from __future__ import annotations

import csv
import re
import sqlite3
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from fixtures.databases import new_database
from fixtures.object_stores import BUCKET, needs_moto, s3  # noqa: F401
from fixtures.oracle import LOG, PARTS, create, load_mariadb, load_postgresql, name_log_store
from fixtures.paths import needs_shared
from fixtures.small_site import DAY, NOW, START, WEEK, SmallSite
from moodlemlbackend.analytics.features.analysis import Analysis, analyse
from moodlemlbackend.analytics.features.registry import get_indicator, get_target, get_time_splitting, indicators_of
from moodlemlbackend.analytics.site import Site, open_site
from moodlemlbackend.analytics.site.database import Database
from moodlemlbackend.analytics.site.logs import action_times, actions_between, last_accesses, log_lifetime, log_span
from moodlemlbackend.errors import BackendError, SiteError, UsageError

duckdb = pytest.importorskip("duckdb", reason="needs the extra lake")

SECRET = "s3cr3t-word"


@pytest.fixture
def small(tmp_path):
    """A site of one course whose students were active."""
    made = SmallSite(tmp_path / "site.sqlite")
    course = made.course()
    context, _ = made.activity(course, "page")
    for user in made.students(course, 3):
        for number in range(12):
            made.log(course, user, START + 1 + number * DAY, context=context)
        made.add("user_lastaccess", userid=user, courseid=course, timeaccess=START + 20 * DAY)
    made.commit()
    return made


def calculated(site: Site) -> np.ndarray:
    target = get_target("course_dropout")
    indicators = [get_indicator(name) for name in indicators_of(target)]
    [result] = analyse(site, Analysis(target, indicators, [get_time_splitting("quarters")], NOW, True))
    return result.features.values


def log_rows(small: SmallSite) -> tuple[list[str], list[tuple]]:
    """Column names and rows of the log, which is then empty."""
    with closing(sqlite3.connect(small.path)) as database, database:
        cursor = database.execute(f"SELECT * FROM {LOG}")
        names, found = [column[0] for column in cursor.description], cursor.fetchall()
        database.execute(f"DELETE FROM {LOG}")
    return names, found


def take_out(small: SmallSite, path: Path, *, parts: int = 1, omit: str = "", **changed: object) -> Path:
    """Move the log into a file or, in parts, a folder of files by year and month."""
    import pyarrow as pa
    from pyarrow import parquet

    names, found = log_rows(small)
    values = {name: [row[at] for row in found] for at, name in enumerate(names) if name != omit} | changed
    if path.suffix == ".csv":
        with path.open("w", newline="") as file:
            csv.writer(file).writerows([list(values), *zip(*values.values(), strict=True)])
        return path
    if parts == 1:
        parquet.write_table(pa.table(values), path)
        return path
    for part in range(parts):
        folder = path / f"year={2023 + part}" / f"month=0{part + 1}"
        folder.mkdir(parents=True)
        parquet.write_table(
            pa.table({name: column[part::parts] for name, column in values.items()}), folder / "1.parquet"
        )
    (path / "_SUCCESS").write_text("")
    (path / "_delta_log").mkdir()
    (path / "_delta_log/0.parquet").write_text("not data")
    return path


@pytest.mark.parametrize(
    ("name", "parts", "location"),
    [
        ("log.parquet", 1, "{}"), ("log [1].csv", 1, "{}"), ("log", 3, "{}"), ("log", 3, "{}/"),
        ("log", 3, "{}/year=*/*.parquet"), ("log [1]* it's", 2, "{}"),
    ],
)  # fmt: skip
def test_a_log_in_files(small, tmp_path, name, parts, location):
    with small.open() as site:
        expected, span = calculated(site), log_span(site)
    path = take_out(small, tmp_path / name, parts=parts)
    with open_site(small.url, log_store=location.format(path)) as site:
        np.testing.assert_array_equal(calculated(site), expected)
        assert log_span(site) == span
        assert site.database.rows("SELECT COUNT(*) FROM {logstore_standard_log}") == [(36,)]


def test_threads_processes_and_the_past_have_the_same_log(small, tmp_path):
    path = take_out(small, tmp_path / "log", parts=2)
    moment = START + 5 * DAY
    small.add("config_plugins", plugin="logstore_standard", name="loglifetime", value="35")
    small.commit()
    with open_site(small.url, log_store=str(path)) as site:
        course = site.courses[0].id
        shown = log_span(site)
        [past] = last_accesses(site.at(moment), [course]).values()
        assert past[:, 1].tolist() == [START + 1 + 4 * DAY] * 3
        [now] = last_accesses(site, [course]).values()
        assert now[:, 1].tolist() == [START + 20 * DAY] * 3
        assert list(site.side_by_side(lambda joined, _: log_span(joined), range(3), 2)) == [shown] * 3
        assert list(site.side_by_side(lambda joined, _: log_lifetime(joined), range(2), 2)) == [0, 0]
        with Site.reopen(site.whereabouts(local=True)) as other:
            assert log_span(other) == shown
        with pytest.raises(UsageError, match=re.escape(str(path))):
            site.whereabouts(local=False)


def test_a_query_of_the_log_and_another_table_says_why_it_cannot_be(small, tmp_path):
    path = take_out(small, tmp_path / "log.parquet")
    with open_site(small.url, log_store=str(path)) as site, pytest.raises(SiteError) as raised:
        site.database.rows("SELECT COUNT(*) FROM {logstore_standard_log} l JOIN {user} u ON u.id = l.userid")
    assert str(raised.value) == (
        f"The log is in {tmp_path}, apart from the other tables, so one query cannot read it together with user; read "
        "them one by one."
    )


@needs_moto
def test_parquet_in_an_object_store(small, tmp_path, s3):  # noqa: F811
    import s3fs

    with small.open() as site:
        expected = calculated(site)
    files, base = s3fs.S3FileSystem(skip_instance_cache=True), f"s3://{BUCKET}/lake"
    files.put(str(take_out(small, tmp_path / "log", parts=2)), f"{BUCKET}/lake/log", recursive=True)
    for location in (f"{base}/log/", f"{base}/log/year=*"):
        with open_site(small.url, log_store=location) as site:
            np.testing.assert_array_equal(calculated(site), expected)
            assert list(site.side_by_side(lambda joined, _: log_span(joined).rows, range(2), 2)) == [36, 36]
    for path in files.find(f"{BUCKET}/lake"):
        files.rm_file(path)
    with (
        open_site(small.url, log_store=f"{base}/log/") as site,
        pytest.raises(SiteError, match=f"The log store {base}/log/ has no Parquet or CSV files"),
    ):
        calculated(site)
    with (
        open_site(small.url, log_store="s3://nowhere/log/") as site,
        pytest.raises(BackendError, match="there is no such bucket"),
    ):
        calculated(site)


@needs_moto
@pytest.mark.parametrize("ending", ["parquet", "csv"])
def test_a_whole_site_in_an_object_store(small, tmp_path, s3, ending):  # noqa: F811
    import s3fs

    with small.open() as site:
        expected = calculated(site)
    folder = small.export(tmp_path / "tables", ending)
    s3fs.S3FileSystem(skip_instance_cache=True).put(f"{folder}/", f"{BUCKET}/{ending}/", recursive=True)
    with open_site(f"s3://{BUCKET}/{ending}") as site:
        assert site.name == f"s3://{BUCKET}/{ending}"
        np.testing.assert_array_equal(calculated(site), expected)


# ---- what cannot be read ----


def damaged(path: Path, _: SmallSite) -> str:
    path.write_bytes(path.read_bytes()[:-100])
    return rf"The table {path} cannot be read: .*magic bytes.*; export it again\.$"


def no_column(path: Path, small: SmallSite) -> str:
    take_out(small, path, omit="crud")
    return f"The table {LOG} has no column crud, which is needed; copy the whole table\\.$"


@pytest.mark.parametrize("harm", [damaged, no_column])
def test_files_that_cannot_be_read(small, tmp_path, harm):
    path = tmp_path / "log.parquet"
    if harm is damaged:
        take_out(small, path)
    said = harm(path, small)
    with open_site(small.url, log_store=str(path)) as site, pytest.raises(SiteError, match=said):
        calculated(site)


def test_a_column_of_a_wrong_type(small, tmp_path):
    import datetime

    path = take_out(small, tmp_path / "log.parquet", timecreated=[datetime.datetime(2024, 1, 1)] * 36)
    with open_site(small.url, log_store=str(path)) as site, pytest.raises(SiteError) as raised:
        calculated(site)
    assert str(raised.value) == (
        f"The column timecreated of {path} has the type TIMESTAMP but must be a number (times in Unix seconds); export "
        "the table again."
    )


def test_files_of_a_table_that_differ(small, tmp_path):
    folder = tmp_path / "log"
    folder.mkdir()
    take_out(small, folder / "1.csv")
    (folder / "2.csv").write_text("userid,id\n1,2\n")
    with (
        open_site(small.url, log_store=str(folder)) as site,
        pytest.raises(SiteError, match=r"columns of .*2\.csv are"),
    ):
        calculated(site)
    (folder / "2.parquet").write_bytes(b"")
    with open_site(small.url, log_store=str(folder)) as site, pytest.raises(SiteError, match="keep one kind"):
        calculated(site)


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_a_value_that_is_missing_in_files_is_told(small, tmp_path, ending):
    path = take_out(small, tmp_path / f"log.{ending}", userid=[number % 4 or None for number in range(36)])
    said = "There is no value where every Moodle site has one, in logstore_standard_log; export it again."
    with open_site(small.url, log_store=str(path)) as site, pytest.raises(SiteError, match=said):
        calculated(site)


def halves(small: SmallSite, folder: Path, *, omit: str, names: tuple[str, str] = ("1.parquet", "2.parquet")) -> None:
    """Move the log, with a column that Moodle's has not, into two Parquet files, of which the second lacks a column."""
    import pyarrow as pa
    from pyarrow import parquet

    columns, found = log_rows(small)
    table = pa.table({name: [row[at] for row in found] for at, name in enumerate(columns)} | {"name": ["x"] * 36})
    folder.mkdir()
    parquet.write_table(table.slice(0, 20), folder / names[0])
    parquet.write_table(table.slice(20).drop_columns([omit] if omit else []), folder / names[1])


def test_a_column_with_a_default_that_some_files_lack(small, tmp_path):
    bounds = [START, NOW]
    with small.open() as site:
        course = site.courses[0].id
        expected, actions = calculated(site), actions_between(site, course, bounds)
    halves(small, tmp_path / "log", omit="anonymous")
    with open_site(small.url, log_store=str(tmp_path / "log")) as site:
        np.testing.assert_array_equal(actions_between(site, course, bounds), actions)
        np.testing.assert_array_equal(calculated(site), expected)
    assert actions[:, 2].sum() == 36


def test_a_column_that_some_files_lack(small, tmp_path):
    halves(small, tmp_path / "log", omit="userid")
    said = f"The file {tmp_path / 'log' / '2.parquet'} has no column userid, as others of its table have; export it"
    with open_site(small.url, log_store=str(tmp_path / "log")) as site, pytest.raises(SiteError, match=re.escape(said)):
        calculated(site)


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_names_of_files_are_no_patterns(small, tmp_path, ending):
    """As those of downloads that a browser numbers."""
    with small.open() as site:
        expected = calculated(site)
    halves(small, tmp_path / "log", omit="", names=("log[1].parquet", "log1.parquet"))
    if ending == "csv":
        from pyarrow import csv as arrow_csv
        from pyarrow import parquet

        for path in [*(tmp_path / "log").iterdir()]:
            arrow_csv.write_csv(parquet.read_table(path), path.with_suffix(".csv"))
            path.unlink()
    with open_site(small.url, log_store=str(tmp_path / "log")) as site:
        np.testing.assert_array_equal(calculated(site), expected)
        ids = site.database.rows("SELECT id FROM {logstore_standard_log}")
    assert len({*ids}) == len(ids) == 36


def test_only_what_was_named_can_be_read(small, tmp_path, monkeypatch):
    path, other = take_out(small, tmp_path / "log.parquet"), tmp_path / "other.csv"
    other.write_text("a\n1\n")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    with open_site(small.url, log_store=str(path)) as site:
        log = site.database.log
        for refused in (
            f"SELECT * FROM read_csv('{other}')", f"SELECT * FROM '{other}'", f"SELECT * FROM glob('{tmp_path}/*')",
            f"COPY (SELECT 1) TO '{tmp_path / 'new.csv'}'", f"ATTACH '{tmp_path / 'new.duckdb'}'", "INSTALL httpfs",
            "LOAD httpfs", "SELECT * FROM read_parquet('http://127.0.0.1:9/x.parquet')", "SET threads = 1",
            "SET enable_external_access = true", f"CREATE TABLE {LOG}2 (a INT)",
        ):  # fmt: skip
            with pytest.raises(SiteError, match=r"The log store .* cannot be read"):
                log.rows(refused)
    assert sorted(one.name for one in tmp_path.iterdir()) == ["log.parquet", "other.csv", "site.sqlite"]


# ---- Moodle's external database ----


@needs_shared
def test_moodles_settings_are_followed_as_moodle_would(small, tmp_path):
    psycopg = pytest.importorskip("psycopg")
    with small.open() as site:
        expected = calculated(site)
    with new_database("postgresql", tmp_path) as url:
        names, found = log_rows(small)
        with psycopg.connect(url) as database:
            database.execute(create(LOG, "postgresql", names).replace(LOG, "moodle_log"))
            with database.cursor() as cursor:
                marks = ", ".join(["%s"] * len(names))
                cursor.executemany(f"INSERT INTO moodle_log ({', '.join(names)}) VALUES ({marks})", found)
        name_log_store(small.path, url)
        small.set(
            "INSERT INTO mdl_config_plugins (plugin, name, value) VALUES ('logstore_standard', 'loglifetime', '35')"
        )
        with small.open() as site:
            np.testing.assert_array_equal(calculated(site), expected)
            assert log_lifetime(site) == 0
        for enabled, chosen, external in (
            ("logstore_standard,logstore_database", "", False),
            ("logstore_database,logstore_standard", "", True),
            ("logstore_standard,logstore_database", "logstore_database", True),
            ("logstore_standard", "logstore_database", False),
            ("", "", False),
        ):
            small.set(f"UPDATE mdl_config_plugins SET value = '{enabled}' WHERE name = 'enabled_stores'")
            small.set("DELETE FROM mdl_config_plugins WHERE plugin = 'analytics'")
            small.add("config_plugins", plugin="analytics", name="logstore", value=chosen)
            with small.open() as site:
                assert (log_span(site).rows == 36) is external
        with open_site(small.url, log_store=f"{url}#moodle_log") as site:
            np.testing.assert_array_equal(calculated(site), expected)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"dbport": "9"}, "The log store postgresql://reader:***@127.0.0.1:9/logs cannot be used: no server answers"),
        ({"dbdriver": "native/sqlsrv"}, "Moodle keeps the log with the database driver 'native/sqlsrv'"),
        ({"dbtable": "log; DROP TABLE x"}, "The log store's table 'log; DROP TABLE x' is not the name of a table"),
        ({"dbtable": ""}, "The log store's table '' is not the name of a table"),
    ],
)  # fmt: skip
def test_an_external_database_that_cannot_be_used(small, settings, said):
    pytest.importorskip("psycopg")
    name_log_store(small.path, f"postgresql://reader:{SECRET}@127.0.0.1/logs", **settings)
    with small.open() as site, pytest.raises(BackendError) as raised:
        calculated(site)
    assert str(raised.value).startswith(said)
    assert SECRET not in str(raised.value)


def test_an_external_database_without_the_table(small, tmp_path):
    other = SmallSite(tmp_path / "other.sqlite", without=("logstore_standard_log",))
    for location, table in ((other.commit(), LOG), (f"{other.url}#moodle_log", "moodle_log")):
        with open_site(small.url, log_store=location) as site, pytest.raises(SiteError) as raised:
            calculated(site)
        assert str(raised.value) == (
            f"The log store {other.url} has no table {table} that its user may read; check the name of the table, or "
            "grant the user SELECT on it."
        )


def test_log_stores_that_are_none(small):
    for location, said in (
        ("duckdb:///x", "The log store is 'duckdb'"), ("oracle://x/y", "The log store is 'oracle'"),
        ("/nowhere/at/all", "has no Parquet or CSV files"),
    ):  # fmt: skip
        with open_site(small.url, log_store=location) as site, pytest.raises(BackendError, match=said):
            calculated(site)


# ---- partitions ----


@needs_shared
@pytest.mark.parametrize("load", [load_postgresql, load_mariadb])
def test_only_partitions_within_the_bounds_are_read(load, monkeypatch):
    asked: list[tuple[str, dict]] = []
    execute = Database._execute

    def listening(self, sql, values, **options):
        asked.append((sql, dict(values)))
        return execute(self, sql, values, **options)

    with load(parts=True) as url, open_site(url) as site:
        monkeypatch.setattr(Database, "_execute", listening)
        bounds = [PARTS[0] + DAY, PARTS[0] + WEEK, PARTS[1] - DAY]
        actions_between(site, site.courses[0].id, bounds)
        action_times(site, site.courses[0].id, [1, 2], bounds[0], bounds[-1])
        last_accesses(site.at(PARTS[0] - 1), [course.id for course in site.courses])
        monkeypatch.undo()
        read = []
        for sql, values in asked:
            if LOG not in sql:
                continue
            explain = "EXPLAIN " if site.database.dialect == "postgresql" else "EXPLAIN PARTITIONS "
            plan = str(site.database._execute(explain + sql, values))
            read.append(set(re.findall(r"part\d", plan)))
    assert read == [{"part1"}, {"part1"}, {"part0"}]
