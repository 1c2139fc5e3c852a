"""kill -9 at any point of training and prediction: the next run repeats nothing and loses nothing."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from fixtures.paths import ROOT, TESTS, posix
from fixtures.trained_sites import (
    NO_RECENT_ACCESSES,
    PROCESSOR,
    TRAINED,
    enabled,
    in_this_process,
    model_of,
    new_workspace,
    rows,
    site,
    site_url,
    trained,
    trained_folder,
)
from moodlemlbackend.analytics import lifecycle, models
from moodlemlbackend.analytics.db.schema import (
    FILES,
    NOTIFICATIONS,
    PREDICT_SAMPLES,
    PREDICTIONS,
    TRAIN_SAMPLES,
    USED_FILES,
)
from moodlemlbackend.analytics.lifecycle import backend, run_result, training
from moodlemlbackend.analytics.lifecycle.backend import Verdict
from moodlemlbackend.analytics.workspace import Workspace
from moodlemlbackend.errors import Status, StorageError
from moodlemlbackend.operations.train import train
from moodlemlbackend.runtime.progress import QuietReporter
from moodlemlbackend.settings.backend import Settings
from moodlemlbackend.storage.model_store import ModelStore

_ = (in_this_process, site, site_url, trained, trained_folder)  # fixtures
pytestmark = posix

VICTIM = """
import os, signal, sys
from contextlib import contextmanager
from pathlib import Path
from fixtures.trained_sites import new_workspace
from moodlemlbackend.analytics import lifecycle
from moodlemlbackend.analytics.lifecycle import backend
from moodlemlbackend.analytics.site import open_site
from moodlemlbackend.analytics.db import Store

folder, site, task, modelid, place, moment = sys.argv[1:]
write, train = Store.write, backend.train


def die():
    os.kill(os.getpid(), signal.SIGKILL)


@contextmanager
def watched(self):
    here = sys._getframe(2).f_code.co_name == place
    with write(self) as connection:
        yield connection
        if here and moment == "inside":
            die()
    if here and moment == "after":
        die()


def trained(*arguments, **options):
    verdict = train(*arguments, **options)
    if place == "training":
        die()
    return verdict


Store.write, backend.train = watched, trained
with new_workspace(Path(folder)) as workspace, open_site(site) as opened:
    getattr(lifecycle, task)(workspace, opened, int(modelid))
"""


PARENT = """
import sys
from pathlib import Path
from fixtures import operations
from fixtures.trained_sites import new_workspace
from moodlemlbackend.analytics import lifecycle
from moodlemlbackend.analytics.lifecycle import backend
from moodlemlbackend.analytics.site import open_site

folder, site, modelid = sys.argv[1:]
backend.training.train = operations.train_and_wait
with new_workspace(Path(folder)) as workspace, open_site(site) as opened:
    lifecycle.train(workspace, opened, int(modelid))
"""


def kill(folder: Path, site_url: str, task: str, modelid: int, place: str, moment: str) -> None:
    """Run a task that is killed inside, or right after, the first transaction of a function."""
    arguments = (folder, site_url, task, modelid, place, moment)
    done = subprocess.run(
        [sys.executable, "-c", VICTIM, *map(str, arguments)], cwd=TESTS, capture_output=True, text=True
    )
    assert done.returncode == -9, done.stderr


def samples(workspace, table, modelid: int = TRAINED) -> dict[tuple, list[str]]:
    """Registered samples, each as often as it is registered."""
    found: dict[tuple, list[str]] = {}
    for row in rows(workspace, table, table.c.modelid == modelid):
        ids = json.loads(row["sampleids"])
        found.setdefault((row["analysableid"], row.get("rangeindex")), []).extend(ids)
    return {key: sorted(ids) for key, ids in found.items()}


def predictions(workspace, modelid: int) -> list[tuple]:
    keys = (
        "contextid",
        "sampleid",
        "rangeindex",
        "prediction",
        "predictionscore",
        "calculations",
        "timestart",
        "timeend",
    )
    found = rows(workspace, PREDICTIONS, PREDICTIONS.c.modelid == modelid)
    return sorted(tuple(row[key] for key in keys) for row in found)


def told(workspace, modelid: int) -> list[tuple]:
    found = rows(workspace, NOTIFICATIONS, NOTIFICATIONS.c.modelid == modelid)
    return sorted((row["contextid"], row["useridto"], row["subject"]) for row in found)


@pytest.mark.parametrize(
    ("place", "moment"),
    [("_analyse", "inside"), ("_analyse", "after"), ("_merge", "inside"), ("_merge", "after"), ("training", ""),
     ("_settle", "inside"), ("_settle", "after")],
)  # fmt: skip
def test_training(site_url, site, trained, tmp_path, place, moment):
    folder = tmp_path / "work"
    with new_workspace(folder) as before:
        modelid = enabled(before)
    kill(folder, site_url, "train", modelid, place, moment)
    with new_workspace(folder) as workspace:
        outcome = lifecycle.train(workspace, site, modelid)
        assert outcome.status in (Status.OK, Status.NO_DATASET), outcome.info
        assert samples(workspace, TRAIN_SAMPLES) == samples(trained, TRAIN_SAMPLES)
        files = rows(workspace, FILES)
        assert all(Path(workspace.folder, row["path"]).is_file() for row in files)
        parts = [row for row in files if row["analysableid"] is not None]
        with workspace.store.read() as connection:
            model = models.get(connection, modelid)
        assert model.trained
        learned = ModelStore(workspace.executiondir(model)).current().settings["rows"]
        assert learned == sum(row["numrows"] for row in parts)
        used = {row["fileid"] for row in rows(workspace, USED_FILES)}
        assert {row["mergedinto"] for row in parts} <= used
        assert lifecycle.train(workspace, site, modelid).status == Status.NO_DATASET


def test_a_killed_task_takes_its_training_along(site_url, site, tmp_path):
    """The child is about to publish when its parent is killed: it ends, and nothing is learned twice."""
    folder = tmp_path / "work"
    with new_workspace(folder) as before:
        modelid = enabled(before)
    os.mkfifo(tmp_path / "alive")
    victim = subprocess.Popen(
        [sys.executable, "-c", PARENT, str(folder), site_url, str(modelid)],
        cwd=TESTS,
        env={**os.environ, "ALIVE": str(tmp_path / "alive"), "PYTHONPATH": os.pathsep.join(map(str, (TESTS, ROOT)))},
    )
    with (tmp_path / "alive").open("rb") as alive:  # it is about to publish
        assert alive.read(1) == b"L", "the training holds the lock of its model itself"
        victim.kill()
        assert alive.read() == b"", "the training has ended"
    assert victim.wait() == -signal.SIGKILL
    with new_workspace(folder) as workspace:
        assert lifecycle.train(workspace, site, modelid).status == Status.OK
        check_learned_once(workspace, modelid)


def test_a_training_that_outlives_its_task_is_waited_for(site_url, site, tmp_path, monkeypatch):
    folder = tmp_path / "work"
    with new_workspace(folder) as before:
        modelid = enabled(before)
    kill(folder, site_url, "train", modelid, "_merge", "after")
    held, go = threading.Event(), threading.Event()

    class Paused(QuietReporter):
        def progress(self, stage: str, done: int, total: int) -> None:
            held.set()
            assert go.wait(300)

    with new_workspace(folder) as workspace:
        with workspace.store.read() as connection:
            model = models.get(connection, modelid)
        [merged] = [row for row in rows(workspace, FILES) if row["analysableid"] is None]
        arguments = (workspace.unique_id(model), str(workspace.executiondir(model)), str(folder / merged["path"]))
        orphan = threading.Thread(
            target=train, args=(Paused(), *arguments), kwargs={"settings": Settings(processor=PROCESSOR)}
        )
        orphan.start()
        assert held.wait(300)
        wait = backend.wait_for_former_process

        def waiting(*arguments: Any) -> None:
            go.set()
            wait(*arguments)

        monkeypatch.setattr(backend, "wait_for_former_process", waiting)
        outcome = lifecycle.train(workspace, site, modelid)
        go.set()
        orphan.join()
        assert "An interrupted training run turned out to be complete; it is recorded now." in outcome.info
        check_learned_once(workspace, modelid)


def test_a_training_that_does_not_end_is_waited_for_as_long_as_is_set(tmp_path, monkeypatch):
    monkeypatch.setenv("MOODLEMLBACKEND_LOCK_WAIT", "0.1")
    with new_workspace(tmp_path / "work") as workspace:
        with workspace.store.read() as connection:
            model = models.get(connection, enabled(workspace))
        with ModelStore(workspace.executiondir(model)).lock(), pytest.raises(StorageError, match=r"than 0\.1 seconds"):
            backend.wait_for_former_process(workspace, model)


def test_what_fails_after_the_model_is_in_force_changes_no_status(site, tmp_path, monkeypatch):
    with new_workspace(tmp_path / "work") as workspace:
        modelid = enabled(workspace)
        with monkeypatch.context() as patched:

            def fail(*_: Any, **__: Any) -> None:
                raise StorageError("The store is full.")

            patched.setattr(training.dataset_files, "use", fail)
            patched.setattr(run_result.history, "end_run", fail)
            outcome = lifecycle.train(workspace, site, modelid)
        assert outcome.status == Status.OK
        assert [text for text in outcome.info if "The store is full." in text] == outcome.info[-2:]
        assert lifecycle.train(workspace, site, modelid).status == Status.NO_DATASET
        check_learned_once(workspace, modelid)


def test_what_a_training_that_failed_was_to_learn_is_learned_by_the_next(site, tmp_path, monkeypatch):
    """Its child was killed, by the operating system for one; nothing new has come to the site since."""
    with new_workspace(tmp_path / "work") as workspace:
        modelid = enabled(workspace)
        for _ in range(2):
            with monkeypatch.context() as patched:
                patched.setattr(backend, "train", lambda *_, **__: Verdict(Status.GENERAL_ERROR, ["Killed."]))
                assert lifecycle.train(workspace, site, modelid).status == Status.GENERAL_ERROR
        assert lifecycle.train(workspace, site, modelid).status == Status.OK
        check_learned_once(workspace, modelid)
        assert lifecycle.train(workspace, site, modelid).status == Status.NO_DATASET


def test_what_was_to_be_learned_is_learned_once_its_disk_is_back(site, tmp_path, monkeypatch):
    real = backend.train

    def train_without(workspace: Workspace, model: Any, dataset: Path, **options: Any) -> Verdict:
        away = dataset.rename(tmp_path / "away")
        try:
            return real(workspace, model, dataset, **options)
        finally:
            away.rename(dataset)

    with new_workspace(tmp_path / "work") as workspace:
        modelid = enabled(workspace)
        with monkeypatch.context() as patched:
            patched.setattr(backend, "train", train_without)
            outcome = lifecycle.train(workspace, site, modelid)
        assert outcome.status == Status.GENERAL_ERROR
        assert "There is no data set file" in outcome.info[-1]
        assert lifecycle.train(workspace, site, modelid).status == Status.OK
        check_learned_once(workspace, modelid)


def test_a_training_that_fails_once_its_model_is_in_force(site, tmp_path, monkeypatch):
    real = backend.train

    def crash(*arguments: Any, **options: Any) -> Verdict:
        real(*arguments, **options)
        return Verdict(Status.GENERAL_ERROR, ["A library crashed during training (SIGSEGV)."])

    monkeypatch.setattr(backend, "train", crash)
    with new_workspace(tmp_path / "work") as workspace:
        modelid = enabled(workspace)
        outcome = lifecycle.train(workspace, site, modelid)
        assert outcome.status == Status.OK
        assert outcome.info[-1] == "The model is trained and in use anyway."
        check_learned_once(workspace, modelid)


def check_learned_once(workspace: Workspace, modelid: int) -> None:
    """Every row of the site is in the model once, and there is nothing left to train with."""
    with workspace.store.read() as connection:
        model = models.get(connection, modelid)
    assert model.trained
    stored = ModelStore(workspace.executiondir(model)).current()
    assert stored is not None
    parts = [row["numrows"] for row in rows(workspace, FILES) if row["analysableid"] is not None]
    assert stored.settings["rows"] == sum(parts) > 0


@pytest.mark.parametrize(
    ("place", "moment"),
    [("keep_part", "inside"), ("keep_part", "after"), ("merge", "inside"), ("merge", "after"),
     ("register", "inside"), ("register", "after"), ("keep", "inside"), ("keep", "after")],
)  # fmt: skip
def test_prediction(site_url, site, trained, trained_folder, tmp_path, place, moment):
    import shutil

    lifecycle.predict(trained, site, TRAINED)
    folder = tmp_path / "killed"
    shutil.copytree(trained_folder, folder)
    kill(folder, site_url, "predict", TRAINED, place, moment)
    with new_workspace(folder) as workspace:
        outcome = lifecycle.predict(workspace, site, TRAINED)
        assert outcome.status in (Status.OK, Status.NO_DATASET)
        assert samples(workspace, PREDICT_SAMPLES) == samples(trained, PREDICT_SAMPLES)
        assert predictions(workspace, TRAINED) == predictions(trained, TRAINED) != []
        assert told(workspace, TRAINED) == told(trained, TRAINED) != []
        assert lifecycle.predict(workspace, site, TRAINED).status == Status.NO_DATASET


@pytest.mark.parametrize("moment", ["inside", "after"])
def test_assumption(site_url, site, tmp_path, moment):
    folder = tmp_path / "work"
    with new_workspace(folder) as before, new_workspace(tmp_path / "whole") as whole:
        modelid = model_of(before, NO_RECENT_ACCESSES)
        lifecycle.predict(whole, site, modelid)
        kill(folder, site_url, "predict", modelid, "keep", moment)
        lifecycle.predict(before, site, modelid)
        assert samples(before, PREDICT_SAMPLES, modelid) == samples(whole, PREDICT_SAMPLES, modelid) != {}
        assert predictions(before, modelid) == predictions(whole, modelid)
