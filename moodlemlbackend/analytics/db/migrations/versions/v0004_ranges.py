"""The range of a prediction's probability."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Add its ends; what was predicted before has none."""
    for name in ("low", "high"):
        end = sa.Column(name, sa.Numeric(precision=10, scale=5, asdecimal=False), nullable=True)
        op.add_column("analytics_explanations", end)
