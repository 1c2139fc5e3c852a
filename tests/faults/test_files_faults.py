"""Commands that write files for people at fault at any step: the file is the former or the new one, and whole."""

from __future__ import annotations

import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from fixtures.backend import QUICK, Backend, course_rows, write_labelled
from fixtures.faults import Commands, at_fault, give_faults
from fixtures.paths import posix

pytestmark = posix

COMMANDS: dict[str, tuple[str, ...]] = {
    "report": ("{run}",),
    "explain": ("{folder}/model", "{folder}/labelled", "--row", "4", "--figure", "{folder}/shown/figure.png"),
    "demo": ("site", "--courses", "2", "--students", "3", "--now", "2026-03-01", "-o", "{folder}/shown/site.db"),
}
"""By name what follows it."""


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    give_faults(metafunc, "command", COMMANDS, seldom=("report", "explain"))


@pytest.fixture(scope="module")
def template(request, tmp_path_factory) -> Path:
    """A model with the report of its training, for those that need it, and a former figure."""
    folder = tmp_path_factory.mktemp("files")
    if request.config.getoption("every_fault"):
        rows = course_rows(40)
        write_labelled(folder / "labelled", *rows)
        Backend(folder, "logistic_regression").train(*rows)
    (folder / "shown").mkdir()
    (folder / "shown" / "figure.png").write_text("former")
    return folder


def files(folder: Path) -> dict[str, bytes]:
    """What people look at, and all that is beside it but what is not in place yet."""
    found = (path for place in ("shown", "model/logs") for path in (folder / place).rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in found if path.name[0] != "."}


def test_a_file_at_fault(command, fault, template, copies, chosen, fault_hosts):
    def begin() -> tuple[Commands, list[Any], Callable[[], dict[str, bytes]]]:
        folder = copies(template)
        run = next(folder.glob("model/logs/*"), "")
        given = [word.format(folder=folder, run=run) for word in COMMANDS[command]]
        commands = Commands(fault_hosts, folder, QUICK)
        return commands, ["moodlemlbackend", command, *given], lambda: files(folder)

    commands, given, look = begin()
    former = look()
    whole = commands.run(given)
    assert whole.code == 0, whole
    new = look()
    for step in chosen(len(whole.steps)):
        commands, given, look = begin()
        ended, about = at_fault(commands, given, fault, step, commands.folder / "shown")
        found = look()
        for name in {*former, *found}:
            assert found.get(name) in (former.get(name), new.get(name)), (name, about)
        if ended.code == 0 and fault != "unmount":
            assert found == new, about
        elif command != "report" and ended.code != -signal.SIGKILL:
            assert found == former, about
        if command == "demo" and found == new:
            continue  # a site that is there is left alone
        assert commands.run(given).code == 0, about
        assert look() == new, about
