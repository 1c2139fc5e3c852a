"""When the first prediction about a course's students comes, or why none will."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from moodlemlbackend.analytics.features import answers, definitions, registry
from moodlemlbackend.analytics.features.analysables import Courses
from moodlemlbackend.analytics.features.refusal import NOT_YET_STARTED

if TYPE_CHECKING:
    from collections.abc import Iterable

    from moodlemlbackend.analytics.features.refusal import Refusal
    from moodlemlbackend.analytics.models import AnalyticsModel
    from moodlemlbackend.analytics.site import Site
    from moodlemlbackend.analytics.site.site import CourseRow


@dataclass(frozen=True)
class FirstPrediction:
    """When a model can first predict the students of a course: from ``time`` on, a Unix time that may be over.

    ``refusal`` is why it cannot; both are None for a model that will not be ready before the course is over.
    """

    model: AnalyticsModel
    time: int | None
    refusal: Refusal | None


def first_prediction(site: Site, models: Iterable[AnalyticsModel], row: CourseRow, now: int) -> FirstPrediction | None:
    """The earliest of the first predictions of enabled, trained models about students there; None without such."""
    [course] = Courses(site, [row], now)
    expected = []
    for model in models:
        if not (model.enabled and model.trained and model.interval and definitions.has_target(model.target)):
            continue
        if not definitions.has_past(model.target) or (model.contexts and not {*model.contexts} & {*row.path}):
            continue
        refusal = answers.refusal(definitions.target(model.target), course, training=False)
        if refusal is not None and refusal != NOT_YET_STARTED:
            expected.append(FirstPrediction(model, None, refusal))
            continue
        method = registry.get_time_splitting(model.interval)
        moments = answers.moments(method, course, site.zone) if row.end else []
        expected.append(FirstPrediction(model, moments[0] if moments else None, None))
    return min(expected, key=lambda first: first.time if first.time is not None else float("inf"), default=None)
