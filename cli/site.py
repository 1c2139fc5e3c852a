"""``moodlemlbackend site``: look a Moodle site over, and make data sets of it."""

from __future__ import annotations

import json
import sys
import time
from contextlib import contextmanager
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

import click

from .options import ModelCommand, unix_time

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from moodlemlbackend.analytics.features.analysis import Result
    from moodlemlbackend.analytics.features.site_check import SiteFindings

EXAMPLES = """\
moodlemlbackend site check
moodlemlbackend site dataset --target course_dropout --time-splitting quarters -o dropout.csv
"""
CHECK_EXAMPLES = """\
moodlemlbackend site check --site postgresql://reader:secret@localhost/moodle
moodlemlbackend site check --site tables/ --prefix mdl_ --json
"""
DATASET_EXAMPLES = """\
moodlemlbackend site dataset --site site.db --target course_dropout --time-splitting quarters -o dropout.csv
moodlemlbackend site dataset --target course_gradetopass --time-splitting deciles --unlabelled --now 2026-03-01 -o -
"""

SITE_VARIABLE = "MOODLEMLBACKEND_SITE"

SITE = click.option(
    "--site",
    "location",
    metavar="URL",
    envvar=SITE_VARIABLE,
    required=True,
    help=f"Moodle's database as an SQLAlchemy URL, an SQLite file, or a folder of tables.  [or: {SITE_VARIABLE}]",
)
PREFIX = click.option("--prefix", default="mdl_", show_default=True, help="Prefix of Moodle's tables.")
TIME_ZONE = click.option("--time-zone", metavar="NAME", help="Time zone, such as Europe/Madrid.  [default: the site's]")


NOW = click.option(
    "--now",
    metavar="TIME",
    callback=lambda *given: unix_time(*given) or int(time.time()),
    help="When the site is looked at.  [default: now]",
)


class _Site(ModelCommand, click.Group):
    """Commands whose help ends with examples."""


@click.group("site", cls=_Site, epilog=EXAMPLES)
def command() -> None:
    """Read a Moodle site: nothing is ever written to it."""


@command.command("check", cls=ModelCommand, epilog=CHECK_EXAMPLES)
@SITE
@PREFIX
@TIME_ZONE
@NOW
@click.option("--target", default="course_dropout", show_default=True, metavar="ID", help="Target that judges courses.")
@click.option("--all", "every", is_flag=True, help="List every course, not only those that cannot be analysed.")
@click.option("--json", "as_json", is_flag=True, help="Print the findings as JSON.")
def check(location: str, prefix: str, time_zone: str | None, now: int, target: str, every: bool, as_json: bool) -> None:
    """Say what a site holds and what keeps its courses from being analysed.

    A course that can be neither trained on nor predicted is one of Moodle's "invalid site elements".
    """
    with _told():
        from moodlemlbackend.analytics.features.registry import get_target
        from moodlemlbackend.analytics.features.site_check import check_site
        from moodlemlbackend.analytics.site import open_site

        chosen = get_target(target)
        with _status("Reading the site"), open_site(location, prefix=prefix, time_zone=time_zone) as site:
            findings = check_site(site, chosen, now)
    if as_json:
        click.echo(json.dumps(_as_json(findings), indent=2))
    else:
        _print(findings, every)


@command.command("dataset", cls=ModelCommand, epilog=DATASET_EXAMPLES)
@SITE
@PREFIX
@TIME_ZONE
@NOW
@click.option("--target", required=True, metavar="ID", help="What is to be predicted.")
@click.option("--time-splitting", required=True, metavar="ID", help="How a course's time is cut.")
@click.option(
    "--indicators", multiple=True, metavar="IDS", help="Indicators, with commas between.  [default: the core model's]"
)
@click.option(
    "--labelled/--unlabelled", default=True, show_default=True, help="For training and evaluation, or for prediction."
)
@click.option("--jobs", type=click.IntRange(1), help="Courses analysed side by side.  [default: by the log's size]")
@click.option("-o", "--output", required=True, metavar="FILE", help="Data set to write; - is standard output.")
def dataset(
    location: str,
    prefix: str,
    time_zone: str | None,
    now: int,
    target: str,
    time_splitting: str,
    indicators: tuple[str, ...],
    labelled: bool,
    jobs: int | None,
    output: str,
) -> None:
    """Calculate a data set, equal to the one that Moodle itself would write.

    Ids are the names of classes in Moodle; the last part is enough for the targets and time splitting methods that
    Moodle ships. A labelled data set holds every sample whose truth is known at the time, an unlabelled one those to
    predict.
    """
    with _told():
        from moodlemlbackend.analytics.features import registry
        from moodlemlbackend.analytics.features.analysis import Analysis
        from moodlemlbackend.analytics.features.datasets import write_dataset
        from moodlemlbackend.analytics.site import open_site

        chosen, method = registry.get_target(target), registry.get_time_splitting(time_splitting)
        ids = [name.strip() for names in indicators for name in names.split(",") if name.strip()]
        made = [registry.get_indicator(name) for name in ids or registry.indicators_of(chosen)]
        registry.check_fit(chosen, made, method)
        analysis = Analysis(chosen, made, [method], now, labelled)
        file = sys.stdout.buffer if output == "-" else output
        with _progress() as progress, open_site(location, prefix=prefix, time_zone=time_zone) as site:
            written = write_dataset(file, site, analysis, jobs=jobs, progress=progress)
    click.echo(
        f"{written.rows} rows with {written.columns} features from {written.analysables} analysables, "
        f"{len(written.refused)} left out, in {'standard output' if output == '-' else output}.",
        err=output == "-",
    )


# What people see.


@contextmanager
def _told() -> Iterator[None]:
    """End with one sentence and the error's status when something is wrong."""
    from moodlemlbackend.errors import BackendError

    try:
        yield
    except BackendError as error:
        click.echo(str(error), err=True)
        sys.exit(int(error.status))


@contextmanager
def _status(text: str) -> Iterator[None]:
    """Show on a terminal that something goes on."""
    if not sys.stderr.isatty():
        yield
        return
    from rich.console import Console

    with Console(stderr=True).status(text, spinner="line"):
        yield


@contextmanager
def _progress() -> Iterator[Callable[[Result], None] | None]:
    """A function that shows on a terminal which analysables are done."""
    if not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console

    done = 0
    with Console(stderr=True).status("Reading the site", spinner="line") as status:

        def show(result: Result) -> None:
            nonlocal done
            done += 1
            status.update(f"{done} done, {result.analysable.name}")

        yield show


def _as_json(findings: SiteFindings) -> dict[str, Any]:
    """The findings with reasons as objects."""

    def reason(found: Any) -> Any:
        return None if found is None else found._asdict()

    facts = {name: value for name, value in vars(findings).items() if name != "courses"}
    facts["invalid"] = [{**found._asdict(), "courses": number} for found, number in findings.reasons()]
    facts["courses"] = [
        {**vars(course), "training": reason(course.training), "prediction": reason(course.prediction)}
        for course in findings.courses
    ]
    return facts


def _date(when: int) -> str:
    return datetime.fromtimestamp(when, timezone.utc).strftime("%Y-%m-%d") if when else "–"


def _print(findings: SiteFindings, every: bool) -> None:
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    from moodlemlbackend.analytics.features.site_check import ADVICE

    console = Console(highlight=False)
    facts = Table.grid(padding=(0, 2))
    for label, text in _facts(findings):
        facts.add_row(label, escape(text))
    console.print(facts)
    for warning in findings.warnings:
        console.print(f"[yellow]Warning[/] {escape(warning)}", soft_wrap=True)
    if reasons := findings.reasons():
        table = Table(title="Courses that cannot be analysed", title_justify="left", box=None)
        for heading in ("Courses", "Reason", "What to do"):
            table.add_column(heading, justify="right" if heading == "Courses" else "left")
        for reason, number in reasons:
            table.add_row(str(number), escape(reason.text), escape(ADVICE.get(reason.identifier, "")))
        console.print()
        console.print(table)
    listed = [course for course in findings.courses if every or course.invalid]
    if listed:
        table = Table(box=None)
        for heading in ("Id", "Course", "Start", "End", "Students", ""):
            table.add_column(heading, justify="right" if heading in ("Id", "Students") else "left")
        for course in listed:
            dates = _date(course.start), _date(course.end)
            table.add_row(str(course.id), escape(course.name), *dates, str(course.students), course.verdict)
        console.print()
        console.print(table)


def _facts(findings: SiteFindings) -> Iterator[tuple[str, str]]:
    yield "Site", findings.name
    yield "Moodle", f"{findings.release or 'version'} ({findings.version}), time zone {findings.time_zone}"
    yield (
        "Courses",
        (
            f"{len(findings.courses)}: {findings.count(start=True, end=True)} with both dates, "
            f"{findings.count(end=False)} without an end, {findings.count(start=False)} without a start"
        ),
    )
    yield "Students", str(findings.students)
    span = f", {_date(findings.log_first)} to {_date(findings.log_last)}" if findings.log_rows else ""
    yield "Log", f"{findings.log_rows} rows{span}"
    yield "Target", findings.target
    trained = sum(course.training is None for course in findings.courses)
    predicted = sum(course.prediction is None for course in findings.courses)
    yield "Analysed", f"{trained} courses can be trained on, {predicted} predicted now"
    if findings.missing_tables:
        yield "Missing", ", ".join(findings.missing_tables)
