"""Samples: the rows of a data set before anything is calculated."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

import numpy as np
import numpy.typing as npt

from moodlemlbackend.analytics.features.ranges import read_only
from moodlemlbackend.analytics.site.database import Integers

if TYPE_CHECKING:
    from moodlemlbackend.analytics.features.analysables import Analysable, Course, User
    from moodlemlbackend.analytics.features.analysables.facts import Enrolments
    from moodlemlbackend.analytics.features.analysables.user import UserReader

Fact = TypeVar("Fact")


@dataclass(frozen=True, eq=False)
class AnalysableSamples:
    """Samples of one analysable; arrays of shape (samples,).

    ``origin`` is the table their ``ids`` are of; ``contexts`` are those in which a prediction about each is shown.
    ``users`` are user ids, None when samples are no persons. ``courses`` are the courses they belong to and
    ``course_index`` the position of each sample's; without courses both are empty. ``user_facts`` are the users
    themselves when they are what is analysed.
    """

    analysable: Analysable
    origin: str
    ids: Integers
    contexts: Integers
    users: Integers | None = None
    courses: Sequence[Course] = ()
    course_index: Integers | None = None
    enrolments: Enrolments | None = None
    user_facts: Sequence[User] = ()

    def __post_init__(self) -> None:
        for name in ("ids", "contexts", "users", "course_index"):
            if (array := getattr(self, name)) is not None:
                object.__setattr__(self, name, read_only(array))

    def __len__(self) -> int:
        return len(self.ids)

    def take(self, chosen: npt.NDArray[np.bool_] | Integers) -> AnalysableSamples:
        """The samples at these positions."""
        where: Integers = np.flatnonzero(chosen) if chosen.dtype == bool else chosen.astype(np.int64)
        return AnalysableSamples(
            self.analysable,
            self.origin,
            self.ids[where],
            self.contexts[where],
            None if self.users is None else self.users[where],
            self.courses,
            None if self.course_index is None else self.course_index[where],
            None if self.enrolments is None else self.enrolments.take(where),
            [self.user_facts[at] for at in where] if self.user_facts else (),
        )

    def user_values(self, reader: UserReader[Fact], default: Fact) -> list[Fact]:
        """What a reader finds for the user of each sample; it is called once for all of them, or more."""
        if self.user_facts:
            return [user.fact(reader, default) for user in self.user_facts]
        assert self.users is not None
        by_user = reader(self.analysable.site, np.unique(self.users).tolist(), self.analysable.now)
        return [by_user.get(user, default) for user in self.users.tolist()]

    def by_course(self) -> Iterator[tuple[Course, Integers]]:
        """Each course with the positions of its samples."""
        if self.course_index is None:
            return
        for at, course in enumerate(self.courses):
            where = np.flatnonzero(self.course_index == at)
            if len(where):
                yield course, where
