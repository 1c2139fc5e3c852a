"""Several processes that open a new store at the same moment, on each kind of database."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
import threading

import pytest

pytest.importorskip("alembic", reason="needs the extra analytics")

from sqlalchemy import delete, func, select, text

from fixtures.databases import KINDS, new_database
from fixtures.paths import TESTS, posix
from moodlemlbackend.analytics.db import database, facts, feedback, notifications, open_store, predictions
from moodlemlbackend.analytics.db.schema import FACTS, FEEDBACK, MODELS, PREFERENCES
from moodlemlbackend.analytics.lifecycle.opening import open_workspace
from moodlemlbackend.settings.analytics import AnalyticsSettings

pytestmark = posix

PROCESSES = 4

OPENER = """
import sys
from moodlemlbackend.analytics.db import facts, feedback, notifications, predictions
from moodlemlbackend.analytics.lifecycle.opening import open_workspace
from moodlemlbackend.settings.analytics import AnalyticsSettings

url, folder, number = sys.argv[1:]
print("ready", flush=True)
sys.stdin.readline()
workspace = open_workspace(AnalyticsSettings(directory=folder, store=url), now=5)
for turn in range(20):
    with workspace.store.write() as connection:
        facts.write(connection, "components", {"turn": turn})
    with workspace.store.write() as connection:
        notifications.choose(connection, 7, "email", bool(turn % 2))
    with workspace.store.write() as connection:
        row = predictions.PredictionRow(9, 1, 2, turn, 0, 1.0, .9, "{}", 5, None, None)
        feedback.mark(connection, row, label=0.0, weight=5, userid=int(number), now=5)
with workspace.store.write() as connection:
    print(facts.hold(connection, "server key", number), flush=True)
"""


RESTORER = """
import sys
from moodlemlbackend.analytics.lifecycle.core_models import restore_core_models
from moodlemlbackend.analytics.lifecycle.opening import open_workspace
from moodlemlbackend.settings.analytics import AnalyticsSettings

url, folder, _ = sys.argv[1:]
workspace = open_workspace(AnalyticsSettings(directory=folder, store=url), now=5)
print("ready", flush=True)
sys.stdin.readline()
print(len(restore_core_models(workspace)), flush=True)
"""


def at_once(code, url, folder):
    """What several processes print that run the code at the same moment, each told its number."""
    opened = [
        subprocess.Popen(
            [sys.executable, "-c", code, url, str(folder), str(number)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=TESTS,
        )
        for number in range(PROCESSES)
    ]  # fmt: skip
    try:
        for process in opened:
            assert process.stdout.readline() == "ready\n"
        for process in opened:
            process.stdin.write("go\n")
            process.stdin.flush()
        answers = [process.communicate(timeout=240) for process in opened]
    finally:
        for process in opened:
            process.kill()
    assert [(process.returncode, errors) for process, (_, errors) in zip(opened, answers, strict=True)] == [
        (0, "")
    ] * PROCESSES
    return [said for said, _ in answers]


def test_core_models_that_several_processes_restore(tmp_path):
    with new_database("mariadb", tmp_path) as url:
        workspace = open_workspace(AnalyticsSettings(directory=str(tmp_path / "work"), store=url), now=5)
        try:
            with workspace.store.write() as connection:
                connection.execute(delete(MODELS))
            assert sorted(map(int, at_once(RESTORER, url, tmp_path / "work"))) == [0] * (PROCESSES - 1) + [5]
            with workspace.store.read() as connection:
                targets = list(connection.execute(select(MODELS.c.target)).scalars())
            assert len(targets) == len(set(targets)) == 5
        finally:
            workspace.store.close()


def test_a_new_file_that_several_connections_set_up(tmp_path):
    """Without waiting, one in about a thousand finds it locked."""
    refused = []

    def set_up(path, barrier):
        connection = sqlite3.connect(path, timeout=60, isolation_level=None)
        barrier.wait()
        try:
            database._set_up_sqlite(connection, None)
            refused.append(connection.execute("PRAGMA journal_mode").fetchone() != ("wal",))
        except sqlite3.OperationalError:
            refused.append(True)
        finally:
            connection.close()

    for number in range(200):
        barrier = threading.Barrier(8)
        threads = [threading.Thread(target=set_up, args=(tmp_path / f"{number}.db", barrier)) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert len(refused) == 1600
    assert not any(refused)


@pytest.mark.parametrize("kind", KINDS[1:])
def test_a_lock_that_cannot_be_left_is_free_all_the_same(kind, tmp_path):
    """The server ends the connection that holds it; what was done under it is done."""
    ends, others = {
        "postgresql": ("SELECT pg_terminate_backend(:id)", "SELECT pid FROM pg_locks WHERE locktype = 'advisory'"),
        "mariadb": ("KILL :id", "SELECT id FROM information_schema.processlist WHERE db = DATABASE() "
                                "AND id <> CONNECTION_ID()"),
    }[kind]  # fmt: skip
    with new_database(kind, tmp_path) as url:
        store, other = open_store(url), open_store(url)
        try:
            with store.lock("training") as held:
                assert held
                with other.read() as connection:
                    for holder in connection.execute(text(others)).scalars().all():
                        connection.execute(text(ends), {"id": holder})
            with other.lock("training") as held:
                assert held
        finally:
            store.close()
            other.close()


@pytest.mark.parametrize("kind", KINDS)
def test_a_new_store_that_several_processes_open(kind, tmp_path):
    with new_database(kind, tmp_path) as url:
        assert len(set(at_once(OPENER, url, tmp_path / "work"))) == 1
        store = open_store(url)
        try:
            with store.read() as connection:
                targets = list(connection.execute(select(MODELS.c.target)).scalars())
                assert len(targets) == len(set(targets)) == 5
                assert connection.execute(select(func.count()).select_from(PREFERENCES)).scalar() == 1
                assert connection.execute(select(func.count()).select_from(FEEDBACK)).scalar() == 20
                assert facts.read(connection, "components") == {"turn": 19}
                names = list(connection.execute(select(FACTS.c.name)).scalars())
                assert sorted(names) == ["components", "core_models", "server key"]
        finally:
            store.close()


def test_a_mark_that_was_taken_back_can_be_made_again(tmp_path):
    store = open_store(f"sqlite:///{tmp_path / 'store.sqlite'}")
    row = predictions.PredictionRow(9, 1, 2, 3, 0, 1.0, 0.9, "{}", 5, None, None)
    made = []
    for time in range(3):
        with store.write() as connection:
            for _ in range(2):
                made.append(feedback.mark(connection, row, label=0.0, weight=5, userid=7, now=time))
            assert feedback.revert(connection, row.id, time)
    assert made == [True, False] * 3
    with store.read() as connection:
        assert [mark.reverted for mark in feedback.listed(connection, 1)] == [0, 1, 2]
        assert notifications.preferences(connection, 7) == {}
    store.close()
