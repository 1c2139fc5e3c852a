"""One read-only connection to a site's database, all of whose answers come from one snapshot.

The snapshot is the database's own: ``REPEATABLE READ READ ONLY`` on PostgreSQL, shared between connections by
:meth:`Database.share`; ``START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY`` on MariaDB and MySQL, where each
connection has its own; a read transaction on a file opened with ``mode=ro`` on SQLite.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt

from moodlemlbackend.analytics.site.schema import Schema
from moodlemlbackend.errors import SiteError, UsageError

if TYPE_CHECKING:
    from sqlalchemy.engine import URL, Engine

Integers = npt.NDArray[np.int64]

DRIVERS = {
    "postgres": "postgresql+psycopg",
    "postgresql": "postgresql+psycopg",
    "mysql": "mysql+pymysql",
    "mariadb": "mysql+pymysql",
    "sqlite": "sqlite",
}
"""Driver taken for a URL that names none."""

EXTRAS = {"postgresql": "postgresql", "mysql": "mysql", "mariadb": "mysql"}
"""Extra of this package with the driver, by the name of the database."""

CONNECT_SECONDS = 10
"""Time after which a server that does not answer is given up."""

_COLUMNS = {
    "postgresql": (
        "SELECT c.relname, a.attname FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid "
        "WHERE c.relkind IN ('r', 'v', 'm', 'p', 'f') AND a.attnum > 0 AND NOT a.attisdropped "
        "AND pg_table_is_visible(c.oid) AND c.relname IN :names"
    ),
    "mysql": (
        "SELECT table_name, column_name FROM information_schema.columns "
        "WHERE table_schema = DATABASE() AND table_name IN :names"
    ),
    "sqlite": (
        "SELECT m.name, p.name FROM sqlite_master m JOIN pragma_table_info(m.name) p "
        "WHERE m.type IN ('table', 'view') AND m.name IN :names"
    ),
}
_BEGIN = {
    "postgresql": "BEGIN TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY",
    "mysql": "START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY",
    "sqlite": "BEGIN",
}
_ARRAY_OF_BIGINT = 1016  # its object id, the same in every PostgreSQL
_ARRAY_HEADER = 20
_ARRAY_ITEM = np.dtype([("length", ">i4"), ("value", ">i8")])
_SNAPSHOT_ID = re.compile(r"[0-9A-F-]+")


class SharedDatabase(NamedTuple):
    """A database as another connection opens it."""

    url: str
    prefix: str
    schema: Schema
    snapshot: str | None


class Database:
    """A connection in its snapshot. SQL names tables as ``{course}`` and parameters as ``:name``.

    ``shown`` is the URL without its password.
    """

    def __init__(self, url: str, prefix: str, *, snapshot: str | None = None) -> None:
        self.url, self.prefix = url, prefix
        self.shown, self._engine = _engine(url)
        self.dialect = self._engine.dialect.name
        with self._told():
            self._connection = self._engine.connect().execution_options(isolation_level="AUTOCOMMIT")
            self._begin(snapshot)
        self.schema = Schema(prefix, {})
        self._prepared: dict[str, Any] = {}

    def inspect(self, tables: Sequence[str]) -> None:
        """Find out which of these tables the site has, and which columns."""
        columns: dict[str, set[str]] = {}
        names = [self.prefix + table for table in tables]
        for table, column in self.rows(_COLUMNS[self.dialect], names=names):
            columns.setdefault(table, set()).add(column)
        self.schema = Schema(self.prefix, {table: frozenset(found) for table, found in columns.items()})

    def rows(self, sql: str, **parameters: Any) -> list[tuple[Any, ...]]:
        """Return the rows of a query; a parameter that is a list stands for the values of ``IN``."""
        statement = self._statement(sql, parameters)
        with self._told():
            return [tuple(row) for row in self._connection.execute(statement, _plain(parameters))]

    def integers(self, sql: str, columns: int, **parameters: Any) -> Integers:
        """Return the rows of a query all of whose columns are whole numbers, none of them null: (rows, columns)."""
        if self.dialect == "postgresql":
            return self._packed(sql, columns, parameters)
        found = self.rows(sql, **parameters)
        return np.array(found, np.int64).reshape(len(found), columns)

    def share(self) -> SharedDatabase:
        """What :meth:`join` needs; where the database can, the other connection sees the same snapshot."""
        snapshot = None
        if self.dialect == "postgresql":
            snapshot = str(self.rows("SELECT pg_export_snapshot()")[0][0])
        return SharedDatabase(self.url, self.prefix, self.schema, snapshot)

    @classmethod
    def join(cls, shared: SharedDatabase) -> Database:
        """Open another connection, in another thread or process, while the first one is open."""
        database = Database(shared.url, shared.prefix, snapshot=shared.snapshot)
        database.schema = shared.schema
        return database

    def close(self) -> None:
        """End the snapshot and the connection."""
        self._connection.close()
        self._engine.dispose()

    @contextmanager
    def _told(self) -> Iterator[None]:
        """Turn what a driver raises into one sentence, without the password."""
        from sqlalchemy.exc import SQLAlchemyError

        try:
            yield
        except Exception as error:
            if isinstance(error, SQLAlchemyError) or type(error).__module__.partition(".")[0] in _DRIVER_PACKAGES:
                raise SiteError(_sentence(self.shown, self._engine.url.password, error)) from None
            raise

    def _begin(self, snapshot: str | None) -> None:
        run = self._connection.exec_driver_sql
        if self.dialect == "sqlite":
            run("PRAGMA query_only = ON")
        run(_BEGIN[self.dialect])
        if snapshot is not None and _SNAPSHOT_ID.fullmatch(snapshot):
            run(f"SET TRANSACTION SNAPSHOT '{snapshot}'")

    def _statement(self, sql: str, parameters: Mapping[str, Any]) -> Any:
        if sql not in self._prepared:
            from sqlalchemy import bindparam, text

            lists: list[Any] = [
                bindparam(name, expanding=True) for name, value in parameters.items() if _is_list(value)
            ]
            self._prepared[sql] = text(self.schema.fill(sql)).bindparams(*lists)
        return self._prepared[sql]

    def _packed(self, sql: str, columns: int, parameters: Mapping[str, Any]) -> Integers:
        """The rows as one array a column, in PostgreSQL's binary format: a message instead of one a row."""
        names = [f"c{number}" for number in range(columns)]
        arrays = ", ".join(f"array_agg(CAST({name} AS bigint))" for name in names)
        statement = self._statement(f"SELECT {arrays} FROM ({sql}) AS q({', '.join(names)})", parameters)
        ready = statement.compile(dialect=self._engine.dialect).construct_expanded_state(_plain(parameters))
        driver = self._connection.connection.driver_connection
        assert driver is not None
        with self._told(), driver.cursor(binary=True) as cursor:
            cursor.adapters.register_loader(_ARRAY_OF_BIGINT, _array_loader())
            [found] = cursor.execute(ready.statement, ready.parameters).fetchall()
        return np.empty((0, columns), np.int64) if found[0] is None else np.stack(found, axis=1)


@cache
def _array_loader() -> Any:
    """A psycopg loader of binary arrays of whole numbers: 20 bytes of header, then 8 bytes each after their length."""
    from psycopg.adapt import Loader
    from psycopg.pq import Format

    class ArrayLoader(Loader):
        format = Format.BINARY

        def load(self, data: Any) -> Integers:
            return np.frombuffer(data, _ARRAY_ITEM, offset=_ARRAY_HEADER)["value"].astype(np.int64)

    return ArrayLoader


def _is_list(value: Any) -> bool:
    return isinstance(value, (list, tuple, np.ndarray))


def _plain(parameters: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value.tolist() if isinstance(value, np.ndarray) else value for name, value in parameters.items()}


# What can go wrong on the way to a database.


def _engine(url: str) -> tuple[str, Engine]:
    """The URL as messages show it, and what connects to it."""
    try:
        import sqlalchemy
        from sqlalchemy import exc
    except ModuleNotFoundError:
        raise UsageError(
            "Reading a Moodle site needs the extra analytics; install it with pip install 'moodlemlbackend[analytics]'."
        ) from None
    try:
        parsed = sqlalchemy.make_url(url)
    except (exc.ArgumentError, ValueError):
        raise UsageError(
            "The site is no URL of a database and no folder of tables; "
            "write for example postgresql://user:password@host/moodle or sqlite:///moodle.sqlite."
        ) from None
    name, shown = parsed.get_backend_name(), parsed.render_as_string(hide_password=True)
    if name not in DRIVERS:
        raise UsageError(f"The site's database is {name!r}; choose postgresql, mysql, mariadb or sqlite.")
    if "+" not in parsed.drivername:
        parsed = parsed.set(drivername=DRIVERS[name])
    options: dict[str, Any] = {"poolclass": sqlalchemy.NullPool}
    if name == "sqlite":
        return shown, sqlalchemy.create_engine(_read_only(parsed), **options)
    options["connect_args"] = {"connect_timeout": CONNECT_SECONDS}
    try:
        return shown, sqlalchemy.create_engine(parsed, **options)
    except ModuleNotFoundError as error:
        extra = EXTRAS.get(name, name)
        raise UsageError(
            f"The driver {error.name} for {name} is not installed; "
            f"install it with pip install 'moodlemlbackend[{extra}]'."
        ) from None
    except exc.ArgumentError as error:
        raise UsageError(f"The URL of the site's database cannot be used: {error}.") from None


def _read_only(url: URL) -> URL:
    """The URL of an SQLite file, opened so that nothing can write to it."""
    from pathlib import Path
    from urllib.parse import quote

    name = url.database or ""
    if name.startswith("file:"):
        return url
    path = Path(name).resolve()
    if not path.is_file():
        raise SiteError(f"There is no SQLite database {name!r}; check the path of the site.")
    return url.set(database=f"file:{quote(str(path))}", query={**url.query, "mode": "ro", "uri": "true"})


def _sentence(shown: str, password: object, error: Exception) -> str:
    said = " ".join(str(getattr(error, "orig", None) or error).split())
    if password:
        said = said.replace(str(password), "***")
    for words, advice in _ADVICE:
        if any(word in said.lower() for word in words):
            return f"The site's database {shown} cannot be used: {advice}."
    return f"The site's database {shown} cannot be read: {said[:300].rstrip('.')}; check the URL and the tables."


_DRIVER_PACKAGES = ("psycopg", "pymysql", "sqlite3")

_ADVICE = (
    (("password authentication failed", "access denied", "no password supplied"),
     "it refuses the user or the password; check both in the URL"),
    (("could not translate host", "name or service not known", "failed to resolve", "getaddrinfo", "nodename nor"),
     "there is no such host; check its name in the URL"),
    (("connection refused", "can't connect", "timeout expired", "timed out", "no route to host"),
     "no server answers there; check the host, the port, and that the server runs and admits this machine"),
    (('database "', 'role "', "unknown database"), "it has no such database or user; check their names in the URL"),
    (("not a database",), "the file is no SQLite database; check its path"),
    (("permission denied", "command denied"), "the user may not read a table; grant it SELECT on Moodle's tables"),
    (("unable to open",), "the file cannot be opened; check its path and that this user may read it"),
)  # fmt: skip
