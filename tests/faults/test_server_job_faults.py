"""Jobs of the server whose worker is at fault at any step: the answer is true, and the next job is done."""

from __future__ import annotations

import itertools
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from fixtures import pools
from fixtures.backend import MODELID, course_rows, write_labelled
from fixtures.fault_hook.sitecustomize import WIDTH
from fixtures.paths import TESTS, posix
from moodlemlbackend.errors import RequestError
from moodlemlbackend.server.jobs.job import Job, WorkerReply
from moodlemlbackend.storage import archives
from moodlemlbackend.storage.model_store import ModelStore

pytestmark = posix

DIRHASH = "a" * 32
KINDS = ("training", "import", "deletemodel")
FAULTS = ("kill", "full", "failing", "read-only")


class Worker:
    """A worker of a server whose models and jobs are in a folder, and at fault if that is asked for."""

    def __init__(self, folder: Path, environment: Callable[[str, str], None]) -> None:
        self._folder, self._environment = folder, environment
        self.model = folder / "models" / MODELID / DIRHASH
        self._jobs = itertools.count(1)

    def perform(self, kind: str, fault: str = "", at: int = 0) -> tuple[WorkerReply | RequestError, int]:
        """Do a job; returns the answer or the refusal, and how many steps there were."""
        scratch = self._folder / "scratch" / str(next(self._jobs))
        scratch.mkdir(parents=True)
        (self._folder / "labelled").exists() or write_labelled(self._folder / "labelled", *course_rows(40))
        (scratch / "dataset").write_bytes((self._folder / "labelled").read_bytes())
        if kind == "import":
            (scratch / "importzip").write_bytes((self._folder / "exported.zip").read_bytes())
        steps = scratch / "steps"
        about = {"file": str(steps), "root": str(self._folder / "models"), "at": at, "kind": fault, "apart": "/logs/"}
        self._environment("FAULT", json.dumps(about))
        answer: WorkerReply | RequestError
        try:
            answer = pools.perform(Job(kind, (), MODELID, str(scratch), DIRHASH), self._folder / "models", 240)
        except RequestError as error:
            answer = error
        return answer, steps.stat().st_size // WIDTH if steps.exists() else 0

    def rows(self) -> int | None:
        """How many rows the model in force has learned, read whole."""
        stored = ModelStore(self.model).current()
        if stored is None:
            return None
        stored.arrays(*stored.specs)
        return int(stored.settings["rows"])


@pytest.fixture
def worker(tmp_path, monkeypatch) -> Callable[[], Worker]:
    """A function that makes a server with a trained model."""
    monkeypatch.setenv("MOODLEMLBACKEND_PROCESSOR", "logistic_regression")
    path = [str(TESTS / "fixtures" / "fault_hook"), *os.environ.get("PYTHONPATH", "").split(os.pathsep)]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, path)))
    count = itertools.count(1)

    def make() -> Worker:
        folder = tmp_path / str(next(count))
        made = Worker(folder, monkeypatch.setenv)
        assert done(made.perform("training")[0])
        stored = ModelStore(made.model).current()
        assert stored is not None
        stored.copy_to(folder / "exported", without={"memory_x"})
        archives.pack(folder / "exported", folder / "exported.zip")
        return made

    return make


def done(answer: WorkerReply | RequestError) -> bool:
    """Whether a job succeeded; one that did not says why in a sentence."""
    if isinstance(answer, RequestError):
        text = str(answer)
    elif answer.media.startswith("application/json"):
        reply: dict[str, Any] = json.loads(answer.body)
        if reply["status"] == 0:
            return True
        [text] = reply["errors"]
    elif answer.code == 200:
        return True
    else:
        text = answer.body.decode()
    assert text.rstrip("\n").endswith("."), text
    assert "Traceback" not in text
    return False


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    every = [(kind, fault) for kind in KINDS for fault in FAULTS]
    chosen = every if metafunc.config.getoption("every_fault") else [("training", "kill")]
    metafunc.parametrize(("kind", "fault"), chosen)


def test_a_job_at_fault(kind, fault, worker, chosen):
    whole = worker()
    former = whole.rows()
    answer, steps = whole.perform(kind)
    assert done(answer)
    new = whole.rows()
    for step in chosen(steps):
        tried = worker()
        answer, _ = tried.perform(kind, fault, step)
        about = f"{kind}, {fault} at step {step}: {answer}"
        found = tried.rows()
        assert found in (former, new), about
        if done(answer):
            assert found == new, about
        assert done(tried.perform("training")[0]), about
        assert tried.rows() is not None, about
