"""Several processes that open a new store at the same moment, on each kind of database."""

from __future__ import annotations

import subprocess
import sys

import pytest

pytest.importorskip("alembic", reason="needs the extra analytics")

from sqlalchemy import func, select

from fixtures.databases import KINDS, new_database
from fixtures.paths import TESTS, posix
from moodlemlbackend.analytics.db import facts, feedback, notifications, open_store, predictions
from moodlemlbackend.analytics.db.schema import FACTS, FEEDBACK, MODELS, PREFERENCES

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


@pytest.mark.parametrize("kind", KINDS)
def test_a_new_store_that_several_processes_open(kind, tmp_path):
    with new_database(kind, tmp_path) as url:
        opened = [
            subprocess.Popen(
                [sys.executable, "-c", OPENER, url, str(tmp_path / "work"), str(number)],
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
        assert len({key for key, _ in answers}) == 1
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
