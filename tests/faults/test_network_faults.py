"""Trainings of the network by TensorFlow at fault at any step: the model is the former or the new one, read whole."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from fixtures.backend import MODELID, QUICK, course_rows, write_labelled, write_unlabelled
from fixtures.faults import FAULTS, Commands, Host, at_fault
from fixtures.paths import posix
from moodlemlbackend.operations.predict import predict
from moodlemlbackend.runtime.progress import QuietReporter
from moodlemlbackend.settings.backend import Settings
from moodlemlbackend.storage.model_store import ModelStore

pytestmark = posix

ROWS = 40
NETWORK = QUICK | {"MOODLEMLBACKEND_PROCESSOR": "neural_network"}
CALLS: dict[str, tuple[str, str, tuple[str, ...], int]] = {
    "training": ("training", "model", (), ROWS),
    "first training": ("training", "new", (), ROWS),
    "evaluation": ("evaluation", "model", ("0.7", "0.05", "2"), 0),
}
"""The module, the model's directory, further arguments, and how many more rows the model then has learned."""


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    every = [(call, fault) for call in CALLS for fault in FAULTS]
    chosen = every if metafunc.config.getoption("every_fault") else [("first training", "kill")]
    metafunc.parametrize(("call", "fault"), chosen)


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("network")
    write_labelled(folder / "labelled", *course_rows(ROWS, seed=1))
    write_unlabelled(folder / "unlabelled", course_rows(ROWS, seed=2)[0])
    return folder


@pytest.fixture(scope="module")
def fault_hosts() -> Iterator[list[Host]]:
    """One that need not load TensorFlow for each training."""
    host = Host("tensorflow")
    yield [host]
    host.close()


@pytest.fixture(scope="module")
def trained(data, copies, fault_hosts) -> Callable[[], Path]:
    """A function that makes a folder with data sets and a model; it is trained but once."""
    made: list[Path] = []

    def make() -> Path:
        if not made:
            made.append(copies(data))
            assert Commands(fault_hosts, made[0], NETWORK).run(arguments("training", made[0])).code == 0
        return copies(made[0])

    return make


def arguments(call: str, folder: Path) -> list[str]:
    module, model, further, _ = CALLS[call]
    return [f"moodlemlbackend.{module}", MODELID, str(folder / model), str(folder / "labelled"), *further]


def learned(folder: Path, call: str) -> int:
    """How many rows the model has learned, read whole; it predicts."""
    model = folder / CALLS[call][1]
    stored = ModelStore(model).current()
    if stored is None:
        return 0
    stored.arrays(*stored.specs)
    answer = predict(QuietReporter(), MODELID, str(model), str(folder / "unlabelled"), settings=Settings())
    assert len([*answer["predictions"]]) == ROWS
    return int(stored.settings["rows"])


def test_a_network_at_fault(call, fault, data, trained, copies, chosen, fault_hosts, request):
    more = CALLS[call][3]

    def begin(environment: dict[str, str]) -> tuple[Commands, list[str]]:
        folder = copies(data) if call == "first training" else trained()
        return Commands(fault_hosts, folder, environment), arguments(call, folder)

    like = NETWORK if request.config.getoption("every_fault") else QUICK  # a linear model has about as many steps
    commands, given = begin(like)
    ended = commands.run(given)
    assert ended.code == 0, ended
    for step in chosen(len(ended.steps)):
        commands, given = begin(NETWORK)
        folder = commands.folder
        former = learned(folder, call)
        ended, about = at_fault(commands, given, fault, step, folder / CALLS[call][1])
        found = learned(folder, call)
        assert found in (former, former + more), about
        if fault not in ("kill group", "unmount") and ended.code != -signal.SIGKILL:
            assert found == former + (more if ended.code == 0 else 0), about
        assert commands.run(given).code == 0, about
        assert learned(folder, call) == found + more, about
