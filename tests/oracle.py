"""The oracle: a whole site's tables, loaded into each database, and what Moodle computed from them."""

from __future__ import annotations

import csv
import gzip
import os
import secrets
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from helpers import SHARED

from moodlemlbackend.analytics.features import registry
from moodlemlbackend.analytics.features.analysable_samples import AnalysableSamples
from moodlemlbackend.analytics.features.analysis import Analysis, Hooks, Result, Stored
from moodlemlbackend.analytics.site.schema import TABLES

ORACLE = SHARED / "oracle"
needs_oracle = pytest.mark.skipif(not ORACLE.is_dir(), reason="the oracle is not beside this checkout")

POSTGRESQL = os.environ.get("TEST_POSTGRESQL", "postgresql://postgres@127.0.0.1:5432/postgres")
MARIADB = os.environ.get("TEST_MARIADB", "mysql://root@127.0.0.1:3306/mysql")
"""Servers on which tests make databases of their own; there they may do so."""

INDEXES = ("timecreated", "courseid, anonymous, timecreated",
           "userid, contextlevel, contextinstanceid, crud, edulevel, timecreated")  # fmt: skip
"""Those of Moodle's log table."""

PREFIX = "mdl_"
NOW = 1_795_366_777
"""After every run."""


# ---- tables ----


@lru_cache
def schema() -> dict[str, list[tuple[str, str, bool]]]:
    """Name, type and whether it may be null of each column, by table."""
    columns: dict[str, list[tuple[str, str, bool]]] = {}
    with (ORACLE / "schema.csv").open(newline="") as file:
        for row in csv.DictReader(file):
            columns.setdefault(row["table"], []).append((row["column"], row["type"], row["nullable"] == "YES"))
    return columns


def tables() -> list[str]:
    """The tables that the package reads."""
    return [PREFIX + name for name in TABLES if PREFIX + name in schema()]


def table(name: str) -> list[dict[str, str]]:
    with gzip.open(ORACLE / "site" / f"{PREFIX}{name}.csv.gz", "rt", newline="") as file:
        return list(csv.DictReader(file))


def rows(name: str, columns: list[str] | None = None) -> Iterator[tuple[Any, ...]]:
    """Rows of a table with their Python values."""
    with gzip.open(ORACLE / "site" / f"{name}.csv.gz", "rt", newline="") as file:
        reader = csv.reader(file)
        header = next(reader)
        kinds = {column: (kind, null) for column, kind, null in schema()[name]}
        wanted = [(header.index(column), *kinds[column]) for column in columns or header]
        for row in reader:
            yield tuple(_value(row[at], kind, null) for at, kind, null in wanted)


def _value(text: str, kind: str, null: bool) -> Any:
    is_text = kind.startswith(("String", "Text"))
    if text == "" and (null or not is_text):
        return None
    return text if is_text else float(text) if "." in text else int(text)


def _sql_type(kind: str, dialect: str) -> str:
    name, _, size = kind.partition("(")
    if name == "BigInteger":
        return "BIGINT"
    if name == "Numeric":
        return f"NUMERIC({size}"
    if name == "String":
        return f"VARCHAR({size}" if size and not size.startswith("1333") else "TEXT"
    if name == "LargeBinary":
        return "BYTEA" if dialect == "postgresql" else "BLOB"
    if name == "SmallInteger":
        return "SMALLINT"
    return {
        "Text": "LONGTEXT" if dialect == "mysql" else "TEXT",
        "Float": "DOUBLE PRECISION",
        "Double": "DOUBLE PRECISION",
    }.get(name, name.upper())


def _create(name: str, dialect: str, columns: list[str] | None = None) -> str:
    listed = ", ".join(
        f"{column} {_sql_type(kind, dialect)}{' PRIMARY KEY' if column == 'id' else ''}"
        for column, kind, _ in schema()[name]
        if columns is None or column in columns
    )
    return f"CREATE TABLE {name} ({listed})"


def load_sqlite(path: Path) -> str:
    with sqlite3.connect(path) as database:
        for name in tables():
            database.execute(_create(name, "sqlite"))
            marks = ", ".join("?" * len(schema()[name]))
            database.executemany(f"INSERT INTO {name} VALUES ({marks})", rows(name))
        for index in ("courseid, anonymous, timecreated",):
            database.execute(f"CREATE INDEX logs_by_course ON {PREFIX}logstore_standard_log ({index})")
    database.close()
    return f"sqlite:///{path}"


@contextmanager
def load_postgresql() -> Iterator[str]:
    psycopg = pytest.importorskip("psycopg", reason="needs the extra postgresql")
    try:
        server = psycopg.connect(POSTGRESQL, connect_timeout=3, autocommit=True)
    except psycopg.OperationalError:
        pytest.skip("no PostgreSQL server to test on")
    name = f"test_{secrets.token_hex(6)}"
    server.execute(f"CREATE DATABASE {name}")
    url = POSTGRESQL.rpartition("/")[0] + f"/{name}"
    try:
        with psycopg.connect(url) as database, database.cursor() as cursor:
            for table_name in tables():
                cursor.execute(_create(table_name, "postgresql"))
                listed = ", ".join(column for column, _, _ in schema()[table_name])
                with cursor.copy(f"COPY {table_name} ({listed}) FROM STDIN (FORMAT csv, HEADER)") as copy:
                    copy.write(gzip.decompress((ORACLE / "site" / f"{table_name}.csv.gz").read_bytes()))
            for index in INDEXES:
                cursor.execute(f"CREATE INDEX ON {PREFIX}logstore_standard_log ({index})")
        with psycopg.connect(url, autocommit=True) as database:
            database.execute("ANALYZE")
        yield url
    finally:
        server.execute(f"DROP DATABASE {name} WITH (FORCE)")
        server.close()


@contextmanager
def load_mariadb() -> Iterator[str]:
    pymysql = pytest.importorskip("pymysql", reason="needs the extra mysql")
    from sqlalchemy import make_url

    url = make_url(MARIADB)
    where = {"host": url.host, "port": url.port or 3306, "user": url.username, "password": url.password or ""}
    try:
        server = pymysql.connect(**where, connect_timeout=3, autocommit=True)
    except pymysql.err.OperationalError:
        pytest.skip("no MariaDB server to test on")
    name = f"test_{secrets.token_hex(6)}"
    with server.cursor() as cursor:
        cursor.execute(f"CREATE DATABASE {name} CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci")
        try:
            cursor.execute(f"USE {name}")
            for table_name in tables():
                spec = TABLES[table_name.removeprefix(PREFIX)].columns
                columns = [column for column, _, _ in schema()[table_name] if column in spec]
                cursor.execute(_create(table_name, "mysql", columns))
                marks = ", ".join(["%s"] * len(columns))
                cursor.execute("BEGIN")
                cursor.executemany(f"INSERT INTO {table_name} VALUES ({marks})", list(rows(table_name, columns)))
                cursor.execute("COMMIT")
            cursor.execute(f"CREATE INDEX logs_by_course ON {PREFIX}logstore_standard_log (courseid, timecreated)")
            yield url.set(database=name).render_as_string(hide_password=False)
        finally:
            cursor.execute(f"DROP DATABASE {name}")
    server.close()


# ---- what Moodle computed ----


def analysis(target: str, method: str, now: int = NOW, *, training: bool = True, keeps: bool = False) -> Analysis:
    """An analysis with the indicators of the oracle's models."""
    made = registry.get_target(target)
    indicators = [registry.get_indicator(one) for one in registry.indicators_of(made)]
    return Analysis(made, indicators, [registry.get_time_splitting(method)], now, training, keeps=keeps)


class Row(NamedTuple):
    """A row of a data set with the range that it is of."""

    cells: str
    start: int
    end: int


def read_lines(path: Path) -> list[str]:
    with gzip.open(path, "rt") as file:
        return file.read().splitlines()


def read_with_ids(name: str) -> dict[tuple[int, str], Row]:
    """Rows of an evaluation data set by analysable and unique sample id, in Moodle's order."""
    folder = ORACLE / "datasets/evaluation"
    data = read_lines(folder / f"{name}.with-ids.data.csv.gz")[1:]
    with gzip.open(folder / f"{name}.with-ids.rows.csv.gz", "rt", newline="") as file:
        return {
            (int(row["analysableid"]), row["uniquesampleid"]): Row(
                cells, int(row["range_start"]), int(row["range_end"])
            )
            for row, cells in zip(csv.DictReader(file), data, strict=True)
        }


class Recalled(Hooks):
    """Reads Moodle's stored calculations as they were before a time, and keeps those that are new."""

    def __init__(self, before: int = 0) -> None:
        self.before = before
        self.kept: dict[tuple[int, int, int, str, str], dict[int, float]] = {}

    def recall(self, samples: AnalysableSamples, start: int, end: int) -> Stored:
        if not self.before:
            return {}
        found = calculations().get((start, end, samples.analysable.context, samples.origin), {})
        stored = {}
        for indicator, (ids, values, times) in found.items():
            chosen = (times < self.before) & ~np.isnan(values)
            stored[indicator] = (ids[chosen], values[chosen])
        return stored

    def keep(self, samples: AnalysableSamples, start: int, end: int, indicator: str, chosen: Any, values: Any) -> None:
        key = (start, end, samples.analysable.context, samples.origin, indicator)
        self.kept.setdefault(key, {}).update(zip(samples.ids[chosen].tolist(), values.tolist(), strict=True))


@lru_cache
def calculations() -> dict[tuple[int, int, int, str], dict[str, tuple[Any, Any, Any]]]:
    """Sample ids, values and times of Moodle's stored calculations, by range, context and origin, then indicator."""
    grouped: dict[Any, dict[str, list[tuple[int, float, int]]]] = {}
    with gzip.open(ORACLE / "site" / f"{PREFIX}analytics_indicator_calc.csv.gz", "rt", newline="") as file:
        reader = csv.reader(file)
        next(reader)
        for _, start, end, context, origin, sample, indicator, value, time in reader:
            row = (int(sample), float(value) if value else float("nan"), int(time))
            grouped.setdefault((int(start), int(end), int(context), origin), {}).setdefault(indicator, []).append(row)
    return {
        key: {
            indicator: (
                np.array([one[0] for one in found]), np.array([one[1] for one in found]),
                np.array([one[2] for one in found]),
            )
            for indicator, found in indicators.items()
        }
        for key, indicators in grouped.items()
    }  # fmt: skip


def by_analysable(results: list[Result]) -> dict[str, Result]:
    return {result.analysable.name: result for result in results}
