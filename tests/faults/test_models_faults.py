"""Commands on models and scheduled tasks at fault at any step: nothing is lost, nothing learned or told twice."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("alembic", reason="needs the extra analytics")

from fixtures.fault_states import CREATE, SET, SHORT, check_nothing_twice, environment, small_site, state
from fixtures.faults import YEAR, Commands, at_fault, give_faults
from fixtures.paths import posix
from fixtures.trained_sites import NOW, TRAINED, new_workspace, rows
from moodlemlbackend.analytics.db.schema import PREDICTIONS

_ = small_site  # a fixture
pytestmark = posix

COMMANDS: dict[str, tuple[str, ...]] = {
    "tasks train": (),
    "models train": (),
    "models create": CREATE[2:],
    "models disable": (),
    "models enable": ("--interval", "deciles"),
    "models evaluate": ("--interval", "quarters"),
    "tasks predict": (),
    "models predict": (),
    "models export": ("{folder}/package.zip", "--yes"),
    "models export-data": ("{folder}/data.csv", "--yes"),
    "models import": ("{folder}/imported.zip", "--yes"),
    "site dataset": (
        "--target", "course_dropout", *SHORT, "--interval", "quarters", "--yes", "-o", "{folder}/data.csv",
    ),
    "models backtest": ("--interval", "quarters", "--now", str(NOW + YEAR)),
    "models list": (),
    "models restore": ("--yes",),
    "tasks train with answers": (),
    "insights act": ("not-useful", "{prediction}"),
    "insights preferences": ("3", "--no-email", "--digest", "weekly"),
    "insights notifications": ("--read",),
    "models edit": ("--interval", "deciles", "--yes"),
    "models clear": ("--yes",),
    "models delete": ("--yes",),
    "tasks cleanup": (),
}  # fmt: skip
"""By name what follows it, and the id of the model where it is about one."""

SELDOM = ("models list", "models restore", "insights preferences", "insights notifications")
"""What a run at a few steps leaves out."""

BEGINS_FROM = {
    "empty": ("models list",),
    "untrained": ("tasks train", "models train", "models create", "models disable", "models enable", "models evaluate",
                  "models backtest", "models restore"),
    "trained": ("tasks predict", "models predict", "models export", "models export-data", "models import",
                "site dataset"),
    "answered": ("tasks train with answers",),
}  # fmt: skip
"""The rest begins from a site whose model has predicted."""

NO_MODEL = ("create", "import", "list", "restore")
"""Commands on models that are not about one that there is."""

IN_STEPS = (
    "tasks train", "models train", "models evaluate", "tasks train with answers", "tasks predict", "models predict",
)  # fmt: skip
"""What goes on from where it was interrupted."""


@dataclass(frozen=True)
class Clean:
    """A command without a fault: how many steps it has; what there is before, after it and after another one."""

    steps: int
    states: tuple[Any, Any, Any]
    again: int
    names: set[str]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "fault" in metafunc.fixturenames:
        give_faults(metafunc, "command", COMMANDS, SELDOM)


@pytest.fixture(scope="module")
def templates(tmp_path_factory, copies, fault_hosts, small_site) -> dict[str, Path]:
    """Folders of a site without models, and whose model has learned nothing yet, has learned, predicted, was answered.

    One of the core models was deleted.
    """
    folder = tmp_path_factory.mktemp("models")
    commands = Commands(fault_hosts, folder, environment(folder, small_site), **SET)
    made = {}

    def run(*words: Any) -> None:
        ended = commands.run(["moodlemlbackend", *words])
        assert ended.code == 0, ended

    def keep(name: str) -> None:
        made[name] = copies(folder)

    keep("empty")
    run(*CREATE)
    run("models", "delete", "1", "--yes")
    keep("untrained")
    run("tasks", "train")
    for name in ("package.zip", "imported.zip"):
        run("models", "export", TRAINED, folder / name)
    (folder / "data.csv").write_text("former")
    (folder / "package.zip").write_text("former")
    keep("trained")
    run("tasks", "predict")
    keep("predicted")
    run("insights", "act", "not-useful", *flagged(folder))
    keep("answered")
    return made


def flagged(folder: Path) -> list[int]:
    """The predictions of the model that learns."""
    with new_workspace(folder / "work") as workspace:
        found = rows(workspace, PREDICTIONS, PREDICTIONS.c.modelid == TRAINED)
    assert found
    return [row["id"] for row in found][:1]


def arguments(command: str, folder: Path) -> list[str]:
    group, name, *_ = command.split()
    about = (str(TRAINED),) if group == "models" and name not in NO_MODEL else ()
    given = {"folder": folder}
    if command == "insights act":
        given["prediction"] = flagged(folder)[0]
    return ["moodlemlbackend", group, name, *about, *(word.format(**given) for word in COMMANDS[command])]


def names(folder: Path) -> set[str]:
    """All files but records of runs, and new ones that a killed process had not put in place yet."""
    found = (path.relative_to(folder).as_posix() for path in folder.rglob("*"))
    found = (
        name
        for name in found
        if not re.search(r"(^|/)(logs|tmp|datasets|work/store\.sqlite.*)(/|$)|^\.\w{16}\.tmp$", name)
    )
    return {re.sub(r"v\d{8}|\d{10}", "v", name) for name in found}


@pytest.fixture(scope="module")
def clean(templates, copies, fault_hosts, small_site) -> Callable[[str], Clean]:
    known: dict[str, Clean] = {}

    def run(command: str) -> Clean:
        if command not in known:
            folder = copies(template_of(command, templates))
            commands = Commands(fault_hosts, folder, environment(folder, small_site), **SET)
            former, given, seen = state(copies(folder)), arguments(command, folder), names(folder)
            ended, new = commands.run(given), state(folder)
            assert ended.code in (0, 4, 8, 12), ended
            seen |= names(folder)
            again = commands.run(given)
            known[command] = Clean(len(ended.steps), (former, new, state(folder)), again.code, seen | names(folder))
        return known[command]

    return run


def template_of(command: str, templates: dict[str, Path]) -> Path:
    found = [name for name, commands in BEGINS_FROM.items() if command in commands]
    return templates[found[0] if found else "predicted"]


def test_a_command_at_fault(command, fault, templates, clean, copies, chosen, fault_hosts, small_site):
    whole = clean(command)
    former, new, newer = whole.states
    for step in chosen(whole.steps):
        folder = copies(template_of(command, templates))
        commands = Commands(fault_hosts, folder, environment(folder, small_site), **SET)
        given = arguments(command, folder)
        ended, about = at_fault(commands, given, fault, step, folder / "work")
        found = state(folder)
        check_nothing_twice(found)
        if fault.startswith("clock"):
            assert commands.run(given).code in (0, 2, whole.again), about
            check_nothing_twice(state(folder))
            continue
        if command not in IN_STEPS:
            assert found in (former, new), about
        if ended.code == 0 and fault != "unmount":
            assert found == new, about
        if found == new and whole.again == 2:
            given = ["moodlemlbackend", "models", "list"]
        assert commands.run(given).code in (0, whole.again), about
        assert state(folder) == (newer if found == new and whole.again != 2 else new), about
        assert names(folder) <= whole.names, about
