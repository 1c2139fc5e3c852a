"""Where a student stands with the course's teachers: whether somebody has to act, or already has."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

from moodlemlbackend.analytics.db.follow_ups import CONTACTED, MESSAGE, NOTE, REOPENED, RESOLVED, SNOOZED

if TYPE_CHECKING:
    from collections.abc import Sequence

    from moodlemlbackend.analytics.db.follow_ups import FollowUp


class State(Enum):
    """What has been done about a student."""

    OPEN = "open"
    """Nothing, or a snooze is over."""
    WAITING = "waiting"
    """Contacted; the next move is the student's."""
    SNOOZED = "snoozed"
    RESOLVED = "resolved"


_STATES = {MESSAGE: State.WAITING, CONTACTED: State.WAITING, RESOLVED: State.RESOLVED, REOPENED: State.OPEN}


@dataclass(frozen=True)
class Standing:
    """Where a student stands.

    ``until`` is when a snooze ends (a Unix time), None without one; ``contact`` the last message or contact, and
    ``last`` the last thing of any kind that a teacher did; both None where nobody did anything.
    """

    state: State
    until: int | None
    contact: FollowUp | None
    last: FollowUp | None


def standing_of(follow_ups: Sequence[FollowUp], now: int) -> Standing:
    """Where a student stands, after what was done about the student, oldest first."""
    state, until, contact = State.OPEN, None, None
    for follow_up in follow_ups:
        if follow_up.kind in (MESSAGE, CONTACTED):
            contact = follow_up
        if follow_up.kind == SNOOZED:
            later = follow_up.until or 0
            state, until = (State.SNOOZED, later) if later > now else (State.OPEN, None)
        elif follow_up.kind != NOTE:
            state, until = _STATES[follow_up.kind], None
    return Standing(state, until, contact, follow_ups[-1] if follow_ups else None)
