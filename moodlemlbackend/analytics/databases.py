"""Databases by their SQLAlchemy URL: the driver for it, and a sentence where one is missing or says no.

SQLAlchemy is imported by what needs it, not with this module.
"""

from __future__ import annotations

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
    from sqlalchemy import create_engine
    from sqlalchemy.exc import ArgumentError, NoSuchModuleError

    kind = KINDS[url.get_backend_name()]
    if kind != "sqlite":
        options = {"connect_args": {"connect_timeout": CONNECT_SECONDS}, **options}
    try:
        return create_engine(url, **options)
    except ModuleNotFoundError as error:
        raise not_installed(error, kind) from error
    except (NoSuchModuleError, ArgumentError) as error:
        driver = url.drivername.partition("+")[2]
        raise UsageError(f"There is no driver {driver!r} for {kind}; leave the driver out of the URL.") from error


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
