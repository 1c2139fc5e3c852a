"""Connecting to a site's database by its SQLAlchemy URL, and telling in a sentence why it cannot be done.

The usual drivers are called directly: importing SQLAlchemy takes longer than reading a small site. It makes the
connection for a URL that names another driver.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import parse_qsl, quote, unquote, urlsplit

from moodlemlbackend.analytics.databases import (
    CONNECT_SECONDS,
    DRIVERS,
    KINDS,
    end_when_cut_off,
    not_installed,
    reason_of,
)
from moodlemlbackend.errors import SiteError, UsageError
from moodlemlbackend.files import exists

MYSQL_PORT = 3306
TEMPORARY = "duckdb"
"""Kind of the databases that stand for tables in files; nobody else names one."""


def names_database(text: str) -> bool:
    """Whether a text is the URL of a database, and not of anything else."""
    scheme, mark, _ = text.partition("://")
    return bool(mark) and scheme.partition("+")[0] in KINDS


def no_kind(what: str, kind: str) -> UsageError:
    """What to say of a URL of a kind that is not read, for ``what`` ("The log store")."""
    return UsageError(f"{what} is {kind!r}; choose postgresql, mysql, mariadb or sqlite.")


class Connected(NamedTuple):
    """A connection of a driver, by PEP 249: its kind of database and how it marks parameters."""

    connection: Any
    dialect: str
    paramstyle: str


class Location:
    """The URL of a database. ``shown`` is the URL without its password; ``what`` is how messages begin."""

    def __init__(self, url: str, what: str = "The site's database") -> None:
        self._what = what
        scheme, _, rest = url.partition("://")
        kind, _, self._driver = scheme.partition("+")
        try:
            parts = urlsplit(f"{kind}://{rest}")
            self._host, self._port = parts.hostname or "", parts.port
        except ValueError:
            raise UsageError(_NO_URL) from None
        if not re.fullmatch(r"\w+", kind) or not rest:
            raise UsageError(_NO_URL)
        if kind != TEMPORARY and kind not in KINDS:
            raise no_kind(what, kind)
        self.url, self.dialect = url, KINDS.get(kind, kind)
        self._user, self._password = unquote(parts.username or ""), unquote(parts.password or "")
        self._path, self._query = parts.path, parts.query
        self._rest = rest
        account, at, server = parts.netloc.rpartition("@")
        name, colon, _ = account.partition(":")
        if kind == TEMPORARY:
            self.shown = dict(parse_qsl(parts.query))["base"]
            return
        self.shown = f"{scheme}://{name}{colon and ':***'}{at}{server}{rest[len(parts.netloc) :]}"

    def connect(self) -> Connected:
        """Open a connection; raises :class:`SiteError` or :class:`UsageError`, each with one sentence."""
        with self.errors_in_sentences():
            if self.dialect not in ("sqlite", TEMPORARY) and self._driver not in ("", DRIVERS[self.dialect]):
                return self._connect_otherwise()
            try:
                openers = {"sqlite": self._sqlite, "postgresql": self._postgresql, "mysql": self._mysql}
                return openers.get(self.dialect, self._temporary)()
            except ModuleNotFoundError as error:
                raise not_installed(error, self.dialect) from None

    @contextmanager
    def errors_in_sentences(self) -> Iterator[None]:
        """Turn what a driver raises into one sentence, without the password."""
        try:
            yield
        except Exception as error:
            if type(error).__module__.partition(".")[0] in _DRIVER_PACKAGES:
                raise SiteError(self._sentence(error)) from None
            raise

    def _sqlite(self) -> Connected:
        import sqlite3

        name = unquote(self._path.removeprefix("/"))
        if not name or not exists(name) or not Path(name).is_file():
            raise SiteError(f"There is no SQLite database {name!r}; check the path.")
        connection = sqlite3.connect(f"file:{quote(str(Path(name).resolve()))}?mode=ro", uri=True, isolation_level=None)
        connection.execute("PRAGMA query_only = ON")
        return Connected(connection, self.dialect, "named")

    def _temporary(self) -> Connected:
        from moodlemlbackend.analytics.site.lake import connect

        return Connected(connect(Path(self._path.removeprefix("/")), self.shown), self.dialect, "dollar")

    def _postgresql(self) -> Connected:
        import psycopg

        url = f"postgresql://{self._rest}"
        if "connect_timeout" not in self._query:
            url += f"{'&' if self._query else '?'}connect_timeout={CONNECT_SECONDS}"
        connection = psycopg.connect(url, autocommit=True)
        end_when_cut_off(connection)
        return Connected(connection, self.dialect, "pyformat")

    def _mysql(self) -> Connected:
        import pymysql

        options: dict[str, Any] = {
            name: int(value) if value.isdecimal() else value for name, value in parse_qsl(self._query)
        }
        options.setdefault("connect_timeout", CONNECT_SECONDS)
        connection = pymysql.connect(
            host=self._host or "localhost", port=self._port or MYSQL_PORT, user=self._user, password=self._password,
            database=unquote(self._path.removeprefix("/")) or None, charset=options.pop("charset", "utf8mb4"),
            **options,
        )  # fmt: skip
        end_when_cut_off(connection)
        return Connected(connection, self.dialect, "pyformat")

    def _connect_otherwise(self) -> Connected:
        """By way of SQLAlchemy, with a driver of the admin's choice."""
        try:
            import sqlalchemy
        except ModuleNotFoundError as error:
            raise not_installed(error, self.dialect) from None
        try:
            engine = sqlalchemy.create_engine(self.url, poolclass=sqlalchemy.NullPool)
        except ModuleNotFoundError as error:
            raise not_installed(error, self.dialect) from None
        except sqlalchemy.exc.ArgumentError:
            raise UsageError(
                f"There is no driver {self._driver!r} for {self.dialect}; leave the driver out of the URL."
            ) from None
        if engine.dialect.is_async:
            raise UsageError(f"The driver {self._driver!r} doesn't work like the usual ones; leave it out of the URL.")
        pooled = engine.raw_connection()
        made: Any = pooled.driver_connection
        if not callable(getattr(made, "autocommit", len)):
            made.autocommit = True
        end_when_cut_off(made)
        return Connected(pooled, self.dialect, "pyformat")

    def _sentence(self, error: Exception) -> str:
        reason = reason_of(error, self._password)
        if self.dialect == TEMPORARY:
            return (
                f"{self._what} {self.shown} cannot be read: {reason.partition(' LINE 1:')[0][:300]}; check the files."
            )
        if refused := _REFUSED_TABLE.search(reason):
            return (
                f"{self._what} {self.shown} cannot be used: its user may not read the table {refused[1]}; "
                "grant it SELECT on all of Moodle's tables."
            )
        for words, advice in _ADVICE:
            if any(word in reason.lower() for word in words):
                return f"{self._what} {self.shown} cannot be used: {advice}."
        return f"{self._what} {self.shown} cannot be read: {reason[:300]}; check the URL and the tables."


_NO_URL = (
    "The site must be a database URL or a folder of tables, for example "
    "postgresql://user:password@host/moodle or sqlite:///moodle.sqlite."
)
_REFUSED_TABLE = re.compile(
    r"(?:permission denied|command denied).* (?:table|view|relation) [`'\"]?(?:\w+`?\.`?)?(\w+)"
)
_DRIVER_PACKAGES = (
    "_duckdb",
    "duckdb",
    "psycopg",
    "pymysql",
    "sqlite3",
    "sqlalchemy",
    "psycopg2",
    "MySQLdb",
    "mysql",
    "pg8000",
    "mariadb",
)
_ADVICE = (
    (("password authentication failed", "access denied", "no password supplied"),
     "it refused the user name or password; check both in the URL"),
    (("could not translate host", "name or service not known", "failed to resolve", "getaddrinfo", "nodename nor"),
     "the host does not exist; check its name in the URL"),
    (("connection refused", "can't connect", "timeout expired", "timed out", "no route to host"),
     "no server answers there; check the host and port, that the server is running, and that it "
     "accepts connections from this machine"),
    (('database "', 'role "', "unknown database"), "it has no such database or user; check their names in the URL"),
    (("not a database",), "the file is not an SQLite database; check its path"),
    (("permission denied", "command denied"), "the user may not read a table; grant it SELECT on Moodle's tables"),
    (("unable to open",), "the file cannot be opened; check its path and that this user may read it"),
)  # fmt: skip
