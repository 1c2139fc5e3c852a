"""Seconds for data sets of a Moodle site, beside Moodle's own: ``python benchmarks/analytics.py [--grow 10,100]``.

Needs the oracle's site beside this checkout (``../shared/oracle``) and a PostgreSQL server, on which it makes databases
of its own (``TEST_POSTGRESQL``, as in the tests). The log table has Moodle's indexes; ``--no-indexes`` leaves them out.
Each measurement is a whole process, ``moodlemlbackend site dataset``: the best of three, for the longer logs of one.
``--grow`` copies every log row so many times, each copy some seconds later.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from measuring import ROOT, Measured, measure

sys.path.insert(0, str(ROOT / "tests"))

MOODLE_SECONDS: dict[tuple[str, str], int | None] = {
    ("course_dropout", "quarters"): 79,
    ("course_dropout", "quarters_accum"): 84,
    ("course_dropout", "single_range"): 22,
    ("course_dropout", "ten_percent_after_start"): 32,
    ("course_dropout", "deciles"): 189,
    ("course_completion", "quarters"): 37,
    ("course_gradetopass", "single_range"): 16,
}
"""As the oracle says of Moodle 4.2.3, alone on a machine of this kind."""

NOW = 1_795_366_777
"""When the oracle was finished."""

LOG = "mdl_logstore_standard_log"
SECONDS_LATER = 37
"""Between a log row and its copy."""


def data_set(url: str, target: str, method: str, now: int, jobs: int | None = None) -> Measured:
    """Run ``site dataset``."""
    with tempfile.TemporaryDirectory() as folder:
        call = [sys.executable, "-m", "moodlemlbackend", "site", "dataset", "--site", url, "--target", target,
                "--interval", method, "--now", str(now), "-o", f"{folder}/data.csv"]  # fmt: skip
        if jobs:
            call += ["--jobs", str(jobs)]
        run = measure(call)
    if run is None:
        raise SystemExit(f"{' '.join(call)} failed")
    return run


def table(title: str, heads: list[str], rows: list[list[str]]) -> None:
    print(f"{title}\n\n| {' | '.join(heads)} |\n|{' --- |' * len(heads)}")
    for row in rows:
        print(f"| {' | '.join(row)} |")
    print(f"\nLoad at the end: {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores\n", flush=True)


def data_sets(url: str, now: int, moodle_seconds: dict[tuple[str, str], int | None], repeats: int) -> None:
    rows = []
    for (target, method), moodle in moodle_seconds.items():
        runs = [data_set(url, target, method, now) for _ in range(repeats)]
        seconds, cores, megabytes = min(runs)
        beside = [str(moodle), f"{moodle / seconds:.0f}"] if moodle else ["–", "–"]
        rows.append([f"{target}, {method}", f"{seconds:.2f}", f"{cores:.2f}", f"{megabytes:.0f}", *beside])
    table(
        "Data sets, whole processes",
        ["data set", "seconds", "core seconds", "peak MB", "Moodle's seconds", "times as fast"],
        rows,
    )


@contextmanager
def oracle_site() -> Iterator[str]:
    """The oracle in a database that another process makes and drops, so that this one stays small.

    A process inherits the peak memory of the one that starts it.
    """
    holder = subprocess.Popen(
        [sys.executable, __file__, "--hold"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, encoding="utf-8"
    )
    assert holder.stdin
    assert holder.stdout
    try:
        if not (url := holder.stdout.readline().strip()):
            raise SystemExit("the oracle's site, or a PostgreSQL server to load it into, is not there")
        yield url
    finally:
        holder.stdin.close()
        holder.wait()


def hold() -> None:
    """Load the oracle, say where, and drop it when standard input ends."""
    from oracle import ORACLE, load_postgresql

    if ORACLE.is_dir():
        with load_postgresql() as url:
            print(url, flush=True)
            sys.stdin.read()


def growth(factors: list[int], now: int) -> None:
    """Measure longer logs, in databases of their own."""
    rows = []
    for factor in [1, *factors]:
        with oracle_site() as url:
            count = grow(url, factor)
            for jobs in (1, os.cpu_count() or 1):
                seconds, _, megabytes = min(
                    data_set(url, "course_dropout", "quarters", now, jobs) for _ in range(3 if factor == 1 else 1)
                )
                rows.append(
                    [f"{count:,}", str(jobs), f"{seconds:.2f}", f"{1e6 * seconds / count:.2f}", f"{megabytes:.0f}"]
                )
    table(
        "Longer logs, course_dropout, quarters", ["log rows", "jobs", "seconds", "microseconds a row", "peak MB"], rows
    )


def grow(url: str, factor: int) -> int:
    """Copy the log rows; returns how many there are."""
    import psycopg

    with psycopg.connect(url, autocommit=True) as database:
        if factor > 1:
            indexes = database.execute(
                f"SELECT indexname, indexdef FROM pg_indexes WHERE tablename = '{LOG}' AND indexname <> '{LOG}_pkey'"
            ).fetchall()
            database.execute(f"ALTER TABLE {LOG} DROP CONSTRAINT {LOG}_pkey")
            for name, _ in indexes:
                database.execute(f"DROP INDEX {name}")
            columns = [row[0] for row in database.execute(
                f"SELECT attname FROM pg_attribute WHERE attrelid = '{LOG}'::regclass AND attnum > 0 ORDER BY attnum"
            ).fetchall()]  # fmt: skip
            moved = {"id": "l.id + k * 1000000", "timecreated": f"l.timecreated + k * {SECONDS_LATER}"}
            database.execute(
                f"INSERT INTO {LOG} SELECT {', '.join(moved.get(name, f'l.{name}') for name in columns)} "
                f"FROM {LOG} l, generate_series(1, {factor - 1}) k"
            )
            database.execute(f"ALTER TABLE {LOG} ADD PRIMARY KEY (id)")
            for _, definition in indexes:
                database.execute(definition)
            database.execute(f"VACUUM ANALYZE {LOG}")
        counted = database.execute(f"SELECT COUNT(*) FROM {LOG}").fetchone()
    assert counted is not None
    return int(counted[0])


def drop_indexes(url: str) -> None:
    import psycopg

    with psycopg.connect(url, autocommit=True) as database:
        for (name,) in database.execute(f"SELECT indexname FROM pg_indexes WHERE tablename = '{LOG}'").fetchall():
            if not name.endswith("pkey"):
                database.execute(f"DROP INDEX {name}")


def quick() -> None:
    """A small site in SQLite, to see that this script works."""
    from fixtures.small_site import DAY, START, SmallSite
    from fixtures.small_site import NOW as SMALL_NOW

    with tempfile.TemporaryDirectory() as folder:
        small = SmallSite(Path(folder) / "site.sqlite")
        for _ in range(3):
            course = small.course()
            for user in small.students(course, 5):
                for number in range(12):
                    small.log(course, user, START + 1 + number * DAY)
        data_sets(small.commit(), SMALL_NOW, {("course_dropout", "quarters"): None}, 1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("--grow", default="", metavar="FACTORS", help="measure longer logs too: 10,100")
    parser.add_argument("--no-indexes", action="store_true", help="leave out the indexes of the log table")
    parser.add_argument("--quick", action="store_true", help="a small site alone")
    parser.add_argument("--hold", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.quick:
        quick()
        return
    if arguments.hold:
        hold()
        return
    with oracle_site() as url:
        if arguments.no_indexes:
            drop_indexes(url)
        data_sets(url, NOW, MOODLE_SECONDS, 3)
    if arguments.grow:
        growth([int(factor) for factor in arguments.grow.split(",")], NOW)


if __name__ == "__main__":
    main()
