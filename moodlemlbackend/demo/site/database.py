"""A new site in a database: tables are made, rows loaded in bulk, and all of it is kept or nothing.

Everything goes into one transaction, in PostgreSQL by COPY; a new SQLite file is written beside its place and moved
there when it is complete. MariaDB and MySQL cannot take back tables that they made: there they are dropped when
something fails. Indexes are made last.
"""

from __future__ import annotations

import os
import re
import tempfile
from collections import defaultdict
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Union

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from moodlemlbackend._files import storage_errors
from moodlemlbackend.demo.site.tables import Column, indexes, tables
from moodlemlbackend.errors import StorageError, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from sqlalchemy import URL, Connection, Engine, MetaData, Table

Values = Union[NDArray[Any], "pa.Array", str, float, None]
"""What a column is filled with: an array, masked where it is NULL, or one value for all rows."""

BATCH_ROWS = 50_000
CONNECT_SECONDS = 10
PREFIX = re.compile(r"(?:[a-z][a-z0-9_]{0,15})?")

_DRIVERS = {
    "postgresql": "postgresql+psycopg",
    "postgres": "postgresql+psycopg",
    "mysql": "mysql+pymysql",
    "mariadb": "mariadb+pymysql",
}
_EXTRAS = {"psycopg": "postgresql", "pymysql": "mysql"}


class Loader:
    """Takes the rows of a new site, table by table, and loads them in batches."""

    def __init__(self, connection: Connection, made: Mapping[str, Table], schema: str) -> None:
        self._connection = connection
        self._made = made
        self._columns = tables(schema)
        self._all = {table: {column.name for column in columns} for table, columns in tables("4.2").items()}
        self._all["user"].add("url")
        self._next: defaultdict[str, int] = defaultdict(lambda: 1)
        self._waiting: defaultdict[str, list[pa.Table]] = defaultdict(list)
        self.rows: defaultdict[str, int] = defaultdict(int)

    def ids(self, table: str, number: int) -> NDArray[np.int64]:
        """Return the next ids of a table, (number,)."""
        first = self._next[table]
        self._next[table] = first + number
        return np.arange(first, first + number)

    def add(self, table: str, number: int, columns: Mapping[str, Values]) -> NDArray[np.int64]:
        """Add ``number`` rows and return their ids, new ones unless ``columns`` has them.

        A column that is not given is NULL, or else 0 or an empty text. Tables and columns that this version of Moodle
        does not have are left out.
        """
        unknown = set(columns) - self._all[table]
        if unknown:
            raise KeyError(f"{table} has no {', '.join(sorted(unknown))}")
        ids = columns["id"] if "id" in columns else self.ids(table, number)
        if number and table in self._columns:
            arrays = [_to_arrow(column, {**columns, "id": ids}, number) for column in self._columns[table]]
            waiting = self._waiting[table]
            waiting.append(pa.Table.from_arrays(arrays, [column.name for column in self._columns[table]]))
            self.rows[table] += number
            if sum(len(one) for one in waiting) >= BATCH_ROWS:
                self._load(table)
        return np.asarray(ids)

    def flush(self) -> None:
        """Load what is still waiting."""
        for table in list(self._waiting):
            self._load(table)

    def _load(self, table: str) -> None:
        data = pa.concat_tables(self._waiting.pop(table))
        quote = self._connection.dialect.identifier_preparer
        into = f"{quote.format_table(self._made[table])} ({', '.join(map(quote.quote, data.column_names))})"
        if self._connection.dialect.driver == "psycopg":
            self._copy(into, data)
            return
        mark = "?" if self._connection.dialect.paramstyle == "qmark" else "%s"
        insert = f"INSERT INTO {into} VALUES ({', '.join([mark] * data.num_columns)})"  # noqa: S608 names are quoted
        for batch in data.to_batches(max_chunksize=BATCH_ROWS):
            rows = list(zip(*(column.to_pylist() for column in batch.columns), strict=True))
            self._connection.exec_driver_sql(insert, rows)
        if not _takes_back_tables(self._connection):
            self._connection.commit()

    def _copy(self, into: str, data: pa.Table) -> None:
        from pyarrow import csv

        driver: Any = self._connection.connection.driver_connection
        options = csv.WriteOptions(include_header=False)
        with driver.cursor() as cursor, cursor.copy(f"COPY {into} FROM STDIN (FORMAT csv)") as copy:
            for batch in data.to_batches(max_chunksize=BATCH_ROWS):
                text = pa.BufferOutputStream()
                csv.write_csv(batch, text, options)  # NULL is an empty cell, an empty text is ""
                copy.write(text.getvalue().to_pybytes())


@contextmanager
def new_site(url: str, prefix: str = "mdl_", schema: str = "4.2") -> Iterator[Loader]:
    """Make the tables of a site in the database, yield what loads them, and finish it or leave nothing.

    ``url`` is an SQLAlchemy URL or the path of an SQLite file. Raises UsageError for a URL or prefix that cannot be
    used, StorageError when the database cannot be reached or written, or has a table of that prefix.
    """
    if not PREFIX.fullmatch(prefix):
        raise UsageError(f"The prefix {prefix!r} cannot be used; take lower-case letters, digits and _, 16 at most.")
    target = _parse(url)
    path = _new_file(target)
    if path is None:
        with _written(target, prefix, schema) as loader:
            yield loader
        return
    with storage_errors(path):
        try:
            descriptor, name = tempfile.mkstemp(prefix=f".{path.name}-", dir=path.parent)
        except OSError as error:
            raise OSError(error.errno, error.strerror) from error  # about the file asked for
    os.close(descriptor)
    unfinished = Path(name)
    try:
        with _written(target.set(database=name), prefix, schema, shown=str(path), alone=True) as loader:
            yield loader
        with storage_errors(path):
            if path.exists() and path.stat().st_size:
                raise StorageError(f"Another file has become {path} meanwhile; move it away, or choose another name.")
            mask = os.umask(0)
            os.umask(mask)
            unfinished.chmod(0o666 & ~mask)
            unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)


@contextmanager
def _written(
    target: URL, prefix: str, schema: str, *, shown: str | None = None, alone: bool = False
) -> Iterator[Loader]:
    """Do so in the database itself; ``alone`` is a file of which nobody else knows."""
    from sqlalchemy.exc import DBAPIError, NoSuchModuleError
    from sqlalchemy.schema import CreateTable

    shown = shown or target.render_as_string(hide_password=True)
    try:
        engine = _engine(target)
        connection = engine.connect()
    except NoSuchModuleError as error:
        raise UsageError(
            f"{shown} names a kind of database that is not known here; take sqlite, postgresql, mariadb or mysql."
        ) from error
    except DBAPIError as error:
        advice = "check the host, the port, the user, the password and that the database exists"
        if target.get_backend_name() == "sqlite":
            advice = "check that it is an SQLite file and that you may write to its directory"
        raise StorageError(f"Cannot open {shown}: {_reason(error, target)}; {advice}.") from error

    made: dict[str, Table] = {}
    try:
        with connection:
            _refuse_tables(connection, prefix, shown)
            _begin(connection, alone=alone)
            for name, table in _define(prefix, schema).items():
                connection.execute(CreateTable(table))
                made[name] = table
            loader = Loader(connection, made, schema)
            yield loader
            loader.flush()
            for table in made.values():
                _finish(connection, table)
            connection.commit()
    except BaseException as error:
        with suppress(Exception):
            connection.invalidate()
        if not _takes_back_tables(connection):
            _drop(engine, made)
        if (
            isinstance(error, DBAPIError) or type(error).__module__.partition(".")[0] in _EXTRAS
        ):  # COPY is psycopg's own
            raise StorageError(
                f"Cannot write the site into {shown}: {_reason(error, target)}; nothing of it was kept."
            ) from error
        raise
    finally:
        engine.dispose()


def _parse(text: str) -> URL:
    """Return the URL with the driver that the extras bring."""
    try:
        from sqlalchemy import URL, make_url
        from sqlalchemy.exc import ArgumentError
    except ModuleNotFoundError as error:
        raise UsageError("A database needs SQLAlchemy: pip install moodlemlbackend[analytics]") from error
    if "://" not in text:
        return URL.create("sqlite", database=text)
    try:
        url = make_url(text)
    except (ArgumentError, ValueError) as error:
        raise UsageError("The URL of the database cannot be read; write postgresql://user@host/database.") from error
    if url.get_backend_name() == "sqlite" and url.database in {None, "", ":memory:"}:
        raise UsageError("The URL names no file; write sqlite:///site.db.")
    return url.set(drivername=_DRIVERS.get(url.drivername, url.drivername))


def _new_file(url: URL) -> Path | None:
    """Return the path of an SQLite file that is to be made, None for other databases and files in use."""
    if url.get_backend_name() != "sqlite" or not url.database or url.database.startswith("file:"):
        return None
    path = Path(url.database)
    with storage_errors(path):
        return None if path.exists() and path.stat().st_size else path


def _engine(url: URL) -> Engine:
    from sqlalchemy import create_engine

    try:
        if url.get_backend_name() == "sqlite":
            return create_engine(url)
        return create_engine(url, connect_args={"connect_timeout": CONNECT_SECONDS})
    except ModuleNotFoundError as error:
        extra = _EXTRAS.get(error.name or "")
        what = f"moodlemlbackend[{extra}]" if extra else error.name
        raise UsageError(f"The driver {error.name} of this database is not installed: pip install {what}") from error


def _reason(error: Any, url: URL) -> str:
    """What the driver says, on one line and without the password."""
    raised = getattr(error, "orig", None) or error
    said = raised.args[-1] if raised.args else raised
    lines = str(said).strip().splitlines() or [type(error).__name__]
    return lines[0].rstrip(".").replace(str(url.password), "***") if url.password else lines[0].rstrip(".")


def _refuse_tables(connection: Connection, prefix: str, shown: str) -> None:
    from sqlalchemy import inspect

    inspector = inspect(connection)
    names = [*inspector.get_table_names(), *inspector.get_view_names()]
    there = sorted(name for name in names if name.lower().startswith(prefix))
    if there:
        raise StorageError(
            f"{shown} already has tables with the prefix {prefix!r} ({there[0]}, {len(there)} in all), maybe of a real "
            "site; nothing was changed. Choose another database or --prefix."
        )


def _define(prefix: str, schema: str) -> dict[str, Table]:
    from sqlalchemy import Index, MetaData

    metadata: MetaData = MetaData()
    made = {}
    for name, columns in tables(schema).items():
        table = _table(metadata, prefix + name, columns)
        for number, (names, unique) in enumerate(indexes(name), start=1):
            Index(f"{prefix}{name}_ix{number}", *(table.c[one] for one in names), unique=unique)
        made[name] = table
    return made


def _table(metadata: MetaData, name: str, columns: tuple[Column, ...]) -> Table:
    import sqlalchemy as sa

    def _numbers(kind: str) -> Any:
        return map(int, kind.split(","))

    kinds: dict[str, Any] = {
        "int": sa.BigInteger(),
        "mid": sa.Integer(),
        "small": sa.SmallInteger(),
        "text": sa.Text(),
        "float": sa.Double(),
    }
    return sa.Table(
        name,
        metadata,
        *(
            sa.Column(
                column.name,
                kinds.get(column.kind) or (sa.String if column.is_text else sa.Numeric)(*_numbers(column.kind)),
                primary_key=column.name == "id",
                autoincrement=False,
                nullable=column.nullable,
            )
            for column in columns
        ),
        mysql_charset="utf8mb4",
        mariadb_charset="utf8mb4",
    )


def _takes_back_tables(connection: Connection) -> bool:
    """Whether a transaction that fails takes the tables with it that it made."""
    return connection.dialect.name in {"postgresql", "sqlite"}


def _begin(connection: Connection, *, alone: bool) -> None:
    """Begin the one transaction; SQLite's driver would begin it only after the tables."""
    if connection.dialect.name == "sqlite":
        driver: Any = connection.connection.driver_connection
        driver.isolation_level = None
        if alone:
            connection.exec_driver_sql("PRAGMA journal_mode = OFF")
            connection.exec_driver_sql("PRAGMA synchronous = OFF")
        connection.exec_driver_sql("BEGIN")


def _finish(connection: Connection, table: Table) -> None:
    """Make the indexes of a table, and tell the database's planner what it holds."""
    quote = connection.dialect.identifier_preparer
    made = sorted(table.indexes, key=lambda index: str(index.name))
    if _takes_back_tables(connection):
        for index in made:
            index.create(connection)
        connection.exec_driver_sql(f"ANALYZE {quote.format_table(table)}")
    elif made:  # all of them in one pass
        parts = []
        for index in made:
            columns = ", ".join(quote.quote(column.name) for column in index.columns)
            parts.append(f"ADD {'UNIQUE' if index.unique else ''} INDEX {index.name} ({columns})")
        connection.exec_driver_sql(f"ALTER TABLE {quote.format_table(table)} {', '.join(parts)}")


def _drop(engine: Engine, made: Mapping[str, Table]) -> None:
    from sqlalchemy.schema import DropTable

    with suppress(Exception), engine.begin() as connection:
        for table in made.values():
            connection.execute(DropTable(table, if_exists=True))


def _to_arrow(column: Column, columns: Mapping[str, Values], number: int) -> pa.Array:
    """Return (number,) values for a column: whole numbers, floats or text, with NULL only where it is admitted."""
    kind = pa.string() if column.is_text else pa.int64() if column.is_whole else pa.float64()
    values = columns.get(column.name, None if column.nullable else "" if column.is_text else 0)
    if isinstance(values, pa.Array):
        array = values.cast(kind)
    elif isinstance(values, np.ma.MaskedArray):
        array = pa.array(values.data, mask=np.ma.getmaskarray(values)).cast(kind)
    elif isinstance(values, np.ndarray):
        array = pa.array(values, None if values.dtype.kind in "iufb" else kind).cast(kind)
    else:
        array = pa.nulls(number, kind) if values is None else pa.repeat(pa.scalar(values, kind), number)
    if len(array) != number or (array.null_count and not column.nullable):
        raise ValueError(f"{column.name}: {len(array)} values, {array.null_count} of them NULL, for {number} rows")
    return array
