"""What a cluster on this machine gains: ``python benchmarks/cluster.py [WORK ...] [--turns N]``.

Each work is a whole process of the command, with one process, and with one, two and four workers, in turns, so that
what else the machine does slows all of them alike. The figures are medians; core seconds are those of the command and
its workers. The hash of the result must be the same in every row: of the figures of an evaluation, the bytes of a data
set, and the weights of all models.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import shutil
import statistics
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from measuring import Measured, in_process, measure

NOW = "1795366777"
ONE_PROCESS = "one process"
WORKERS = {"one worker": "local:1", "two workers": "local:2", "four workers": "local:4"}
CLUSTERS = {ONE_PROCESS: (), **{title: ("--cluster", cluster) for title, cluster in WORKERS.items()}}

TARGETS = ("course_dropout", "course_completion")
INTERVALS = ("quarters", "deciles")
"""A model is trained for each target and interval."""


@dataclass(frozen=True)
class Sizes:
    """Rows and columns of the evaluation, courses and students of each in the site, and its log's factor."""

    rows: int
    columns: int
    courses: int
    students: int
    log_rows_factor: float


WHOLE, QUICK = Sizes(200_000, 415, 200, 100, 5), Sizes(300, 20, 14, 10, 1)


@dataclass(frozen=True)
class Work:
    """A work of the command.

    ``prepare`` fills a folder; ``call`` has the words of the command, whose result and printed output, in ``output``,
    go to another folder; ``content`` returns what the hash is of.
    """

    title: str
    prepare: Callable[[Path, Sizes], None]
    call: Callable[[Path, Path], tuple[str, ...]]
    content: Callable[[Path], bytes]


# ---- evaluation ----


def _write_rows(folder: Path, sizes: Sizes) -> None:
    from data import write_repeated

    write_repeated(folder / "data", sizes.rows, sizes.columns, labelled=True)


def _evaluate(prepared: Path, folder: Path) -> tuple[str, ...]:
    return ("evaluate", "benchmark", str(folder / "model"), str(prepared / "data"), "--seed", "1", "--json")


def _figures(folder: Path) -> bytes:
    reply = json.loads((folder / "output").read_text("utf-8"))
    return json.dumps({name: value for name, value in reply.items() if name not in ("dir", "runid")}).encode()


# ---- a site ----


def _simulate_site(folder: Path, sizes: Sizes) -> None:
    from moodlemlbackend.simulation.site.build import write_site

    write_site(
        f"sqlite:///{folder / 'site.sqlite'}", courses=sizes.courses, students=sizes.students, seed=1, now=int(NOW),
        log_rows_factor=sizes.log_rows_factor,
    )  # fmt: skip


def _at(prepared: Path) -> tuple[str, ...]:
    return ("--site", f"sqlite:///{prepared / 'site.sqlite'}", "--now", NOW)


def _dataset(prepared: Path, folder: Path) -> tuple[str, ...]:
    about = ("--target", TARGETS[0], "--interval", INTERVALS[0])
    return ("site", "dataset", *_at(prepared), *about, "-o", str(folder / "data.csv"))


def _data_set(folder: Path) -> bytes:
    return (folder / "data.csv").read_bytes()


# ---- training of several models ----


def _create_models(folder: Path, sizes: Sizes) -> None:
    from moodlemlbackend.analytics import models
    from moodlemlbackend.analytics.features import registry
    from moodlemlbackend.analytics.lifecycle.opening import open_workspace
    from moodlemlbackend.settings.analytics import AnalyticsSettings

    _simulate_site(folder, sizes)
    settings = AnalyticsSettings(site=f"sqlite:///{folder / 'site.sqlite'}", directory=str(folder / "work"))
    workspace = open_workspace(settings, now=int(NOW))
    for name in TARGETS:
        target = registry.get_target(name)
        for interval in INTERVALS:
            method = registry.get_time_splitting(interval)
            made = models.create(workspace, target.id, registry.indicators_of(target), interval=method.id)
            models.enable(workspace, made.id)
    workspace.store.close()


def _train(prepared: Path, folder: Path) -> tuple[str, ...]:
    shutil.copytree(prepared / "work", folder / "work")
    return ("tasks", "train", *_at(prepared), "--directory", str(folder / "work"), "--json")


def _weights(folder: Path) -> bytes:
    files = sorted((folder / "work" / "models").rglob("*.safetensors"))
    if len(files) != len(TARGETS) * len(INTERVALS):
        raise SystemExit(f"{len(files)} models were trained")
    return b"".join(file.read_bytes() for file in files)


WORKS = {
    "evaluate": Work("evaluate, {0.rows:,} rows of {0.columns} columns", _write_rows, _evaluate, _figures),
    "dataset": Work("site dataset, {0.courses} courses", _simulate_site, _dataset, _data_set),
    "train": Work(
        f"tasks train, {len(TARGETS) * len(INTERVALS)} models of {{0.courses}} courses",
        _create_models, _train, _weights,
    ),
}  # fmt: skip


def run(work: Work, prepared: Path, cluster: str) -> tuple[Measured, str]:
    """Do a work once; returns what it took, and the hash of the result."""
    with tempfile.TemporaryDirectory(dir=prepared) as name:
        folder = Path(name)
        call = (sys.executable, "-m", "moodlemlbackend", *work.call(prepared, folder), *CLUSTERS[cluster])
        measured = measure(call, output=folder / "output")
        if measured is None:
            raise SystemExit(f"{' '.join(call)} failed: {(folder / 'output').read_text('utf-8')}")
        return measured, hashlib.sha256(work.content(folder)).hexdigest()[:16]


def report(work: Work, sizes: Sizes, clusters: list[str], turns: int) -> bool:
    """Print the table of a work; returns whether all results are the same."""
    with tempfile.TemporaryDirectory(prefix="cluster-") as name:
        in_process(work.prepare, Path(name), sizes)
        runs = [(cluster, *run(work, Path(name), cluster)) for _ in range(turns) for cluster in clusters]
    print(f"{work.title.format(sizes)}, median of {turns}, load {os.getloadavg()[0]:.1f} at the end\n")
    print("| | seconds | core seconds | times as fast | hash of the result |\n|---|---|---|---|---|")
    medians = {
        cluster: [statistics.median(measured[at] for one, measured, _ in runs if one == cluster) for at in range(2)]
        for cluster in clusters
    }
    for cluster, (seconds, core_seconds) in medians.items():
        hashes = " ".join(sorted({result for one, _, result in runs if one == cluster}))
        gain = medians[ONE_PROCESS][0] / seconds
        print(f"| {cluster} | {seconds:.1f} | {core_seconds:.1f} | {gain:.2f} | {hashes} |")
    print(flush=True)
    return len({result for *_, result in runs}) == 1


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("works", nargs="*", metavar="WORK", help=f"some of {', '.join(WORKS)}; all by default")
    parser.add_argument("--turns", type=int, default=3, help="how often each is measured (3)")
    parser.add_argument("--quick", action="store_true", help="tiny sizes, one process and two workers once")
    arguments = parser.parse_args()
    if unknown := set(arguments.works) - WORKS.keys():
        parser.error(f"there is no work {', '.join(sorted(unknown))}, only {', '.join(WORKS)}")
    sizes, clusters, turns = WHOLE, [*CLUSTERS], arguments.turns
    if arguments.quick:
        sizes, clusters, turns = QUICK, [ONE_PROCESS, "two workers"], 1
    same = [report(WORKS[name], sizes, clusters, turns) for name in arguments.works or WORKS]
    if not all(same):
        raise SystemExit("Results differ.")


if __name__ == "__main__":
    main()
