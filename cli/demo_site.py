"""``moodlemlbackend demo site``: a simulated Moodle site in a database."""

from __future__ import annotations

import signal
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, NoReturn

import click

from .command import Answer
from .command import command as make
from .options import NOW, PREFIX
from .output import moment, progress

if TYPE_CHECKING:
    from collections.abc import Iterator

EXAMPLES = """\
moodlemlbackend demo site -o site.db
moodlemlbackend demo site --courses 400 --students 60 --seed 1 -o postgresql://me@localhost/moodle
moodlemlbackend demo site --schema 3.7 --now 2026-03-01 -o mariadb://me:password@localhost/old
"""


@make(
    "site",
    click.option(
        "-o", "--output", "url", metavar="URL", required=True,
        help="Database for the site: an SQLAlchemy URL, or the path of an SQLite file.",
    ),
    click.option("--courses", type=click.IntRange(1), default=40, show_default=True, help="Number of courses."),
    click.option(
        "--students", type=click.IntRange(1), default=40, show_default=True, help="Students per course, on average."
    ),
    click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Seed for the simulation."),
    NOW,
    PREFIX,
    click.option(
        "--schema", type=click.Choice(["3.7", "4.2", "5.0"]), default="4.2", show_default=True,
        help="Moodle version whose tables to create.",
    ),
    click.option(
        "--log-rows-factor", "factor", type=click.FloatRange(1), default=1.0, show_default=True,
        help="Multiply the number of log rows by about this factor, for benchmarks.",
    ),
    examples=EXAMPLES,
)  # fmt: skip
def command(
    url: str, courses: int, students: int, seed: int, now: int | None, prefix: str | None, schema: str, factor: float
) -> Answer:
    """Simulate a Moodle site in a database: tables with courses, people, activities, grades and the log.

    A database that already has tables with this prefix is not touched. If something fails, nothing is left behind.
    """
    from moodlemlbackend.settings.analytics import load_analytics_settings
    from moodlemlbackend.simulation.site.build import write_site

    begun = time.perf_counter()
    with _stoppable():
        site = write_site(
            url,
            courses=courses,
            students=students,
            seed=seed,
            now=now,
            prefix=load_analytics_settings(prefix=prefix).prefix,
            schema=schema,
            log_rows_factor=factor,
            progress=progress("Simulating courses"),
        )
    seconds = time.perf_counter() - begun
    kinds = ", ".join(f"{number} {kind}" for kind, number in site.courses.items())
    text = (
        f"Courses     {courses}: {kinds}\n"
        f"Enrolments  {site.rows.get('user_enrolments', 0):,} of {site.rows['user']:,} users\n"
        f"Log rows    {site.rows['logstore_standard_log']:,}\n"
        f"Rows        {sum(site.rows.values()):,} in {len(site.rows)} tables, in {seconds:.0f} s\n"
        f"Now         {site.now}, {moment(site.now)} UTC"
    )
    return Answer({"courses": site.courses, "rows": site.rows, "now": site.now}, text)


@contextmanager
def _stoppable() -> Iterator[None]:
    """Let a signal to stop end the work in an orderly way."""
    from moodlemlbackend.errors import InterruptedRunError

    def stop(number: int, _frame: object) -> NoReturn:
        raise InterruptedRunError(f"Stopped by signal {signal.Signals(number).name}; nothing was kept.")

    numbers = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]
    before = {number: signal.signal(number, stop) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
