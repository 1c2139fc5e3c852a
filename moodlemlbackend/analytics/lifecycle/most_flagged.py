"""Courses most of whose students are flagged: no one is notified about them, and managers see why that may be.

A model that flags more than half of a course is more often wrong about the course than right about so many students.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from moodlemlbackend.analytics import models
from moodlemlbackend.analytics.db import facts
from moodlemlbackend.analytics.features.analysables import Courses
from moodlemlbackend.analytics.insights.texts import say
from moodlemlbackend.analytics.lifecycle.backtesting.figures import MOST_FLAGGED
from moodlemlbackend.analytics.lifecycle.likely_reason import learned_rows, likely_reason
from moodlemlbackend.analytics.lifecycle.predicted_samples import by_moment
from moodlemlbackend.analytics.site.names import format_name
from moodlemlbackend.analytics.site.people import languages

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from moodlemlbackend.analytics.db import Connection
    from moodlemlbackend.analytics.lifecycle.predicted_samples import Moment
    from moodlemlbackend.analytics.models import AnalyticsModel
    from moodlemlbackend.analytics.site import Site
    from moodlemlbackend.analytics.workspace import Workspace
    from moodlemlbackend.operations.predict import PredictedSamples
    from moodlemlbackend.spooled import SpooledRows

LEAST_FLAGGED = 10
"""Fewer students than these are told of, however small their course is."""


@dataclass(frozen=True)
class MostFlagged:
    """A course about which no one was notified.

    Attributes
    ----------
    context, course
        its context's id, and what it is called.
    flagged, predicted
        students at one moment.
    reason
        the likely one, as the end of a sentence that begins with "because".
    time, ends
        when it was predicted, and when the course ends, 0 for never; Unix times.
    """

    context: int
    course: str
    flagged: int
    predicted: int
    reason: str
    time: int
    ends: int

    @property
    def sentence(self) -> str:
        """What an administrator is told."""
        return say(
            "withheld", course=self.course, flagged=self.flagged, predicted=self.predicted, reason=self.reason
        )  # fmt: skip


def find(
    workspace: Workspace, site: Site, model: AnalyticsModel, predicted: PredictedSamples, samples: SpooledRows
) -> dict[int, MostFlagged]:
    """The courses of a run most of whose students are flagged, by context.

    ``samples`` are all that were predicted, rows of :data:`.predicted_samples.SAMPLE`; those that are news are flagged.
    """
    over = moments_over(samples)
    rows = [row for row in site.courses if row.context in over]
    if not rows:
        return {}
    now, interval = workspace.clock(), model.require()
    learned = learned_rows(workspace, model, interval)
    language = languages(site, [workspace.userid])[workspace.userid]
    courses = {}
    for course in Courses(site, rows, now):
        number, positions = over[course.context]
        reason = likely_reason(course, interval, predicted.columns, predicted.features.take(positions), learned)
        name = format_name(course.row.fullname or course.name, language)
        courses[course.context] = MostFlagged(
            course.context, name, number, len(positions), reason, now, course.end
        )  # fmt: skip
        course.forget()
    return courses


def moments_over(samples: SpooledRows) -> dict[int, tuple[int, list[int]]]:
    """How many are flagged at the last moment at which it is too many, and who was predicted then, by context."""
    predicted: Counter[Moment] = Counter()
    flagged: Counter[Moment] = Counter()
    for piece in samples.pieces():
        for moment, positions in by_moment(piece):
            predicted[moment] += len(positions)
            flagged[moment] += int(piece["news"][positions].sum())
    last = {
        moment[0]: moment
        for moment, number in sorted(predicted.items())
        if flagged[moment] >= LEAST_FLAGGED and flagged[moment] > MOST_FLAGGED * number
    }
    over: dict[int, tuple[int, list[int]]] = {moment[0]: (flagged[moment], []) for moment in last.values()}
    start = 0
    for piece in samples.pieces() if over else ():
        for moment, positions in by_moment(piece):
            if last.get(moment[0]) == moment:
                over[moment[0]][1].extend((positions + start).tolist())
        start += len(piece)
    return over


def remember(
    connection: Connection, modelid: int, predicted: Collection[int], flagged: Mapping[int, MostFlagged], now: int
) -> None:
    """Note which courses no one was notified about, instead of what was noted of the contexts that are predicted."""
    kept = [course for course in listed(connection, modelid, now) if course.context not in predicted]
    facts.write(connection, models.most_flagged_fact(modelid), [vars(course) for course in (*kept, *flagged.values())])


def listed(connection: Connection, modelid: int, now: int) -> list[MostFlagged]:
    """The courses that go on and about whose last predictions no one was notified."""
    return _going_on(facts.read(connection, models.most_flagged_fact(modelid)) or (), now)


def counts(connection: Connection, now: int) -> dict[str, int]:
    """How many these are, by :func:`.models.most_flagged_fact` of each model."""
    every = facts.starting_with(connection, models.MOST_FLAGGED)
    return {name: len(_going_on(noted, now)) for name, noted in every.items()}


def _going_on(noted: Iterable[dict[str, Any]], now: int) -> list[MostFlagged]:
    return [course for course in (MostFlagged(**values) for values in noted) if not 0 < course.ends <= now]
