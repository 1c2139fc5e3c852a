"""Opening a store: SQLite, PostgreSQL or MariaDB by its URL, brought to the present schema."""

from __future__ import annotations

import time
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, Engine, Table, bindparam, event, inspect, text
from sqlalchemy.exc import SQLAlchemyError

from moodlemlbackend.analytics.databases import make_engine, parse_url, reason_of
from moodlemlbackend.analytics.db.locks import locked
from moodlemlbackend.errors import StorageError
from moodlemlbackend.files import storage_errors

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Sequence

    from alembic.config import Config
    from sqlalchemy import URL, ColumnElement

HEAD = "0006"
"""The schema that this package reads and writes: the newest of ``migrations/versions``."""

VERSION_TABLE = "analytics_store_version"
WAIT_SECONDS = 60.0
UPGRADE_LOCK = "upgrade of the store"
_ROWS_AT_ONCE = 10_000
_BUSY = ("deadlock", "lock wait", "is locked")


class Store:
    """A store that is open; made by :func:`open_store`."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine

    def __str__(self) -> str:
        return self.engine.url.render_as_string(hide_password=True)

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A connection that sees one state of the store."""
        with _in_one_sentence(self), self.engine.connect() as connection:
            yield connection

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """A transaction: all of it is kept at the end of the block, or nothing."""
        with _in_one_sentence(self), self.engine.connect() as plain:
            connection = plain.execution_options(writes=True)
            with connection.begin():
                yield connection

    @contextmanager
    def lock(self, name: str, wait: float = 10.0) -> Iterator[bool]:
        """Hold the lock of this name; False in the block when another has it for ``wait`` seconds."""
        with _in_one_sentence(self), locked(self.engine, name, wait) as held:
            yield held

    def close(self) -> None:
        """Let go of the connections."""
        self.engine.dispose()


def open_store(url: str) -> Store:
    """Open the store, make it when there is none, and upgrade an older one.

    Raises
    ------
    UsageError
        The URL is none, or of a database whose driver is not installed.
    StorageError
        The store cannot be reached or written, is newer than this package, or belongs to something else.
    """
    engine = _engine(parse_url(url, "The store"))
    store = Store(engine)
    try:
        with store.read() as connection:
            version = _version(connection)
        if version != HEAD:
            _upgrade(store)
    except BaseException:
        engine.dispose()
        raise
    return store


def join_store(url: str) -> Store:
    """Open a store that a process on another machine, or of this one, has open; it is never made or upgraded.

    Raises
    ------
    StorageError
        The store cannot be reached from here, or belongs to another version of this package.
    """
    parsed = parse_url(url, "The store")
    absent = StorageError(
        f"The store {parsed.render_as_string(hide_password=True)} is not there on a worker of the cluster; use a "
        "PostgreSQL or MariaDB store that all machines reach, and the same version of this package."
    )
    if parsed.get_backend_name() == "sqlite" and not Path(str(parsed.database)).is_file():
        raise absent
    store = Store(_engine(parsed))
    with store.read() as connection:
        version = _version(connection)
    if version != HEAD:
        store.close()
        raise absent
    return store


def insert_rows(connection: Connection, into: Table, rows: Iterable[dict[str, Any]]) -> None:
    """Insert many rows of equal keys, in the way that the database is quickest at; some at a time are in memory."""
    left = iter(rows)
    while part := [*islice(left, _ROWS_AT_ONCE)]:
        if connection.dialect.name != "postgresql":
            connection.execute(into.insert(), part)
            continue
        names = list(part[0])
        columns = ", ".join(f'"{name}"' for name in names)
        driver: Any = connection.connection.driver_connection
        with driver.cursor() as cursor, cursor.copy(f'COPY "{into.name}" ({columns}) FROM STDIN') as copy:
            for row in part:
                copy.write_row([row[name] for name in names])


def among(column: ColumnElement[int], ids: Collection[int]) -> ColumnElement[bool]:
    """Whether a column is one of these ids, which may be more than a statement can have parameters."""
    return column.in_(bindparam(None, sorted(map(int, ids)) or [-1], expanding=True, literal_execute=True))


def upsert(
    connection: Connection, into: Table, values: dict[str, Any], keys: Sequence[str], *, replace: bool = True
) -> None:
    """Insert a row, or change the one that has the same unique keys; without ``replace`` that one stays as it is.

    Whoever does the same at that moment is waited for.
    """
    from sqlalchemy.dialects import mysql, postgresql, sqlite

    changed = {name: value for name, value in values.items() if name not in keys} if replace else {}
    if connection.dialect.name not in ("postgresql", "sqlite"):
        same = changed or {keys[0]: into.c[keys[0]]}
        connection.execute(mysql.insert(into).values(values).on_duplicate_key_update(same))
        return
    insert = (postgresql if connection.dialect.name == "postgresql" else sqlite).insert(into).values(values)
    if changed:
        connection.execute(insert.on_conflict_do_update(index_elements=keys, set_=changed))
    else:
        connection.execute(insert.on_conflict_do_nothing(index_elements=keys))


def is_empty(connection: Connection) -> bool:
    """Whether the database holds no store yet."""
    return not inspect(connection).has_table(VERSION_TABLE)


def _engine(url: URL) -> Engine:
    name = url.get_backend_name()
    options: dict[str, Any] = {"pool_pre_ping": True}
    if name == "sqlite":
        path = Path(str(url.database))
        with storage_errors(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            if not path.exists():
                path.touch()  # SQLite itself would leave out what the umask gives a group
        options = {"connect_args": {"timeout": WAIT_SECONDS, "check_same_thread": False}}
    elif name != "postgresql":
        options["isolation_level"] = "READ COMMITTED"
    engine = make_engine(url, **options)
    if name == "sqlite":
        event.listen(engine, "connect", _set_up_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
    return engine


def _set_up_sqlite(connection: Any, _record: Any) -> None:
    connection.isolation_level = None  # transactions are begun below, not by the driver
    _write_ahead(connection)
    connection.execute("PRAGMA synchronous=FULL").close()


def _write_ahead(connection: Any) -> None:
    """Have readers not wait for writers; whoever makes the same of a new file at the same moment is waited for.

    SQLite does not wait there by itself: two that hold the file for reading would wait for each other.
    """
    import sqlite3

    end = time.monotonic() + WAIT_SECONDS
    while True:
        try:
            connection.execute("PRAGMA journal_mode=WAL").close()
        except sqlite3.OperationalError:
            if time.monotonic() > end:
                raise
            time.sleep(0.02)
        else:
            return


def _begin_sqlite(connection: Connection) -> None:
    """Whoever is going to write waits for the others at once: later it would be refused."""
    writes = connection.get_execution_options().get("writes")
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def _version(connection: Connection) -> str | None:
    """Return the schema of a store, None of a new one; StorageError for what is none."""
    tables = set(inspect(connection).get_table_names())
    if VERSION_TABLE not in tables:
        if "analytics_models" in tables:
            raise StorageError(
                f"The database {connection.engine.url.render_as_string(hide_password=True)} contains Moodle's "
                "own analytics tables; give the store a separate database."
            )
        return None
    return connection.execute(text(f"SELECT version_num FROM {VERSION_TABLE}")).scalar()


def migrations() -> Config:
    """What alembic has to know; it migrates on the connection that the attribute ``connection`` is set to."""
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    config.set_main_option("path_separator", "os")
    return config


def _upgrade(store: Store) -> None:
    from alembic import command
    from alembic.script import ScriptDirectory

    config = migrations()
    with store.lock(UPGRADE_LOCK, WAIT_SECONDS) as held:
        if not held:
            raise StorageError(f"Another process was upgrading the store {store}; run the command again.")
        with store.read() as connection:
            version = _version(connection)
        if version == HEAD:
            return
        known = {revision.revision for revision in ScriptDirectory.from_config(config).walk_revisions()}
        if version is not None and version not in known:
            raise StorageError(
                f"The store {store} was created by a newer moodlemlbackend (its schema is {version}, this "
                f"package knows {HEAD}); upgrade the package, or choose another store."
            )
        with store.write() as connection:
            config.attributes["connection"] = connection
            command.upgrade(config, "head")


@contextmanager
def _in_one_sentence(store: Store) -> Iterator[None]:
    """Turn what a database says into one sentence, also to :func:`insert_rows`, which asks the driver itself."""
    driver: Any = store.engine.dialect.dbapi
    try:
        yield
    except (SQLAlchemyError, driver.Error) as error:
        reason = reason_of(error, store.engine.url.password)
        busy = any(words in reason.lower() for words in _BUSY)
        advice = "another process was using it; run the command again" if busy else "check the database and its URL"
        raise StorageError(f"The store {store} cannot be used: {reason}; {advice}.") from error
