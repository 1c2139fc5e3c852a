"""How much belongs to a model, before it is deleted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import func, select

from moodlemlbackend.analytics.db.dataset_files import LABELLED
from moodlemlbackend.analytics.db.schema import (
    FEEDBACK,
    FILES,
    MODELS_LOG,
    NOTIFICATIONS,
    PREDICTION_ACTIONS,
    PREDICTIONS,
    RUNS,
)

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement, Connection, Select

OF_VERSION = ("predictions", "actions", "marks", "notifications", "rows")
"""What goes with what a model has learned; the others only with the model."""


def counts(connection: Connection, modelid: int) -> dict[str, int]:
    """The number of a model's predictions, of what people did about them, and so on.

    ``marks`` are predictions marked as not useful, from which the model learns; ``rows`` are those of training data.
    """
    predictions = select(PREDICTIONS.c.id).where(PREDICTIONS.c.modelid == modelid)
    queries = {
        "predictions": _number(PREDICTIONS.c.modelid == modelid),
        "actions": _number(PREDICTION_ACTIONS.c.predictionid.in_(predictions)),
        "marks": _number(FEEDBACK.c.modelid == modelid, FEEDBACK.c.timereverted.is_(None)),
        "notifications": _number(NOTIFICATIONS.c.modelid == modelid),
        "rows": select(func.sum(FILES.c.numrows)).where(
            FILES.c.modelid == modelid, FILES.c.area == LABELLED, FILES.c.analysableid.is_not(None)
        ),
        "evaluations": _number(MODELS_LOG.c.modelid == modelid),
        "runs": _number(RUNS.c.modelid == modelid),
    }
    row = connection.execute(select(*(query.scalar_subquery().label(name) for name, query in queries.items()))).one()
    return {name: int(number or 0) for name, number in row._asdict().items()}


def _number(*where: ColumnElement[bool]) -> Select[Any]:
    return select(func.count()).where(*where)
