"""Insights as a person sees them: the newest prediction of each sample that the person has not dealt with."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from moodlemlbackend.analytics import models
from moodlemlbackend.analytics.db import models as rows_of_models
from moodlemlbackend.analytics.db import predictions
from moodlemlbackend.analytics.db.insights import (
    Chosen,
    InsightRow,
    context_ids,
    ranked,
    read,
)
from moodlemlbackend.analytics.features import definitions
from moodlemlbackend.analytics.features.definitions import could_be_known
from moodlemlbackend.analytics.insights import actions
from moodlemlbackend.analytics.insights.capabilities import LIST_INSIGHTS, LIST_OWN_INSIGHTS, MANAGE_MODELS
from moodlemlbackend.analytics.insights.sentences import InsightReason
from moodlemlbackend.analytics.insights.texts import class_label
from moodlemlbackend.analytics.insights.values import IndicatorValue, indicator_values, value_in_words
from moodlemlbackend.analytics.site.contexts import USER
from moodlemlbackend.analytics.site.names import format_samples
from moodlemlbackend.analytics.site.people import describe, languages
from moodlemlbackend.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    from moodlemlbackend.analytics.db import Connection
    from moodlemlbackend.analytics.insights.actions import Offered
    from moodlemlbackend.analytics.insights.capabilities import Capabilities
    from moodlemlbackend.analytics.models import AnalyticsModel
    from moodlemlbackend.analytics.site import Site
    from moodlemlbackend.analytics.site.people import SampleInfo
    from moodlemlbackend.analytics.workspace import Workspace

PAGE = 100
LARGEST_PAGE = 1000


@dataclass(frozen=True)
class Insight:
    """A prediction that somebody is told of.

    Attributes
    ----------
    prediction, score
        the class, and its score on the scale where .5 decides.
    label
        what the class means.
    probability
        calibrated probability of the class; None of a static model.
    probability_range
        low and high of it in 8 of 10 courses; None where the model does not know how far they differ.
    start, end
        the range that it rests on, None when unknown.
    sample
        None when the student or course no longer exists.
    course_end
        a Unix time, 0 without a course or a date.
    calculations
        JSON, a value by column.
    """

    id: int
    model: AnalyticsModel
    contextid: int
    sampleid: int
    rangeindex: int
    prediction: float
    label: str
    score: float
    probability: float | None
    probability_range: tuple[float, float] | None
    created: int
    start: int | None
    end: int | None
    sample: SampleInfo | None
    course_end: int
    calculations: str
    reasons: tuple[InsightReason, ...]
    links: tuple[Offered, ...]
    judgements: tuple[Offered, ...]
    done: tuple[str, ...]

    @cached_property
    def indicators(self) -> tuple[IndicatorValue, ...]:
        """The indicators that could be calculated, and known when it was predicted."""
        values = indicator_values(json.loads(self.calculations))
        return tuple(value for value in values if could_be_known(value.id, self.course_end, self.created))

    @property
    def title(self) -> str:
        """Whom or what it is about."""
        return self.sample.title if self.sample else f"#{self.sampleid}"


def readable(capabilities: Capabilities, userid: int, target: str, contextids: Iterable[int]) -> set[int]:
    """In which of these contexts a user may read the insights of models with a target.

    A user's own need one capability, all others another; those that no report links to are for managers of models.
    """
    return _readable(capabilities, userid, definitions.target(target).link_insights_report, contextids)


def _readable(capabilities: Capabilities, userid: int, linked: bool, contextids: Iterable[int]) -> set[int]:
    readable = set()
    for contextid in contextids:
        context = capabilities.context(contextid)
        if context is None:
            continue
        own = context.level == USER and context.instance == userid
        needed = LIST_OWN_INSIGHTS if own else LIST_INSIGHTS if linked else MANAGE_MODELS
        if capabilities.may_enter(userid, needed, contextid):
            readable.add(contextid)
    return readable


def listed(
    workspace: Workspace,
    site: Site,
    *,
    modelid: int | None = None,
    contextids: Collection[int] | None = None,
    userid: int | None = None,
    reader: Capabilities | None = None,
    page: int = 0,
    perpage: int = PAGE,
) -> list[Insight]:
    """The insights of enabled models, those of the highest class and score first.

    Only the last range of each sample counts. What the user has dealt with is left out. So is what is no longer there,
    by which a page may be shorter.
    ``contextids`` limits them to those contexts, ``reader`` to what the user may read by it.
    """
    size = max(1, min(perpage, LARGEST_PAGE))
    with workspace.store.read() as connection:
        places = _places(connection, modelid, contextids, userid, reader)
        limit = None
        if reader is not None and userid is not None:
            limit = reader.group_limit(userid, {context for _, allowed in places for context in allowed or ()})
        chosen = Chosen(modelid, places, userid, actions.HIDING, limit)
        ids = ranked(connection, chosen, limit=size, offset=page * size)
        insights = _insights(workspace, site, connection, ids)
    return [insight for insight in insights if insight.sample is not None]


def section(
    workspace: Workspace,
    site: Site,
    model: AnalyticsModel,
    contextid: int,
    *,
    userid: int | None = None,
    reader: Capabilities | None = None,
    page: int = 0,
    perpage: int = PAGE,
) -> list[Insight]:
    """A page of the insights of a model in a context, as :func:`listed`."""
    chosen = in_context([model], contextid, userid=userid, reader=reader)
    with workspace.store.read() as connection:
        ids = ranked(connection, chosen, limit=perpage, offset=page * perpage)
        insights = _insights(workspace, site, connection, ids)
    return [insight for insight in insights if insight.sample is not None]


def in_context(
    of_models: Collection[AnalyticsModel],
    contextid: int,
    *,
    userid: int | None = None,
    reader: Capabilities | None = None,
) -> Chosen:
    """The insights of models in a context that a user has not dealt with, and may see by ``reader``."""
    limit = reader.group_limit(userid, [contextid]) if reader is not None and userid is not None else None
    targets = {model.target for model in of_models}
    modelid = next(iter(of_models)).id if len(of_models) == 1 else None
    return Chosen(modelid, [(targets, [contextid])], userid, actions.HIDING, limit)


def several(workspace: Workspace, site: Site, predictionids: Sequence[int]) -> list[Insight]:
    """These insights in their order, those that are still there."""
    with workspace.store.read() as connection:
        insights = _insights(workspace, site, connection, predictionids)
    return [insight for insight in insights if insight.sample is not None]


def check_groups(workspace: Workspace, reader: Capabilities, userid: int, predictionids: Iterable[int]) -> None:
    """Raise UsageError, as if they were not there, for predictions that separate groups hide from a user."""
    with workspace.store.read() as connection:
        for predictionid in predictionids:
            row = predictions.find(connection, predictionid)
            model = row and models.get(connection, row.modelid)
            if row and model and not reader.sees(userid, model.target, row.contextid, row.sampleid):
                raise _no_prediction(predictionid)


def get(workspace: Workspace, site: Site, predictionid: int) -> Insight:
    """One insight; UsageError when there is none of this id."""
    with workspace.store.read() as connection:
        row = predictions.find(connection, predictionid)
        if row is None:
            raise _no_prediction(predictionid)
        models.get(connection, row.modelid)
        return _insights(workspace, site, connection, [predictionid])[0]


def _no_prediction(predictionid: int) -> UsageError:
    return UsageError(f"There is no prediction {predictionid}; see moodlemlbackend insights list.")


def _places(
    connection: Connection,
    modelid: int | None,
    contextids: Collection[int] | None,
    userid: int | None,
    reader: Capabilities | None,
) -> list[tuple[list[str], Collection[int] | None]]:
    """Of which targets and in which contexts insights are listed."""
    targets = [target for target in rows_of_models.targets(connection) if definitions.has_target(target)]
    if reader is None or userid is None:
        return [(targets, contextids)]
    there = context_ids(connection, modelid)
    wanted = there if contextids is None else there & set(contextids)
    reader.load(wanted)
    places: dict[frozenset[int], list[str]] = {}
    for linked in (True, False):
        of_kind = [target for target in targets if definitions.target(target).link_insights_report is linked]
        places.setdefault(frozenset(_readable(reader, userid, linked, wanted)), []).extend(of_kind)
    return [(of_kind, allowed) for allowed, of_kind in places.items() if of_kind and allowed]


def _insights(workspace: Workspace, site: Site, connection: Connection, predictionids: Sequence[int]) -> list[Insight]:
    rows = read(connection, predictionids)
    done = predictions.actions_by_prediction(connection, predictionids)
    by_id = models.by_id(connection, {row.modelid for row in rows.values()})
    by_origin: dict[str, set[int]] = {}
    for row in rows.values():
        if row.modelid in by_id:
            by_origin.setdefault(definitions.analyser(by_id[row.modelid].target).origin, set()).add(row.sampleid)
    ends = {course.id: course.end for course in site.courses}
    language = languages(site, [workspace.userid])[workspace.userid]
    samples = {origin: format_samples(describe(site, origin, ids), language) for origin, ids in by_origin.items()}
    return [
        _insight(workspace, by_id[rows[key].modelid], rows[key], samples, ends, done.get(key, []))
        for key in predictionids
        if key in rows and rows[key].modelid in by_id
    ]


def _insight(
    workspace: Workspace,
    model: AnalyticsModel,
    row: InsightRow,
    samples: dict[str, dict[int, SampleInfo]],
    ends: dict[int, int],
    done: list[str],
) -> Insight:
    sample = samples[definitions.analyser(model.target).origin].get(row.sampleid)
    course_end = ends.get(sample.courseid, 0) if sample else 0
    values = json.loads(row.calculations)
    reasons = [
        InsightReason(**{**reason, "value": value_in_words(values, reason["indicator"], reason["value"])})
        for reason in (json.loads(row.reasons) if row.reasons else ())
    ]
    return Insight(
        id=row.id,
        model=model,
        contextid=row.contextid,
        sampleid=row.sampleid,
        rangeindex=row.rangeindex,
        prediction=row.prediction,
        label=class_label(model.target, row.prediction),
        score=row.predictionscore,
        probability=row.probability,
        probability_range=None if row.low is None or row.high is None else (row.low, row.high),
        created=row.timecreated,
        start=row.timestart,
        end=row.timeend,
        sample=sample,
        course_end=course_end,
        calculations=row.calculations,
        reasons=tuple(cause for cause in reasons if could_be_known(cause.indicator, course_end, row.timecreated)),
        links=tuple(actions.links(workspace.settings.wwwroot, model.target, row.id, sample)),
        judgements=tuple(actions.judgements(model.target)),
        done=tuple(done),
    )
