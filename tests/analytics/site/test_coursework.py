"""What is to be handed in and what a student has: dates of one's own, teams, drafts, and what an extract lacks."""

from __future__ import annotations

import pytest

pytest.importorskip("sqlalchemy", reason="needs the extra analytics")

from fixtures.databases import KINDS, new_database
from fixtures.oracle import ORACLE_COURSE, load_sqlite
from fixtures.small_site import DAY, START, SmallSite
from fixtures.trained_sites import NOW
from moodlemlbackend.analytics.site import open_site
from moodlemlbackend.analytics.site.coursework import course_work, grades_of, own_due_dates, submissions
from moodlemlbackend.analytics.students.coursework import SOON_SECONDS, WorkState, figures, work_of
from moodlemlbackend.simulation.site.build import write_site

DUE = START + 10 * DAY


@pytest.fixture
def small(tmp_path):
    return SmallSite(tmp_path / "site.sqlite")


def assignment(small, course, **settings):
    return small.activity(course, "assign", **{"duedate": DUE, "name": "Essay", **settings})[1]


def own_dates(site, user, work):
    return own_due_dates(site, {one.key: one.due for one in work}, user).get(user, {})


def state_of(small, user, now=DUE + DAY):
    """The state of the only work of a student, None when it does not count."""
    with small.open() as site:
        [course] = site.courses
        work = course_work(site, course.id)
        listed = work_of(
            work, own_dates(site, user, work), submissions(site, user, work), grades_of(site, course.id, user), now
        )  # fmt: skip
        return listed[0].state if listed else None


def test_in_time_late_a_draft_soon_and_later(small):
    course = small.course()
    essay = assignment(small, course)
    good, late, draft, lazy = small.students(course, 4)
    for user, status, time in ((good, "submitted", DUE), (late, "submitted", DUE + 1), (draft, "draft", DUE)):
        small.add("assign_submission", assignment=essay, userid=user, status=status, timemodified=time)
    states = [state_of(small, user) for user in (good, late, draft, lazy)]
    assert states == [WorkState.HANDED_IN, WorkState.LATE, WorkState.MISSING, WorkState.MISSING]
    assert state_of(small, lazy, DUE - 1) is WorkState.DUE_SOON
    assert state_of(small, lazy, DUE - SOON_SECONDS) is WorkState.DUE_SOON
    assert state_of(small, lazy, DUE - SOON_SECONDS - 1) is None


def test_every_kind_of_work(small):
    course = small.course()
    user = small.students(course, 1)[0]
    rows = {
        "assign": ("assign_submission", {"assignment": 0, "status": "submitted", "timemodified": START}),
        "quiz": ("quiz_attempts", {"quiz": 0, "state": "finished", "timefinish": START, "timemodified": START + 9}),
        "choice": ("choice_answers", {"choiceid": 0, "timemodified": START}),
        "feedback": ("feedback_completed", {"feedback": 0, "timemodified": START}),
        "lesson": ("lesson_grades", {"lessonid": 0, "completed": START}),
        "workshop": ("workshop_submissions", {"workshopid": 0, "timemodified": START, "example": 0, "authorid": user}),
    }
    closing = {"assign": "duedate", "lesson": "deadline", "workshop": "submissionend"}
    for module, (table, values) in rows.items():
        _, instance = small.activity(course, module, name=module, **{closing.get(module, "timeclose"): DUE})
        named = {key: instance if value == 0 and key != "example" else value for key, value in values.items()}
        small.add(table, userid=user, preview=0, **named) if module == "quiz" else small.add(
            table, **({} if module == "workshop" else {"userid": user}), **named
        )
    with small.open() as site:
        work = course_work(site, course)
        assert {one.module: (one.name, one.due) for one in work} == {module: (module, DUE) for module in rows}
        assert submissions(site, user, work) == {(one.module, one.instance): START for one in work}
        assert submissions(site, user + 1, work) == {}


def test_previews_attempts_that_go_on_and_examples_are_no_work(small):
    course = small.course()
    user = small.students(course, 1)[0]
    _, quiz = small.activity(course, "quiz", name="Quiz", timeclose=DUE)
    _, workshop = small.activity(course, "workshop", name="Workshop", submissionend=DUE)
    for state, preview in (("finished", 1), ("inprogress", 0)):
        small.add("quiz_attempts", quiz=quiz, userid=user, state=state, preview=preview, timefinish=START)
    small.add("workshop_submissions", workshopid=workshop, authorid=user, example=1, timemodified=START)
    with small.open() as site:
        assert submissions(site, user, course_work(site, course)) == {}


def test_a_team_hands_in_for_its_members(small):
    course = small.course()
    essay = assignment(small, course)
    member, other = small.students(course, 2)
    small.add("groups", id=7, courseid=course)
    small.add("groups_members", groupid=7, userid=member)
    small.add("assign_submission", assignment=essay, userid=0, groupid=7, status="submitted", timemodified=START)
    assert [state_of(small, user) for user in (member, other)] == [WorkState.HANDED_IN, WorkState.MISSING]


def test_dates_of_ones_own(small):
    """An override of the user counts before those of groups, of which the latest does; an extension makes it later."""
    course = small.course()
    essay = assignment(small, course)
    _, quiz = small.activity(course, "quiz", name="Quiz", timeclose=DUE)
    student, other = small.students(course, 2)
    for group, until in ((7, DUE + DAY), (8, DUE + 5 * DAY)):
        small.add("groups", id=group, courseid=course)
        small.add("groups_members", groupid=group, userid=student)
        small.add("assign_overrides", assignid=essay, userid=None, groupid=group, duedate=until)
    small.add("quiz_overrides", quiz=quiz, userid=student, groupid=None, timeclose=0)
    small.add("quiz_overrides", quiz=quiz, userid=None, groupid=7, timeclose=DUE + DAY)

    def dates(user):
        with small.open() as site:
            work = course_work(site, course)
            every = own_due_dates(site, {one.key: one.due for one in work})
            assert every.get(user, {}) == own_dates(site, user, work)
            return every.get(user, {})

    assert dates(other) == {}
    assert dates(student) == {("assign", essay): DUE + 5 * DAY, ("quiz", quiz): 0}
    small.add("assign_overrides", assignid=essay, userid=student, groupid=None, duedate=DUE - DAY)
    assert dates(student)["assign", essay] == DUE - DAY
    small.add("assign_user_flags", assignment=essay, userid=student, extensionduedate=DUE + 2 * DAY)
    small.add("assign_user_flags", assignment=essay, userid=other, extensionduedate=DUE - DAY)
    assert dates(student)["assign", essay] == DUE + 2 * DAY
    assert dates(other)["assign", essay] == DUE
    assert state_of(small, student, DUE + DAY) is WorkState.DUE_SOON


def test_what_is_not_for_everybody_or_hidden_is_not_missing(small):
    course = small.course()
    user = small.students(course, 1)[0]
    assignment(small, course, visible=0)
    assignment(small, course, nosubmissions=1)
    assert state_of(small, user) is None
    essay = assignment(small, course, availability='{"op": "&", "c": [{"type": "group", "id": 5}]}')
    assert state_of(small, user) is None
    small.add("assign_submission", assignment=essay, userid=user, status="submitted", timemodified=DUE)
    assert state_of(small, user) is WorkState.HANDED_IN
    assignment(small, course, availability='{"op":"&","c":[{"type":"date","d":">=","t":1}]}', duedate=DUE - 1)
    assert state_of(small, user) is WorkState.MISSING


def test_grades_with_words_and_without_what_is_no_grade(small):
    course = small.course()
    student, other = small.students(course, 2)
    essay = assignment(small, course)
    items = [
        small.add("grade_items", courseid=course, **values)
        for values in (
            {"itemmodule": "assign", "iteminstance": essay, "itemname": "Essay &amp; more", "grademax": 20},
            {"itemtype": "manual", "itemname": "Talk", "gradetype": 2, "scaleid": 3, "grademax": 3},
            {"itemtype": "course", "grademax": 100},
            {"itemtype": "category"}, {"itemname": "Outcome", "outcomeid": 1}, {"itemname": "Text", "gradetype": 3},
        )
    ]  # fmt: skip
    small.add("scale", id=3, scale="Poor,Fair,Good")
    for number, item in enumerate(items):
        small.add("grade_grades", itemid=item, userid=student, finalgrade=2 + number, timemodified=START - number)
    small.add("grade_grades", itemid=items[0], userid=other, finalgrade=None, timemodified=START)
    small.set(f"UPDATE mdl_grade_grades SET overridden = {START + 5} WHERE itemid = {items[0]}")
    with small.open() as site:
        found = grades_of(site, course, student)
        assert grades_of(site, course, other) == []
    assert [(one.itemtype, one.name, one.value, one.most, one.word, one.time) for one in found] == [
        ("course", "", 4, 100, "", START - 2),
        ("manual", "Talk", 3, 3, "Good", START - 1),
        ("mod", "Essay & more", 2, 20, "", START + 5),
    ]
    assert state_of(small, student) is WorkState.HANDED_IN  # graded, though nothing was handed in here


def test_an_extract_without_the_rare_tables(tmp_path):
    without = (
        "workshop_submissions", "assign_overrides", "assign_user_flags", "quiz_overrides", "lesson_overrides", "scale",
        "assign_submission.groupid", "assign_submission.timemodified", "assign.nosubmissions",
    )  # fmt: skip
    small = SmallSite(tmp_path / "site.sqlite", without=without)
    course = small.course()
    user = small.students(course, 1)[0]
    essay = assignment(small, course)
    small.activity(course, "workshop", name="Workshop", submissionend=DUE)
    small.add("assign_submission", assignment=essay, userid=user, status="submitted")
    item = small.add("grade_items", courseid=course, itemmodule="forum", iteminstance=1, gradetype=2, scaleid=3)
    small.add("grade_grades", itemid=item, userid=user, finalgrade=2, timemodified=START)
    with small.open() as site:
        work = course_work(site, course)
        assert [one.module for one in work] == ["assign"]
        assert submissions(site, user, work) == {("assign", essay): 0}
        assert own_dates(site, user, work) == {}
        assert [grade.word for grade in grades_of(site, course, user)] == [""]
    assert state_of(small, user) is WorkState.HANDED_IN  # when is not known, so it is not late


@pytest.mark.parametrize("kind", KINDS)
def test_a_simulated_course_in_every_database(tmp_path, kind):
    with new_database(kind, tmp_path) as url:
        write_site(url, courses=3, students=12, seed=3, now=NOW)
        with open_site(url) as site:
            check_course(site, site.courses[0])


def test_a_course_of_moodles(tmp_path):
    with open_site(load_sqlite(tmp_path / "site.sqlite", ORACLE_COURSE)) as site:
        check_course(site, site.courses[0])


def check_course(site, course):
    """All students' work is what the tables of submissions say, and the grades those of the gradebook."""
    work = course_work(site, course.id)
    assert any(one.due for one in work)
    assert [one.due for one in work if one.due] == sorted(one.due for one in work if one.due)
    users = [user for (user,) in site.database.rows("SELECT userid FROM {user_enrolments}")]
    found = {(user, *key) for user in users for key in submissions(site, user, work)}
    expected = {
        (user, module, instance)
        for module, table, column in (
            ("assign", "assign_submission WHERE status = 'submitted'", "assignment"),
            ("quiz", "quiz_attempts WHERE state = 'finished'", "quiz"),
            ("choice", "choice_answers", "choiceid"),
        )
        for user, instance in site.database.rows(
            f"SELECT userid, {column} FROM {{{table.split()[0]}}} {table.partition(' ')[2]}"
        )
        if any((one.module, one.instance) == (module, instance) for one in work) and user in users
    }
    assert expected
    assert {one for one in found if one[1] in ("assign", "quiz", "choice")} == expected
    number = site.database.rows(
        "SELECT COUNT(*) FROM {grade_grades} g JOIN {grade_items} i ON i.id = g.itemid WHERE i.courseid = :course "
        "AND g.finalgrade IS NOT NULL AND i.gradetype IN (1, 2) AND i.itemtype <> 'category' AND i.outcomeid IS NULL",
        course=course.id,
    )[0][0]
    every = [grades_of(site, course.id, user) for user in sorted(set(users))]
    assert sum(map(len, every)) == number > 0
    assert all([grade.time for grade in grades] == sorted(grade.time for grade in grades) for grades in every)
    listed = work_of(work, {}, submissions(site, users[0], work), every[0], course.end)
    counted = figures(listed)
    assert counted.due == counted.handed_in + counted.missing == sum(0 < one.due <= course.end for one in work)
