"""The tutorial runs from its first cell to its last in a kernel of its own, outside the checkout."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from fixtures.paths import ROOT

NOTEBOOK = ROOT / "docs" / "tutorial.ipynb"
MOST_BYTES = 200_000


def code_cells(path: Path) -> list[dict]:
    return [cell for cell in json.loads(path.read_text("utf-8"))["cells"] if cell["cell_type"] == "code"]


def printed(cells: list[dict]) -> str:
    """What all cells wrote as text."""
    outputs = [output for cell in cells for output in cell["outputs"]]
    return "".join("".join(output.get("text", ())) for output in outputs)


@pytest.fixture(scope="module")
def executed(tmp_path_factory) -> list[dict]:
    """The code cells after a run in an empty directory, in which only the installed package can be imported."""
    folder = tmp_path_factory.mktemp("tutorial")
    path = folder / NOTEBOOK.name
    path.write_bytes(NOTEBOOK.read_bytes())
    run = "from nbclient.cli import main; main()"
    finished = subprocess.run(
        [sys.executable, "-c", run, "--inplace", "--timeout=120", str(path)], cwd=folder, capture_output=True, text=True
    )
    assert finished.returncode == 0, finished.stderr[-3000:]
    return code_cells(path)


def test_every_cell_runs_without_a_warning(executed):
    for cell in executed:
        for output in cell["outputs"]:
            assert output["output_type"] != "error"
            assert output.get("name") != "stderr", output["text"]


def test_what_it_prints_is_what_it_says(executed):
    text = printed(executed)
    mcc, auc = map(float, re.search(r"^mcc: (\S+), auc: (\S+)$", text, re.MULTILINE).groups())
    assert 0.2 < mcc < 0.9
    assert 0.75 < auc < 1
    assert len(set(re.search(r"^adds up to (\S+), predicted (\S+)$", text, re.MULTILINE).groups())) == 1
    assert "\nthe same: True\n" in text


def test_the_outputs_that_are_kept_are_those_of_a_run(executed):
    kept = code_cells(NOTEBOOK)

    def kinds(cell: dict) -> list:
        return [sorted(output.get("data", {"text": ""})) for output in cell["outputs"]]

    assert [kinds(cell) for cell in kept] == [kinds(cell) for cell in executed]
    shapes = [re.sub(r"[-+−]?\d[\d.]*", "0", printed([cell])).split() for cell in (*kept, *executed)]
    assert shapes[3] == shapes[3 + len(kept)]
    assert len(NOTEBOOK.read_bytes()) < MOST_BYTES
    text = NOTEBOOK.read_text("utf-8")
    assert not re.search(r"/(home|root|tmp|work|Users)/", text)
