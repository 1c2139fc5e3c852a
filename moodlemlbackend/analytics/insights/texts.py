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
    f"class 1 {_COURSE}no_teaching": "has no teacher or no student",
    f"class 0 {_USER}upcoming_activities_due": "nothing is due soon",
    f"class 1 {_USER}upcoming_activities_due": "activities are due soon",
    "class": "class {label}",
    # Subjects and first sentences of notifications.
    "subject": "Insights for {context}",
    "body": "there are new insights for {context}.",
    f"subject {_COURSE}course_dropout": "Students at risk in {context}",
    f"body {_COURSE}course_dropout": "some students of {context} are at risk of dropping out.",
    f"subject {_COURSE}course_completion": "Students at risk in {context}",
    f"body {_COURSE}course_completion": "some students of {context} are at risk of not completing it.",
    f"subject {_COURSE}course_competencies": "Students at risk in {context}",
    f"body {_COURSE}course_competencies": "some students of {context} are at risk of not achieving its competencies.",
    f"subject {_COURSE}course_gradetopass": "Students at risk in {context}",
    f"body {_COURSE}course_gradetopass": "some students of {context} are at risk of not reaching the grade to pass.",
    f"subject {_COURSE}no_recent_accesses": "Students at risk in {context}",
    f"body {_COURSE}no_recent_accesses": "some students have not visited {context} recently.",
    f"subject {_COURSE}no_access_since_course_start": "Students at risk in {context}",
    f"body {_COURSE}no_access_since_course_start": "some students have not visited {context} since it began.",
    f"subject {_COURSE}no_teaching": "Courses about to begin without teaching",
    f"body {_COURSE}no_teaching": "some courses that begin about now have no teacher or no student.",
    f"subject {_USER}upcoming_activities_due": "You have activities due soon",
    f"body {_USER}upcoming_activities_due": "you have activities that are due soon.",
    "greeting": "Hello {name},",
    "more": "and {count} more",
    "because": "above all because of: {reasons}",
    "view": "See all of them",
    "view course": "Open the course in Moodle",
    "reason": "{label}: {value}",
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
    "feedback trained": "{count} predictions marked as not useful were trained with, each as {weights} samples.",
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
        "No one is notified about {course}, where {flagged} of {predicted} students are flagged, probably because "
        "{reason} (the setting notify_when_most_flagged lifts this)."
    ),
    "because of interval": "the model looks at whole courses ({interval}), and this one has not ended",
    "because of indicators": (
        "its indicators are mostly empty: {found} of them differ between its students, {usual} do in most courses that "
        "the model learned from"
    ),
    "because of all indicators": "its indicators are empty: none of them differs between its students",
    "because of its size": (
        "it is another kind of course than those that the model learned from: it has {number} students, they have "
        "{least} to {most}"
    ),
    "because of values": (
        "it is another kind of course than those that the model learned from: values such as those of most of its "
        "students did not occur there ({indicators})"
    ),
    "because of its kind": (
        "it is another kind of course than those that the model learned from, for neither its dates nor its indicators "
        "look wrong"
    ),
    "message subject": "{course}",
    "message greeting": "Hello {name},",
    "site": "the site",
    "unknown": "(no longer there)",
}


_TEXTS = Texts(ENGLISH)

say, known = _TEXTS.say, _TEXTS.known


def class_label(target: str, label: float) -> str:
    """What a class of a target means, as people say it of a sample."""
    number = int(label) if float(label).is_integer() else label
    return say(f"class {number}", target) if known(f"class {number} {target}") else say("class", label=number)
