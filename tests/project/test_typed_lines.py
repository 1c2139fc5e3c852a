"""What the documents tell a reader to type works.

Lines after ``<!-- test -->`` are run by ``test_docs.py``. Those of the quickstart, of the deployment and of the
operations are run here, in order, on a folder that stands for the whole disk. What cannot be run is in ``CANNOT_RUN``,
with the reason; of it, as of all other lines, the arguments are checked.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import click
import pytest

import moodlemlbackend
from fixtures.machine import PASSWORD, Machine
from fixtures.paths import ROOT
from fixtures.typed_lines import CANNOT_RUN, CHECKS, DEPLOY, DOCUMENTS, check_files, lines_in, typed_lines
from moodlemlbackend.cli import main
from moodlemlbackend.server.auth.passwords import read_users

LINES = typed_lines()
linux = pytest.mark.skipif(sys.platform != "linux", reason="the lines are for Linux")
QUICKSTART = "docs/quickstart.md"
READS = "\n## The package reads the site"
PROGRAM = "/opt/moodlemlbackend/bin/moodlemlbackend"
SITE_URL = "postgresql://analytics:PASSWORD@localhost/moodle"
ON_THE_MACHINE = (QUICKSTART, "docs/deployment.md", "docs/operations.md")


# ---- every line ----


def test_lines_are_found():
    assert len(LINES) > 100
    assert {line.document for line in LINES} >= {"README.md", "docs/tutorial.ipynb", *ON_THE_MACHINE}


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_lines_to_type_are_in_blocks_of_their_own(document):
    text = document.read_text("utf-8")
    languages = set(re.findall(r"^```(.+)$", text, re.MULTILINE))
    assert languages <= {"console", "python", "ini", "text", "toml", "sql", "sh"}
    assert not re.search(r"^    (sudo|make|pip|git|moodlemlbackend) ", text, re.MULTILINE)
    for content in re.findall(r"^```(?:text|ini|sh)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL):
        assert not re.search(r"^(\$|sudo|pip|docker|moodlemlbackend) ", content, re.MULTILINE)


@pytest.mark.parametrize("line", LINES, ids=lambda line: f"{Path(line.document).name}: {line.text[:60]}")
def test_every_line_is_run_or_checked(line):
    for words in line.commands:
        program = Path(words[0]).name
        if words == ["moodlemlbackend"]:
            assert re.match("_MOODLEMLBACKEND_COMPLETE=(bash|zsh|fish)_source ", line.text), line
        elif program in CHECKS:
            CHECKS[program](words[1:])
        elif program in CANNOT_RUN:
            check_files(words)
        else:
            assert line.block == "test" or line.document in ON_THE_MACHINE, f"{program} is neither run nor checked"


def test_every_exception_is_needed():
    programs = set().union(*(line.programs for line in LINES))
    assert set(CANNOT_RUN) <= programs


def test_nothing_is_fetched_by_the_name_of_another_projects_package():
    sources = [
        *DOCUMENTS,
        ROOT / "docs" / "tutorial.ipynb",
        *ROOT.glob("moodlemlbackend/**/*.py"),
        *ROOT.glob("cli/**/*.py"),
    ]
    for path in sources:
        text = path.read_text("utf-8")
        assert not re.search(r"pip install\b[^\n`]*(?<![/\w])moodlemlbackend|moodlemlbackend\[", text), path


def in_documents(pattern: str) -> list[str]:
    """Commands in running text and tables: what is between backticks and fits."""
    return [text for path in DOCUMENTS for text in re.findall(rf"`({pattern}[^`\n]*)`", path.read_text("utf-8"))]


def test_commands_in_sentences_exist():
    named = in_documents("moodlemlbackend ") + in_documents("docker exec ")
    assert len(named) > 20
    for text in named:
        words = text.split()
        words = words[3:] if words[0] == "docker" else words
        command: click.Command = main
        for word in words[1:]:
            if not isinstance(command, click.Group):
                break
            if re.fullmatch("[a-z][a-z-]+", word):
                found = command.get_command(click.Context(command), word)
                assert found is not None, text
                command = found
        options = {name for one in command.params for name in (*one.opts, *one.secondary_opts)}
        for word in words:
            assert not word.startswith("--") or word in options | {"--help", "--version"}, text


@pytest.mark.parametrize("line", [line for line in LINES if "docker" in line.programs], ids=lambda line: line.text[:40])
def test_docker_knows_its_options(line):
    docker = shutil.which("docker")
    if not docker:
        pytest.skip("needs Docker's client")
    (words,) = line.commands
    env = {"PATH": os.environ["PATH"], "DOCKER_HOST": "unix:///nowhere.sock", "DOCKER_BUILDKIT": "0"}
    done = subprocess.run(
        [docker, *words[1:]], env=env, cwd=ROOT, stdin=subprocess.DEVNULL, capture_output=True, text=True
    )
    assert re.search(
        "Cannot connect|failed to connect|not a (TTY|terminal)|error during connect|Is the docker", done.stderr
    ), done.stderr


# ---- the lines that are run ----


@pytest.fixture(scope="session")
def machine(tmp_path_factory) -> Machine:
    for name in ("bash", "git"):
        if not shutil.which(name):
            pytest.skip(f"needs {name}")
    return Machine(tmp_path_factory.mktemp("machine"))


def lines_of(document: str, *, after: str = "", before: str = "\0") -> list[str]:
    """The lines of a part of a document that can be run."""
    text = (ROOT / document).read_text("utf-8")
    part = text[text.index(after) :].partition(before)[0]
    return [line.text for line in lines_in(document, part) if not line.programs & set(CANNOT_RUN)]


@linux
def test_quickstart_of_a_moodle_that_calls_the_package(machine, courses):
    """Moodle itself is not here: its calls are made with the Python that it is told, and what it hands over."""
    printed = machine.run(lines_of(QUICKSTART, before=READS))
    assert any("Problems: 0" in text for line, text in printed.items() if " doctor " in line)
    (path,) = (
        word
        for line in LINES
        if line.document == QUICKSTART
        for word in re.findall(r"pathtopython --set=(\S+)", line.text)
    )
    model = "/var/moodledata/models/1"
    calls = [
        f"{path} -m moodlemlbackend.version",
        f"{path} -m moodlemlbackend.training 1 {model} TRAINING",
        f"{path} -m moodlemlbackend.prediction 1 {model} PREDICTION",
    ]
    version, trained, predicted = machine.run(
        calls, TRAINING=str(courses.training), PREDICTION=str(courses.prediction)
    ).values()
    assert version == f"{moodlemlbackend.__version__}\n"
    assert json.loads(trained)["status"] == 0
    assert json.loads(predicted)["predictions"]


def machine_site(machine: Machine) -> dict[str, str]:
    """The site's address, changed to that of a simulated one."""
    return {SITE_URL: f"sqlite:///{machine.path('/tmp/site.db')}"}


@pytest.fixture(scope="session")
def insights(machine) -> dict[str, str]:
    """What the lines of the other quickstart print, on a simulated site."""
    pytest.importorskip("sqlalchemy", reason="needs the extra analytics")
    from moodlemlbackend.simulation.site.build import write_site

    write_site(str(machine.path("/tmp/site.db")), courses=14, students=20, seed=1)
    lines = lines_of(QUICKSTART, after=READS)
    if machine.path("/opt/moodlemlbackend").exists():
        lines = [line for line in lines if not re.search("git clone|-m venv|pip install", line)]
        lines.insert(0, "cd moodlemlbackend")
    return machine.run(lines, **machine_site(machine))


@linux
def test_quickstart_to_the_first_insight(insights):
    assert "can be used for training" in insights["backend site check"]
    (shown,) = (text for line, text in insights.items() if "insights list" in line)
    assert "at risk" in shown


@linux
def test_lines_of_the_deployment(machine, insights):
    """All but the installation, which has been done; the settings of the quickstart are put back."""
    lines = [line for line in lines_of("docs/deployment.md") if not re.search("-m venv|pip install|doctor", line)]
    restored = [line for line in lines_of(QUICKSTART, after=READS) if "sed -i" in line]
    printed = machine.run(["cd moodlemlbackend", *lines, *restored], **machine_site(machine))
    (entry,) = (text for line, text in printed.items() if " passwd " in line)
    assert read_users(entry.strip())["ana.teacher"].matches(PASSWORD.strip())
    assert machine.path("/opt/moodlemlbackend/etc/moodlemlbackend.ini").stat().st_mode & 0o777 == 0o640
    assert machine.path("/etc/cron.d/moodlemlbackend").is_file()


@linux
def test_lines_of_cron_need_no_variables(machine, insights):
    """All at once, as they may meet; each as cron starts it."""
    jobs = [line for line in (DEPLOY / "cron").read_text().splitlines() if not line.startswith("#")]
    fields = [re.fullmatch(r"((?:[\d*]+ +){5})(\w+) +(.+)", job) for job in jobs]
    assert all(job and job[2] == "moodlemlbackend" for job in fields)
    machine.path("/var/log/moodlemlbackend").mkdir(parents=True, exist_ok=True)
    usual = [f"HOME={machine.home}", "SHELL=/bin/sh", "PATH=/usr/bin:/bin", "LOGNAME=moodlemlbackend"]
    runs = [
        subprocess.Popen(["env", "-i", *usual, "/bin/sh", "-c", machine.local(job[3])], cwd=machine.home)
        for job in fields
        if job
    ]
    log = machine.path("/var/log/moodlemlbackend/tasks.log")
    assert [run.wait() for run in runs] == [0, 0, 0], log.read_text()
    assert log.read_text().count("Done in") == 3


@linux
def test_a_backup_is_restored_at_another_path(machine, insights):
    backup = lines_of("docs/operations.md", after="\n## Backup\n", before="\n## Restore\n")
    restore = lines_of("docs/operations.md", after="\n## Restore\n", before="\n## Upgrade\n")
    machine.run(backup)
    machine.path("/var/lib/moodlemlbackend").rename(machine.path("/var/lib/before"))
    settings = machine.path("/opt/moodlemlbackend/etc/moodlemlbackend.ini")
    settings.unlink()
    machine.path("/var/lib/elsewhere").mkdir()
    elsewhere = {"/var/lib/moodlemlbackend": "/var/lib/elsewhere"}
    machine.run(restore[:-1], **elsewhere)
    named = settings.read_text()
    assert str(machine.path("/var/lib/moodlemlbackend/analytics")) in named
    settings.write_text(named.replace("/var/lib/moodlemlbackend", "/var/lib/elsewhere"))
    assert "Students at risk" in machine.run(restore[-1:])[restore[-1]]
    (listing,) = (line for line in insights if "insights list" in line)
    again = listing.replace("backend ", f"{PROGRAM} ", 1)
    assert machine.run([again])[again] == insights[listing]
    predicted = machine.run([f"{PROGRAM} tasks predict --json"])
    (result,) = (json.loads(text) for text in predicted.values())
    assert result["status"] == 0
    machine.path("/var/lib/elsewhere").rename(machine.path("/var/lib/moodlemlbackend"))
    settings.write_text(named)


@linux
def test_an_upgrade_and_the_way_back(machine, insights):
    """All but pip, which has installed once."""
    lines = lines_of("docs/operations.md", after="\n## Upgrade\n", before="\n## What data is kept\n")
    machine.run(["cd moodlemlbackend", *(line for line in lines if not re.search("pip|doctor", line))], VERSION="HEAD")
    assert machine.path("/var/lib/moodlemlbackend/analytics/store.sqlite").is_file()


@linux
def test_nothing_is_left_after_the_removal(machine, insights):
    machine.run(lines_of("docs/operations.md", after="\n## Remove everything\n"))
    left = [path for name in ("opt", "etc", "var") for path in machine.path(name).glob("**/moodlemlbackend*")]
    assert left == []
