"""The risk of every student who was predicted, flagged or not, range by range."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING

from sqlalchemy import case, delete, func, select

from moodlemlbackend.analytics.db.database import among
from moodlemlbackend.analytics.db.schema import MODELS, RISKS

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence
    from typing import Any

    from sqlalchemy import ColumnElement, Connection

_AT_ONCE = 1000


@dataclass(frozen=True)
class Risk:
    """What a model predicted of a student in a range.

    Attributes
    ----------
    probability, threshold
        calibrated probability of the class that is news, and the one from which on the model predicted this class.
    low, high
        the probability in 8 of 10 courses lies between these; None where the model does not know.
    start, end, created
        the range, and when it was predicted; Unix times.
    """

    modelid: int
    sampleid: int
    rangeindex: int
    probability: float
    low: float | None
    high: float | None
    threshold: float
    start: int
    end: int
    created: int


@dataclass(frozen=True)
class CourseRisks:
    """How many students of a course's context are at high, medium and low risk by their last predictions.

    ``predicted`` is the time of the newest of these, a Unix time.
    """

    contextid: int
    high: int
    medium: int
    low: int
    predicted: int

    @property
    def students(self) -> int:
        """All who were predicted."""
        return self.high + self.medium + self.low

    @property
    def share(self) -> float:
        """Of all who were predicted, those at high risk, 0 to 1."""
        return self.high / max(self.students, 1)


_COLUMNS = tuple(
    RISKS.c[name]
    for name in (
        "modelid", "sampleid", "rangeindex", "probability", "low", "high", "threshold", "timestart", "timeend",
        "timecreated",
    )
)  # fmt: skip


def insert(connection: Connection, rows: Iterable[Mapping[str, Any]]) -> None:
    """Write risks, each by column."""
    left = iter(rows)
    while part := [*islice(left, _AT_ONCE)]:
        connection.execute(RISKS.insert(), part)


def in_context(
    connection: Connection, contextid: int, modelid: int, sampleids: Collection[int] | None = None
) -> dict[int, list[Risk]]:
    """The last risk of every range that a model predicted in a course's context, by sample, in the order of prediction.

    A course whose end was moved may be predicted in an earlier range than before. ``sampleids`` limits them to some
    samples.
    """
    query = select(*_COLUMNS).where(RISKS.c.contextid == contextid, RISKS.c.modelid == modelid)
    if sampleids is not None:
        query = query.where(among(RISKS.c.sampleid, sampleids))
    by_sample: dict[int, dict[int, Risk]] = {}
    for row in connection.execute(query.order_by(RISKS.c.id)):
        ranges = by_sample.setdefault(row.sampleid, {})
        ranges.pop(row.rangeindex, None)
        ranges[row.rangeindex] = Risk(*row)
    return {sampleid: [*ranges.values()] for sampleid, ranges in by_sample.items()}


def by_course(connection: Connection, modelid: int, minimum_score: float) -> list[CourseRisks]:
    """Count the samples of each course that a model has predicted in, by the last prediction of each.

    Those who have left the course since are among them.

    A student is at high risk from the decision score ``minimum_score`` on, and at low risk as far below the threshold.
    """
    last = (
        select(func.max(RISKS.c.id).label("id"))
        .where(RISKS.c.modelid == modelid)
        .group_by(RISKS.c.contextid, RISKS.c.sampleid)
        .subquery()
    )
    high, low = _scored(minimum_score), ~_scored(1 - minimum_score)
    query = (
        select(
            RISKS.c.contextid, func.sum(case((high, 1), else_=0)), func.sum(case((low, 1), else_=0)), func.count(),
            func.max(RISKS.c.timecreated),
        )
        .join(last, last.c.id == RISKS.c.id)
        .group_by(RISKS.c.contextid)
    )  # fmt: skip
    return [
        CourseRisks(contextid, int(high), int(students - high - low), int(low), predicted)
        for contextid, high, low, students, predicted in connection.execute(query)
    ]


def latest(connection: Connection, modelid: int, contextids: Collection[int]) -> dict[int, dict[int, list[Risk]]]:
    """The last risk that a model predicted of each sample, by context and sample; each in a list."""
    chosen = RISKS.c.modelid == modelid, among(RISKS.c.contextid, contextids)
    last = select(func.max(RISKS.c.id)).where(*chosen).group_by(RISKS.c.contextid, RISKS.c.sampleid)
    by_context: dict[int, dict[int, list[Risk]]] = {}
    for contextid, *row in connection.execute(select(RISKS.c.contextid, *_COLUMNS).where(RISKS.c.id.in_(last))):
        risk = Risk(*row)
        by_context.setdefault(contextid, {})[risk.sampleid] = [risk]
    return by_context


def _scored(score: float) -> ColumnElement[bool]:
    """Whether a decision score is at least as high; said without logarithms, which not every database has."""
    probability, threshold = RISKS.c.probability, RISKS.c.threshold
    return probability * (1 - threshold) * (1 - score) >= threshold * (1 - probability) * score


def models_in(connection: Connection, contextid: int) -> list[int]:
    """Ids of the enabled, trained models that have predicted in a context, those that predicted last first."""
    in_force = MODELS.c.enabled == 1, MODELS.c.trained == 1
    query = (
        select(RISKS.c.modelid)
        .where(RISKS.c.contextid == contextid, RISKS.c.modelid.in_(select(MODELS.c.id).where(*in_force)))
        .group_by(RISKS.c.modelid)
        .order_by(func.max(RISKS.c.timecreated).desc(), RISKS.c.modelid)
    )
    return [*connection.execute(query).scalars()]


def contexts(connection: Connection) -> set[int]:
    """Ids of the contexts in which students were predicted."""
    return set(connection.execute(select(RISKS.c.contextid).distinct()).scalars())


def forget(connection: Connection, contextids: Sequence[int]) -> None:
    """Delete the risks in contexts."""
    connection.execute(delete(RISKS).where(RISKS.c.contextid.in_(contextids)))
