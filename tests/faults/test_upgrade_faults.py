"""Stores that are made or upgraded, at fault at any step: the next command completes them, with all that is in them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("alembic", reason="needs the extra analytics")

from sqlalchemy import inspect, select

from fixtures.databases import KINDS, make_store_at, new_database
from fixtures.fault_states import SET, environment, small_site
from fixtures.faults import Commands, at_fault, give_faults
from fixtures.paths import posix
from fixtures.proxy import CONNECTION_FAULTS, Proxy, proxy_of
from moodlemlbackend.analytics.databases import make_engine, parse_url
from moodlemlbackend.analytics.db import open_store
from moodlemlbackend.analytics.db.schema import EXPLANATIONS, FEEDBACK, INSIGHTS, METADATA, MODELS, PREDICTIONS
from moodlemlbackend.errors import StorageError

_ = small_site  # a fixture
pytestmark = posix

FROM = ("nothing", "0001", "0002", "0004", "0005")
"""No store, and schemas of older packages."""

PREDICTED = {"modelid": 1, "contextid": 5, "prediction": 1, "predictionscore": 0.9, "calculations": "{}"}


def make(url: str, revision: str) -> None:
    """Make a store with a prediction twice in one range, and two marks of it where the schema has marks."""
    if revision == "nothing":
        return
    make_store_at(url, revision)
    engine = make_engine(parse_url(url, "The store"))
    with engine.begin() as connection:
        for number in (1, 2):
            made = {"id": number, "sampleid": 7, "rangeindex": 3, "timecreated": 5, **PREDICTED}
            connection.execute(PREDICTIONS.insert().values(made))
        if revision >= "0002":
            connection.execute(EXPLANATIONS.insert().values(predictionid=2, probability=0.25, reasons="[]"))
        if revision == "0002":
            for number in (1, 2):
                mark = {"modelid": 1, "predictionid": 1, "sampleid": 7, "rangeindex": 3, "userid": number, "label": 0}
                mark |= {"prediction": 1, "weight": 1, "calculations": "{}", "timecreated": 6}
                connection.execute(FEEDBACK.insert().values(mark))
    engine.dispose()


def state(url: str) -> dict[str, Any]:
    """The schema of a store, and what is in it; nothing is made or upgraded."""
    engine = make_engine(parse_url(url, "The store"))
    found: dict[str, Any] = {}
    with engine.connect() as connection:
        there = inspect(connection)
        for name in sorted(there.get_table_names()):
            found[name] = {
                "columns": [(one["name"], str(one["type"]), one["nullable"]) for one in there.get_columns(name)],
                "indexes": sorted(
                    (one["name"], one["unique"], *one["column_names"]) for one in there.get_indexes(name)
                ),
                "keys": sorted((one["name"], *one["column_names"]) for one in there.get_unique_constraints(name)),
                "rows": connection.exec_driver_sql(f"SELECT COUNT(*) FROM {name}").scalar(),
            }
        if all(table.name in found for table in METADATA.tables.values()):
            found["models"] = connection.execute(select(MODELS.c.target)).all()
            found["insights"] = connection.execute(select(INSIGHTS)).all()
            found["in force"] = connection.execute(select(FEEDBACK.c.id, FEEDBACK.c.inforce).order_by("id")).all()
    engine.dispose()
    return found


@dataclass(frozen=True)
class OnServer:
    """A store on a server, by itself and by way of a proxy."""

    url: str
    behind: str
    proxy: Proxy


@contextmanager
def on_server(kind: str, revision: str, folder: Path) -> Iterator[OnServer]:
    with new_database(kind, folder) as url, proxy_of(url) as (proxy, behind):
        make(url, revision)
        yield OnServer(url, behind, proxy)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "kind" not in metafunc.fixturenames:
        give_faults(metafunc, "revision", FROM, seldom=FROM[1:])
        return
    every = [(kind, revision, fault) for kind in KINDS[1:] for revision in FROM for fault in CONNECTION_FAULTS]
    few = [("postgresql", "0002", "cut"), ("mariadb", "nothing", "answer lost"), ("mariadb", "0002", "cut")]
    given = every if metafunc.config.getoption("every_fault") else few
    metafunc.parametrize(("kind", "revision", "fault"), given)


def test_a_store_in_a_file(revision, fault, tmp_path, copies, fault_hosts, small_site, chosen):
    template = tmp_path / "template"
    (template / "work").mkdir(parents=True)
    make(f"sqlite:///{template / 'work' / 'store.sqlite'}", revision)
    given = ["moodlemlbackend", "models", "list"]

    def begin() -> tuple[Commands, str]:
        folder = copies(template)
        commands = Commands(fault_hosts, folder, environment(folder, small_site), **SET)
        return commands, f"sqlite:///{folder / 'work' / 'store.sqlite'}"

    commands, url = begin()
    whole = commands.run(given)
    assert whole.code == 0, whole
    expected = state(url)
    for step in chosen(len(whole.steps)):
        commands, url = begin()
        _, about = at_fault(commands, given, fault, step, commands.folder / "work")
        assert commands.run(given).code == 0, about
        assert state(url) == expected, about


def test_a_store_on_a_server(kind, revision, fault, tmp_path, chosen):
    with on_server(kind, revision, tmp_path) as whole:
        open_store(whole.behind).close()
        expected, messages = state(whole.url), whole.proxy.messages
    for message in chosen(messages):
        with on_server(kind, revision, tmp_path) as tried:
            tried.proxy.fail(fault, message)
            about = f"{kind}, from {revision}, {fault} at message {message} of {messages}"
            with suppress(StorageError):
                open_store(tried.behind).close()
            tried.proxy.fail("", 0)
            try:
                open_store(tried.behind).close()
            except StorageError as error:
                raise AssertionError(about) from error
            assert state(tried.url) == expected, about
