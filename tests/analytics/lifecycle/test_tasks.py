"""Scheduled tasks: what they do, that they may overlap, and what they leave when something is wrong."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import pytest
from click.testing import CliRunner

from fixtures.trained_sites import (
    NO_TEACHING,
    NOW,
    TRAINED,
    at,
    enabled,
    in_this_process,
    model_of,
    new_workspace,
    rows,
    site,
    site_url,
    size,
    trained,
    trained_folder,
    workspace,
)
from moodlemlbackend.analytics import models
from moodlemlbackend.analytics.db.schema import (
    EXPLANATIONS,
    FEEDBACK,
    FILES,
    INDICATOR_CALC,
    INSIGHTS,
    NOTIFICATIONS,
    PREDICT_SAMPLES,
    PREDICTION_ACTIONS,
    PREDICTIONS,
    RUNS,
    TRAIN_SAMPLES,
    USED_ANALYSABLES,
    USED_FILES,
)
from moodlemlbackend.analytics.lifecycle import tasks
from moodlemlbackend.analytics.site import open_site
from moodlemlbackend.cli import main
from moodlemlbackend.errors import Status

_ = (in_this_process, site, site_url, trained, trained_folder, workspace)  # fixtures

DAY = 86_400


def changed_site(site_url: str, folder: Path, *statements: str) -> str:
    path = folder / "changed.sqlite"
    shutil.copy(site_url.removeprefix("sqlite:///"), path)
    with closing(sqlite3.connect(path)) as database, database:
        for statement in statements:
            database.execute(statement)
    return f"sqlite:///{path}"


def test_what_the_tasks_take_on(workspace, site):
    modelid = enabled(workspace)
    trained_now = tasks.train_models(workspace, site)
    assert [outcome.modelid for outcome in trained_now.results] == [modelid]
    assert not trained_now.failed
    predicted = tasks.predict_models(workspace, site)
    assert {outcome.modelid for outcome in predicted.results} == {2, 3, 4, 5, modelid}
    assert predicted.delivered is not None
    assert {run["task"] for run in rows(workspace, RUNS)} == {"train", "predict"}
    assert json.loads(json.dumps(predicted.as_dict()))["failed"] is False


def test_no_model_is_no_failure(workspace, site):
    summary = tasks.train_models(workspace, site)
    assert (summary.results, summary.failed) == ([], False)
    assert "No model" in summary.info[0]


def test_a_site_without_analytics_is_left_alone(workspace, site_url, tmp_path):
    url = changed_site(site_url, tmp_path, "UPDATE mdl_config SET value = '0' WHERE name = 'enableanalytics'")
    with open_site(url) as off:
        summary = tasks.predict_models(workspace, off)
    assert (summary.results, rows(workspace, PREDICTIONS)) == ([], [])
    assert "switched off" in summary.info[0]


def test_one_model_with_an_error_does_not_stop_the_others(workspace, site, monkeypatch):
    from moodlemlbackend.analytics.lifecycle import prediction

    good, bad = model_of(workspace, NO_TEACHING), 5

    original = prediction.predict_static

    def explode(target, results):
        if "recent" in target.id:
            raise ZeroDivisionError("of the code")
        return original(target, results)

    monkeypatch.setattr(prediction, "predict_static", explode)
    summary = tasks.predict_models(workspace, site)
    by_model = {outcome.modelid: outcome for outcome in summary.results}
    assert by_model[bad].status == Status.GENERAL_ERROR
    assert "ZeroDivisionError" in by_model[bad].info[0]
    assert "Traceback" not in by_model[bad].info[0]
    assert "Traceback" in (workspace.folder / tasks.ERROR_LOG).read_text()
    assert by_model[good].status in (0, Status.NO_DATASET)
    assert summary.failed


def test_tasks_that_overlap(site_url, trained, tmp_path):
    """Four processes at once; afterwards everything is there once."""
    folder = tmp_path / "overlap"
    with new_workspace(folder) as before:
        modelid = enabled(before)
    command = [sys.executable, "-m", "moodlemlbackend", "tasks"]
    where = ["--site", site_url, "--directory", str(folder), "--now", str(NOW), "--json"]
    begun = [
        subprocess.Popen(
            [*command, task, *where], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            env={**os.environ, "MOODLEMLBACKEND_NOTIFICATIONS": "on"},
        )
        for task in ("train", "train", "predict", "predict")
    ]  # fmt: skip
    said = [process.communicate(timeout=300) for process in begun]
    assert [process.returncode for process in begun] == [0, 0, 0, 0], said
    assert all(error == "" for _, error in said)
    with new_workspace(folder) as workspace:
        assert size(workspace, USED_FILES) in (1, 2)  # a prediction may have come before the training
        registered = [set(json.loads(row["sampleids"])) for row in rows(workspace, TRAIN_SAMPLES)]
        assert sum(map(len, registered)) == len(set().union(*registered))
        assert {row["modelid"] for row in rows(workspace, TRAIN_SAMPLES)} == {modelid}
        keys = [(row["modelid"], row["sampleid"], row["rangeindex"]) for row in rows(workspace, PREDICTIONS)]
        assert len(keys) == len(set(keys)) > 0
        told = [
            (row["modelid"], row["contextid"], row["useridto"], row["predictionid"])
            for row in rows(workspace, NOTIFICATIONS)
        ]
        assert len(told) == len(set(told)) > 0


# ---- cleanup ----


def test_cleanup_of_a_site_that_has_not_changed_removes_nothing(trained, site):
    tasks.predict_models(trained, site)
    kept = (FILES, INDICATOR_CALC, NOTIFICATIONS, PREDICT_SAMPLES, PREDICTIONS, TRAIN_SAMPLES, USED_ANALYSABLES)
    before = {table.name: size(trained, table) for table in kept}
    summary = tasks.clean_up(trained, site)
    assert {table.name: size(trained, table) for table in kept} == before
    assert not any(summary.removed.values())


def test_cleanup_forgets_a_course_that_is_gone(trained, site_url, site, tmp_path):
    tasks.predict_models(trained, site)
    gone = next(row["contextid"] for row in rows(trained, PREDICTIONS, PREDICTIONS.c.modelid == TRAINED))
    course = next(course.id for course in site.courses if course.context == gone)
    url = changed_site(
        site_url, tmp_path, f"DELETE FROM mdl_context WHERE id = {gone}", f"DELETE FROM mdl_course WHERE id = {course}"
    )
    with open_site(url) as smaller:
        summary = tasks.clean_up(trained, smaller)
    assert summary.removed["predictions"] > 0
    assert summary.removed["registers"] > 0
    assert gone not in {
        row["contextid"] for table in (PREDICTIONS, NOTIFICATIONS, INDICATOR_CALC) for row in rows(trained, table)
    }
    ids = {row["id"] for row in rows(trained, PREDICTIONS)}
    assert {row["predictionid"] for row in rows(trained, EXPLANATIONS)} <= ids
    of_courses = {model.id for model in _by_course(trained)}
    for table in (PREDICT_SAMPLES, TRAIN_SAMPLES, USED_ANALYSABLES):
        assert course not in {row["analysableid"] for row in rows(trained, table) if row["modelid"] in of_courses}


def test_cleanup_forgets_insights_about_who_is_unenrolled(trained, site_url, tmp_path):
    with open_site(site_url) as site:
        tasks.predict_models(trained, site)
    [gone, *rest] = rows(trained, INSIGHTS, INSIGHTS.c.modelid == TRAINED)
    before, predicted = size(trained, INSIGHTS), size(trained, PREDICTIONS)
    url = changed_site(site_url, tmp_path, f"DELETE FROM mdl_user_enrolments WHERE id = {gone['sampleid']}")
    with open_site(url) as smaller:
        removed = [tasks.clean_up(trained, smaller).removed["insights"] for _ in range(2)]
    assert removed == [before - size(trained, INSIGHTS), 0]
    assert rows(trained, INSIGHTS, INSIGHTS.c.modelid == TRAINED) == rest
    assert size(trained, PREDICTIONS) == predicted, "Moodle keeps them"


def _by_course(workspace):
    with workspace.store.read() as connection:
        return [model for model in models.listed(connection) if "course_" in model.target or "access" in model.target]


def test_cleanup_forgets_old_calculations(trained, site, tmp_path):
    assert size(trained, INDICATOR_CALC) > 0
    tasks.clean_up(at(trained, NOW + 35 * DAY), site)
    assert size(trained, INDICATOR_CALC) > 0
    tasks.clean_up(at(trained, NOW + 35 * DAY + 1), site)
    assert size(trained, INDICATOR_CALC) == 0


def test_cleanup_removes_what_was_lost(trained, site):
    folder = trained.folder / "datasets" / str(TRAINED) / "labelled"
    lost, new = folder / "lost.csv", folder / "new.csv"
    for path in (lost, new):
        path.write_text("x")
    os.utime(lost, (time.time() - 2 * DAY,) * 2)
    (trained.folder / "models" / "999" / "1").mkdir(parents=True)
    (trained.folder / "models" / "mine").mkdir()
    summary = tasks.clean_up(trained, site)
    assert (summary.removed["files"], summary.removed["folders"]) == (1, 1)
    assert not lost.exists()
    assert new.exists()
    assert (trained.folder / "models" / "mine").exists()
    assert (trained.folder / "models" / str(TRAINED)).exists()
    assert rows(trained, FEEDBACK) == rows(trained, PREDICTION_ACTIONS) == []


# ---- commands ----


@pytest.mark.parametrize("task", ["train", "predict", "cleanup"])
def test_commands(trained, site_url, monkeypatch, task):
    monkeypatch.setenv("MOODLEMLBACKEND_SITE", site_url)
    where = ["--directory", str(trained.folder), "--now", str(NOW)]
    done = CliRunner().invoke(main, ["tasks", task, *where])
    assert done.exit_code == 0, done.output
    assert "Done in" in done.output
    again = CliRunner().invoke(main, ["tasks", task, *where, "--json"])
    told = json.loads(again.output)
    assert (told["status"], told["task"]) == (0, task)


def test_moodles_own_tools(trained, site_url, monkeypatch):
    monkeypatch.setenv("MOODLEMLBACKEND_SITE", site_url)
    monkeypatch.setenv("MOODLEMLBACKEND_DIRECTORY", str(trained.folder))

    def run(*arguments, code=0):
        done = CliRunner().invoke(main, arguments)
        assert done.exit_code == code, done.output
        return done.output

    assert "List of models" in run("evaluate-model", "--list")
    assert "List of models" in run("enable-model")
    assert run("enable-model", "--modelid=1", "--analysisinterval=quarters") == "Success\n"
    assert "does not work with" in run("enable-model", "--modelid=1", "--analysisinterval=upcoming_week", code=2)
    assert "Specify the model" in run("evaluate-model", code=2)
    done = CliRunner().invoke(
        main, ["evaluate-model", f"--modelid={TRAINED}", "--mode=trainedmodel", "--now", str(NOW), "--json"]
    )
    found = json.loads(done.output)
    assert done.exit_code == found["status"] == found["evaluations"][0]["status"]
    assert "its own interval" in run(
        "evaluate-model", f"--modelid={TRAINED}", "--mode=trainedmodel", "--timesplitting=quarters", code=2
    )
    assert "rule-based" in run("evaluate-model", "--modelid=2", code=2)
    invalid = json.loads(run("models", "invalid", str(TRAINED), "--now", str(NOW), "--json"))["invalid"]
    assert {one["name"].rpartition("-")[0] for one in invalid} >= {"NO-END", "TOO-LONG"}
    assert all(one["training"]["text"] and one["prediction"]["text"] for one in invalid)
    logged = json.loads(run("models", "log", str(TRAINED), "--json"))
    assert [one["task"] for one in logged["runs"]] == ["evaluate", "train"]
    assert len(logged["evaluations"]) == 1
    assert "Evaluations" in run("models", "log", str(TRAINED))
