"""What a dry run of a prediction says: who would be notified about what, through which channels."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from ..command import Answer
from ..output import moment, print_line, print_sentence
from ..tables import Table, print_table
from .shared import print_figures

if TYPE_CHECKING:
    from collections.abc import Sequence

    from moodlemlbackend.analytics.lifecycle import RunResult
    from moodlemlbackend.analytics.lifecycle.preview import Preview
    from moodlemlbackend.analytics.notifications.mailing import Upcoming

    from ..session import Session

DRY_RUN = click.option(
    "--dry-run", is_flag=True, help="Show who would be notified about what, without storing or sending anything."
)


def dry_run_answer(
    session: Session, results: Sequence[RunResult], preview: Preview, *, status: int, info: Sequence[str] = ()
) -> Answer:
    """Who would be notified, counts first, then a table of the people by model and course."""
    from moodlemlbackend.analytics.lifecycle.preview import as_facts, mails
    from moodlemlbackend.analytics.notifications import outbox, switch

    with session.workspace.store.read() as connection:
        notifications = switch.read(connection, session.settings)
    waiting = outbox.waiting(session.workspace)
    sentences = [preview.sentence(on=notifications.on), notifications.sentence]
    if warning := switch.also_by_moodle(session.site, on=notifications.on):
        sentences.append(warning)
    if waiting:
        sentences.append(f"Messages from earlier runs that are still to be sent: {waiting}.")
    planned = mails(session.workspace, session.site, preview)
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
    if planned:
        tables.append(_mail_table(planned))

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
        "mails": [
            {"userid": mail.userid, "time": mail.time, "mails": mail.mails, "messages": mail.messages}
            for mail in planned
        ],
        "notifications": vars(notifications),
        "models": [result.summary() for result in results],
    }
    return Answer(facts, show, status, [*info, *sentences])


def _mail_table(planned: Sequence[Upcoming]) -> Table:
    """How many e-mails would be sent when, with what waits of earlier runs."""
    by_time: dict[int, list[Upcoming]] = {}
    for mail in sorted(planned, key=lambda mail: mail.time):
        by_time.setdefault(mail.time, []).append(mail)
    return Table(
        ("Due (UTC)", "People", "E-mails", "Messages"),
        [
            (moment(time), len({mail.userid for mail in due}), *(sum(getattr(mail, name) for mail in due)
             for name in ("mails", "messages")))
            for time, due in by_time.items()
        ],
        title="E-mails", right=("People", "E-mails", "Messages"),
    )  # fmt: skip
