"""Where a student stands with the course's teachers: whether somebody has to act, or already has."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

from moodlemlbackend.analytics.db.follow_ups import CONTACTED, MESSAGE, NOTE, REOPENED, RESOLVED, SNOOZED
from moodlemlbackend.analytics.features.targets.target import PREDICTION_MIN_SCORE
from moodlemlbackend.analytics.students.bands import Band, band_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from moodlemlbackend.analytics.db.follow_ups import FollowUp
    from moodlemlbackend.analytics.db.risks import Risk


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
    ``last`` the last thing of any kind that a teacher did; both None where nobody did anything. ``again`` says that the
    student was resolved or snoozed, and is open only because a later prediction has flagged the student again.
    """

    state: State
    until: int | None
    contact: FollowUp | None
    last: FollowUp | None
    again: bool = False


def flagged_since(risks: Sequence[Risk], minimum_score: float = PREDICTION_MIN_SCORE) -> int | None:
    """When a student at high risk was last predicted, a Unix time; None for one who is not at high risk now.

    ``risks`` are those of the student by one model, the last range last.
    """
    at_risk = bool(risks) and band_of(risks[-1], minimum_score) is Band.HIGH
    return risks[-1].created if at_risk else None


def standing_of(follow_ups: Sequence[FollowUp], now: int, flagged: int | None = None) -> Standing:
    """Where a student stands, after what was done about the student, oldest first.

    ``flagged`` is what :func:`flagged_since` says: who is flagged after having been resolved or snoozed is open again.
    """
    state, until, contact, settled = State.OPEN, None, None, 0
    for follow_up in follow_ups:
        if follow_up.kind in (MESSAGE, CONTACTED):
            contact = follow_up
        if follow_up.kind == SNOOZED:
            later = follow_up.until or 0
            state, until = (State.SNOOZED, later) if later > now else (State.OPEN, None)
        elif follow_up.kind != NOTE:
            state, until = _STATES[follow_up.kind], None
        if follow_up.kind != NOTE:
            settled = follow_up.timecreated
    last = follow_ups[-1] if follow_ups else None
    if state in (State.RESOLVED, State.SNOOZED) and flagged is not None and flagged > settled:
        return Standing(State.OPEN, None, contact, last, again=True)
    return Standing(state, until, contact, last)
