"""What every analysable has."""

from __future__ import annotations

from typing import Protocol

from moodlemlbackend.analytics.site.site import Site

MAX_TIME = 9_999_999_999
"""The end of time, as Moodle writes it."""


class Analysable(Protocol):
    """A thing that is analysed over the time from ``start`` to ``end`` (Unix times, 0 when not set)."""

    @property
    def site(self) -> Site:
        """The site it is of."""

    @property
    def now(self) -> int:
        """Unix time of the analysis."""

    @property
    def id(self) -> int:
        """Id in its own table: of the course or user; of the system context for the site."""

    @property
    def name(self) -> str:
        """How messages call it."""

    @property
    def context(self) -> int:
        """Id of its context."""

    @property
    def start(self) -> int:
        """When it begins."""

    @property
    def end(self) -> int:
        """When it ends."""
