"""The table of a course's students as CSV: all rows that are asked for."""

from __future__ import annotations

import csv
import io
from typing import TYPE_CHECKING, Any

from fastapi.responses import Response

from moodlemlbackend.analytics.students.roster import chosen
from moodlemlbackend.language.dates import local_time
from moodlemlbackend.server.pages.rendering import HEADERS
from moodlemlbackend.server.pages.site.course import COLUMNS, read, teachers
from moodlemlbackend.server.pages.site.in_words import alert_in_words
from moodlemlbackend.server.texts import say

if TYPE_CHECKING:
    from moodlemlbackend.analytics.students.roster import RosterRow
    from moodlemlbackend.server.pages.site.course import CourseQuery
    from moodlemlbackend.server.pages.site.request_context import RequestContext


def export(ctx: RequestContext, query: CourseQuery) -> Response:
    """All rows that are asked for, as CSV."""
    table = read(ctx, query)
    rows = chosen(table.rows, query.roster)
    names = teachers(ctx, rows)
    hidden = {"grade": not table.access.sees_grades, "email": not table.access.sees_addresses}
    columns = [name for name in ("student", "email", "risk", *COLUMNS) if not hidden.get(name)]
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow([_harmless(heading) for name in columns for heading in _headings(name)])
    for row in rows:
        writer.writerow([_harmless(cell) for name in columns for cell in _cells(ctx, name, row, names)])
    headers = {**HEADERS, "Content-Disposition": f'attachment; filename="students-{query.courseid}.csv"'}
    return Response(text.getvalue().encode("utf-8-sig"), media_type="text/csv; charset=utf-8", headers=headers)


def _headings(column: str) -> list[str]:
    if column == "risk":
        return [say("course risk"), say("course probability"), say("course low"), say("course high")]
    if column == "work":
        return [say("course done"), say("course due")]
    if column == "contact":
        return [say("course state"), say("course contact"), say("course contact by")]
    return [say(f"course {column}")]


def _cells(ctx: RequestContext, column: str, row: RosterRow, names: dict[int, str]) -> list[str]:
    risk, contact = row.risk, row.standing.contact
    cells: dict[str, list[Any]] = {
        "student": [row.student.name],
        "email": [row.student.email],
        "risk": [say(f"band {row.band.value}"), *map(_share, (
            (risk.probability, risk.low, risk.high) if risk else (None, None, None)))],
        "trend": [_share(row.change)],
        "alerts": ["; ".join(alert_in_words(alert, ctx.site.language) for alert in row.alerts)],
        "access": [_day(ctx, row.last_access)],
        "work": [row.done, row.due],
        "grade": [_share(row.grade)],
        "contact": [say(f"case {row.standing.state.value}"), *(
            (_day(ctx, contact.timecreated), names.get(contact.userid, "")) if contact else ("", ""))],
        "groups": [", ".join(group.name for group in row.groups)],
    }  # fmt: skip
    return [str(cell) for cell in cells[column]]


def _share(value: float | None) -> str:
    return "" if value is None else f"{value:.3f}"


def _day(ctx: RequestContext, time: int | None) -> str:
    return local_time(time, ctx.site.zone).date().isoformat() if time else ""


def _harmless(cell: str) -> str:
    """A text that no program for tables takes for a formula."""
    number = cell.removeprefix("-").replace(".", "", 1).isdecimal()
    return f"'{cell}" if cell[:1] in ("=", "+", "-", "@", "\t", "\r") and not number else cell
