"""One read-only connection to a site's database, all of whose answers come from one snapshot.

The snapshot is the database's own: ``REPEATABLE READ READ ONLY`` on PostgreSQL, shared between connections by
:meth:`Database.share`; ``START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY`` on MariaDB and MySQL, where each
connection has its own; a read transaction on a file opened with ``mode=ro`` on SQLite.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from copy import copy
from functools import cache
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from moodlemlbackend.analytics.site.connection import TEMPORARY, Location
from moodlemlbackend.analytics.site.schema import LOG, Schema, is_text
from moodlemlbackend.errors import SiteError

Integers = npt.NDArray[np.int64]

_COLUMNS = {
    "postgresql": (
        "SELECT c.relname, a.attname FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid "
        "WHERE c.relkind IN ('r', 'v', 'm', 'p', 'f') AND a.attnum > 0 AND NOT a.attisdropped "
        "AND pg_table_is_visible(c.oid) AND has_any_column_privilege(c.oid, 'SELECT') AND c.relname IN :names"
    ),
    "mysql": (
        "SELECT table_name, column_name FROM information_schema.columns "
        "WHERE table_schema = DATABASE() AND table_name IN :names"
    ),
    "sqlite": (
        "SELECT m.name, p.name, m.type = 'table' AND (p.type LIKE '%CHAR%' OR p.type LIKE '%CLOB%' "
        "OR p.type LIKE '%TEXT%') FROM sqlite_master m JOIN pragma_table_info(m.name) p "
        "WHERE m.type IN ('table', 'view') AND m.name IN :names"
    ),
    "duckdb": "SELECT table_name, column_name FROM duckdb_columns() WHERE NOT internal AND table_name IN :names",
}
"""Tables and their columns; of SQLite also whether it keeps numbers in a column as texts."""

_BEGIN = {
    "postgresql": "BEGIN TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY",
    "mysql": "START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY",
    "sqlite": "BEGIN",
    "duckdb": "",
}
_TUNE = {
    "postgresql": ("SET LOCAL jit = off", "SET LOCAL work_mem = '64MB'", "SET LOCAL random_page_cost = 1.1"),
}
"""For this connection alone: the logs of a course are found by their index and counted in memory."""

_MARK = {"named": ":{}", "pyformat": "%({})s", "dollar": "${}"}
"""A parameter as a driver wants it."""

_PARAMETER = re.compile(r":([a-z]\w*)")
_MOST_PARAMETERS = 10_000
"""Of a list; more whole numbers stand in the statement itself, for a database has a limit for parameters."""
_SNAPSHOT_ID = re.compile(r"[0-9A-F-]+")
_ARRAY_OF_BIGINT = 1016  # its object id, the same in every PostgreSQL
_ARRAY_HEADER = 20
_ARRAY_NULLS = slice(4, 8)  # of the header, a whole number: 1 if there are some
_ARRAY_ITEM = np.dtype([("length", ">i4"), ("value", ">i8")])


class _NullError(Exception):
    """There is a null among whole numbers."""


class SharedDatabase(NamedTuple):
    """A database as another connection opens it."""

    url: str
    prefix: str
    schema: Schema
    snapshot: str | None
    log: SharedDatabase | None

    def as_json(self) -> dict[str, Any]:
        """What :meth:`of_json` makes it of again, but for what is known of the tables."""
        log = self.log and self.log.as_json()
        return {"url": self.url, "prefix": self.prefix, "table": self.schema.log_table, "snapshot": self.snapshot,
                "log": log}  # fmt: skip

    @classmethod
    def of_json(cls, made: Mapping[str, Any]) -> SharedDatabase:
        """Read what :meth:`as_json` gave."""
        schema, log = Schema(made["prefix"], made["table"]), made["log"] and cls.of_json(made["log"])
        return cls(made["url"], made["prefix"], schema, made["snapshot"], log)


class Database:
    """A connection in its snapshot. SQL names tables as ``{course}`` and parameters as ``:name``.

    ``shown`` is the URL without its password. ``open_log`` opens the database that has the log, where that is another
    one, as soon as it is read: see :attr:`log`. ``log_table`` is the whole name of the log's table, where Moodle's is
    another. ``what`` is how messages begin.
    """

    def __init__(
        self,
        url: str,
        prefix: str,
        *,
        snapshot: str | None = None,
        log_table: str = "",
        what: str = "The site's database",
    ) -> None:
        self.url, self.prefix = url, prefix
        self.open_log: Callable[[Database], Database | None] | None = None
        self._log: Database | None = None
        self._location = Location(url, what)
        self.shown = self._location.shown
        self._connection, self.dialect, paramstyle = self._location.connect()
        self._mark = _MARK[paramstyle]
        self.schema = Schema(prefix, log_table)
        join = [f"SET TRANSACTION SNAPSHOT '{snapshot}'"] if snapshot and _SNAPSHOT_ID.fullmatch(snapshot) else []
        for statement in filter(None, (_BEGIN[self.dialect], *join, *_TUNE.get(self.dialect, ()))):
            self._execute(statement, {})

    @property
    def temporary(self) -> bool:
        """Whether it stands for tables in files, and goes when it is closed."""
        return self.dialect == TEMPORARY

    @property
    def log(self) -> Database:
        """The database that has the log: this one, or another, to which queries of the log go by themselves."""
        if self._log is None:
            self._log = (self.open_log and self.open_log(self)) or self
        return self._log

    def inspect(self, tables: Iterable[str]) -> None:
        """Find out which of these tables the site has and its user may read, and which columns."""
        columns: dict[str, set[str]] = {}
        by_name = {self.schema.named(table): table for table in sorted(tables)}
        texts = []
        for name, column, *as_text in self.rows(_COLUMNS[self.dialect], names=[*by_name]):
            columns.setdefault(name, set()).add(column)
            if any(as_text) and is_text(by_name[name], column) is False:
                texts.append((name, column))
        self.schema.learn([*by_name.values()], {name: frozenset(present) for name, present in columns.items()})
        for name, column in texts:
            if self.rows(f'SELECT 1 FROM "{name}" WHERE typeof("{column}") = \'text\' LIMIT 1'):
                raise SiteError(
                    f"The column {column} of {name} has numbers as texts; use the folder of CSV files itself as the "
                    "site, or import them into columns of the type INTEGER or REAL."
                )

    def schemas(self, table: str) -> list[str]:
        """Names of the schemas of PostgreSQL in which there is this table, whether it is looked for there or not."""
        if self.dialect != "postgresql":
            return []
        sql = (
            "SELECT n.nspname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace "
            "WHERE c.relname = :name AND c.relkind IN ('r', 'v', 'm', 'p', 'f') ORDER BY n.nspname"
        )
        return [str(name) for (name,) in self.rows(sql, name=self.prefix + table)]

    def rows(self, sql: str, **parameters: Any) -> list[tuple[Any, ...]]:
        """Return the rows of a query; a parameter that is a list stands for the values of ``IN``, of none if empty."""
        holder = self._that_has(sql)
        return list(holder._execute(*holder._bound(sql, parameters)))

    def integers(self, sql: str, columns: int, **parameters: Any) -> Integers:
        """Return the rows of a query all of whose columns are whole numbers, none of them null: (rows, columns)."""
        holder = self._that_has(sql)
        try:
            if holder.dialect == "postgresql" and type(holder._connection).__module__.startswith("psycopg."):
                return holder._packed(sql, columns, parameters)
            if holder.temporary:
                return holder._by_column(sql, columns, parameters)
            rows = holder.rows(sql, **parameters)
            try:
                return np.array(rows, np.int64).reshape(len(rows), columns)
            except TypeError:
                raise _NullError from None
        except _NullError:
            tables = ", ".join(dict.fromkeys(re.findall(r"{(\w+)}", sql)))
            raise SiteError(
                f"There is no value where every Moodle site has one, in {tables}; export it again."
            ) from None

    def share(self) -> SharedDatabase:
        """What :meth:`join` needs; where the database can, the other connection sees the same snapshot."""
        snapshot = None
        if self.dialect == "postgresql":
            snapshot = str(self.rows("SELECT pg_export_snapshot()")[0][0])
        log = None if self.log is self else self.log.share()
        return SharedDatabase(self.url, self.prefix, self.schema, snapshot, log)

    @classmethod
    def join(cls, shared: SharedDatabase) -> Database:
        """Open another connection, in another thread or process, while the first one is open."""
        database = Database(shared.url, shared.prefix, snapshot=shared.snapshot)
        database.schema = shared.schema
        database._log = database if shared.log is None else cls.join(shared.log)
        return database

    def at(self, moment: int) -> Database:
        """The database as it was at a Unix time, see :meth:`Schema.at`, on the same connection."""
        then = copy(self)
        then.schema = self.schema.at(moment)
        then._log = then if self.log is self else self.log.at(moment)
        return then

    def close(self) -> None:
        """End the snapshot and the connection, also that of the log."""
        self._connection.close()
        if self._log is not None and self._log is not self:
            self._log.close()

    def _that_has(self, sql: str) -> Database:
        """The database that has the tables of a text."""
        tables = self.schema.tables(sql)
        if LOG not in tables or self.log is self:
            return self
        if len(tables) > 1:
            raise SiteError(
                f"The log is in {self.log.shown}, apart from the other tables, so one query cannot read it together "
                f"with {', '.join(sorted(tables - {LOG}))}; read them one by one."
            )
        return self.log

    def _bound(self, sql: str, parameters: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
        """The text with names of tables and marks of parameters, and the values, those of a list one by one."""
        if unknown := self.schema.unknown(sql):
            self.inspect(unknown)
        values: dict[str, Any] = {}

        def mark(match: re.Match[str]) -> str:
            name, value = match[1], parameters[match[1]]
            if not isinstance(value, (list, tuple, np.ndarray)):
                values[name] = value
                return self._mark.format(name)
            items = value.tolist() if isinstance(value, np.ndarray) else value
            if len(items) > _MOST_PARAMETERS and all(isinstance(item, (int, np.integer)) for item in items):
                return f"({', '.join(str(int(item)) for item in items)})"
            named = {f"{name}_{number}": item for number, item in enumerate(items)}
            values.update(named)
            return f"({', '.join(map(self._mark.format, named)) or 'NULL'})"

        return _PARAMETER.sub(mark, self.schema.fill(sql)), values

    def _execute(self, sql: str, values: Mapping[str, Any], **options: Any) -> Sequence[tuple[Any, ...]]:
        with self._location.errors_in_sentences():
            cursor = self._connection.cursor(**options)
            try:
                if options:
                    cursor.adapters.register_loader(_ARRAY_OF_BIGINT, _array_loader())
                cursor.execute(sql, values)
                return cursor.fetchall() if cursor.description else []
            finally:
                cursor.close()

    def _packed(self, sql: str, columns: int, parameters: Mapping[str, Any]) -> Integers:
        """The rows as one array a column, in PostgreSQL's binary format: one message instead of one a row."""
        names = [f"c{number}" for number in range(columns)]
        arrays = ", ".join(f"array_agg(CAST({name} AS bigint))" for name in names)
        bound = self._bound(f"SELECT {arrays} FROM ({sql}) AS q({', '.join(names)})", parameters)
        [row] = self._execute(*bound, binary=True)
        return np.empty((0, columns), np.int64) if row[0] is None else np.stack(row, axis=1)

    def _by_column(self, sql: str, columns: int, parameters: Mapping[str, Any]) -> Integers:
        """The rows as DuckDB has them: an array a column."""
        names = [f"c{number}" for number in range(columns)]
        listed = ", ".join(f"CAST({name} AS bigint) AS {name}" for name in names)
        bound = self._bound(f"SELECT {listed} FROM ({sql}) AS q({', '.join(names)})", parameters)
        with self._location.errors_in_sentences():
            found = self._connection.cursor().execute(*bound).fetchnumpy()
        if any(np.ma.is_masked(found[name]) for name in names):
            raise _NullError
        return np.column_stack([found[name] for name in names])


@cache
def _array_loader() -> Any:
    """A psycopg loader of binary arrays of whole numbers: 20 bytes of header, then 8 bytes each after their length."""
    from psycopg.adapt import Loader
    from psycopg.pq import Format

    class ArrayLoader(Loader):
        format = Format.BINARY

        def load(self, data: Any) -> Integers:
            if any(data[_ARRAY_NULLS]):
                raise _NullError
            return np.frombuffer(data, _ARRAY_ITEM, offset=_ARRAY_HEADER)["value"].astype(np.int64)

    return ArrayLoader
