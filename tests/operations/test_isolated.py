"""Operations in a process of their own: what comes back, what is heard, and how the process ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from fixtures import operations
from fixtures.backend import MODELID, course_rows, write_labelled
from fixtures.paths import ROOT, TESTS, posix
from moodlemlbackend.errors import Status
from moodlemlbackend.operations.isolated import run_isolated
from moodlemlbackend.operations.train import train
from moodlemlbackend.runtime.progress import QuietReporter
from moodlemlbackend.settings.backend import Settings
from moodlemlbackend.storage.model_store import ModelStore

SETTINGS = Settings(processor="logistic_regression", seed=7)


CALLER = """
import sys
from fixtures import operations
from moodlemlbackend.operations.isolated import run_isolated
from moodlemlbackend.runtime.progress import QuietReporter
from moodlemlbackend.settings.backend import Settings

run_isolated("training", operations.wait, QuietReporter(), sys.argv[1], settings=Settings())
"""


class Heard(QuietReporter):
    """Keeps what it hears; a message can be made to raise."""

    def __init__(self, error: BaseException | None = None) -> None:
        super().__init__()
        self.steps: list[tuple[str, int, int]] = []
        self.messages: list[str] = []
        self.error = error

    def progress(self, stage: str, done: int, total: int) -> None:
        self.steps.append((stage, done, total))

    def message(self, text: str) -> None:
        self.messages.append(text)
        if self.error is not None:
            raise self.error


def log_of(folder: Path) -> str:
    [log] = folder.glob("logs/*/info.log")
    return log.read_text()


def test_a_training(tmp_path):
    path = str(write_labelled(tmp_path / "data", *course_rows(40)))
    result = run_isolated("training", train, Heard(), MODELID, str(tmp_path / "model"), path, settings=SETTINGS)
    assert (result["status"], result["info"]) == (0, [])
    assert ModelStore(tmp_path / "model").current().settings["rows"] == 40


def test_a_failure_is_the_result_that_moodle_would_get(tmp_path):
    result = run_isolated(
        "training", train, Heard(), MODELID, str(tmp_path / "model"), str(tmp_path / "none.csv"), settings=SETTINGS
    )  # fmt: skip
    assert result["status"] == Status.NO_DATASET
    assert result["info"] == result["errors"]
    assert str(tmp_path / "none.csv") in result["info"][0]


def test_what_is_printed_is_no_result(tmp_path, capfd):
    heard = Heard()
    result = run_isolated("training", operations.noisy, heard, str(tmp_path), settings=SETTINGS)
    assert result == {"status": 0, "info": ["logistic_regression"], "runid": result["runid"], "score": None}
    assert heard.steps == [("Trying", 0, 2), ("Trying", 1, 2), ("Trying", 2, 2)]
    assert heard.messages == ["tried"]
    assert capfd.readouterr() == ("", "")
    assert '"printed"]}]\nnoise of C++' in log_of(tmp_path)


@posix
def test_a_crash_has_a_sentence(tmp_path):
    result = run_isolated("training", operations.crash, Heard(), str(tmp_path), settings=SETTINGS)
    assert result["status"] == Status.GENERAL_ERROR
    assert result["info"][0].startswith("A library crashed during training (SIGSEGV). The details are in ")
    assert result["runid"] == next(tmp_path.glob("logs/*")).name
    assert "Segmentation fault" in log_of(tmp_path)


@posix
def test_who_stops_the_caller_stops_the_operation(tmp_path):
    os.mkfifo(tmp_path / "alive")
    alive = os.open(tmp_path / "alive", os.O_RDONLY | os.O_NONBLOCK)
    os.set_blocking(alive, True)
    with pytest.raises(KeyboardInterrupt):
        run_isolated("training", operations.wait, Heard(KeyboardInterrupt()), str(tmp_path), settings=SETTINGS)
    assert os.read(alive, 1) == b"", "the operation has ended"
    os.close(alive)
    assert "Signal SIGTERM stopped" in log_of(tmp_path)


@posix
def test_the_operation_ends_with_a_caller_that_is_killed(tmp_path):
    os.mkfifo(tmp_path / "alive")
    caller = subprocess.Popen(
        [sys.executable, "-c", CALLER, str(tmp_path)],
        cwd=TESTS,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(map(str, (TESTS, ROOT)))},
    )
    with (tmp_path / "alive").open("rb") as alive:  # the operation has begun
        caller.send_signal(signal.SIGKILL)
        assert alive.read() == b"", "it has ended"
    assert caller.wait() == -signal.SIGKILL
