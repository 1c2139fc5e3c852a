"""What each call imports: start-up time is a feature, and TensorFlow is not needed everywhere."""

from __future__ import annotations

import gc
import os
import subprocess
import sys

import pytest

from fixtures.backend import MODELID, QUICK, answer, environment, run, write_courses
from fixtures.paths import ROOT, posix
from fixtures.small_site import NOW, START, SmallSite
from moodlemlbackend.runtime.environment import load_in_background

RECORD = """
import subprocess
import sys


RENDERING = "report.render_process" in "".join(sys.orig_argv)


class Record:
    def find_spec(self, name, path=None, target=None):
        with open({path!r}, "a") as file:
            file.write(("artist " if RENDERING else "") + name + chr(10))


sys.meta_path.insert(0, Record())
"""
HEAVY = {"tensorflow", "tf_keras", "keras", "sklearn", "scipy", "matplotlib", "tensorboard", "pandas", "joblib"}
LIMITS = (0.7, 0.05, 2)


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    return write_courses(tmp_path_factory.mktemp("data"), 30)


@pytest.fixture(scope="module")
def models(files, tmp_path_factory):
    """The directory of a trained model by its processor."""
    folder = tmp_path_factory.mktemp("models")
    for name in ("neural_network", "logistic_regression"):
        answer(run("training", MODELID, folder / name, files[0], env=environment(MOODLEMLBACKEND_PROCESSOR=name)))
    return folder


@pytest.fixture
def imported(tmp_path):
    """Return a function that runs a module and gives the packages from which its processes imported something."""

    def record(module, *arguments, **changes):
        log = tmp_path / "imports"
        log.unlink(missing_ok=True)
        (tmp_path / "sitecustomize.py").write_text(RECORD.format(path=str(log)))
        paths = f"{tmp_path}{os.pathsep}{ROOT}"
        result = run(module, *arguments, env=environment(**{**QUICK, **changes, "PYTHONPATH": paths}))
        assert (result.returncode, result.stderr) == (0, b""), result.stdout
        lines = log.read_text().splitlines()
        artist = {line.split()[1].partition(".")[0] for line in lines if line.startswith("artist ") and "." in line}
        record.artist = artist
        return {line.partition(".")[0] for line in lines if "." in line and not line.startswith("artist ")}

    return record


def test_the_version_imports_next_to_nothing(imported):
    found = imported("version")
    assert "moodlemlbackend" in found
    assert found - set(sys.stdlib_module_names) <= {"moodlemlbackend", "org"}
    assert not found & {"json", "asyncio", "multiprocessing", "logging"}


@pytest.mark.parametrize("processor", ["neural_network", "logistic_regression"])
def test_a_prediction_imports_numpy_and_pyarrow_alone(imported, models, files, processor):
    found = imported("prediction", MODELID, models / processor, files[1])
    assert {"numpy", "pyarrow"} <= found
    assert not found & HEAVY


@pytest.mark.parametrize("processor", ["neural_network", "logistic_regression"])
def test_export_and_import_need_no_more(imported, models, tmp_path, processor):
    assert not imported("export", MODELID, models / processor, tmp_path / "export") & HEAVY
    assert not imported("import", MODELID, tmp_path / "other", tmp_path / "export") & HEAVY


def test_logistic_regression_needs_no_tensorflow(imported, files, tmp_path):
    trained = imported("training", MODELID, tmp_path / "model", files[0])
    assert "sklearn" in trained
    assert not trained & {"tensorflow", "keras", "tf_keras", "matplotlib"}
    evaluated = imported("evaluation", MODELID, tmp_path / "model", files[0], *LIMITS)
    assert {"sklearn", "tensorboard"} <= evaluated
    assert not evaluated & {"tensorflow", "keras", "tf_keras", "matplotlib", "jinja2"}
    assert {"matplotlib", "jinja2"} <= imported.artist
    assert not imported.artist & {"tensorflow", "keras", "sklearn", "scipy", "pyarrow", "tensorboard", "pandas"}


def test_rating_a_network_needs_no_tensorflow(imported, models, files, tmp_path):
    found = imported("evaluation", MODELID, tmp_path / "e", files[0], *LIMITS, models / "neural_network")
    assert not found & {"tensorflow", "keras", "tf_keras", "sklearn"}


def test_training_a_network_leaves_keras_and_scikit_learn_alone(imported, files, tmp_path):
    found = imported("training", MODELID, tmp_path / "m", files[0], MOODLEMLBACKEND_PROCESSOR="neural_network")
    assert "tensorflow" in found
    assert not found & {"keras", "sklearn", "matplotlib", "pandas"}


def test_a_data_set_of_a_site_needs_numpy_alone(imported, tmp_path):
    small = SmallSite(tmp_path / "site.sqlite")
    course = small.course()
    for user in small.students(course, 2):
        for number in range(12):
            small.log(course, user, START + 1 + number)
    options = [
        "--target",
        "course_dropout",
        "--interval",
        "quarters",
        "--now",
        str(NOW),
        "-o",
        tmp_path / "x.csv",
    ]
    found = imported("__main__", "site", "dataset", "--site", small.commit(), *options)
    assert "numpy" in found
    assert not found & {*HEAVY, "sqlalchemy", "psycopg", "pymysql", "pyarrow", "rich", "polars", "duckdb"}


@pytest.mark.parametrize("modules", [("this_module_does_not_exist",), ("colorsys", "this_module_does_not_exist")])
def test_cycles_are_looked_for_again_after_an_import_in_the_background(modules):
    sys.modules.pop("colorsys", None)
    load_in_background(*modules).join()
    gc.unfreeze()
    assert gc.isenabled()
    assert ("colorsys" in sys.modules) == ("colorsys" in modules)


@posix
def test_a_server_without_a_site_leaves_the_analytics_alone(tmp_path):
    pytest.importorskip("fastapi", reason="needs the extra server")
    code = (
        "import sys; from moodlemlbackend.server import main; "
        "from moodlemlbackend.settings.server import ServerSettings; "
        "from moodlemlbackend.settings.analytics import load_analytics_settings; "
        f"main.create_app(ServerSettings(directory={str(tmp_path)!r}, users='a:b'), load_analytics_settings()); "
        "print(*{name.partition('.')[0] for name in sys.modules})"
    )
    done = subprocess.run([sys.executable, "-c", code], env=environment(), capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    found = set(done.stdout.split())
    assert "fastapi" in found
    assert not found & {*HEAVY, "sqlalchemy", "alembic", "polars", "numpy", "pyarrow", "duckdb"}


def test_garbage_is_collected_seldom_where_it_is_asked_for(python):
    """A list like that of a large site's courses makes Python look for garbage a few times, not hundreds of times."""
    code = """
import gc
from moodlemlbackend.runtime.environment import collect_garbage_seldom
collect_garbage_seldom()
before = sum(generation["collections"] for generation in gc.get_stats())
rows = [(number, [number]) for number in range(100_100)]
print(sum(generation["collections"] for generation in gc.get_stats()) - before)
"""
    assert python("-c", code).stdout == "2\n"
