"""MySQL and MariaDB, which keep every change of a schema at once: a migration that was cut short goes on where it was.

Other databases keep all of an upgrade or nothing. What a migration does besides, to rows, must come to the same when
it is done twice.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from alembic.ddl.mysql import MySQLImpl
from sqlalchemy import inspect

if TYPE_CHECKING:
    from sqlalchemy import Column, Index, Table


class ResumingMySQLImpl(MySQLImpl):
    """Leaves alone what is as the migration wants it; alembic takes this class for its own once it is defined."""

    __dialect__ = "mysql"

    def create_table(self, table: Table, **how: Any) -> None:
        """Create a table, but for one that is there."""
        if not inspect(self.connection).has_table(table.name):
            super().create_table(table, **how)

    def create_index(self, index: Index, **how: Any) -> None:
        """Create an index, but for one that is there."""
        if not self._has(index):
            super().create_index(index, **how)

    def drop_index(self, index: Index, **how: Any) -> None:
        """Drop an index that is there."""
        if self._has(index):
            super().drop_index(index, **how)

    def add_column(self, table_name: str, column: Column[Any], **how: Any) -> None:
        """Add a column, but for one that is there."""
        if column.name not in {found["name"] for found in inspect(self.connection).get_columns(table_name)}:
            super().add_column(table_name, column, **how)

    def _has(self, index: Index) -> bool:
        assert index.table is not None
        return index.name in {found["name"] for found in inspect(self.connection).get_indexes(index.table.name)}


class ResumingMariaDBImpl(ResumingMySQLImpl):
    """The same for MariaDB."""

    __dialect__ = "mariadb"
