"""``moodlemlbackend guess-course-start-and-end``: Moodle's tool of that name."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import click

from .command import Answer
from .command import command as make
from .output import moment, print_line, working
from .session import Session
from .tables import Table, print_table

if TYPE_CHECKING:
    from moodlemlbackend.analytics.features.course_dates import Proposal

TOKEN_VARIABLE = "MOODLEMLBACKEND_MOODLE_TOKEN"  # noqa: S105  a name

EXAMPLES = """\
moodlemlbackend guess-course-start-and-end
moodlemlbackend guess-course-start-and-end --guessall --filter=12,13 --sql
MOODLEMLBACKEND_MOODLE_TOKEN=... moodlemlbackend guess-course-start-and-end --update
"""


@make(
    "guess-course-start-and-end",
    click.option("--guessstart/--no-guessstart", "start", default=True, show_default=True, help="Guess start dates."),
    click.option("--guessend/--no-guessend", "end", default=True, show_default=True, help="Guess end dates."),
    click.option("--guessall", "everything", is_flag=True, help="Also guess dates for courses that have them."),
    click.option("--filter", "only", metavar="IDS", default="", help="Only these courses: ids separated by commas."),
    click.option("--sql", "as_sql", is_flag=True, help="Print SQL statements that set the dates in Moodle's database."),
    click.option(
        "--update", is_flag=True,
        help=f"Have Moodle set the dates through its web service, with the token in {TOKEN_VARIABLE}.",
    ),
    site=True,
    store=True,
    tables=True,
    examples=EXAMPLES,
)  # fmt: skip
def command(
    session: Session,
    start: bool,
    end: bool,
    everything: bool,
    only: str,
    as_sql: bool,
    update: bool,
) -> Answer:
    """Propose start and end dates for courses, based on students' enrolments and visits.

    This command never writes to Moodle's database: --sql prints the statements and --update asks Moodle to set the
    dates. Check the dates before you set them.
    """
    from moodlemlbackend.analytics.features import course_dates
    from moodlemlbackend.errors import UsageError

    try:
        courses = {int(number) for number in only.split(",") if number.strip()}
    except ValueError:
        raise UsageError(f"The filter {only!r} must be a list of course ids separated by commas.") from None
    with working("Reading enrolments and visits"):
        proposals = [
            *course_dates.propose(session.site, session.now, start=start, end=end, everything=everything, only=courses)
        ]
    info: list[str] = []
    if update:
        info += course_dates.update_by_web_service(
            session.settings.wwwroot, os.environ.get(TOKEN_VARIABLE, ""), proposals
        )
        changed = sum(bool(proposal.changes) for proposal in proposals)
        info.append(f"Moodle has set the dates of {changed} courses.")

    rows = [
        (proposal.courseid, proposal.name, *_date(proposal, "start"), *_date(proposal, "end")) for proposal in proposals
    ]
    columns = ("ID", "Course", "Start (UTC)", "Proposed start", "End (UTC)", "Proposed end")
    table = Table(columns, rows, right=("ID",), empty="No course needs a date.")

    def show() -> None:
        if as_sql:
            for statement in course_dates.to_sql(proposals, session.settings.prefix):
                print_line(statement)
            print_line("-- then run: php admin/cli/purge_caches.php")
        else:
            print_table(table)
        for sentence in info:
            print_line(sentence, err=True)

    facts = [{**vars(proposal), "changes": proposal.changes} for proposal in proposals]
    return Answer({"courses": facts}, show, info=info, tables=[table])


def _date(proposal: Proposal, which: str) -> tuple[str, Any]:
    """The date a course has now, and the proposed one or why there is none."""
    new, note = getattr(proposal, f"new_{which}"), getattr(proposal, f"{which}_note")
    proposed = moment(new) if new is not None else ""
    return moment(getattr(proposal, which)), f"{proposed} {note}".strip()
