"""Every finding of bandit is mended or has a reason, and the reasons that speak of all places hold in each."""

from __future__ import annotations

import ast
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from fixtures.paths import ROOT

TABLE = "tools/accepted_findings.toml"


@pytest.fixture
def checkout(tmp_path) -> Path:
    """A repository with the check, one finding, and nothing accepted."""
    (tmp_path / "tools").mkdir()
    shutil.copy(ROOT / "tools" / "findings.py", tmp_path / "tools")
    (tmp_path / "moodlemlbackend").mkdir()
    (tmp_path / "moodlemlbackend" / "careless.py").write_text("import pickle\nx = eval(input())\n")
    for name in ("cli", "benchmarks", "fuzz"):
        (tmp_path / name).mkdir()
    for name in ("setup.py", "noxfile.py"):
        (tmp_path / name).touch()
    return tmp_path


def check(folder: Path, *accepted: str) -> tuple[int, list[str]]:
    """The exit code of the check and its sentences."""
    pytest.importorskip("bandit", reason="needs the extra develop")
    own = ('"B404 **" = "r"', '"B603 tools/findings.py" = [1, "r"]')
    (folder / TABLE).write_text("\n".join((*own, *accepted)))
    done = subprocess.run([sys.executable, folder / "tools" / "findings.py"], capture_output=True, text=True)
    assert done.stderr == ""
    return done.returncode, done.stdout.splitlines()


def test_a_finding_without_a_reason_is_shown(checkout):
    code, sentences = check(checkout)
    assert code == 1
    assert [sentence.partition(" ")[0] for sentence in sentences] == [
        "moodlemlbackend/careless.py:1:",
        "moodlemlbackend/careless.py:2:",
    ]
    assert all(sentence.endswith(f"or give the reason why it is harmless in {TABLE}.") for sentence in sentences)


def test_a_reason_is_for_as_many_findings_as_it_says(checkout):
    pickle = '"B403 moodlemlbackend/careless.py" = [1, "r"]'
    assert check(checkout, pickle, '"B307 moodlemlbackend/careless.py" = [1, "r"]') == (0, [])
    code, sentences = check(checkout, pickle, '"B307 moodlemlbackend/careless.py" = [2, "r"]')
    assert code == 1
    assert sentences[-1].endswith(
        "accepts 2 of these for B307 moodlemlbackend/careless.py, and there are 1: mend or count them."
    )


def test_a_reason_that_is_no_longer_needed_is_named(checkout):
    code, sentences = check(checkout, '"B307 **" = "r"', '"B403 **" = "r"', '"B101 **" = "r"')
    assert (code, sentences) == (1, [f"{TABLE}: nothing is found for B101 ** any more; remove the line."])


@pytest.mark.parametrize("folder", ["moodlemlbackend", "cli"])
def test_asserts_only_narrow_types(folder):
    """So nothing is decided differently where Python runs with -O."""
    number = 0
    for path in (ROOT / folder).rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Assert):
                number += 1
                assert narrows(node.test), f"{path.relative_to(ROOT)}:{node.lineno}"
    assert number


def narrows(test: ast.expr) -> bool:
    """Whether a condition is ``… is not None``, or a call of isinstance or callable."""
    if isinstance(test, ast.Call):
        return isinstance(test.func, ast.Name) and test.func.id in ("isinstance", "callable")
    compared = isinstance(test, ast.Compare) and [type(one) for one in test.ops] == [ast.IsNot]
    return compared and isinstance(test.comparators[0], ast.Constant) and test.comparators[0].value is None
