"""A backtest: nothing of the future is seen, the right courses teach, and the figures are those of what happened."""

from __future__ import annotations

import json
import shutil
import sqlite3
from contextlib import closing

import numpy as np
import pytest
from click.testing import CliRunner

from fixtures.trained_sites import (
    DROPOUT,
    NO_TEACHING,
    NOW,
    PROCESSOR,
    QUARTERS,
    SINGLE_RANGE,
    in_this_process,  # noqa: F401
    new_workspace,
    site,  # noqa: F401
    site_url,  # noqa: F401
    workspace,  # noqa: F401
)
from moodlemlbackend.analytics import lifecycle, models
from moodlemlbackend.analytics.features import definitions
from moodlemlbackend.analytics.features.targets.enrolments import CourseDropout
from moodlemlbackend.analytics.lifecycle.backtesting.figures import PredictedCourse, Predictions, Students, figures
from moodlemlbackend.analytics.site import open_site
from moodlemlbackend.analytics.site.logs import last_accesses, log_span
from moodlemlbackend.analytics.site.schema import TABLES
from moodlemlbackend.cli import main
from moodlemlbackend.errors import UsageError

PAST_MONTH = r"\core\analytics\time_splitting\past_month"
MORE = (r"\core\analytics\indicator\any_course_access", r"\core_course\analytics\indicator\activities_due")
"""Indicators that read what has one date only: last accesses, completions, attempts, submissions."""

DATED = {
    "logstore_standard_log": "timecreated",
    "grade_grades": "timemodified",
    "course_completions": "timecompleted",
    "course_modules_completion": "timemodified",
    "user_enrolments": "timecreated",
    "user_lastaccess": "timeaccess",
    "competency_usercompcourse": "timemodified",
    "groups_members": "timeadded",
    "quiz_attempts": "timemodified",
    "assign_submission": "timemodified",
    "choice_answers": "timemodified",
    "feedback_completed": "timemodified",
    "lesson_grades": "completed",
}


def without_future(url: str, folder, moment: int, *, keep: float) -> str:
    """A copy of a site in which all but a share of what is dated after a moment is gone; the rest is of others."""
    path = folder / f"changed{keep}.sqlite"
    shutil.copy(url.removeprefix("sqlite:///"), path)
    with closing(sqlite3.connect(path)) as database, database:
        changed = 0
        for table, column in DATED.items():
            later = f"{column} > {moment}"
            changed += database.execute(f"DELETE FROM mdl_{table} WHERE {later} AND id % 100 >= {100 * keep}").rowcount
            if table != "user_enrolments":
                users = "(SELECT MIN(userid) FROM mdl_user_enrolments)"
                database.execute(f"UPDATE OR IGNORE mdl_{table} SET userid = {users} WHERE {later}")
        assert changed > 1000
    return f"sqlite:///{path}"


def predicted(url: str, folder, intervals, **made):
    """What a model predicts in the past of a site, by interval: sample, range, moment, probability, warned."""
    with open_site(url) as opened, new_workspace(folder) as space:
        model = models.create(space, made["target"], made["indicators"], processor=PROCESSOR)
        result = lifecycle.backtest(space, opened, model.id, intervals=intervals)
    names = "samples", "ranges", "moments", "probabilities", "warned"
    return {
        interval: list(zip(*(getattr(found, name).tolist() for name in names), strict=True))
        for interval, found in result.predictions.items()
    }


def test_no_prediction_depends_on_what_is_dated_later(site_url, tmp_path):  # noqa: F811
    made = {"target": DROPOUT, "indicators": (*definitions.core_indicators(DROPOUT), *MORE)}
    intervals = [QUARTERS, PAST_MONTH]
    whole = predicted(site_url, tmp_path / "whole", intervals, **made)
    moments = np.unique([row[2] for row in whole[QUARTERS]])
    for share, keep in ((0.3, 0), (0.7, 0.5)):
        moment = int(moments[int(share * len(moments))])
        url = without_future(site_url, tmp_path, moment, keep=keep)
        changed = predicted(url, tmp_path / f"changed{keep}", intervals, **made)
        for interval in intervals:
            before = [row for row in whole[interval] if row[2] <= moment]
            assert before
            assert [row for row in changed[interval] if row[2] <= moment] == before
        assert changed[QUARTERS] != whole[QUARTERS]


def test_a_site_in_the_past_has_what_was_dated_by_then(site):  # noqa: F811
    assert {name for name, table in TABLES.items() if table.dated} | {"user_lastaccess"} == set(DATED)
    span = log_span(site)
    moment = (span.first + span.last) // 2
    then = site.at(moment)
    partly = set()
    for table, column in DATED.items():
        if table != "user_lastaccess":
            [(rows,)] = then.database.rows(f"SELECT COUNT(*) FROM {{{table}}}")
            [(known, every)] = site.database.rows(
                f"SELECT COALESCE(SUM({column} <= {moment}), 0), COUNT(*) FROM {{{table}}}"
            )
            assert rows == known
            partly |= {table} if 0 < rows < every else set()
    assert partly >= {"logstore_standard_log", "grade_grades", "course_completions", "user_enrolments", "quiz_attempts"}
    accesses = last_accesses(then, [course.id for course in site.courses])
    assert accesses
    assert all((table[:, 1] <= moment).all() for table in accesses.values())
    assert log_span(site) == span


def test_a_backtest_tells_whom_the_model_would_have_warned(site, workspace):  # noqa: F811
    model = models.create(workspace, DROPOUT, definitions.core_indicators(DROPOUT), processor=PROCESSOR)
    result = lifecycle.backtest(workspace, site, model.id, intervals=["quarters", "single_range"])
    found = result.intervals[QUARTERS]
    assert found["sentence"] == result.info[0]
    assert [one["range"] for one in found["by_range"]] == [0, 1, 2]  # the last quarter ends with the course
    assert sum(one["predictions"] for one in found["by_range"]) == found["predictions"]
    assert sum(one["real"] for one in found["by_course"]) == found["real"]
    assert found["right"] <= found["warnings"]
    assert 0 <= found["in_time"] <= found["recall"] <= 1
    low, high = found["bounds"]["precision"]
    assert low <= found["precision"] <= high
    assert result.intervals[SINGLE_RANGE]["by_range"][0]["range"] == 0
    ended = {course.id: course.end for course in site.courses}
    first = min(result.predictions[QUARTERS].moments)
    assert sum(0 < end <= first for end in ended.values()) >= 3
    assert max(result.predictions[QUARTERS].moments) < NOW
    assert json.dumps(result.intervals)


def test_where_class_1_is_no_news_the_figures_are_of_class_0(site, workspace, monkeypatch):  # noqa: F811
    monkeypatch.setattr(CourseDropout, "ignored_classes", (1,))
    model = models.create(workspace, DROPOUT, definitions.core_indicators(DROPOUT), processor=PROCESSOR)
    result = lifecycle.backtest(workspace, site, model.id, intervals=["quarters"])
    found, predictions = result.intervals[QUARTERS], result.predictions[QUARTERS]
    assert found["real"] > found["predictions"] / 2
    assert found["precision"] > found["real"] / found["predictions"]
    warned = predictions.warned
    assert predictions.probabilities[warned].mean() > predictions.probabilities[~warned].mean()


def test_a_model_by_assumption_has_no_past(site, workspace):  # noqa: F811
    with workspace.store.read() as connection:
        [static] = models.listed(connection, target=NO_TEACHING)
    with pytest.raises(UsageError, match="cannot be backtested"):
        lifecycle.backtest(workspace, site, static.id)


def test_a_site_without_finished_courses_says_so(site, tmp_path):  # noqa: F811
    early = min(course.start for course in site.courses if course.start)
    with new_workspace(tmp_path, early) as space:
        model = models.create(space, DROPOUT, definitions.core_indicators(DROPOUT), processor=PROCESSOR)
        result = lifecycle.backtest(space, site, model.id, intervals=["quarters"])
    assert result.status == 8
    assert "no model could have been trained" in result.info[0]


def test_the_command_prints_the_sentence_first(site_url, tmp_path):  # noqa: F811
    with new_workspace(tmp_path) as space:
        models.create(space, DROPOUT, definitions.core_indicators(DROPOUT), processor=PROCESSOR)
    arguments = ["models", "backtest", "6", "--interval", "quarters", "--site", site_url, "--directory", str(tmp_path)]
    arguments += ["--now", str(NOW)]
    printed = CliRunner().invoke(main, arguments)
    assert printed.exit_code == 0
    assert printed.output.startswith("If this model had run with quarters from ")
    answer = json.loads(CliRunner().invoke(main, [*arguments, "--json"]).output)
    assert answer["info"][0] == printed.output.splitlines()[0]
    assert set(answer) == {"status", "info", "model", "name", "intervals"}


DAY = 86_400


def test_figures_are_of_what_happened():
    """Two courses, three students: one warned in time, one warned too late, one left alone."""
    courses = [
        PredictedCourse(1, "A", 0, 70 * DAY - 1, np.array([9])), PredictedCourse(2, "B", 0, 70 * DAY - 1, np.array([9]))
    ]  # fmt: skip
    students = Students(np.array([0, 0, 1]), np.array([1, 1, 0]), np.array([50 * DAY, 20 * DAY, 69 * DAY]))
    predictions = Predictions(
        courses=np.array([0, 0, 0, 0, 1, 1]),
        samples=np.array([11, 12, 11, 12, 13, 14]),
        students=np.array([0, 1, 0, 1, 2, -1]),
        ranges=np.array([0, 0, 1, 1, 0, 0]),
        moments=np.array([10, 10, 30, 30, 10, 10]) * DAY,
        probabilities=np.array([0.9, 0.2, 0.8, 0.7, 0.1, 0.6]),
        warned=np.array([True, False, True, True, False, True]),
    )
    found = figures(courses, predictions, students)
    assert (found["predictions"], found["warnings"], found["right"], found["real"]) == (5, 4, 3, 4)
    assert (found["left"], found["recall"], found["in_time"], found["days_median"]) == (2, 1, 0.5, 40)
    assert (found["precision"], found["auc"], found["promised"]) == (1, 1, 2.7)
    assert found["brier"] == pytest.approx((0.1**2 + 0.8**2 + 0.2**2 + 0.3**2 + 0.1**2) / 5, abs=1e-4)
    assert [one["recall"] for one in found["by_range"]] == [0.5, 1]
    assert [one["flagged"] for one in found["by_course"]] == [1, 0.5]
    assert found["load"] == {
        "teachers": 1, "warnings_a_teacher_and_week": 0.4, "flagged": 0.75, "courses_flagged_by_more_than_half": 1,
    }  # fmt: skip
    assert found["calibration_factor"] == pytest.approx(
        np.exp(np.mean([abs(np.log(3.1 / 4.5)), abs(np.log(0.6 / 0.5))])), abs=1e-4
    )
