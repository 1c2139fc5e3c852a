"""Stores on a server whose connections are cut, slow or deadlocked at any message: one sentence, and nothing lost."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("alembic", reason="needs the extra analytics")

from sqlalchemy import create_engine, text

from fixtures.databases import KINDS, new_database
from fixtures.fault_states import CREATE, SET, check_nothing_twice, environment, small_site, state
from fixtures.faults import Commands, Ended, is_told_in_a_sentence
from fixtures.paths import posix
from fixtures.proxy import CONNECTION_FAULTS, proxy_of
from moodlemlbackend.analytics.databases import parse_url
from moodlemlbackend.analytics.db import open_store
from moodlemlbackend.analytics.db.schema import FILES, TRAIN_SAMPLES
from moodlemlbackend.errors import StorageError

_ = small_site  # a fixture
pytestmark = posix

SERVERS = KINDS[1:]
TASKS = ("train", "predict")
DEADLOCK_SECONDS = 5


class OnServer:
    """A site's models whose store is on a server, behind a proxy."""

    def __init__(self, url: str, folder: Path, hosts: Any, site: str, stack: ExitStack) -> None:
        self.url, self.folder = url, folder
        self.proxy, behind = stack.enter_context(proxy_of(url))
        self._commands = Commands(hosts, folder, environment(folder, site, behind), **SET)

    def run(self, *words: str) -> Ended:
        return self._commands.run(["moodlemlbackend", *words])

    def start(self, *words: str) -> None:
        self._commands.start(["moodlemlbackend", *words])

    def has_ended(self) -> bool:
        return self._commands.has_ended()

    def end(self) -> Ended:
        return self._commands.end()

    def state(self) -> dict[str, Any]:
        found = state(self.folder, self.url)
        check_nothing_twice(found)
        return found


@pytest.fixture
def on_server(tmp_path_factory, fault_hosts, small_site) -> Iterator[Callable[[str, str], OnServer]]:
    """A function that makes a site's models on a server of a kind, as they are before a task."""
    templates: dict[tuple[str, str], OnServer] = {}
    with ExitStack() as stack:

        def begin(kind: str, like: str = "") -> OnServer:
            folder = tmp_path_factory.mktemp("store")
            url = stack.enter_context(new_database(kind, folder, like))
            return OnServer(url, folder, fault_hosts, small_site, stack)

        def make(kind: str, task: str) -> OnServer:
            if (kind, task) not in templates:
                template = templates[kind, task] = begin(kind)
                for words in (CREATE, ("tasks", "train"))[: 2 if task == "predict" else 1]:
                    assert template.run(*words).code == 0
            template = templates[kind, task]
            made = begin(kind, template.url)
            shutil.copytree(template.folder, made.folder, dirs_exist_ok=True)
            return made

        yield make


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "fault" in metafunc.fixturenames:
        every = [(kind, task, fault) for kind in SERVERS for task in TASKS for fault in CONNECTION_FAULTS]
        few = [("postgresql", "predict", "answer lost"), ("mariadb", "predict", "cut")]
        metafunc.parametrize(("kind", "task", "fault"), every if metafunc.config.getoption("every_fault") else few)


def test_a_connection_at_fault(kind, task, fault, on_server, chosen):
    whole = on_server(kind, task)
    whole.proxy.fail("", 0)
    assert whole.run("tasks", task).code == 0
    new, messages = whole.state(), whole.proxy.messages
    for message in chosen(messages):
        tried = on_server(kind, task)
        tried.proxy.fail(fault, message)
        ended = tried.run("tasks", task)
        about = f"{kind}, tasks {task}, {fault} at message {message} of {messages}: {ended}"
        is_told_in_a_sentence(ended, about)
        tried.proxy.fail("", 0)
        tried.state()
        again = tried.run("tasks", task)
        assert again.code == 0, (about, again)
        assert tried.state() == new, about
        assert tried.run("tasks", task).code == 0
        assert tried.state() == new, about


@pytest.mark.parametrize("kind", SERVERS)
def test_a_slow_connection(kind, on_server):
    slow = on_server(kind, "predict")
    slow.proxy.fail("", 0, delay=0.01)
    assert slow.run("tasks", "predict").code == 0
    assert slow.proxy.messages > 20


@pytest.mark.parametrize("kind", SERVERS)
def test_a_deadlock(kind, on_server):
    """Another connection holds what a training needs, and needs what the training holds: the server ends the latter."""
    store = on_server(kind, "train")
    engine = create_engine(parse_url(store.url, "The store"))
    waiting = {
        "postgresql": "SELECT count(*) FROM pg_locks WHERE NOT granted AND database = "
                      "(SELECT oid FROM pg_database WHERE datname = current_database())",
        "mariadb": "SELECT count(*) FROM information_schema.innodb_trx WHERE trx_state = 'LOCK WAIT'",
    }[kind]  # fmt: skip
    if kind == "postgresql":
        with engine.connect() as connection:
            connection.execution_options(isolation_level="AUTOCOMMIT").execute(
                text(f"ALTER DATABASE {engine.url.database} SET deadlock_timeout = '{DEADLOCK_SECONDS}s'")
            )
    with engine.connect() as other, engine.connect() as watcher, other.begin():
        watcher = watcher.execution_options(isolation_level="AUTOCOMMIT")
        if kind == "postgresql":
            other.execute(text("SET LOCAL deadlock_timeout = '1h'"))
            other.execute(text(f"LOCK TABLE {TRAIN_SAMPLES.name} IN SHARE MODE"))
        else:  # the one that has changed less is ended
            other.execute(text("CREATE TEMPORARY TABLE heavy (n INT PRIMARY KEY) ENGINE=InnoDB"))
            other.execute(text("INSERT INTO heavy SELECT seq FROM seq_1_to_10000"))
            other.execute(text(f"SELECT * FROM {TRAIN_SAMPLES.name} FOR UPDATE")).all()
        store.start("tasks", "train")
        while not watcher.execute(text(waiting)).scalar():
            time.sleep(0.2)  # MariaDB looks again only when it has not been asked for a tenth of a second
            assert not store.has_ended(), store.end()
        locks = f"LOCK TABLE {FILES.name} IN SHARE MODE", f"SELECT * FROM {FILES.name} FOR UPDATE"
        other.execute(text(locks[SERVERS.index(kind)]))
    ended = store.end()
    engine.dispose()
    about = f"{ended}"
    assert ended.code == 1, about
    assert "eadlock" in ended.output + ended.errors, about
    assert "run the command again" in ended.output + ended.errors, about
    is_told_in_a_sentence(ended, about)
    assert store.run("tasks", "train").code == 0
    assert store.state()["model 6"]["is"][3]


@pytest.mark.parametrize("kind", SERVERS)
def test_a_lock_on_a_server_that_is_gone(kind, tmp_path):
    with new_database(kind, tmp_path) as url, proxy_of(url) as (proxy, behind):
        store = open_store(behind)
        try:
            proxy.fail("gone", 1)
            with pytest.raises(StorageError, match=r"^The store .* cannot be used: .*\.$"), store.lock("model:1"):
                pass
        finally:
            store.close()
