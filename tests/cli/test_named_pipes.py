"""A named pipe where a file or a folder is wanted is refused in one sentence; nobody waits for somebody who writes."""

from __future__ import annotations

import os
import signal

import pytest
from click.testing import CliRunner

from fixtures.backend import MODELID, Backend, course_rows
from fixtures.paths import posix
from moodlemlbackend.cli import main
from moodlemlbackend.errors import ModelError, StorageError, UsageError
from moodlemlbackend.operations.transfer import import_model
from moodlemlbackend.runtime.progress import QuietReporter
from moodlemlbackend.settings.backend import Settings, load_settings
from moodlemlbackend.storage.model_store import ModelStore

pytestmark = posix


@pytest.fixture
def pipe(tmp_path, monkeypatch):
    """A named pipe that nobody writes to; whoever opens it is interrupted after a minute."""

    def interrupt(*_: object) -> None:
        raise AssertionError("it waits for the named pipe")

    path = tmp_path / "pipe"
    os.mkfifo(path)
    monkeypatch.chdir(tmp_path)
    before = signal.signal(signal.SIGALRM, interrupt)
    signal.alarm(60)
    yield path
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("models", "import", "pipe", "--directory", "work"), "pipe is not a file"),
        (("report", "pipe"), "There is no run to report on in pipe"),
        (("report", "run"), "There is no run to report on in run"),
        (("compare", "pipe", "run"), "There is no run to report on in pipe"),
        (("compare", "run", "pipe"), "There is no run to report on in run"),
        (("models", "list", "--directory", "pipe"), "there is a file where a directory is needed"),
        (("models", "list", "--directory", "work", "--store", "sqlite:///pipe"), "sqlite:///pipe cannot be used"),
        (("site", "check", "--site", "pipe"), "There is no SQLite database"),
    ],
)
def test_commands(pipe, tmp_path, arguments, said):
    (tmp_path / "run").mkdir()
    os.mkfifo(tmp_path / "run" / "report.json")
    done = CliRunner().invoke(main, arguments)
    assert done.exit_code
    assert said in done.output
    assert done.output.count("\n") == 1


def test_rows_to_be_explained(pipe, tmp_path):
    backend = Backend(tmp_path, "logistic_regression")
    backend.train(*course_rows(40))
    done = CliRunner().invoke(main, ["explain", str(backend.outputdir("model")), "pipe", "--row", "4"])
    assert (done.exit_code != 0, done.output.count("\n")) == (True, 1)
    assert "pipe is a named pipe" in done.output


def test_settings(pipe, monkeypatch):
    monkeypatch.setenv("MOODLEMLBACKEND_SETTINGS", str(pipe))
    with pytest.raises(UsageError, match="is a named pipe; use a regular file"):
        load_settings()


def test_a_model_to_be_imported_and_one_in_force(pipe, tmp_path):
    with pytest.raises(StorageError, match="there is a file where a directory is needed"):
        import_model(QuietReporter(), MODELID, "model", "pipe", settings=Settings())
    folder = tmp_path / "exported"
    folder.mkdir()
    os.mkfifo(folder / "manifest.json")
    with pytest.raises(ModelError, match="it is not a regular file"):
        import_model(QuietReporter(), MODELID, "model", "exported", settings=Settings())
    classifier = tmp_path / "model" / "classifier"
    classifier.mkdir(parents=True)
    os.mkfifo(classifier / "current")
    with pytest.raises(ModelError, match="current is damaged"):
        ModelStore(tmp_path / "model").current()
