"""What pages read from Moodle about a course, kept for some minutes, for every request of a server process.

Only facts of a course as a whole belong here: what a person may see is decided anew for each request.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from concurrent.futures import Future
from threading import Lock
from typing import TYPE_CHECKING, Any, TypeVar

from moodlemlbackend.server import limits

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

T = TypeVar("T")


class CourseCache:
    """Values by key, each for ``seconds``, of which the ``most`` that were used last are kept; for several threads."""

    def __init__(self, seconds: float = limits.COURSE_CACHE_SECONDS, most: int = limits.COURSES_CACHED) -> None:
        self._seconds, self._most = seconds, most
        self._lock = Lock()
        self._entries: OrderedDict[Hashable, tuple[float, Future[Any]]] = OrderedDict()

    def get(self, key: Hashable, make: Callable[[], T]) -> T:
        """The value of a key; made by one of the threads that ask for it at once, while the others wait."""
        now = time.monotonic()
        with self._lock:
            known = self._entries.pop(key, None)
            if known is not None and known[0] > now:
                fresh, entry = False, known
            else:
                fresh, entry = True, (now + self._seconds, Future[Any]())
            self._entries[key] = entry
            while len(self._entries) > self._most:
                self._entries.popitem(last=False)
        value = entry[1]
        if fresh:
            try:
                value.set_result(make())
            except BaseException as error:
                self.forget(key)
                value.set_exception(error)
                raise
        result: T = value.result()
        return result

    def has(self, key: Hashable) -> bool:
        """Whether the value of a key is there and need not be made."""
        with self._lock:
            known = self._entries.get(key)
        return known is not None and known[0] > time.monotonic() and known[1].done()

    def forget(self, key: Hashable) -> None:
        """Have a value made anew when it is asked for next."""
        with self._lock:
            self._entries.pop(key, None)
