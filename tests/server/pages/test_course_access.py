"""What a person sees of a course's students, and what is kept of a course between requests."""

from __future__ import annotations

import shutil
import sqlite3
import threading
from contextlib import closing
from dataclasses import replace

import pytest
from test_request_context import ask, change

from fixtures.pages import WWWROOT, add_like
from fixtures.paths import posix
from moodlemlbackend.errors import RequestError
from moodlemlbackend.server.pages.site import teachers
from moodlemlbackend.server.pages.site.course_access import open_course
from moodlemlbackend.server.pages.site.course_cache import CourseCache
from moodlemlbackend.settings.analytics import AnalyticsSettings

pytestmark = posix


@pytest.fixture
def settings(prepared, tmp_path):
    shutil.copytree(prepared.folder / "work", tmp_path / "work")
    shutil.copy(prepared.folder / "site.sqlite", tmp_path)
    return AnalyticsSettings(
        site=f"sqlite:///{tmp_path / 'site.sqlite'}", directory=str(tmp_path / "work"), wwwroot=WWWROOT
    )


@pytest.fixture
def courseid(prepared, settings):
    return rows(settings, f"SELECT instanceid FROM mdl_context WHERE id = {prepared.course}")[0][0]


def rows(settings, query):
    with closing(sqlite3.connect(settings.site.removeprefix("sqlite:///"))) as site:
        return site.execute(query).fetchall()


def rows_of_store(settings, query):
    with closing(sqlite3.connect(f"{settings.directory}/store.sqlite")) as database:
        return database.execute(query).fetchall()


def opened(settings, user, courseid):
    return ask(settings, user, lambda ctx: open_course(ctx, courseid))


def active(settings, courseid):
    return {
        user: key
        for key, user in rows(
            settings,
            "SELECT r.id, r.userid FROM mdl_user_enrolments r JOIN mdl_enrol e ON e.id = r.enrolid "
            f"WHERE e.courseid = {courseid} AND r.status = 0 AND e.status = 0 AND r.userid IN (SELECT a.userid "
            "FROM mdl_role_assignments a JOIN mdl_role o ON o.id = a.roleid WHERE o.archetype = 'student')",
        )
    }


def test_a_teacher_sees_the_students_of_the_course_and_the_models_that_predicted_there(settings, prepared, courseid):
    access = opened(settings, "ana", courseid)
    assert {user: student.enrolments[0] for user, student in access.students.items()} == active(settings, courseid)
    assert len(access.students) > 5
    assert [model.id for model in access.models] == [prepared.dropout]
    assert access.contextid == prepared.course
    assert access.sees_grades
    assert not access.own_groups
    some = next(iter(access.students.values()))
    assert some.email
    assert some.name.startswith(some.first_name)
    assert access.model(None) == access.model(prepared.dropout) == access.models[0]
    with pytest.raises(RequestError):
        access.model(2**40)


def test_who_is_suspended_or_unenrolled_or_no_student_is_not_listed(settings, courseid):
    before = opened(settings, "ana", courseid).students
    first, second, third, *_ = before
    change(
        settings.site,
        f"UPDATE mdl_user_enrolments SET status = 1 WHERE id = {before[first].enrolments[0]}",
        f"UPDATE mdl_user SET deleted = 1 WHERE id = {second}",
        f"DELETE FROM mdl_role_assignments WHERE userid = {third}",
    )
    assert opened(settings, "ana", courseid).students.keys() == before.keys() - {first, second, third}


@pytest.mark.parametrize(("user", "where"), [("bert", 0), ("sam", 0), ("ana", 10**6), ("ana", 1)])
def test_others_and_other_courses_are_not_there(settings, courseid, user, where):
    with pytest.raises(RequestError) as caught:
        opened(settings, user, where or courseid)
    assert caught.value.code == 404


@pytest.mark.parametrize("ending", ["status = 1", "timeend = 9"])
def test_who_has_left_a_course_sees_it_no_longer_whatever_role_is_still_there(settings, prepared, courseid, ending):
    [[ana]] = rows(settings, "SELECT id FROM mdl_user WHERE username = 'ana'")
    [[insight]] = rows_of_store(
        settings, f"SELECT MAX(id) FROM analytics_predictions WHERE contextid = {prepared.course}"
    )
    with closing(sqlite3.connect(settings.site.removeprefix("sqlite:///"))) as site, site:
        [[method]] = site.execute("SELECT MIN(id) FROM mdl_enrol WHERE courseid = ?", (courseid,))
        add_like(site, "mdl_user_enrolments", userid=ana, enrolid=method, status=0, timestart=1, timeend=0)
    pages = (
        lambda ctx: open_course(ctx, courseid),
        lambda ctx: teachers.context(ctx, teachers.InsightsQuery(prepared.course)),
        lambda ctx: teachers.insight(ctx, insight),
    )
    for page in pages:
        assert ask(settings, "ana", page)
    change(settings.site, f"UPDATE mdl_user_enrolments SET {ending} WHERE userid = {ana}")
    for page in pages:
        with pytest.raises(RequestError) as caught:
            ask(settings, "ana", page)
        assert caught.value.code == 404
    assert ask(settings, "ana", teachers.index).values["rows"] == []


@pytest.mark.parametrize("user", ["manager", "admin"])
def test_who_manages_from_above_has_never_left(settings, courseid, user):
    [[key]] = rows(settings, f"SELECT id FROM mdl_user WHERE username = '{user}'")
    with closing(sqlite3.connect(settings.site.removeprefix("sqlite:///"))) as site, site:
        [[method]] = site.execute("SELECT MIN(id) FROM mdl_enrol WHERE courseid = ?", (courseid,))
        add_like(site, "mdl_user_enrolments", userid=key, enrolid=method, status=1)
    assert opened(settings, user, courseid).students


def test_separate_groups_limit_the_students(settings, courseid):
    everyone = opened(settings, "ana", courseid).students
    [ana] = rows(settings, "SELECT id FROM mdl_user WHERE username = 'ana'")[0]
    mine = sorted(everyone)[:3]
    [group] = rows(settings, "SELECT MAX(id) FROM mdl_groups")[0]
    members = ", ".join(f"({at}, {group}, {user}, 0, '', 0)" for at, user in enumerate([ana, *mine], 1))
    change(
        settings.site,
        "DELETE FROM mdl_groups_members",
        f"UPDATE mdl_groups SET courseid = {courseid} WHERE id = {group}",
        f"INSERT INTO mdl_groups_members (id, groupid, userid, timeadded, component, itemid) VALUES {members}",
        f"UPDATE mdl_course SET groupmode = 1 WHERE id = {courseid}",
        "DELETE FROM mdl_role_capabilities WHERE capability = 'moodle/site:accessallgroups'",
        "UPDATE mdl_role_assignments SET roleid = (SELECT id FROM mdl_role WHERE archetype = 'teacher') "
        f"WHERE userid = {ana}",
    )
    limited = opened(settings, "ana", courseid)
    assert sorted(limited.students) == mine
    assert limited.own_groups
    assert not opened(settings, "admin", courseid).own_groups


def test_grades_need_their_capability(settings, courseid):
    change(settings.site, "DELETE FROM mdl_role_capabilities WHERE capability = 'moodle/grade:viewall'")
    assert not opened(settings, "ana", courseid).sees_grades
    assert opened(settings, "admin", courseid).sees_grades


def test_a_disabled_model_is_not_offered(settings, prepared, courseid):
    def disable(ctx):
        from moodlemlbackend.analytics import models

        models.edit(replace(ctx.workspace, userid=0), prepared.dropout, enabled=False)
        return open_course(ctx, courseid)

    assert ask(settings, "ana", disable).models == []


def test_the_cache_keeps_values_for_a_time_and_so_many():
    made = []
    cache = CourseCache(seconds=60, most=2)

    def make(name):
        made.append(name)
        return name * 2

    for name in "aabac":
        assert cache.get(name, lambda name=name: make(name)) == name * 2
    assert made == ["a", "b", "c"]
    cache.get("b", lambda: make("b"))
    assert made == ["a", "b", "c", "b"]
    brief = CourseCache(seconds=0)
    first, second = (brief.get("x", object) for _ in range(2))
    assert first is not second


def test_what_fails_is_not_kept_and_threads_wait_for_one():
    cache = CourseCache()
    with pytest.raises(ZeroDivisionError):
        cache.get("x", lambda: 1 / 0)
    began, go_on, made = threading.Event(), threading.Event(), []

    def slowly():
        began.set()
        assert go_on.wait(10)
        made.append(1)
        return "value"

    values = []
    threads = [threading.Thread(target=lambda: values.append(cache.get("x", slowly))) for _ in range(3)]
    threads[0].start()
    assert began.wait(10)
    for thread in threads[1:]:
        thread.start()
    go_on.set()
    for thread in threads:
        thread.join()
    assert values == ["value"] * 3
    assert made == [1]
