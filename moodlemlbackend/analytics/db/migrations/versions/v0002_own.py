"""What Moodle keeps elsewhere, or not at all: files, feedback, notifications, preferences, runs."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.mysql import LONGTEXT

revision = "0002"
down_revision = "0001"

LONG = sa.Text().with_variant(LONGTEXT(), "mysql", "mariadb")
WHOLE = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "analytics_files",
        sa.Column("id", WHOLE, autoincrement=True, nullable=False),
        sa.Column("modelid", WHOLE, nullable=False),
        sa.Column("area", sa.String(length=20), nullable=False, comment="labelled, unlabelled or evaluation"),
        sa.Column("timesplitting", sa.String(length=255), nullable=False),
        sa.Column("analysableid", WHOLE, nullable=True),
        sa.Column("path", sa.String(length=255), nullable=False, comment="below the directory of the store's files"),
        sa.Column("numrows", sa.Integer(), nullable=False),
        sa.Column("mergedinto", WHOLE, nullable=True),
        sa.Column("details", LONG, nullable=True, comment="JSON: contexts and ranges of the samples"),
        sa.Column("timecreated", WHOLE, nullable=False),
        sa.PrimaryKeyConstraint("id"),
        mysql_charset="utf8mb4",
        sqlite_autoincrement=True,
    )
    op.create_index("analytics_files_model", "analytics_files", ["modelid", "area", "analysableid"], unique=False)
    op.create_table(
        "analytics_explanations",
        sa.Column("id", WHOLE, autoincrement=True, nullable=False),
        sa.Column("predictionid", WHOLE, nullable=False),
        sa.Column("probability", sa.Numeric(precision=10, scale=5, asdecimal=False), nullable=False),
        sa.Column("reasons", LONG, nullable=False, comment="JSON: indicators, the one that counts most first"),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("predictionid", name="analytics_explanations_key"),
        mysql_charset="utf8mb4",
        sqlite_autoincrement=True,
    )
    op.create_table(
        "analytics_feedback",
        sa.Column("id", WHOLE, autoincrement=True, nullable=False),
        sa.Column("modelid", WHOLE, nullable=False),
        sa.Column("predictionid", WHOLE, nullable=False),
        sa.Column("sampleid", WHOLE, nullable=False),
        sa.Column("rangeindex", sa.Integer(), nullable=False),
        sa.Column("userid", WHOLE, nullable=False),
        sa.Column("prediction", sa.Numeric(precision=10, scale=2, asdecimal=False), nullable=False),
        sa.Column("label", sa.Numeric(precision=10, scale=2, asdecimal=False), nullable=False),
        sa.Column("weight", sa.Integer(), nullable=False),
        sa.Column("calculations", LONG, nullable=False, comment="JSON: value by column"),
        sa.Column("timecreated", WHOLE, nullable=False),
        sa.Column("timetrained", WHOLE, nullable=True),
        sa.Column("timereverted", WHOLE, nullable=True),
        sa.PrimaryKeyConstraint("id"),
        mysql_charset="utf8mb4",
        sqlite_autoincrement=True,
    )
    op.create_index("analytics_feedback_model", "analytics_feedback", ["modelid", "predictionid"], unique=False)
    op.create_table(
        "analytics_notifications",
        sa.Column("id", WHOLE, autoincrement=True, nullable=False),
        sa.Column("modelid", WHOLE, nullable=False),
        sa.Column("predictionid", WHOLE, nullable=True),
        sa.Column("contextid", WHOLE, nullable=False),
        sa.Column("useridto", WHOLE, nullable=False),
        sa.Column("courseid", WHOLE, nullable=False),
        sa.Column("subject", LONG, nullable=False),
        sa.Column("fullmessage", LONG, nullable=False),
        sa.Column("fullmessagehtml", LONG, nullable=False),
        sa.Column("contexturl", LONG, nullable=False),
        sa.Column("data", LONG, nullable=False, comment="JSON: what a webhook is told"),
        sa.Column("timecreated", WHOLE, nullable=False),
        sa.Column("timeread", WHOLE, nullable=True),
        sa.PrimaryKeyConstraint("id"),
        mysql_charset="utf8mb4",
        sqlite_autoincrement=True,
    )
    op.create_index("analytics_notifications_model", "analytics_notifications", ["modelid"], unique=False)
    op.create_index("analytics_notifications_user", "analytics_notifications", ["useridto", "timeread"], unique=False)
    op.create_table(
        "analytics_deliveries",
        sa.Column("id", WHOLE, autoincrement=True, nullable=False),
        sa.Column("notificationid", WHOLE, nullable=False),
        sa.Column("channel", sa.String(length=20), nullable=False),
        sa.Column("address", LONG, nullable=False),
        sa.Column("attempts", sa.Integer(), server_default="0", nullable=False),
        sa.Column("timenext", WHOLE, nullable=False),
        sa.Column("timesent", WHOLE, nullable=True),
        sa.Column("error", LONG, nullable=True),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("notificationid", "channel", name="analytics_deliveries_key"),
        mysql_charset="utf8mb4",
        sqlite_autoincrement=True,
    )
    op.create_index("analytics_deliveries_due", "analytics_deliveries", ["timesent", "timenext"], unique=False)
    op.create_table(
        "analytics_preferences",
        sa.Column("id", WHOLE, autoincrement=True, nullable=False),
        sa.Column("userid", WHOLE, nullable=False),
        sa.Column("channel", sa.String(length=20), nullable=False),
        sa.Column("enabled", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("userid", "channel", name="analytics_preferences_key"),
        mysql_charset="utf8mb4",
        sqlite_autoincrement=True,
    )
    op.create_table(
        "analytics_runs",
        sa.Column("id", WHOLE, autoincrement=True, nullable=False),
        sa.Column("task", sa.String(length=20), nullable=False),
        sa.Column("modelid", WHOLE, nullable=True),
        sa.Column("status", sa.Integer(), nullable=True),
        sa.Column("summary", LONG, nullable=True, comment="JSON"),
        sa.Column("timestarted", WHOLE, nullable=False),
        sa.Column("timefinished", WHOLE, nullable=True),
        sa.PrimaryKeyConstraint("id"),
        mysql_charset="utf8mb4",
        sqlite_autoincrement=True,
    )
    op.create_index("analytics_runs_model", "analytics_runs", ["modelid", "timestarted"], unique=False)
    op.create_table(
        "analytics_facts",
        sa.Column("name", sa.String(length=100), nullable=False),
        sa.Column("value", LONG, nullable=False, comment="JSON"),
        sa.PrimaryKeyConstraint("name"),
        mysql_charset="utf8mb4",
    )
