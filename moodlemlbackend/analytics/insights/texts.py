"""Every English text that people are told about models and insights, in one place for translation.

:func:`say` gives a text by its name; a text for one target is found by the target's id after the name.
"""

from __future__ import annotations

from moodlemlbackend.language.texts import Texts

_COURSE = "\\core_course\\analytics\\target\\"
_USER = "\\core_user\\analytics\\target\\"

ENGLISH = {
    # What a class of a target means.
    f"class 0 {_COURSE}course_dropout": "not likely to drop out",
    f"class 1 {_COURSE}course_dropout": "at risk of dropping out",
    f"class 0 {_COURSE}course_completion": "likely to complete the course",
    f"class 1 {_COURSE}course_completion": "at risk of not completing the course",
    f"class 0 {_COURSE}course_competencies": "likely to achieve the course's competencies",
    f"class 1 {_COURSE}course_competencies": "at risk of not achieving the course's competencies",
    f"class 0 {_COURSE}course_gradetopass": "likely to reach the grade to pass",
    f"class 1 {_COURSE}course_gradetopass": "at risk of not reaching the grade to pass",
    f"class 0 {_COURSE}no_recent_accesses": "has visited the course recently",
    f"class 1 {_COURSE}no_recent_accesses": "has not visited the course recently",
    f"class 0 {_COURSE}no_access_since_course_start": "has visited the course",
    f"class 1 {_COURSE}no_access_since_course_start": "has not visited the course yet",
    f"class 0 {_COURSE}no_teaching": "has teachers and students",
    f"class 1 {_COURSE}no_teaching": "has no teacher or no students",
    f"class 0 {_USER}upcoming_activities_due": "nothing is due soon",
    f"class 1 {_USER}upcoming_activities_due": "activities are due soon",
    "class": "class {label}",
    # Subjects and first sentences of notifications.
    "subject": "Insights for {context}",
    "body": "There are new insights for {context}.",
    f"subject {_COURSE}course_dropout": "Students at risk in {context}",
    f"body {_COURSE}course_dropout": "Some students in {context} are at risk of dropping out.",
    f"subject {_COURSE}course_completion": "Students at risk in {context}",
    f"body {_COURSE}course_completion": "Some students in {context} are at risk of not completing the course.",
    f"subject {_COURSE}course_competencies": "Students at risk in {context}",
    f"body {_COURSE}course_competencies": (
        "Some students in {context} are at risk of not achieving the competencies of the course."
    ),
    f"subject {_COURSE}course_gradetopass": "Students at risk in {context}",
    f"body {_COURSE}course_gradetopass": "Some students in {context} are at risk of not reaching the grade to pass.",
    f"subject {_COURSE}no_recent_accesses": "Students not seen recently in {context}",
    f"body {_COURSE}no_recent_accesses": "Some students have not visited {context} recently.",
    f"subject {_COURSE}no_access_since_course_start": "Students not yet seen in {context}",
    f"body {_COURSE}no_access_since_course_start": "Some students have not visited {context} since it began.",
    f"subject {_COURSE}no_teaching": "Courses about to begin without teachers or students",
    f"body {_COURSE}no_teaching": "Some courses that begin soon have no teacher or no students.",
    f"subject {_USER}upcoming_activities_due": "You have activities due soon",
    f"body {_USER}upcoming_activities_due": "You have activities due soon.",
    "greeting": "Hello {name},",
    "more": "and {count} more",
    "with reasons": "{prediction}. {reasons}.",
    "view": "See all insights",
    "view course": "Open the course in Moodle",
    # Actions.
    "action predictiondetails": "Details",
    "action viewoutlinereport": "Outline report",
    "action viewcourse": "Course",
    "action viewparticipants": "Participants",
    "action viewupcoming": "Calendar",
    "action studentmessage": "Send a message",
    "action useful": "Useful",
    "action notuseful": "Not useful",
    "action fixed": "Acknowledge",
    "action notapplicable": "Not applicable",
    "action incorrectlyflagged": "Not useful",
    # What a model's log says of them.
    "feedback trained": "Learned from {count} predictions marked as not useful, each counted as {weights} samples.",
    # What is deleted with a model, or with what it has learned.
    "loss": "This deletes {losses}.",
    "loss and": "{first} and {last}",
    "loss model": "the model “{name}”",
    "loss predictions": "{count} predictions",
    "loss predictions one": "1 prediction",
    "loss actions": "{count} actions taken on them",
    "loss actions one": "1 action taken on them",
    "loss marks": "{count} “not useful” marks",
    "loss marks one": "1 “not useful” mark",
    "loss notifications": "{count} notifications",
    "loss notifications one": "1 notification",
    "loss rows": "{count} rows of training data",
    "loss rows one": "1 row of training data",
    "loss evaluations": "{count} evaluations",
    "loss evaluations one": "1 evaluation",
    "loss runs": "{count} logged runs",
    "loss runs one": "1 logged run",
    "loss trained": "the trained model",
    # Why no one is notified about a course.
    "withheld": (
        "No one was notified about {course}: {flagged} of {predicted} students are flagged, probably because {reason}. "
        "Set notify_when_most_flagged to notify teachers anyway."
    ),
    "because of interval": "the model looks at whole courses ({interval}), and this one has not ended",
    "because of indicators": (
        "its indicators are mostly empty: {number} of them differ from student to student, compared with {usual} "
        "in most courses the model learned from"
    ),
    "because of all indicators": "its indicators are empty: all of its students have the same values",
    "because of its size": (
        "it is unlike the courses the model learned from: it has {number} students, while those courses had {least} to "
        "{most}"
    ),
    "because of values": (
        "it is unlike the courses the model learned from: most of its students have values that did not occur in those "
        "courses ({indicators})"
    ),
    "because of its kind": (
        "it is unlike the courses the model learned from, although neither its dates nor its indicators look wrong"
    ),
    "message subject": "{course}",
    "message greeting": "Hello {name},",
    "site": "the site",
    "unknown": "(deleted)",
}


_TEXTS = Texts(ENGLISH)

say, known = _TEXTS.say, _TEXTS.known


def class_label(target: str, label: float) -> str:
    """What a class of a target means, as people say it of a sample."""
    number = int(label) if float(label).is_integer() else label
    return say(f"class {number}", target) if known(f"class {number} {target}") else say("class", label=number)
