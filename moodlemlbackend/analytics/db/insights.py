"""Insights: of each sample of an enabled model the predictions in its last range, those of the highest class first."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import and_, bindparam, distinct, false, func, or_, select

from moodlemlbackend.analytics.db.predictions import PredictionRow
from moodlemlbackend.analytics.db.schema import EXPLANATIONS, MODELS, PREDICTION_ACTIONS, PREDICTIONS

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from sqlalchemy import Connection

_NEWER = PREDICTIONS.alias("newer")
_IS_LAST = ~(
    select(1)
    .where(
        *(_NEWER.c[name] == PREDICTIONS.c[name] for name in ("modelid", "contextid", "sampleid")),
        _NEWER.c.rangeindex > PREDICTIONS.c.rangeindex,
    )
    .exists()
)
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
class ContextInsights:
    """How many predictions a model has in a context."""

    modelid: int
    contextid: int
    predictions: int


@dataclass(frozen=True)
class OpenInsights:
    """Predictions of a model in a context that a user has not dealt with, and the highest of their probabilities."""

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
    prediction = PREDICTIONS.c
    query = _asked(select(prediction.id), chosen)
    query = query.order_by(prediction.prediction.desc(), prediction.predictionscore.desc(), prediction.id.desc())
    return [*connection.execute(query.limit(limit).offset(offset)).scalars()]


def number_open(
    connection: Connection,
    modelid: int,
    contextid: int,
    userid: int | None,
    hiding: Collection[str],
    samples: Collection[int] | None = None,
) -> int:
    """How many samples of a model in a context, or of these, have a last prediction that a user has not dealt with."""
    there = [PREDICTIONS.c.modelid == modelid, PREDICTIONS.c.contextid == contextid]
    if samples is not None:
        there.append(_among(PREDICTIONS.c.sampleid, samples))
    number = connection.execute(select(func.count(distinct(PREDICTIONS.c.sampleid))).where(*there)).scalar() or 0
    if userid is None:
        return int(number)
    dealt_with = (
        select(func.count(distinct(PREDICTIONS.c.sampleid)))
        .join(PREDICTION_ACTIONS, PREDICTION_ACTIONS.c.predictionid == PREDICTIONS.c.id)
        .where(*there, _IS_LAST, PREDICTION_ACTIONS.c.userid == userid)
        .where(PREDICTION_ACTIONS.c.actionname.in_(sorted(hiding)))
    )
    return int(number - (connection.execute(dealt_with).scalar() or 0))


def context_ids(connection: Connection, modelid: int | None = None) -> set[int]:
    """Ids of the contexts in which there are predictions, of one model or of any."""
    query = select(PREDICTIONS.c.contextid).distinct()
    if modelid is not None:
        query = query.where(PREDICTIONS.c.modelid == modelid)
    return set(connection.execute(query).scalars())


def current_ids(connection: Connection, predictionids: Collection[int]) -> set[int]:
    """Those of these predictions that are of the last range of their samples."""
    query = select(PREDICTIONS.c.id).where(_among(PREDICTIONS.c.id, predictionids), _IS_LAST)
    return set(connection.execute(query).scalars())


def read(connection: Connection, predictionids: Collection[int]) -> dict[int, InsightRow]:
    """Read predictions with their explanations, by id."""
    query = (
        select(PREDICTIONS, *(EXPLANATIONS.c[name] for name in ("probability", "low", "high", "reasons")))
        .outerjoin(EXPLANATIONS, EXPLANATIONS.c.predictionid == PREDICTIONS.c.id)
        .where(PREDICTIONS.c.id.in_(sorted(predictionids)))
    )
    return {row.id: InsightRow(**row._asdict()) for row in connection.execute(query)}


def contexts(connection: Connection, modelid: int | None = None) -> list[ContextInsights]:
    """Where there are predictions of enabled models that have learned, or need not."""
    query = (
        select(PREDICTIONS.c.modelid, PREDICTIONS.c.contextid, func.count())
        .join(MODELS, MODELS.c.id == PREDICTIONS.c.modelid)
        .where(*_IN_FORCE)
        .group_by(PREDICTIONS.c.modelid, PREDICTIONS.c.contextid)
        .order_by(PREDICTIONS.c.modelid, PREDICTIONS.c.contextid)
    )
    if modelid is not None:
        query = query.where(PREDICTIONS.c.modelid == modelid)
    return [ContextInsights(*row) for row in connection.execute(query)]


def open_insights(
    connection: Connection,
    userid: int,
    contextids: Collection[int],
    hiding: Collection[str],
    limit: GroupLimit | None = None,
) -> list[OpenInsights]:
    """Count, by enabled model and context, what waits for a user: the last range of each sample counts."""
    query = (
        select(
            PREDICTIONS.c.modelid, PREDICTIONS.c.contextid, func.count(distinct(PREDICTIONS.c.sampleid)),
            func.max(EXPLANATIONS.c.probability),
        )
        .join(MODELS, MODELS.c.id == PREDICTIONS.c.modelid)
        .outerjoin(EXPLANATIONS, EXPLANATIONS.c.predictionid == PREDICTIONS.c.id)
        .where(*_IN_FORCE, _in(contextids), _IS_LAST, _open_for(userid, hiding))
        .group_by(PREDICTIONS.c.modelid, PREDICTIONS.c.contextid)
    )  # fmt: skip
    return [OpenInsights(*row) for row in connection.execute(_limited(query, limit))]


def _asked(query: Any, chosen: Chosen) -> Any:
    query = query.join(MODELS, MODELS.c.id == PREDICTIONS.c.modelid).where(MODELS.c.enabled == 1, _IS_LAST)
    if chosen.modelid is not None:
        query = query.where(PREDICTIONS.c.modelid == chosen.modelid)
    if chosen.userid is not None:
        query = query.where(_open_for(chosen.userid, chosen.hiding))
    return _limited(query.where(or_(false(), *(_place(*place) for place in chosen.places))), chosen.limit)


def _limited(query: Any, limit: GroupLimit | None) -> Any:
    if limit is None:
        return query
    hidden = and_(
        MODELS.c.target.not_in(sorted(limit.exempt)),
        _in(limit.contextids),
        ~_among(PREDICTIONS.c.sampleid, limit.sampleids),
    )
    return query.where(~hidden)


def _place(targets: Collection[str], contextids: Collection[int] | None) -> Any:
    of_targets = MODELS.c.target.in_(sorted(targets))
    return of_targets if contextids is None else and_(of_targets, _in(contextids))


def _in(contextids: Collection[int]) -> Any:
    return _among(PREDICTIONS.c.contextid, contextids)


def _among(column: Any, ids: Collection[int]) -> Any:
    """Whether a column is one of these ids, which may be more than a statement can have parameters."""
    return column.in_(bindparam(None, sorted(map(int, ids)) or [-1], expanding=True, literal_execute=True))


def _open_for(userid: int, hiding: Collection[str]) -> Any:
    """Whether a user has not dealt with a prediction."""
    done = (
        PREDICTION_ACTIONS.c.predictionid == PREDICTIONS.c.id,
        PREDICTION_ACTIONS.c.userid == userid,
        PREDICTION_ACTIONS.c.actionname.in_(sorted(hiding)),
    )
    return ~select(1).where(*done).exists()
