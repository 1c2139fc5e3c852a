"""SECURITY.md names for each threat what prevents it, and a test that exists and is not skipped everywhere."""

from __future__ import annotations

import ast
import re

import pytest

from fixtures.paths import ROOT

TEXT = (ROOT / "SECURITY.md").read_text("utf-8")
ROW = re.compile(r"^\| ([^|]+) \| ([^|]+) \| `([\w/]+\.py)::(\w+)` \|$")
ROWS = [line for line in TEXT.splitlines() if line.startswith("| ") and not line.startswith("| what could happen ")]
THREATS = (
    "A student, through log data",
    "A teacher",
    "Another site on the same server",
    "A model or package that is imported",
    "A neighbour on NFS, another shared directory or a cluster",
    "A hostile LMS, or somebody who pretends to be one",
    "What we install and publish",
)


@pytest.mark.parametrize("line", ROWS)
def test_a_row_names_a_test(line):
    found = ROW.match(line)
    assert found, "what could happen | what prevents it | `file::test`"
    _, _, file, name = found.groups()
    tree = ast.parse((ROOT / "tests" / file).read_text("utf-8"))
    (test,) = (node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == name)
    assert not [
        one for one in test.decorator_list if ast.unparse(one).startswith(("pytest.mark.skip(", "pytest.mark.xfail"))
    ]


def test_every_threat_has_rows():
    sections = dict(part.split("\n", 1) for part in TEXT.split("\n### ")[1:])
    assert tuple(sections) == THREATS
    for name, section in sections.items():
        assert len([line for line in section.splitlines() if ROW.match(line)]) >= 6, name
