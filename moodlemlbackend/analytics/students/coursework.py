"""What a student has handed in of what was due, and what is still to come."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from moodlemlbackend.analytics.site.coursework import CourseWork, Grade

SOON_SECONDS = 7 * 86_400
"""How long before its date work is due soon."""

Key = tuple[str, int]
"""Type and instance of an activity."""


class WorkState(Enum):
    """How far a student is with something to hand in."""

    MISSING = "missing"
    DUE_SOON = "due soon"
    LATE = "late"
    """Handed in, after it was due."""
    HANDED_IN = "handed in"


@dataclass(frozen=True)
class StudentWork:
    """Something that a student had to hand in, or has to soon.

    ``due`` is the student's own date and ``handed_in`` when the student did, both Unix times; ``handed_in`` is 0 when
    that is not known, and None when nothing was. ``grade`` is None without one, and for readers who may not see it.
    """

    work: CourseWork
    due: int
    state: WorkState
    handed_in: int | None
    grade: Grade | None


class Figures(NamedTuple):
    """How much was due, how much of it was handed in, in time or late, and is missing; and how much is due soon."""

    due: int
    handed_in: int
    missing: int
    soon: int


def work_of(
    work: Sequence[CourseWork],
    own_dates: Mapping[Key, int],
    handed_in: Mapping[Key, int],
    grades: Sequence[Grade],
    now: int,
) -> list[StudentWork]:
    """What was due until now or is due soon, by date.

    Work for some people only counts where the student has handed it in, for nobody knows here whom it is for. What has
    a grade is not missing, wherever it was handed in.
    """
    by_key = {(grade.module, grade.instance): grade for grade in grades if grade.module}
    listed = []
    for one in work:
        due, time, grade = own_dates.get(one.key, one.due), handed_in.get(one.key), by_key.get(one.key)
        if not 0 < due <= now + SOON_SECONDS or (one.restricted and time is None and grade is None):
            continue
        listed.append(StudentWork(one, due, _state(due, time, grade, now), time, grade))
    return sorted(listed, key=lambda one: (one.due, one.work.cmid))


def figures(listed: Sequence[StudentWork]) -> Figures:
    """Count the work of a student."""
    states = [one.state for one in listed]
    missing, soon = states.count(WorkState.MISSING), states.count(WorkState.DUE_SOON)
    return Figures(len(states) - soon, len(states) - soon - missing, missing, soon)


def _state(due: int, time: int | None, grade: Grade | None, now: int) -> WorkState:
    if time is not None:
        return WorkState.LATE if time > due else WorkState.HANDED_IN
    if grade is not None:
        return WorkState.HANDED_IN
    return WorkState.DUE_SOON if due > now else WorkState.MISSING
