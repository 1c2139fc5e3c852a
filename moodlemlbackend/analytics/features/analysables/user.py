"""A user as an analysable."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

from moodlemlbackend.analytics.features.analysables.analysable import MAX_TIME
from moodlemlbackend.analytics.site.site import Site
from moodlemlbackend.analytics.site.users import UserRow

Fact = TypeVar("Fact")

UserReader = Callable[[Site, Sequence[int], int], dict[int, Fact]]
"""Takes the site, ids of users and the time of the analysis, and returns a value by user id."""


class User:
    """``\\core_analytics\\user``: from the creation of the account to the end of time."""

    end = MAX_TIME

    def __init__(self, row: UserRow, batch: Users) -> None:
        self.id, self.start, self.context = row.id, row.created, row.context
        self.name = f"{row.firstname} {row.lastname}"
        self.site, self.now = batch.site, batch.now
        self._batch = batch

    def fact(self, reader: UserReader[Fact], default: Fact) -> Fact:
        """What a reader finds for this user; it is called once a batch."""
        return self._batch.fact(reader).get(self.id, default)


class Users:
    """A batch of users whose facts are read together at the Unix time ``now``."""

    def __init__(self, site: Site, rows: Sequence[UserRow], now: int) -> None:
        self.site, self.now = site, now
        self._users = [User(row, self) for row in rows]
        self._facts: dict[Any, dict[int, Any]] = {}

    def __iter__(self) -> Iterator[User]:
        return iter(self._users)

    def __len__(self) -> int:
        return len(self._users)

    def fact(self, reader: UserReader[Fact]) -> dict[int, Fact]:
        """What a reader finds, by user id."""
        if reader not in self._facts:
            self._facts[reader] = reader(self.site, [user.id for user in self._users], self.now)
        return self._facts[reader]
