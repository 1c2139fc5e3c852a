"""A new site in a database: its tables are made and filled, and all of it is kept or nothing.

Everything goes into one transaction; a new SQLite file is written beside its place and moved there when it is complete.
MariaDB and MySQL cannot take back tables that they made: there they are dropped when something fails. Indexes are made
last.
"""

from __future__ import annotations

import re
import secrets
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from moodlemlbackend.analytics.databases import DRIVERS, make_engine, parse_url, reason_of
from moodlemlbackend.errors import StorageError, UsageError
from moodlemlbackend.files import storage_errors
from moodlemlbackend.simulation.site.loader import Loader
from moodlemlbackend.simulation.site.tables import Column, indexes, tables

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from sqlalchemy import URL, Connection, Engine, MetaData, Table

PREFIX = re.compile(r"(?:[a-z][a-z0-9_]{0,15})?")


@contextmanager
def new_site(url: str, prefix: str = "mdl_", schema: str = "4.2") -> Iterator[Loader]:
    """Make the tables of a site in the database, yield what loads them, and finish it or leave nothing.

    ``url`` is an SQLAlchemy URL or the path of an SQLite file. Raises UsageError for a URL or prefix that cannot be
    used, StorageError when the database cannot be reached or written, or has a table of that prefix.
    """
    if not PREFIX.fullmatch(prefix):
        raise UsageError(f"The prefix {prefix!r} cannot be used; use at most 16 lower-case letters, digits and _.")
    target = _parse(url)
    path = _new_file(target)
    if path is None:
        with _written(target, prefix, schema) as loader:
            yield loader
        return
    unfinished = path.with_name(f".{path.name}-{secrets.token_hex(8)}")
    with storage_errors(path):
        try:
            unfinished.touch(exist_ok=False)
        except OSError as error:
            raise OSError(error.errno, error.strerror) from error  # about the file asked for
    try:
        with _written(target.set(database=str(unfinished)), prefix, schema, shown=str(path), alone=True) as loader:
            yield loader
        with storage_errors(path):
            if path.exists() and path.stat().st_size:
                raise StorageError(f"Another file has since been created at {path}; move it, or choose another name.")
            unfinished.replace(path)
    except BaseException:
        with suppress(OSError):
            unfinished.unlink()
        raise


@contextmanager
def _written(
    target: URL, prefix: str, schema: str, *, shown: str | None = None, alone: bool = False
) -> Iterator[Loader]:
    """Do so in the database itself; ``alone`` is a file of which nobody else knows."""
    from sqlalchemy.schema import CreateTable

    shown = shown or target.render_as_string(hide_password=True)
    engine, connection = _connect(target, shown)
    transactional = engine.dialect.name in {"postgresql", "sqlite"}  # also when it makes tables
    made: dict[str, Table] = {}
    try:
        with connection:
            _refuse_tables(connection, prefix, shown)
            _begin(connection, alone=alone)
            for name, table in _define(prefix, schema).items():
                connection.execute(CreateTable(table))
                made[name] = table
            loader = Loader(connection, made, schema, commits=not transactional)
            yield loader
            loader.flush()
            for table in made.values():
                _finish(connection, table)
            connection.commit()
    except BaseException as error:
        engine.dispose()
        if not transactional:
            _drop(engine, made)
        if _is_of_database(error):
            raise StorageError(
                f"Cannot write the site into {shown}: {reason_of(error, target.password)}; nothing was kept."
            ) from error
        raise
    finally:
        engine.dispose()


# ---- reaching the database ----


def _parse(text: str) -> URL:
    """Read a URL, or the path of an SQLite file."""
    if "://" in text:
        return parse_url(text, "The site")
    return parse_url("sqlite:///path", "The site").set(database=text)


def _new_file(url: URL) -> Path | None:
    """Return the path of an SQLite file that is to be made, None for other databases and files in use."""
    if url.get_backend_name() != "sqlite" or not url.database or url.database.startswith("file:"):
        return None
    path = Path(url.database)
    with storage_errors(path):
        return None if path.exists() and path.stat().st_size else path


def _connect(url: URL, shown: str) -> tuple[Engine, Connection]:
    from sqlalchemy.exc import DBAPIError

    engine = make_engine(url)
    try:
        return engine, engine.connect()
    except DBAPIError as error:
        advice = "check the host, the port, the user, the password and that the database exists"
        if url.get_backend_name() == "sqlite":
            advice = "check that it is an SQLite file and that you may write to its directory"
        raise StorageError(f"Cannot open {shown}: {reason_of(error, url.password)}; {advice}.") from error


def _is_of_database(error: BaseException) -> bool:
    """Whether a database or its driver raised it; COPY goes past SQLAlchemy."""
    from sqlalchemy.exc import DBAPIError

    return isinstance(error, DBAPIError) or type(error).__module__.partition(".")[0] in DRIVERS.values()


def _refuse_tables(connection: Connection, prefix: str, shown: str) -> None:
    from sqlalchemy import inspect

    inspector = inspect(connection)
    names = [*inspector.get_table_names(), *inspector.get_view_names()]
    there = sorted(name for name in names if name.lower().startswith(prefix))
    if there:
        raise StorageError(
            f"{shown} already has tables with the prefix {prefix!r} ({there[0]}, {len(there)} in all), "
            "perhaps from a real site; nothing was changed. Choose another database or --prefix."
        )


# ---- making tables ----


def _define(prefix: str, schema: str) -> dict[str, Table]:
    """Return SQLAlchemy's tables with their indexes, by name without the prefix."""
    from sqlalchemy import Index, MetaData

    metadata: MetaData = MetaData()
    made = {}
    for name, columns in tables(schema).items():
        table = _table(metadata, prefix + name, columns)
        for number, (names, unique) in enumerate(indexes(name), start=1):
            Index(f"{prefix}{name}_ix{number}", *(table.c[column_name] for column_name in names), unique=unique)
        made[name] = table
    return made


def _table(metadata: MetaData, name: str, columns: tuple[Column, ...]) -> Table:
    import sqlalchemy as sa

    kinds: dict[str, Any] = {
        "int": sa.BigInteger(),
        "mid": sa.Integer(),
        "small": sa.SmallInteger(),
        "text": sa.Text(),
        "float": sa.Double(),
    }

    def kind_of(column: Column) -> Any:
        sizes = map(int, column.kind.split(",")) if column.kind not in kinds else ()
        return kinds.get(column.kind) or (sa.String if column.is_text else sa.Numeric)(*sizes)

    return sa.Table(
        name,
        metadata,
        *(
            sa.Column(
                column.name,
                kind_of(column),
                primary_key=column.name == "id",
                autoincrement=False,
                nullable=column.nullable,
            )
            for column in columns
        ),
        mysql_charset="utf8mb4",
    )


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
    if connection.dialect.name == "mysql":  # all in one pass over the table
        parts = []
        for index in made:
            columns = ", ".join(quote.quote(column.name) for column in index.columns)
            parts.append(f"ADD {'UNIQUE' if index.unique else ''} INDEX {index.name} ({columns})")
        if parts:
            connection.exec_driver_sql(f"ALTER TABLE {quote.format_table(table)} {', '.join(parts)}")
        return
    for index in made:
        index.create(connection)
    if connection.dialect.name in {"sqlite", "postgresql"}:
        connection.exec_driver_sql(f"ANALYZE {quote.format_table(table)}")


def _drop(engine: Engine, made: Mapping[str, Table]) -> None:
    from sqlalchemy.schema import DropTable

    with suppress(Exception), engine.begin() as connection:
        for table in made.values():
            connection.execute(DropTable(table, if_exists=True))
