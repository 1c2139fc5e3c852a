"""``moodlemlbackend students list``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from ..command import Answer
from ..command import command as make
from ..options import MODEL_NAME
from ..output import moment
from ..session import Session
from ..tables import Table

if TYPE_CHECKING:
    from moodlemlbackend.analytics.students.roster import RosterRow

EXAMPLES = """\
moodlemlbackend students list 29
moodlemlbackend students list 29 --model course_dropout --csv
"""
COLUMNS = ("ID", "Student", "Risk", "Probability", "State", "Last contact (UTC)", "Last visit (UTC)", "Done", "Due")


@make(
    "list",
    click.argument("course", metavar="COURSE", type=click.IntRange(1)),
    click.option("--model", metavar="MODEL", type=MODEL_NAME, help="Show the risk from this model."),
    site=True, store=True, tables=True, examples=EXAMPLES,
)  # fmt: skip
def command(session: Session, course: int, model: int | None) -> Answer:
    """List all students of a course, those at the highest risk first."""
    from moodlemlbackend.analytics.db import risks
    from moodlemlbackend.analytics.students.course_students import course_roster
    from moodlemlbackend.errors import UsageError

    row = next((row for row in session.site.courses if row.id == course), None)
    if row is None:
        raise UsageError(f"The site has no course {course}.")
    if model is None:
        with session.workspace.store.read() as connection:
            model = next(iter(risks.models_in(connection, row.context)), None)
    chosen = None if model is None else session.model(model)
    rows = course_roster(session.workspace, session.site, row, chosen)
    facts = [
        {
            "id": one.student.userid, "name": one.student.name, "band": one.band.value,
            "probability": one.risk.probability if one.risk else None,
            "range": [one.risk.low, one.risk.high] if one.risk else None, "state": one.standing.state.value,
            "contact": one.standing.contact.timecreated if one.standing.contact else None,
            "last_access": one.last_access, "done": one.done, "due": one.due,
        }
        for one in rows
    ]  # fmt: skip
    cells = [_cells(one) for one in rows]
    table = Table(
        COLUMNS, cells, right=("ID", "Probability", "Done", "Due"), least=("Last visit (UTC)", "Last contact (UTC)"),
        empty="This course has no students.",
    )  # fmt: skip
    return Answer({"students": facts}, tables=[table])


def _cells(row: RosterRow) -> tuple[object, ...]:
    contact = row.standing.contact
    probability = f"{row.risk.probability:.0%}" if row.risk else ""
    return (
        row.student.userid, row.student.name, row.band.value, probability, row.standing.state.value,
        moment(contact.timecreated) if contact else "", moment(row.last_access) if row.last_access else "", row.done,
        row.due,
    )  # fmt: skip
