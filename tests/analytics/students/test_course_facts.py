"""What Moodle knows of a course's students: what is due and done, grades, visits and groups; in every database."""

from __future__ import annotations

import pytest

pytest.importorskip("sqlalchemy", reason="needs the extra analytics")

from fixtures.databases import KINDS, new_database
from fixtures.small_site import DAY, START, SmallSite
from fixtures.trained_sites import NOW
from moodlemlbackend.analytics.features.analysables import facts as of_courses
from moodlemlbackend.analytics.site import open_site
from moodlemlbackend.analytics.students.course_facts import read_course_facts
from moodlemlbackend.analytics.students.timeline import week_bounds
from moodlemlbackend.analytics.students.weekly_activity import earlier_shares, read_weekly_activity
from moodlemlbackend.simulation.site.build import write_site

DUE = START + 10 * DAY


@pytest.fixture
def small(tmp_path):
    return SmallSite(tmp_path / "site.sqlite")


def known(small, now=DUE + DAY):
    with small.open() as site:
        [course] = site.courses
        return read_course_facts(site, course, now)


def essay(small, course, **settings):
    return small.activity(course, "assign", duedate=DUE, name="Essay", **settings)[1]


def tracked_workshop(small, course):
    _, workshop = small.activity(course, "workshop", name="Review", submissionend=DUE)
    small.set("UPDATE mdl_course_modules SET completion = 1")
    return workshop


def test_what_is_handed_in_alone_or_as_a_team_or_graded_is_done(small):
    course = small.course()
    instance = essay(small, course)
    alone, team, graded, draft = small.students(course, 4)
    small.add("assign_submission", assignment=instance, userid=alone, status="submitted", timemodified=DUE)
    small.add("assign_submission", assignment=instance, userid=draft, status="draft", timemodified=DUE)
    small.add("groups_members", groupid=7, userid=team, timeadded=START)
    small.add("assign_submission", assignment=instance, userid=0, groupid=7, status="submitted", timemodified=DUE)
    item = small.add(
        "grade_items", courseid=course, itemtype="mod", itemmodule="assign", iteminstance=instance, gradetype=1
    )
    small.add("grade_grades", itemid=item, userid=graded, finalgrade=5, timemodified=DUE)
    facts = known(small)
    [activity] = facts.activities
    assert (activity.name, activity.closes, activity.due) == ("Essay", DUE, True)
    assert [facts.work(user) for user in (alone, team, graded, draft)] == [(1, 1), (1, 1), (1, 1), (0, 1)]
    assert known(small, DUE - 1).work(alone) == (0, 0), "not due yet"


def test_a_workshop_is_done_by_who_has_handed_in_and_not_by_an_example(small):
    course = small.course(enablecompletion=1)
    workshop = tracked_workshop(small, course)
    student, teacher = small.students(course, 2)
    for author, example in ((student, 0), (teacher, 1)):
        small.add("workshop_submissions", workshopid=workshop, authorid=author, example=example, timemodified=START)
    facts = known(small)
    assert [facts.work(user) for user in (student, teacher)] == [(1, 1), (0, 1)]


def test_an_extract_without_submissions_of_workshops(tmp_path):
    small = SmallSite(tmp_path / "site.sqlite", without=("workshop_submissions",))
    course = small.course(enablecompletion=1)
    tracked_workshop(small, course)
    [student] = small.students(course, 1)
    assert known(small).work(student) == (0, 1)


def test_dates_of_ones_own(small):
    course = small.course()
    instance = essay(small, course)
    regular, extended, in_group = small.students(course, 3)
    small.add("groups_members", groupid=7, userid=in_group, timeadded=START)
    small.add("assign_user_flags", assignment=instance, userid=extended, extensionduedate=DUE + 3 * DAY)
    small.add("assign_overrides", assignid=instance, userid=None, groupid=7, duedate=DUE + 5 * DAY)
    facts = known(small)
    [activity] = facts.activities
    assert facts.own_dates == {extended: {activity.id: DUE + 3 * DAY}, in_group: {activity.id: DUE + 5 * DAY}}
    assert [facts.work(user) for user in (regular, extended, in_group)] == [(0, 1), (0, 0), (0, 0)]
    assert facts.closing(extended, DUE + 4 * DAY) == [(DUE + 3 * DAY, activity)]
    assert facts.closing(regular, DUE + 4 * DAY) == []
    assert [facts.missing(user) for user in (regular, extended, in_group)] == [[(DUE, activity)], [], []]


def test_what_is_for_some_people_only_counts_where_it_is_done(small):
    course = small.course()
    essay(small, course, availability='{"op": "&", "c": [{"type": "group", "id": 7}], "showc": [true]}')
    small.activity(course, "quiz", name="Quiz", timeclose=DUE - DAY)
    done, missing = small.students(course, 2)
    [instance] = [activity.instance for activity in known(small).activities if activity.module == "assign"]
    small.add("assign_submission", assignment=instance, userid=done, status="submitted", timemodified=DUE)
    facts = known(small)
    assert [facts.work(user) for user in (done, missing)] == [(1, 2), (0, 1)]
    for user in (done, missing):
        assert [(closed, activity.name) for closed, activity in facts.missing(user)] == [(DUE - DAY, "Quiz")]
        assert [(at, activity.name) for at, activity in known(small, START).closing(user, DUE)] == [(DUE - DAY, "Quiz")]


def test_what_cannot_be_done_or_seen_does_not_count(small):
    course = small.course()
    small.students(course, 1)
    essay(small, course, nosubmissions=1)
    small.activity(course, "page", name="A page to read")
    small.activity(course, "quiz", name="Quiz", timeclose=DUE)
    assert [activity.module for activity in known(small).activities] == ["quiz"]
    small.set("UPDATE mdl_course_modules SET visible = 0")
    assert known(small).activities == ()


def test_a_site_without_groups_has_none(tmp_path):
    small = SmallSite(tmp_path / "site.sqlite", without=["groups"])
    small.course()
    assert known(small).groups == ()


@pytest.mark.parametrize("kind", KINDS)
def test_a_simulated_course_in_every_database(tmp_path, kind):
    with new_database(kind, tmp_path) as url:
        write_site(url, courses=5, students=12, seed=3, now=NOW)
        with open_site(url) as site:
            rows = site.database.rows
            course = max(site.courses, key=lambda row: row.start * (row.start < NOW < row.end))
            facts = read_course_facts(site, course, NOW)
            assert dict(rows("SELECT userid, timeaccess FROM {user_lastaccess} WHERE courseid = :c", c=course.id)) == (
                facts.last_access
            )
            scale = "SELECT id, grademin, grademax FROM {grade_items} WHERE courseid = :c AND itemtype = 'course'"
            [(item, low, high)] = rows(scale, c=course.id)
            assert facts.scale == (low, high)
            grades = rows("SELECT userid, finalgrade FROM {grade_grades} WHERE itemid = :i", i=item)
            expected = {
                user: (float(grade) - float(low)) / float(high - low) for user, grade in grades if grade is not None
            }
            assert expected
            assert {user: facts.grade(user) for user in expected} == pytest.approx(expected)
            assert any(activity.due and activity.name for activity in facts.activities)
            assert any(facts.done.values())
            weeks = read_weekly_activity(site, course, NOW)
            logged = rows("SELECT userid, timecreated FROM {logstore_standard_log} WHERE courseid = :c", c=course.id)
            bounds = week_bounds(course.start, NOW, site.zone)
            for number, week in weeks.weeks.items():
                assert week == {user for user, time in logged if bounds[number - 1] <= time < bounds[number]}
            over = [row for row in site.courses if row.end < NOW]
            shares = earlier_shares(site, over, NOW)
            assert len(shares) > 3
            assert all(0 <= share <= 1 for share in shares.values())
            assert shares[1] > 0.3
            grouped = {group.id: set(group.members) for row in site.courses for group in of_groups(site, row)}
            members = rows("SELECT groupid, userid FROM {groups_members}")
            assert {(group, user) for group, users in grouped.items() for user in users} == set(members)
            assert of_courses.students(site, [course])[course.id].size


def of_groups(site, row):
    return read_course_facts(site, row, NOW).groups
