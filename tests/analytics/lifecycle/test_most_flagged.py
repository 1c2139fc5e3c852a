"""Where most of a course is flagged no one is notified, and managers see why that may be."""

from __future__ import annotations

import json
import shutil
import sqlite3
from contextlib import closing
from dataclasses import replace

import numpy as np
import pytest
from click.testing import CliRunner

from fixtures.small_site import DAY as A_DAY
from fixtures.small_site import END, START, WEEK, SmallSite, one_course
from fixtures.small_site import NOW as SMALL_NOW
from fixtures.trained_sites import (
    DAY,
    NO_RECENT_ACCESSES,
    NOW,
    QUARTERS,
    SINGLE_RANGE,
    TRAINED,
    at,
    new_workspace,
    rows,
    site_url,
    trained,
    trained_folder,
)
from moodlemlbackend import spooled
from moodlemlbackend.analytics import lifecycle, models
from moodlemlbackend.analytics.db.schema import EXPLANATIONS, NOTIFICATIONS, PREDICT_SAMPLES, PREDICTIONS
from moodlemlbackend.analytics.features import definitions
from moodlemlbackend.analytics.features.course_dates import doubt_dates
from moodlemlbackend.analytics.features.targets.enrolments import CourseDropout
from moodlemlbackend.analytics.lifecycle import most_flagged
from moodlemlbackend.analytics.lifecycle.likely_reason import likely_reason
from moodlemlbackend.analytics.lifecycle.most_flagged import moments_over
from moodlemlbackend.analytics.lifecycle.predicted_samples import SAMPLE
from moodlemlbackend.analytics.site import open_site
from moodlemlbackend.cli import main

_ = (site_url, trained, trained_folder)  # fixtures

COURSE, CONTEXT, STUDENTS = 10, 426, 12
"""An ongoing course of the simulated site; three of its students are flagged."""
OTHER = 390
"""The context of the other one, where two are."""


@pytest.fixture
def changed_site(site_url, tmp_path):
    """Return a function that opens a copy of the site in which something was changed."""
    opened = []

    def change(*statements):
        path = tmp_path / f"site{len(opened)}.sqlite"
        shutil.copy(site_url.removeprefix("sqlite:///"), path)
        with closing(sqlite3.connect(path)) as database, database:
            for statement in statements:
                database.execute(statement)
        opened.append(open_site(f"sqlite:///{path}"))
        return opened[-1]

    yield change
    for one in opened:
        one.close()


def silence(*but):
    """Delete the log of all students of the course, but that of some enrolments."""
    kept = ", ".join(map(str, but)) or "0"
    return (
        f"DELETE FROM mdl_logstore_standard_log WHERE courseid = {COURSE} AND userid NOT IN "
        f"(SELECT userid FROM mdl_user_enrolments WHERE id IN ({kept}))"
    )


def told(workspace):
    return {row["contextid"] for row in rows(workspace, NOTIFICATIONS)}


def flagged(workspace, context=CONTEXT):
    return {row["sampleid"] for row in rows(workspace, PREDICTIONS) if row["contextid"] == context}


@pytest.fixture
def not_at_risk(trained_folder, changed_site, tmp_path):
    """Enrolments of the course that the model does not flag as the site is."""
    shutil.copytree(trained_folder, tmp_path / "before")
    with new_workspace(tmp_path / "before") as workspace:
        lifecycle.predict(workspace, changed_site(), TRAINED)
        [samples] = [row["sampleids"] for row in rows(workspace, PREDICT_SAMPLES) if row["analysableid"] == COURSE]
        return sorted({*json.loads(samples).values()} - flagged(workspace))


# ---- what is told ----


def test_no_one_is_notified_about_a_course_most_of_which_is_flagged(trained, changed_site, site_url):
    site = changed_site(silence())
    result = lifecycle.predict(trained, site, TRAINED)
    assert result.status == 0
    assert told(trained) == {OTHER}
    assert len(flagged(trained)) == STUDENTS
    assert len(rows(trained, EXPLANATIONS)) == result.figures["predictions"] > STUDENTS
    [sentence] = result.info
    assert sentence == (
        "No one was notified about Course ONGOING-9: 12 of 12 students are flagged, probably because its "
        "indicators are mostly empty: 0 of them differ from student to student, compared with 3 in most courses the "
        "model learned from. Set notify_when_most_flagged to notify teachers anyway."
    )
    shown = {"MOODLEMLBACKEND_DIRECTORY": str(trained.folder)}
    command = ["models", "show", str(TRAINED), "--now", str(NOW)]
    assert sentence in " ".join(CliRunner().invoke(main, command, env=shown).output.split())
    [course] = json.loads(CliRunner().invoke(main, [*command, "--json"], env=shown).output)["model"]["not_notified"]
    assert (course["context"], course["flagged"], course["predicted"]) == (CONTEXT, STUDENTS, STUDENTS)


def test_a_setting_has_everybody_notified(trained, changed_site):
    settings = replace(trained.settings, notify_when_most_flagged=True)
    result = lifecycle.predict(replace(trained, settings=settings), changed_site(silence()), TRAINED)
    assert told(trained) == {CONTEXT, OTHER}
    assert result.info == []


@pytest.mark.parametrize(("number", "notified"), [(9, {CONTEXT, OTHER}), (10, {OTHER})])
def test_from_ten_students_on(trained, changed_site, not_at_risk, number, notified):
    lifecycle.predict(trained, changed_site(silence(*not_at_risk[: STUDENTS - number])), TRAINED)
    assert len(flagged(trained)) == number
    assert told(trained) == notified


def test_dates_that_are_wrong_are_named(trained, changed_site):
    start, end = NOW - int(195.5 * DAY), NOW + 196 * DAY
    site = changed_site(f"UPDATE mdl_course SET startdate = {start}, enddate = {end} WHERE id = {COURSE}")
    [sentence] = lifecycle.predict(trained, site, TRAINED).info
    assert "13 of 13 students are flagged, probably because its dates are wrong: most of its students first" in sentence
    assert "around 18 August 2026, 99 days after its start" in sentence
    assert told(trained) == {OTHER}


def test_what_was_noted_of_a_course_goes_with_its_next_predictions(trained, changed_site):
    def noted(now=NOW):
        with trained.store.read() as connection:
            found = [one.context for one in most_flagged.listed(connection, TRAINED, now)]
            counts = most_flagged.counts(connection, now)
        assert counts.get(models.most_flagged_fact(TRAINED), 0) == len(found)
        return found

    lifecycle.predict(trained, changed_site(silence()), TRAINED)
    assert noted() == [CONTEXT]
    assert noted(NOW + 16 * DAY) == []  # the course is over
    later = at(trained, NOW + 14 * DAY)
    later = replace(later, settings=replace(later.settings, notify_when_most_flagged=True))
    more_time = f"UPDATE mdl_course SET startdate = {NOW - 110 * DAY}, enddate = {NOW + 30 * DAY} WHERE id = {COURSE}"
    lifecycle.predict(later, changed_site(more_time), TRAINED)
    assert noted() == []
    lifecycle.predict(trained, changed_site(silence()), TRAINED)
    models.clear(trained, TRAINED)
    assert noted() == []


def test_models_that_assume_tell_of_a_whole_course(trained, changed_site):
    with trained.store.read() as connection:
        [model] = models.listed(connection, target=NO_RECENT_ACCESSES)
    result = lifecycle.predict(trained, changed_site(silence()), model.id)
    assert len(flagged(trained)) >= most_flagged.LEAST_FLAGGED
    assert CONTEXT in told(trained)
    assert result.info == []


def test_targets_of_students_at_risk_alone():
    assert {name for name, target in definitions.targets().items() if target.flags_some} == {
        rf"\core_course\analytics\target\course_{name}"
        for name in ("dropout", "completion", "competencies", "gradetopass")
    }

    class TellsOfAll(CourseDropout):
        ignored_classes = ()

    assert not TellsOfAll().flags_some


@pytest.mark.parametrize("at_once", [13, 1000])
def test_each_moment_of_a_course_counts_for_itself(at_once, monkeypatch):
    moments = [(1, 0)] * 20 + [(1, 1)] * 20 + [(2, 0)] * 20 + [(3, 5)] * 12
    monkeypatch.setattr(spooled, "ROWS_AT_ONCE", at_once)

    def over(flagged):
        rows = np.zeros(len(moments), SAMPLE)
        rows["context"], rows["range"] = np.transpose(moments)
        rows["news"][[*flagged]] = True
        samples = spooled.SpooledRows(SAMPLE)
        samples.add(rows)
        return moments_over(samples)

    assert over(range(10)) == {}  # exactly half
    assert over(range(11)) == {1: (11, [*range(20)])}
    assert over([*range(10), *range(20, 30)]) == {}
    assert over([*range(12), *range(20, 34), *range(60, 72)]) == {
        1: (14, [*range(20, 40)]), 3: (12, [*range(60, 72)]),
    }  # fmt: skip


# ---- the likely reason ----


@pytest.fixture
def make_course(tmp_path):
    """Return a function that makes a course with twelve students, who come at a time; the site stays open."""
    opened = []

    def make(now=SMALL_NOW, first=None, last=None, **dates):
        small = SmallSite(tmp_path / f"{len(opened)}.sqlite")
        number = small.course(**dates)
        for student in small.students(number, STUDENTS):
            for time in (first, last):
                if time is not None:
                    small.log(number, student, time)
            if last is not None:
                small.add("user_lastaccess", userid=student, courseid=number, timeaccess=last)
        opened.append(small.open())
        return one_course(opened[-1], now=now)

    yield make
    for one in opened:
        one.close()


MIDDLE = START + 5 * WEEK


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"now": MIDDLE, "first": START + A_DAY, "last": MIDDLE - A_DAY}, ""),
        ({"now": MIDDLE}, ""),  # no one came, and all were enrolled when it began
        ({"now": END + 1, "first": START, "last": END}, "they say that it ended on 23 January 2024"),
        ({"now": START - 1}, "they say that it has not begun"),
        ({"now": MIDDLE, "first": START + 3 * WEEK}, "first visited around 5 December 2023, 21 days after its start"),
        ({"now": MIDDLE, "first": START - 4 * WEEK}, "first visited around 17 October 2023, 28 days before its start"),
        (
            {"now": MIDDLE, "startdate": START - 9 * WEEK},
            "were enrolled around 14 November 2023, 63 days after its start",
        ),
        (
            {"now": START + 20 * WEEK, "first": START, "last": START + 8 * WEEK, "enddate": START + 30 * WEEK},
            "its students last visited around 9 January 2024, but it has not ended",
        ),
    ],
)
def test_dates_are_doubted_by_when_students_came(make_course, changes, said):
    found = doubt_dates(make_course(**changes))
    assert found == "" if not said else found.startswith("its dates are wrong: ") and found.endswith(said)


def test_a_model_of_whole_courses_flags_those_that_have_only_begun(make_course):
    course = make_course(now=MIDDLE, first=START + A_DAY, last=MIDDLE - A_DAY)
    said = likely_reason(course, SINGLE_RANGE, COLUMNS, rows_of(20, quiz=(-1.0,), reads=(-1.0,)), LEARNED)
    assert said == "the model looks at whole courses (single_range), and this one has not ended"


QUIZ, READS = r"\mod_quiz\analytics\indicator\cognitive_depth", r"\core\analytics\indicator\read_actions"
COLUMNS = ("range/0", "range/1", QUIZ, f"{QUIZ}/mean", READS, f"{READS}/mean")


def rows_of(students, *, part=0, quiz=(-1.0, 0.5), reads=(-1.0, 1.0)):
    """A course's rows, whose values alternate."""
    made = np.zeros((students, len(COLUMNS)), np.float32)
    made[:, part] = 1
    made[:, 2], made[:, 4] = np.resize(quiz, students), np.resize(reads, students)
    made[:, 3], made[:, 5] = np.mean(quiz), np.mean(reads)
    return made


ANOTHER_KIND = "it is unlike the courses the model learned from"
LEARNED = [np.concatenate([rows_of(20), rows_of(20, part=1, quiz=(1.0,))]), rows_of(30), rows_of(12)]


@pytest.mark.parametrize(
    ("found", "learned", "said"),
    [
        (rows_of(20), LEARNED, f"{ANOTHER_KIND}, although neither its dates nor its indicators look wrong"),
        (rows_of(20), [], f"{ANOTHER_KIND}, although neither its dates nor its indicators look wrong"),
        (
            rows_of(20, quiz=(-1.0,), reads=(-1.0,)),
            LEARNED,
            "mostly empty: 0 of them differ from student to student, compared with 2",
        ),
        (
            rows_of(20, quiz=(np.nan,), reads=(-1.0,)),
            [],
            "its indicators are empty: all of its students have the same values",
        ),
        (rows_of(61), LEARNED, f"{ANOTHER_KIND}: it has 61 students, while those courses had 12 to 30"),
        (rows_of(60, quiz=(0.9, 1.0)), LEARNED, "did not occur in those courses (quiz: cognitive depth)"),
        (rows_of(20, part=1), LEARNED[:1], "did not occur in those courses (quiz: cognitive depth)"),
        (rows_of(20), LEARNED[:1], "nor its indicators look wrong"),
    ],
)
def test_indicators_and_kind_of_a_course_are_held_against_what_was_learned(make_course, found, learned, said):
    course = make_course(now=MIDDLE, first=START + A_DAY, last=MIDDLE - A_DAY)
    assert said in likely_reason(course, QUARTERS, COLUMNS, found, learned)
