"""What alembic runs: the migrations, on the connection that opening a store gives."""

from __future__ import annotations

from alembic import context

from moodlemlbackend.analytics.db.database import VERSION_TABLE
from moodlemlbackend.analytics.db.migrations import resuming  # noqa: F401  alembic takes its classes
from moodlemlbackend.analytics.db.schema import METADATA

context.configure(
    connection=context.config.attributes["connection"], target_metadata=METADATA, version_table=VERSION_TABLE
)
with context.begin_transaction():
    context.run_migrations()
