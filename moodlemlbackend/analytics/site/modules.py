"""What the Community of Inquiry indicators know of each activity module: Moodle's facts, a line a module."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from moodlemlbackend.analytics.site.schema import activity_table


class ModuleFeedback(Enum):
    """What tells that a user took notice of feedback."""

    GRADED = "graded"
    """An event later than the user's first grade, for activities whose grades are read; any event for the others."""
    ANSWERED = "answered"
    """An event later than another user's first one of ``trigger``."""
    CHOICE = "choice"
    """With results shown after answering any writing; else an event after the closing time, or after the grade."""
    SURVEYED = "surveyed"
    """With published statistics any writing."""
    LESSON = "lesson"
    """As GRADED; and having submitted is one or two ends of the lesson."""


@dataclass(frozen=True)
class Module:
    """A type of activities.

    ``cognitive`` and ``social`` are its potential levels; ``close`` the column of its table with the closing time and
    ``option`` the one with the setting that ``feedback`` depends on. ``cognitive_grades`` and ``social_grades`` tell
    whether grades are read. ``viewed``, ``replied`` and ``submitted`` are names of events, without their beginning
    ``\\mod_x\\event\\``.
    """

    name: str
    cognitive: int
    social: int
    close: str = ""
    cognitive_grades: bool = False
    social_grades: bool = False
    viewed: tuple[str, ...] = ()
    replied: tuple[str, ...] = ()
    submitted: tuple[str, ...] = ()
    feedback: ModuleFeedback = ModuleFeedback.GRADED
    option: str = ""
    trigger: str = ""
    lists_events: bool = True

    def events(self, *names: str) -> tuple[str, ...]:
        """Full names of events of this module."""
        return tuple(rf"\mod_{self.name}\event\{name}" for name in names)

    def __post_init__(self) -> None:
        activity_table(self.name, *filter(None, (self.close, self.option)))


CHOICE_AFTER_ANSWERING = 1
CHOICE_WITHOUT_RESULTS = (0, 4)
"""Values of a choice's ``showresults``."""

_VIEWED = "course_module_viewed"


def _graded(name: str, cognitive: int, social: int, close: str = "", **rules: object) -> Module:
    return Module(name, cognitive, social, close, cognitive_grades=True, social_grades=True, **rules)  # type: ignore[arg-type]


MODULES: dict[str, Module] = {
    module.name: module
    for module in (
        _graded("assign", 5, 2, "duedate", viewed=("feedback_viewed",), submitted=("assessable_submitted",)),
        Module("bigbluebuttonbn", 4, 1, lists_events=False),
        Module("book", 1, 1),
        Module(
            "chat", 4, 2, viewed=(_VIEWED, "message_sent", "sessions_viewed"), replied=("message_sent",),
            feedback=ModuleFeedback.ANSWERED, trigger="message_sent",
        ),
        _graded(
            "choice", 3, 2, "timeclose", viewed=(_VIEWED, "answer_updated"), feedback=ModuleFeedback.CHOICE,
            option="showresults",
        ),
        _graded("data", 2, 1, "timeavailableto"),
        _graded("feedback", 3, 2, "timeclose", feedback=ModuleFeedback.SURVEYED, option="publish_stats"),
        Module("folder", 1, 1),
        Module(
            "forum", 4, 2, social_grades=True, viewed=("assessable_uploaded", _VIEWED, "discussion_viewed"),
            replied=("assessable_uploaded",), feedback=ModuleFeedback.ANSWERED, trigger="assessable_uploaded",
        ),
        _graded("glossary", 2, 1),
        Module("imscp", 1, 1),
        Module("label", 1, 1),
        Module(
            "lesson", 5, 2, "deadline", viewed=("lesson_ended",), submitted=("lesson_ended",),
            feedback=ModuleFeedback.LESSON,
        ),
        _graded("lti", 3, 2, viewed=(_VIEWED,)),
        Module("page", 1, 1),
        _graded("quiz", 5, 2, "timeclose", viewed=(_VIEWED,), submitted=("attempt_submitted",)),
        Module("resource", 1, 1),
        _graded("scorm", 3, 2, "timeclose", viewed=(_VIEWED,)),
        Module("survey", 2, 1),
        Module("url", 1, 1),
        _graded("wiki", 2, 1),
        _graded(
            "workshop", 5, 2, "submissionend", viewed=(_VIEWED, "submission_viewed"),
            replied=("submission_assessed", "submission_reassessed"),
            submitted=("submission_updated", "submission_created", "submission_reassessed"),
        ),
    )
}  # fmt: skip
"""By name, in Moodle's order."""
