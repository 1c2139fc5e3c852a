"""SQL stands in two rooms: Moodle's tables in analytics/site, ours in analytics/db."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from fixtures.paths import ROOT

ROOMS = ("moodlemlbackend/analytics/site/", "moodlemlbackend/analytics/db/", "moodlemlbackend/analytics/databases.py")
WRITERS_OF_SITES = "moodlemlbackend/simulation/"
STATEMENT = re.compile(r"\s*(SELECT\s.*\sFROM\s|INSERT\s+INTO\s|UPDATE\s.*\sSET\s|DELETE\s+FROM\s)", re.DOTALL)
STILL_IN_FEATURES = "moodlemlbackend/analytics/features/"
"""Texts of queries on Moodle's tables may stand there; they are run by analytics/site."""


def modules() -> list[Path]:
    return sorted([*(ROOT / "moodlemlbackend").rglob("*.py"), *(ROOT / "cli").rglob("*.py")])


def speaks_sql(source: str, *, texts: bool = True) -> list[int]:
    """Lines that import SQLAlchemy, execute something, or hold the text of a statement."""
    lines = []
    for node in ast.walk(ast.parse(source)):
        imported = (
            [alias.name for alias in node.names]
            if isinstance(node, ast.Import)
            else [node.module or ""]
            if isinstance(node, ast.ImportFrom)
            else []
        )
        called = isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "execute"
        text = node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else ""
        if (
            any(name.partition(".")[0] in ("sqlalchemy", "alembic") for name in imported)
            or called
            or (texts and STATEMENT.match(text))
        ):
            lines.append(getattr(node, "lineno", 0))
    return lines


@pytest.mark.parametrize("path", modules(), ids=lambda path: path.relative_to(ROOT).as_posix())
def test_sql_stands_in_its_rooms(path):
    name = path.relative_to(ROOT).as_posix()
    if not name.startswith((*ROOMS, WRITERS_OF_SITES)):
        assert speaks_sql(path.read_text("utf-8"), texts=not name.startswith(STILL_IN_FEATURES)) == []


@pytest.mark.parametrize(
    "source",
    ["from sqlalchemy import select", "def f():\n    import sqlalchemy.orm", "connection.execute(query)",
     "rows('SELECT id FROM {context}')", "from alembic import command"],
)  # fmt: skip
def test_what_counts_as_sql(source):
    assert speaks_sql(source)


def test_what_does_not():
    assert speaks_sql("print('Select a course from the list')") == []


@pytest.mark.parametrize("path", [p for p in modules() if "analytics/db/" in p.as_posix()], ids=lambda path: path.name)
def test_the_repositories_know_nothing_of_those_above_them(path):
    above = re.compile(r"moodlemlbackend\.analytics\.(lifecycle|workspace|insights|features|notifications|models)\b")
    tree = ast.parse(path.read_text("utf-8"))
    skipped = [
        node for node in ast.walk(tree) if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
    ]
    typing_only = {inner for node in skipped for inner in ast.walk(node)}
    imports = [
        node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node not in typing_only
    ]
    assert [name for name in imports if above.match(name)] == []
