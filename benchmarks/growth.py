"""Time and memory as a site grows: ``python benchmarks/growth.py [DIMENSION ...] [--up-to SIZE]``.

Each work is a whole process of the command or of Moodle's calls; pages are made as the server makes them. What counts
are core seconds, which a busy machine changes least: those of the process and of its sessions in PostgreSQL. Work of
less than a second is done twice, and the quicker one counts. Sites that are to be large are simulated in a
PostgreSQL database of their own (``TEST_POSTGRESQL``, as in the tests), dropped afterwards; where no server is,
dimensions that need one are left out.

Results are kept in ``growth.csv`` beside this file; ``--draw`` makes the pictures and the table of slopes from it.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import growth_results
from growth_results import Result
from measuring import Measured, SessionsWatched, in_process, measure

HERE = Path(__file__).resolve().parent
RESULTS = HERE / "growth.csv"

COMMAND = ("-m", "moodlemlbackend")
NOW = "1795366777"
ABOUT = ("--target", "course_dropout", "--interval", "quarters", "--now", NOW)

ROWS_OF_COLUMNS, ROWS_OF_CLASSES, COLUMNS_OF_CLASSES = 2_000, 10_000, 100
COLUMNS = 415
EVALUATED = (1_904, 365)
INSIGHTS_OF_MODELS, MODELS_OF_INSIGHTS = 1_000, 20

SHORT, REPEATS = 1, 2
"""Work of fewer core seconds is repeated."""


class NoServerError(Exception):
    """There is no PostgreSQL server."""


@dataclass
class Prepared:
    """What is there to be measured: calls of Python by title, the true size, and the PostgreSQL database in use."""

    size: int
    calls: dict[str, tuple[str, ...]]
    database: str = ""
    pages: dict[str, list[int]] = field(default_factory=dict)
    site: str = ""


@dataclass(frozen=True)
class Dimension:
    """What grows, in which sizes; ``prepare`` makes one of them in an empty folder."""

    name: str
    sizes: tuple[int, ...]
    quick: tuple[int, ...]
    prepare: Callable[[Path, int], Prepared]


# ---- data sets ----


def _write_repeated(folder: Path, rows: int, columns: int) -> None:
    from data import write_repeated

    write_repeated(folder / "data", rows, columns, labelled=True)
    write_repeated(folder / "asked", rows, columns, labelled=False)


def _training(folder: Path) -> dict[str, tuple[str, ...]]:
    return {
        "training": ("-m", "moodlemlbackend.training", "growth", "{fresh}", str(folder / "data")),
        "prediction": ("-m", "moodlemlbackend.prediction", "growth", str(folder / "last"), str(folder / "asked")),
    }


def _evaluation(folder: Path, splits: int) -> tuple[str, ...]:
    data = str(folder / "data")
    return ("-m", "moodlemlbackend.evaluation", "growth", "{fresh}", data, "0.7", "0.05", str(splits))


def rows(folder: Path, size: int) -> Prepared:
    in_process(_write_repeated, folder, size, COLUMNS)
    return Prepared(size, _training(folder))


def columns(folder: Path, size: int) -> Prepared:
    in_process(_write_repeated, folder, ROWS_OF_COLUMNS, size)
    return Prepared(size, _training(folder))


def _write_classes(folder: Path, classes: int) -> None:
    from growing import write_classes

    write_classes(folder / "data", folder / "asked", ROWS_OF_CLASSES, COLUMNS_OF_CLASSES, classes)


def classes(folder: Path, size: int) -> Prepared:
    in_process(_write_classes, folder, size)
    return Prepared(size, {**_training(folder), "evaluation, 10 splits": _evaluation(folder, 10)})


def splits(folder: Path, size: int) -> Prepared:
    in_process(_write_repeated, folder, *EVALUATED)
    return Prepared(size, {"evaluation": _evaluation(folder, size)})


# ---- sites ----


def _dataset(folder: Path, site: str, *options: str) -> tuple[str, ...]:
    return (*COMMAND, "site", "dataset", "--site", site, *ABOUT, *options, "--yes", "-o", str(folder / "data"))


def _command(folder: Path, site: str, *words: str) -> tuple[str, ...]:
    return (*COMMAND, *words, "--site", site, "--directory", str(folder / "work"), "--now", NOW, "--json")


def _new_database() -> str:
    from growing import new_database

    return new_database()


def _drop_database(url: str) -> None:
    from growing import drop_database

    drop_database(url)


def _site_of_logs(url: str, factor: float) -> int:
    from growing import site_of_logs

    return site_of_logs(url, factor)


LOG_ROWS_OF_FACTOR = 237_000
"""About so many log rows for each factor; from 1 on."""


@contextmanager
def _database() -> Iterator[str]:
    """A new database, which the one who measures drops; here it is dropped if it cannot be filled."""
    url = in_process(_new_database)
    if not url:
        raise NoServerError
    try:
        yield url
    except BaseException:
        in_process(_drop_database, url)
        raise


def logs(folder: Path, size: int) -> Prepared:
    with _database() as url:
        real = in_process(_site_of_logs, url, max(1.0, size / LOG_ROWS_OF_FACTOR))
    check = (*COMMAND, "site", "check", "--site", url, "--now", NOW, "--json")
    return Prepared(real, {"site dataset": _dataset(folder, url), "site check": check}, url)


def _site_of_courses(url: str, folder: Path, courses: int) -> None:
    from growing import site_of_courses, store_of_courses

    site_of_courses(url, courses)
    store_of_courses(url, folder)


def courses(folder: Path, size: int) -> Prepared:
    with _database() as url:
        in_process(_site_of_courses, url, folder, size)
    calls = {
        "site dataset": _dataset(folder, url),
        "site check": (*COMMAND, "site", "check", "--site", url, "--now", NOW, "--json"),
    }
    return Prepared(size, calls, url, {"page of courses": []}, url)


def _course_of_students(folder: Path, students: int) -> dict[str, int | str]:
    from growing import course_of_students

    return course_of_students(folder, students)


def students(folder: Path, size: int) -> Prepared:
    made = in_process(_course_of_students, folder, size)
    site = str(made["site"])
    calls = {
        "students list": _command(folder, site, "students", "list", str(made["course"])),
        "site dataset": _dataset(folder, site),
    }
    return Prepared(int(made["students"]), calls, pages={"page of a course": [int(made["course"])]}, site=site)


# ---- stores ----


def _store_of_insights(folder: Path, insights: int, models: int) -> dict[str, int | str]:
    from growing import store_of_insights

    return store_of_insights(folder, insights, models)


def _store(folder: Path, size: int, insights: int, models: int) -> Prepared:
    made = in_process(_store_of_insights, folder, insights, models)
    site, model, context = str(made["site"]), int(made["model"]), int(made["context"])
    pages = {
        "page of insights": [],
        "page of a course’s insights": [context, model],
        "page of an insight": [1],
        "page of models": [],
        "page of a model": [model],
    }
    calls = {
        "models list": (*COMMAND, "models", "list", "--directory", str(folder / "work"), "--json"),
        "insights list": _command(folder, site, "insights", "list"),
        "tasks cleanup": _command(folder, site, "tasks", "cleanup"),
    }
    return Prepared(size, calls, pages=pages, site=site)


def models(folder: Path, size: int) -> Prepared:
    return _store(folder, size, INSIGHTS_OF_MODELS, size)


def insights(folder: Path, size: int) -> Prepared:
    return _store(folder, size, size, MODELS_OF_INSIGHTS)


DIMENSIONS = (
    Dimension("rows", (1_000, 10_000, 100_000, 300_000, 1_000_000), (60, 120), rows),
    Dimension("columns", (20, 200, 2_000, 6_000, 20_000), (20, 60), columns),
    Dimension("classes", (2, 3, 10, 30, 100, 300), (2, 3), classes),
    Dimension("splits", (3, 10, 30, 100, 300), (2, 3), splits),
    Dimension("courses", (60, 600, 6_000, 18_000, 60_000, 100_200), (12, 24), courses),
    Dimension("students", (100, 1_000, 3_000, 10_000), (10, 20), students),
    Dimension("log rows", (237_000, 2_370_000, 7_110_000, 23_700_000, 117_000_000), (), logs),
    Dimension("models", (10, 100, 1_000, 3_000, 10_000), (5, 10), models),
    Dimension("insights", (1_000, 10_000, 100_000, 300_000, 1_000_000), (100, 200), insights),
)


# ---- measuring ----


def measured(dimension: Dimension, size: int, repeats: int) -> Iterator[Result]:
    """Prepare one size and measure all work there, what is short so many times."""
    with tempfile.TemporaryDirectory(prefix="growth-") as name:
        folder = Path(name)
        try:
            prepared = dimension.prepare(folder, size)
        except NoServerError:
            print(f"{dimension.name} {size:,}: left out, for there is no PostgreSQL server", file=sys.stderr)
            return
        try:
            for title, call in prepared.calls.items():
                yield Result(dimension.name, title, prepared.size, *_quickest(folder, call, prepared.database, repeats))
            if prepared.pages:
                yield from _pages(dimension, folder, prepared)
        finally:
            if prepared.database:
                in_process(_drop_database, prepared.database)


def _quickest(folder: Path, call: tuple[str, ...], database: str, repeats: int) -> tuple[Measured, float]:
    """The run with the fewest core seconds, and the seconds of the database in it."""
    runs: list[tuple[Measured, float]] = []
    while not runs or (len(runs) < repeats and sum(run.core_seconds for run, _ in runs) < SHORT * len(runs)):
        fresh = folder / "fresh"
        fresh.mkdir()
        with SessionsWatched(database.rpartition("/")[2]) as sessions:
            run = measure([sys.executable, *(word.replace("{fresh}", str(fresh)) for word in call)])
        if any("{fresh}" in word for word in call):
            shutil.rmtree(folder / "last", ignore_errors=True)
            fresh.rename(folder / "last")
        else:
            fresh.rmdir()
        if run is None:
            raise SystemExit(f"{' '.join(call)} failed")
        runs.append((run, sessions.core_seconds))
    return min(runs, key=lambda found: found[0].core_seconds + found[1])


def _pages(dimension: Dimension, folder: Path, prepared: Prepared) -> Iterator[Result]:
    output = folder / "pages"
    call = [sys.executable, str(HERE / "asking.py"), prepared.site, str(folder / "work"), json.dumps(prepared.pages)]
    run = measure(call, output=output)
    if run is None:
        raise SystemExit(f"{' '.join(call)} failed")
    for title, seconds in json.loads(output.read_text()).items():
        yield Result(dimension.name, title, prepared.size, run._replace(core_seconds=seconds), 0.0)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dimension", nargs="*", help=", ".join(dimension.name for dimension in DIMENSIONS))
    parser.add_argument("--from", dest="least", type=int, default=0, metavar="SIZE", help="no smaller sizes")
    parser.add_argument("--up-to", type=int, default=sys.maxsize, metavar="SIZE", help="no larger sizes")
    parser.add_argument("--results", type=Path, default=RESULTS, metavar="FILE", help=f"default: {RESULTS.name}")
    parser.add_argument("--draw", type=Path, metavar="FOLDER", help="draw from the results instead of measuring")
    parser.add_argument("--quick", action="store_true", help="tiny sizes, kept nowhere: does it run?")
    chosen = parser.parse_args()
    names = chosen.dimension or [dimension.name for dimension in DIMENSIONS]
    if unknown := set(names) - {dimension.name for dimension in DIMENSIONS}:
        parser.error(f"no dimension is called {', '.join(sorted(unknown))}")
    with tempfile.TemporaryDirectory() as scratch:
        results = Path(scratch) / "growth.csv" if chosen.quick else chosen.results
        if not chosen.draw:
            for dimension in DIMENSIONS:
                if dimension.name in names:
                    for size in dimension.quick if chosen.quick else dimension.sizes:
                        if chosen.least <= size <= chosen.up_to:
                            growth_results.add(results, measured(dimension, size, 1 if chosen.quick else REPEATS))
        listed = [result for result in growth_results.read(results) if result.dimension in names]
        print(f"Growth\n\n{growth_results.table(listed)}")
        print(f"\nLoad at the end: {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
        if chosen.draw:
            in_process(growth_results.draw, listed, chosen.draw)


if __name__ == "__main__":
    main()
