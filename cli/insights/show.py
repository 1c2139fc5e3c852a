"""``moodlemlbackend insights show``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from ..command import Answer
from ..command import command as make
from ..options import USER
from ..output import moment, print_line, print_table
from ..session import Session
from .facts import insight_facts
from .groups import check_groups

if TYPE_CHECKING:
    from moodlemlbackend.analytics.insights.listing import Insight


@make(
    "show", click.argument("prediction", metavar="ID", type=click.IntRange(1)), USER,
    site=True, store=True, examples="moodlemlbackend insights show 12",
)  # fmt: skip
def command(session: Session, prediction: int, user: int | None) -> Answer:
    """Show one insight: the prediction, its indicators and why, and what can be done.

    With --user only if separate groups do not hide it from this user.
    """
    from moodlemlbackend.analytics.insights import listing

    if user is not None:
        check_groups(session, user, [prediction])
    insight = listing.get(session.workspace, session.site, prediction)
    return Answer({"insight": insight_facts(insight)}, lambda: _show(insight))


def _show(insight: Insight) -> None:
    from moodlemlbackend.dataset.words import probability

    print_line(f"{insight.title}: {insight.label}")
    if insight.sample and insight.sample.userid and insight.sample.course_name:
        print_line(f"Course: {insight.sample.course_name}")
    print_line(f"Model: {insight.model.name} (model {insight.model.id}), {moment(insight.created)} UTC")
    if insight.start is not None and insight.end is not None:
        print_line(f"From: {moment(insight.start)} to {moment(insight.end)}")
    if insight.probability is not None:
        print_line(f"Probability: {probability(insight.probability, insight.probability_range)}")
    if insight.reasons:
        rows = [(reason.label, reason.value, f"{reason.contribution:+.2f}") for reason in insight.reasons]
        print_table("Why", ("Indicator", "Value", "Adds (log-odds)"), rows)
    print_table("Indicators", ("Indicator", "Value"), [(value.label, value.value) for value in insight.indicators])
    for action in insight.links:
        print_line(f"{action.label}: {action.url}")
    print_line("Act: " + ", ".join(f"{action.name} ({action.label})" for action in insight.judgements))
    if insight.done:
        print_line("Done: " + ", ".join(insight.done))
