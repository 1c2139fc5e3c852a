"""Moodle's tables that a simulated site fills: names, columns, indexes, and what differs between versions.

A line a table. A column is followed by its type, a length for text, digits and decimals for numbers; none is a whole
number of ten digits. ``?`` admits NULL. Every table has ``id`` in front.
"""

from __future__ import annotations

import re
from typing import NamedTuple

SCHEMAS = ("3.7", "4.2", "5.0")
"""Versions of Moodle whose tables can be made; those of 4.2 are complete."""


class Column(NamedTuple):
    """A column; ``kind`` is int, mid, small, text, float, a number of characters, or digits,decimals."""

    name: str
    kind: str
    nullable: bool

    @property
    def is_text(self) -> bool:
        """Whether it holds text."""
        return self.kind == "text" or self.kind.isdecimal()

    @property
    def is_whole(self) -> bool:
        """Whether it holds whole numbers."""
        return self.kind in {"int", "mid", "small"}


def tables(schema: str) -> dict[str, tuple[Column, ...]]:
    """Return the columns of every table in that version of Moodle."""
    absent = _ABSENT[schema]
    return {
        table: tuple(column for column in columns if f"{table}.{column.name}" not in absent)
        for table, columns in _TABLES.items()
        if table not in absent
    }


def known_columns(table: str) -> frozenset[str]:
    """Return the names of a table's columns in any version."""
    return _NAMES[table]


def indexes(table: str) -> list[tuple[list[str], bool]]:
    """Return the columns of each index of the table, and whether it is unique."""
    return [(text.lstrip("!").split("+"), text.startswith("!")) for text in _INDEXES.get(table, "").split()]


def _parse(text: str) -> dict[str, tuple[Column, ...]]:
    tables = {}
    for table, columns in re.findall(r"^(\w+) = (.*(?:\n    .*)*)", text, re.MULTILINE):
        matches = re.findall(r"(\w+)(?::([\w,]+))?(\??)", columns)
        tables[table] = (
            Column("id", "int", nullable=False),
            *(Column(name, kind or "int", bool(nullable)) for name, kind, nullable in matches),
        )
    return tables


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


_ABSENT = {
    "3.7": _names(
        """
        bigbluebuttonbn
        assign.activity assign.activityformat assign.timelimit assign.submissionattachments
        assign_submission.timestarted choice.showavailable course.relativedatesmode course.downloadcontent
        course.originalcourseid course.showactivitydates course.showcompletionconditions course.pdfexportfont
        course_modules.completionpassgrade course_modules.downloadcontent course_modules.lang forum.grade_forum
        forum.grade_forum_notify forum_posts.wordcount forum_posts.charcount
        groups.visibility groups.participation quiz.completionminattempts
        quiz_attempts.gradednotificationsenttime
        """
    ),
    "4.2": _names("user.url"),
    "5.0": _names("user.url chat chat_messages survey survey_answers"),
}

_INDEXES = {
    "config": "!name",
    "config_plugins": "!plugin+name",
    "modules": "name",
    "role": "!shortname",
    "role_capabilities": "!roleid+contextid+capability capability",
    "role_assignments": "roleid+contextid userid+contextid+roleid contextid",
    "context": "!contextlevel+instanceid instanceid path",
    "course_categories": "parent",
    "course": "category idnumber shortname sortorder",
    "course_sections": "!course+section",
    "course_modules": "course module instance",
    "course_format_options": "!courseid+format+sectionid+name",
    "user": "!mnethostid+username deleted lastaccess",
    "user_preferences": "!userid+name",
    "user_lastaccess": "!userid+courseid userid courseid",
    "enrol": "enrol courseid",
    "user_enrolments": "!enrolid+userid enrolid userid",
    "capabilities": "!name",
    "groups": "courseid",
    "groups_members": "!userid+groupid groupid",
    "course_completion_criteria": "course",
    "course_completion_aggr_methd": "course !course+criteriatype",
    "course_completion_crit_compl": "userid course !userid+course+criteriaid",
    "course_completions": "userid course timecompleted !userid+course",
    "course_modules_completion": "coursemoduleid !userid+coursemoduleid",
    "grade_categories": "courseid",
    "grade_items": "courseid itemtype+needsupdate",
    "grade_grades": "itemid !userid+itemid",
    "competency_coursecomp": "!courseid+competencyid",
    "competency_usercompcourse": "!userid+courseid+competencyid",
    "event": "courseid userid timestart modulename+instance timesort",
    "assign_submission": "assignment userid",
    "assign_grades": "assignment userid",
    "chat_messages": "chatid userid",
    "choice_answers": "choiceid userid",
    "data_records": "dataid userid",
    "feedback_completed": "feedback userid",
    "forum_discussions": "forum course",
    "forum_posts": "discussion userid created",
    "glossary_entries": "glossaryid userid",
    "lesson_timer": "lessonid userid",
    "lesson_grades": "lessonid userid",
    "lti_submission": "ltiid",
    "quiz_attempts": "quiz !uniqueid userid",
    "quiz_grades": "quiz userid",
    "scorm_scoes_track": "scormid scoid userid",
    "survey_answers": "survey userid",
    "wiki_subwikis": "wikiid",
    "wiki_pages": "subwikiid",
    "wiki_versions": "pageid",
    "workshop_submissions": "workshopid authorid",
    "workshop_assessments": "submissionid reviewerid",
    "logstore_standard_log": "timecreated courseid+anonymous+timecreated contextid"
    " userid+contextlevel+contextinstanceid+crud+edulevel+timecreated",
    **dict.fromkeys(
        _names(
            "assign book chat choice data feedback folder forum glossary imscp label lesson lti page quiz resource "
            "scorm survey url wiki workshop"
        ),
        "course",
    ),
}  # columns joined by +; ! is a unique index

_TABLES = _parse(
    """
config = name:255 value:text
config_plugins = plugin:100 name:100 value:text
modules = name:20 cron lastcron search:255 visible:small
scale = courseid userid name:255 scale:text description:text descriptionformat:small timemodified
role = name:255 shortname:100 description:text sortorder archetype:30
capabilities = name:255 captype:50 contextlevel component:100 riskbitmask
role_capabilities = contextid roleid capability:255 permission timemodified modifierid
role_context_levels = roleid contextlevel
role_assignments = roleid contextid userid timemodified modifierid component:100 itemid sortorder
context = contextlevel instanceid path:255? depth:small locked:small
course_categories = name:255 idnumber:100? description:text? descriptionformat:small parent sortorder coursecount
    visible:small visibleold:small timemodified depth path:255 theme:50?
course = category sortorder fullname:254 shortname:255 idnumber:100 summary:text? summaryformat:small format:21
    showgrades:small newsitems:mid startdate enddate relativedatesmode:small marker maxbytes legacyfiles:small
    showreports:small visible:small visibleold:small downloadcontent:small? groupmode:small groupmodeforce:small
    defaultgroupingid lang:30 calendartype:30 theme:50 timecreated timemodified requested:small
    enablecompletion:small completionnotify:small cacherev originalcourseid? showactivitydates:small
    showcompletionconditions:small? pdfexportfont:50?
course_sections = course section name:255? summary:text? summaryformat:small sequence:text? visible:small
    availability:text? timemodified
course_modules = course module instance section idnumber:100? added score:small indent:mid visible:small
    visibleoncoursepage:small visibleold:small groupmode:small groupingid completion:small
    completiongradeitemnumber? completionview:small completionexpected completionpassgrade:small
    showdescription:small availability:text? deletioninprogress:small downloadcontent:small? lang:30?
course_format_options = courseid format:21 sectionid name:100 value:text?
user = auth:20 confirmed:small policyagreed:small deleted:small suspended:small mnethostid username:100 idnumber:255
    firstname:100 lastname:100 email:100 url:255 institution:255 department:255 address:255 city:120 country:2
    lang:30 timezone:100 firstaccess lastaccess lastlogin currentlogin picture description:text?
    descriptionformat:small mailformat:small maildigest:small maildisplay:small autosubscribe:small
    trackforums:small timecreated timemodified lastnamephonetic:255? firstnamephonetic:255? middlename:255?
    alternatename:255? imagealt:255?
user_preferences = userid name:255 value:1333
user_lastaccess = userid courseid timeaccess
enrol = enrol:20 status courseid sortorder name:255? enrolperiod? enrolstartdate? enrolenddate? expirynotify:small?
    expirythreshold? notifyall:small? password:50? cost:20? currency:3? roleid? customint1? customint2? customint3?
    customint4? customint5? customint6? customint7? customint8? customchar1:255? customchar2:255? customchar3:1333?
    customdec1:12,7? customdec2:12,7? customtext1:text? customtext2:text? customtext3:text? customtext4:text?
    timecreated timemodified
user_enrolments = status enrolid userid timestart timeend modifierid timecreated timemodified
groups = courseid idnumber:100 name:254 description:text? descriptionformat:small enrolmentkey:50? picture
    visibility:small participation:small timecreated timemodified
groups_members = groupid userid timeadded component:100 itemid
course_completion_criteria = course criteriatype module:100? moduleinstance? courseinstance? enrolperiod? timeend?
    gradepass:10,5? role?
course_completion_aggr_methd = course criteriatype? method:small value:10,5?
course_completion_crit_compl = userid course criteriaid gradefinal:10,5? unenroled? timecompleted?
course_completions = userid course timeenrolled timestarted timecompleted? reaggregate
course_modules_completion = coursemoduleid userid completionstate:small overrideby? timemodified
grade_categories = courseid parent? depth path:255? fullname:255 aggregation keephigh droplow
    aggregateonlygraded:small aggregateoutcomes:small timecreated timemodified hidden
grade_items = courseid? categoryid? itemname:255? itemtype:30 itemmodule:30? iteminstance? itemnumber?
    iteminfo:text? idnumber:255? calculation:text? gradetype:small grademax:10,5 grademin:10,5 scaleid? outcomeid?
    gradepass:10,5 multfactor:10,5 plusfactor:10,5 aggregationcoef:10,5 aggregationcoef2:10,5 sortorder display
    decimals:small? hidden locked locktime needsupdate weightoverride:small timecreated? timemodified?
grade_grades = itemid userid rawgrade:10,5? rawgrademax:10,5 rawgrademin:10,5 rawscaleid? usermodified?
    finalgrade:10,5? hidden locked locktime exported overridden excluded feedback:text? feedbackformat
    information:text? informationformat timecreated? timemodified? aggregationstatus:10 aggregationweight:10,5?
competency_framework = shortname:100? contextid idnumber:100? description:text? descriptionformat:small scaleid?
    scaleconfiguration:text visible:small taxonomies:255 timecreated timemodified usermodified?
competency = shortname:100? description:text? descriptionformat:small idnumber:100? competencyframeworkid parentid
    path:255 sortorder ruletype:100? ruleoutcome:small ruleconfig:text? scaleid? scaleconfiguration:text?
    timecreated timemodified usermodified?
competency_coursecomp = courseid competencyid ruleoutcome:small timecreated timemodified usermodified sortorder
competency_usercompcourse = userid courseid competencyid proficiency:small? grade? timecreated timemodified?
    usermodified
event = name:text description:text format:small categoryid courseid groupid userid repeatid component:100?
    modulename:20 instance type:small eventtype:20 timestart timeduration timesort? visible:small uuid:255 sequence
    timemodified subscriptionid? priority? location:text?
assign = course name:255 intro:text introformat:small alwaysshowdescription:small nosubmissions:small
    submissiondrafts:small sendnotifications:small sendlatenotifications:small duedate allowsubmissionsfromdate
    grade timemodified requiresubmissionstatement:small completionsubmit:small cutoffdate gradingduedate
    teamsubmission:small requireallteammemberssubmit:small teamsubmissiongroupingid blindmarking:small
    hidegrader:small revealidentities:small attemptreopenmethod:10 maxattempts:mid markingworkflow:small
    markingallocation:small sendstudentnotifications:small preventsubmissionnotingroup:small activity:text?
    activityformat:small timelimit submissionattachments:small
assign_submission = assignment userid timecreated timemodified timestarted? status:10? groupid attemptnumber
    latest:small
assign_grades = assignment userid timecreated timemodified grader grade:10,5? attemptnumber
bigbluebuttonbn = type:small course name:255 intro:text? introformat:small meetingid:255 wait:small record:small
    welcome:text? openingtime closingtime timecreated timemodified
book = course name:255 intro:text? introformat:small numbering:small navstyle:small customtitles:small revision
    timecreated timemodified
book_chapters = bookid pagenum subchapter title:255 content:text contentformat:small hidden:small timecreated
    timemodified importsrc:255
chat = course name:255 intro:text introformat:small keepdays studentlogs:small chattime schedule:small timemodified
chat_messages = chatid userid groupid issystem:small message:text timestamp
choice = course name:255 intro:text introformat:small publish:small showresults:small display:small
    allowupdate:small allowmultiple:small showunanswered:small includeinactive:small limitanswers:small timeopen
    timeclose showpreview:small timemodified completionsubmit:small showavailable:small
choice_options = choiceid text:text? maxanswers? timemodified
choice_answers = choiceid userid optionid timemodified
data = course name:255 intro:text introformat:small comments:small timeavailablefrom timeavailableto timeviewfrom
    timeviewto requiredentries:mid requiredentriestoview:mid maxentries:mid rssarticles:small singletemplate:text?
    listtemplate:text? listtemplateheader:text? listtemplatefooter:text? addtemplate:text? rsstemplate:text?
    rsstitletemplate:text? csstemplate:text? jstemplate:text? asearchtemplate:text? approval:small
    manageapproved:small scale assessed assesstimestart assesstimefinish defaultsort defaultsortdir:small
    editany:small notification timemodified config:text? completionentries?
data_records = userid groupid dataid timecreated timemodified approved:small
feedback = course name:255 intro:text introformat:small anonymous:small email_notification:small
    multiple_submit:small autonumbering:small site_after_submit:255 page_after_submit:text
    page_after_submitformat:small publish_stats:small timeopen timeclose timemodified completionsubmit:small
feedback_completed = feedback userid timemodified random_response anonymous_response:small courseid
folder = course name:255 intro:text? introformat:small revision timemodified display:small showexpanded:small
    showdownloadfolder:small forcedownload:small
forum = course type:20 name:255 intro:text introformat:small duedate cutoffdate assessed assesstimestart
    assesstimefinish scale grade_forum grade_forum_notify:small maxbytes maxattachments forcesubscribe:small
    trackingtype:small rsstype:small rssarticles:small timemodified warnafter blockafter blockperiod
    completiondiscussions:mid completionreplies:mid completionposts:mid displaywordcount:small lockdiscussionafter
forum_discussions = course forum name:255 firstpost userid groupid assessed:small timemodified usermodified
    timestart timeend pinned:small timelocked
forum_posts = discussion parent userid created modified mailed:small subject:255 message:text messageformat:small
    messagetrust:small attachment:100 totalscore:small mailnow deleted:small privatereplyto wordcount? charcount?
glossary = course name:255 intro:text introformat:small allowduplicatedentries:small displayformat:50
    mainglossary:small showspecial:small showalphabet:small showall:small allowcomments:small allowprintview:small
    usedynalink:small defaultapproval:small approvaldisplayformat:50 globalglossary:small entbypage:small
    editalways:small rsstype:small rssarticles:small assessed assesstimestart assesstimefinish scale timecreated
    timemodified completionentries:mid
glossary_entries = glossaryid userid concept:255 definition:text definitionformat:small definitiontrust:small
    attachment:100 timecreated timemodified teacherentry:small sourceglossaryid usedynalink:small
    casesensitive:small fullmatch:small approved:small
imscp = course name:255 intro:text? introformat:small revision keepold structure:text? timemodified
label = course name:255 intro:text introformat:small? timemodified
lesson = course name:255 intro:text? introformat:small practice:small modattempts:small usepassword:small
    password:32 dependency conditions:text grade custom:small ongoing:small usemaxgrade:small maxanswers:small
    maxattempts:small review:small nextpagedefault:small feedback:small minquestions:small maxpages:small timelimit
    retake:small activitylink mediafile:255 mediaheight mediawidth mediaclose:small slideshow:small width height
    bgcolor:7 displayleft:small displayleftif:small progressbar:small available deadline timemodified
    completionendreached:small? completiontimespent? allowofflineattempts:small?
lesson_pages = lessonid prevpageid nextpageid qtype:small qoption:small layout:small display:small timecreated
    timemodified title:255 contents:text contentsformat:small
lesson_timer = lessonid userid starttime lessontime completed:small? timemodifiedoffline
lesson_grades = lessonid userid grade:float late:small completed
lti = course name:255 intro:text? introformat:small? timecreated timemodified typeid? toolurl:text
    securetoolurl:text? instructorchoicesendname:small? instructorchoicesendemailaddr:small?
    instructorchoiceallowroster:small? instructorchoiceallowsetting:small? instructorcustomparameters:text?
    instructorchoiceacceptgrades:small? grade launchcontainer:small resourcekey:255? password:255? debuglaunch:small
    showtitlelaunch:small showdescriptionlaunch:small servicesalt:40? icon:text? secureicon:text?
lti_submission = ltiid userid datesubmitted dateupdated gradepercent:10,5 originalgrade:10,5 launchid state:small
page = course name:255 intro:text? introformat:small content:text? contentformat:small legacyfiles:small
    legacyfileslast? display:small displayoptions:text? revision timemodified
quiz = course name:255 intro:text introformat:small timeopen timeclose timelimit overduehandling:16 graceperiod
    preferredbehaviour:32 canredoquestions:small attempts:mid attemptonlast:small grademethod:small
    decimalpoints:small questiondecimalpoints:small reviewattempt:mid reviewcorrectness:mid reviewmarks:mid
    reviewspecificfeedback:mid reviewgeneralfeedback:mid reviewrightanswer:mid reviewoverallfeedback:mid
    questionsperpage navmethod:16 shuffleanswers:small sumgrades:10,5 grade:10,5 timecreated timemodified
    password:255 subnet:255 browsersecurity:32 delay1 delay2 showuserpicture:small showblocks:small
    completionattemptsexhausted:small? completionminattempts allowofflineattempts:small?
quiz_sections = quizid firstslot heading:1333? shufflequestions:small
quiz_attempts = quiz userid attempt:mid uniqueid layout:text currentpage preview:small state:16 timestart timefinish
    timemodified timemodifiedoffline timecheckstate? sumgrades:10,5? gradednotificationsenttime?
quiz_grades = quiz userid grade:10,5 timemodified
question_usages = contextid component:255 preferredbehaviour:32
resource = course name:255 intro:text? introformat:small tobemigrated:small legacyfiles:small legacyfileslast?
    display:small displayoptions:text? filterfiles:small revision timemodified
scorm = course name:255 scormtype:50 reference:255 intro:text introformat:small version:9 maxgrade:float
    grademethod:small whatgrade maxattempt forcecompleted:small forcenewattempt:small lastattemptlock:small
    masteryoverride:small displayattemptstatus:small displaycoursestructure:small updatefreq:small sha1hash:40?
    md5hash:32 revision launch skipview:small hidebrowse:small hidetoc:small nav:small navpositionleft?
    navpositiontop? auto:small popup:small options:255 width height timeopen timeclose timemodified
    completionstatusrequired:small? completionscorerequired? completionstatusallscos:small? autocommit:small
scorm_scoes = scorm manifest:255 organization:255 parent:255 identifier:255 launch:text scormtype:5 title:255
    sortorder
scorm_scoes_track = userid scormid scoid attempt element:255 value:text timemodified
survey = course template days:mid timecreated timemodified name:255 intro:text introformat:small questions:255
    completionsubmit:small
survey_answers = userid survey question time answer1:text answer2:text
url = course name:255 intro:text? introformat:small externalurl:text display:small displayoptions:text?
    parameters:text? timemodified
wiki = course name:255 intro:text? introformat:small timecreated timemodified firstpagetitle:255 wikimode:20
    defaultformat:20 forceformat:small editbegin editend?
wiki_subwikis = wikiid groupid userid
wiki_pages = subwikiid title:255 cachedcontent:text timecreated timemodified timerendered userid pageviews
    readonly:small
wiki_versions = pageid content:text contentformat:20 version:mid timecreated userid
workshop = course name:255 intro:text? introformat:small instructauthors:text? instructauthorsformat:small
    instructreviewers:text? instructreviewersformat:small timemodified phase:small? useexamples:small?
    usepeerassessment:small? useselfassessment:small? grade:10,5? gradinggrade:10,5? strategy:30 evaluation:30
    gradedecimals:small? submissiontypetext:small submissiontypefile:small nattachments:small?
    submissionfiletypes:255? latesubmissions:small? maxbytes? examplesmode:small? submissionstart? submissionend?
    assessmentstart? assessmentend? phaseswitchassessment:small conclusion:text? conclusionformat:small
    overallfeedbackmode:small? overallfeedbackfiles:small? overallfeedbackfiletypes:255? overallfeedbackmaxbytes?
workshop_submissions = workshopid example:small? authorid timecreated timemodified title:255 content:text?
    contentformat:small contenttrust:small attachment:small? grade:10,5? gradeover:10,5? gradeoverby?
    feedbackauthor:text? feedbackauthorformat:small? timegraded? published:small? late:small
workshop_assessments = submissionid reviewerid weight timecreated? timemodified? grade:10,5? gradinggrade:10,5?
    gradinggradeover:10,5? gradinggradeoverby? feedbackauthor:text? feedbackauthorformat:small?
    feedbackauthorattachment:small? feedbackreviewer:text? feedbackreviewerformat:small?
logstore_standard_log = eventname:255 component:100 action:100 target:100 objecttable:50? objectid? crud:1
    edulevel:small contextid contextlevel contextinstanceid userid courseid? relateduserid? anonymous:small
    other:text? timecreated origin:10? ip:45? realuserid?
    """
)

_NAMES = {table: frozenset(column.name for column in columns) for table, columns in _TABLES.items()}
