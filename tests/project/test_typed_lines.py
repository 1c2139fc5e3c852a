"""What the documents tell a reader to type works, and so do the files in ``deploy/``.

Lines after ``<!-- test -->`` are run by ``test_docs.py``. Those of the quickstart, of the deployment and of the operations are
run here, in order, on a folder that stands for the whole disk. What cannot be run is in ``CANNOT_RUN``, with the
reason; of it, as of all other lines, the arguments are checked.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import click
import pytest

import moodlemlbackend
from fixtures.paths import ROOT, posix
from fixtures.typed_lines import CANNOT_RUN, DOCUMENTS, Line, Machine, lines_in, typed_lines
from moodlemlbackend.cli import main

LINES = typed_lines()
DEPLOY = ROOT / "deploy"
PROGRAM = "/opt/moodlemlbackend/bin/moodlemlbackend"
SITE_URL = "postgresql://analytics:PASSWORD@localhost/moodle"
ON_THE_MACHINE = ("docs/quickstart.md", "docs/deployment.md", "docs/operations.md")
CHECKED = {"moodlemlbackend", "backend", "pip", "python", "python3", "make", "nox"}
"""Programs whose arguments are checked, and which need not run for it."""


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
        if program in CHECKED:
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
        for match in re.finditer(r"(?:pip install|install) [^\n]*?moodlemlbackend(?!/)", path.read_text("utf-8")):
            assert "/bin/" in match[0] or "/opt/" in match[0] or "-g moodlemlbackend" in match[0], (path, match[0])
        assert not re.search(r"moodlemlbackend\[", path.read_text("utf-8")), path


def check_command(words: list[str]) -> None:
    """Whether a command, its arguments and options exist."""
    command: click.Command = main
    context = click.Context(main, info_name="moodlemlbackend")
    while isinstance(command, click.Group):
        assert words, f"{context.command_path} needs a command"
        if words[0].startswith("--"):
            assert words[0] in {name for one in command.get_params(context) for name in one.opts}, words
            return
        found = command.get_command(context, words[0])
        assert found is not None, words
        command, words = found, words[1:]
        context = click.Context(command, parent=context, info_name=command.name)
    given, _, _ = command.make_parser(context).parse_args(list(words))
    missing = [one.name for one in command.params if one.required and not given.get(one.name or "")]
    assert not missing, (context.command_path, missing)


def check_pip(words: list[str]) -> None:
    """Whether what is installed is this package from its clone, with extras that it has, or another project's library."""
    assert words[0] in ("install", "uninstall"), words
    for what in (word for word in words[1:] if not word.startswith("-")):
        if what.startswith("."):
            extras = re.fullmatch(r"\.(?:\[([\w,]+)\])?", what)
            assert extras, what
            known = set(re.findall(r'^    "(\w+)": \[', (ROOT / "setup.py").read_text("utf-8"), re.MULTILINE)) | {"all"}
            assert set((extras[1] or "all").split(",")) <= known
        else:
            assert what in ("tensorflow", "tensorflow-cpu", "jupyter", "requirements.txt"), what


def check_python(words: list[str]) -> None:
    """Whether the module, or the file, is there."""
    if words[0] == "-m":
        assert find_spec(words[1]) is not None, words
    else:
        assert list((ROOT / "benchmarks").glob(words[0])) or words[0] == "-c", words


def check_make(words: list[str]) -> None:
    """Whether the Makefile has the targets."""
    targets = set(re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))
    assert {word for word in words if "=" not in word} <= targets


def check_nox(words: list[str]) -> None:
    """Whether the session is one of the noxfile's."""
    assert re.fullmatch(r"tests-3\.1[0-3]|lowest", words[words.index("-s") + 1])


CHECKS = {
    "moodlemlbackend": check_command,
    "backend": check_command,
    "pip": check_pip,
    "python": check_python,
    "python3": check_python,
    "make": check_make,
    "nox": check_nox,
}


def check_files(words: list[str]) -> None:
    """Whether files of ours, and units, that a program is given are there; in an image, the command and its options."""
    units = {path.name for path in (DEPLOY / "systemd").iterdir()}
    for word in words:
        if word.startswith("deploy/"):
            assert list(ROOT.glob(word)), word
        if re.search(r"\.(service|timer)$", word):
            name = re.sub(r"@\w+\.service", "@.service", word)
            assert name in units, word
    if words[0] == "docker" and words[1] in ("run", "exec") and "moodlemlbackend" in words[2:]:
        inside = words[max(number for number, word in enumerate(words) if word == "moodlemlbackend") + 1 :]
        if inside:
            check_command(inside)


def in_documents(pattern: str) -> list[str]:
    """Commands in running text and tables: what is between backticks and fits."""
    return [text for path in DOCUMENTS for text in re.findall(rf"`({pattern}[^`\n]*)`", path.read_text("utf-8"))]


def test_commands_in_sentences_exist():
    named = in_documents("moodlemlbackend ") + in_documents("docker exec ")
    assert len(named) > 40
    for text in named:
        words = text.split()
        words = words[2:] if words[0] == "docker" else words
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
    return Machine(tmp_path_factory.mktemp("machine"))


def lines_of(document: str, *, after: str = "", before: str = "\0") -> list[str]:
    """The lines of a part of a document that can be run."""
    text = (ROOT / document).read_text("utf-8")
    part = text[text.index(after) :].partition(before)[0]
    return [line.text for line in lines_in(document, part) if not line.programs & set(CANNOT_RUN)]


@posix
def test_quickstart_of_a_moodle_that_calls_the_package(machine, courses):
    """Moodle itself is not here: its calls are made with the Python that it is told, and what it hands over."""
    document = "docs/quickstart.md"
    printed = machine.run(lines_of(document, before="\n## The package reads the site"))
    assert any("Problems: 0" in text for line, text in printed.items() if " doctor " in line)
    (path,) = (
        word
        for line in LINES
        if line.document == document
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


@pytest.fixture(scope="session")
def insights(machine) -> dict[str, str]:
    """What the lines of the other quickstart print, on a simulated site."""
    pytest.importorskip("sqlalchemy", reason="needs the extra analytics")
    from moodlemlbackend.simulation.site.build import write_site

    write_site(str(machine.path("/tmp/site.db")), courses=14, students=20, seed=1)
    lines = lines_of("docs/quickstart.md", after="\n## The package reads the site")
    if machine.path("/opt/moodlemlbackend").exists():
        lines = [line for line in lines if not re.search("git clone|-m venv|pip install", line)]
        lines.insert(0, "cd moodlemlbackend")
    return machine.run(lines, **{SITE_URL: f"sqlite:///{machine.path('/tmp/site.db')}"})


@posix
def test_quickstart_to_the_first_insight(insights):
    assert "can be trained on" in insights["backend site check"]
    (shown,) = (text for line, text in insights.items() if "insights list" in line)
    assert "at risk" in shown
