"""Two of everything at once: one stops at any of its steps, another does the same meanwhile, then the first goes on."""

from __future__ import annotations

from typing import Any

import pytest

pytest.importorskip("alembic", reason="needs the extra analytics")

from fixtures.backend import MODELID, QUICK, course_rows, write_labelled
from fixtures.fault_states import CREATE, SET, check_nothing_twice, environment, small_site, state
from fixtures.faults import Commands, is_told_in_a_sentence
from fixtures.paths import posix
from fixtures.trained_sites import TRAINED
from moodlemlbackend.storage.model_store import ModelStore

_ = small_site  # a fixture
pytestmark = posix

WAIT = "1"
PATIENCE = {
    "moodlemlbackend.analytics.workspace": {"LOCK_WAIT_SECONDS": 1.0},
    "moodlemlbackend.analytics.db.database": {"WAIT_SECONDS": 1.0},
}
"""Seconds that one waits for the other."""

TASKS = {"train": ("tasks", "train"), "predict": ("tasks", "predict"), "import": ("models", "import", "--yes")}


@pytest.fixture(scope="module")
def templates(tmp_path_factory, copies, fault_hosts, small_site) -> dict[str, Any]:
    """The site's models before each task."""
    folder = tmp_path_factory.mktemp("models")
    commands = Commands(fault_hosts, folder, environment(folder, small_site), **SET)
    made = {}
    for words, before in ((CREATE, ("train",)), (("tasks", "train"), ("predict", "import"))):
        assert commands.run(["moodlemlbackend", *words]).code == 0
        if before != ("train",):
            exported = commands.run(["moodlemlbackend", "models", "export", TRAINED, folder / "package.zip"])
            assert exported.code == 0
        made |= dict.fromkeys(before, copies(folder))
    return made


@pytest.mark.parametrize("task", TASKS)
def test_two_tasks_at_once(task, templates, copies, fault_hosts, small_site, chosen):
    words = ["moodlemlbackend", *TASKS[task]]

    def begin() -> tuple[Commands, list[Any]]:
        folder = copies(templates[task])
        given = environment(folder, small_site) | {"MOODLEMLBACKEND_LOCK_WAIT": WAIT}
        return Commands(fault_hosts, folder, given, PATIENCE, **SET), [
            *words,
            *[folder / "package.zip"] * (task == "import"),
        ]

    commands, given = begin()
    steps = len(commands.run(given).steps)
    new = state(commands.folder)
    if task == "import":
        assert commands.run(given).code == 0
        new = state(commands.folder)
    for step in chosen(steps):
        commands, given = begin()
        commands.start(given, "stop", step)
        stopped = commands.end()
        about = f"two of {task}, one stopped at step {step} ({stopped.steps[-1]})"
        commands.start(given, host=1)
        other = commands.end(host=1)
        is_told_in_a_sentence(other, f"{about}: {other}")
        first = stopped
        if stopped.code is None:
            commands.go_on()
            first = commands.end()
        is_told_in_a_sentence(first, f"{about}: {first}")
        check_nothing_twice(state(commands.folder))
        if task != "import" or other.code or first.code:
            assert commands.run(given).code == 0, about
        found = state(commands.folder)
        check_nothing_twice(found)
        assert found == new, about


def test_two_trainings_of_one_model_at_once(tmp_path_factory, copies, fault_hosts, chosen):
    template = tmp_path_factory.mktemp("two")
    for number in range(2):
        write_labelled(template / f"data{number}", *course_rows(40, seed=number))

    def begin() -> tuple[Commands, list[list[Any]]]:
        folder = copies(template)
        commands = Commands(fault_hosts, folder, QUICK | {"MOODLEMLBACKEND_LOCK_WAIT": WAIT}, apart="/logs/")
        return commands, [
            ["moodlemlbackend.training", MODELID, folder / "model", folder / f"data{n}"] for n in range(2)
        ]

    commands, given = begin()
    steps = len(commands.run(given[0]).steps)
    for step in chosen(steps):
        commands, given = begin()
        commands.start(given[0], "stop", step)
        stopped = commands.end()
        about = f"two trainings, one stopped at step {step} ({stopped.steps[-1]})"
        commands.start(given[1], host=1)
        other = commands.end(host=1)
        is_told_in_a_sentence(other, f"{about}: {other}")
        commands.go_on()
        first = commands.end()
        assert first.code == 0, f"{about}: {first}"
        stored = ModelStore(commands.folder / "model").current()
        assert stored is not None
        stored.arrays(*stored.specs)
        assert stored.settings["rows"] == (80 if other.code == 0 else 40), about
