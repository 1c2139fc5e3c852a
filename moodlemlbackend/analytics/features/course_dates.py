"""Start and end dates of courses that have none, guessed from enrolments and logs. Nothing is written to Moodle here.

The guesses are Moodle's: a course begins halfway between the median of its students' first visits and the median of the
beginnings of all enrolments in force, teachers' too (as the oracle's Moodle does; each of a user's enrolments counts);
it ends at the median of the students' last visits, unless one of them was there in the last eight weeks.
"""

from __future__ import annotations

import http.client
import json
import urllib.error
import urllib.parse
import urllib.request
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

import numpy as np

from moodlemlbackend.analytics.features.analysables import MAX_TIME, Courses, facts
from moodlemlbackend.analytics.features.analysers import COURSES_A_BATCH
from moodlemlbackend.analytics.features.targets.enrolments import LONGEST_COURSE
from moodlemlbackend.analytics.features.weeks import week_end
from moodlemlbackend.analytics.site.activities import format_options, last_sections
from moodlemlbackend.analytics.site.logs import COURSE_LEVEL
from moodlemlbackend.deadline import within
from moodlemlbackend.errors import SiteError, UsageError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

    from moodlemlbackend.analytics.features.analysables import Course
    from moodlemlbackend.analytics.site import Site
    from moodlemlbackend.analytics.site.database import Integers

DAY = 86_400

OPEN_SECONDS = 8 * 7 * DAY
"""A student's visit in this time before now shows that a course is still going on."""

FAR_SHARE, FAR_SECONDS = 0.25, 14 * DAY
"""Share of a course, and seconds, that most students may come before or after its start if that is right."""

SAME, UNKNOWN, CLASH, TOO_LONG, BY_FORMAT = (
    "is already set", "cannot be guessed", "would be after the end", "would make the course too long",
    "follows from the weeks format",
)  # fmt: skip

TIMEOUT_SECONDS = 30.0
"""For each step of a call of Moodle's web service, and for the whole of it."""

_WEB_SERVICE = "core_course_update_courses"


@dataclass(frozen=True)
class Proposal:
    """Dates of one course: those that it has and those that are proposed, Unix times, None where nothing is.

    The notes say why a date is not proposed, or where it comes from.
    """

    courseid: int
    name: str
    start: int
    end: int
    new_start: int | None
    new_end: int | None
    start_note: str = ""
    end_note: str = ""

    @property
    def changes(self) -> dict[str, int]:
        """The dates to be set, by column."""
        dates = {"startdate": self.new_start, "enddate": self.new_end}
        return {key: value for key, value in dates.items() if value is not None}


def propose(
    site: Site,
    now: int,
    *,
    start: bool = True,
    end: bool = True,
    everything: bool = False,
    only: Collection[int] = (),
) -> Iterator[Proposal]:
    """Guess dates: of the courses that have none of those that are asked for, or of all with ``everything``."""
    rows = [
        row
        for row in site.courses
        if (not only or row.id in only) and (everything or not ((start and row.start) or (end and row.end)))
    ]
    for first in range(0, len(rows), COURSES_A_BATCH):
        batch = Courses(site, rows[first : first + COURSES_A_BATCH], now)
        automatic = _automatic_ends(site, batch)
        for course in batch:
            yield _propose(course, start=start or everything, end=end or everything, weeks=automatic.get(course.id))
            course.forget()


def guess_start(course: Course) -> int:
    """When a course began, 0 when nothing tells: see the module."""
    firsts, begun = _first_visits(course), _enrolled(course)
    if not len(firsts) or not len(begun):
        return 0
    return (_median(firsts) + _median(begun)) // 2


def guess_end(course: Course) -> int:
    """When a course ended, 0 when nothing tells or it still goes on: see the module."""
    if not np.isin(course.logs().users, course.students).any():
        return 0
    accesses = course.fact(facts.last_accesses, np.empty((0, 2), np.int64))
    enrolled = np.intersect1d(course.students, course.enrolments.users)
    times = accesses[np.isin(accesses[:, 0], enrolled) & (accesses[:, 1] != 0), 1]
    if not len(times) or times.max() > course.now - OPEN_SECONDS:
        return 0
    return _median(np.unique(times))


def doubt_dates(course: Course) -> str:
    """Why the dates of a running course are likely to be wrong, as the end of a sentence; empty when nothing tells.

    They are when the course does not go on by them; when its students came no longer; or when most came, or else were
    enrolled, more than a quarter of the course before or after its start.
    """
    if course.is_finished:
        return f"its dates are wrong: they say that it ended on {_day(course, course.end)}"
    if not course.was_started:
        return "its dates are wrong: they say that it has not begun"
    if last := guess_end(course):
        return f"its dates are wrong: its students last visited around {_day(course, last)}, but it has not ended"
    firsts = _first_visits(course)
    known = 2 * len(firsts) > len(course.students)
    arrivals = firsts if known else _enrolled(course)
    if not len(arrivals):
        return ""
    late = _median(arrivals) - course.start
    if abs(late) <= max(FAR_SHARE * ((course.end or course.now) - course.start), FAR_SECONDS):
        return ""
    return (
        f"its dates are wrong: most of its students {'first visited' if known else 'were enrolled'} around "
        f"{_day(course, _median(arrivals))}, {abs(late) // DAY} days {'after' if late > 0 else 'before'} its start"
    )


def to_sql(proposals: Sequence[Proposal], prefix: str) -> list[str]:
    """Statements that set the proposed dates; Moodle's caches are to be purged after them."""
    return [
        f"UPDATE {prefix}course SET {', '.join(f'{key} = {value}' for key, value in proposal.changes.items())} "
        f"WHERE id = {proposal.courseid};"
        for proposal in proposals
        if proposal.changes
    ]


def update_by_web_service(wwwroot: str, token: str, proposals: Sequence[Proposal]) -> list[str]:
    """Have Moodle set the proposed dates, by its web service; returns its warnings.

    Raises
    ------
    UsageError
        Moodle's address or the token is missing.
    SiteError
        Moodle cannot be reached, or refuses.
    """
    if not wwwroot or not token:
        raise UsageError("To let Moodle set dates, give its address (wwwroot) and a token for its web service.")
    fields = {"wstoken": token, "wsfunction": _WEB_SERVICE, "moodlewsrestformat": "json"}
    for number, proposal in enumerate(proposal for proposal in proposals if proposal.changes):
        fields[f"courses[{number}][id]"] = str(proposal.courseid)
        for key, value in proposal.changes.items():
            fields[f"courses[{number}][{key}]"] = str(value)
    if len(fields) == 3:
        return []
    url = f"{wwwroot}/webservice/rest/server.php"
    try:
        response = within(TIMEOUT_SECONDS, lambda: _ask(url, fields))
    except (OSError, ValueError, RecursionError, http.client.HTTPException) as error:
        raise SiteError(f"Moodle's web service {url} cannot be used: {error}; check wwwroot and the token.") from error
    if not isinstance(response, dict) or "exception" in response:
        reason = response.get("message", "") if isinstance(response, dict) else response
        raise SiteError(
            f"Moodle's web service refused the request: {reason}; check the token, and that its service has "
            f"{_WEB_SERVICE}."
        )
    return [str(warning.get("message", warning)) for warning in response.get("warnings", [])]


def _ask(url: str, fields: dict[str, str]) -> Any:
    request = urllib.request.Request(url, urllib.parse.urlencode(fields).encode())  # noqa: S310  http(s)
    with urllib.request.urlopen(request, timeout=TIMEOUT_SECONDS) as answer:  # noqa: S310
        return json.loads(answer.read(1 << 20))


def _propose(course: Course, *, start: bool, end: bool, weeks: int | None) -> Proposal:
    new_start = new_end = None
    start_note = end_note = ""
    begins = course.start
    if start:
        guessed = guess_start(course)
        if guessed == 0:
            start_note = UNKNOWN
        elif guessed == course.start:
            start_note = SAME
        else:
            begins = guessed
            if course.end and course.end < guessed:
                start_note = CLASH
            else:
                new_start = guessed
    if end:
        guessed = week_end(course.site, begins, weeks) if weeks is not None and begins else guess_end(course)
        if guessed == 0:
            end_note = UNKNOWN
        elif guessed == course.end:
            end_note = SAME
        elif guessed < begins:
            end_note = "would be before the start"
        elif guessed > begins + LONGEST_COURSE:
            end_note = TOO_LONG
        else:
            new_end = guessed
            end_note = BY_FORMAT if weeks is not None else ""
    return Proposal(course.id, course.name, course.start, course.end, new_start, new_end, start_note, end_note)


def _first_visits(course: Course) -> Integers:
    """When each student who came to the course's page was there first."""
    logs = course.logs()
    firsts: Integers = logs.earliest(logs.contexts == COURSE_LEVEL, course.students, MAX_TIME)
    return firsts[firsts < MAX_TIME]


def _enrolled(course: Course) -> Integers:
    """The beginnings of all enrolments in force."""
    enrolments = course.enrolments
    begun: Integers = np.where(enrolments.starts != 0, enrolments.starts, enrolments.created)
    return begun[enrolments.active(course.now)]


def _day(course: Course, time: int) -> str:
    day = datetime.fromtimestamp(time, course.site.zone)
    return f"{day.day} {day:%B %Y}"


def _median(times: Integers) -> int:
    """The middle one; of two in the middle the whole part of their mean."""
    ordered = np.sort(times)
    return int(ordered[(len(ordered) - 1) // 2] + ordered[len(ordered) // 2]) // 2


def _automatic_ends(site: Site, courses: Courses) -> dict[int, int]:
    """Number of weeks of the courses whose format sets the end date, by course."""
    in_weeks = {course.id: course.format for course in courses if course.in_weeks}
    chosen = format_options(site, [*in_weeks], "automaticenddate")
    return {
        course: max(number, 1)
        for course, number in last_sections(site, [*in_weeks]).items()
        if chosen.get((course, in_weeks[course]), "1") not in ("0", "")
    }
