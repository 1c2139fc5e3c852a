"""Databases made for a test and dropped after it, on the servers that there are."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from oracle import MARIADB, POSTGRESQL

KINDS = ("sqlite", "postgresql", "mariadb")


@contextmanager
def new_database(kind: str, folder: Path) -> Iterator[str]:
    """Give the URL of an empty database; skips the test when there is no server of the kind."""
    if kind == "sqlite":
        yield f"sqlite:///{folder / 'store.sqlite'}"
        return
    from sqlalchemy import create_engine, make_url, text
    from sqlalchemy.exc import SQLAlchemyError

    pytest.importorskip("psycopg" if kind == "postgresql" else "pymysql", reason=f"needs the driver of {kind}")
    driver = "postgresql+psycopg" if kind == "postgresql" else "mysql+pymysql"
    server = make_url(POSTGRESQL if kind == "postgresql" else MARIADB).set(drivername=driver)
    engine = create_engine(server, isolation_level="AUTOCOMMIT", connect_args={"connect_timeout": 3})
    name = f"test_{secrets.token_hex(6)}"
    try:
        with engine.connect() as connection:
            connection.execute(text(f"CREATE DATABASE {name}"))
    except SQLAlchemyError:
        engine.dispose()
        pytest.skip(f"no {kind} server to test on")
    try:
        yield server.set(database=name, drivername=kind).render_as_string(hide_password=False)
    finally:
        with engine.connect() as connection:
            connection.execute(text(f"DROP DATABASE {name}" + (" WITH (FORCE)" if kind == "postgresql" else "")))
        engine.dispose()
