"""Moodle's tables as CSV files: what is a number, what a text, and what is null."""

from __future__ import annotations

import codecs
import csv
import gzip
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import parse_qsl

from moodlemlbackend.analytics.site.schema import TABLES
from moodlemlbackend.errors import SiteError, UsageError

NULLS = frozenset({"", "NULL", "null", r"\N"})
"""What phpMyAdmin, Workbench, ``SELECT INTO OUTFILE``, ``COPY`` and spreadsheets write for null."""

TEXT_COLUMNS = frozenset({
    "address", "archetype", "capability", "city", "country", "crud", "department", "email", "eventname", "eventtype",
    "firstname", "format", "fullname", "institution", "itemtype", "lastname", "modulename", "name", "plugin",
    "shortname", "state", "url", "username",
})  # fmt: skip
"""Columns of texts that are never null in Moodle: somebody may be called Null."""

NULLABLE_TEXTS = frozenset({"availability", "description", "itemmodule", "itemname", "path", "sequence", "value"})

_TEXTS_OF_TABLES = {
    ("analytics_models", "target"), ("assign_submission", "status"), ("scale", "scale"),
    ("task_scheduled", "classname"),
}  # fmt: skip
"""Texts in this table, numbers in others."""

_NUMBER = re.compile(r"[+-]?\d+(\.\d*)?", re.ASCII)
_LARGEST = 1 << 63

Rows = list[tuple[Any, ...]]


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


def csv_batches(file: Path, table: str, dialect: CsvDialect, size: int) -> Iterator[tuple[list[str], Rows]]:
    """Column names with ``size`` rows at a time; at least once, so that an empty table exists.

    Raises :class:`SiteError` for what is no number where Moodle has numbers, naming file, row and column.
    """
    limit = csv.field_size_limit(sys.maxsize)
    opened: Callable[..., Any] = gzip.open if file.suffix == ".gz" else open
    try:
        with opened(file, "rt", newline="", encoding=dialect.encoding) as stream:
            yield from _read(csv.reader(stream, delimiter=dialect.delimiter), file, table, dialect, size)
    except csv.Error as error:
        raise SiteError(f"The table {file} is not valid CSV: {error}; export it again.") from None
    finally:
        csv.field_size_limit(limit)


def _read(reader: Any, file: Path, table: str, dialect: CsvDialect, size: int) -> Iterator[tuple[list[str], Rows]]:
    names: list[str] = next(reader, [])
    if not names:
        raise SiteError(f"The table {file} is empty; its first row must name the columns.")
    if len(names) == 1 and (others := [mark for mark in ";\t|,:" if mark in names[0]]):
        raise SiteError(
            f"The first row of {file} has only one field, with {others[0]!r} in it; if that is the delimiter, "
            "add it after the folder, such as tables/?delimiter=%3B (;) or tab."
        )
    readers = [_reader(table, name, dialect.null) for name in names]
    rows: Rows = []
    yield names, rows
    for fields in reader:
        if len(fields) != len(names):
            raise SiteError(
                f"Row {reader.line_num} of {file} has {len(fields)} fields but must have {len(names)}; correct the row."
            )
        try:
            rows.append(tuple(read(field) for read, field in zip(readers, fields, strict=True)))
        except ValueError:
            raise _no_number(file, reader.line_num, names, readers, fields) from None
        if len(rows) == size:
            yield names, rows
            rows = []
    yield names, rows


def _no_number(file: Path, row: int, names: list[str], readers: list[Any], fields: list[str]) -> SiteError:
    for name, read, field in zip(names, readers, fields, strict=True):
        try:
            read(field)
        except ValueError:
            return SiteError(
                f"Row {row} of {file} has {field[:40]!r} in the column {name}, which is not a number; write "
                "times as Unix seconds, numbers in plain digits, and null as an empty field or NULL."
            )
    raise AssertionError


def _reader(table: str, column: str, null: str) -> Callable[[str], Any]:
    read: Callable[[str], Any] = str
    nulls = NULLS | {null}
    if column in TEXT_COLUMNS or (table, column) in _TEXTS_OF_TABLES:
        nulls = frozenset({"", r"\N", null})
    elif column not in NULLABLE_TEXTS:
        read = _number if column in TABLES[table].columns else _number_or_text
    return lambda field: None if field in nulls else read(field)


def _number(field: str) -> int | float:
    if not _NUMBER.fullmatch(field):
        raise ValueError
    number = float(field) if "." in field else int(field)
    if abs(number) >= _LARGEST:
        raise ValueError
    return number


def _number_or_text(field: str) -> Any:
    """Of a column that is not known here."""
    try:
        return _number(field)
    except ValueError:
        return field
