"""Moodle's tables of analytics."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.mysql import LONGTEXT

revision = "0001"
down_revision = None

LONG = sa.Text().with_variant(LONGTEXT(), "mysql", "mariadb")
WHOLE = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "analytics_models",
        sa.Column("id", WHOLE, autoincrement=True, nullable=False),
        sa.Column("enabled", sa.Integer(), server_default="0", nullable=False),
        sa.Column("trained", sa.Integer(), server_default="0", nullable=False),
        sa.Column("name", sa.String(length=1333), nullable=True),
        sa.Column("target", sa.String(length=255), nullable=False),
        sa.Column("indicators", LONG, nullable=False, comment="JSON: ids in the order of the columns"),
        sa.Column("timesplitting", sa.String(length=255), nullable=True),
        sa.Column("predictionsprocessor", sa.String(length=255), nullable=True),
        sa.Column("version", WHOLE, nullable=False),
        sa.Column("contextids", LONG, nullable=True, comment="JSON: the contexts that the model is limited to"),
        sa.Column("timecreated", WHOLE, nullable=True),
        sa.Column("timemodified", WHOLE, nullable=False),
        sa.Column("usermodified", WHOLE, nullable=False),
        sa.PrimaryKeyConstraint("id"),
        mysql_charset="utf8mb4",
        sqlite_autoincrement=True,
    )
    op.create_index("analytics_models_enabled", "analytics_models", ["enabled", "trained"], unique=False)
    op.create_table(
        "analytics_models_log",
        sa.Column("id", WHOLE, autoincrement=True, nullable=False),
        sa.Column("modelid", WHOLE, nullable=False),
        sa.Column("version", WHOLE, nullable=False),
        sa.Column("evaluationmode", sa.String(length=50), nullable=False),
        sa.Column("target", sa.String(length=255), nullable=False),
        sa.Column("indicators", LONG, nullable=False),
        sa.Column("timesplitting", sa.String(length=255), nullable=True),
        sa.Column("score", sa.Numeric(precision=10, scale=5, asdecimal=False), server_default="0", nullable=False),
        sa.Column("info", LONG, nullable=True, comment="JSON: sentences"),
        sa.Column("dir", LONG, nullable=False),
        sa.Column("timecreated", WHOLE, nullable=False),
        sa.Column("usermodified", WHOLE, nullable=False),
        sa.PrimaryKeyConstraint("id"),
        mysql_charset="utf8mb4",
        sqlite_autoincrement=True,
    )
    op.create_index("analytics_models_log_model", "analytics_models_log", ["modelid", "timecreated"], unique=False)
    op.create_table(
        "analytics_predictions",
        sa.Column("id", WHOLE, autoincrement=True, nullable=False),
        sa.Column("modelid", WHOLE, nullable=False),
        sa.Column("contextid", WHOLE, nullable=False),
        sa.Column("sampleid", WHOLE, nullable=False),
        sa.Column("rangeindex", sa.Integer(), nullable=False),
        sa.Column("prediction", sa.Numeric(precision=10, scale=2, asdecimal=False), nullable=False),
        sa.Column("predictionscore", sa.Numeric(precision=10, scale=5, asdecimal=False), nullable=False),
        sa.Column("calculations", LONG, nullable=False, comment="JSON: value by column"),
        sa.Column("timecreated", WHOLE, nullable=False),
        sa.Column("timestart", WHOLE, nullable=True),
        sa.Column("timeend", WHOLE, nullable=True),
        sa.PrimaryKeyConstraint("id"),
        mysql_charset="utf8mb4",
        sqlite_autoincrement=True,
    )
    op.create_index("analytics_predictions_model", "analytics_predictions", ["modelid", "contextid"], unique=False)
    op.create_table(
        "analytics_train_samples",
        sa.Column("id", WHOLE, autoincrement=True, nullable=False),
        sa.Column("modelid", WHOLE, nullable=False),
        sa.Column("analysableid", WHOLE, nullable=False),
        sa.Column("timesplitting", sa.String(length=255), nullable=False),
        sa.Column("sampleids", LONG, nullable=False, comment='JSON: {"12":12}'),
        sa.Column("timecreated", WHOLE, nullable=False),
        sa.PrimaryKeyConstraint("id"),
        mysql_charset="utf8mb4",
        sqlite_autoincrement=True,
    )
    op.create_index(
        "analytics_train_samples_model", "analytics_train_samples", ["modelid", "analysableid"], unique=False
    )
    op.create_table(
        "analytics_predict_samples",
        sa.Column("id", WHOLE, autoincrement=True, nullable=False),
        sa.Column("modelid", WHOLE, nullable=False),
        sa.Column("analysableid", WHOLE, nullable=False),
        sa.Column("timesplitting", sa.String(length=255), nullable=False),
        sa.Column("rangeindex", sa.Integer(), nullable=False),
        sa.Column("sampleids", LONG, nullable=False, comment='JSON: {"12":12}'),
        sa.Column("timecreated", WHOLE, nullable=False),
        sa.Column("timemodified", WHOLE, nullable=False),
        sa.PrimaryKeyConstraint("id"),
        mysql_charset="utf8mb4",
        sqlite_autoincrement=True,
    )
    op.create_index(
        "analytics_predict_samples_model",
        "analytics_predict_samples",
        ["modelid", "analysableid", "rangeindex"],
        unique=False,
    )
    op.create_table(
        "analytics_used_files",
        sa.Column("id", WHOLE, autoincrement=True, nullable=False),
        sa.Column("modelid", WHOLE, nullable=False),
        sa.Column("fileid", WHOLE, nullable=False),
        sa.Column("action", sa.String(length=50), nullable=False),
        sa.Column("time", WHOLE, nullable=False),
        sa.PrimaryKeyConstraint("id"),
        mysql_charset="utf8mb4",
        sqlite_autoincrement=True,
    )
    op.create_index("analytics_used_files_model", "analytics_used_files", ["modelid", "action", "fileid"], unique=False)
    op.create_table(
        "analytics_used_analysables",
        sa.Column("id", WHOLE, autoincrement=True, nullable=False),
        sa.Column("modelid", WHOLE, nullable=False),
        sa.Column("action", sa.String(length=50), nullable=False),
        sa.Column("analysableid", WHOLE, nullable=False),
        sa.Column("firstanalysis", WHOLE, nullable=False),
        sa.Column("timeanalysed", WHOLE, nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("modelid", "action", "analysableid", name="analytics_used_analysables_key"),
        mysql_charset="utf8mb4",
        sqlite_autoincrement=True,
    )
    op.create_table(
        "analytics_indicator_calc",
        sa.Column("id", WHOLE, autoincrement=True, nullable=False),
        sa.Column("starttime", WHOLE, nullable=False),
        sa.Column("endtime", WHOLE, nullable=False),
        sa.Column("contextid", WHOLE, nullable=False),
        sa.Column("sampleorigin", sa.String(length=255), nullable=False),
        sa.Column("sampleid", WHOLE, nullable=False),
        sa.Column("indicator", sa.String(length=255), nullable=False),
        sa.Column("value", sa.Numeric(precision=10, scale=2, asdecimal=False), nullable=True),
        sa.Column("timecreated", WHOLE, nullable=False),
        sa.PrimaryKeyConstraint("id"),
        mysql_charset="utf8mb4",
        sqlite_autoincrement=True,
    )
    op.create_index(
        "analytics_indicator_calc_range",
        "analytics_indicator_calc",
        ["starttime", "endtime", "contextid"],
        unique=False,
    )
    op.create_table(
        "analytics_prediction_actions",
        sa.Column("id", WHOLE, autoincrement=True, nullable=False),
        sa.Column("predictionid", WHOLE, nullable=False),
        sa.Column("userid", WHOLE, nullable=False),
        sa.Column("actionname", sa.String(length=255), nullable=False),
        sa.Column("timecreated", WHOLE, nullable=False),
        sa.PrimaryKeyConstraint("id"),
        mysql_charset="utf8mb4",
        sqlite_autoincrement=True,
    )
    op.create_index(
        "analytics_prediction_actions_key",
        "analytics_prediction_actions",
        ["predictionid", "userid", "actionname"],
        unique=False,
        mysql_length={"actionname": 64},
    )
