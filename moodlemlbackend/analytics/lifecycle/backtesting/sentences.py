"""What a backtest says in one sentence."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from moodlemlbackend.analytics.features.definitions import last_part

if TYPE_CHECKING:
    from collections.abc import Mapping

    from moodlemlbackend.analytics.features.targets import Target


def sentence(target: Target, interval: str, figures: Mapping[str, Any]) -> str:
    """How often a teacher would have been warned, how often rightly, and whether in time."""
    load = figures["load"]
    begin = (
        f"If this model had run with {last_part(interval)} from {_day(figures['first'])} to {_day(figures['last'])}, "
    )
    if load["teachers"]:
        verb = f"{load['teachers']} teachers would have had {load['warnings_a_teacher_and_week']:.1f} warnings a week"
    else:
        verb = f"there would have been {figures['warnings']} warnings"
    if not figures["warnings"]:
        return f"{begin}nobody would have been flagged, and {figures['left']} students {_left(target)}."
    parts = [f"{begin}{verb}"]
    if figures["precision"] is not None:
        parts.append(f"{100 * figures['precision']:.0f} of 100 were right")
    if figures["in_time"] is None:
        return f"{'; '.join(parts)}; none of the students {_left(target)}."
    timely = (
        f"{100 * figures['in_time']:.0f} of 100 students who {_left(target)} were flagged while they were still active"
    )
    if figures["days_median"] is not None:
        timely += f", {_days(figures['days_median'])} before their last visit"
    return f"{'; '.join(parts)}, and {timely}."


def _left(target: Target) -> str:
    """What the students did of whom the target warns."""
    return {
        "course_dropout": "left",
        "course_completion": "did not complete the course",
        "course_gradetopass": "did not pass",
        "course_competencies": "did not achieve the competencies",
    }.get(last_part(target.id), "had that outcome")


def _days(number: float) -> str:
    return f"{number:.0f} {'day' if round(number) == 1 else 'days'}"


def _day(seconds: int) -> str:
    day = time.gmtime(seconds)
    return f"{day.tm_mday} {time.strftime('%B %Y', day)}"
