"""Indicators on a small site, with values worked out by hand."""

from __future__ import annotations

import json

import numpy as np
import pytest

from fixtures.small_site import DAY, END, START, STUDENT, TEACHER, WEEK, SmallSite, values
from moodlemlbackend.analytics.features.analysers import ANALYSERS
from moodlemlbackend.analytics.features.indicators import CORE, MODULES
from moodlemlbackend.analytics.features.ranges import Ranges
from moodlemlbackend.analytics.features.registry import STUDENTS_AT_RISK, get_indicator
from moodlemlbackend.errors import SiteError

MIDDLE = START + 5 * WEEK
HALVES = ((START, MIDDLE), (MIDDLE, END))
SUBMITTED = r"\mod_assign\event\assessable_submitted"


def cognitive(module):
    return rf"\mod_{module}\analytics\indicator\cognitive_depth"


def social(module):
    return rf"\mod_{module}\analytics\indicator\social_breadth"


def core(name):
    return rf"\core\analytics\indicator\{name}"


@pytest.fixture
def small(tmp_path):
    return SmallSite(tmp_path / "site.sqlite")


@pytest.fixture
def course(small):
    made = small.course()
    small.section(made, 1)
    return made


def same(found, expected):
    np.testing.assert_allclose(np.array(found, float), np.array(expected, float), atol=1e-12)


# ---- what the logs show ----


def test_windows_are_open_at_the_start_and_closed_at_the_end(small, course):
    on_start, on_end, after = small.students(course, 3)
    small.log(course, on_start, START, crud="c")
    small.log(course, on_end, MIDDLE, crud="c")
    small.log(course, after, MIDDLE + 1, crud="u")
    assert values(small, core("any_write_action_in_course"), *HALVES) == [[-1, 1, -1], [-1, -1, 1]]
    assert values(small, core("any_write_action"), *HALVES) == [[-1, 1, -1], [-1, -1, 1]]
    assert values(small, core("any_write_action"), (0, 0)) == [[1, 1, 1]]


def test_writing_in_an_activity_is_writing_in_the_course(small, course):
    context, _ = small.activity(course, "forum")
    writer, secret, reader = small.students(course, 3)
    small.log(course, writer, MIDDLE, crud="c", context=context)
    small.log(course, secret, MIDDLE, crud="c", context=context, anonymous=1)
    small.log(course, reader, MIDDLE, context=context)
    assert values(small, core("any_write_action_in_course")) == [[1, -1, -1]]
    assert values(small, core("any_write_action")) == [[-1, -1, -1]]


def test_accesses_before_and_after_the_course(small, course):
    early, on_start, on_end, late = small.students(course, 4)
    for user, time in ((early, START - 1), (on_start, START), (on_end, END), (late, END + 1)):
        small.log(course, user, time)
    assert values(small, core("any_access_before_start")) == [[1, -1, -1, -1]]
    assert values(small, core("any_access_after_end"), *HALVES) == [[-1, -1, -1, 1]] * 2
    small.set("UPDATE mdl_course SET enddate = 0")
    assert values(small, core("any_access_after_end")) == [[1, 1, 1, 1]]


def test_reads_are_counted_by_the_week(small, course):
    none, few, more, many = small.students(course, 4)
    for user, number in ((few, 3), (more, 4), (many, 31)):
        for second in range(number):
            small.log(course, user, START + 1 + second)
    assert values(small, core("read_actions"), (START, START + WEEK)) == [[-1, -0.33, 0.33, 1]]
    assert np.isnan(values(small, core("read_actions"), (0, START + WEEK))).all()
    assert none


def test_any_course_access_asks_the_last_access_first(small, course):
    never, before, inside, later, only_later = small.students(course, 5)
    for user, time in ((before, START - 5), (inside, START + 5), (later, END + 5), (only_later, END + 5)):
        small.add("user_lastaccess", courseid=course, userid=user, timeaccess=time)
    small.log(course, later, MIDDLE)
    expected = [[-1, -1, 1, 1, -1]]
    assert values(small, core("any_course_access"), (START, END)) == expected
    assert values(small, core("any_course_access"), (0, 0)) == [[-1, 1, 1, 1, 1]]
    assert values(small, core("any_course_access"), (START, 0)) == [[-1, -1, 1, 1, 1]]
    assert never


# ---- how the course is set up ----


def test_people_of_the_course_itself(small):
    empty, full = small.course(), small.course()
    small.enrol(full, small.user(), TEACHER)
    small.enrol(full, small.user(), STUDENT)
    small.add("role_assignments", roleid=STUDENT, contextid=1, userid=small.user())  # above, so it does not count
    with small.open() as site:
        analyser = ANALYSERS[r"\core\analytics\analyser\site_courses"]
        [whole] = analyser.open(site, [site], END, ())
        samples = analyser.samples(whole)
        ranges = Ranges.of([(0, END, 0)])
        for name in ("no_teacher", "no_student"):
            found = get_indicator(rf"\core_course\analytics\indicator\{name}").calculate(samples, ranges)
            assert found.tolist() == [[-1, 1]]
        accesses = get_indicator(core("any_course_access"))
        assert samples.ids.tolist() == [empty, full]
        assert accesses.calculate(samples, ranges).tolist() == [[-1, -1]]
        assert samples.contexts.tolist() == [1, 1]


def test_completion_needs_criteria_the_course_and_the_site(small, course):
    small.students(course, 1)
    indicator = r"\core_course\analytics\indicator\completion_enabled"
    assert values(small, indicator) == [[-1]]
    small.set("UPDATE mdl_course SET enablecompletion = 1")
    assert values(small, indicator) == [[-1]]
    small.add("course_completion_criteria", course=course)
    assert values(small, indicator) == [[1]]
    small.set("UPDATE mdl_config SET value = '0' WHERE name = 'enablecompletion'")
    assert values(small, indicator) == [[-1]]


@pytest.mark.parametrize(
    ("module", "settings", "depth", "breadth"),
    [("page", {}, -1, -1), ("data", {}, -0.5, -1), ("choice", {"showresults": 0}, -0.5, 1),
     ("choice", {"showresults": 1}, 0, 1), ("feedback", {"publish_stats": 0}, -0.5, 1),
     ("forum", {}, 0.5, 1), ("quiz", {}, 1, 1)],
)  # fmt: skip
def test_potential_levels(small, course, module, settings, depth, breadth):
    small.students(course, 1)
    small.activity(course, module, visible=0, **settings)
    assert values(small, r"\core_course\analytics\indicator\potential_cognitive_depth") == [[depth]]
    assert values(small, r"\core_course\analytics\indicator\potential_social_breadth") == [[breadth]]


def test_potential_levels_without_activities(small, course):
    small.students(course, 1)
    assert values(small, r"\core_course\analytics\indicator\potential_cognitive_depth") == [[-1]]


# ---- the Community of Inquiry ----


def test_two_assignments_one_submitted(small, course):
    first, _ = small.activity(course, "assign", section=1)
    small.activity(course, "assign", section=1)
    [student] = small.students(course, 1)
    small.log(course, student, MIDDLE, context=first, event=SUBMITTED, crud="u")
    same(values(small, cognitive("assign"), (START, END)), [[-0.6]])
    same(values(small, social("assign"), (START, END)), [[-0.5]])


def test_no_activity_is_null(small, course):
    small.activity(course, "assign", section=1, duedate=MIDDLE)
    small.students(course, 2)
    same(values(small, cognitive("assign"), *HALVES), [[-1, -1], [np.nan, np.nan]])
    assert np.isnan(values(small, cognitive("quiz"))).all()


def test_a_choice_answered_with_results_shown(small, course):
    context, _ = small.activity(course, "choice", section=1, showresults=1)
    [student] = small.students(course, 1)
    small.log(course, student, MIDDLE, context=context, event=r"\mod_choice\event\answer_created", crud="c")
    same(values(small, cognitive("choice")), [[-1 + 2 / 3 * 2]])
    same(values(small, social("choice")), [[0]])


def test_lessons_ended_too_often_do_not_count_as_submitted(small, course):
    context, _ = small.activity(course, "lesson", section=1)
    [student] = small.students(course, 1)
    ended = r"\mod_lesson\event\lesson_ended"
    small.log(course, student, MIDDLE, context=context, event=ended, crud="u")
    same(values(small, cognitive("lesson")), [[1]])
    small.log(course, student, MIDDLE + 1, context=context, event=ended, crud="u")
    same(values(small, cognitive("lesson")), [[1]])
    small.log(course, student, MIDDLE + 2, context=context, event=ended, crud="u")
    same(values(small, cognitive("lesson")), [[0.2]])
    same(values(small, social("lesson")), [[1]])


def test_feedback_counts_after_the_grade_and_for_all_who_were_there(small, course):
    context, item = small.activity(course, "assign", section=1, graded=True)
    looked, came, absent = small.students(course, 3)
    small.add("grade_grades", itemid=item, userid=looked, finalgrade=0.0, timemodified=MIDDLE)
    viewed = r"\mod_assign\event\feedback_viewed"
    small.log(course, looked, MIDDLE, context=context, event=viewed)
    small.log(course, came, MIDDLE, context=context)
    same(values(small, cognitive("assign")), [[-0.6, -0.6, -1]])
    small.log(course, looked, MIDDLE + 1, context=context, event=viewed)
    same(values(small, cognitive("assign")), [[0.2, 0.2, -1]])
    same(values(small, social("assign")), [[1, 1, -1]])
    assert absent


def test_an_overridden_grade_has_the_time_of_its_overriding(small, course):
    context, item = small.activity(course, "assign", section=1, graded=True)
    [student] = small.students(course, 1)
    small.add("grade_grades", itemid=item, userid=student, finalgrade=5.0, timemodified=START, overridden=MIDDLE)
    small.log(course, student, MIDDLE, context=context, event=SUBMITTED, crud="u")
    same(values(small, cognitive("assign")), [[-0.2]])
    small.log(course, student, MIDDLE + 1, context=context, event=SUBMITTED, crud="u")
    same(values(small, cognitive("assign")), [[1]])


def test_an_answer_in_a_forum_needs_another_one_before_it(small, course):
    context, _ = small.activity(course, "forum", section=1)
    asks, answers, reads = small.students(course, 3)
    posted = r"\mod_forum\event\assessable_uploaded"
    small.log(course, asks, MIDDLE, context=context, event=posted, crud="c")
    small.log(course, reads, MIDDLE + 9, context=context, event=r"\mod_forum\event\discussion_viewed")
    same(values(small, cognitive("forum")), [[0, -1, -0.5]])
    small.log(course, answers, MIDDLE + 1, context=context, event=posted, crud="c")
    same(values(small, cognitive("forum")), [[1, 1, 1]])
    same(values(small, social("forum")), [[0, 0, 0]])  # no grade item, so no feedback
    small.add("grade_items", courseid=course, itemmodule="forum", iteminstance=1)
    same(values(small, social("forum")), [[1, 1, 1]])


def test_bigbluebutton_is_refused_with_a_sentence(small, course):
    context, _ = small.activity(course, "bigbluebuttonbn", section=1)
    [student] = small.students(course, 1)
    same(values(small, cognitive("bigbluebuttonbn")), [[-1]])
    small.log(course, student, MIDDLE, context=context)
    with pytest.raises(SiteError, match="leave the indicator out"):
        values(small, cognitive("bigbluebuttonbn"))


# ---- to which range an activity belongs ----


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        (("<", MIDDLE - DAY), [True, False]),
        (("<", START - 1), [False, False]),
        ((">=", END + 1), [False, False]),
        ((">=", START - 1), [False, True]),  # decides nothing: the second of two sections ends with the course
        ((">=", MIDDLE + 1), [False, True]),
    ],
)
@pytest.mark.parametrize("of", ["activity", "section"])
def test_date_restrictions(small, course, condition, expected, of):
    nested = json.dumps({"op": "&", "c": [{"op": "|", "c": [{"type": "date", "d": condition[0], "t": condition[1]}]}]})
    small.section(course, 2)
    if of == "section":
        small.set(f"UPDATE mdl_course_sections SET availability = '{nested}' WHERE section = 2")
    small.activity(course, "page", section=2, availability=nested if of == "activity" else None)
    small.students(course, 1)
    assert (~np.isnan(values(small, cognitive("page"), *HALVES))).ravel().tolist() == expected


@pytest.mark.parametrize(
    ("version", "seconds"),
    [("2019052002", 0), ("2019111802", 0), ("2022112809.04", 0), ("2022112810", 7200), ("2023042403", 7200),
     ("2024100700", 7200), ("", 7200)],
)  # fmt: skip
def test_weeks_end_two_hours_early_from_moodle_4110_on(tmp_path, version, seconds):
    small = SmallSite(tmp_path / "site.sqlite", version=version)
    course = small.course(format="weeks")
    small.activity(course, "page", section=0)
    small.students(course, 1)
    due = START + WEEK - seconds
    found = values(small, cognitive("page"), (START, due - 1), (due - 1, due), (due, END))
    assert np.isnan(found).ravel().tolist() == [True, False, True]


@pytest.mark.parametrize(
    ("version", "due"), [("2019111802", False), ("2022112809.04", False), ("2022112810", True), ("2024100700", True)]
)
def test_the_last_week_of_a_course_that_ends_a_minute_before_midnight(tmp_path, version, due):
    """It is due a minute after the course's end where nothing is taken off, two hours before where 7,200 s are."""
    midnight = START - START % DAY
    small = SmallSite(tmp_path / "site.sqlite", version=version)
    course = small.course(format="weeks", startdate=midnight, enddate=midnight + 10 * WEEK - 60)
    small.section(course, 10)
    small.activity(course, "page", section=10)
    small.students(course, 1)
    found = values(small, cognitive("page"), (midnight, midnight + 10 * WEEK - 60))
    assert np.isnan(found).ravel().tolist() == [not due]


@pytest.mark.parametrize(
    ("version", "calendar"),
    [("2022112809", False), ("2022112810", True), ("2023042403", False), ("2023042407", True), ("2023100903", False),
     ("2024042200", True), ("2024100700.01", True), ("2025041400", True)],
)  # fmt: skip
@pytest.mark.parametrize(("zone", "leap"), [("Europe/Madrid", 3600), ("UTC", 0)])
def test_weeks_are_of_the_calendar_in_some_versions(tmp_path, version, calendar, zone, leap):
    """The course begins on 14 November 2023; the clock is put forward on 31 March, in its twentieth week."""
    small = SmallSite(tmp_path / "site.sqlite", version=version)
    small.set(f"UPDATE mdl_config SET value = '{zone}' WHERE name = 'timezone'")
    course = small.course(format="weeks", enddate=START + 22 * WEEK)
    for section, module in ((19, "page"), (20, "url")):
        small.section(course, section)
        small.activity(course, module, section=section)
    small.students(course, 1)
    early = 7200 if version >= "2022112810" else 0
    for module, due in (
        ("page", START + 19 * WEEK - early),
        ("url", START + 20 * WEEK - early - (leap if calendar else 0)),
    ):
        found = values(small, cognitive(module), (START, due - 1), (due - 1, due), (due, due + WEEK))
        assert np.isnan(found).ravel().tolist() == [True, False, True], module


def test_sections_share_the_duration(small):
    course = small.course()
    for number in (1, 2, 3):
        small.section(course, number)
    small.activity(course, "page", section=0)
    small.activity(course, "url", section=2)
    small.students(course, 1)
    due = START + 2 * round(10 * WEEK / 3)
    assert np.isnan(values(small, cognitive("page"))).all()
    assert np.isnan(values(small, cognitive("url"), (START, due - 1), (due - 1, due))).ravel().tolist() == [True, False]
    small.add("course_format_options", courseid=course, format="topics", sectionid=0, name="numsections", value="5")
    due = START + 4 * WEEK
    assert np.isnan(values(small, cognitive("url"), (START, due - 1), (due - 1, due))).ravel().tolist() == [True, False]


# ---- what only students have ----


def test_grades_of_people_who_are_no_students_do_not_count(small, course):
    """A teacher, somebody who was never enrolled, and a student of another course looked at feedback after a grade."""
    context, item = small.activity(course, "assign", section=1, graded=True)
    [student] = small.students(course, 1)
    teacher, nobody = small.user(), small.user()
    [elsewhere] = small.students(small.course(), 1)
    small.enrol(course, teacher, TEACHER)
    small.log(course, student, MIDDLE, context=context)
    for user in (teacher, nobody, elsewhere):
        small.add("grade_grades", itemid=item, userid=user, finalgrade=5.0, timemodified=MIDDLE)
        small.log(course, user, MIDDLE + DAY, context=context, event=r"\mod_assign\event\feedback_viewed")
    same(values(small, cognitive("assign")), [[-0.6]])
    same(values(small, social("assign")), [[0]])
    small.add("role_assignments", roleid=STUDENT, contextid=1, userid=teacher)  # above the course: a student, too
    assert values(small, cognitive("assign"))[0][0] == pytest.approx(-1 + 2 / 5 * 3)
    assert values(small, social("assign"))[0][0] == pytest.approx(1)


# ---- users ----


def test_profiles(small, course):
    users = [
        small.user(),
        small.user(description="x", city="y"),
        small.user(institution="a", department="b", address="c", city="d", country="e"),
        small.user(confirmed=0, description="x"),
        small.user(description="x", trackforums=1),
    ]
    for user in users:
        small.enrol(course, user)
    small.add("user_preferences", userid=users[4], name="auth_forcepasswordchange", value="1")
    same(values(small, r"\core_user\analytics\indicator\user_profile_set"), [[0, 1, 1, -1, -1]])
    assert values(small, r"\core_user\analytics\indicator\user_track_forums") == [[-1, -1, -1, -1, 1]]


# ---- all of them ----


def test_every_indicator_can_be_calculated(small, course):
    for module in MODULES:
        small.activity(course, module, section=1)
    small.students(course, 3)
    for indicator in CORE:
        found = np.array(values(small, indicator, *HALVES), float)
        assert found.shape == (2, 3), indicator.id
        assert ((np.abs(found) <= 1) | np.isnan(found)).all(), indicator.id


def test_the_core_model_has_49_indicators():
    assert len(STUDENTS_AT_RISK) == len(set(STUDENTS_AT_RISK)) == 49
    assert all(get_indicator(one).id == one for one in STUDENTS_AT_RISK)
