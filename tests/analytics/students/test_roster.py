"""The table of students: alerts, orders and filters, and the overview, from facts that are given."""

from __future__ import annotations

from datetime import datetime, timezone
from zoneinfo import ZoneInfo

import pytest

from moodlemlbackend.analytics.db.follow_ups import FollowUp
from moodlemlbackend.analytics.db.risks import Risk
from moodlemlbackend.analytics.site.groups import Group
from moodlemlbackend.analytics.site.site import CourseRow
from moodlemlbackend.analytics.students.alerts import AlertKind, alerts_in, days_between
from moodlemlbackend.analytics.students.bands import Band
from moodlemlbackend.analytics.students.course_facts import Activity, CourseFacts
from moodlemlbackend.analytics.students.overview import band_history, current_bands
from moodlemlbackend.analytics.students.roster import RosterQuery, chosen, roster
from moodlemlbackend.analytics.students.student import Student

UTC = timezone.utc
NOW = int(datetime(2026, 11, 27, 15, tzinfo=UTC).timestamp())
DAY = 86_400


def course(**changes):
    row = CourseRow(1, "BIO-101-WS26", "Biology", "topics", NOW - 60 * DAY, NOW + 60 * DAY, True, False, 9, (1, 5, 9))
    return row._replace(**changes)


def facts(**changes):
    values = {
        "now": NOW, "activities": (), "done": {}, "own_dates": {}, "enrolled": {}, "last_access": {}, "grades": {},
        "scale": None, "groups": (),
    }  # fmt: skip
    return CourseFacts(**values | changes)


def activity(key, closes=0, *, due=False):
    return Activity(key, "assign", key, f"Essay {key}", closes, due)


def kinds(alerts):
    return [alert.kind for alert in alerts]


def student(user, name="Ana Torres"):
    first, last = name.split()
    return Student(user, (100 + user,), first, last, "", True)


def risk(sample, probability, index=0, created=1):
    return Risk(1, sample, index, probability, None, None, 0.4, 0, (index + 1) * 10, created)


def rows(students, risks=None, follow_ups=None, known=None, groups=()):
    return roster(
        course(), known or facts(), students, risks or {}, follow_ups or {}, zone=UTC, minimum_score=0.6,
        sees_grades=True, groups=groups,
    )  # fmt: skip


def order(every, sort="", **query):
    return [row.student.userid for row in chosen(every, RosterQuery(sort, **query))]


def follow_up(user, kind, time, until=None):
    return FollowUp(1, 1, user, 7, kind, "", until, None, None, "b", time)


# ---- alerts ----


@pytest.mark.parametrize(
    ("last", "enrolled", "expected"),
    [
        (NOW - 6 * DAY, 0, None), (NOW - 7 * DAY, 0, (AlertKind.ABSENT, 7)),
        (NOW - 12 * DAY, 0, (AlertKind.ABSENT, 12)),
        (None, NOW - 2 * DAY, None), (None, NOW - 3 * DAY, (AlertKind.NEVER, 3)), (None, 0, (AlertKind.NEVER, 60)),
    ],
)  # fmt: skip
def test_who_has_not_been_there(last, enrolled, expected):
    known = facts(last_access={} if last is None else {1: last}, enrolled={1: enrolled})
    raised = alerts_in(course(), known, UTC)(1)
    assert [(alert.kind, alert.days) for alert in raised] == ([expected] if expected else [])


def test_days_are_those_of_the_site():
    berlin = ZoneInfo("Europe/Berlin")
    midnight = int(datetime(2026, 11, 27, tzinfo=berlin).timestamp())
    assert days_between(midnight - 1, midnight, berlin) == 1
    assert days_between(midnight, midnight + DAY - 1, berlin) == 0
    change = int(datetime(2026, 10, 25, tzinfo=berlin).timestamp())  # a day of 25 hours
    assert days_between(change, change + 25 * 3600 - 1, berlin) == 0


def test_what_closes_by_the_end_of_tomorrow_and_is_not_done():
    end_of_tomorrow = int(datetime(2026, 11, 29, tzinfo=UTC).timestamp())
    later, soon, today, past = (
        activity(1, end_of_tomorrow + 1), activity(2, end_of_tomorrow), activity(3, NOW + 60), activity(4, NOW),
    )  # fmt: skip
    done = {2: frozenset({3}), 3: frozenset({2, 3})}
    known = facts(activities=(later, soon, today, past), last_access=dict.fromkeys((1, 2, 3), NOW), done=done)
    alerts = alerts_in(course(), known, UTC)
    [first] = alerts(1)
    assert (first.kind, first.activities, first.today) == (AlertKind.DUE, (today, soon), True)
    [second] = alerts(2)
    assert (second.activities, second.today) == ((soon,), False)
    assert alerts(3) == ()


def test_a_date_of_ones_own_counts():
    tomorrow = NOW + DAY
    known = facts(
        activities=(activity(1, tomorrow), activity(2, NOW - DAY, due=True), activity(3, NOW - DAY, due=True)),
        last_access=dict.fromkeys((1, 2, 3), NOW), own_dates={1: {1: NOW + 9 * DAY}, 2: {1: 0, 2: NOW + 60}},
    )  # fmt: skip
    alerts = alerts_in(course(), known, UTC)
    assert alerts(1) == (), "an extension"
    [second] = alerts(2)
    assert ([one.id for one in second.activities], second.today) == ([2], True)
    [third] = alerts(3)
    assert ([one.id for one in third.activities], third.today) == ([1], False)
    assert [known.work(user) for user in (1, 2, 3)] == [(0, 2), (0, 1), (0, 2)]


@pytest.mark.parametrize("dates", [{"start": NOW + 1}, {"end": NOW}, {"end": NOW - DAY}])
def test_there_are_no_alerts_unless_the_course_runs(dates):
    known = facts(activities=(activity(1, NOW + 60),))
    assert alerts_in(course(**dates), known, UTC)(1) == ()


# ---- rows ----


def test_the_latest_risk_of_the_enrolment_that_was_predicted_last_counts():
    twice = Student(1, (101, 102), "Ana", "Torres", "", True)
    [row] = rows([twice], {101: [risk(101, 0.9, created=5)], 102: [risk(102, 0.2, 0, 8), risk(102, 0.3, 1, 9)]})
    assert [point.probability for point in row.trend] == [0.2, 0.3]
    assert row.change == pytest.approx(0.1)
    assert (row.risk.probability, row.band) == (0.3, Band.LOW)
    [unknown] = rows([twice])
    assert (unknown.risk, unknown.band, unknown.change) == (None, Band.NONE, None)


def test_the_most_urgent_come_first_and_what_is_settled_last():
    absent = facts(last_access={4: NOW - 20 * DAY, **dict.fromkeys((1, 2, 3, 5, 6), NOW)})
    every = rows(
        [student(user) for user in (1, 2, 3, 4, 5, 6)],
        {101: [risk(101, 0.1)], 102: [risk(102, 0.9)], 103: [risk(103, 0.42)], 105: [risk(105, 0.95)]},
        {5: [follow_up(5, "resolved", NOW - 9)], 2: [follow_up(2, "contacted", NOW - 9)]},
        absent,
    )
    assert order(every) == [2, 3, 4, 1, 6, 5]
    assert order(every, "-risk") == [6, 1, 4, 3, 2, 5]
    every = rows([student(5)], {105: [risk(105, 0.95)]}, {5: [follow_up(5, "snoozed", NOW - 9, NOW - 1)]})
    assert not every[0].settled, "the snooze is over"


def test_what_has_no_value_stays_where_it_is_both_ways():
    known = facts(grades={1: 5.0, 2: 9.0}, scale=(0.0, 10.0), last_access={2: NOW - DAY, 3: NOW})
    every = rows([student(user) for user in (1, 2, 3)], known=known)
    assert order(every, "grade") == [1, 2, 3]
    assert order(every, "-grade") == [2, 1, 3]
    assert order(every, "access") == [1, 2, 3]
    assert order(every, "-access") == [1, 3, 2]
    assert [row.grade for row in every] == [0.5, 0.9, None]


def test_names_go_by_the_last_one_without_accents():
    every = rows([student(1, "Zoe Ábel"), student(2, "Ana abend"), student(3, "Bo Zorn")])
    assert order(every, "name") == [1, 2, 3]
    assert order(every, "-name") == [3, 2, 1]
    assert order(every, search="ABEL") == [1]
    assert order(every, search="a abe") == [2]
    assert order(every, search="  ") == order(every)


def test_filters_together():
    groups = [Group(1, "A", frozenset({1, 2})), Group(2, "B", frozenset({2}))]
    known = facts(last_access={1: NOW - 9 * DAY, 2: NOW, 3: NOW})
    every = rows(
        [student(user) for user in (1, 2, 3)], {101: [risk(101, 0.9)], 102: [risk(102, 0.9)]},
        {2: [follow_up(2, "message", NOW - 5)]}, known, groups,
    )  # fmt: skip
    assert order(every, group="1", sort="name") == [1, 2]
    assert order(every, group="2") == [2]
    assert order(every, group="none") == [3]
    assert order(every, group="99") == []
    assert order(every, band="high", contact="todo") == [1]
    assert order(every, contact="waiting") == [2]
    assert order(every, alert="absent") == [1]
    assert order(every, alert="any", band="none") == []
    assert order(every, alert="none", sort="name") == [2, 3]


def test_work_counts_what_was_due():
    known = facts(
        activities=(activity(1, due=True), activity(2, due=True), activity(3)),
        done={1: frozenset({1, 3}), 2: frozenset({77})},
    )
    assert [(row.done, row.due) for row in rows([student(1), student(2), student(3)], known=known)] == [
        (1, 2), (0, 2), (0, 2),
    ]  # fmt: skip


@pytest.mark.parametrize("scale", [None, (0.0, 0.0), (5.0, 1.0)])
def test_a_grade_without_a_scale_is_none(scale):
    assert facts(grades={1: 3.0}, scale=scale).grade(1) is None


# ---- overview ----


def test_bands_now_and_in_the_parts_so_far():
    every = rows(
        [student(user) for user in (1, 2, 3)],
        {101: [risk(101, 0.1), risk(101, 0.9, 1)], 102: [risk(102, 0.9), risk(102, 0.9, 1)]},
    )
    assert current_bands(every) == {Band.HIGH: 2, Band.MEDIUM: 0, Band.LOW: 0, Band.NONE: 1}
    first, second = band_history(every, 0.6)
    assert (first.end, second.end) == (10, 20)
    assert first.counts == {Band.HIGH: 1, Band.MEDIUM: 0, Band.LOW: 1, Band.NONE: 1}
    assert second.counts == current_bands(every)
    assert band_history([], 0.6) == []


def test_the_latest_part_is_that_predicted_last_also_where_a_later_end_of_the_course_makes_it_an_earlier_one():
    before, now = risk(101, 0.9, 3, created=1), risk(101, 0.1, 2, created=2)
    every = rows([student(1)], {101: [before, now]})
    assert [part.counts[Band.HIGH] for part in band_history(every, 0.6)] == [1, 0]
    assert every[0].change == pytest.approx(-0.8)


def test_of_several_enrolments_that_was_predicted_last_and_at_once_the_one_at_higher_risk():
    ana = Student(1, (101, 102), "Ana", "Torres", "", True)
    assert ana.trend({}) == ()
    assert ana.trend({101: [risk(101, 0.9, created=5)], 102: [risk(102, 0.1, created=6)]})[-1].sampleid == 102
    for high, low in ((101, 102), (102, 101)):
        assert ana.trend({high: [risk(high, 0.9)], low: [risk(low, 0.1)]})[-1].sampleid == high
