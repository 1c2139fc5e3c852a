"""``moodlemlbackend insights list``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from ..command import Answer
from ..command import command as make
from ..options import MODEL_NAME, user_option
from ..output import moment
from ..session import Session
from ..tables import Table
from .facts import insight_facts

if TYPE_CHECKING:
    from moodlemlbackend.analytics.features.evidence import CourseEvidence
    from moodlemlbackend.analytics.insights.listing import Insight

EXAMPLES = """\
moodlemlbackend insights list --course 29
moodlemlbackend insights list --user 453 --json
"""
COLUMNS = ("ID", "Whom", "Course", "Prediction", "Probability", "Because", "Time (UTC)")


@make(
    "list",
    click.option("--model", metavar="MODEL", type=MODEL_NAME, help="Only insights from this model."),
    click.option("--course", metavar="ID", type=click.IntRange(1), help="Only insights about this course."),
    user_option("Only insights that this user may see and has not dealt with."),
    click.option("--page", type=click.IntRange(0), default=0, show_default=True, help="Page to show; the first is 0."),
    click.option("--perpage", type=click.IntRange(1, 1000), default=100, show_default=True, help="Insights per page."),
    site=True, store=True, tables=True, examples=EXAMPLES,
)  # fmt: skip
def command(
    session: Session, model: int | None, course: int | None, user: int | None, page: int, perpage: int
) -> Answer:
    """List the insights of enabled models, the greatest risk first."""
    from moodlemlbackend.analytics.insights import listing
    from moodlemlbackend.analytics.insights.capabilities import Capabilities
    from moodlemlbackend.analytics.insights.reasons import Kept, evidence_of
    from moodlemlbackend.errors import UsageError

    contextids: set[int] | None = None
    if course is not None:
        contextids = {row.context for row in session.site.courses if row.id == course}
        if not contextids:
            raise UsageError(f"The site has no course {course}.")
    insights = listing.listed(
        session.workspace, session.site, modelid=model, contextids=contextids, userid=user,
        reader=None if user is None else Capabilities(session.site, session.now), page=page, perpage=perpage,
    )  # fmt: skip
    kept = Kept()
    evidence = [evidence_of(insight, session.site, session.now, kept.get) for insight in insights]
    rows = [_row(*pair) for pair in zip(insights, evidence, strict=True)]
    table = Table(
        COLUMNS, rows, right=("ID", "Probability"), least=("Time (UTC)", "Because"),
        empty="No insights yet; moodlemlbackend tasks predict makes them with every enabled and trained model."
        if page == 0 else "No insights on this page.",
    )  # fmt: skip
    facts = [insight_facts(*pair) for pair in zip(insights, evidence, strict=True)]
    return Answer({"insights": facts}, tables=[table])


def _row(insight: Insight, evidence: CourseEvidence | None) -> tuple[object, ...]:
    from moodlemlbackend.analytics.insights.reasons import reasons_of

    course = insight.sample.course_name if insight.sample and insight.sample.userid else ""
    probability = f"{insight.probability:.0%}" if insight.probability is not None else ""
    because = ". ".join(reason.text for reason in reasons_of(insight, evidence) if reason.raises)
    return insight.id, insight.title, course, insight.label, probability, because, moment(insight.created)
