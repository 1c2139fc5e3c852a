"""``moodlemlbackend guess-course-start-and-end``: Moodle's tool of that name."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import click

from ._analytics import Session, moment, print_json, print_table
from ._analytics import command as make

if TYPE_CHECKING:
    from moodlemlbackend.analytics.features.course_dates import Proposal

TOKEN_VARIABLE = "MOODLEMLBACKEND_MOODLE_TOKEN"  # noqa: S105  a name

EXAMPLES = """\
moodlemlbackend guess-course-start-and-end
moodlemlbackend guess-course-start-and-end --guessall --filter=12,13 --sql
MOODLEMLBACKEND_MOODLE_TOKEN=... moodlemlbackend guess-course-start-and-end --update
"""


@make(
    click.option("--guessstart/--no-guessstart", "start", default=True, show_default=True, help="Guess start dates."),
    click.option("--guessend/--no-guessend", "end", default=True, show_default=True, help="Guess end dates."),
    click.option("--guessall", "everything", is_flag=True, help="Also of courses that have dates."),
    click.option("--filter", "only", metavar="IDS", default="", help="Ids of the courses, separated by commas."),
    click.option("--sql", "as_sql", is_flag=True, help="Print statements that set the dates in Moodle's database."),
    click.option(
        "--update", is_flag=True,
        help=f"Have Moodle set them by its web service, with the token in {TOKEN_VARIABLE}.",
    ),
    site=True,
    examples=EXAMPLES,
)  # fmt: skip
def guess_course_start_and_end(
    session: Session,
    start: bool,
    end: bool,
    everything: bool,
    only: str,
    as_sql: bool,
    update: bool,
    as_json: bool,
) -> None:
    """Propose start and end dates of courses from their students' enrolments and visits.

    Moodle's database is never written to: --sql prints the statements, --update asks Moodle itself. Check the dates
    before you set them.
    """
    from moodlemlbackend.analytics.features import course_dates
    from moodlemlbackend.errors import UsageError

    try:
        courses = {int(one) for one in only.split(",") if one.strip()}
    except ValueError:
        raise UsageError(f"The filter {only!r} is no list of course ids separated by commas.") from None
    found = [
        *course_dates.propose(session.site, session.now, start=start, end=end, everything=everything, only=courses)
    ]
    if as_json:
        print_json([{**vars(one), "changes": one.changes} for one in found])
    elif as_sql:
        for statement in course_dates.to_sql(found, session.settings.prefix):
            click.echo(statement)
        click.echo("-- afterwards: php admin/cli/purge_caches.php")
    else:
        rows = [(one.courseid, one.name, *_date(one, "start"), *_date(one, "end")) for one in found]
        columns = ("ID", "Course", "Start (UTC)", "Proposed", "End (UTC)", "Proposed")
        print_table("", columns, rows)
    if update:
        warnings = course_dates.update_by_web_service(
            session.settings.wwwroot, os.environ.get(TOKEN_VARIABLE, ""), found
        )
        for warning in warnings:
            click.echo(warning, err=True)
        click.echo(f"Moodle has set the dates of {sum(bool(one.changes) for one in found)} courses.", err=True)


def _date(one: Proposal, which: str) -> tuple[str, Any]:
    """A date of a course as it is, and what is proposed or why nothing is."""
    new, note = getattr(one, f"new_{which}"), getattr(one, f"{which}_note")
    proposed = moment(new) if new is not None else ""
    return moment(getattr(one, which)), f"{proposed} {note}".strip()


command = guess_course_start_and_end
