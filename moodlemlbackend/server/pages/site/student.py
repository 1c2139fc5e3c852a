"""The page of a student in a course: risk, reasons, what the student did and handed in, and what teachers did."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple

from moodlemlbackend.analytics.db import follow_ups, predictions, risks
from moodlemlbackend.analytics.insights import listing
from moodlemlbackend.analytics.insights.reasons import evidence_of, reasons_of
from moodlemlbackend.analytics.site.coursework import COURSE_ITEM, course_work, grades_of, own_due_dates, submissions
from moodlemlbackend.analytics.students import coursework
from moodlemlbackend.analytics.students.bands import Band, band_of, minimum_score
from moodlemlbackend.analytics.students.course_facts import read_last_access
from moodlemlbackend.analytics.students.standing import State, flagged_since, standing_of
from moodlemlbackend.analytics.students.timeline import FEWEST_STUDENTS, MOST_WEEKS, read_activity, weeks_of
from moodlemlbackend.dataset.words import percent
from moodlemlbackend.errors import RequestError
from moodlemlbackend.language.dates import Dates
from moodlemlbackend.language.numbers import number
from moodlemlbackend.server import limits
from moodlemlbackend.server.pages.charts import bars
from moodlemlbackend.server.pages.course_charts import spark_line
from moodlemlbackend.server.pages.site.acting import SNOOZES, said_done
from moodlemlbackend.server.pages.site.course_access import open_course
from moodlemlbackend.server.pages.site.in_words import ago
from moodlemlbackend.server.pages.site.responses import Page
from moodlemlbackend.server.pages.timeline_chart import NARROW, WIDE, Event, EventKind, timeline_chart
from moodlemlbackend.server.texts import say

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import tzinfo

    from moodlemlbackend.analytics.db.follow_ups import FollowUp
    from moodlemlbackend.analytics.db.risks import Risk
    from moodlemlbackend.analytics.insights.listing import Insight
    from moodlemlbackend.analytics.insights.reasons import PlainReason
    from moodlemlbackend.analytics.models import AnalyticsModel
    from moodlemlbackend.analytics.site.coursework import Grade
    from moodlemlbackend.analytics.students.coursework import StudentWork
    from moodlemlbackend.analytics.students.standing import Standing
    from moodlemlbackend.analytics.students.student import Student
    from moodlemlbackend.analytics.students.timeline import Week
    from moodlemlbackend.server.pages.site.course_access import CourseAccess
    from moodlemlbackend.server.pages.site.request_context import RequestContext

SAME_POINTS = 0.5
"""Of 100, by which a probability may change without a word."""


@dataclass(frozen=True)
class StudentQuery:
    """Which student of which course is asked for, and by which model; None for the course's first.

    ``done`` and ``batch`` are the kind and the name of what a form did before.
    """

    course: int
    student: int
    model: int | None = None
    done: str = ""
    batch: str = ""


class PastPrediction(NamedTuple):
    """A prediction of a student, and the insight that it became, None if it did not."""

    risk: Risk
    band: Band
    insight: int | None


@dataclass(frozen=True)
class RiskView:
    """What a model says of a student now.

    Attributes
    ----------
    history
        every prediction, the latest one first.
    trend
        how the last two differ, in words.
    spark
        points of a line through all probabilities in a box of 100 × 24, empty with fewer than two.
    insight, reasons
        None and empty without an insight in the last range.
    """

    history: Sequence[PastPrediction]
    trend: str
    spark: str
    insight: Insight | None
    reasons: Sequence[PlainReason]

    @property
    def now(self) -> PastPrediction:
        """The latest prediction."""
        return self.history[0]


class Neighbours(NamedTuple):
    """The students at high risk next to one, by their risk; ``place`` is 0 for a student who is not at high risk."""

    before: Student | None
    after: Student | None
    place: int
    number: int


class Done(NamedTuple):
    """What a teacher did, in words."""

    what: str
    text: str
    time: int


class TimelineRow(NamedTuple):
    """A week with what happened in it, in words."""

    week: Week
    events: Sequence[str]


def student(ctx: RequestContext, query: StudentQuery) -> Page:
    """The page; RequestError of 404 for a student whom the person may not see there."""
    access = open_course(ctx, query.course)
    shown = access.students.get(query.student)
    if shown is None:
        raise RequestError(say("no such student"), 404)
    dates, now = Dates(ctx.site.zone), ctx.workspace.clock()
    model = access.model(query.model)
    with ctx.workspace.store.read() as connection:
        every = risks.in_context(connection, access.contextid, model.id) if model else {}
        done = follow_ups.listed(connection, query.course, [shown.userid]).get(shown.userid, [])
    people = ctx.names({one.userid for one in done})
    risk = _risk(ctx, access, shown, model, every, dates) if model else None
    work, handed_in, grades = _work(ctx, access, shown, now)
    events = sorted([*handed_in, *_events(risk, grades, done, people)], key=lambda event: event.time)
    weeks = _weeks(ctx, access, shown, now)
    standing = standing_of(done, now, flagged_since(shown.trend(every), minimum_score(model)))
    default = access.models[0].id if access.models else None
    values = {
        "access": access, "student": shown, "model": model, "risk": risk,
        "asked": f"?model={model.id}" if model and model.id != default else "",
        "standing": _standing(done, standing, people, shown, ctx.site.zone, now), "state": standing.state.value,
        "done": said_done(ctx, query.course, query.done, query.batch), "batch": query.batch,
        "seen": _last_seen(ctx, access, shown, now),
        "snooze_days": SNOOZES, "bars": bars, "unknown": _unknown(risk),
        "charts": [timeline_chart(weeks, events, width) for width in (WIDE, NARROW)] if weeks else [],
        "rows": _rows(weeks, events),
        "quiet": not any(week.actions for week in weeks),
        "few": FEWEST_STUDENTS, "most_weeks": MOST_WEEKS, "limits": limits,
        "begun": 0 < access.course.start <= now, "has_middle": any(week.middle for week in weeks),
        "work": [*reversed(work)], "figures": coursework.figures(work), "grade_in_words": grade_in_words,
        "course_grade": next((grade for grade in grades if grade.itemtype == COURSE_ITEM), None),
        "history": [_done(one, people, dates) for one in reversed(done)],
        "neighbours": _neighbours(access, shown, every, model), "wwwroot": ctx.workspace.settings.wwwroot,
    }  # fmt: skip
    return Page("student.html", values)


# ---- the risk ----


def _risk(
    ctx: RequestContext, access: CourseAccess, shown: Student, model: AnalyticsModel,
    every: Mapping[int, Sequence[Risk]], dates: Dates,
) -> RiskView | None:  # fmt: skip
    """What a model says of a student, by the enrolment that it predicted last; None if it never has."""
    mine = shown.trend(every)
    if not mine:
        return None
    minimum = minimum_score(model)
    with ctx.workspace.store.read() as connection:
        insights = predictions.of_samples(connection, model.id, access.contextid, shown.enrolments)
    history = [
        PastPrediction(one, band_of(one, minimum), insights.get((one.sampleid, one.rangeindex)))
        for one in reversed(mine)
    ]
    latest = history[0].insight
    insight = None if latest is None else listing.get(ctx.workspace, ctx.site, latest)
    reasons: list[PlainReason] = []
    if insight is not None:
        evidence = evidence_of(insight, ctx.site, ctx.workspace.clock(), ctx.cache.get)
        reasons = reasons_of(insight, evidence)
    return RiskView(history, _change(mine, dates), spark_line(mine, 100, 24) if len(mine) > 1 else "", insight, reasons)


def _change(mine: Sequence[Risk], dates: Dates) -> str:
    if len(mine) < 2:
        return say("trend first")
    before, last = mine[-2], mine[-1]
    points, day = 100 * (last.probability - before.probability), dates.day(before.created)
    if abs(points) < SAME_POINTS:
        return say("trend same", day=day)
    count = round(abs(points))
    return say("trend up", count=count, day=day) if points > 0 else say("trend down", count=count, day=day)


def _unknown(risk: RiskView | None) -> list[str]:
    no_range = risk is not None and risk.now.risk.low is None
    return [say("unknown outside"), say("unknown why"), say("unknown help"), *([say("unknown course")] * no_range)]


def _neighbours(
    access: CourseAccess, shown: Student, every: Mapping[int, Sequence[Risk]], model: AnalyticsModel | None
) -> Neighbours:
    """The students at high risk before and after one; the first of them comes after one who is not."""
    minimum = minimum_score(model)
    latest = {one.userid: trend[-1] for one in access.students.values() if (trend := one.trend(every))}
    high = [user for user, risk in latest.items() if band_of(risk, minimum) is Band.HIGH]
    high.sort(key=lambda user: (-latest[user].probability, user))
    at = high.index(shown.userid) if shown.userid in high else -1
    before = access.students[high[at - 1]] if at > 0 else None
    after = access.students[high[at + 1]] if at + 1 < len(high) else None
    return Neighbours(before, after, at + 1, len(high))


# ---- what teachers did ----


def _standing(
    done: Sequence[FollowUp], standing: Standing, people: Mapping[int, str], shown: Student, zone: tzinfo, now: int
) -> str:
    """Where a student stands, in words, by what was done last; a note changes nothing."""
    name, dates = shown.first_name or shown.name, Dates(zone)
    acted = next((one for one in reversed(done) if one.kind != follow_ups.NOTE), None)
    if acted is None:
        if not done:
            return say("standing open", name=name)
        when = ago(done[-1].timecreated, now, zone)
        return say("standing noted", when=when, person=people[done[-1].userid], name=name)
    when, person = ago(acted.timecreated, now, zone), people[acted.userid]
    if standing.again:
        return say("standing again", when=when, person=person)
    if standing.state is State.SNOOZED:
        return say("standing snoozed", day=dates.day(acted.until), person=person)
    if acted.kind == follow_ups.SNOOZED:
        return say("standing woken", day=dates.day(acted.until), person=person)
    if standing.state is State.OPEN:
        return say("standing reopened", when=when, person=person)
    return say(f"standing {standing.state.value}", when=when, person=person)


def _done(one: FollowUp, people: Mapping[int, str], dates: Dates) -> Done:
    what = say(f"event {one.kind}", person=people[one.userid])
    if one.until:
        what += " " + say("history until", day=dates.day(one.until))
    return Done(what, one.text, one.timecreated)


def _last_seen(ctx: RequestContext, access: CourseAccess, shown: Student, now: int) -> str:
    course = access.course.id
    time = ctx.cache.get(("last access", course), lambda: read_last_access(ctx.site, course)).get(shown.userid, 0)
    return say("student seen", when=ago(time, now, ctx.site.zone)) if time else say("student never seen")


# ---- what the student did ----


def _weeks(ctx: RequestContext, access: CourseAccess, shown: Student, now: int) -> list[Week]:
    course = access.course
    activity = ctx.cache.get(("weeks", course.id), lambda: read_activity(ctx.site, course, now))
    return weeks_of(activity, shown.userid) if activity else []


def _work(
    ctx: RequestContext, access: CourseAccess, shown: Student, now: int
) -> tuple[list[StudentWork], list[Event], Sequence[Grade]]:
    """What the student had to hand in, all that was handed in, and all grades that the person may see."""
    site, course, user = ctx.site, access.course.id, shown.userid
    every = ctx.cache.get(("work", course, site.language), lambda: course_work(site, course))
    grades = grades_of(site, course, user)
    times = submissions(site, user, every)
    own_dates = own_due_dates(site, {work.key: work.due for work in every}, user).get(user, {})
    events = []
    for one in every:
        if time := times.get(one.key):
            late = 0 < own_dates.get(one.key, one.due) < time
            text = say("event late" if late else "event handed in", work=one.name)
            events.append(Event(EventKind.HANDED_IN, time, text, "late" if late else ""))
    listed = coursework.work_of(every, own_dates, times, grades, now)
    if access.sees_grades:
        return listed, events, grades
    return [replace(one, grade=None) for one in listed], events, []


def _events(
    risk: RiskView | None, grades: Sequence[Grade], done: Sequence[FollowUp], people: Mapping[int, str]
) -> list[Event]:
    """Grades, predictions, and what teachers did."""
    events = []
    for grade in grades:
        if grade.time and grade.itemtype != COURSE_ITEM:
            text = say("event graded", work=grade.name or say("event graded unnamed"), grade=grade_in_words(grade))
            events.append(Event(EventKind.GRADED, grade.time, text))
    for one in risk.history if risk else ():
        text = say("event predicted", percent=percent(one.risk.probability), band=say(f"student band {one.band.value}"))
        events.append(Event(EventKind.PREDICTED, one.risk.created, text, f"band-{one.band.value}"))
    events += [
        Event(EventKind.TEACHERS, one.timecreated, say(f"event {one.kind}", person=people[one.userid])) for one in done
    ]
    return events


def grade_in_words(grade: Grade) -> str:
    """A grade as the gradebook shows it: a word of its scale, or points of the most there are."""
    return grade.word or say("grade of", value=_points(grade.value), most=_points(grade.most))


def _points(value: float) -> str:
    return number(value, ",.0f" if round(value, 1) == round(value) else ",.1f")


def _rows(weeks: Sequence[Week], events: Sequence[Event]) -> list[TimelineRow]:
    return [
        TimelineRow(week, [event.text for event in events if week.start <= event.time < week.end])
        for week in reversed(weeks)
    ]
