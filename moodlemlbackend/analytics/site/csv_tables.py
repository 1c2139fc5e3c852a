"""Moodle's tables as CSV files: what is a number, what a text, and what is null."""

from __future__ import annotations

import codecs
import csv
import gzip
import re
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import parse_qsl

from moodlemlbackend.analytics.site.schema import NULLABLE_TEXTS, is_text
from moodlemlbackend.errors import SiteError, UsageError

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

NULLS = ("NULL", "null", r"\N")
"""What phpMyAdmin, Workbench, ``SELECT INTO OUTFILE``, ``COPY`` and spreadsheets write for null, beside nothing."""

_WHOLE = "coalesce({0} = CAST(TRY_CAST({0} AS BIGINT) AS VARCHAR), {0} IS NULL)"
_NUMBER = (
    f"CASE WHEN {_WHOLE} THEN true WHEN regexp_full_match({{0}}, '[+-]?\\d+(\\.\\d*)?') "
    "THEN abs(CAST({0} AS DOUBLE)) < 9223372036854775808 ELSE false END"
)
_LONGEST_LINE = 1 << 25


class CsvDialect(NamedTuple):
    """How the files are written; ``null`` is a text that is null in every column, also of texts."""

    delimiter: str = ","
    encoding: str = "utf-8-sig"
    null: str = ""

    @classmethod
    def parse(cls, query: str) -> CsvDialect:
        """Read ``delimiter=;&encoding=cp1252&null=-``; UsageError for what is not one of them."""
        given = dict(parse_qsl(query, keep_blank_values=True, separator="&"))
        if unknown := given.keys() - set(cls._fields):
            raise UsageError(
                f"A folder of tables has no option {min(unknown)[:40]!r}; the options are {', '.join(cls._fields)}."
            )
        delimiter = {"tab": "\t"}.get(given.get("delimiter", ","), given.get("delimiter", ","))
        if len(delimiter) != 1 or delimiter in '"\r\n':
            raise UsageError(f"The delimiter {delimiter[:40]!r} is not one character; use for example %3B (;) or tab.")
        encoding = given.get("encoding", "utf-8")
        try:
            encoding = codecs.lookup(encoding).name
            "".encode(encoding)
        except (LookupError, ValueError):
            raise UsageError(f"There is no encoding {encoding[:40]!r}; use for example utf-8 or cp1252.") from None
        return cls(delimiter, "utf-8-sig" if encoding == "utf-8" else encoding, given.get("null", ""))

    def in_utf8(self, file: Path, copy: Path) -> Path:
        """The file itself, or a copy of it in UTF-8; UnicodeDecodeError for what is not so encoded."""
        if self.encoding == "utf-8-sig":
            return file
        copy = copy.with_name(copy.name.removesuffix(".gz"))
        copy.parent.mkdir(parents=True, exist_ok=True)
        opened = gzip.open if file.suffix == ".gz" else open
        with (
            opened(file, "rt", newline="", encoding=self.encoding) as source,
            copy.open("w", encoding="utf-8", newline="") as target,
        ):
            shutil.copyfileobj(source, target)
        return copy


def load_csv(
    database: DuckDBPyConnection, name: str, table: str, files: Sequence[Path], dialect: CsvDialect, order: str = ""
) -> None:
    """Make a table of CSV files in UTF-8, each column of whole numbers, of numbers or of texts, ordered by a column.

    Raises :class:`SiteError` for what is no number where Moodle has numbers, naming file, row and column.
    """
    columns = ", ".join(f"{literal(column)}: 'VARCHAR'" for column in _header(files, dialect))
    reading = (
        "read_csv($files, auto_detect = false, header = true, quote = '\"', escape = '\"', hive_partitioning = true, "
        f"delim = {literal(dialect.delimiter)}, max_line_size = {_LONGEST_LINE}, columns = {{{columns}}})"
    )
    paths = [as_pattern(str(file)) for file in files]
    database.execute(f"CREATE OR REPLACE TEMP TABLE read AS SELECT * FROM {reading}", {"files": paths})
    names = [column for column, *_ in database.execute("DESCRIBE read").fetchall()]
    values = {column: _value(table, column, dialect) for column in names}
    numbers = [column for column in names if not is_text(table, column)]
    given = ", ".join(f"{values[column]} AS {quoted(column)}" for column in numbers)
    tests = ", ".join(f"bool_and({test.format(quoted(one))})" for one in numbers for test in (_WHOLE, _NUMBER))
    [found] = database.execute(f"SELECT {tests} FROM (SELECT {given} FROM read)").fetchall() if numbers else [()]
    kinds = dict.fromkeys(names, "VARCHAR")
    for column, whole, number in zip(numbers, found[::2], found[1::2], strict=True):
        if number is False and is_text(table, column) is False:
            raise _no_number(database, reading, files, column, values[column])
        kinds[column] = "VARCHAR" if number is False else "DOUBLE" if whole is False else "BIGINT"
    listed = ", ".join(f"CAST({values[column]} AS {kinds[column]}) AS {quoted(column)}" for column in names)
    ordered = f" ORDER BY {quoted(order)}" if order in names else ""
    database.execute(f"CREATE TABLE {quoted(name)} AS SELECT {listed} FROM read{ordered}")
    database.execute("DROP TABLE read")


def as_pattern(file: str) -> str:
    """A name of a file as DuckDB has it, which takes names for patterns."""
    return re.sub(r"[*?[]", r"[\g<0>]", file)


def literal(text: str) -> str:
    """A text as SQL has it."""
    return "'" + text.replace("'", "''") + "'"


def quoted(name: str) -> str:
    """The name of a column or table as SQL has it."""
    return '"' + name.replace('"', '""') + '"'


def _value(table: str, column: str, dialect: CsvDialect) -> str:
    """SQL for a column with its nulls."""
    never_null = is_text(table, column) and column not in NULLABLE_TEXTS
    nulls = {"", dialect.null, *((r"\N",) if never_null else NULLS)}
    name = quoted(column)
    return f"CASE WHEN {name} NOT IN ({', '.join(map(literal, sorted(nulls)))}) THEN {name} END"


def _no_number(database: DuckDBPyConnection, reading: str, files: Sequence[Path], column: str, value: str) -> SiteError:
    for file in files:
        row = database.execute(
            f"SELECT number, value FROM (SELECT row_number() OVER () + 1 AS number, {value} AS value FROM {reading}) "
            f"WHERE NOT {_NUMBER.format('value')} ORDER BY number LIMIT 1",
            {"files": [as_pattern(str(file))]},
        ).fetchone()
        if row:
            return SiteError(
                f"Row {row[0]} of {file} has {row[1][:40]!r} in the column {column}, which is not a number; write "
                "times as Unix seconds, numbers in plain digits, and null as an empty field or NULL."
            )
    raise AssertionError


def _header(files: Sequence[Path], dialect: CsvDialect) -> list[str]:
    """Names of the columns, which must be the same in all files of a table."""
    first: list[str] = []
    for file in files:
        with (gzip.open if file.suffix == ".gz" else open)(file, "rt", newline="", encoding="utf-8-sig") as stream:
            try:
                names: list[str] = next(csv.reader(stream, delimiter=dialect.delimiter), [])
            except csv.Error as error:
                raise SiteError(f"The table {file} is not valid CSV: {error}; export it again.") from None
        if not names:
            raise SiteError(f"The table {file} is empty; its first row must name the columns.")
        if len(names) == 1 and (others := [mark for mark in ";\t|,:" if mark in names[0]]):
            raise SiteError(
                f"The first row of {file} has only one field, with {others[0]!r} in it; if that is the delimiter, "
                "add it after the folder, such as tables/?delimiter=%3B (;) or tab."
            )
        if names != (first := first or names):
            raise SiteError(f"The columns of {file} are not those of {files[0]}; export both in the same way.")
    return first
