"""What teachers see, do and get: every student's risk, follow-ups, templates, personal choices, gathered e-mails."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "0006"
down_revision = "0005"

_WHOLE = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_LONG = sa.Text().with_variant(mysql.LONGTEXT(), "mysql", "mariadb")


def upgrade() -> None:
    """Make the tables; of what was predicted before, only the flagged students' risk is known, and is not copied."""
    _table(
        "analytics_risks",
        *(_whole(name) for name in ("modelid", "contextid", "sampleid")),
        sa.Column("rangeindex", sa.Integer(), nullable=False),
        sa.Column("probability", sa.Double(), nullable=False),
        sa.Column("low", sa.Double(), nullable=True),
        sa.Column("high", sa.Double(), nullable=True),
        sa.Column("threshold", sa.Double(), nullable=False),
        *(_whole(name) for name in ("timestart", "timeend", "timecreated")),
    )
    op.create_index("analytics_risks_context", "analytics_risks", ["contextid", "modelid", "sampleid", "rangeindex"])
    op.create_index("analytics_risks_model", "analytics_risks", ["modelid"])
    _table(
        "analytics_follow_ups",
        *(_whole(name) for name in ("courseid", "studentid", "userid")),
        sa.Column(
            "kind", sa.String(20), nullable=False, comment="message, note, contacted, resolved, snoozed or reopened"
        ),
        sa.Column("text", _LONG, nullable=True),
        _whole("until", null=True),
        _whole("predictionid", null=True),
        sa.Column("probability", sa.Double(), nullable=True),
        sa.Column(
            "batch", sa.String(32), nullable=False, comment="the same for what was done at once, to be undone at once"
        ),
        _whole("timecreated"),
        _whole("timeundone", null=True),
    )
    op.create_index("analytics_follow_ups_course", "analytics_follow_ups", ["courseid", "studentid"])
    op.create_index("analytics_follow_ups_batch", "analytics_follow_ups", ["batch"])
    _table(
        "analytics_messages",
        _whole("followupid"),
        sa.Column("channel", sa.String(20), nullable=False, comment="moodle or email"),
        sa.Column("address", _LONG, nullable=False, comment="of an e-mail; empty once nothing is to be sent any more"),
        sa.Column("replyto", _LONG, nullable=False),
        sa.Column("subject", _LONG, nullable=False),
        sa.Column("text", _LONG, nullable=False, comment="as sent; empty once nothing is to be sent any more"),
        sa.Column("attempts", sa.Integer(), nullable=False, server_default="0"),
        _whole("timenext"),
        _whole("timebegun", null=True),
        _whole("timesent", null=True),
        sa.Column("error", _LONG, nullable=True),
        sa.UniqueConstraint("followupid", name="analytics_messages_key"),
    )
    op.create_index("analytics_messages_due", "analytics_messages", ["timesent", "timenext"])
    _table(
        "analytics_templates",
        _whole("courseid", null=True),
        _whole("userid", null=True),
        sa.Column("name", sa.String(255), nullable=False),
        sa.Column("subject", _LONG, nullable=False),
        sa.Column("text", _LONG, nullable=False),
        _whole("timemodified"),
        _whole("usermodified"),
    )
    op.create_index("analytics_templates_place", "analytics_templates", ["courseid", "userid"])
    _table(
        "analytics_choices",
        _whole("userid"),
        sa.Column("name", sa.String(100), nullable=False),
        sa.Column("value", _LONG, nullable=False),
        sa.UniqueConstraint("userid", "name", name="analytics_choices_key"),
    )
    for name in ("mailid", "timemailed"):
        op.add_column("analytics_deliveries", _whole(name, null=True))


def _table(name: str, *columns: sa.Column[object] | sa.UniqueConstraint) -> None:
    key: sa.Column[object] = sa.Column("id", _WHOLE, primary_key=True, autoincrement=True)
    op.create_table(name, key, *columns, mysql_charset="utf8mb4", sqlite_autoincrement=True)


def _whole(name: str, *, null: bool = False) -> sa.Column[object]:
    return sa.Column(name, _WHOLE, nullable=null)
