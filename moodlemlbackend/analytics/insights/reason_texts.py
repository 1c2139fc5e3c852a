"""The catalogue of plain reasons: what people read about why a student was predicted so.

A sentence says a fact; ``… classmates`` adds the course's middle half after a semicolon. Sentences end without a full
stop, for they stand in lists. Texts that are about a course, and not about a student, say so.
"""

from __future__ import annotations

from moodlemlbackend.language.texts import Texts

_INDICATOR = "\\core\\analytics\\indicator\\"
_COURSE = "\\core_course\\analytics\\indicator\\"
_USER = "\\core_user\\analytics\\indicator\\"

ENGLISH = {
    "compared": "{fact}; {comparison}",
    "between": "{low} to {high}",
    "then": "{fact} ({start} to {end})",
    "like": "{fact}, like {number} of {classmates} classmates",
    "unlike": "{fact}, unlike {number} of {classmates} classmates",
    # What was due, after "of".
    "due assign": "{count} assignments",
    "due assign one": "{count} assignment",
    "due bigbluebuttonbn": "{count} video conferences",
    "due bigbluebuttonbn one": "{count} video conference",
    "due book": "{count} books",
    "due book one": "{count} book",
    "due chat": "{count} chats",
    "due chat one": "{count} chat",
    "due choice": "{count} choices",
    "due choice one": "{count} choice",
    "due data": "{count} databases",
    "due data one": "{count} database",
    "due feedback": "{count} feedback forms",
    "due feedback one": "{count} feedback form",
    "due folder": "{count} folders",
    "due folder one": "{count} folder",
    "due forum": "{count} forums",
    "due forum one": "{count} forum",
    "due glossary": "{count} glossaries",
    "due glossary one": "{count} glossary",
    "due imscp": "{count} IMS packages",
    "due imscp one": "{count} IMS package",
    "due lesson": "{count} lessons",
    "due lesson one": "{count} lesson",
    "due lti": "{count} external tools",
    "due lti one": "{count} external tool",
    "due page": "{count} pages",
    "due page one": "{count} page",
    "due quiz": "{count} quizzes",
    "due quiz one": "{count} quiz",
    "due resource": "{count} files",
    "due resource one": "{count} file",
    "due scorm": "{count} SCORM packages",
    "due scorm one": "{count} SCORM package",
    "due survey": "{count} surveys",
    "due survey one": "{count} survey",
    "due url": "{count} links",
    "due url one": "{count} link",
    "due wiki": "{count} wikis",
    "due wiki one": "{count} wiki",
    "due workshop": "{count} workshops",
    "due workshop one": "{count} workshop",
    "due other": "{count} activities of the type “{module}”",
    "due other one": "{count} activity of the type “{module}”",
    # Activities of a type: opened, and written in.
    "opened": "Opened {done} of {things}",
    "opened classmates": "most classmates opened {number}",
    "wrote": "Contributed to {done} of {things}",
    "wrote classmates": "most classmates contributed to {number}",
    "wrote assign": "Handed in {done} of {things}",
    "wrote classmates assign": "most classmates handed in {number}",
    "wrote bigbluebuttonbn": "Took part in {done} of {things}",
    "wrote classmates bigbluebuttonbn": "most classmates took part in {number}",
    "wrote chat": "Wrote in {done} of {things}",
    "wrote classmates chat": "most classmates wrote in {number}",
    "wrote choice": "Answered {done} of {things}",
    "wrote classmates choice": "most classmates answered {number}",
    "wrote feedback": "Answered {done} of {things}",
    "wrote classmates feedback": "most classmates answered {number}",
    "wrote forum": "Posted in {done} of {things}",
    "wrote classmates forum": "most classmates posted in {number}",
    "wrote lesson": "Worked on {done} of {things}",
    "wrote classmates lesson": "most classmates worked on {number}",
    "wrote lti": "Worked in {done} of {things}",
    "wrote classmates lti": "most classmates worked in {number}",
    "wrote quiz": "Attempted {done} of {things}",
    "wrote classmates quiz": "most classmates attempted {number}",
    "wrote scorm": "Worked on {done} of {things}",
    "wrote classmates scorm": "most classmates worked on {number}",
    "wrote survey": "Answered {done} of {things}",
    "wrote classmates survey": "most classmates answered {number}",
    "wrote workshop": "Took part in {done} of {things}",
    "wrote classmates workshop": "most classmates took part in {number}",
    "earlier": "{count} earlier",
    "later": "{count} later",
    "also": "{fact} ({others})",
    "no submission since": "No submission since {day}; {count} were due",
    "no submission since one": "No submission since {day}; {count} was due",
    "no submission": "No submission so far; {count} were due",
    "no submission one": "No submission so far; {count} was due",
    "none due": "About the course, not the student: no {module} were due",
    "labels": "About the course, not the student: Moodle does not record who reads labels",
    # Visits, and what was read and written.
    f"yes {_INDICATOR}any_access_after_end": "Came back after the course ended on {day}",
    f"no {_INDICATOR}any_access_after_end": "Did not come back after the course ended on {day}",
    f"yes {_INDICATOR}any_access_before_start": "Visited the course before it began on {day}",
    f"no {_INDICATOR}any_access_before_start": "Did not visit the course before it began on {day}",
    f"yes {_INDICATOR}any_course_access": "Visited the course",
    f"no {_INDICATOR}any_course_access": "Did not visit the course",
    "no visit since": "Has not visited the course since {day}",
    "no visit": "Has never visited the course",
    f"yes {_INDICATOR}any_write_action": "Did more than read on the course page itself",
    f"no {_INDICATOR}any_write_action": "Only read on the course page itself, not counting activities",
    f"yes {_INDICATOR}any_write_action_in_course": "Posted or submitted something in the course",
    f"no {_INDICATOR}any_write_action_in_course": "Posted or submitted nothing in the course",
    "nothing written since": "Has posted or submitted nothing since {day}",
    "written": "Posted or submitted something in {count} activities",
    "written one": "Posted or submitted something in one activity",
    "written classmates": "most classmates in {number}",
    "reads": "Opened the course page {count} times",
    "reads one": "Opened the course page once",
    "reads none": "Did not open the course page",
    "reads classmates": "most classmates opened it {number} times",
    "reads classmates one": "most classmates opened it {number} time",
    # Profiles and calendars.
    f"no {_USER}user_profile_set": "Has filled in nothing in the profile, or has not confirmed the account yet",
    f"part {_USER}user_profile_set": "Has filled in part of the profile",
    f"yes {_USER}user_profile_set": "Has filled in the whole profile",
    "profile more": "{number} of 10 classmates have filled in more",
    "profile less": "{number} of 10 classmates have filled in less",
    f"yes {_USER}user_track_forums": "Tracks unread forum posts",
    f"no {_USER}user_track_forums": "Does not track unread forum posts",
    "event due": "“{name}” is due on {day}",
    "event was due": "“{name}” was due on {day}",
    "events due": "{count} activities are due, the first on {day}",
    "events were due": "{count} activities were due, the first on {day}",
    f"yes {_COURSE}activities_due": "According to the calendar, something was due",
    f"no {_COURSE}activities_due": "According to the calendar, nothing was due",
    # About the course.
    f"yes {_COURSE}completion_enabled": "About the course, not the student: it tracks completion",
    f"no {_COURSE}completion_enabled": "About the course, not the student: it does not track completion",
    f"yes {_COURSE}no_student": "About the course, not the student: it has students",
    f"no {_COURSE}no_student": "About the course, not the student: it has no students",
    f"yes {_COURSE}no_teacher": "About the course, not the student: it has a teacher",
    f"no {_COURSE}no_teacher": "About the course, not the student: it has no teacher",
    f"level 1 {_COURSE}potential_cognitive_depth": (
        "About the course, not the student: its activities can only be opened and read"
    ),
    f"level 2 {_COURSE}potential_cognitive_depth": (
        "About the course, not the student: students contribute to its activities, but get no feedback"
    ),
    f"level 3 {_COURSE}potential_cognitive_depth": (
        "About the course, not the student: students get feedback in its activities, but cannot reply to it"
    ),
    f"level 4 {_COURSE}potential_cognitive_depth": (
        "About the course, not the student: students can reply to feedback in its activities"
    ),
    f"level 5 {_COURSE}potential_cognitive_depth": (
        "About the course, not the student: students can hand in work again after feedback"
    ),
    f"level 1 {_COURSE}potential_social_breadth": (
        "About the course, not the student: students work alone in its activities"
    ),
    f"level 2 {_COURSE}potential_social_breadth": (
        "About the course, not the student: students work with others in some of its activities"
    ),
    "time": "About the time, not the student: the prediction is about {part} of the course",
    # Indicators without a sentence, and counts that are no longer there.
    "higher": "{label}: higher than for {number} of 10 classmates",
    "lower": "{label}: lower than for {number} of 10 classmates",
    "as others": "{label}: about the same as for most classmates",
    "value": "{label}: {value}",
    "above mean": "{label}: above the course average",
    "below mean": "{label}: below the course average",
    "at mean": "{label}: about the course average",
}

_TEXTS = Texts(ENGLISH)

say, known = _TEXTS.say, _TEXTS.known
