"""What lies in the working directory is not imported: not by the modules that Moodle runs, nor by their children."""

from __future__ import annotations

import subprocess
import sys

import pytest

from fixtures.backend import MODELID, QUICK, answer, environment, run, write_courses
from fixtures.paths import ROOT, posix
from moodlemlbackend.interpreter import python_command

LIBRARIES = ("numpy", "pyarrow", "sklearn", "scipy", "matplotlib", "tensorboard", "click", "rich", "jinja2", "filelock",
             "sqlalchemy", "alembic", "joblib", "fastapi", "uvicorn", "starlette", "prometheus_client", "multipart",
             "fsspec", "cli")  # fmt: skip
HOSTILE = "from pathlib import Path\nwith Path({log!r}).open('a') as file:\n    file.write(__name__ + '\\n')\n"
MODULES = {
    "version": (),
    "training": (MODELID, "{out}", "{labelled}"),
    "prediction": (MODELID, "{out}", "{unlabelled}"),
    "evaluation": (MODELID, "{out}", "{labelled}", "0.7", "0.05", "2"),
    "export": (MODELID, "{out}", "{exported}"),
    "import": (MODELID, "{other}", "{exported}"),
}


@pytest.fixture(scope="module")
def of_python() -> set[str]:
    """Modules that Python imports for ``-m`` before it comes to the module."""
    code = "import runpy, sys; print(*{name.partition('.')[0] for name in sys.modules})"
    return set(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split())


@pytest.fixture
def hostile(tmp_path, of_python):
    """A folder in which every module of Python and of the libraries is another; ``imported()`` lists those that ran."""
    folder, log = tmp_path / "hostile", tmp_path / "imported"
    folder.mkdir()

    def place(names):
        for name in names:
            (folder / f"{name}.py").write_text(HOSTILE.format(log=str(log)))
        return folder

    place((sys.stdlib_module_names | {*LIBRARIES}) - of_python)
    place.folder = folder
    place.imported = lambda: log.read_text().split() if log.exists() else []
    return place


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    return write_courses(tmp_path_factory.mktemp("data"), 30)


def test_moodles_modules(hostile, files, tmp_path):
    places = {"labelled": files[0], "unlabelled": files[1], "out": tmp_path / "out", "other": tmp_path / "other",
              "exported": tmp_path / "exported"}  # fmt: skip
    for module, arguments in MODULES.items():
        done = run(module, *(argument.format(**places) for argument in arguments), cwd=hostile.folder)
        assert (done.returncode, done.stderr) == (0, b""), (module, done.stdout)
        assert done.stdout, module
    assert list((tmp_path / "out").glob("logs/*/report.html"))
    assert hostile.imported() == []


def test_the_command(hostile, files, tmp_path):
    for arguments in (["version"], ["train", MODELID, tmp_path / "out", files[0]], ["doctor"]):
        done = run("__main__", *arguments, cwd=hostile.folder)
        assert done.stdout, arguments
    assert hostile.imported() == []


@posix
def test_a_server_and_its_workers(hostile, files):
    from fixtures.servers import predict, served, train

    with served(hostile.folder) as server, server.client() as client:
        assert train(client, files[0]).json()["status"] == 0
        assert predict(client, files[1]).json()["status"] == 0
    assert hostile.imported() == []


def test_a_child_imports_nothing_of_it_not_even_the_package(hostile, of_python, monkeypatch):
    hostile(of_python - {"__main__", "sys", "builtins"})
    (hostile.folder / "moodlemlbackend").mkdir()
    hostile(["moodlemlbackend/__init__", "moodlemlbackend/version"])
    monkeypatch.setattr(sys, "path", ["", str(ROOT), *sys.path])
    done = subprocess.run(python_command("moodlemlbackend.version"), cwd=hostile.folder, capture_output=True, text=True)
    assert (done.stderr, done.returncode) == ("", 0)
    assert done.stdout.strip()
    assert hostile.imported() == []


SPAWN = """
import multiprocessing, sys
from moodlemlbackend.interpreter import keep_spawned_processes_safe
if __name__ == "__main__":
    keep_spawned_processes_safe()
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        print(pool.apply(int, ("7",)))
"""


@posix
def test_a_spawned_process(hostile, of_python, tmp_path):
    hostile(of_python - {"__main__", "sys", "builtins"})
    (tmp_path / "script").mkdir()
    script = tmp_path / "script" / "spawn.py"
    script.write_text(SPAWN)
    done = subprocess.run(
        [sys.executable, script], cwd=hostile.folder, env=environment(), capture_output=True, text=True
    )
    assert (done.stdout, done.stderr) == ("7\n", "")
    assert hostile.imported() == []


def test_a_checkout_is_run_where_it_lies():
    done = run("version", cwd=ROOT, env=environment(PYTHONPATH=None))
    assert (done.returncode, done.stderr) == (0, b"")
    code = "import sys, moodlemlbackend; print(sys.path[0] == '')"
    kept = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert kept.stdout == "True\n"  # whoever only imports the package keeps the path


@posix
def test_the_folder_may_be_gone(tmp_path, files):
    gone = tmp_path / "gone"
    gone.mkdir()
    shell = ["sh", "-c", f'cd {gone} && rmdir {gone} && exec "$@"', "sh"]
    call = [sys.executable, "-m", "moodlemlbackend.training", MODELID, tmp_path / "out", files[0]]
    done = subprocess.run([*shell, *call], env=environment(**QUICK), capture_output=True)
    answer(done)
