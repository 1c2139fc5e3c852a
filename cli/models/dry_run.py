"""What a dry run of a prediction says: who would be notified about what, through which channels."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from ..command import Answer
from ..output import print_line, print_sentence
from ..tables import Table, print_table
from .shared import print_figures

if TYPE_CHECKING:
    from collections.abc import Sequence

    from moodlemlbackend.analytics.lifecycle import RunResult
    from moodlemlbackend.analytics.lifecycle.preview import Preview

    from ..session import Session

DRY_RUN = click.option(
    "--dry-run", is_flag=True, help="Show who would be notified about what, without storing or sending anything."
)


def dry_run_answer(
    session: Session, results: Sequence[RunResult], preview: Preview, *, status: int, info: Sequence[str] = ()
) -> Answer:
    """Who would be notified, counts first, then a table of the people by model and course."""
    from moodlemlbackend.analytics.lifecycle.preview import as_facts
    from moodlemlbackend.analytics.notifications import outbox, switch

    with session.workspace.store.read() as connection:
        notifications = switch.read(connection, session.settings)
    waiting = outbox.waiting(session.workspace)
    sentences = [preview.sentence(on=notifications.on), notifications.sentence]
    if warning := switch.also_by_moodle(session.site, on=notifications.on):
        sentences.append(warning)
    if waiting:
        sentences.append(f"Messages from earlier runs that would also be sent: {waiting}.")
    tables = [
        Table(
            ("Course", "Role", "People", "Messages", "Channels"),
            [
                (group.course, group.role, group.people, group.messages, ", ".join(group.channels))
                for group in recipients
            ],
            title=model, right=("Messages",), least=("Channels",),
        )
        for model, recipients in preview.by_model().items()
    ]  # fmt: skip

    def show() -> None:
        print_line("Dry run: nothing is stored, marked as used or sent.")
        for sentence in (*info, *sentences):
            print_sentence(sentence)
        for result in results:
            print_figures(result)
        for table in tables:
            print_line()
            print_table(table)

    facts = {
        "dry_run": True,
        **as_facts(preview),
        "waiting": waiting,
        "notifications": vars(notifications),
        "models": [result.summary() for result in results],
    }
    return Answer(facts, show, status, [*info, *sentences])
