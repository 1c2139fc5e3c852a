"""Kinds of Moodle activities: their tables, what is logged when people use them, and how they are graded.

Columns of rows are filled from sources, values of the instance, the user or the work; other values are constants:

=========== ============================================================================================
``course``   course id                   ``instance``  id of the activity in its own table
``name``     the activity's name         ``close``     when it closes, 0 for never
``made``     when it was made            ``start``     the course's start
``teacher``  a teacher's user id         ``user``      user id of who did the work
``time``     when it was done            ``grade``     raw grade, 0 to 100
``graded``   when it was graded, or 0    ``text``      what somebody wrote
``context``  context id of the activity  ``number``    counts from 1
``part``     id of the activity's first row in its first table of parts, ``part2`` in its second
``record``   id of the work's row in its first table, ``record2`` in its second
=========== ============================================================================================
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

Columns = dict[str, "Source | str | float | None"]


class Source(NamedTuple):
    """A value that differs from row to row; see the table above."""

    name: str


class Event(NamedTuple):
    """What Moodle logs: ``objectid`` names the source of the object's id, "" for none."""

    component: str
    name: str  # target, underscore, action
    objecttable: str
    objectid: str
    crud: str
    edulevel: int = 2

    @property
    def eventname(self) -> str:
        """The event's class."""
        return rf"\{self.component}\event\{self.name}"

    @property
    def target(self) -> str:
        """What it happened to."""
        return self.name.rpartition("_")[0]

    @property
    def action(self) -> str:
        """What happened to it."""
        return self.name.rpartition("_")[2]


@dataclass(frozen=True)
class Kind:
    """A kind of activity.

    ``parts`` are rows that every instance has besides its own, ``records`` rows that each piece of work gives.
    Events come in the order of these fields: a look (``viewed``, ``looked``), work (``written``), a grade of the
    teacher's (``graded``), a look at it (``read``), and more work after that (``again``).
    """

    name: str
    columns: Columns = field(default_factory=dict)
    close: str = ""  # column with the time at which it closes
    calendar: str = ""  # type of the calendar event for that time
    parts: tuple[tuple[str, int, Columns], ...] = ()
    records: tuple[tuple[str, Columns], ...] = ()
    is_viewed: bool = True
    looked: tuple[Event, ...] = ()
    written: tuple[Event, ...] = ()
    graded: tuple[Event, ...] = ()
    read: tuple[Event, ...] = ()
    again: tuple[Event, ...] = ()
    grading: str = ""  # "" not at all, auto at once, teacher later
    grademax: float = 100.0

    @property
    def viewed(self) -> Event:
        """The event of opening it."""
        return Event(f"mod_{self.name}", "course_module_viewed", self.name, "instance", "r")

    @property
    def is_worked_on(self) -> bool:
        """Whether students leave something there."""
        return bool(self.records)


COURSE, INSTANCE, NAME, CLOSE, MADE, START = map(Source, ("course", "instance", "name", "close", "made", "start"))
TEACHER, USER, TIME, GRADE, GRADED, TEXT = map(Source, ("teacher", "user", "time", "grade", "graded", "text"))
CONTEXT, NUMBER, PART, PART2, RECORD = map(Source, ("context", "number", "part", "part2", "record"))

_FILE = {"displayoptions": 'a:1:{s:10:"printintro";i:0;}'}

KINDS = (
    Kind(
        "assign",
        {
            "alwaysshowdescription": 1,
            "submissiondrafts": 0,
            "grade": 100,
            "attemptreopenmethod": "none",
            "maxattempts": -1,
            "sendstudentnotifications": 1,
            "completionsubmit": 1,
            "timemodified": MADE,
        },
        close="duedate",
        calendar="due",
        records=(
            (
                "assign_submission",
                {"assignment": INSTANCE, "userid": USER, "timecreated": TIME, "timemodified": TIME}
                | {"status": "submitted", "latest": 1},
            ),
        ),
        looked=(Event("mod_assign", "submission_status_viewed", "", "", "r"),),
        written=(
            Event("assignsubmission_onlinetext", "assessable_uploaded", "assign_submission", "record", "c"),
            Event("assignsubmission_onlinetext", "submission_created", "assign_submission", "record", "c"),
            Event("mod_assign", "assessable_submitted", "assign_submission", "record", "u"),
        ),
        graded=(Event("mod_assign", "submission_graded", "assign_grades", "record2", "u", 1),),
        read=(Event("mod_assign", "feedback_viewed", "assign_grades", "record2", "r"),),
        again=(Event("mod_assign", "assessable_submitted", "assign_submission", "record", "u"),),
        grading="teacher",
    ),
    Kind(
        "bigbluebuttonbn",
        {"meetingid": NAME, "timecreated": MADE, "timemodified": MADE},
        looked=(Event("mod_bigbluebuttonbn", "meeting_joined", "bigbluebuttonbn", "instance", "r"),),
    ),
    Kind(
        "book",
        {"numbering": 1, "navstyle": 1, "timecreated": MADE, "timemodified": MADE},
        parts=(
            (
                "book_chapters",
                3,
                {"bookid": INSTANCE, "pagenum": NUMBER, "title": "Chapter", "content": "…", "contentformat": 1}
                | {"timecreated": MADE, "timemodified": MADE},
            ),
        ),
        looked=(Event("mod_book", "chapter_viewed", "book_chapters", "part", "r"),),
    ),
    Kind(
        "chat",
        {"chattime": MADE, "timemodified": MADE},
        records=(("chat_messages", {"chatid": INSTANCE, "userid": USER, "message": TEXT, "timestamp": TIME}),),
        written=(Event("mod_chat", "message_sent", "chat_messages", "record", "c"),),
        read=(Event("mod_chat", "sessions_viewed", "chat", "instance", "r"),),
        again=(Event("mod_chat", "message_sent", "chat_messages", "record", "c"),),
    ),
    Kind(
        "choice",
        {"showresults": 1, "includeinactive": 1, "allowupdate": 1, "completionsubmit": 1, "timemodified": MADE},
        close="timeclose",
        calendar="close",
        parts=(("choice_options", 3, {"choiceid": INSTANCE, "text": "Option", "maxanswers": 0, "timemodified": MADE}),),
        records=(("choice_answers", {"choiceid": INSTANCE, "userid": USER, "optionid": PART, "timemodified": TIME}),),
        written=(Event("mod_choice", "answer_created", "choice_answers", "record", "c"),),
        read=(Event("mod_choice", "course_module_viewed", "choice", "instance", "r"),),
        again=(Event("mod_choice", "answer_updated", "choice_answers", "record", "u"),),
    ),
    Kind(
        "data",
        {"manageapproved": 1, "timemodified": MADE},
        close="timeavailableto",
        calendar="close",
        records=(
            (
                "data_records",
                {"userid": USER, "dataid": INSTANCE, "timecreated": TIME, "timemodified": TIME, "approved": 1},
            ),
        ),
        written=(Event("mod_data", "record_created", "data_records", "record", "c"),),
    ),
    Kind(
        "feedback",
        {"anonymous": 2, "page_after_submit": "", "completionsubmit": 1, "timemodified": MADE},
        close="timeclose",
        calendar="close",
        records=(("feedback_completed", {"feedback": INSTANCE, "userid": USER, "timemodified": TIME}),),
        written=(Event("mod_feedback", "response_submitted", "feedback_completed", "record", "c"),),
    ),
    Kind("folder", {"revision": 1, "showexpanded": 1, "showdownloadfolder": 1, "timemodified": MADE}),
    Kind(
        "forum",
        {"type": "general", "maxattachments": 1, "trackingtype": 1, "timemodified": MADE},
        parts=(
            (
                "forum_discussions",
                1,
                {"course": COURSE, "forum": INSTANCE, "name": "Welcome", "firstpost": PART2, "userid": TEACHER}
                | {"groupid": -1, "assessed": 1, "timemodified": START, "usermodified": TEACHER},
            ),
            (
                "forum_posts",
                1,
                {"discussion": PART, "userid": TEACHER, "created": START, "modified": START, "mailed": 1}
                | {"subject": "Welcome", "message": "Say who you are and what you hope to learn.", "messageformat": 1},
            ),
        ),
        records=(
            (
                "forum_posts",
                {"discussion": PART, "parent": PART2, "userid": USER, "created": TIME, "modified": TIME, "mailed": 1}
                | {"subject": "Re: Welcome", "message": TEXT, "messageformat": 1},
            ),
        ),
        looked=(Event("mod_forum", "discussion_viewed", "forum_discussions", "part", "r"),),
        written=(
            Event("mod_forum", "post_created", "forum_posts", "record", "c"),
            Event("mod_forum", "assessable_uploaded", "forum_posts", "record", "c"),
        ),
        read=(Event("mod_forum", "discussion_viewed", "forum_discussions", "part", "r"),),
        again=(
            Event("mod_forum", "post_created", "forum_posts", "record", "c"),
            Event("mod_forum", "assessable_uploaded", "forum_posts", "record", "c"),
        ),
    ),
    Kind(
        "glossary",
        {"displayformat": "dictionary", "defaultapproval": 1, "approvaldisplayformat": "default", "entbypage": 10}
        | {"showspecial": 1, "showalphabet": 1, "showall": 1, "usedynalink": 1, "timecreated": MADE}
        | {"timemodified": MADE},
        records=(
            (
                "glossary_entries",
                {"glossaryid": INSTANCE, "userid": USER, "concept": "Word", "definition": TEXT, "definitionformat": 1}
                | {"timecreated": TIME, "timemodified": TIME, "approved": 1, "usedynalink": 1, "fullmatch": 1},
            ),
        ),
        written=(Event("mod_glossary", "entry_created", "glossary_entries", "record", "c"),),
    ),
    Kind("imscp", {"revision": 1, "keepold": -1, "structure": "a:0:{}", "timemodified": MADE}),
    Kind("label", {"timemodified": MADE}, is_viewed=False),
    Kind(
        "lesson",
        {"conditions": "", "grade": 100, "custom": 1, "maxanswers": 5, "maxattempts": 1, "maxpages": 1, "retake": 1}
        | {"mediaheight": 100, "mediawidth": 650, "width": 640, "height": 480, "bgcolor": "#FFFFFF"}
        | {"completionendreached": 1, "timemodified": MADE},
        close="deadline",
        calendar="close",
        parts=(
            (
                "lesson_pages",
                1,
                {"lessonid": INSTANCE, "qtype": 20, "layout": 1, "display": 1, "timecreated": MADE, "title": "Page"}
                | {"contents": "…", "contentsformat": 1},
            ),
        ),
        records=(
            (
                "lesson_timer",
                {"lessonid": INSTANCE, "userid": USER, "starttime": TIME, "lessontime": TIME, "completed": 1},
            ),
            ("lesson_grades", {"lessonid": INSTANCE, "userid": USER, "grade": GRADE, "completed": TIME}),
        ),
        written=(
            Event("mod_lesson", "lesson_started", "lesson", "instance", "c"),
            Event("mod_lesson", "content_page_viewed", "lesson_pages", "part", "r"),
            Event("mod_lesson", "lesson_ended", "lesson", "instance", "u"),
        ),
        again=(
            Event("mod_lesson", "lesson_restarted", "lesson", "instance", "r"),
            Event("mod_lesson", "lesson_started", "lesson", "instance", "c"),
            Event("mod_lesson", "lesson_ended", "lesson", "instance", "u"),
        ),
        grading="auto",
    ),
    Kind(
        "lti",
        {"toolurl": "https://tool.example.org/launch", "instructorchoicesendname": 1, "grade": 100}
        | {"instructorchoicesendemailaddr": 1, "instructorchoiceacceptgrades": 1, "launchcontainer": 1}
        | {"timecreated": MADE, "timemodified": MADE},
        records=(
            (
                "lti_submission",
                {"ltiid": INSTANCE, "userid": USER, "datesubmitted": TIME, "dateupdated": TIME, "gradepercent": GRADE}
                | {"originalgrade": GRADE, "state": 2},
            ),
        ),
        read=(Event("mod_lti", "course_module_viewed", "lti", "instance", "r"),),
        grading="auto",
    ),
    Kind("page", {"content": "…", "contentformat": 1, "timemodified": MADE, **_FILE}),
    Kind(
        "quiz",
        {"overduehandling": "autosubmit", "graceperiod": 86400, "preferredbehaviour": "deferredfeedback"}
        | {"grademethod": 1, "decimalpoints": 2, "questiondecimalpoints": -1, "reviewattempt": 69904}
        | {"reviewcorrectness": 69904, "reviewmarks": 69904, "questionsperpage": 1, "navmethod": "free"}
        | {"shuffleanswers": 1, "sumgrades": 100, "grade": 100, "timecreated": MADE, "timemodified": MADE},
        close="timeclose",
        calendar="close",
        parts=(("quiz_sections", 1, {"quizid": INSTANCE, "firstslot": 1, "heading": ""}),),
        records=(
            (
                "quiz_attempts",
                {"quiz": INSTANCE, "userid": USER, "attempt": 1, "uniqueid": RECORD, "layout": "1,0"}
                | {"state": "finished", "timestart": TIME, "timefinish": TIME, "timemodified": TIME}
                | {"timecheckstate": 0, "sumgrades": GRADE},
            ),
            ("quiz_grades", {"quiz": INSTANCE, "userid": USER, "grade": GRADE, "timemodified": TIME}),
            (
                "question_usages",
                {"id": RECORD, "contextid": CONTEXT, "component": "mod_quiz", "preferredbehaviour": "deferredfeedback"},
            ),
        ),
        written=(
            Event("mod_quiz", "attempt_started", "quiz_attempts", "record", "c"),
            Event("mod_quiz", "attempt_viewed", "quiz_attempts", "record", "r"),
            Event("mod_quiz", "attempt_submitted", "quiz_attempts", "record", "u"),
        ),
        read=(
            Event("mod_quiz", "course_module_viewed", "quiz", "instance", "r"),
            Event("mod_quiz", "attempt_reviewed", "quiz_attempts", "record", "r"),
        ),
        again=(
            Event("mod_quiz", "attempt_started", "quiz_attempts", "record", "c"),
            Event("mod_quiz", "attempt_submitted", "quiz_attempts", "record", "u"),
        ),
        grading="auto",
    ),
    Kind("resource", {"revision": 1, "timemodified": MADE, **_FILE}),
    Kind(
        "scorm",
        {"scormtype": "local", "reference": "package.zip", "version": "SCORM_1.2", "maxgrade": 100.0, "whatgrade": 0}
        | {"grademethod": 1, "masteryoverride": 1, "displayattemptstatus": 1, "revision": 1, "launch": PART, "nav": 1}
        | {"width": 100, "height": 500, "timemodified": MADE},
        close="timeclose",
        calendar="close",
        parts=(
            (
                "scorm_scoes",
                1,
                {"scorm": INSTANCE, "parent": "/", "identifier": "item_1", "launch": "index.html", "scormtype": "sco"}
                | {"title": "Item", "sortorder": 1},
            ),
        ),
        records=(
            (
                "scorm_scoes_track",
                {"userid": USER, "scormid": INSTANCE, "scoid": PART, "attempt": 1, "value": "completed"}
                | {"element": "cmi.core.lesson_status", "timemodified": TIME},
            ),
        ),
        written=(
            Event("mod_scorm", "sco_launched", "scorm_scoes", "part", "r"),
            Event("mod_scorm", "scoreraw_submitted", "scorm_scoes_track", "record", "c"),
        ),
        read=(Event("mod_scorm", "course_module_viewed", "scorm", "instance", "r"),),
        grading="auto",
    ),
    Kind(
        "survey",
        {"template": 4, "questions": "65,67,68", "completionsubmit": 1, "timecreated": MADE, "timemodified": MADE},
        records=(
            (
                "survey_answers",
                {"userid": USER, "survey": INSTANCE, "question": 65, "time": TIME, "answer1": "3", "answer2": ""},
            ),
        ),
        written=(Event("mod_survey", "response_submitted", "survey", "instance", "c"),),
    ),
    Kind("url", {"externalurl": "https://moodle.org/", "parameters": "a:0:{}", "timemodified": MADE, **_FILE}),
    Kind(
        "wiki",
        {"firstpagetitle": "Front page", "wikimode": "collaborative", "defaultformat": "html", "timecreated": MADE}
        | {"timemodified": MADE},
        parts=(
            ("wiki_subwikis", 1, {"wikiid": INSTANCE}),
            (
                "wiki_pages",
                1,
                {"subwikiid": PART, "title": "Front page", "cachedcontent": "…", "timecreated": START}
                | {"timemodified": START, "userid": TEACHER},
            ),
        ),
        looked=(Event("mod_wiki", "page_viewed", "wiki_pages", "part2", "r"),),
        written=(Event("mod_wiki", "page_updated", "wiki_pages", "part2", "u"),),
    ),
    Kind(
        "workshop",
        {"phase": 50, "usepeerassessment": 1, "grade": 80, "gradinggrade": 20, "strategy": "accumulative"}
        | {"evaluation": "best", "submissiontypetext": 1, "submissiontypefile": 1, "nattachments": 1}
        | {"overallfeedbackmode": 1, "timemodified": MADE},
        close="submissionend",
        calendar="closesubmission",
        records=(
            (
                "workshop_submissions",
                {"workshopid": INSTANCE, "authorid": USER, "timecreated": TIME, "timemodified": TIME}
                | {"title": "Submission", "content": TEXT, "contentformat": 1, "grade": GRADE, "example": 0},
            ),
        ),
        looked=(),
        written=(
            Event("mod_workshop", "submission_created", "workshop_submissions", "record", "c"),
            Event("mod_workshop", "assessable_uploaded", "workshop_submissions", "record", "c"),
        ),
        graded=(Event("mod_workshop", "submission_assessed", "workshop_assessments", "record2", "c"),),
        read=(Event("mod_workshop", "submission_viewed", "workshop_submissions", "record", "r"),),
        again=(Event("mod_workshop", "submission_updated", "workshop_submissions", "record", "u"),),
        grading="teacher",
        grademax=80.0,
    ),
)
"""Every kind whose indicators Moodle ships, by name."""
