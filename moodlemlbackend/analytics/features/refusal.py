"""Why something is not analysed, and what to do about it."""

from __future__ import annotations

from typing import NamedTuple

from moodlemlbackend.language import translate


class Refusal(NamedTuple):
    """Why something is not analysed: the identifier of Moodle's message, its component, and a sentence.

    ``advice`` says what to do about it; it is empty where nobody can do anything.
    """

    identifier: str
    component: str
    text: str
    advice: str = ""

    @property
    def sentence(self) -> str:
        """The text in the reader's language."""
        return translate(f"refusal {self.identifier}", self.text)

    @property
    def what_to_do(self) -> str:
        """The advice in the reader's language."""
        return translate(f"advice {self.identifier}", self.advice) if self.advice else ""


NOT_YET_STARTED = Refusal(
    "coursenotyetstarted", "course", "The course has not started yet.",
    "Nothing to do until the course starts. If it has started, correct its start date.",
)  # fmt: skip
HIDDEN = Refusal(
    "hiddenfromstudents", "moodle", "The course is hidden from its students.",
    "Show the course if you want predictions for its students.",
)  # fmt: skip
NO_STUDENTS = Refusal(
    "nocoursestudents", "course", "The course has no students.",
    "Enrol the students in the course with a role whose archetype is student.",
)  # fmt: skip
NO_SECTIONS = Refusal(
    "nocoursesections", "course", "The course format has no sections.",
    "Choose a course format with sections, such as topics or weeks.",
)  # fmt: skip
NO_END = Refusal(
    "nocourseendtime", "course", "The course has no end date.",
    "Set an end date in the course settings.",
)  # fmt: skip
END_BEFORE_START = Refusal(
    "errorendbeforestart", "course", "The course ends before it starts.",
    "Correct the dates in the course settings.",
)  # fmt: skip
TOO_LONG = Refusal(
    "coursetoolong", "course", "The course is longer than a year and four weeks.",
    "Correct its dates. A course that never ends can't be compared with others.",
)  # fmt: skip
FINISHED = Refusal(
    "coursealreadyfinished", "course", "The course is over.",
    "Nothing to do: models can learn from it. If it is still going on, correct its end date.",
)  # fmt: skip
NOT_YET_FINISHED = Refusal(
    "coursenotyetfinished", "course", "The course is not over yet.",
    "Nothing to do: models can learn from it once it is over.",
)  # fmt: skip
NO_ACTIVITY = Refusal(
    "nocourseactivity", "course", "Students did too little between the start and the end of the course.",
    "Check that its dates are right and that Moodle's log goes back that far.",
)  # fmt: skip
NO_COMPLETION = Refusal(
    "completionnotenabledforcourse", "completion",
    "The course doesn't track completion, or has no completion conditions.",
    "Turn on completion tracking for the site and the course, and set completion conditions.",
)  # fmt: skip
NO_COMPETENCIES = Refusal(
    "nocompetenciesincourse", "tool_lp", "No competencies are linked to the course.",
    "Turn on competencies for the site and link some to the course.",
)  # fmt: skip
NO_GRADE_TO_PASS = Refusal(
    "gradetopassnotset", "course", "The course has no grade to pass.",
    "Set a grade to pass for the course total in the gradebook.",
)  # fmt: skip
NOT_MEASURED = Refusal(
    "nomeasuredactivities", "analytics",
    "The course has no activities that can be measured, such as forums, assignments or quizzes.",
    "Add one of Moodle's own activities in which students take part.",
)  # fmt: skip


def decisive(training: Refusal | None, prediction: Refusal) -> Refusal:
    """The reason to deal with first: the one that keeps a course from being learned from, unless only time does."""
    return prediction if training in (None, NOT_YET_FINISHED) else training
