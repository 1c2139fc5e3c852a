"""What the commands on models import: nothing large that they do not need."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from fixtures.paths import TESTS
from fixtures.trained_sites import NOW, site_url, trained, trained_folder

_ = (site_url, trained, trained_folder)  # fixtures

LARGE = {
    "tensorflow",
    "keras",
    "sklearn",
    "scipy",
    "matplotlib",
    "tensorboard",
    "pandas",
    "polars",
    "joblib",
    "fastapi",
}
DATABASE = {"sqlalchemy", "alembic"}

CALL = """
import json, sys
from click.testing import CliRunner
from moodlemlbackend.cli import main
done = CliRunner().invoke(main, sys.argv[1:])
print(json.dumps([done.exit_code, done.output, sorted({name.partition(".")[0] for name in sys.modules})]))
"""


def loaded(*arguments: str) -> set[str]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("MOODLEMLBACKEND_")}
    done = subprocess.run(
        [sys.executable, "-c", CALL, *arguments], env=clean, capture_output=True, text=True, cwd=TESTS
    )
    code, output, modules = json.loads(done.stdout)
    assert code == 0, output
    return set(modules)


@pytest.mark.parametrize("group", ["models", "insights", "tasks"])
def test_help_needs_no_database(group):
    assert not loaded(group, "--help") & (LARGE | DATABASE | {"numpy"})


def test_commands_on_a_store_need_it_and_little_more(trained):
    modules = loaded("models", "list", "--directory", str(trained.folder))
    assert "sqlalchemy" in modules
    assert not modules & (LARGE | {"alembic", "pyarrow"})


@pytest.mark.parametrize("words", [("tasks", "predict"), ("insights", "list")])
def test_predictions_and_insights_need_numpy_at_most(trained, site_url, words):
    modules = loaded(*words, "--directory", str(trained.folder), "--site", site_url, "--now", str(NOW))
    assert not modules & (LARGE | {"alembic"})
