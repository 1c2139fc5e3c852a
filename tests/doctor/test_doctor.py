"""``moodlemlbackend doctor`` finds what keeps a site from its predictions, and says what to do."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from fixtures.moodle_services import TOKEN, moodle_services
from fixtures.paths import not_root, posix
from moodlemlbackend import __version__
from moodlemlbackend.cli import main
from moodlemlbackend.doctor import directories, libraries
from moodlemlbackend.doctor.doctor import examine
from moodlemlbackend.doctor.finding import Level
from moodlemlbackend.doctor.installation import MOODLE_VERSIONS, accepting
from moodlemlbackend.doctor.services import check_services
from moodlemlbackend.settings.backend import SETTINGS, Settings
from moodlemlbackend.simulation.site.build import write_site


@pytest.fixture(scope="module")
def diagnose(command, tmp_path_factory):
    """Return a function that runs the command and returns its exit code and its findings by topic.

    Unless asked for, TensorFlow is out of the way and not needed: that saves the time to import it.
    """
    folder = tmp_path_factory.mktemp("no-tensorflow")
    (folder / "tensorflow.py").write_text("raise ImportError")

    def run(*arguments, env=None, tensorflow=False, **where):
        env = env or {}
        if not tensorflow:
            path = os.pathsep.join(filter(None, [env.get("PYTHONPATH"), str(folder)]))
            env = {"MOODLEMLBACKEND_PROCESSOR": "logistic_regression", **env, "PYTHONPATH": path}
        finished = command("doctor", "--json", *arguments, env=env, **where)
        told = json.loads(finished.stdout)
        levels = [finding["level"] for finding in told["findings"]]
        assert (told["problems"], told["warnings"]) == (levels.count("problem"), levels.count("warning"))
        assert finished.returncode == (1 if told["problems"] else 0)
        return finished.returncode, {finding["topic"]: finding for finding in told["findings"]}

    return run


@pytest.fixture
def broken(tmp_path):
    """Return a function that puts a module into the way of the real one and returns the environment for that."""

    def put(name: str, code: str) -> dict[str, str]:
        (tmp_path / "broken").mkdir()
        (tmp_path / "broken" / f"{name}.py").write_text(code)
        return {"PYTHONPATH": str(tmp_path / "broken")}

    return put


def test_this_installation_is_well(diagnose, tmp_path):
    code, findings = diagnose(tmp_path / "models" / "1", tensorflow=True)
    assert code == 0
    assert {finding["level"] for topic, finding in findings.items() if topic != "User"} == {"ok"}
    assert sys.executable in findings["Python"]["text"]
    assert f"{__version__}, accepted by Moodle 4.0 to 5.2" in findings["Version for Moodle"]["text"]
    assert "numpy " in findings["Packages"]["text"]
    assert "imported in" in findings["TensorFlow"]["text"]
    assert {f"Setting {key}" for key in SETTINGS} < findings.keys()
    assert findings[f"Directory {tmp_path / 'models' / '1'}"]["text"].startswith("does not exist yet")
    assert list(tmp_path.iterdir()) == []


def test_people_read_lines_with_what_to_do(command, tmp_path):
    (tmp_path / "file").write_text("")
    finished = command("doctor", tmp_path / "file")
    lines = finished.stdout.splitlines()
    assert finished.returncode == 1
    assert lines[0].startswith("ok       Python: ")
    assert f"PROBLEM  Directory {tmp_path / 'file'}: Cannot use {tmp_path / 'file'}: Not a directory" in finished.stdout
    assert lines[-1].startswith("Problems: 1, warnings: ")


# ---- settings and version ----


def test_a_setting_is_shown_with_its_origin(diagnose, tmp_path):
    file = tmp_path / "settings.ini"
    file.write_text("[moodlemlbackend]\nscore = f1\nreported_version = 2\n")
    _, findings = diagnose(env={"MOODLEMLBACKEND_SETTINGS": str(file), "MOODLEMLBACKEND_SEED": "7"})
    assert findings["Settings file"]["text"] == str(file)
    assert findings["Setting score"]["text"] == f"f1 (score setting in {file})"
    assert findings["Setting seed"]["text"] == "7 (environment variable MOODLEMLBACKEND_SEED)"
    assert findings["Setting lock_wait"]["text"] == "600.0 (default)"
    assert "2.9.0, accepted by Moodle 3.8, 3.9.11 to 3.11 " in findings["Version for Moodle"]["text"]


@pytest.mark.parametrize(
    ("variable", "value", "topic"),
    [("LOCK_WAIT", "long", "Settings"), ("PROCESSOR", "crystal_ball", "Setting processor")],
)
def test_a_bad_setting_is_a_problem(diagnose, variable, value, topic):
    code, findings = diagnose(env={f"MOODLEMLBACKEND_{variable}": value})
    assert code == 1
    assert findings[topic]["level"] == "problem"
    assert value in findings[topic]["text"]


def test_a_version_that_no_moodle_accepts_is_a_warning(diagnose):
    _, findings = diagnose(env={"MOODLEMLBACKEND_REPORTED_VERSION": "7.0"})
    assert findings["Version for Moodle"]["level"] == "warning"


def test_what_is_printed_beside_the_version_is_a_problem(diagnose, broken):
    code, findings = diagnose(env=broken("sitecustomize", "import sys; sys.stderr.write('Hello\\n')"))
    assert code == 1
    assert "Hello" in findings["Version for Moodle"]["text"]


@pytest.mark.parametrize(
    ("version", "moodles"),
    [
        ("1.0.0", []),
        ("1.9.0", ["3.6 and 3.7"]),
        ("2.3.1", ["3.8"]),
        ("2.6.5", ["3.8", "3.9.11 to 3.11"]),
        ("3.0.5", ["4.0 to 5.2"]),
        (__version__, ["4.0 to 5.2"]),
        ("4.0", []),
    ],
)
def test_which_moodle_accepts_a_version(version, moodles):
    assert accepting(version) == moodles


def test_the_short_versions_satisfy_every_moodle(monkeypatch):
    from moodlemlbackend.settings.backend import load_settings

    answers = []
    for number in "123":
        monkeypatch.setenv("MOODLEMLBACKEND_REPORTED_VERSION", number)
        answers += accepting(load_settings().reported_version)
    assert answers == list(MOODLE_VERSIONS)


# ---- processor and libraries ----


def test_a_processor_without_avx(tmp_path):
    cpuinfo = tmp_path / "cpuinfo"
    cpuinfo.write_text("processor\t: 0\nflags\t\t: fpu sse sse2 ssse3\n")
    for name, level in (("neural_network", Level.PROBLEM), ("logistic_regression", Level.WARNING)):
        finding = libraries.check_instructions(Settings(processor=name), cpuinfo)
        assert finding.level is level
        assert "logistic_regression" in finding.advice
    cpuinfo.write_text("flags : avx avx2\n")
    assert libraries.check_instructions(Settings(), cpuinfo).text.endswith("with AVX, AVX2")
    assert libraries.check_instructions(Settings(), tmp_path / "none").level is Level.OK


@posix
def test_a_tensorflow_that_crashes_for_want_of_avx(diagnose, broken):
    code, findings = diagnose(
        env=broken("tensorflow", f"import os; os.kill(os.getpid(), {signal.SIGILL})"), tensorflow=True
    )
    assert code == 1
    assert "SIGILL" in findings["TensorFlow"]["text"]
    assert "AVX" in findings["TensorFlow"]["advice"]


def test_a_package_that_cannot_be_imported(diagnose, broken):
    code, findings = diagnose(env={**broken("filelock", "raise ImportError('wrong ABI')")})
    assert code == 1
    assert findings["filelock"]["text"] == "cannot be imported: wrong ABI"
    assert f"{sys.executable} -m pip install" in findings["filelock"]["advice"]
    assert "numpy" in findings["Packages"]["text"]


def test_what_becomes_of_a_library_is_seen_by_trying():
    results = libraries._probe({"json": "no-such-distribution", "no_such_module": "x", "numpy": "numpy"})
    assert set(results) == {"json", "no_such_module", "numpy"}
    assert "version" in results["json"]
    assert libraries._failure(results["no_such_module"]) == "not installed"


@pytest.mark.parametrize("code", ["import os; os._exit(3)", "print('}{'); import os; os._exit(3)"])
def test_a_library_that_ends_python(broken, monkeypatch, code):
    monkeypatch.syspath_prepend(broken("ender", code)["PYTHONPATH"])
    results = libraries._probe({"numpy": "numpy", "ender": "ender", "json": "json"})
    assert set(results) == {"numpy", "ender"}
    assert "exit code 3" in libraries._failure(results["ender"])


# ---- directories ----


def test_a_directory_that_cannot_be_written_to(tmp_path):
    if os.geteuid() == 0:
        place = Path("/proc")
    else:
        place = tmp_path / "closed"
        place.mkdir(mode=0o500)
    (finding,) = directories.check_folder(place)
    assert finding.level is Level.PROBLEM
    assert f"Cannot use {place}: " in finding.text


@posix
@not_root
def test_a_folder_that_another_user_made(tmp_path):
    (tmp_path / "1" / "classifier").mkdir(parents=True)
    (tmp_path / "1" / "classifier").chmod(0o500)
    well, closed = directories.check_folder(tmp_path)
    assert well.level is Level.OK
    assert closed.level is Level.PROBLEM
    assert str(tmp_path / "1" / "classifier") in closed.text


def test_a_home_that_is_missing_is_no_problem(diagnose, tmp_path):
    _, findings = diagnose(env={"HOME": str(tmp_path / "none")}, cwd=tmp_path)
    assert findings["HOME"]["level"] == "ok"
    assert "cannot be written to" in findings["HOME"]["text"]
    assert not (tmp_path / "none").exists()
    assert str(tmp_path) in findings["Working directory"]["text"]


def test_a_directory_that_does_not_exist_and_cannot_be_made():
    place = Path("/proc/moodledata/models")
    (finding,) = directories.check_folder(place)
    assert finding.level is Level.PROBLEM
    assert finding.text.startswith("does not exist, and this user cannot create it in /proc: ")
    assert finding.advice == f"Create it for this user: sudo install -d -o {directories.user_name()} {place}"


def test_what_everybody_may_read_is_told(tmp_path):
    (tmp_path / "store.sqlite").touch(mode=0o644)
    tmp_path.chmod(0o755)
    (finding,) = directories.check_privacy(tmp_path)
    assert finding.level is Level.WARNING
    assert f"anyone on this machine can read {tmp_path}" in finding.text
    assert finding.advice == f"Make it readable by its owner only: sudo chmod -R o-rwx {tmp_path}"
    tmp_path.chmod(0o700)
    assert list(directories.check_privacy(tmp_path)) == []


# ---- processes ----


def test_an_interpreter_that_this_user_may_not_execute(monkeypatch, tmp_path):
    python = tmp_path / "python"
    python.write_text("")
    python.chmod(0o644)
    monkeypatch.setattr(sys, "executable", str(python))
    findings = {finding.topic: finding for finding in examine()}
    assert f"this user is not allowed to execute {python}" in findings["Python in a separate process"].text
    assert findings["Python in a separate process"].level is Level.PROBLEM
    assert "TensorFlow" not in findings


@pytest.mark.skipif(os.name == "nt", reason="needs limits")
def test_a_low_limit_is_a_warning():
    code = "from moodlemlbackend.doctor.processes import check_limits; print(*check_limits(), sep='\\n')"
    done = subprocess.run(
        ["bash", "-c", 'ulimit -n 100; exec "$@"', "bash", sys.executable, "-c", code], capture_output=True, text=True
    )
    assert "the limit on open files is 100 (ulimit -n)" in done.stdout
    assert "WARNING" in done.stdout


# ---- services ----


@pytest.fixture
def services(monkeypatch, tmp_path):
    """Return a function that checks services under these settings and gives the findings by topic."""
    for name in list(os.environ):
        if name.startswith("MOODLEMLBACKEND_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("MOODLEMLBACKEND_DIRECTORY", str(tmp_path / "work"))

    def check(**settings):
        for name, value in settings.items():
            monkeypatch.setenv(f"MOODLEMLBACKEND_{name.upper()}", str(value))
        return {finding.topic: finding for finding in check_services()}

    return check


def test_services_that_are_not_set_up_are_no_problem(services):
    assert {finding.level for finding in services().values()} == {Level.OK}


@pytest.mark.parametrize(
    ("settings", "topic"),
    [
        ({"site": "sqlite:////nowhere/site.db"}, "Moodle site"),
        ({"site": "postgresql://me@127.0.0.1:1/moodle"}, "Moodle site"),
        ({"store": "postgresql://me@127.0.0.1:1/store"}, "Store"),
        ({"smtp_host": "127.0.0.1", "smtp_port": 1}, "Mail"),
        ({"webhook_url": "http://127.0.0.1:1/"}, "Webhook"),
        ({"moodle_token": "secret"}, "Messages through Moodle"),
        ({"moodle_token": "secret", "wwwroot": "http://127.0.0.1:1"}, "Messages through Moodle"),
        ({"server_directory": "models", "server_users": "nobody"}, "Server"),
        ({"server_directory": "models", "server_port": "many"}, "Server"),
        ({"smtp_port": "many"}, "Analytics settings"),
    ],
)
def test_a_service_that_cannot_be_used_is_a_problem(services, settings, topic):
    pytest.importorskip("sqlalchemy")
    finding = services(**settings)[topic]
    assert finding.level is Level.PROBLEM
    assert finding.advice


def test_whether_moodle_accepts_the_token_is_asked_without_sending_anything(services):
    pytest.importorskip("sqlalchemy")
    topic = "Messages through Moodle"
    with moodle_services() as moodle:
        assert services(wwwroot=moodle.url, moodle_token=TOKEN)[topic].level is Level.OK
        wrong = services(wwwroot=moodle.url, moodle_token="not-this-one")[topic]
        assert (wrong.level, moodle.sent) == (Level.PROBLEM, [])
        assert "Invalid token" in wrong.text
        assert "not-this-one" not in wrong.text


def test_a_server_that_does_not_run_is_a_warning(services, tmp_path):
    pytest.importorskip("fastapi")
    finding = services(server_directory=tmp_path, server_users="a:b", server_port=1)["Server"]
    assert finding.level is Level.WARNING
    assert "no answer from 127.0.0.1, port 1" in finding.text


@posix
def test_a_servers_directory_that_everybody_may_read_is_told(tmp_path, monkeypatch):
    pytest.importorskip("fastapi")
    for name, value in {"DIRECTORY": str(tmp_path), "USERS": "a:b", "PORT": "0"}.items():
        monkeypatch.setenv(f"MOODLEMLBACKEND_SERVER_{name}", value)
    tmp_path.chmod(0o755)
    [told] = [finding for finding in check_services() if finding.level is Level.WARNING]
    assert told.topic == f"Directory {tmp_path}"
    assert told.text == f"anyone on this machine can read {tmp_path}"


def test_a_schedule_that_nobody_keeps_is_a_warning(services, tmp_path):
    pytest.importorskip("sqlalchemy")
    write_site(f"sqlite:///{tmp_path / 'site.db'}", courses=2, students=3, seed=1)
    assert services(site=tmp_path / "site.db")["Store"].text.startswith("does not exist yet")
    assert CliRunner().invoke(main, ["models", "list"]).exit_code == 0
    findings = services()
    assert findings["Store"].level is findings["Moodle site"].level is Level.OK
    assert findings["Schedule"].level is Level.WARNING
    assert CliRunner().invoke(main, ["tasks", "predict"]).exit_code == 0
    assert services()["Schedule"].level is Level.OK
