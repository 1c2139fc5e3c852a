"""Events of the calendar that ask for an action."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from moodlemlbackend.analytics.site.site import Site

WITHOUT_USER = "bigbluebuttonbn"
"""The module whose events are nobody's in particular."""


class CalendarEvent(NamedTuple):
    """Something to do, by the calendar; ``time`` is a Unix time, ``course`` 0 for a user's own events."""

    course: int
    group: int
    user: int
    module: str
    instance: int
    kind: str
    time: int
    name: str

    @property
    def work(self) -> tuple[str, int, str]:
        """What is to be done; Moodle has an event for everybody, and others for groups and users with other dates."""
        return self.module, self.instance, self.kind

    @property
    def precedence(self) -> tuple[bool, bool, int]:
        """How it compares with other events of the same work: a user's own, a group's latest, everybody's."""
        return not self.course, bool(self.group), self.time if self.group else 0


def action_events(site: Site, users: Sequence[int], courses: Sequence[int]) -> list[CalendarEvent]:
    """Visible events that ask for an action: those of the courses, and the users' own that are of no course."""
    rows = site.database.rows(
        "SELECT courseid, groupid, userid, modulename, instance, eventtype, timesort, name FROM {event} "
        "WHERE type = 1 AND visible = 1 AND modulename <> '' AND modulename <> :without AND timesort IS NOT NULL "
        "AND (courseid IN :courses OR (courseid = 0 AND userid IN :users))",
        without=WITHOUT_USER,
        courses=courses,
        users=users,
    )
    return [CalendarEvent(*row)._replace(name=str(row[-1] or "")) for row in rows]
