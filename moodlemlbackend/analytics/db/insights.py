"""Insights: of each sample of an enabled model the prediction in its last range, those of the highest class first."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import and_, case, delete, distinct, false, func, or_, select

from moodlemlbackend.analytics.db.database import among
from moodlemlbackend.analytics.db.predictions import PredictionRow
from moodlemlbackend.analytics.db.schema import EXPLANATIONS, INSIGHTS, MODELS, PREDICTION_ACTIONS, PREDICTIONS

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from sqlalchemy import Connection

_IN_FORCE = (MODELS.c.enabled == 1, MODELS.c.trained == 1)


@dataclass(frozen=True)
class InsightRow(PredictionRow):
    """A prediction with its explanation, None where there is none.

    ``low`` and ``high`` are those of the probability in 8 of 10 courses; ``reasons`` is JSON.
    """

    probability: float | None
    low: float | None
    high: float | None
    reasons: str | None


@dataclass(frozen=True)
class OpenInsights:
    """How many insights of a model in a context a user has not dealt with, and the highest of their probabilities."""

    modelid: int
    contextid: int
    number: int
    highest: float | None


@dataclass(frozen=True)
class GroupLimit:
    """What a user may not see for separate groups: in these contexts predictions of other samples than these.

    Those of models with one of the ``exempt`` targets, which are not about students, are seen.
    """

    contextids: Collection[int]
    sampleids: Collection[int]
    exempt: Collection[str]

    def allows(self, target: str, contextid: int, sampleid: int) -> bool:
        """Whether a prediction is seen."""
        return target in self.exempt or contextid not in self.contextids or sampleid in self.sampleids


@dataclass(frozen=True)
class Chosen:
    """Which insights are asked for.

    Attributes
    ----------
    modelid
        of one model; None for all.
    places
        pairs of targets and contexts: those of one of these targets in one of these contexts, None for all contexts.
    userid, hiding
        those about which this user has not done one of these actions.
    limit
        those that it lets the user see.
    """

    modelid: int | None
    places: Sequence[tuple[Collection[str], Collection[int] | None]]
    userid: int | None
    hiding: Collection[str]
    limit: GroupLimit | None = None


def ranked(connection: Connection, chosen: Chosen, *, limit: int, offset: int) -> list[int]:
    """Some of the insights that are asked for, those of the highest class and score first."""
    insight = INSIGHTS.c
    query = _asked(select(insight.predictionid), chosen)
    if chosen.userid is not None:
        of_insight = PREDICTION_ACTIONS.c.predictionid == insight.predictionid  # so a page reads only what it shows
        query = query.where(~_done_by(chosen.userid, chosen.hiding).where(of_insight).exists())
    query = query.order_by(insight.prediction.desc(), insight.predictionscore.desc(), insight.predictionid.desc())
    return [*connection.execute(query.limit(limit).offset(offset)).scalars()]


def dealt_with(connection: Connection, chosen: Chosen, *, limit: int, offset: int) -> list[int]:
    """Some of those that the user has dealt with, the latest first."""
    insight, last = INSIGHTS.c.predictionid, func.max(PREDICTION_ACTIONS.c.id)
    query = _dealt_with(insight, chosen).group_by(insight).order_by(last.desc())
    return [*connection.execute(query.limit(limit).offset(offset)).scalars()]


def number_dealt_with(connection: Connection, chosen: Chosen) -> int:
    """How many the user has dealt with."""
    return int(connection.execute(_dealt_with(func.count(distinct(INSIGHTS.c.predictionid)), chosen)).scalar() or 0)


def context_ids(connection: Connection, modelid: int | None = None) -> set[int]:
    """Ids of the contexts in which there are insights, of one model or of any."""
    query = select(INSIGHTS.c.contextid).distinct()
    if modelid is not None:
        query = query.where(INSIGHTS.c.modelid == modelid)
    return set(connection.execute(query).scalars())


def current_ids(connection: Connection, predictionids: Collection[int]) -> set[int]:
    """Those of these predictions that are of the last range of their samples."""
    query = select(INSIGHTS.c.predictionid).where(among(INSIGHTS.c.predictionid, predictionids))
    return set(connection.execute(query).scalars())


def read(connection: Connection, predictionids: Collection[int]) -> dict[int, InsightRow]:
    """Read predictions with their explanations, by id."""
    query = (
        select(PREDICTIONS, *(EXPLANATIONS.c[name] for name in ("probability", "low", "high", "reasons")))
        .outerjoin(EXPLANATIONS, EXPLANATIONS.c.predictionid == PREDICTIONS.c.id)
        .where(PREDICTIONS.c.id.in_(sorted(predictionids)))
    )
    return {row.id: InsightRow(**row._asdict()) for row in connection.execute(query)}


def of_samples(connection: Connection, contextid: int, modelid: int, sampleids: Collection[int]) -> dict[int, int]:
    """Ids of a model's insights about samples in a context, by sample."""
    here = INSIGHTS.c.contextid == contextid, INSIGHTS.c.modelid == modelid
    query = select(INSIGHTS.c.sampleid, INSIGHTS.c.predictionid).where(*here, among(INSIGHTS.c.sampleid, sampleids))
    return {row.sampleid: row.predictionid for row in connection.execute(query)}


def samples(connection: Connection, modelid: int) -> set[int]:
    """The samples of a model's insights."""
    return set(connection.execute(select(INSIGHTS.c.sampleid).where(INSIGHTS.c.modelid == modelid)).scalars())


def forget(connection: Connection, modelid: int, sampleids: Collection[int]) -> int:
    """Take a model's insights about samples off the lists, and keep the predictions; returns how many."""
    of_samples = INSIGHTS.c.modelid == modelid, among(INSIGHTS.c.sampleid, sampleids)
    return connection.execute(delete(INSIGHTS).where(*of_samples)).rowcount


def models_in(connection: Connection, contextid: int) -> list[int]:
    """Ids of the enabled models that have insights in a context."""
    there = select(INSIGHTS.c.modelid).where(INSIGHTS.c.contextid == contextid)
    return [*connection.execute(select(MODELS.c.id).where(*_IN_FORCE, MODELS.c.id.in_(there))).scalars()]


def open_insights(
    connection: Connection,
    userid: int,
    contextids: Collection[int],
    hiding: Collection[str],
    limit: GroupLimit | None = None,
) -> list[OpenInsights]:
    """Count, by enabled model and context with insights, what waits for a user."""
    waits = INSIGHTS.c.predictionid.not_in(_done_by(userid, hiding))
    waiting, highest = func.sum(case((waits, 1), else_=0)), func.max(case((waits, INSIGHTS.c.probability)))
    query = (
        select(INSIGHTS.c.modelid, INSIGHTS.c.contextid, waiting, highest)
        .where(_of_models(*_IN_FORCE), _in(contextids))
        .group_by(INSIGHTS.c.contextid, INSIGHTS.c.modelid)
    )
    rows = connection.execute(_limited(query, limit))
    return [OpenInsights(modelid, contextid, int(waiting), highest) for modelid, contextid, waiting, highest in rows]


def _asked(query: Any, chosen: Chosen) -> Any:
    query = query.where(_of_models(MODELS.c.enabled == 1))
    if chosen.modelid is not None:
        query = query.where(INSIGHTS.c.modelid == chosen.modelid)
    return _limited(query.where(or_(false(), *(_place(*place) for place in chosen.places))), chosen.limit)


def _dealt_with(column: Any, chosen: Chosen) -> Any:
    query = select(column).select_from(PREDICTION_ACTIONS)
    query = _asked(query.join(INSIGHTS, INSIGHTS.c.predictionid == PREDICTION_ACTIONS.c.predictionid), chosen)
    actions = PREDICTION_ACTIONS.c.actionname.in_(sorted(chosen.hiding))
    return query.where(PREDICTION_ACTIONS.c.userid == chosen.userid, actions)


def _done_by(userid: int, hiding: Collection[str]) -> Any:
    """What a user has dealt with."""
    done = PREDICTION_ACTIONS.c.userid == userid, PREDICTION_ACTIONS.c.actionname.in_(sorted(hiding))
    return select(PREDICTION_ACTIONS.c.predictionid).where(*done)


def _limited(query: Any, limit: GroupLimit | None) -> Any:
    if limit is None:
        return query
    hidden = and_(
        _of_models(MODELS.c.target.not_in(sorted(limit.exempt))),
        _in(limit.contextids),
        ~among(INSIGHTS.c.sampleid, limit.sampleids),
    )
    return query.where(~hidden)


def _place(targets: Collection[str], contextids: Collection[int] | None) -> Any:
    of_targets = _of_models(MODELS.c.target.in_(sorted(targets)))
    return of_targets if contextids is None else and_(of_targets, _in(contextids))


def _of_models(*conditions: Any) -> Any:
    """Whether the model meets conditions; said so that a database goes by the order of the insights, not by model."""
    return INSIGHTS.c.modelid.not_in(select(MODELS.c.id).where(~and_(*conditions)))


def _in(contextids: Collection[int]) -> Any:
    return among(INSIGHTS.c.contextid, contextids)
