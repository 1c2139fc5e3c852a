"""Tables in Parquet and CSV files, read by DuckDB in a temporary database, which may touch nothing but them.

Parquet files are read where they are, in a folder or an object store; views stand for them. CSV files are loaded.
DuckDB opens no other file, no network connection and no extension; what is in an object store comes by way of fsspec.
"""

from __future__ import annotations

import os
import re
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from moodlemlbackend.analytics.databases import not_installed
from moodlemlbackend.analytics.site.csv_tables import CsvDialect, as_pattern, literal, load_csv, quoted
from moodlemlbackend.analytics.site.schema import LOG, TABLES, is_text
from moodlemlbackend.errors import SiteError
from moodlemlbackend.storage.object_store import is_object_store, open_objects

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

_CONFIG: dict[str, Any] = {
    "autoinstall_known_extensions": False, "autoload_known_extensions": False, "allow_community_extensions": False,
    "memory_limit": "1GB", "threads": min(os.cpu_count() or 1, 4),
}  # fmt: skip
"""What does not fit into the memory goes to the temporary folder; courses may be read side by side as well."""

_FILES = "moodlemlbackend_files"
"""Table of the files that the views read."""

_CLUSTERED = {LOG: "courseid"}
"""Tables from CSV files that are kept in the order of a column, so that only what is asked for is read."""

_NUMBERS = {"TINYINT", "SMALLINT", "INTEGER", "BIGINT", "UTINYINT", "USMALLINT", "UINTEGER", "FLOAT", "DOUBLE"}
_READ_AS = {'"NULL"': "BIGINT", "BOOLEAN": "BIGINT", "UBIGINT": "BIGINT", "HUGEINT": "BIGINT", "DECIMAL": "DOUBLE"}
"""Kinds of numbers that the site's own databases don't give, and what they are read as."""

_WRONG_FIELDS = re.compile(r"on Line: (\d+).*Number of Columns: (\d+) Found: (\d+).*file = ([^\n]+)", re.DOTALL)
_SHOWN_FILE = re.compile(r"file = ([^\n]+)")


def connect(path: Path, location: str, files: Sequence[str] | None = None) -> DuckDBPyConnection:
    """Open a database, to read the tables of a location, or to make views on these files."""
    connection: DuckDBPyConnection = _duckdb().connect(str(path), read_only=files is None, config=_CONFIG)
    if connection.execute("SELECT current_setting('lock_configuration')").fetchone() == (True,):
        return connection  # of a database that this process has open
    if is_object_store(location):
        connection.register_filesystem(open_objects(location).file_system)
    if files is None:
        files = [file for (file,) in connection.execute(f"SELECT file FROM {_FILES}").fetchall()]
    else:
        connection.execute(f"CREATE TABLE {_FILES} AS SELECT unnest($files) AS file", {"files": list(files)})
    allowed = sorted({*files, *map(as_pattern, files)})
    connection.execute(f"SET allowed_paths = [{', '.join(map(literal, allowed))}]")
    connection.execute("SET enable_external_access = false")
    connection.execute("SET lock_configuration = true")
    return connection


def _duckdb() -> Any:
    try:
        import duckdb
    except ModuleNotFoundError as error:
        raise not_installed(error, "lake") from None
    return duckdb


def build(path: Path, location: str, tables: Mapping[str, Sequence[str]], prefix: str, dialect: CsvDialect) -> None:
    """Make a database of the tables at a location, whose files these are; CSV files are local and in UTF-8.

    Raises :class:`SiteError` for files that cannot be read, naming file, row and column.
    """
    connection = connect(path, location, [file for files in tables.values() for file in files])
    try:
        for table, files in tables.items():
            with errors_in_sentences(files):
                if files[0].endswith(".parquet"):
                    _view(connection, prefix + table, table, files)
                else:
                    order = _CLUSTERED.get(table, "")
                    load_csv(connection, prefix + table, table, [Path(file) for file in files], dialect, order)
    finally:
        connection.close()


def _view(connection: DuckDBPyConnection, name: str, table: str, files: Sequence[str]) -> None:
    listed = f"[{', '.join(literal(as_pattern(file)) for file in files)}]"
    source = f"read_parquet({listed}, union_by_name = true, hive_partitioning = true)"
    columns = connection.execute(f"DESCRIBE SELECT * FROM {source}").fetchall()
    partly = _columns_of_some(connection, listed) if len(files) > 1 else {}
    selected = ", ".join(
        _column(table, column, kind.partition("(")[0], files[0], partly.get(column.lower(), ""))
        for column, kind, *_ in columns
    )
    connection.execute(f"CREATE VIEW {quoted(name)} AS SELECT {selected} FROM {source}")


def _columns_of_some(connection: DuckDBPyConnection, files: str) -> dict[str, str]:
    """Columns that only some of these Parquet files have, in small letters, each with a file that lacks it."""
    found = connection.execute(
        f"WITH columns AS (SELECT DISTINCT file_name, lower(name) AS name FROM parquet_schema({files}) "
        "WHERE num_children IS NULL), files AS (SELECT DISTINCT file_name FROM columns) "
        "SELECT n.name, MIN(f.file_name) FROM files f CROSS JOIN (SELECT DISTINCT name FROM columns) n "
        "WHERE NOT EXISTS (FROM columns c WHERE c.file_name = f.file_name AND c.name = n.name) GROUP BY n.name"
    ).fetchall()
    return dict(found)


def _column(table: str, column: str, kind: str, file: str, lacking: str) -> str:
    """SQL for a column of Parquet files, one of which may lack it, as Moodle's own databases would have it."""
    name, text = quoted(column), is_text(table, column)
    if text is None:
        return name
    value = _read_as(column, kind, file, text=text)
    if lacking and column in TABLES[table].columns:
        default = TABLES[table].columns[column]
        if default is None:
            raise SiteError(f"The file {lacking} has no column {column}, as others of its table have; export it again.")
        value = f"coalesce({value}, {default})"
    return name if value == name else f"{value} AS {name}"


def _read_as(column: str, kind: str, file: str, *, text: bool) -> str:
    name = quoted(column)
    if kind == "VARCHAR" if text else kind in _NUMBERS:
        return name
    if text:
        return f"decode({name})" if kind == "BLOB" else f"CAST({name} AS VARCHAR)"
    if kind in _READ_AS:
        return f"CAST({name} AS {_READ_AS[kind]})"
    raise SiteError(
        f"The column {column} of {file} has the type {kind} but must be a number (times in Unix seconds); export the "
        "table again."
    )


@contextmanager
def errors_in_sentences(files: Sequence[str]) -> Iterator[None]:
    """Turn what is raised for the files of a table into one sentence."""
    duckdb = _duckdb()
    try:
        yield
    except duckdb.Error as error:
        said = str(error)
        if wrong := _WRONG_FIELDS.search(said):
            row, expected, found, file = wrong.groups()
            raise SiteError(
                f"Row {row} of {file} has {found} fields but must have {expected}; correct the row."
            ) from None
        named = _SHOWN_FILE.search(said)
        raise _unreadable(named[1] if named else files[0], reason_of(error)) from None
    except (OSError, EOFError, zlib.error, UnicodeError) as error:
        raise _unreadable(files[0], str(error)) from None


def reason_of(error: BaseException) -> str:
    """What DuckDB says, without the advice that follows."""
    lines = str(error).split("\n\n")[0].splitlines()
    return " ".join(line for line in lines if not line.startswith("Original Line"))[:200].rstrip(".")


def _unreadable(file: str, reason: str) -> SiteError:
    return SiteError(f"The table {file} cannot be read: {' '.join(reason.split())[:200].rstrip('.')}; export it again.")
