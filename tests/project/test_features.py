"""The table of features names commands, pages and tests that exist."""

from __future__ import annotations

import re
from importlib import import_module

import click
import pytest

from fixtures.paths import ROOT
from moodlemlbackend.cli import main

ROW = re.compile(r"^\| ([^|]+) \| (?:`([^`]+)`|–) \| (?:`([^`]+)`|–) \| `([\w/]+\.py)::(\w+)` \|$")
ROWS = [
    (line, ROW.match(line))
    for line in (ROOT / "docs" / "features.md").read_text("utf-8").splitlines()
    if line.startswith("| ") and not line.startswith("| feature ")
]


@pytest.mark.parametrize("line", [line for line, _ in ROWS])
def test_a_row_names_what_there_is(line):
    found = ROW.match(line)
    assert found, "feature | `command` or – | `page` or – | `file::test` |"
    _, words, _, file, test = found.groups()
    command: click.Command = main
    for word in (words or "").split():
        assert isinstance(command, click.Group)
        command = command.get_command(click.Context(command), word)
        assert command is not None, word
    assert re.search(rf"^def {test}\(", (ROOT / "tests" / file).read_text("utf-8"), re.MULTILINE)


def test_the_pages_are_routes_of_the_server():
    pytest.importorskip("fastapi", reason="needs the extra server")
    modules = (ROOT / "moodlemlbackend" / "server" / "pages" / "site").glob("*routes.py")
    routes = "".join(module.read_text("utf-8") for module in modules)
    import_module("moodlemlbackend.server.pages.site.routes")
    for _, found in ROWS:
        if found and found[3]:
            assert f'("{found[3]}"' in routes, found[3]


def test_there_are_many():
    assert len(ROWS) > 35
