"""kill -9 while a model is imported or cleared: the next run completes that or undoes it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from fixtures.paths import TESTS, posix
from fixtures.trained_sites import (
    SINGLE_RANGE,
    TRAINED,
    new_workspace,
    rows,
    site_url,
    trained,
    trained_folder,
)
from moodlemlbackend.analytics import models
from moodlemlbackend.analytics.db.schema import FACTS, FILES, MODELS, TRAIN_SAMPLES
from moodlemlbackend.analytics.lifecycle import packages
from moodlemlbackend.errors import BusyError

_ = (site_url, trained, trained_folder)  # fixtures
pytestmark = posix

VICTIM = """
import filelock, os, shutil, signal, sys  # filelock removes a folder when it is imported
from pathlib import Path
from fixtures.trained_sites import new_workspace
from moodlemlbackend.analytics import models
from moodlemlbackend.analytics.lifecycle import packages
from moodlemlbackend.analytics.workspace import Workspace
from moodlemlbackend.storage.model_store import ModelStore

folder, what, place, package, modelid = sys.argv[1:]


def die(*_arguments, **_options):
    os.kill(os.getpid(), signal.SIGKILL)


def after(function):
    def dying(*arguments, **options):
        function(*arguments, **options)
        die()
    return dying


with new_workspace(Path(folder)) as workspace:
    if place == "before the weights":
        ModelStore.publish = die
    elif place == "after the weights":
        ModelStore.publish = after(ModelStore.publish)
    elif place == "before the folders":
        shutil.rmtree = die
    elif place == "after a folder":
        shutil.rmtree = after(shutil.rmtree)
    if what == "import":
        packages.import_model(workspace, Path(package))
    elif what == "wait":
        with workspace.lock(int(modelid)):
            print("held", flush=True)
            sys.stdin.read()
    else:
        getattr(models, what)(workspace, int(modelid))
"""


def victim(folder: Path, what: str, place: str, package: Path) -> list[str]:
    return [sys.executable, "-c", VICTIM, str(folder), what, place, str(package), str(TRAINED)]


def kill(folder: Path, what: str, place: str, package: Path = Path()) -> None:
    done = subprocess.run(victim(folder, what, place, package), cwd=TESTS, capture_output=True, text=True)
    assert done.returncode == -9, done.stderr


def folders(folder: Path) -> list[str]:
    return sorted(path.name for root in ("models", "datasets") for path in (folder / root).glob("*"))


@pytest.mark.parametrize("place", ["before the weights", "after the weights"])
def test_an_import_is_undone(trained, tmp_path, place):
    package, folder = tmp_path / "package.zip", tmp_path / "other"
    packages.export_model(trained, TRAINED, package)
    kill(folder, "import", place, package)
    with new_workspace(folder) as workspace:
        assert len(rows(workspace, MODELS)) == 5
        assert folders(folder) == []
        imported = packages.import_model(workspace, package).model
        assert imported.trained
        assert imported.id == TRAINED + 1  # ids are not used again
        with workspace.store.read() as connection:
            names = {row.name for row in connection.execute(FACTS.select())}
        assert names == {"core_models"}


def test_an_import_that_goes_on_is_left_to_its_process(trained, tmp_path):
    package, folder = tmp_path / "package.zip", tmp_path / "other"
    packages.export_model(trained, TRAINED, package)
    seen = []

    def look(*_arguments: object) -> None:
        with new_workspace(folder) as other:
            seen.append(len(rows(other, MODELS)))

    with new_workspace(folder) as workspace:
        original = packages._import_weights
        packages._import_weights = lambda *arguments: (look(), original(*arguments))[1]
        try:
            assert packages.import_model(workspace, package).model.trained
        finally:
            packages._import_weights = original
        assert seen == [6]
        assert len(rows(workspace, MODELS)) == 6


@pytest.mark.parametrize("place", ["before the folders", "after a folder"])
@pytest.mark.parametrize("what", ["clear", "remove"])
def test_a_model_that_was_being_emptied_is_empty(trained_folder, tmp_path, what, place):
    import shutil

    folder = tmp_path / "work"
    shutil.copytree(trained_folder, folder)
    kill(folder, what, place)
    with new_workspace(folder) as workspace:
        assert not rows(workspace, TRAIN_SAMPLES)
        assert not rows(workspace, FILES)
        assert [path for path in folder.glob("*/*/**/*") if path.is_file() and "store" not in path.name] == []
        assert len(rows(workspace, MODELS)) == (6 if what == "clear" else 5)
        with workspace.store.read() as connection:
            assert {row.name for row in connection.execute(FACTS.select())} <= {"core_models", "components", "modules"}


def test_whoever_holds_the_lock_completes_it_first(trained, trained_folder):
    """A process that opened the store before another was killed finds the folders gone when it begins."""
    kill(trained.folder, "clear", "before the folders")
    with trained.store.read() as connection:
        model = models.get(connection, TRAINED)
    assert trained.executiondir(model).is_dir()
    with trained.lock(TRAINED):
        assert not trained.executiondir(model).exists()
        assert not trained.datasetdir(TRAINED).exists()


def test_a_model_that_a_run_works_on_is_left_to_it(trained):
    kill(trained.folder, "clear", "before the folders")
    holder = subprocess.Popen(
        victim(trained.folder, "wait", "", Path()), cwd=TESTS, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    try:
        assert holder.stdout.readline() == b"held\n"
        with new_workspace(trained.folder) as other, pytest.raises(BusyError), other.lock(TRAINED, 0):
            pass
    finally:
        holder.communicate()


def test_evaluations_outlive_versions_and_moves(trained, tmp_path):
    """Figures of an evaluation stay when the interval that scored best is enabled, and when the folder is moved."""
    from moodlemlbackend.analytics.db import history

    with trained.store.read() as connection:
        model = models.get(connection, TRAINED)
    figure = trained.evaluationdir(model, SINGLE_RANGE) / "logs" / "1" / "report.html"
    figure.parent.mkdir(parents=True)
    figure.write_text("figures")
    with trained.store.write() as connection:
        history.log_evaluation(
            connection, model, interval=SINGLE_RANGE, mode="configuration", score=0.9, info=[],
            folder=trained.relative(str(figure.parent)), userid=0, now=5,
        )  # fmt: skip
    models.enable(trained, TRAINED, SINGLE_RANGE)
    models.clear(trained, TRAINED)
    assert not trained.executiondir(model).exists()
    trained.store.close()
    moved = trained.folder.rename(tmp_path / "moved")
    with new_workspace(moved) as workspace, workspace.store.read() as connection:
        [entry] = history.evaluations(connection, TRAINED)
        assert (Path(workspace.absolute(entry["dir"])) / "report.html").read_text() == "figures"
