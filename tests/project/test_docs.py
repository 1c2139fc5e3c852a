"""The documentation is complete, and what it shows works.

A block of commands (``console``) or Python after the line ``<!-- test -->`` is run, the blocks of one document in order
and in one directory. Lines after a command are its output, where ``…`` stands for anything; output is compared only
where there is some.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import click
import pytest

from fixtures.paths import ROOT, posix
from moodlemlbackend import __version__
from moodlemlbackend.cli import COMMANDS
from moodlemlbackend.doctor.installation import MOODLE_VERSIONS
from moodlemlbackend.errors import Status
from moodlemlbackend.settings.analytics import SETTINGS as ANALYTICS_SETTINGS
from moodlemlbackend.settings.backend import SETTINGS
from moodlemlbackend.settings.loading import FILE_NAME, FILE_VARIABLE

DOCUMENTS = [
    *(ROOT / name for name in ("README.md", "CHANGELOG.md", "SECURITY.md")),
    *sorted((ROOT / "docs").glob("*.md")),
]
TESTED = re.compile(r"^<!-- test -->\n```(console|python)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def blocks(document: Path) -> list[tuple[str, str]]:
    """Language and content of the blocks to run."""
    return TESTED.findall(document.read_text("utf-8"))


@posix
@pytest.mark.parametrize("document", [path for path in DOCUMENTS if blocks(path)], ids=lambda path: path.name)
def test_what_is_shown_works(document, tmp_path):
    clean = {name: value for name, value in os.environ.items() if not name.startswith("MOODLEMLBACKEND_")}
    env = {
        **clean,
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]),
        "MOODLEMLBACKEND_PROCESSOR": "logistic_regression",  # the quick one
    }
    for language, content in blocks(document):
        calls = commands(content) if language == "console" else [([sys.executable, "-c", content], "")]
        for call, expected in calls:
            done = subprocess.run(call, shell=isinstance(call, str), cwd=tmp_path, env=env, capture_output=True)
            shown = done.stdout.decode()
            assert done.returncode == 0, f"{call}\n{shown}\n{done.stderr.decode()}"
            assert language == "python" or done.stderr == b"", call
            if expected:
                assert is_shown(expected, shown), f"{call}\n{shown}"


def is_shown(expected: str, shown: str) -> bool:
    """Whether a text is the expected one, where ``…`` stands for anything; in linear time, unlike a pattern."""
    begin, *parts = expected.split("…")
    if not parts:
        return shown == expected
    position = len(begin) if shown.startswith(begin) else -1
    for part in parts[:-1]:
        position = position if position < 0 else shown.find(part, position)
        position += len(part) if position >= 0 else 0
    return position >= 0 and shown[position:].endswith(parts[-1])


def commands(content: str) -> list[tuple[str, str]]:
    """The commands of a console block, each with its output."""
    parts = re.split(r"^\$ ", content, flags=re.MULTILINE)
    assert parts[0] == ""
    return [(command, expected) for command, _, expected in (part.partition("\n") for part in parts[1:])]


def test_documents_are_found_and_have_blocks():
    assert {path.name for path in DOCUMENTS} >= {"admin.md", "teachers.md", "researchers.md", "contributors.md"}
    assert sum(len(blocks(path)) for path in DOCUMENTS) == sum(
        path.read_text("utf-8").count("\n<!-- test -->\n") for path in DOCUMENTS
    )


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_links_lead_somewhere(document):
    for target in re.findall(r"\]\((?!https?:)([^)]+)\)", document.read_text("utf-8")):
        name, _, anchor = target.partition("#")
        path = document.parent / name if name else document
        assert path.is_file(), target
        headings = re.findall(r"^#+ (.+)$", path.read_text("utf-8"), re.MULTILINE) if anchor else []
        assert not anchor or anchor in {re.sub(r"[^\w -]", "", text).lower().replace(" ", "-") for text in headings}


def described() -> str:
    """The documents that describe commands."""
    return "".join(
        (ROOT / "docs" / name).read_text("utf-8")
        for name in ("researchers.md", "server.md", "analytics.md", "models.md")
    )


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_and_its_options_are_described(name):
    text = described()
    assert f"\n### moodlemlbackend {name}\n" in text
    section = re.split(r"^##", text.partition(f"\n### moodlemlbackend {name}\n")[2], maxsplit=1, flags=re.MULTILINE)[0]
    command = import_module(f"moodlemlbackend.cli.{name.replace('-', '_')}").command
    models = (ROOT / "docs" / "models.md").read_text("utf-8")
    if f"\n### moodlemlbackend {name}\n" in models:
        section += models.partition("\nThese commands have some options in common:\n")[2].partition("\n### ")[0]
    admin = (ROOT / "docs" / "admin.md").read_text("utf-8")
    section += admin.partition("\n## Options, exit codes and JSON\n")[2].partition("\n## ")[0]
    below = subcommands(command)
    assert set(re.findall(rf"^#### moodlemlbackend {name} ([\w-]+)$", text, re.MULTILINE)) == set(below)
    if below:
        section += text.partition(f"\n### moodlemlbackend {name}\n")[2]
        section = re.split(r"^##? |^### ", section, maxsplit=1, flags=re.MULTILINE)[0]
    for parameter in [*command.params, *(one for sub in below.values() for one in sub.params)]:
        shown = parameter.opts[0] if parameter.param_type_name == "option" else parameter.metavar
        assert f"`{shown}" in section or f" {shown}" in section, shown


def subcommands(command: click.Command) -> dict[str, click.Command]:
    """The commands of a group by name; none of what is no group."""
    if not isinstance(command, click.Group):
        return {}
    context = click.Context(command)
    return {name: command.get_command(context, name) for name in command.list_commands(context)}


def test_no_other_command_is_described():
    text = described()
    assert set(re.findall(r"^### moodlemlbackend ([\w-]+)$", text, re.MULTILINE)) == set(COMMANDS)


@pytest.mark.parametrize("key", SETTINGS)
def test_every_setting_is_described(key):
    setting = SETTINGS[key]
    default = "none" if setting.default is None else setting.default
    default = {__version__: "the package's own", 600.0: "600", "": "none"}.get(default, default)
    row = f"| `{key}` | `{setting.variable}` | {setting.allowed} | {default} | {setting.meaning} |"
    assert row in (ROOT / "docs" / "admin.md").read_text("utf-8").splitlines()


def test_no_other_setting_is_described():
    text = (ROOT / "docs" / "admin.md").read_text("utf-8")
    common = (ANALYTICS_SETTINGS[key] for key in ("site", "prefix", "time_zone", "log_store", "store", "directory"))
    named = {FILE_VARIABLE, *(setting.variable for setting in (*SETTINGS.values(), *common))}
    assert set(re.findall(r"MOODLEMLBACKEND_[A-Z_]+", text)) == named
    assert f"/etc/{FILE_NAME}" in text


def test_every_setting_of_the_server_is_described():
    pytest.importorskip("fsspec", reason="needs the extra server")
    from moodlemlbackend.settings.server import SETTINGS as SERVER_SETTINGS

    lines = (ROOT / "docs" / "server.md").read_text("utf-8").splitlines()
    machine = {"training_workers": "half of the cores", "prediction_workers": "the cores, at most 4"}
    words = {"": "none", False: "off", 7200.0: "7200", 30.0: "30"}
    for key, setting in SERVER_SETTINGS.items():
        default = machine.get(key) or (setting.default if type(setting.default) is int else words.get(setting.default))
        default = setting.default if default is None else default
        row = f"| `{key}` | `{setting.variable}` | {setting.allowed} | {default} | {setting.meaning} |"
        assert row in lines, row
    named = set(re.findall(r"MOODLEMLBACKEND_SERVER_[A-Z_]+", "\n".join(lines)))
    assert named == {setting.variable for setting in SERVER_SETTINGS.values()}


def test_every_setting_of_the_analytics_is_described():
    lines = (ROOT / "docs" / "models.md").read_text("utf-8").splitlines()
    for key, setting in ANALYTICS_SETTINGS.items():
        default = {"": "none", 1200.0: "1200"}.get(setting.default, setting.default)
        if isinstance(default, bool):
            default = "on" if default else "off"
        if isinstance(default, tuple):
            default = ", ".join(name.rpartition("\\")[2] for name in default)
        row = f"| `{key}` | `{setting.variable}` | {setting.allowed} | {default} | {setting.meaning} |"
        assert row in lines, row


def test_moodle_versions_and_statuses_are_described():
    text = (ROOT / "docs" / "admin.md").read_text("utf-8")
    for moodle in MOODLE_VERSIONS:
        assert f"\n| {moodle} | from " in text
    for status in Status.__members__.values():
        assert f"\n| {int(status)} | {status.name} | " in text


def test_the_changelog_begins_with_this_version():
    versions = re.findall(r"^## (\S+)", (ROOT / "CHANGELOG.md").read_text("utf-8"), re.MULTILINE)
    assert versions[0] == __version__


def test_files_that_the_contributors_guide_names_exist():
    layout = (ROOT / "docs" / "contributors.md").read_text("utf-8").split("```text\n")[1].split("```")[0]
    for line in layout.splitlines()[1:]:
        indent = len(line) - len(line.lstrip())
        for name in line.strip().partition("  ")[0].split() if indent <= 4 else []:
            assert (ROOT / ("moodlemlbackend" if indent else "") / name).exists(), name
