"""Where models, their predictions and the registers of what was used are kept.

Only this package and :mod:`moodlemlbackend.analytics.site` speak SQL. Each module is a repository: its functions take
the connection of a transaction, and give and take typed rows.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from moodlemlbackend.analytics.db.database import Store, join_store, open_store

if TYPE_CHECKING:
    from sqlalchemy import Connection as Connection

__all__ = ["Store", "join_store", "open_store"]
