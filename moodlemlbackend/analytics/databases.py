"""Databases by their SQLAlchemy URL: the driver for it, and a sentence where one is missing or says no.

SQLAlchemy is imported by what needs it, not with this module.
"""

from __future__ import annotations

import logging
import os
import socket
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from moodlemlbackend.errors import UsageError
from moodlemlbackend.interpreter import install_line

if TYPE_CHECKING:
    from sqlalchemy import URL, Engine

KINDS = {"postgres": "postgresql", "postgresql": "postgresql", "mysql": "mysql", "mariadb": "mysql",
         "sqlite": "sqlite"}  # fmt: skip
"""Kind of database by the name in its URL; this package's extra with its driver is called so, too."""

DRIVERS = {"postgresql": "psycopg", "mysql": "pymysql", "sqlite": "pysqlite"}
"""Driver for a URL that names none."""

CONNECT_SECONDS = 10
"""Time after which a server that does not answer is given up."""

CUT_OFF_SECONDS = 120
"""Time after which a connection ends whose server's machine cannot be reached; the system itself takes hours."""


def parse_url(text: str, what: str) -> URL:
    """Read the URL of ``what`` ("The store"), and put in the driver that it leaves out; UsageError where it is none."""
    try:
        from sqlalchemy import make_url
        from sqlalchemy.exc import ArgumentError
    except ModuleNotFoundError as error:
        raise not_installed(error, "") from None
    try:
        url = make_url(text)
    except (ArgumentError, ValueError):
        raise UsageError(
            f"{what} must be a database URL, such as postgresql://user@host/database or sqlite:////srv/file.sqlite."
        ) from None
    name = url.get_backend_name()
    if name not in KINDS:
        raise UsageError(f"{what} cannot be in {name!r}; use sqlite, postgresql, mysql or mariadb.")
    if name == "sqlite" and url.database in (None, "", ":memory:"):
        raise UsageError(f"{what} in SQLite needs a file, for example sqlite:////srv/file.sqlite.")
    if "+" in url.drivername or name == "sqlite":
        return url
    return url.set(drivername=f"{KINDS[name]}+{DRIVERS[KINDS[name]]}")


def make_engine(url: URL, **options: Any) -> Engine:
    """Make what connects to a database; UsageError when the URL's driver is not there."""
    from sqlalchemy import create_engine, event
    from sqlalchemy.exc import ArgumentError, NoSuchModuleError

    kind = KINDS[url.get_backend_name()]
    if kind != "sqlite":
        options = {"connect_args": {"connect_timeout": CONNECT_SECONDS}, **options}
    try:
        engine = create_engine(url, **options)
    except ModuleNotFoundError as error:
        raise not_installed(error, kind) from error
    except (NoSuchModuleError, ArgumentError) as error:
        driver = url.drivername.partition("+")[2]
        raise UsageError(f"There is no driver {driver!r} for {kind}; leave the driver out of the URL.") from error
    for name in ("sqlalchemy.pool", "psycopg"):  # else they write of a connection that is gone anyway
        if not (log := logging.getLogger(name)).handlers:
            log.addHandler(logging.NullHandler())
    if kind != "sqlite":
        event.listen(engine, "connect", lambda connection, _record: end_when_cut_off(connection))
    return engine


def end_when_cut_off(connection: Any) -> None:
    """Have a driver's connection end :data:`CUT_OFF_SECONDS` after its server was cut off; a long query may go on."""
    options = {
        "TCP_KEEPIDLE": CUT_OFF_SECONDS // 4, "TCP_KEEPINTVL": CUT_OFF_SECONDS // 4,
        "TCP_USER_TIMEOUT": CUT_OFF_SECONDS * 1000,
    }  # fmt: skip
    link = getattr(connection, "_sock", connection)  # PyMySQL gives its socket no other name
    with suppress(OSError, AttributeError), socket.socket(fileno=os.dup(link.fileno())) as same:
        same.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for name, value in options.items():
            if hasattr(socket, name):
                same.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)


def not_installed(error: ModuleNotFoundError, kind: str) -> UsageError:
    """What to say when a package for this kind of database is not there."""
    extra = kind if error.name != "sqlalchemy" and kind else "analytics"
    return UsageError(
        f"The package {error.name}, which {kind or 'a database'} needs, is not installed; {install_line(extra)}."
    )


def reason_of(error: BaseException, password: object) -> str:
    """What a driver says, on one line and without the password."""
    raised = getattr(error, "orig", None) or error
    text = " ".join(str(raised.args[-1] if raised.args else raised).split()).rstrip(".") or type(raised).__name__
    return text.replace(str(password), "***") if password else text
