"""Insights as a person sees them: the newest prediction of each sample that the person has not dealt with."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from sqlalchemy import and_, func, select

from moodlemlbackend.analytics.db import models
from moodlemlbackend.analytics.db.schema import EXPLANATIONS, MODELS, PREDICTION_ACTIONS, PREDICTIONS
from moodlemlbackend.analytics.features import definitions
from moodlemlbackend.analytics.insights import actions
from moodlemlbackend.analytics.insights.capabilities import LIST_INSIGHTS, LIST_OWN_INSIGHTS, MANAGE_MODELS, USER
from moodlemlbackend.analytics.insights.samples import describe
from moodlemlbackend.analytics.insights.texts import class_label
from moodlemlbackend.dataset.columns import TIME, indicators_of
from moodlemlbackend.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    from sqlalchemy import Connection, Row

    from moodlemlbackend.analytics.db.models import AnalyticsModel
    from moodlemlbackend.analytics.insights.actions import Offered
    from moodlemlbackend.analytics.insights.capabilities import Capabilities
    from moodlemlbackend.analytics.insights.samples import SampleInfo
    from moodlemlbackend.analytics.site import Site
    from moodlemlbackend.analytics.workspace import Workspace

PAGE = 100
LARGEST_PAGE = 1000


@dataclass(frozen=True)
class InsightReason:
    """What one indicator adds to a prediction, in log-odds of the predicted class."""

    indicator: str
    label: str
    value: str
    contribution: float


@dataclass(frozen=True)
class IndicatorValue:
    """A calculated indicator of a sample; ``good`` is False where the value is below the middle."""

    id: str
    label: str
    value: str
    good: bool


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
    start, end
        the range that it rests on, None when unknown.
    sample
        None when the student or course no longer exists.
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
    created: int
    start: int | None
    end: int | None
    sample: SampleInfo | None
    indicators: tuple[IndicatorValue, ...]
    reasons: tuple[InsightReason, ...]
    links: tuple[Offered, ...]
    judgements: tuple[Offered, ...]
    done: tuple[str, ...]

    @property
    def title(self) -> str:
        """Whom or what it is about."""
        return self.sample.title if self.sample else f"#{self.sampleid}"


@dataclass(frozen=True)
class ContextInsights:
    """How many predictions a model has in a context."""

    modelid: int
    contextid: int
    predictions: int


def contexts(connection: Connection, modelid: int | None = None) -> list[ContextInsights]:
    """Where there are predictions of enabled models that have learned, or need not."""
    query = (
        select(PREDICTIONS.c.modelid, PREDICTIONS.c.contextid, func.count())
        .join(MODELS, MODELS.c.id == PREDICTIONS.c.modelid)
        .where(MODELS.c.enabled == 1, MODELS.c.trained == 1)
        .group_by(PREDICTIONS.c.modelid, PREDICTIONS.c.contextid)
        .order_by(PREDICTIONS.c.modelid, PREDICTIONS.c.contextid)
    )
    if modelid is not None:
        query = query.where(PREDICTIONS.c.modelid == modelid)
    return [ContextInsights(*row) for row in connection.execute(query)]


def readable(capabilities: Capabilities, userid: int, model: AnalyticsModel, contextids: Iterable[int]) -> set[int]:
    """In which of these contexts a user may read the insights of a model.

    A user's own need one capability, all others another; those that no report links to are for managers of models.
    """
    found = set()
    linked = definitions.target(model.target).link_insights_report
    for contextid in contextids:
        context = capabilities.context(contextid)
        if context is None:
            continue
        own = context.level == USER and context.instance == userid
        needed = LIST_OWN_INSIGHTS if own else LIST_INSIGHTS if linked else MANAGE_MODELS
        if capabilities.may(userid, needed, contextid):
            found.add(contextid)
    return found


def listed(
    workspace: Workspace,
    site: Site,
    *,
    modelid: int | None = None,
    contextids: Collection[int] | None = None,
    userid: int | None = None,
    page: int = 0,
    perpage: int = PAGE,
) -> list[Insight]:
    """The insights of enabled models, those of the highest class and score first.

    Only the last range of each sample counts. What the user has dealt with is left out, and what is no longer there.
    ``contextids`` limits them to those contexts, see :func:`readable`.
    """
    with workspace.store.read() as connection:
        rows = connection.execute(_query(modelid, contextids, userid)).all()
        found = {row.modelid: models.get(connection, row.modelid) for row in rows}
        shown = [row for row in rows if definitions.has_target(found[row.modelid].target)]
        insights = _insights(workspace, site, connection, found, shown)
    insights = [one for one in insights if one.sample is not None]
    size = max(1, min(perpage, LARGEST_PAGE))
    return insights[page * size : (page + 1) * size]


def get(workspace: Workspace, site: Site, predictionid: int) -> Insight:
    """One insight; UsageError when there is none of this id."""
    with workspace.store.read() as connection:
        query = _columns().where(PREDICTIONS.c.id == predictionid)
        row = connection.execute(query).one_or_none()
        if row is None:
            raise UsageError(f"There is no prediction {predictionid}; see moodlemlbackend insights list.")
        model = models.get(connection, row.modelid)
        return _insights(workspace, site, connection, {model.id: model}, [row])[0]


def indicator_values(calculations: dict[str, Any]) -> tuple[IndicatorValue, ...]:
    """The calculated indicators of a prediction, without those that could not be calculated."""
    columns = list(calculations)
    row = np.array([np.nan if value is None else float(value) for value in calculations.values()])
    found = []
    for indicator in indicators_of(columns):
        cells = row[list(indicator.columns)]
        if indicator.name == TIME or np.isnan(cells).all():
            continue
        own = cells[indicator.parts.index("")] if "" in indicator.parts else 1.0
        if not np.isnan(own):
            found.append(IndicatorValue(indicator.name, indicator.label, indicator.value(row), bool(own >= 0)))
    return tuple(found)


def _columns() -> Any:
    return select(PREDICTIONS, EXPLANATIONS.c.probability, EXPLANATIONS.c.reasons).outerjoin(
        EXPLANATIONS, EXPLANATIONS.c.predictionid == PREDICTIONS.c.id
    )


def _query(modelid: int | None, contextids: Collection[int] | None, userid: int | None) -> Any:
    last = (
        select(
            PREDICTIONS.c.modelid, PREDICTIONS.c.contextid, PREDICTIONS.c.sampleid,
            func.max(PREDICTIONS.c.rangeindex).label("rangeindex"),
        )
        .group_by(PREDICTIONS.c.modelid, PREDICTIONS.c.contextid, PREDICTIONS.c.sampleid)
        .subquery()
    )  # fmt: skip
    same = and_(*(PREDICTIONS.c[name] == last.c[name] for name in ("modelid", "contextid", "sampleid", "rangeindex")))
    query = (
        _columns()
        .join(last, same)
        .join(MODELS, MODELS.c.id == PREDICTIONS.c.modelid)
        .where(MODELS.c.enabled == 1)
        .order_by(PREDICTIONS.c.prediction.desc(), PREDICTIONS.c.predictionscore.desc(), PREDICTIONS.c.id.desc())
    )
    if modelid is not None:
        query = query.where(PREDICTIONS.c.modelid == modelid)
    if contextids is not None:
        query = query.where(PREDICTIONS.c.contextid.in_(sorted(contextids)))
    if userid is not None:
        dealt_with = select(PREDICTION_ACTIONS.c.predictionid).where(
            PREDICTION_ACTIONS.c.userid == userid, PREDICTION_ACTIONS.c.actionname.in_(actions.HIDING)
        )
        query = query.where(PREDICTIONS.c.id.not_in(dealt_with))
    return query


def _insights(
    workspace: Workspace, site: Site, connection: Connection, found: dict[int, AnalyticsModel], rows: Sequence[Row[Any]]
) -> list[Insight]:
    samples: dict[tuple[str, int], SampleInfo] = {}
    for model in found.values():
        origin = definitions.analyser(model.target).origin if definitions.has_target(model.target) else ""
        ids = [row.sampleid for row in rows if row.modelid == model.id]
        samples |= {(origin, key): sample for key, sample in describe(site, origin, ids).items()}
    done: dict[int, list[str]] = {}
    ids = [row.id for row in rows]
    acted = (
        select(PREDICTION_ACTIONS).where(PREDICTION_ACTIONS.c.predictionid.in_(ids)).order_by(PREDICTION_ACTIONS.c.id)
    )
    for action in connection.execute(acted) if len(ids) <= LARGEST_PAGE else ():
        done.setdefault(action.predictionid, []).append(action.actionname)
    return [_insight(workspace, found[row.modelid], row, samples, done.get(row.id, [])) for row in rows]


def _insight(
    workspace: Workspace,
    model: AnalyticsModel,
    row: Row[Any],
    samples: dict[tuple[str, int], SampleInfo],
    done: list[str],
) -> Insight:
    sample = samples.get((definitions.analyser(model.target).origin, row.sampleid))
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
        created=row.timecreated,
        start=row.timestart,
        end=row.timeend,
        sample=sample,
        indicators=indicator_values(json.loads(row.calculations)),
        reasons=tuple(InsightReason(**reason) for reason in json.loads(row.reasons)) if row.reasons else (),
        links=tuple(actions.links(workspace.settings.wwwroot, model.target, row.id, sample)),
        judgements=tuple(actions.judgements(model.target)),
        done=tuple(done),
    )
