"""A student's weeks against counts that the tests make of the site's own log, in every database."""

from __future__ import annotations

import sqlite3
from collections import Counter
from contextlib import closing
from datetime import datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import numpy as np
import pytest

pytest.importorskip("sqlalchemy", reason="needs the extra analytics")

from fixtures.databases import KINDS, new_database
from fixtures.oracle import ORACLE_COURSE, load_sqlite
from fixtures.small_site import DAY, WEEK, SmallSite
from fixtures.trained_sites import NOW
from moodlemlbackend.analytics.site import open_site
from moodlemlbackend.analytics.students.timeline import (
    FEWEST_STUDENTS,
    MOST_WEEKS,
    read_activity,
    week_bounds,
    weeks_of,
)
from moodlemlbackend.simulation.site.build import write_site

MADRID = ZoneInfo("Europe/Madrid")
SUMMER_ENDS = datetime(2023, 10, 29, tzinfo=MADRID)


def log_of(site, course):
    return site.database.rows(
        "SELECT userid, timecreated FROM {logstore_standard_log} WHERE courseid = :course AND anonymous = 0",
        course=course,
    )


def check_against_the_log(site, course, now):
    """Every student's weeks are those of the log, counted by their local dates; returns how many there were."""
    activity = read_activity(site, course, now)
    until = min(now, course.end) if course.end > course.start else now
    first = datetime.fromtimestamp(course.start, site.zone).date()
    counted = Counter(
        (user, (datetime.fromtimestamp(time, site.zone).date() - first).days // 7)
        for user, time in log_of(site, course.id)
        if datetime.fromtimestamp(time, site.zone).date() >= first and time <= until
    )
    every = {user: weeks_of(activity, user) for user in activity.users.tolist()}
    for user, weeks in every.items():
        assert [week.number for week in weeks] == [*range(1, len(weeks) + 1)]
        for week in weeks:
            assert (week.actions or 0) == counted[user, week.number - 1]
            days = max((min(week.end, until) - week.start) / DAY, 1)
            assert week.a_day is None or week.a_day == pytest.approx(week.actions / days)
    for number, week in enumerate(next(iter(every.values()), [])):
        known = [weeks[number].a_day for weeks in every.values() if weeks[number].a_day is not None]
        assert (week.middle is None) is (len(known) < FEWEST_STUDENTS)
        if week.middle:
            assert week.middle == pytest.approx(np.percentile(known, (25, 75)))
    return sum(week.actions or 0 for weeks in every.values() for week in weeks)


@pytest.mark.parametrize("kind", KINDS)
def test_weeks_are_those_of_the_log(tmp_path, kind):
    with new_database(kind, tmp_path) as url:
        write_site(url, courses=3, students=12, seed=3, now=NOW)
        with open_site(url, time_zone="America/New_York") as site:
            begun = [course for course in site.courses if course.start <= NOW]
            assert all(check_against_the_log(site, course, NOW) for course in begun)
            running = next(course for course in begun if course.end > NOW)
            assert check_against_the_log(site, running, (running.start + NOW) // 2)


def test_weeks_of_a_course_of_moodles(tmp_path):
    with open_site(load_sqlite(tmp_path / "site.sqlite", ORACLE_COURSE)) as site:
        [course] = site.courses
        assert check_against_the_log(site, course, course.end + WEEK) > 1000
        assert check_against_the_log(site, course, course.start + 5 * WEEK + 3 * DAY) > 100


def test_a_week_has_seven_days_of_the_calendar_when_the_clock_changes():
    start = int(datetime(2023, 10, 17, 9, tzinfo=MADRID).timestamp())
    bounds = week_bounds(start, start + 5 * WEEK, MADRID)
    local = [datetime.fromtimestamp(bound, MADRID) for bound in bounds]
    assert {(moment.hour, moment.minute) for moment in local} == {(0, 0)}
    assert {later.date() - earlier.date() for earlier, later in pairwise(local)} == {timedelta(days=7)}
    assert [later - earlier for earlier, later in pairwise(bounds)].count(WEEK + 3600) == 1
    assert bounds[-2] < start + 5 * WEEK <= bounds[-1]


def busy(tmp_path, start, **values):
    """A course whose students are 1 to 8 times there on the first evening of winter time, a minute before midnight."""
    small = SmallSite(tmp_path / "site.sqlite")
    small.set("UPDATE mdl_config SET value = 'Europe/Madrid' WHERE name = 'timezone'")
    course = small.course(startdate=start, enddate=start + 10 * WEEK, **values)
    students = small.students(course, 8)
    small.set(f"UPDATE mdl_user_enrolments SET timecreated = {start}")
    return small, course, students


def test_the_last_minute_of_a_week_with_an_hour_more(tmp_path):
    start = int(datetime(2023, 10, 23, tzinfo=MADRID).timestamp())
    small, course, students = busy(tmp_path, start)
    late = int(datetime(2023, 10, 29, 23, 59, 59, tzinfo=MADRID).timestamp())
    assert late - start > WEEK
    for number, student in enumerate(students, 1):
        for _ in range(number):
            small.log(course, student, late)
        small.log(course, student, late + 1)
        small.log(course, student, late, anonymous=1)
    with small.open() as site:
        weeks = weeks_of(read_activity(site, site.courses[0], late + WEEK), students[2])
    assert [week.actions for week in weeks] == [3, 1]
    days = 7 + 1 / 24
    assert weeks[0].middle == pytest.approx((2.75 / days, 6.25 / days))


def test_who_counts_from_when(tmp_path):
    """From the enrolment on, or the first action; not who is suspended, cannot log in, or teaches."""
    start = int(datetime(2023, 11, 6, tzinfo=MADRID).timestamp())
    small, course, students = busy(tmp_path, start)
    late, earlier, suspended = students[:3]
    [locked] = small.students(course, 1)
    small.set(
        f"UPDATE mdl_user_enrolments SET timecreated = {start + 2 * WEEK + DAY} WHERE userid IN ({late}, {earlier})"
    )
    small.set(f"UPDATE mdl_user_enrolments SET status = 1 WHERE userid = {suspended}")
    small.set(f"UPDATE mdl_user SET suspended = 1 WHERE id = {locked}")
    teacher = small.user()
    small.enrol(course, teacher, 3)
    for user in (*students, teacher):
        small.log(course, user, start + 3 * WEEK)
    small.log(course, earlier, start + WEEK + 5)
    with small.open() as site:
        activity = read_activity(site, site.courses[0], start + 3 * WEEK + DAY)
    assert activity.users.tolist() == sorted({*students} - {suspended})
    assert [week.actions for week in weeks_of(activity, late)] == [None, None, 0, 1]
    assert [week.actions for week in weeks_of(activity, earlier)] == [None, 1, 0, 1]
    assert [week.actions for week in weeks_of(activity, suspended)] == [None] * 4
    assert [week.middle is not None for week in weeks_of(activity, late)] == [True] * 4
    small.set(f"UPDATE mdl_user_enrolments SET status = 1 WHERE userid IN ({students[-1]}, {students[-2]})")
    with small.open() as site:
        weeks = weeks_of(read_activity(site, site.courses[0], start + 3 * WEEK + DAY), late)
    assert [week.middle is not None for week in weeks] == [False, False, True, True]  # three, four, five, five


def test_courses_without_logs_without_dates_and_too_long(tmp_path):
    start = int(datetime(2021, 1, 4, tzinfo=MADRID).timestamp())
    small, course, students = busy(tmp_path, start)
    with small.open() as site:
        [row] = site.courses
        assert {week.actions for week in weeks_of(read_activity(site, row, start + 5), students[0])} == {0}
        assert read_activity(site, row, start - 1) is None
        assert read_activity(site, row._replace(start=0), start) is None
        endless = row._replace(end=0)
        weeks = weeks_of(read_activity(site, endless, start + 100 * WEEK), students[0])
        assert (len(weeks), weeks[-1].number) == (MOST_WEEKS, 101)
        assert weeks_of(read_activity(site, endless._replace(id=99), start + WEEK), students[0])[0].middle is None
    small.log(course, students[0], weeks[0].start - 1)
    small.log(course, students[0], weeks[0].start)
    with small.open() as site:
        weeks = weeks_of(read_activity(site, endless, start + 100 * WEEK), students[0])
    assert [week.actions for week in weeks] == [1] + [0] * (MOST_WEEKS - 1)


def test_weeks_whose_log_is_deleted_are_not_shown(tmp_path):
    """They would look as if nobody had been there."""
    start = int(datetime(2023, 11, 6, tzinfo=MADRID).timestamp())
    small, course, students = busy(tmp_path, start)
    small.log(course, students[0], start + 3 * WEEK)
    small.add("config_plugins", plugin="logstore_standard", name="loglifetime", value="20")
    with small.open() as site:
        [row] = site.courses
        weeks = weeks_of(read_activity(site, row, start + 5 * WEEK), students[0])
        assert [(week.number, week.actions) for week in weeks] == [(4, 1), (5, 0), (6, 0)]
        assert read_activity(site, row, start + 20 * WEEK) is None


def test_the_database_counts(tmp_path):
    """However long the log is, one row for each student and week comes back."""
    small, course, students = busy(tmp_path, int(SUMMER_ENDS.timestamp()))
    for student in students:
        for second in range(200):
            small.log(course, student, int(SUMMER_ENDS.timestamp()) + second)
    asked = []
    with small.open() as site:
        integers = site.database.integers
        site.database.integers = lambda *args, **given: asked.append(integers(*args, **given)) or asked[-1]
        read_activity(site, site.courses[0], int(SUMMER_ENDS.timestamp()) + DAY)
    assert [len(table) for table in asked if table.shape[1] == 3] == [len(students)]
    with closing(sqlite3.connect(small.path)) as database, database:
        assert database.execute("SELECT COUNT(*) FROM mdl_logstore_standard_log").fetchone() == (1600,)
