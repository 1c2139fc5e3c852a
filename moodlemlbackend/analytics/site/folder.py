"""A folder of a site's tables, as researchers receive them: read once into a temporary SQLite file.

A table is ``mdl_course.parquet``, ``course.csv`` or ``course.csv.gz``: the prefix may be there or not.
"""

from __future__ import annotations

import os
import sqlite3
import tempfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from moodlemlbackend.analytics.site.csv_tables import CsvDialect, csv_batches
from moodlemlbackend.analytics.site.database import Database
from moodlemlbackend.analytics.site.schema import TABLES
from moodlemlbackend.errors import SiteError

SUFFIXES = (".parquet", ".csv", ".csv.gz")
"""Endings of the files that are read, in the order of preference."""

BATCH_ROWS = 50_000
"""Rows put into the temporary file at a time."""

_INDEXES = {
    "logstore_standard_log": "courseid",
    "grade_grades": "itemid",
    "user_enrolments": "enrolid",
    "role_assignments": "contextid",
    "context": "contextlevel, instanceid",
    "course_modules": "course",
}


class FolderDatabase(Database):
    """The tables of a folder, as a database; its file goes when it is closed."""

    temporary = True

    def __init__(self, folder: Path, prefix: str, dialect: CsvDialect) -> None:
        self._holder: tempfile.TemporaryDirectory[str] | None = tempfile.TemporaryDirectory(prefix="moodle-site-")
        path = Path(self._holder.name) / "site.sqlite"
        try:
            files = {name: file for name in TABLES if (file := _find(folder, prefix, name)) is not None}
            if not files:
                raise SiteError(
                    f"The folder {folder} has none of Moodle's tables; each table must be a file such as "
                    f"{prefix}course.csv.gz or {prefix}course.parquet."
                )
            with sqlite3.connect(path) as database:
                database.execute("PRAGMA synchronous = OFF")
                database.execute("PRAGMA journal_mode = OFF")
                for name, file in files.items():
                    _load(database, prefix, name, file, dialect)
            database.close()
            super().__init__(f"sqlite:///{path}", prefix)
            self.shown = str(folder)
        except BaseException:
            self._holder.cleanup()
            raise

    def close(self) -> None:
        """Remove the temporary file, too."""
        super().close()
        if self._holder is not None:
            self._holder.cleanup()


def _find(folder: Path, prefix: str, name: str) -> Path | None:
    for stem in dict.fromkeys((prefix + name, name)):
        for suffix in SUFFIXES:
            if (file := folder / (stem + suffix)).is_file():
                return file
    return None


def _load(database: sqlite3.Connection, prefix: str, name: str, file: Path, dialect: CsvDialect) -> None:
    import pyarrow as pa

    table, index = prefix + name, _INDEXES.get(name)
    try:
        columns: list[str] | None = None
        for names, rows in _batches(file, name, dialect):
            if columns is None:
                columns = names
                listed = ", ".join('"' + column.replace('"', '""') + '"' for column in columns)
                database.execute(f"CREATE TABLE {table} ({listed})")
            marks = ", ".join("?" * len(names))
            database.executemany(f"INSERT INTO {table} VALUES ({marks})", rows)
    except (pa.ArrowException, OSError, EOFError, zlib.error, sqlite3.Error, ValueError, OverflowError) as error:
        reason = " ".join(str(error).split())[:200].rstrip(".")
        raise SiteError(f"The table {os.fspath(file)} cannot be read: {reason}; export it again.") from None
    if index:
        have = set(columns or ())
        if have >= set(index.split(", ")):
            database.execute(f"CREATE INDEX {table}_index ON {table} ({index})")


def _batches(file: Path, table: str, dialect: CsvDialect) -> Iterator[tuple[list[str], list[tuple[Any, ...]]]]:
    """Column names with rows; at least once, so that an empty table exists."""
    if file.suffix == ".parquet":
        from pyarrow import parquet

        with parquet.ParquetFile(file) as opened:
            names = opened.schema_arrow.names
            yield names, []
            for batch in opened.iter_batches(BATCH_ROWS):
                yield names, _rows(batch)
        return
    yield from csv_batches(file, table, dialect, BATCH_ROWS)


def _rows(batch: Any) -> list[tuple[Any, ...]]:
    import decimal

    columns = [column.to_pylist() for column in batch.columns]
    return [
        tuple(float(value) if isinstance(value, decimal.Decimal) else value for value in row)
        for row in zip(*columns, strict=True)
    ]
