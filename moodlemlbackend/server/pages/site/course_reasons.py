"""The first plain reason why each of some students of a course is at high risk."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from moodlemlbackend.analytics.db.predictions import of_samples
from moodlemlbackend.analytics.insights import listing
from moodlemlbackend.analytics.insights.reasons import evidence_of, reasons_of
from moodlemlbackend.analytics.students.bands import Band

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Sequence

    from moodlemlbackend.analytics.models import AnalyticsModel
    from moodlemlbackend.analytics.students.roster import RosterRow
    from moodlemlbackend.server.pages.site.course_access import CourseAccess
    from moodlemlbackend.server.pages.site.request_context import RequestContext


class _NotReadError(Exception):
    """Evidence would have to be read from Moodle's logs first."""


def first_reasons(
    ctx: RequestContext, access: CourseAccess, model: AnalyticsModel | None, rows: Sequence[RosterRow], *, read: bool
) -> dict[int, str] | None:
    """Reasons by user id of the rows at high risk, in the reader's language.

    None when evidence must be read first and ``read`` is false: that takes longer than the rest of the page.
    """
    users = {
        (row.risk.sampleid, row.risk.rangeindex): row.student.userid
        for row in rows
        if row.risk and row.band is Band.HIGH
    }
    if model is None or not users:
        return {}
    with ctx.workspace.store.read() as connection:
        flagged = of_samples(connection, model.id, access.contextid, {sampleid for sampleid, _ in users})
    insights = listing.several(ctx.workspace, ctx.site, [flagged[current] for current in users if current in flagged])
    keep = ctx.cache.get if read else _only_known(ctx)
    now = ctx.workspace.clock()
    first = {}
    try:
        for insight in insights:
            evidence = evidence_of(insight, ctx.site, now, keep)
            raising = (reason.text for reason in reasons_of(insight, evidence) if reason.raises)
            first[users[insight.sampleid, insight.rangeindex]] = next(raising, "")
    except _NotReadError:
        return None
    return {user: text for user, text in first.items() if text}


def _only_known(ctx: RequestContext) -> Callable[[Hashable, Callable[[], Any]], Any]:
    def get(key: Hashable, make: Callable[[], Any]) -> Any:
        if not ctx.cache.has(key):
            raise _NotReadError
        return ctx.cache.get(key, make)

    return get
