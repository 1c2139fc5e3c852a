"""The courses of the site, for managers: where students are at risk, and whether somebody acts."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from moodlemlbackend.analytics import models
from moodlemlbackend.analytics.features import definitions
from moodlemlbackend.analytics.lifecycle import most_flagged
from moodlemlbackend.analytics.students.courses import courses_at_risk, loads
from moodlemlbackend.errors import RequestError
from moodlemlbackend.server import limits
from moodlemlbackend.server.pages.site.responses import Page, number_of_pages
from moodlemlbackend.server.texts import say

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from moodlemlbackend.analytics.models import AnalyticsModel
    from moodlemlbackend.analytics.students.courses import CourseAtRisk
    from moodlemlbackend.server.pages.site.request_context import RequestContext

_ORDERS: dict[str, Callable[[CourseAtRisk], tuple[object, ...]]] = {
    "risk": lambda course: (-course.risks.high, -course.risks.share),
    "share": lambda course: (-course.risks.share, -course.risks.high),
    "predicted": lambda course: (-course.risks.predicted,),
    "name": lambda _: (),
}
"""Ways to sort; courses that are alike go by name."""

GOING_ON, OVER, WITHHELD = "on", "over", "withheld"


@dataclass(frozen=True)
class CoursesQuery:
    """Which courses are asked for: of a model, with a text in their names, sorted, and a page of them.

    ``show`` is one of ``on`` (going on), ``over``, and ``withheld`` (going on, and the model does not fit).
    """

    model: int | None = None
    text: str = ""
    sort: str = "risk"
    show: str = GOING_ON
    page: int = 1

    def address(self, **changes: str | int) -> str:
        """The address of the page that asks the same, but for some changes."""
        asked = replace(self, **changes)  # type: ignore[arg-type]
        fields = {"model": asked.model, "show": asked.show, "sort": asked.sort, "q": asked.text, "page": asked.page}
        return f"/analytics/courses?{urlencode({name: value for name, value in fields.items() if value})}"


def index(ctx: RequestContext, query: CoursesQuery) -> Page:
    """The courses in which a model has predicted, a page of them."""
    ctx.require_manager()
    with ctx.workspace.store.read() as connection:
        in_force = models.listed(connection, enabled=True, trained=True)
    predicting = [model for model in in_force if definitions.has_past(model.target)]
    model = _chosen(predicting, query.model)
    values: dict[str, Any] = {
        "models": predicting, "model": model, "query": query, "rows": [], "number": 0, "pages": 1,
    }  # fmt: skip
    if model is None:
        return Page("courses.html", values)
    with ctx.workspace.store.read() as connection:
        withheld = {
            course.context: course for course in most_flagged.listed(connection, model.id, ctx.workspace.clock())
        }
    every = courses_at_risk(ctx.workspace, ctx.site, model, over=query.show == OVER)
    wanted = query.text.casefold()
    courses = [
        course
        for course in every
        if wanted in course.name.casefold() and (query.show != WITHHELD or course.row.context in withheld)
    ]
    order = _ORDERS.get(query.sort, _ORDERS["risk"])

    def place(course: CourseAtRisk) -> tuple[object, ...]:
        return *order(course), course.name.casefold(), course.row.id

    courses.sort(key=place)
    first = (query.page - 1) * limits.PAGE_COURSES
    shown = courses[first : first + limits.PAGE_COURSES]
    values |= {
        "rows": sorted(loads(ctx.workspace, ctx.site, model, shown), key=place),
        "misfits": withheld,
        "number": len(courses),
        "pages": number_of_pages(len(courses), limits.PAGE_COURSES),
        "totals": {
            "students": sum(course.risks.students for course in courses),
            "high": sum(course.risks.high for course in courses),
            "withheld": len(withheld),
        },
    }
    return Page("courses.html", values)


def _chosen(predicting: Sequence[AnalyticsModel], modelid: int | None) -> AnalyticsModel | None:
    """The model that is asked for, else the first; RequestError of 404 when there is none of the id."""
    if modelid is None:
        return next(iter(predicting), None)
    chosen = next((model for model in predicting if model.id == modelid), None)
    if chosen is None:
        raise RequestError(say("courses no model"), 404)
    return chosen
