"""Kinds of Moodle activities: their tables, what is logged when people use them, and how they are graded.

Rows are written as ``table column=value column=@source``; a source differs from row to row:

============ ===========================================================================================
``course``   course id                    ``instance``  id of the activity in its own table
``name``     the activity's name          ``close``     when it closes, 0 for never
``made``     when it was made             ``start``     the course's start
``teacher``  a teacher's user id          ``user``      user id of who did the work
``time``     when it was done             ``grade``     grade from 0 to 100
``text``     what somebody wrote          ``number``    counts an instance's parts from 1
``context``  context id of the activity   ``part``      id of its first row in its first table of parts
``record``   id of the work's first row   ``part2``     the same in its second table of parts
``either``   1 or 2, by turns             ``graded``    id of its grade's row, for events alone
============ ===========================================================================================
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple


class Source(NamedTuple):
    """A value that differs from row to row; see the table above."""

    name: str


class Rows(NamedTuple):
    """Rows of a table, ``number`` for each instance or piece of work."""

    table: str
    number: int
    columns: dict[str, Source | str | float]


class SimulatedEvent(NamedTuple):
    """What Moodle logs; ``objectid`` names the source of the object's id, "" for none."""

    component: str
    name: str  # target, underscore, action
    objecttable: str
    objectid: str
    crud: str
    edulevel: int

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
class ActivityKind:
    """A kind of activity.

    ``parts`` are rows that every instance has besides its own, ``records`` rows that each piece of work gives. Events
    come in the order of these fields: a look (``looked``), work (``written``), a grade by a person (``graded``), a
    look at that (``read``), and more work after it (``again``).
    """

    name: str
    columns: dict[str, Source | str | float]
    close: str  # column with the time at which it closes, "" for none
    calendar: str  # type of the calendar's event for that time
    parts: tuple[Rows, ...]
    records: tuple[Rows, ...]
    looked: tuple[SimulatedEvent, ...]
    written: tuple[SimulatedEvent, ...]
    graded: tuple[SimulatedEvent, ...]
    read: tuple[SimulatedEvent, ...]
    again: tuple[SimulatedEvent, ...]
    grading: str  # "" not at all, auto at once, teacher or peer later
    grademax: int

    @property
    def is_worked_on(self) -> bool:
        """Whether students leave something there."""
        return bool(self.records)


def event(text: str, module: str = "") -> SimulatedEvent:
    """Read ``component/target_action crud [table:source] [level]``; the component is the module's if left out."""
    where, crud, *rest = text.split()
    component, _, name = where.rpartition("/")
    table, _, source = rest[0].partition(":") if rest else ("", "", "")
    return SimulatedEvent(component or f"mod_{module}", name, table, source, crud, int(rest[1]) if len(rest) > 1 else 2)


def _kind(
    name: str,
    columns: str,
    *,
    close: str = "",
    parts: tuple[str, ...] = (),
    records: tuple[str, ...] = (),
    looked: tuple[str, ...] = (),
    written: tuple[str, ...] = (),
    graded: tuple[str, ...] = (),
    read: tuple[str, ...] = (),
    again: tuple[str, ...] = (),
    grading: str = "",
    grademax: int = 100,
) -> ActivityKind:
    closing, _, calendar = close.partition(" ")

    def events(texts: tuple[str, ...]) -> tuple[SimulatedEvent, ...]:
        return tuple(event(text, name) for text in texts)

    return ActivityKind(
        name,
        columns=_columns(columns.split()),
        close=closing,
        calendar=calendar,
        parts=tuple(map(_rows, parts)),
        records=tuple(map(_rows, records)),
        looked=events(looked),
        written=events(written),
        graded=events(graded),
        read=events(read),
        again=events(again),
        grading=grading,
        grademax=grademax,
    )


def _rows(text: str) -> Rows:
    table, *columns = text.split()
    table, _, number = table.partition("*")
    return Rows(table, int(number or 1), _columns(columns))


def _columns(texts: list[str]) -> dict[str, Source | str | float]:
    return {name: _value(value) for name, _, value in (text.partition("=") for text in texts)}


def _value(text: str) -> Source | str | float:
    if text.startswith("@"):
        return Source(text[1:])
    return int(text) if text.lstrip("-").isdecimal() else text


_MADE = "timemodified=@made"
_FILE = 'displayoptions=a:1:{s:10:"printintro";i:0;} timemodified=@made'
_POST = "discussion=@part mailed=1 messageformat=1 message=@text"

KINDS = {
    kind.name: kind
    for kind in (
        _kind(
            "assign",
            f"alwaysshowdescription=1 grade=100 attemptreopenmethod=none maxattempts=-1 completionsubmit=1 {_MADE}",
            close="duedate due",
            records=(
                "assign_submission assignment=@instance userid=@user timecreated=@time timemodified=@time latest=1"
                " status=submitted",
            ),
            looked=("submission_status_viewed r",),
            written=(
                "assignsubmission_onlinetext/assessable_uploaded c assign_submission:record",
                "assignsubmission_onlinetext/submission_created c assign_submission:record",
                "assessable_submitted u assign_submission:record",
            ),
            graded=("submission_graded u assign_grades:graded 1",),
            read=("feedback_viewed r assign_grades:graded",),
            again=("assessable_submitted u assign_submission:record",),
            grading="teacher",
        ),
        _kind("bigbluebuttonbn", f"meetingid=@name timecreated=@made {_MADE}"),
        _kind(
            "book",
            f"numbering=1 navstyle=1 timecreated=@made {_MADE}",
            parts=(
                "book_chapters*3 bookid=@instance pagenum=@number title=Chapter content=… contentformat=1"
                f" timecreated=@made {_MADE}",
            ),
            looked=("chapter_viewed r book_chapters:part",),
        ),
        _kind(
            "chat",
            f"chattime=@made {_MADE}",
            records=("chat_messages chatid=@instance userid=@user message=@text timestamp=@time",),
            written=("message_sent c chat_messages:record",),
            read=("sessions_viewed r chat:instance",),
            again=("message_sent c chat_messages:record",),
        ),
        _kind(
            "choice",
            f"showresults=1 includeinactive=1 allowupdate=1 completionsubmit=1 {_MADE}",
            close="timeclose close",
            parts=(f"choice_options*3 choiceid=@instance text=Option maxanswers=0 {_MADE}",),
            records=("choice_answers choiceid=@instance userid=@user optionid=@part timemodified=@time",),
            written=("answer_created c choice_answers:record",),
            read=("course_module_viewed r choice:instance",),
            again=("answer_updated u choice_answers:record",),
        ),
        _kind(
            "data",
            f"manageapproved=1 {_MADE}",
            close="timeavailableto close",
            records=("data_records userid=@user dataid=@instance timecreated=@time timemodified=@time approved=1",),
            written=("record_created c data_records:record",),
        ),
        _kind(
            "feedback",
            f"anonymous=@either completionsubmit=1 {_MADE}",
            close="timeclose close",
            records=(
                "feedback_completed feedback=@instance userid=@user timemodified=@time anonymous_response=@either",
            ),
            written=("response_submitted c feedback_completed:record",),
        ),
        _kind("folder", f"revision=1 showexpanded=1 showdownloadfolder=1 {_MADE}"),
        _kind(
            "forum",
            f"type=general maxattachments=1 trackingtype=1 {_MADE}",
            parts=(
                "forum_discussions course=@course forum=@instance name=Welcome firstpost=@part2 userid=@teacher"
                " groupid=-1 assessed=1 timemodified=@start usermodified=@teacher",
                f"forum_posts userid=@teacher created=@start modified=@start subject=Welcome {_POST}",
            ),
            records=(f"forum_posts parent=@part2 userid=@user created=@time modified=@time subject=Reply {_POST}",),
            looked=("discussion_viewed r forum_discussions:part",),
            written=("post_created c forum_posts:record", "assessable_uploaded c forum_posts:record"),
            read=("discussion_viewed r forum_discussions:part",),
            again=("post_created c forum_posts:record", "assessable_uploaded c forum_posts:record"),
        ),
        _kind(
            "glossary",
            "displayformat=dictionary defaultapproval=1 approvaldisplayformat=default entbypage=10 showspecial=1"
            f" showalphabet=1 showall=1 usedynalink=1 timecreated=@made {_MADE}",
            records=(
                "glossary_entries glossaryid=@instance userid=@user concept=Word definition=@text definitionformat=1"
                " timecreated=@time timemodified=@time approved=1 usedynalink=1 fullmatch=1",
            ),
            written=("entry_created c glossary_entries:record",),
        ),
        _kind("imscp", f"revision=1 keepold=-1 structure=a:0:{{}} {_MADE}"),
        _kind("label", _MADE),
        _kind(
            "lesson",
            "grade=100 custom=1 maxanswers=5 maxattempts=1 maxpages=1 retake=1 mediaheight=100 mediawidth=650"
            f" width=640 height=480 bgcolor=#FFFFFF completionendreached=1 {_MADE}",
            close="deadline close",
            parts=(
                "lesson_pages lessonid=@instance qtype=20 layout=1 display=1 timecreated=@made title=Page contents=…"
                " contentsformat=1",
            ),
            records=(
                "lesson_timer lessonid=@instance userid=@user starttime=@time lessontime=@time completed=1",
                "lesson_grades lessonid=@instance userid=@user grade=@grade completed=@time",
            ),
            written=(
                "lesson_started c lesson:instance",
                "content_page_viewed r lesson_pages:part",
                "lesson_ended u lesson:instance",
            ),
            again=("lesson_restarted r lesson:instance", "lesson_ended u lesson:instance"),
            grading="auto",
        ),
        _kind(
            "lti",
            "toolurl=https://tool.example.org/launch instructorchoicesendname=1 instructorchoicesendemailaddr=1"
            f" instructorchoiceacceptgrades=1 grade=100 launchcontainer=1 timecreated=@made {_MADE}",
            records=(
                "lti_submission ltiid=@instance userid=@user datesubmitted=@time dateupdated=@time gradepercent=@grade"
                " originalgrade=@grade state=2",
            ),
            read=("course_module_viewed r lti:instance",),
            grading="auto",
        ),
        _kind("page", f"content=… contentformat=1 {_FILE}"),
        _kind(
            "quiz",
            "overduehandling=autosubmit graceperiod=86400 preferredbehaviour=deferredfeedback grademethod=1"
            " decimalpoints=2 questiondecimalpoints=-1 reviewattempt=69904 reviewcorrectness=69904 reviewmarks=69904"
            f" questionsperpage=1 navmethod=free shuffleanswers=1 sumgrades=100 grade=100 timecreated=@made {_MADE}",
            close="timeclose close",
            parts=("quiz_sections quizid=@instance firstslot=1",),
            records=(
                "quiz_attempts quiz=@instance userid=@user attempt=1 uniqueid=@record layout=1,0 state=finished"
                " timestart=@time timefinish=@time timemodified=@time timecheckstate=0 sumgrades=@grade",
                "quiz_grades quiz=@instance userid=@user grade=@grade timemodified=@time",
                "question_usages id=@record contextid=@context component=mod_quiz preferredbehaviour=deferredfeedback",
            ),
            written=(
                "attempt_started c quiz_attempts:record",
                "attempt_viewed r quiz_attempts:record",
                "attempt_submitted u quiz_attempts:record",
            ),
            read=("course_module_viewed r quiz:instance", "attempt_reviewed r quiz_attempts:record"),
            again=("attempt_started c quiz_attempts:record", "attempt_submitted u quiz_attempts:record"),
            grading="auto",
        ),
        _kind("resource", f"revision=1 {_FILE}"),
        _kind(
            "scorm",
            "scormtype=local reference=package.zip version=SCORM_1.2 maxgrade=100 grademethod=1 masteryoverride=1"
            f" displayattemptstatus=1 revision=1 launch=@part nav=1 width=100 height=500 {_MADE}",
            close="timeclose close",
            parts=(
                "scorm_scoes scorm=@instance parent=/ identifier=item_1 launch=index.html scormtype=sco title=Item"
                " sortorder=1",
            ),
            records=(
                "scorm_scoes_track userid=@user scormid=@instance scoid=@part attempt=1 value=completed"
                " element=cmi.core.lesson_status timemodified=@time",
            ),
            written=("sco_launched r scorm_scoes:part", "scoreraw_submitted c scorm_scoes_track:record"),
            read=("course_module_viewed r scorm:instance",),
            grading="auto",
        ),
        _kind(
            "survey",
            f"template=4 questions=65,67,68 completionsubmit=1 timecreated=@made {_MADE}",
            records=("survey_answers userid=@user survey=@instance question=65 time=@time answer1=Often",),
            written=("response_submitted c survey:instance",),
        ),
        _kind("url", f"externalurl=https://moodle.org/ parameters=a:0:{{}} {_FILE}"),
        _kind(
            "wiki",
            f"firstpagetitle=Start wikimode=collaborative defaultformat=html timecreated=@made {_MADE}",
            parts=(
                "wiki_subwikis wikiid=@instance",
                "wiki_pages subwikiid=@part title=Start cachedcontent=@text timecreated=@start timemodified=@start"
                " userid=@teacher",
            ),
            records=("wiki_versions pageid=@part2 content=@text contentformat=html timecreated=@time userid=@user",),
            looked=("page_viewed r wiki_pages:part2",),
            written=("page_updated u wiki_pages:part2",),
        ),
        _kind(
            "workshop",
            "phase=50 usepeerassessment=1 grade=80 gradinggrade=20 strategy=accumulative evaluation=best"
            f" submissiontypetext=1 submissiontypefile=1 nattachments=1 overallfeedbackmode=1 {_MADE}",
            close="submissionend closesubmission",
            records=(
                "workshop_submissions workshopid=@instance authorid=@user timecreated=@time timemodified=@time"
                " title=Submission content=@text contentformat=1 grade=@grade example=0",
            ),
            written=("submission_created c workshop_submissions:record",),
            graded=("submission_assessed c workshop_assessments:graded",),
            read=("submission_viewed r workshop_submissions:record",),
            again=("submission_updated u workshop_submissions:record",),
            grading="peer",
            grademax=80,
        ),
    )
}
"""Every kind whose indicators Moodle ships."""

VIEWED = {name: event(f"course_module_viewed r {name}:instance", name) for name in KINDS if name != "label"}
