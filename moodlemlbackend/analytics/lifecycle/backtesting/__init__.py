"""The past of a site, as if a model had run: what it would have learned, whom it would have warned, and who left."""

from __future__ import annotations
