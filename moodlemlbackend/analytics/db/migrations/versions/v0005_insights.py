"""Of each sample the prediction in the last range stands in a table of its own, which lists and pages read."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"

_WHOLE = sa.BigInteger().with_variant(sa.Integer(), "sqlite")

_FILL = """
INSERT INTO analytics_insights
    (predictionid, modelid, contextid, sampleid, rangeindex, prediction, predictionscore, probability)
SELECT p.id, p.modelid, p.contextid, p.sampleid, p.rangeindex, p.prediction, p.predictionscore, e.probability
FROM analytics_predictions p LEFT JOIN analytics_explanations e ON e.predictionid = p.id
WHERE NOT EXISTS (
    SELECT 1 FROM analytics_predictions n
    WHERE n.modelid = p.modelid AND n.contextid = p.contextid AND n.sampleid = p.sampleid
        AND (n.rangeindex > p.rangeindex OR n.rangeindex = p.rangeindex AND n.id > p.id)
)
"""


def upgrade() -> None:
    """Make the table, fill it, and drop the indexes that lists needed before."""
    whole = [sa.Column(name, _WHOLE, nullable=False) for name in ("modelid", "contextid", "sampleid")]
    op.create_table(
        "analytics_insights",
        sa.Column("predictionid", _WHOLE, autoincrement=False, nullable=False),
        *whole,
        sa.Column("rangeindex", sa.Integer(), nullable=False),
        sa.Column("prediction", sa.Double(), nullable=False),
        sa.Column("predictionscore", sa.Double(), nullable=False),
        sa.Column("probability", sa.Double(), nullable=True),
        sa.PrimaryKeyConstraint("predictionid"),
        sa.UniqueConstraint("modelid", "contextid", "sampleid", name="analytics_insights_key"),
        mysql_charset="utf8mb4",
    )
    op.execute(sa.text("DELETE FROM analytics_insights"))  # of an upgrade that was cut short
    op.execute(sa.text(_FILL))
    rank = ["prediction", "predictionscore", "predictionid"]
    op.create_index("analytics_insights_rank", "analytics_insights", [*rank, "modelid", "contextid", "sampleid"])
    op.create_index(
        "analytics_insights_rank_in_context", "analytics_insights", ["contextid", *rank, "modelid", "sampleid"]
    )
    of_model = ["contextid", "modelid", *rank, "sampleid", "probability"]
    op.create_index("analytics_insights_rank_of_model", "analytics_insights", of_model)
    op.create_index("analytics_predictions_model", "analytics_predictions", ["modelid", "contextid", "timecreated"])
    op.create_index("analytics_predictions_context", "analytics_predictions", ["contextid"])
    for name in ("sample", "rank_in_context", "rank", "rank_in_model"):
        op.drop_index(f"analytics_predictions_{name}", "analytics_predictions")
    op.drop_index("analytics_explanations_probability", "analytics_explanations")
