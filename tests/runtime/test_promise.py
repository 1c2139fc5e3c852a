"""A process that crashes once its model is in force has done what it was asked for: its answer says so."""

from __future__ import annotations

import json
import signal
import subprocess
import sys

import pytest

from fixtures import operations
from fixtures.backend import MODELID, course_rows, write_labelled
from fixtures.paths import TESTS, posix
from moodlemlbackend.operations.isolated import run_isolated
from moodlemlbackend.runtime.progress import QuietReporter
from moodlemlbackend.settings.backend import Settings
from moodlemlbackend.storage.model_store import ModelStore

pytestmark = posix

SETTINGS = Settings(processor="logistic_regression", seed=7)

COMMAND = """
import os, sys
from fixtures.operations import crash_after_publication
from moodlemlbackend import entrypoint
from moodlemlbackend.storage import model_store

name, number = sys.argv.pop(1), int(sys.argv.pop(1))
if number > 0:
    crash_after_publication(number)
else:
    model_store.replace_file = lambda *_: os.kill(os.getpid(), -number)
sys.exit(entrypoint.call_from_moodle(name))
"""


def call(name: str, number: int, *arguments: object) -> subprocess.CompletedProcess[str]:
    """A call of Moodle whose process gets a signal once the model is in force, or instead where that is negative."""
    given = [sys.executable, "-c", COMMAND, name, str(int(number)), MODELID, *map(str, arguments)]
    return subprocess.run(given, cwd=TESTS, capture_output=True, text=True, timeout=120)


@pytest.fixture
def data(tmp_path, monkeypatch):
    monkeypatch.setenv("MOODLEMLBACKEND_PROCESSOR", "logistic_regression")
    return write_labelled(tmp_path / "data", *course_rows(40))


@pytest.mark.parametrize("number", [signal.SIGSEGV, signal.SIGABRT, signal.SIGKILL])
def test_a_training_that_crashes_once_its_model_is_in_force(tmp_path, data, number):
    done = call("training", number, tmp_path / "model", data)
    result = json.loads(done.stdout)
    assert (result["status"], done.returncode, done.stderr) == (0, 0, "")
    assert result["info"][-1].startswith("The model is trained and in use, but the steps after training are")
    assert (tmp_path / "model" / "logs" / result["runid"]).is_dir()
    assert ModelStore(tmp_path / "model").current().settings["rows"] == 40


def test_a_training_that_crashes_just_before_has_failed(tmp_path, data):
    assert call("training", signal.SIGSEGV, tmp_path / "model", data).returncode == 0
    former = ModelStore(tmp_path / "model").published()
    done = call("training", -signal.SIGSEGV, tmp_path / "model", data)
    result = json.loads(done.stdout)
    assert (result["status"], done.returncode) == (1, 1)
    assert "A library crashed during training (SIGSEGV)." in result["errors"][0]
    assert ModelStore(tmp_path / "model").published() == former


def test_an_import_that_crashes_once_its_model_is_in_force(tmp_path, data):
    call("training", signal.SIGSEGV, tmp_path / "model", data)
    assert call("export", signal.SIGSEGV, tmp_path / "model", tmp_path / "exported").returncode == 0
    done = call("import", signal.SIGSEGV, tmp_path / "imported", tmp_path / "exported")
    assert (done.stdout, done.returncode) == ("Ok\nOk\n", 0)
    assert ModelStore(tmp_path / "imported").current() is not None


def test_an_isolated_training_that_crashes_once_its_model_is_in_force(tmp_path, data):
    arguments = MODELID, str(tmp_path / "model"), str(data)
    result = run_isolated("training", operations.train_and_crash, QuietReporter(), *arguments, settings=SETTINGS)
    assert (result["status"], len(result["info"])) == (0, 1)
    assert result["info"][0].endswith("A library crashed during training (SIGSEGV).")
    assert ModelStore(tmp_path / "model").current().settings["rows"] == 40
