"""What an evaluation promises, and what of it is kept in new courses: ``python benchmarks/courses.py [FILE ...]``.

Courses are dealt into five parts, ``--repeats`` times. A model learns from four of them, which are evaluated as well:
by row, as Moodle does, and by course. That is the promise; what is kept is rated on the fifth. With ``--peers``,
boosted trees and scikit-learn's logistic regression stand beside ours on the same parts.

A file ``NAME.rows.csv.gz`` beside a data set ``NAME.csv.gz`` says of which course each row is; else the data set itself
does. Without files the real ones are taken, and data sets of simulated sites.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from accuracy import FIGURES, PEERS, Method, figures, load_libraries, trained
from data import SHARED

from moodlemlbackend.metrics import Rating, expected_calibration_error
from moodlemlbackend.processor.logistic_regression import LogisticRegression
from moodlemlbackend.processor.neural_network import NeuralNetwork
from moodlemlbackend.processor.processor import Processor
from moodlemlbackend.processor.splits import COURSE, FOLDS, ROW, Split, course_splits
from moodlemlbackend.processor.training_rows import TrainingRows, read_samples

COURSES = SHARED / "courses"
ORACLE = SHARED.parent / "oracle" / "datasets" / "evaluation"
SIMULATED = ("--courses", "40", "--students", "40", "--now", "2026-11-22")
SEEDS = (1, 2, 3)
SPLITS = 10
"""Of an evaluation."""


class Kept(NamedTuple):
    """What came of a data set: mean MCC promised by row and by course, and kept; the rest is of courses held out.

    ``factor`` is how many times too high or too low the promised number of cases of a course typically is, the mean
    of logarithms; ``calibration_error`` that of all rows held out.
    """

    by_row: float
    by_course: float
    kept: float
    factor: float
    calibration_error: float


def courses_in(folder: Path, *, quick: bool) -> Iterator[tuple[str, TrainingRows]]:
    """Data sets by name: the real ones, and one of each simulated site."""
    real = [] if quick else [*sorted(COURSES.glob("*.csv.gz")), *sorted(ORACLE.glob("course_*.csv.gz"))]
    for path in real:
        if ".rows." not in path.name and ".with-ids." not in path.name:
            yield path.name.removesuffix(".csv.gz"), read(path)
    for seed in SEEDS[:1] if quick else SEEDS:
        site, data = folder / f"site-{seed}.db", folder / f"site-{seed}.csv"
        size = ("--courses", "16", "--students", "12", "--now", "2026-11-22") if quick else SIMULATED
        _run("demo", "site", *size, "--seed", str(seed), "-o", str(site))
        about = ("--target", "course_dropout", "--interval", "quarters", "--now", "2026-11-22")
        _run("site", "dataset", "--site", str(site), *about, "-o", str(data))
        yield f"simulated site {seed}", read(data)


def read(path: Path) -> TrainingRows:
    """Read a data set with what says of which course its rows are."""
    rows = path.with_name(path.name.replace(".csv", ".rows.csv"))
    return read_samples(path, rows if rows.is_file() else None)


def judge(samples: TrainingRows, splits: list[Split], processor: Processor, iterations: int) -> Kept:
    """Hold what evaluations of the courses trained on promise against the courses held out."""
    promised: dict[str, list[float]] = {ROW: [], COURSE: []}
    ratings, factors = [], []
    for number, split in enumerate(splits):
        known = samples.take(split.training)
        for kind, scores in promised.items():
            evaluation = processor.evaluate(known, iterations=iterations, seed=number, split=kind)
            scores += [rating.figures()["mcc"] for rating, _ in evaluation]
        [rating] = trained(processor)(samples, [split], number)
        ratings.append(rating)
        factors += _factors(samples, split, rating)
    probabilities = np.concatenate([rating.probabilities for rating in ratings])
    labels = np.concatenate([rating.labels for rating in ratings])
    return Kept(
        float(np.mean(promised[ROW])),
        float(np.mean(promised[COURSE])),
        float(np.mean([rating.figures()["mcc"] for rating in ratings])),
        float(np.exp(np.mean(factors))),
        expected_calibration_error(probabilities, labels),
    )


def _factors(samples: TrainingRows, split: Split, rating: Rating) -> list[float]:
    """Logarithm of promised cases over real ones, without its sign, of each course; half a case is added to both."""
    assert samples.courses.groups is not None
    courses: npt.NDArray[np.int64] = samples.courses.groups[split.held_out]
    promised = np.bincount(courses, rating.probabilities[:, 1]) + 0.5
    real = np.bincount(courses, rating.labels == 1) + 0.5
    factors: list[float] = np.abs(np.log(promised / real))[np.unique(courses)].tolist()
    return factors


def compare(
    samples: TrainingRows, splits: list[Split], methods: Mapping[str, Method]
) -> dict[str, npt.NDArray[np.float64]]:
    """The mean :data:`~accuracy.FIGURES` of each method on the courses held out."""
    return {
        name: np.mean([figures(rating) for rating in rate(samples, splits, 0)], axis=0)
        for name, rate in methods.items()
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dataset", nargs="*", type=Path, help="labelled data set files; default: those there are")
    parser.add_argument("--repeats", type=int, default=1, help="how often courses are dealt (default: 1)")
    parser.add_argument("--peers", action="store_true", help="needs lightgbm and catboost: see requirements.txt")
    parser.add_argument("--no-promise", action="store_true", help="the second table alone")
    parser.add_argument("--quick", action="store_true", help="a small simulated site: does it run?")
    arguments = parser.parse_args()
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ.setdefault("TF_USE_LEGACY_KERAS", "1")
    load_libraries(peers=arguments.peers)
    network = NeuralNetwork()
    methods = {"network": trained(network), "logistic regression": trained(LogisticRegression())}
    methods |= PEERS if arguments.peers else {}
    promises, tables = [], []
    with tempfile.TemporaryDirectory() as folder:
        given = [(path.name.split(".")[0], read(path)) for path in arguments.dataset]
        for name, samples in given or courses_in(Path(folder), quick=arguments.quick):
            splits = course_splits(samples, 2 if arguments.quick else FOLDS * arguments.repeats, 0)
            title = f"{name} | {len(samples):,} × {len(samples.columns)} | {samples.courses.number}"
            if not arguments.no_promise:
                promises.append((title, judge(samples, splits, network, 2 if arguments.quick else SPLITS)))
                print(f"{name}: {promises[-1][1]}", file=sys.stderr, flush=True)
            tables.append((title, compare(samples, splits, methods)))
            print(f"{name}: {tables[-1][1]}", file=sys.stderr, flush=True)
    if promises:
        print_promises(promises)
    print_peers(tables)


def print_promises(promises: list[tuple[str, Kept]]) -> None:
    """Print the first table, with the means of all data sets."""
    columns = ("data set", "size", "courses", "promised by row", "promised by course", "kept", "factor", "ECE")
    print(f"\nMCC of the network, promised and kept\n\n| {' | '.join(columns)} |\n|{'---|' * len(columns)}")
    for title, kept in promises:
        print(f"| {title} | {' | '.join(f'{value:.3f}' for value in kept)} |")
    every = np.array([kept for _, kept in promises])
    print(f"| mean | | | {' | '.join(f'{value:.3f}' for value in every.mean(axis=0))} |", flush=True)
    for kind, promised in zip((ROW, COURSE), every.T, strict=False):
        away = promised - every[:, 2]
        print(f"\nPromised by {kind}: {away.mean():+.3f} from what was kept, {np.abs(away).mean():.3f} without signs.")


def print_peers(tables: list[tuple[str, dict[str, npt.NDArray[np.float64]]]]) -> None:
    """Print the second table, with the means of all data sets."""
    print(
        f"\nIn new courses\n\n| data set | size | courses | | {' | '.join(FIGURES)} |\n|{'---|' * (4 + len(FIGURES))}"
    )
    every: dict[str, list[npt.NDArray[np.float64]]] = {}
    for title, table in tables:
        for name, values in table.items():
            every.setdefault(name, []).append(values)
            print(f"| {title} | {name} | {' | '.join(f'{value:.4f}' for value in values)} |")
    for name, rows in every.items():
        print(f"| mean | | | {name} | {' | '.join(f'{value:.4f}' for value in np.mean(rows, axis=0))} |", flush=True)


def _run(*arguments: str) -> None:
    command = [sys.executable, "-m", "moodlemlbackend", *arguments]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, encoding="utf-8", errors="replace")
    if done.returncode:
        raise SystemExit(done.stderr)


if __name__ == "__main__":
    main()
