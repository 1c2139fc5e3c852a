"""Where models, their predictions and the registers of what was used are kept."""

from __future__ import annotations

from moodlemlbackend.analytics.db.database import Store, open_store

__all__ = ["Store", "open_store"]
