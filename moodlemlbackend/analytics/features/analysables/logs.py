"""The logs of a course, reduced by the database.

One query a course counts its log rows by context, user, event, kind of action and *segment*: the time between two
neighbouring bounds of the ranges that are asked for. A range is a row of segments, so that every indicator over every
range follows from the same few aggregates, however long the logs are.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt

from moodlemlbackend.analytics.features.ranges import Ranges
from moodlemlbackend.analytics.site.database import Integers
from moodlemlbackend.analytics.site.logs import COURSE_LEVEL, ELSEWHERE, OTHER, READ, WRITE, course_logs
from moodlemlbackend.analytics.site.site import Site
from moodlemlbackend.errors import SiteError

__all__ = ["COURSE_LEVEL", "ELSEWHERE", "OTHER", "READ", "WRITE", "Logs", "read_logs"]

Mask = npt.NDArray[np.bool_]


class Logs:
    """Aggregated logs of one course: arrays of shape (groups,).

    ``contexts`` holds ids of activities' contexts, :data:`COURSE_LEVEL` or :data:`ELSEWHERE`; ``users`` user ids;
    ``kinds`` one of READ, WRITE, OTHER; ``anonymous`` whether the events were; ``counts`` the number of rows, at least
    1; ``first`` and ``last`` the Unix times of the earliest and latest of them. Events other than those asked for are
    not told apart.
    """

    def __init__(self, table: Integers, bounds: Sequence[int], events: Sequence[str]) -> None:
        self.contexts, self.users, self._codes, self.kinds = table[:, 0], table[:, 1], table[:, 2], table[:, 3]
        self.anonymous = table[:, 4] != 0
        self._segments, self.counts, self.first, self.last = table[:, 5], table[:, 6], table[:, 7], table[:, 8]
        self._bounds, self._known = np.array(bounds, np.int64), frozenset(bounds)
        self._event_codes = {event: code for code, event in enumerate(events, 1)}
        self.user_ids, self.user_index = np.unique(self.users, return_inverse=True)

    def __len__(self) -> int:
        return len(self.users)

    def covers(self, bounds: Iterable[int], events: Iterable[str]) -> bool:
        """Whether ranges with these bounds, and these events, can be told apart."""
        return self._known.issuperset(bounds) and self._event_codes.keys() >= set(events)

    def of_events(self, events: Iterable[str]) -> Mask:
        """Which groups are of one of these events; raises :class:`SiteError` for one that is not told apart."""
        wanted = np.zeros(len(self._event_codes) + 1, bool)
        for event in events:
            if event not in self._event_codes:
                raise SiteError(f"The event {event} was not read from the logs; list it in the indicator's events.")
            wanted[self._event_codes[event]] = True
        return wanted[self._codes]

    def distinguishes(self, event: str) -> bool:
        """Whether an event is distinguished."""
        return event in self._event_codes

    def segments(self, ranges: Ranges) -> tuple[Integers, Integers]:
        """First and last segment, both included, of each range; a bound that is not set is open."""
        first = np.where(ranges.starts != 0, np.searchsorted(self._bounds, ranges.starts) + 1, 0)
        last = np.where(ranges.ends != 0, np.searchsorted(self._bounds, ranges.ends), len(self._bounds))
        return first, last

    def within(self, ranges: Ranges) -> Mask:
        """Which groups lie in which range: (ranges, groups)."""
        first, last = self.segments(ranges)
        return (self._segments >= first[:, None]) & (self._segments <= last[:, None])

    def positions(self, users: Integers) -> Integers:
        """Position of each user in ``user_ids``, its length for one without logs."""
        at = np.searchsorted(self.user_ids, users)
        known = at < len(self.user_ids)
        known[known] = self.user_ids[at[known]] == users[known]
        return np.where(known, at, len(self.user_ids))

    def count(self, chosen: Mask, users: Integers | None, ranges: Ranges) -> Integers:
        """Log rows of the chosen groups, by range and user: (ranges, users); (ranges, 1) of everybody without users."""
        segments, people = len(self._bounds) + 1, len(self.user_ids) + 1
        totals = np.bincount(
            self._segments[chosen] * people + self.user_index[chosen], self.counts[chosen], segments * people
        ).reshape(segments, people)
        running = np.vstack([np.zeros((1, people)), np.cumsum(totals, axis=0)])
        first, last = self.segments(ranges)
        counts = running[np.maximum(last + 1, first)] - running[first]
        wanted = counts.sum(axis=1, keepdims=True) if users is None else counts[:, self.positions(users)]
        counted: Integers = wanted.astype(np.int64)
        return counted

    def earliest(self, chosen: Mask, users: Integers | None, missing: int) -> Integers:
        """Time of the first log row of the chosen groups at any time, by user: (users,), or (1,) of everybody."""
        return self._extreme(np.minimum, self.first, chosen, users, missing)

    def latest(self, chosen: Mask, users: Integers | None, missing: int = 0) -> Integers:
        """Time of the last one."""
        return self._extreme(np.maximum, self.last, chosen, users, missing)

    def _extreme(
        self, better: np.ufunc, times: Integers, chosen: Mask, users: Integers | None, missing: int
    ) -> Integers:
        if users is None:
            return better.reduce(times[chosen], initial=missing, keepdims=True)  # type: ignore[no-any-return]
        best = np.full(len(self.user_ids) + 1, missing, np.int64)
        better.at(best, self.user_index[chosen], times[chosen])
        by_user: Integers = best[self.positions(users)]
        return by_user


def read_logs(site: Site, course: int, bounds: Iterable[int], events: Iterable[str]) -> Logs:
    """Have the database reduce the logs of a course, cut at these times and with these events told apart."""
    cuts, names = sorted(set(bounds)), sorted(set(events))
    return Logs(course_logs(site, course, cuts, names), cuts, names)
