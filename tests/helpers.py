"""What the tests of the backend share: data sets made on the spot, and its calls, in this process and as Moodle's."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from functools import lru_cache
from pathlib import Path
from typing import Any

import matplotlib.figure  # noqa: F401  loaded, so that runs in this process draw for themselves
import numpy as np
import pytest

from moodlemlbackend.dataset import data_set
from moodlemlbackend.model.codes import code
from moodlemlbackend.operations import commands
from moodlemlbackend.processor.training_rows import TrainingRows
from moodlemlbackend.runtime.supervisor import Streams
from moodlemlbackend.settings.backend import Settings
from moodlemlbackend.simulation.courses import SimulatedDataSet, simulate

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("TF_USE_LEGACY_KERAS", "1")

ROOT = Path(__file__).resolve().parents[1]
SHARED = ROOT.parent / "shared"
needs_shared = pytest.mark.skipif(not SHARED.is_dir(), reason="the shared data sets are not beside this checkout")
posix = pytest.mark.skipif(os.name == "nt", reason="needs fork and POSIX signals")

MODELID = "af5e26b33fe524006677a60d2ee9b9da6335a779"
TARGET = r"\core_course\analytics\target\course_dropout"


# ---- data ----


def names(count: int) -> list[str]:
    return [rf"\local_test\analytics\indicator\number_{number}" for number in range(count)]


def metadata(columns: int, classes: int) -> dict[str, str]:
    """The metadata that Moodle writes."""
    return {
        "timesplitting": r"\core\analytics\time_splitting\quarters",
        "nfeatures": str(columns),
        "moodleversion": "2023042403",
        "targetcolumn": TARGET,
        "targettype": "discrete",
        "targetclasses": json.dumps([*range(classes)], separators=(",", ":")),
    }


def write_labelled(path: Path, features: Any, labels: Any, classes: int = 2, columns: list[str] | None = None) -> Path:
    width = np.shape(features)[1]
    data_set.write(path, metadata(width, classes), columns or names(width), features, labels=labels)
    return path


def write_unlabelled(path: Path, features: Any, columns: list[str] | None = None, classes: int = 2) -> Path:
    """Write rows with the sample ids ``1-0``, ``2-0``, …"""
    rows, width = np.shape(features)
    ids = [f"{row + 1}-0" for row in range(rows)]
    data_set.write(path, metadata(width, classes), columns or names(width), features, sample_ids=ids)
    return path


def write_courses(folder: Path, courses: int) -> tuple[Path, Path]:
    """Write a labelled and an unlabelled file of the same :func:`course_rows`."""
    features, labels = course_rows(courses)
    return write_labelled(folder / "labelled", features, labels), write_unlabelled(folder / "unlabelled", features)


def course_rows(courses: int, classes: int = 2, seed: int = 0, *, separable: bool = True) -> tuple[Any, Any]:
    """Features and labels as of Moodle's acceptance tests.

    A constant 1, a constant −1, noise, and for each class an indicator of it, which tells nothing (noise, too) unless
    ``separable``.
    """
    random = np.random.default_rng(seed)
    labels = np.arange(courses) % classes
    told = labels if separable else random.integers(classes, size=courses)
    noise = random.integers(-100, 101, size=courses) / 100
    indicators = np.where(told[:, None] == np.arange(classes), 1.0, -1.0)
    return np.column_stack([np.ones(courses), -np.ones(courses), noise, indicators]), labels


@lru_cache
def simulated(courses: int = 4, students: int = 12, seed: int = 1, classes: int = 2) -> SimulatedDataSet:
    """Simulated students: 98 columns, empty cells, classes that overlap."""
    return simulate(courses, students, seed=seed, classes=classes)


def samples_of(features: Any, labels: Any, classes: int = 2) -> TrainingRows:
    features = np.asarray(features, np.float32)
    width = features.shape[1]
    targets = np.eye(classes, dtype=np.float32)[np.asarray(labels)]
    return TrainingRows(tuple(names(width)), tuple(map(str, range(classes))), code([features], width), targets)


def snapshot(folder: Path) -> dict[str, tuple[bytes, int]]:
    """Content and time of every file under a folder, but for the lock."""
    paths = (path for path in folder.rglob("*") if path.is_file() and path.name != "lock")
    return {str(path.relative_to(folder)): (path.read_bytes(), path.stat().st_mtime_ns) for path in paths}


# ---- the calls, in this process ----


class Backend:
    """Moodle's calls with one processor, a directory a model id."""

    def __init__(self, folder: Path, processor: str, **settings: Any) -> None:
        self.folder = folder
        self.settings = Settings(processor=processor, **({"seed": 7} | settings))
        self._streams = Streams(None, None)

    def outputdir(self, model: str) -> Path:
        return self.folder / model

    def classifier(self, model: str = "model") -> Path:
        return self.outputdir(model) / "classifier"

    def train(self, features: Any, labels: Any, *, model: str = "model", **header: Any) -> dict[str, Any]:
        path = write_labelled(self.folder / "training", features, labels, **header)
        return commands.train(self._streams, model, str(self.outputdir(model)), str(path), settings=self.settings)

    def predict(self, features: Any, *, model: str = "model", **header: Any) -> list[tuple[str, str, str]]:
        path = write_unlabelled(self.folder / "prediction", features, **header)
        result = commands.predict(self._streams, model, str(self.outputdir(model)), str(path), settings=self.settings)
        assert result["status"] == 0
        return list(result["predictions"])

    def classes(self, features: Any, **header: Any) -> list[int]:
        return [int(name) for _, name, _ in self.predict(features, **header)]

    def evaluate(
        self, features: Any, labels: Any, *, trained: str | None = None, iterations: int = 10, **header: Any
    ) -> dict[str, Any]:
        path = write_labelled(self.folder / "evaluation", features, labels, **header)
        return commands.evaluate(
            self._streams,
            "model",
            str(self.folder / "evaluation-dir"),
            str(path),
            minscore=0.7,
            accepted_deviation=0.05,
            iterations=iterations,
            trained_model_dir=None if trained is None else str(self.outputdir(trained)),
            settings=self.settings,
        )

    def export(self, *, model: str = "model") -> Path:
        folder = self.folder / f"export-of-{model}"
        given = commands.export(self._streams, model, str(self.outputdir(model)), str(folder), settings=self.settings)
        assert given == str(folder)
        return folder

    def import_model(self, folder: Path, *, model: str) -> None:
        given = commands.import_model(
            self._streams, model, str(self.outputdir(model)), str(folder), settings=self.settings
        )
        assert given == "Ok"


# ---- the modules, as Moodle runs them ----


def environment(**changes: str | None) -> dict[str, str]:
    """A web server's environment; a variable that is None is left out."""
    usual = {"PYTHONPATH": str(ROOT), "PATH": os.environ["PATH"], "HOME": "/nowhere", "LANG": "C"}
    return {name: value for name, value in {**usual, **changes}.items() if value is not None}


QUICK = {"MOODLEMLBACKEND_PROCESSOR": "logistic_regression", "MOODLEMLBACKEND_SEED": "7"}


def start(module: str, *arguments: Any, prefix: list[str] | None = None, **options: Any) -> subprocess.Popen[bytes]:
    """Start a module as Moodle does: standard input empty, working directory not ours."""
    command = [*(prefix or []), sys.executable, "-m", f"moodlemlbackend.{module}", *map(str, arguments)]
    usual = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "cwd": "/"}
    return subprocess.Popen(command, **{**usual, "env": environment(**QUICK), **options})


def run(module: str, *arguments: Any, timeout: float = 120, **options: Any) -> subprocess.CompletedProcess[bytes]:
    """Run a module to its end; see :func:`start`."""
    process = start(module, *arguments, **options)
    return end(process, timeout=timeout)


def end(process: subprocess.Popen[bytes], timeout: float = 120) -> subprocess.CompletedProcess[bytes]:
    output, errors = process.communicate(timeout=timeout)
    return subprocess.CompletedProcess(process.args, process.returncode, output, errors)


def answer(result: subprocess.CompletedProcess[bytes]) -> dict[str, Any]:
    """The object of a run, whose exit code must be its status and whose standard error must be empty."""
    assert result.stderr == b""
    line = result.stdout.decode("ascii").splitlines()[-1]
    reply: dict[str, Any] = json.loads(line)
    assert result.returncode == reply["status"], reply
    assert isinstance(reply["info"], list)
    return reply


def sentence(result: subprocess.CompletedProcess[bytes], status: int) -> str:
    """The one sentence of a run that failed with ``status``: no traceback, nothing else on either stream."""
    assert result.stdout.count(b"\n") == 1
    reply = answer(result)
    assert reply["status"] == status, reply
    assert reply["runid"].isdigit()
    assert reply["errors"] == reply["info"]
    (text,) = reply["errors"]
    assert text.endswith(".")
    assert "\n" not in text
    assert "Traceback" not in text
    assert "unexpected" not in text, text
    return str(text)
