"""The calls of Moodle at fault at any step: the model is the former or the new one, and the next call works."""

from __future__ import annotations

import re
import signal
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from fixtures.backend import MODELID, QUICK, Backend, course_rows, write_labelled, write_unlabelled
from fixtures.faults import Commands, at_fault, give_faults
from fixtures.paths import posix
from moodlemlbackend.operations.predict import predict
from moodlemlbackend.operations.trained_models import model_in_force
from moodlemlbackend.runtime.progress import QuietReporter
from moodlemlbackend.settings.backend import Settings
from moodlemlbackend.storage.model_store import ModelStore

pytestmark = posix

CALLS: dict[str, Callable[[Path], list[Any]]] = {
    "training": lambda folder: ["model", folder / "labelled"],
    "first training": lambda folder: ["new", folder / "labelled"],
    "prediction": lambda folder: ["model", folder / "unlabelled"],
    "evaluation": lambda folder: ["evaluated", folder / "labelled", 0.7, 0.05, 2, folder / "model"],
    "export": lambda folder: ["model", folder / "exported"],
    "export again": lambda folder: ["model", folder / "other"],
    "import": lambda folder: ["model", folder / "other"],
    "first import": lambda folder: ["new", folder / "other"],
}
"""Arguments by what is done; the last word is the module that does it."""


@dataclass(frozen=True)
class Clean:
    """A call without a fault: how many steps it has, what the models are before, after it and after another one."""

    steps: int
    states: tuple[Any, Any, Any]
    names: set[str]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "fault" in metafunc.fixturenames:
        give_faults(metafunc, "call", CALLS)


@pytest.fixture(scope="module")
def template(tmp_path_factory) -> Path:
    """A trained model, an export of another one, and data sets."""
    folder = tmp_path_factory.mktemp("backend")
    write_labelled(folder / "labelled", *course_rows(40, seed=1))
    write_unlabelled(folder / "unlabelled", course_rows(30, seed=2)[0])
    backend = Backend(folder, "logistic_regression")
    for name, seed in (("model", 3), ("another", 4)):
        backend.train(*course_rows(40, seed=seed), model=name)
    backend.export(model="another").rename(folder / "other")
    return folder


def arguments(call: str, folder: Path) -> list[Any]:
    directory, *rest = CALLS[call](folder)
    module = call.removeprefix("first ").removesuffix(" again")
    return [f"moodlemlbackend.{module}", MODELID, folder / directory, *rest]


def state(folder: Path) -> tuple[Any, ...]:
    """What each model predicts, read whole; None where there is none."""

    def predictions(name: str) -> Any:
        if model_in_force(ModelStore(folder / name)) is None:
            return None
        dataset, settings = str(folder / "unlabelled"), Settings(processor="logistic_regression")
        return tuple(predict(QuietReporter(), MODELID, str(folder / name), dataset, settings=settings)["predictions"])

    return tuple(map(predictions, ("model", "new", "another")))


def names(folder: Path) -> set[str]:
    """All files, without what differs between runs; those of runs are the records also of runs that were killed."""
    found = (path.relative_to(folder).as_posix() for path in folder.rglob("*"))
    return {re.sub(r"v\d{8}", "v", name) for name in found if not re.search(r"(^|/)(logs|tmp)(/|$)", name)}


@pytest.fixture(scope="module")
def clean(template, copies, fault_hosts) -> Callable[[str], Clean]:
    known: dict[str, Clean] = {}

    def run(call: str) -> Clean:
        if call not in known:
            folder = copies(template)
            commands, states = Commands(fault_hosts, folder, QUICK), [state(folder)]
            ended = [commands.run(arguments(call, folder)), (states.append(state(folder)), None)[1]]
            assert commands.run(arguments(call, folder)).code == ended[0].code == 0, ended
            states.append(state(folder))
            known[call] = Clean(len(ended[0].steps), tuple(states), names(folder))
        return known[call]

    return run


def test_a_call_at_fault(call, fault, template, clean, copies, chosen, fault_hosts):
    whole = clean(call)
    former, new, newer = whole.states
    for step in chosen(whole.steps):
        folder = copies(template)
        commands, given = Commands(fault_hosts, folder, QUICK), arguments(call, folder)
        ended, about = at_fault(commands, given, fault, step, given[2])
        found = state(folder)
        assert found in (former, new), about
        if fault not in ("kill group", "unmount") and ended.code != -signal.SIGKILL:
            assert found == (new if ended.code == 0 else former), about
        assert commands.run(given).code == 0, about
        assert state(folder) == (new if found == former else newer), about
        assert names(folder) <= whole.names, about
