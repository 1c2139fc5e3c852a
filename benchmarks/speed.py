"""How long Moodle waits, and for how much memory: ``python benchmarks/speed.py [--reference PYTHON] [--stages]``.

Every figure is of whole processes, from ``python -m moodlemlbackend...`` to their end: medians of the seconds, by the
clock and of all cores, and the largest peak memory of three. The reference's seconds were measured with version 3.0.5
on an idle machine with 2 cores; with ``--reference`` they are measured now, of the package that the interpreter
PYTHON has. ``--large`` takes a million rows instead, ``--larger`` two million as well. ``--stages`` shows where the
seconds of a training and of an evaluation go.
"""

from __future__ import annotations

import argparse
import gc
import importlib
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple
from unittest.mock import patch

from measuring import ROOT, Measured, in_process, measure

MODEL = "benchmark"
JUDGED = ("0.7", "0.05")
REPEATS = 3


class Size(NamedTuple):
    """Rows and columns of a data set."""

    rows: int
    columns: int

    def __str__(self) -> str:
        return f"{self.rows:,} × {self.columns}"


SIZES = {
    "small": Size(1_904, 365),
    "medium": Size(14_139, 422),
    "large": Size(37_953, 414),
    "asked": Size(1_570, 422),
}
MILLIONS = {"million": Size(1_000_000, 415), "millions": Size(2_000_000, 415)}
QUICK = {"small": Size(80, 20), "medium": Size(120, 40), "large": Size(160, 40), "asked": Size(40, 40)}


@dataclass(frozen=True)
class Work:
    """One process, and what is asked of it.

    ``arguments`` are those of ``python -m``; ``{fresh}`` is an empty directory, ``{trained}`` one with a model,
    any other name in braces a file. ``reference`` are the seconds of the reference. ``goal`` is how many times
    faster than the reference the work has to be, or, with ``than`` another work of ours, how many times as long
    it may take. Work of minutes is done ``once``.
    """

    title: str
    arguments: tuple[str, ...]
    reference: float | None = None
    goal: float | None = None
    than: str | None = None
    once: bool = False


PREDICTION = ("moodlemlbackend.prediction", MODEL)


def works(sizes: Mapping[str, Size]) -> list[Work]:
    """What sites do every day."""

    def training(name: str, reference: float, goal: float) -> Work:
        return Work(f"training, {sizes[name]}", _training(name), reference, goal)

    def evaluation(splits: int, name: str, reference: float | None, goal: float, than: str | None = None) -> Work:
        arguments = ("moodlemlbackend.evaluation", MODEL, "{fresh}", f"{{{name}}}", *JUDGED, str(splits))
        return Work(f"evaluation, {splits} splits, {sizes[name]}", arguments, reference, goal, than)

    medium = evaluation(10, "medium", 69.6, 12)
    ten = ("moodlemlbackend", "evaluate", MODEL, "{fresh}", *["{medium}"] * 10)
    return [
        Work("version", ("moodlemlbackend.version",), 0.04),
        Work(f"prediction, {sizes['asked']}", (*PREDICTION, "{trained}", "{asked}"), 3.5, 12),
        training("small", 8.7, 3),
        training("medium", 15.3, 4),
        training("large", 29.3, 5),
        evaluation(10, "small", 48.4, 12),
        medium,
        evaluation(100, "medium", None, 8, medium.title),
        Work(f"evaluation of ten data sets, {sizes['medium']}", ten, None, 7, medium.title),
    ]


def large_works(names: tuple[str, ...]) -> list[Work]:
    """Training on a million rows and more, and predictions of as many."""
    first = f"training, {MILLIONS['million']}"
    return [
        work
        for name in names
        for work in (
            Work(
                f"training, {MILLIONS[name]}",
                _training(name),
                goal=None if name == "million" else 2.2,
                than=None if name == "million" else first,
                once=True,
            ),
            Work(f"prediction, {MILLIONS[name]}", (*PREDICTION, "{trained}", f"{{asked-{name}}}"), once=True),
        )
    ]


def _training(name: str) -> tuple[str, ...]:
    return ("moodlemlbackend.training", MODEL, "{fresh}", f"{{{name}}}")


# ---- whole processes ----


class Package:
    """A backend as an interpreter has it installed; its models are kept in ``folder``."""

    def __init__(self, python: str, folder: Path, files: Mapping[str, Path]) -> None:
        self._python, self._folder, self._files = python, folder, dict(files)
        self._ours = python == sys.executable
        folder.mkdir()

    def train(self, name: str, data: str) -> None:
        """Train a model, to be asked for predictions by its name."""
        self._files[name] = self._folder / name
        work = Work(name, ("moodlemlbackend.training", MODEL, f"{{{name}}}", f"{{{data}}}"))
        if self.measure(work, 1) is None:
            raise SystemExit(f"the package of {self._python} cannot train a model")

    def measure(self, work: Work, repeats: int) -> Measured | None:
        """Run a work several times; None when the package refuses it."""
        runs = []
        for _ in range(repeats):
            with tempfile.TemporaryDirectory(dir=self._folder) as fresh:
                places = {**self._files, "fresh": Path(fresh)}
                run = self._run([argument.format_map(places) for argument in work.arguments])
            if run is None:
                return None
            runs.append(run)
        seconds, core_seconds, megabytes = zip(*runs, strict=True)
        return Measured(statistics.median(seconds), statistics.median(core_seconds), max(megabytes))

    def _run(self, arguments: list[str]) -> Measured | None:
        """Run one process; None unless it does its work."""
        return measure(
            [self._python, "-m", *arguments],
            cwd=ROOT if self._ours else self._folder,
            env=dict(os.environ) if self._ours else {k: v for k, v in os.environ.items() if k != "PYTHONPATH"},
        )


def make_files(folder: Path, sizes: Mapping[str, Size], real: bool) -> dict[str, Path]:
    """Write the data sets: real ones where they are at hand, the others of repeated rows."""
    from data import SPLIT_EVALUATION, SPLIT_EVALUATION_ASKED, TEST_366, write_plain, write_repeated

    sources = {"small": TEST_366, "medium": SPLIT_EVALUATION, "asked": SPLIT_EVALUATION_ASKED}
    files = {name: folder / name for name in sizes}
    for name, size in sizes.items():
        if real and name in sources and sources[name].is_file():
            write_plain(files[name], sources[name])
        else:
            write_repeated(files[name], *size, labelled=not name.startswith("asked"))
    return files


def report(listed: list[Work], packages: list[Package], repeats: int) -> None:
    """Print the table, a line as soon as it is known; the first of the packages is ours."""
    ours, *others = packages
    print("\n| work | seconds | core seconds | peak MB | reference | | goal |\n|---|---|---|---|---|---|---|")
    seconds_of: dict[str, float] = {}
    for work in listed:
        measured = ours.measure(work, 1 if work.once else repeats)
        if measured is None:
            print(f"| {work.title} | refused | | | | | |", flush=True)
            continue
        seconds_of[work.title] = measured.seconds
        reference, expected = "", work.reference
        if expected is not None:
            for other in others:
                theirs = other.measure(work, 1 if work.once else repeats)
                expected = theirs.seconds if theirs is not None else expected
                reference = f", {theirs.megabytes:.0f} MB" if theirs is not None else ", refused now"
            reference = f"{expected:.2f} s{reference}"
        compared, goal = "", ""
        if work.than is not None:
            compared = f"{measured.seconds / seconds_of[work.than]:.1f} times “{work.than}”"
            goal = f"at most {work.goal:g}"
        elif expected is not None:
            compared = f"{expected / measured.seconds:.1f} times faster"
            goal = f"at least {work.goal:g}" if work.goal is not None else ""
        ours_shown = f"{measured.seconds:.2f} | {measured.core_seconds:.2f} | {measured.megabytes:.0f}"
        print(f"| {work.title} | {ours_shown} | {reference} | {compared} | {goal} |", flush=True)


# ---- stages ----


class Stage(NamedTuple):
    """Seconds of a stage and the least that they could be, None where nobody knows."""

    name: str
    seconds: float
    floor: float | None = None


def stages(path: Path, splits: int | None) -> list[Stage]:
    """Time the stages of a training, or of an evaluation with at most 10 splits, one after the other in this process.

    A command imports TensorFlow while it reads the file; here the two wait for each other. The floors: TensorFlow's
    import alone; pyarrow's reading, without a check; the products of matrices at the speed that NumPy has here and now.
    """
    os.environ.update(TF_CPP_MIN_LOG_LEVEL="3", TF_USE_LEGACY_KERAS="1", MPLBACKEND="Agg")
    gc.disable()  # as the commands do while they import
    started = time.perf_counter()
    importlib.import_module("tensorflow")
    tensorflow = time.perf_counter() - started
    from moodlemlbackend.processor.neural_network import NeuralNetwork
    from moodlemlbackend.processor.training_rows import read_samples
    from moodlemlbackend.report.run_report import LIBRARIES_OF_REPORTS

    for name in LIBRARIES_OF_REPORTS:
        importlib.import_module(name)
    imported = time.perf_counter() - started
    gc.freeze()
    gc.enable()

    from pyarrow import csv

    started = time.perf_counter()
    csv.read_csv(path, read_options=csv.ReadOptions(skip_rows=2))
    pyarrow = time.perf_counter() - started
    started = time.perf_counter()
    samples = read_samples(path)
    read = time.perf_counter() - started

    def mark(_done: int, _total: int) -> None:
        marks.append(time.perf_counter())

    processor = NeuralNetwork()
    marks = [time.perf_counter()]
    with _calls_marked(marks):
        work: Any
        if splits is None:
            work = processor.fit(samples, seed=0, progress=mark)
        else:
            work = processor.evaluate(samples, iterations=splits, seed=0, learning_curve=True, progress=mark)
    marks.append(time.perf_counter())
    begun, training, first_step, *_, last_step, rating = marks
    fits = [work] if splits is None else [fitted for _, fitted in work]
    training_floor, rating_floor = _arithmetic(fits, samples, len(marks) - 3)
    written = _write(processor, samples, work)
    return [
        Stage("import", imported, tensorflow),
        Stage("read", read, pyarrow),
        Stage("encode columns, divide rows", training - begun),
        Stage("encode rows, build the graph, first step", first_step - training),
        Stage("train", last_step - first_step, training_floor),
        Stage("rate", rating - last_step, rating_floor),
        Stage("write", written),
    ]


@contextmanager
def _calls_marked(marks: list[float]) -> Iterator[None]:
    """Note when the training proper is called."""
    from moodlemlbackend.model import fitting

    train = getattr(fitting, "train")  # noqa: B009

    def marked(*arguments: Any, **options: Any) -> Any:
        marks.append(time.perf_counter())
        return train(*arguments, **options)

    with patch.object(fitting, "train", marked):
        yield


def _arithmetic(fits: list[Any], samples: Any, steps: int) -> tuple[float, float]:
    """Least seconds of training and of rating, by their products of matrices alone.

    A weight costs two operations a row in the forward pass, two for its gradient, and two to carry gradients on to
    the layer before, which the first layer does not have.
    """
    import numpy as np

    from moodlemlbackend.model.encoding import distinct, varying
    from moodlemlbackend.model.training import Options

    matrix = np.ones((2048, 2048), np.float32)
    speeds = []
    for _ in range(5):
        start = time.perf_counter()
        matrix @ matrix
        speeds.append(2 * 2048**3 / (time.perf_counter() - start))
    parameters = [fitted.classifier.network.parameters for fitted in fits]
    outer = sum(network.w1.size + network.linear.size for network in parameters)
    inner = sum(network.w2.size + network.w3.size for network in parameters)
    codes = samples.coded.codes
    rated = len(distinct(codes, varying(codes))[0]) + (0.2 * len(samples) if len(fits) > 1 else 0)
    operations = steps * Options().batch * (4 * outer + 6 * inner), 2 * (outer + inner) * rated
    return operations[0] / max(speeds), operations[1] / max(speeds)


def _write(processor: Any, samples: Any, work: Any) -> float:
    """Seconds of writing what a training (``work``: what was fitted) or an evaluation leaves, in this process alone."""
    from moodlemlbackend.processor.evaluation import verdict
    from moodlemlbackend.processor.memory import remember
    from moodlemlbackend.processor.processor import Fitted
    from moodlemlbackend.report.run_report import RunReport
    from moodlemlbackend.runtime.run import Run
    from moodlemlbackend.storage.model_store import ModelStore

    about = {"processor": processor.name, "seed": 0}
    with tempfile.TemporaryDirectory() as folder, Run.start(Path(folder)) as run, RunReport(run) as report:
        start = time.perf_counter()
        report.begin(samples, "evaluate", MODEL, folder, "data", **about)
        if isinstance(work, Fitted):
            model = work.model(samples, len(samples))
            store = ModelStore(Path(folder))
            with store.lock():
                processor.store(store, model, remember(samples))
            report.training(work)
        else:
            ratings = [rating for rating, _ in work]
            result, _ = verdict(ratings, minimum_score=0, accepted_deviation=1, score="mcc")
            report.evaluation(work, result)
        return time.perf_counter() - start


def report_stages(title: str, path: Path, splits: int | None) -> None:
    """Print where the time of one work goes."""
    measured = in_process(stages, path, splits)
    print(f"\n{title}\n\n| stage | seconds | floor |\n|---|---|---|")
    for name, seconds, floor in measured:
        print(f"| {name} | {seconds:.2f} | {'' if floor is None else f'{floor:.2f}'} |")
    print(f"| all | {sum(stage.seconds for stage in measured):.2f} | |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--reference", metavar="PYTHON", help="interpreter with the reference package")
    parser.add_argument("--stages", action="store_true", help="show the stages instead of whole processes")
    parser.add_argument("--large", action="store_true", help="a million rows instead (2 GB of disk)")
    parser.add_argument("--larger", action="store_true", help="and two million (5 GB of disk in all)")
    parser.add_argument("--quick", action="store_true", help="tiny data sets, each work once: does it run?")
    arguments = parser.parse_args()
    sizes = dict(QUICK if arguments.quick else SIZES)
    first, listed = "medium", works(sizes)
    if arguments.quick:
        first_of_kind = {work.arguments[0]: work for work in reversed(listed) if work.arguments[0] != "moodlemlbackend"}
        listed = [replace(work, reference=None, goal=None, than=None) for work in reversed(first_of_kind.values())]
    elif arguments.large or arguments.larger:
        names = tuple(MILLIONS) if arguments.larger else ("million",)
        first, listed = "first", large_works(names)
        sizes = {name: MILLIONS[name] for name in names} | {f"asked-{name}": MILLIONS[name] for name in names}
        sizes["first"] = Size(5_000, MILLIONS["million"].columns)

    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else float("nan")
    print(f"{os.cpu_count()} cores; load at the start {load:.1f}")
    with tempfile.TemporaryDirectory() as directory:
        folder = Path(directory)
        files = in_process(make_files, folder, sizes, not arguments.quick)
        if arguments.stages:
            for name in ("small", "medium"):
                report_stages(f"training, {sizes[name]}", files[name], None)
                report_stages(f"evaluation, 10 splits, {sizes[name]}", files[name], 10)
            return
        packages = [Package(sys.executable, folder / "ours", files)]
        if arguments.reference:
            packages.append(Package(arguments.reference, folder / "reference", files))
        for package in packages:
            package.train("trained", first)
        report(listed, packages, 1 if arguments.quick else REPEATS)


if __name__ == "__main__":
    main()
