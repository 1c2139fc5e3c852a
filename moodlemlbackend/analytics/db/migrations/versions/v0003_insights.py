"""Indexes for pages of insights, and one mark in force a sample and range."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"

_FIRST_MARKS = """
UPDATE analytics_feedback SET inforce = 1 WHERE id IN (
    SELECT first FROM (
        SELECT MIN(id) AS first FROM analytics_feedback WHERE timereverted IS NULL
        GROUP BY modelid, sampleid, rangeindex
    ) AS marks
)
"""


def upgrade() -> None:
    """Make the indexes, and the constraint."""
    ranks, sample = ["prediction", "predictionscore", "id"], ["contextid", "sampleid", "rangeindex"]
    op.create_index("analytics_predictions_sample", "analytics_predictions", ["modelid", *sample])
    op.create_index(
        "analytics_predictions_rank_in_context", "analytics_predictions", ["contextid", *ranks, "modelid", *sample[1:]]
    )
    op.create_index("analytics_predictions_rank", "analytics_predictions", [*ranks, "modelid", *sample])
    op.create_index("analytics_predictions_rank_in_model", "analytics_predictions", ["modelid", *ranks, *sample])
    op.drop_index("analytics_predictions_model", "analytics_predictions")
    op.create_index("analytics_explanations_probability", "analytics_explanations", ["predictionid", "probability"])
    op.create_index("analytics_prediction_actions_user", "analytics_prediction_actions", ["userid", "predictionid"])
    op.add_column("analytics_feedback", sa.Column("inforce", sa.Integer(), nullable=True))
    op.execute(sa.text(_FIRST_MARKS))
    op.create_index(
        "analytics_feedback_key", "analytics_feedback", ["modelid", "sampleid", "rangeindex", "inforce"], unique=True
    )
