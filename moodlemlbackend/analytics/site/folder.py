"""A folder of a site's tables, as researchers receive them: read once into a temporary SQLite file.

A table is ``mdl_course.parquet``, ``course.csv`` or ``course.csv.gz``: the prefix may be there or not. In a CSV file an
empty field is null.
"""

from __future__ import annotations

import os
import sqlite3
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from moodlemlbackend.analytics.site.database import Database
from moodlemlbackend.analytics.site.schema import TABLES
from moodlemlbackend.errors import SiteError

SUFFIXES = (".parquet", ".csv", ".csv.gz")
"""Endings of the files that are read, in the order of preference."""

BATCH_ROWS = 50_000
"""Rows put into the temporary file at a time."""

TEXT_COLUMNS = frozenset({
    "address", "archetype", "availability", "city", "country", "crud", "department", "description", "email",
    "eventname", "eventtype", "firstname", "format", "fullname", "institution", "itemmodule", "itemtype", "lastname",
    "modulename", "name", "path", "plugin", "sequence", "shortname", "url", "username", "value",
})  # fmt: skip
"""Columns whose values stay texts in a CSV file, whatever they look like."""

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

    def __init__(self, folder: Path, prefix: str) -> None:
        self._holder: tempfile.TemporaryDirectory[str] | None = tempfile.TemporaryDirectory(prefix="moodle-site-")
        path = Path(self._holder.name) / "site.sqlite"
        try:
            found = {name: file for name in TABLES if (file := _find(folder, prefix, name)) is not None}
            if not found:
                raise SiteError(
                    f"The folder {folder} holds none of Moodle's tables; "
                    f"each is a file such as {prefix}course.csv.gz or {prefix}course.parquet."
                )
            with sqlite3.connect(path) as database:
                database.execute("PRAGMA synchronous = OFF")
                database.execute("PRAGMA journal_mode = OFF")
                for name, file in found.items():
                    _load(database, prefix + name, file, _INDEXES.get(name))
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


def _load(database: sqlite3.Connection, table: str, file: Path, index: str | None) -> None:
    import pyarrow as pa

    try:
        columns: list[str] | None = None
        for names, rows in _batches(file):
            if columns is None:
                columns = names
                listed = ", ".join('"' + name.replace('"', '""') + '"' for name in columns)
                database.execute(f"CREATE TABLE {table} ({listed})")
            marks = ", ".join("?" * len(names))
            database.executemany(f"INSERT INTO {table} VALUES ({marks})", rows)
    except (pa.ArrowException, OSError, sqlite3.Error, UnicodeDecodeError) as error:
        said = " ".join(str(error).split())[:200].rstrip(".")
        raise SiteError(f"The table {os.fspath(file)} cannot be read: {said}; export it again.") from None
    if index:
        have = set(columns or ())
        if have >= set(index.split(", ")):
            database.execute(f"CREATE INDEX {table}_index ON {table} ({index})")


def _batches(file: Path) -> Iterator[tuple[list[str], list[tuple[Any, ...]]]]:
    """Column names with rows; at least once, so that an empty table exists."""
    if file.suffix == ".parquet":
        from pyarrow import parquet

        with parquet.ParquetFile(file) as opened:
            names = opened.schema_arrow.names
            yield names, []
            for batch in opened.iter_batches(BATCH_ROWS):
                yield names, _rows(batch)
        return
    import csv
    import sys

    limit = csv.field_size_limit(sys.maxsize)
    try:
        yield from _csv_batches(file)
    finally:
        csv.field_size_limit(limit)


def _csv_batches(file: Path) -> Iterator[tuple[list[str], list[tuple[Any, ...]]]]:
    import csv
    import gzip

    with (gzip.open(file, "rt", newline="", encoding="utf-8-sig") if file.suffix == ".gz"
          else file.open(newline="", encoding="utf-8-sig")) as stream:  # fmt: skip
        reader = csv.reader(stream)
        names = next(reader, [])
        if not names:
            raise SiteError(f"The table {file} is empty; its first row must name the columns.")
        readers = [_text if name in TEXT_COLUMNS else _number for name in names]
        rows: list[tuple[Any, ...]] = []
        yield names, rows
        for fields in reader:
            if len(fields) != len(names):
                raise SiteError(
                    f"Row {reader.line_num} of {file} has {len(fields)} fields but must have {len(names)}; correct it."
                )
            rows.append(tuple(read(field) for read, field in zip(readers, fields, strict=True)))
            if len(rows) == BATCH_ROWS:
                yield names, rows
                rows = []
        yield names, rows


def _rows(batch: Any) -> list[tuple[Any, ...]]:
    import decimal

    columns = [column.to_pylist() for column in batch.columns]
    return [
        tuple(float(value) if isinstance(value, decimal.Decimal) else value for value in row)
        for row in zip(*columns, strict=True)
    ]


def _text(field: str) -> str | None:
    return field or None


def _number(field: str) -> Any:
    """A whole number, a number, null, or the text of a column that is not known here."""
    if field == "":
        return None
    try:
        return int(field) if field.lstrip("-").isdigit() else float(field)
    except ValueError:
        return field
