"""``moodlemlbackend students outcomes``."""

from __future__ import annotations

import click

from ..command import Answer
from ..command import command as make
from ..output import print_sentence
from ..session import Session
from ..tables import Table, print_table

EXAMPLES = """\
moodlemlbackend students outcomes
moodlemlbackend students outcomes --course 29 --json
"""
COLUMNS = (
    "Students at high risk", "Cases", "Predicted again", "Risk then", "Risk later", "Risk fell", "Observed for 7 days",
    "Active in these",
)  # fmt: skip


@make(
    "outcomes",
    click.option("--course", metavar="ID", type=click.IntRange(1), help="Only students of this course."),
    site=True, store=True, tables=True, examples=EXAMPLES,
)  # fmt: skip
def command(session: Session, course: int | None) -> Answer:
    """Compare students at high risk who were contacted with those who were not.

    Shows their risk at the next prediction, and how many were active in the course within 7 days. This is not an
    experiment.
    """
    from moodlemlbackend.analytics.students.outcomes import CAUTION, outcomes
    from moodlemlbackend.errors import UsageError

    if course is not None and all(row.id != course for row in session.site.courses):
        raise UsageError(f"The site has no course {course}.")
    found = outcomes(session.workspace, session.site, course)
    rows = [
        (
            "contacted" if one.contacted else "not contacted", one.cases, one.predicted_again, _share(one.before),
            _share(one.after), _share(one.lower), one.observed, _share(one.active),
        )
        for one in found
    ]  # fmt: skip
    table = Table(COLUMNS, rows, right=COLUMNS[1:])

    def show() -> None:
        print_table(table)
        print_sentence(CAUTION)

    facts = {"outcomes": [vars(one) for one in found], "caution": CAUTION}
    return Answer(facts, show, tables=[table])


def _share(value: float | None) -> str:
    return "" if value is None else f"{value:.0%}"
