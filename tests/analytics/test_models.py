"""Models: the core ones, and what an administrator does with them."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner

from fixtures.trained_sites import (
    DROPOUT,
    NO_RECENT_ACCESSES,
    NO_TEACHING,
    NOW,
    QUARTERS,
    SHORT,
    SINGLE_RANGE,
    TRAINED,
    at,
    enabled,
    model_of,
    new_workspace,
    rows,
    site,
    site_url,
    trained,
    trained_folder,
    workspace,
)
from moodlemlbackend.analytics import lifecycle, models
from moodlemlbackend.analytics.db.schema import (
    FILES,
    INSIGHTS,
    MODELS_LOG,
    NOTIFICATIONS,
    PREDICT_SAMPLES,
    PREDICTIONS,
    TRAIN_SAMPLES,
    USED_ANALYSABLES,
    USED_FILES,
)
from moodlemlbackend.analytics.lifecycle.core_models import restore_core_models
from moodlemlbackend.cli import main
from moodlemlbackend.errors import BusyError, UsageError

_ = (site, site_url, trained, trained_folder, workspace)  # fixtures

OF_A_MODEL = (FILES, INSIGHTS, NOTIFICATIONS, PREDICT_SAMPLES, PREDICTIONS, TRAIN_SAMPLES, USED_ANALYSABLES, USED_FILES)


def get(workspace, modelid):
    with workspace.store.read() as connection:
        return models.get(connection, modelid)


def listed(workspace):
    with workspace.store.read() as connection:
        return models.listed(connection)


def test_the_core_models_are_there_from_the_start(workspace):
    found = {model.target.rpartition("\\")[2]: model for model in listed(workspace)}
    intervals = {name: (model.interval or "").rpartition("\\")[2] for name, model in found.items()}
    assert intervals == {
        "course_dropout": "",
        "no_teaching": "single_range",
        "upcoming_activities_due": "upcoming_week",
        "no_access_since_course_start": "one_month_after_start",
        "no_recent_accesses": "past_month",
    }
    assert {name for name, model in found.items() if model.enabled and model.trained} == set(found) - {"course_dropout"}
    assert len(found["course_dropout"].indicators) == 49
    assert found["no_teaching"].indicators == (
        r"\core_course\analytics\indicator\no_teacher",
        r"\core_course\analytics\indicator\no_student",
    )
    assert all(model.version == model.created == NOW for model in found.values())


def test_a_core_model_that_was_deleted_stays_away_until_it_is_restored(tmp_path):
    with new_workspace(tmp_path / "w") as first:
        models.remove(first, model_of(first, NO_TEACHING))
        models.edit(first, model_of(first, DROPOUT), indicators=SHORT)
    with new_workspace(tmp_path / "w") as again:
        assert len(listed(again)) == 4
        made = restore_core_models(again)
        assert sorted(model.target for model in made) == [DROPOUT, NO_TEACHING]
        assert restore_core_models(again) == []
        assert len(listed(again)) == 6


def test_several_models_of_one_target(workspace):
    one = models.create(workspace, DROPOUT, SHORT, interval=QUARTERS, name="A")
    other = models.create(workspace, DROPOUT, SHORT[:1], interval=SINGLE_RANGE, processor="neural_network", name="B")
    assert (one.name, other.name, other.processor) == ("A", "B", "neural_network")
    assert not one.enabled
    with workspace.store.read() as connection:
        assert len(models.listed(connection, target=DROPOUT)) == 3
    names = [model.name for model in listed(workspace)]
    assert names == sorted(names, key=str.lower)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"target": r"\nobody\target"}, "no target"),
        ({"indicators": [r"\nobody\indicator"]}, "no indicator"),
        ({"indicators": []}, "at least one indicator"),
        ({"indicators": [*SHORT, SHORT[0]]}, "twice"),
        ({"interval": r"\core\analytics\time_splitting\upcoming_week"}, "does not accept"),
        ({"interval": "nothing"}, "no time splitting"),
        ({"processor": "nothing"}, "no processor"),
        ({"name": "x" * 1334}, "1333"),
        ({"target": NO_TEACHING, "indicators": [r"\core_user\analytics\indicator\user_track_forums"]}, "needs user"),
    ],
)
def test_what_does_not_go_together_makes_no_model(workspace, changes, said):
    wanted = {"target": DROPOUT, "indicators": SHORT, **changes}
    with pytest.raises(UsageError, match=said):
        models.create(workspace, **wanted)
    assert len(listed(workspace)) == 5


def test_what_has_been_learned_goes_with_a_new_version(trained, site):
    workspace, modelid = trained, TRAINED
    lifecycle.predict(workspace, site, modelid)
    before = get(workspace, modelid)
    assert workspace.executiondir(before).is_dir()
    assert all(rows(workspace, table, table.c.modelid == modelid) for table in (TRAIN_SAMPLES, USED_FILES, FILES))
    edited = models.edit(workspace, modelid, indicators=SHORT[:2])
    assert edited.version > before.version
    assert (edited.trained, edited.enabled) == (False, True)
    assert not any(rows(workspace, table, table.c.modelid == modelid) for table in OF_A_MODEL)
    assert not workspace.versiondir(before).exists()
    assert not workspace.datasetdir(modelid).exists()


def test_other_contexts_and_a_name_leave_what_was_learned(trained):
    workspace, modelid = trained, TRAINED
    edited = models.edit(workspace, modelid, contexts=[7, 3, 7], name="  Pilot\n model ")
    assert (edited.contexts, edited.name, edited.trained) == ((3, 7), "Pilot model", True)
    assert rows(workspace, TRAIN_SAMPLES, TRAIN_SAMPLES.c.modelid == modelid)
    assert models.edit(workspace, modelid, contexts=None).contexts is None


def test_contexts_limit_what_is_analysed(workspace, site):
    finished = [course for course in site.courses if course.shortname.startswith("FINISHED")][:2]
    modelid = enabled(workspace)
    models.edit(workspace, modelid, contexts=[course.context for course in finished])
    outcome = lifecycle.train(workspace, site, modelid)
    assert {one.id for one in outcome.analysables} == {course.id for course in finished}


def test_a_static_model_keeps_its_assumptions(workspace):
    modelid = model_of(workspace, NO_RECENT_ACCESSES)
    with pytest.raises(UsageError, match="assumptions"):
        models.edit(workspace, modelid, indicators=SHORT)
    with pytest.raises(UsageError, match="assumptions"):
        models.edit(workspace, modelid, processor="neural_network")
    edited = models.edit(workspace, modelid, interval=r"\core\analytics\time_splitting\past_week", enabled=False)
    assert (edited.trained, edited.enabled) == (True, False)


def test_a_model_is_enabled_with_an_interval_only(workspace):
    modelid = model_of(workspace, DROPOUT)
    with pytest.raises(UsageError, match="interval"):
        models.enable(workspace, modelid)
    first = models.enable(workspace, modelid, QUARTERS)
    same = models.enable(at(workspace, NOW + 5), modelid, QUARTERS)
    assert first.enabled
    assert same.version == first.version
    with pytest.raises(UsageError, match="cannot be enabled"):
        models.edit(workspace, modelid, interval=None)


def test_clearing_keeps_the_log_and_deleting_does_not(trained, site):
    workspace, modelid = trained, TRAINED
    lifecycle.evaluate(workspace, site, modelid, mode="trainedmodel")
    assert len(rows(workspace, MODELS_LOG)) == 1
    cleared = models.clear(workspace, modelid)
    assert not cleared.trained
    assert len(rows(workspace, MODELS_LOG)) == 1
    assert not any(rows(workspace, table, table.c.modelid == modelid) for table in OF_A_MODEL)
    assert lifecycle.train(workspace, site, modelid).figures["samples"] > 0
    models.remove(workspace, modelid)
    assert not rows(workspace, MODELS_LOG)
    assert not workspace.modeldir(cleared).exists()
    with pytest.raises(UsageError, match="no model"):
        get(workspace, modelid)


def test_clearing_a_static_model_lets_it_predict_again(workspace, site):
    modelid = model_of(workspace, NO_RECENT_ACCESSES)
    first = lifecycle.predict(workspace, site, modelid).figures["samples"]
    assert "samples" not in lifecycle.predict(workspace, site, modelid).figures
    assert models.clear(workspace, modelid).trained
    assert lifecycle.predict(workspace, site, modelid).figures["samples"] == first > 0


def test_a_model_in_use_is_left_alone(workspace, monkeypatch):
    monkeypatch.setattr("moodlemlbackend.analytics.workspace.LOCK_WAIT_SECONDS", 0.2)
    modelid = enabled(workspace)
    with new_workspace(workspace.folder) as other, workspace.lock(modelid):
        for change in (models.clear, models.remove, models.enable):
            with pytest.raises(BusyError, match="left to that run"):
                change(other, modelid)
    assert models.clear(workspace, modelid).id == modelid


def test_the_unique_id_is_moodles(workspace):
    import hashlib

    model = get(workspace, 1)
    wanted = hashlib.sha1(f"https://moodle.example$$mdl_$$1$${NOW}".encode()).hexdigest()
    assert workspace.unique_id(model) == wanted
    assert workspace.evaluationdir(model, QUARTERS).name == "coreanalyticstime_splittingquarters"


def test_commands(tmp_path, monkeypatch):
    monkeypatch.setenv("MOODLEMLBACKEND_DIRECTORY", str(tmp_path))

    def run(*arguments, code=0):
        done = CliRunner().invoke(main, ["models", *arguments])
        assert done.exit_code == code, done.output
        return done.output

    assert "Students at risk of dropping out" in run("list")
    made = json.loads(run("create", "--target", "course_completion", "--indicator", "read_actions", "--name", "N",
                          "--interval", "quarters", "--enable", "--json"))["model"]  # fmt: skip
    assert (made["id"], made["enabled"], made["indicators"]) == (6, True, [SHORT[0]])
    assert json.loads(run("show", "6", "--json"))["model"]["name"] == "N"
    assert SHORT[0] in run("show", "6")
    processor = ("--processor", "logistic_regression")
    edited = json.loads(run("edit", "6", "--indicator", "default", *processor, "--yes", "--json"))["model"]
    assert (len(edited["indicators"]), edited["processor"]) == (49, "logistic_regression")
    assert json.loads(run("edit", "6", "--site-processor", "--context", "5", "--json"))["model"]["contexts"] == [5]
    assert "disabled" in run("disable", "6")
    assert "single_range cannot help students in time" in run("enable", "6", "--interval", "single_range", code=1)
    assert not json.loads(run("show", "6", "--json"))["model"]["enabled"]
    enabled = run("enable", "6", "--interval", "single_range", "--yes").splitlines()
    assert enabled[0] == "Model 6 is enabled: N."
    assert "single_range cannot help students in time" in enabled[1]
    assert "cleared" in run("clear", "6", "--yes")
    assert "deleted" in run("delete", "6", "--yes")
    assert "All core models" in run("restore")
    listed = json.loads(run("list", "--json"))
    assert (listed["status"], listed["info"], len(listed["models"])) == (0, [], 5)
    assert "no model 6" in run("show", "6", code=2)
    assert "of several indicators" in run(
        "create", "--target", "course_dropout", "--indicator", "cognitive_depth", code=2
    )
    assert "Name the Moodle site" in run("train", "1", code=2)
