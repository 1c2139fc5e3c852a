"""Active students by week: which earlier courses stand beside a course, and weeks whose log is there."""

from __future__ import annotations

from datetime import datetime, timezone

import pytest

pytest.importorskip("sqlalchemy", reason="needs the extra analytics")

from fixtures.small_site import DAY, WEEK, SmallSite
from moodlemlbackend.analytics.site.site import CourseRow
from moodlemlbackend.analytics.students.timeline import FEWEST_STUDENTS, MOST_WEEKS, read_activity
from moodlemlbackend.analytics.students.weekly_activity import (
    WeeklyActivity,
    earlier_shares,
    read_weekly_activity,
    same_kind,
)
from moodlemlbackend.server.pages.course_charts import weekly_chart

NOW = int(datetime(2026, 11, 27, 15, tzinfo=timezone.utc).timestamp())
START = NOW - 5 * WEEK


def course():
    return CourseRow(1, "BIO-101-WS26", "Biology", "topics", NOW - 60 * DAY, NOW + 60 * DAY, True, False, 9, (1, 5, 9))


@pytest.mark.parametrize(
    ("name", "same"),
    [
        ("BIO-101-WS25", True), ("bio_101_2024", True), ("BIO 101 WS 24/25", True), ("BIO-101-Spring2025", True),
        ("BIO-102-WS25", False), ("BIO-WS25", False), ("BIO-101-WS25-evening", False), ("2025", False),
    ],
)  # fmt: skip
def test_courses_of_the_same_kind_differ_by_what_dates_them(name, same):
    own = course()
    other = own._replace(id=2, shortname=name, start=NOW - 400 * DAY, end=NOW - 300 * DAY, context=8, path=(1, 5, 8))
    assert same_kind([own, other], own, NOW) == ([other] if same else [])


def test_only_finished_earlier_courses_of_the_category_are_compared():
    own = course()
    good = own._replace(id=2, shortname="BIO-101-WS25", start=NOW - 400 * DAY, end=NOW - 300 * DAY, path=(1, 5, 8))
    for changes in ({"path": (1, 6, 8)}, {"end": NOW + 1}, {"end": 0}, {"start": NOW}, {"start": 0}):
        assert same_kind([good._replace(**changes)], own, NOW) == []
    many = [good._replace(id=at, start=good.start - at) for at in range(2, 9)]
    assert [row.id for row in same_kind(many, own, NOW)] == [2, 3, 4]
    assert same_kind([good], own._replace(shortname="BIO-101"), NOW) == [], "nothing dates its own name"


def test_shares_are_those_of_the_given_students():
    activity = WeeklyActivity({3: frozenset({1, 2, 9}), 4: frozenset({1})})
    assert activity.shares([1, 2, 3, 4]) == {3: 0.5, 4: 0.25}
    assert activity.shares([]) == {}


@pytest.fixture
def small(tmp_path):
    return SmallSite(tmp_path / "site.sqlite")


def busy(small, start=START, end=START + 40 * WEEK):
    """A course in which one student more is active every week, one in the first."""
    courseid = small.course(startdate=start, enddate=end)
    students = small.students(courseid, FEWEST_STUDENTS)
    for week in range(len(students)):
        for user in students[: week + 1]:
            small.log(courseid, user, start + week * WEEK + DAY)
    return students


def test_weeks_whose_log_is_deleted_are_left_out_here_and_in_earlier_courses(small):
    students = busy(small)
    with small.open() as site:
        [row] = site.courses
        assert read_weekly_activity(site, row, NOW).shares(students) == {1: 0.2, 2: 0.4, 3: 0.6, 4: 0.8, 5: 1.0}
        assert earlier_shares(site, [row], NOW) == {1: 0.2, 2: 0.4, 3: 0.6, 4: 0.8, 5: 1.0}
    small.add("config_plugins", plugin="logstore_standard", name="loglifetime", value="20")
    with small.open() as site:
        assert read_weekly_activity(site, row, NOW).shares(students) == {4: 0.8, 5: 1.0}
        assert earlier_shares(site, [row], NOW) == {4: 0.8, 5: 1.0}
        assert earlier_shares(site, [row], NOW + 60 * WEEK) == {}


def test_weeks_are_those_of_a_students_time_line(small):
    small.set("UPDATE mdl_config SET value = 'Europe/Madrid' WHERE name = 'timezone'")
    students = busy(small, NOW - 10 * WEEK)  # an hour more in one of these weeks
    with small.open() as site:
        [row] = site.courses
        weekly, single = read_weekly_activity(site, row, NOW), read_activity(site, row, NOW)
    assert len(weekly.weeks) == len(single.bounds) - 2
    for number, users in weekly.weeks.items():
        assert users == {user for user, counts in zip(single.users.tolist(), single.actions, strict=True)
                         if counts[number - 1]}  # fmt: skip
    assert any(weekly.weeks.values())
    assert set().union(*weekly.weeks.values()) == set(students)


def test_of_a_long_course_the_last_weeks_are_read(small):
    long_ago = NOW - 100 * WEEK
    students = busy(small, long_ago, 0)
    small.log(1, students[0], NOW - DAY)
    with small.open() as site:
        shares = read_weekly_activity(site, site.courses[0], NOW).shares(students)
    assert [*shares] == [*range(101 - MOST_WEEKS, 101)]
    assert [week for week, share in shares.items() if share] == [100]


def test_before_the_first_week_is_over_and_without_a_start_there_is_nothing(small):
    busy(small)
    with small.open() as site:
        [row] = site.courses
        assert read_weekly_activity(site, row, START + WEEK - DAY).weeks == {}
        assert read_weekly_activity(site, row, START - 1).weeks == {}
        assert read_weekly_activity(site, row._replace(start=0), NOW).weeks == {}


def test_a_chart_begins_with_the_first_week_that_is_known():
    chart = weekly_chart({4: 0.5, 5: 1.0}, {3: 0.9, 4: 0.5, 6: 0.0}, ["BIO"])
    assert (chart.week, chart.latest, chart.then) == (5, 1.0, None)
    assert chart.line == "0,47 150,4"
    assert chart.earlier == "0,47 300,90"
    assert weekly_chart({4: 0.5}, {4: 0.25}, []).then == 0.25
    assert weekly_chart({}, {1: 0.5}, []) is None
