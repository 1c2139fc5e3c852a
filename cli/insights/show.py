"""``moodlemlbackend insights show``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from ..command import Answer
from ..command import command as make
from ..options import user_option
from ..output import moment, print_line
from ..session import Session
from ..tables import Table, print_table
from .facts import insight_facts
from .groups import check_groups

if TYPE_CHECKING:
    from collections.abc import Sequence

    from moodlemlbackend.analytics.insights.listing import Insight


RAISES, LOWERS = "raises the risk", "lowers the risk"


@make(
    "show", click.argument("prediction", metavar="ID", type=click.IntRange(1)),
    user_option("Refuse if separate groups hide the insight from this user."),
    site=True, store=True, tables=True, examples="moodlemlbackend insights show 12",
)  # fmt: skip
def command(session: Session, prediction: int, user: int | None) -> Answer:
    """Show an insight: the prediction, the reasons for it, the indicators and what you can do."""
    from moodlemlbackend.analytics.insights import listing
    from moodlemlbackend.analytics.insights.reasons import evidence_of, reasons_of

    if user is not None:
        check_groups(session, user, [prediction])
    insight = listing.get(session.workspace, session.site, prediction)
    evidence = evidence_of(insight, session.site, session.now)
    plain = [(reason.text, RAISES if reason.raises else LOWERS) for reason in reasons_of(insight, evidence)]
    reasons = [(reason.label, reason.value, f"{reason.contribution:+.2f}") for reason in insight.reasons]
    tables = [
        *([Table(("Reason", "Effect"), plain, "Why")] if plain else []),
        Table(("Indicator", "Value", "Adds (log-odds)"), reasons, "In numbers", right=("Adds (log-odds)",)),
        Table(("Indicator", "Value"), [(value.label, value.value) for value in insight.indicators], "Indicators"),
    ]
    return Answer({"insight": insight_facts(insight, evidence)}, lambda: _show(insight, tables), tables=tables)


def _show(insight: Insight, tables: Sequence[Table]) -> None:
    from moodlemlbackend.dataset.words import probability

    print_line(f"{insight.title}: {insight.label}")
    if insight.sample and insight.sample.userid and insight.sample.course_name:
        print_line(f"Course: {insight.sample.course_name}")
    print_line(f"Model: {insight.model.name} (model {insight.model.id}), {moment(insight.created)} UTC")
    if insight.start is not None and insight.end is not None:
        print_line(f"From: {moment(insight.start)} to {moment(insight.end)}")
    if insight.probability is not None:
        print_line(f"Probability: {probability(insight.probability, insight.probability_range)}")
    for table in tables:
        print_line()
        print_table(table)
    print_line()
    for action in insight.links:
        print_line(f"{action.label}: {action.url}")
    print_line("Act: " + ", ".join(f"{action.name} ({action.label})" for action in insight.judgements))
    if insight.done:
        print_line("Done: " + ", ".join(insight.done))
