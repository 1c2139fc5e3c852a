"""``moodlemlbackend demo site``: a simulated Moodle site in a database."""

from __future__ import annotations

import signal
import sys
import time
from contextlib import contextmanager
from datetime import datetime, timezone
from typing import TYPE_CHECKING, NoReturn

import click

from .options import ModelCommand, unix_time

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

EXAMPLES = """\
moodlemlbackend demo site -o site.db
moodlemlbackend demo site --courses 400 --students 60 --seed 1 -o postgresql://me@localhost/moodle
moodlemlbackend demo site --schema 3.7 --now 2026-03-01 -o mariadb://me:password@localhost/old
"""


@click.command("site", cls=ModelCommand, epilog=EXAMPLES)
@click.option(
    "-o",
    "--output",
    "url",
    metavar="URL",
    required=True,
    help="Database to make the site in: an SQLAlchemy URL, or the path of an SQLite file.",
)
@click.option("--courses", type=click.IntRange(1), default=40, show_default=True, help="Number of courses.")
@click.option(
    "--students", type=click.IntRange(1), default=40, show_default=True, help="Students of a course, on average."
)
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Seed of the simulation.")
@click.option(
    "--now",
    callback=unix_time,
    metavar="TIME",
    help="When the site is looked at: a date or Unix seconds.  [default: now]",
)
@click.option("--prefix", default="mdl_", show_default=True, help="Prefix of the tables.")
@click.option(
    "--schema",
    type=click.Choice(["3.7", "4.2", "5.0"]),
    default="4.2",
    show_default=True,
    help="Moodle version whose tables are made.",
)
@click.option(
    "--log-rows-factor",
    "factor",
    type=click.FloatRange(1),
    default=1.0,
    show_default=True,
    help="Make about so many times as many log rows, to measure with.",
)
def command(
    url: str, courses: int, students: int, seed: int, now: int | None, prefix: str, schema: str, factor: float
) -> None:
    """Simulate a Moodle site in a database: its tables, with courses, people, activities, grades and the log.

    A database that has tables of that prefix is left alone. When something fails, nothing is left behind.
    """
    from moodlemlbackend.errors import BackendError
    from moodlemlbackend.simulation.site.build import write_site

    begun = time.perf_counter()
    try:
        with _stoppable(), _progress() as progress:
            site = write_site(
                url,
                courses=courses,
                students=students,
                seed=seed,
                now=now,
                prefix=prefix,
                schema=schema,
                log_rows_factor=factor,
                progress=progress,
            )
    except BackendError as error:
        raise click.ClickException(str(error)) from error

    seconds = time.perf_counter() - begun
    kinds = ", ".join(f"{number} {kind}" for kind, number in site.courses.items())
    clock = datetime.fromtimestamp(site.now, timezone.utc)
    click.echo(f"Courses     {courses}: {kinds}")
    click.echo(f"Enrolments  {site.rows.get('user_enrolments', 0):,} of {site.rows['user']:,} users")
    click.echo(f"Log rows    {site.rows['logstore_standard_log']:,}")
    click.echo(f"Rows        {sum(site.rows.values()):,} in {len(site.rows)} tables, in {seconds:.0f} s")
    click.echo(f"Now         {site.now}, {clock:%Y-%m-%d %H:%M} UTC")


@contextmanager
def _progress() -> Iterator[Callable[[int, int], None] | None]:
    """A bar on standard error, if that is a terminal."""
    if not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("Courses", total=None)
        yield lambda done, number: bar.update(task, completed=done, total=number)


@contextmanager
def _stoppable() -> Iterator[None]:
    """Let a signal to stop end the work in an orderly way."""
    from moodlemlbackend.errors import InterruptedRunError

    def stop(number: int, _frame: object) -> NoReturn:
        raise InterruptedRunError(f"Stopped by the signal {signal.Signals(number).name}; nothing of the site was kept.")

    numbers = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]
    before = {number: signal.signal(number, stop) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
