"""The course page: all students of a course in one table, those at risk first, with an overview above it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from fastapi.responses import Response

from moodlemlbackend.analytics import models
from moodlemlbackend.analytics.db import choices, follow_ups, insights, risks
from moodlemlbackend.analytics.insights.capabilities import LIST_INSIGHTS
from moodlemlbackend.analytics.site.names import format_name
from moodlemlbackend.analytics.students.bands import Band, minimum_score
from moodlemlbackend.analytics.students.course_facts import read_course_facts
from moodlemlbackend.analytics.students.first_prediction import first_prediction
from moodlemlbackend.analytics.students.overview import band_history, current_bands
from moodlemlbackend.analytics.students.roster import ORDERS, TO_DO, RosterQuery, chosen, roster
from moodlemlbackend.analytics.students.weekly_activity import earlier_shares, read_weekly_activity, same_kind
from moodlemlbackend.errors import RequestError
from moodlemlbackend.server import limits
from moodlemlbackend.server.pages.course_charts import risk_scale, spark_line, weekly_chart
from moodlemlbackend.server.pages.site.acting import SNOOZES, back_to, said_done
from moodlemlbackend.server.pages.site.course_access import open_course
from moodlemlbackend.server.pages.site.course_reasons import first_reasons
from moodlemlbackend.server.pages.site.forms import FIELD
from moodlemlbackend.server.pages.site.in_words import ago, alert_in_words
from moodlemlbackend.server.pages.site.responses import Page, go
from moodlemlbackend.server.texts import say

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from moodlemlbackend.analytics.models import AnalyticsModel
    from moodlemlbackend.analytics.students.course_facts import CourseFacts
    from moodlemlbackend.analytics.students.first_prediction import FirstPrediction
    from moodlemlbackend.analytics.students.roster import RosterRow
    from moodlemlbackend.server.pages.course_charts import WeeklyChart
    from moodlemlbackend.server.pages.site.course_access import CourseAccess
    from moodlemlbackend.server.pages.site.forms import PageForm
    from moodlemlbackend.server.pages.site.request_context import RequestContext

COLUMNS = ("trend", "alerts", "access", "work", "grade", "contact", "groups")
"""That a person can hide; the risk and the name stay."""
_CHOICE = "course columns"
_HIDDEN_AT_FIRST = frozenset({"groups"})

ROWS, REASONS, ACTIVITY, WEEKS = "rows", "reasons", "activity", "weeks"
"""Parts of the page that follow by themselves; and, without a script, the page with activity by week."""


@dataclass(frozen=True)
class CourseQuery:
    """What is asked of a course page.

    ``part`` is one of :data:`ROWS`, :data:`REASONS` and :data:`ACTIVITY` for a part alone, or :data:`WEEKS`; ``done``
    and ``batch`` are what a form did just before.
    """

    courseid: int
    model: int | None = None
    roster: RosterQuery = field(default_factory=RosterQuery)
    page: int = 1
    part: str = ""
    done: str = ""
    batch: str = ""

    def address(self, page: int = 1, *, path: str = "", part: str = "", **changes: str) -> str:
        """The address of this page or of a part of it, with other filters or another order."""
        asked = replace(self.roster, **changes)
        fields = {
            "model": self.model, "sort": asked.sort, "q": asked.search, "group": asked.group, "band": asked.band,
            "alert": asked.alert, "contact": asked.contact, "page": page if page > 1 else None,
            "part": part,
        }  # fmt: skip
        given = urlencode({name: value for name, value in fields.items() if value})
        return f"/courses/{self.courseid}{path}" + (f"?{given}" if given else "")

    def sorted_by(self, name: str) -> str:
        """The address that sorts by a column; the other way round where it does so already."""
        return self.address(sort=f"-{name}" if self.roster.sort == name else name)

    @property
    def filtered(self) -> bool:
        """Whether students may be left out."""
        return replace(self.roster, sort="") != RosterQuery()


@dataclass(frozen=True)
class Roster:
    """All rows of a course that a person may see, by one of its models, None without predictions."""

    access: CourseAccess
    model: AnalyticsModel | None
    facts: CourseFacts
    rows: Sequence[RosterRow]
    minimum_score: float

    @property
    def predicted(self) -> int:
        """When the model predicted last, a Unix time; 0 for never."""
        return max((row.risk.created for row in self.rows if row.risk), default=0)


def index(ctx: RequestContext, query: CourseQuery) -> Page:
    """The page, or a part of it."""
    if query.part == ACTIVITY:
        return Page("course-activity.html", {"activity": _activity(ctx, open_course(ctx, query.courseid))})
    table = read(ctx, query)
    query = replace(query, model=table.model.id if table.model and len(table.access.models) > 1 else None)
    rows = chosen(table.rows, query.roster)
    first = (query.page - 1) * limits.PAGE_STUDENTS
    shown = rows[first : first + limits.PAGE_STUDENTS]
    columns = _columns(ctx, table.access)
    why: dict[int, str] | None = {}
    if "alerts" in columns:
        at_once = query.part in (REASONS, ROWS, WEEKS)
        why = first_reasons(ctx, table.access, table.model, shown, read=at_once)
    if query.part == REASONS:
        return Page("course-reasons.html", {"why": why})
    values: dict[str, Any] = {
        "course": table.access, "query": query, "rows": shown, "number": len(rows), "names": teachers(ctx, shown),
        "more": query.page + 1 if len(rows) > first + len(shown) else 0, "columns": columns,
        "risk_scale": risk_scale, "spark_line": spark_line, "now": table.facts.now,
        "alert_in_words": lambda alert: alert_in_words(alert, ctx.site.language),
        "ago": lambda time: ago(time, table.facts.now, ctx.site.zone),
        "why": why or {}, "pending": why is None,
    }  # fmt: skip
    if query.part == ROWS:
        return Page("course-rows.html", values)
    with ctx.workspace.store.read() as connection:
        flagging = insights.models_in(connection, table.access.contextid)
    values |= {
        "table": table, "Band": Band, "bands": current_bands(table.rows),
        "history": band_history(table.rows, table.minimum_score),
        "urgent": _urgent(table.rows), "urgent_address": query.address(band=Band.HIGH.value, contact=TO_DO),
        "activity": _known_activity(ctx, table.access, read=query.part == WEEKS),
        "first": None if table.model else _first(ctx, table.access),
        "groups": _groups(ctx, table.access, table.facts), "every_column": _offered(table.access), "field": FIELD,
        "back": query.address(query.page), "snooze_days": SNOOZES, "sorts": _sorts(table.access, query.roster.sort),
        "done": said_done(ctx, query.courseid, query.done, query.batch),
        "insights": any(model.id in flagging for model in table.access.models),
    }  # fmt: skip
    return Page("course.html", values, scripted=True)


def write(ctx: RequestContext, form: PageForm, courseid: int) -> Response:
    """Go to the message to students who were selected."""
    access = open_course(ctx, courseid)
    students = [userid for userid in dict.fromkeys(form.numbers("student")) if userid in access.students]
    if not students:
        raise RequestError(say("course nobody selected"), 400)
    return go(f"/courses/{courseid}/message?{urlencode({'student': students}, doseq=True)}")


def choose_columns(ctx: RequestContext, form: PageForm, courseid: int) -> Response:
    """Remember the columns that a person wants to see, in every course."""
    access = open_course(ctx, courseid)
    hidden = set(COLUMNS) - set(form.texts("column"))
    if not access.sees_grades:
        hidden.discard("grade")  # it was not offered
    with ctx.workspace.store.write() as connection:
        choices.write(connection, ctx.person.id, _CHOICE, " ".join(sorted(hidden)))
    return go(back_to(form.text("back"), access))


def read(ctx: RequestContext, query: CourseQuery) -> Roster:
    """Read all rows of a course."""
    access = open_course(ctx, query.courseid)
    model = access.model(query.model)
    facts = _facts(ctx, access)
    by_sample: dict[int, list[risks.Risk]] = {}
    with ctx.workspace.store.read() as connection:
        if model is not None:
            by_sample = risks.in_context(connection, access.contextid, model.id)
        done = follow_ups.listed(connection, query.courseid)
    minimum = minimum_score(model)
    rows = roster(
        access.course, facts, access.students.values(), by_sample, done, zone=ctx.site.zone, minimum_score=minimum,
        sees_grades=access.sees_grades, groups=_groups(ctx, access, facts),
    )  # fmt: skip
    return Roster(access, model, facts, rows, minimum)


def _facts(ctx: RequestContext, access: CourseAccess) -> CourseFacts:
    row, now = access.course, ctx.workspace.clock()
    facts = ctx.cache.get(("facts", row.id), lambda: read_course_facts(ctx.site, row, now))
    return replace(facts, now=now)


def _groups(ctx: RequestContext, access: CourseAccess, facts: CourseFacts) -> list[Any]:
    """The groups that a person may see: with separate groups the own ones."""
    return [group for group in facts.groups if not access.own_groups or ctx.person.id in group.members]


def _urgent(rows: Iterable[RosterRow]) -> int:
    return len(chosen(rows, RosterQuery(band=Band.HIGH.value, contact=TO_DO)))


def teachers(ctx: RequestContext, rows: Iterable[RosterRow]) -> dict[int, str]:
    """Who contacted the students of some rows, by user id."""
    return ctx.names({row.standing.contact.userid for row in rows if row.standing.contact})


def _offered(access: CourseAccess) -> list[str]:
    return [name for name in COLUMNS if name != "grade" or access.sees_grades]


def _sorts(access: CourseAccess, current: str) -> list[tuple[str, str]]:
    """The orders to choose from, and their names; the current one among them."""
    names = ["risk", "name", *(name for name in _offered(access) if name in ORDERS)]
    labels = {name: say("course student" if name == "name" else f"course {name}") for name in names}
    if current.startswith("-") and current[1:] in labels:
        labels[current] = say("course reversed", order=labels[current[1:]])
    return [*labels.items()]


def _columns(ctx: RequestContext, access: CourseAccess) -> list[str]:
    """The columns that a person sees."""
    with ctx.workspace.store.read() as connection:
        stored = choices.read(connection, ctx.person.id).get(_CHOICE)
    hidden = _HIDDEN_AT_FIRST if stored is None else frozenset(stored.split())
    return [name for name in _offered(access) if name not in hidden]


def _first(ctx: RequestContext, access: CourseAccess) -> FirstPrediction | None:
    with ctx.workspace.store.read() as connection:
        every = models.listed(connection, trained=True)
    return first_prediction(ctx.site, every, access.course, ctx.workspace.clock())


def _activity(ctx: RequestContext, access: CourseAccess) -> WeeklyChart | None:
    """Active students by week beside those of earlier courses; None before the first week is over.

    Earlier courses are named but for hidden ones that are closed to the person.
    """
    row, now = access.course, ctx.workspace.clock()

    def read() -> Any:
        earlier = same_kind(ctx.site.courses, row, now)
        return read_weekly_activity(ctx.site, row, now), earlier, earlier_shares(ctx.site, earlier, now)

    weeks, earlier, shares = ctx.cache.get(("activity", row.id), read)
    may_know = [
        course
        for course in earlier
        if shares and (course.visible or ctx.capabilities.may(ctx.person.id, LIST_INSIGHTS, course.context))
    ]
    names = [format_name(course.shortname, ctx.site.language) for course in may_know]
    return weekly_chart(weeks.shares(access.students.keys()), shares, names)


def _known_activity(ctx: RequestContext, access: CourseAccess, *, read: bool) -> WeeklyChart | None:
    """The same when it need not be read first, or shall be."""
    return _activity(ctx, access) if read or ctx.cache.has(("activity", access.course.id)) else None
