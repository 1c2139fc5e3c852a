"""Models: the core ones, and what an administrator does with them."""

from __future__ import annotations

import json
import os
import shutil

import click
import pytest
from click.testing import CliRunner

from fixtures.paths import posix
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
    in_this_process,
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
    FEEDBACK,
    FILES,
    INSIGHTS,
    MODELS,
    MODELS_LOG,
    NOTIFICATIONS,
    PREDICT_SAMPLES,
    PREDICTION_ACTIONS,
    PREDICTIONS,
    RUNS,
    TRAIN_SAMPLES,
    USED_ANALYSABLES,
    USED_FILES,
)
from moodlemlbackend.analytics.insights import actions
from moodlemlbackend.analytics.lifecycle import losses
from moodlemlbackend.analytics.lifecycle.core_models import restore_core_models
from moodlemlbackend.analytics.site import open_site
from moodlemlbackend.cli import main
from moodlemlbackend.cli.evaluate_model import _offer as offer_to_enable
from moodlemlbackend.cli.session import Session
from moodlemlbackend.errors import BusyError, UsageError

_ = (in_this_process, site, site_url, trained, trained_folder, workspace)  # fixtures

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


def test_restoring_asks_before_it_adds_a_model_next_to_one(tmp_path, monkeypatch):
    monkeypatch.setenv("MOODLEMLBACKEND_DIRECTORY", str(tmp_path))
    words = ["models", "restore"]
    with new_workspace(tmp_path) as made:
        models.remove(made, model_of(made, NO_TEACHING))
        assert CliRunner().invoke(main, words).exit_code == 0, "nothing of its target is there"
        dropout = model_of(made, DROPOUT)
        models.edit(made, dropout, indicators=SHORT)
        refused = CliRunner().invoke(main, words)
        assert refused.exit_code == 2
        assert f"with the same target as model {dropout} (Students at risk of dropping out)." in refused.output
        assert len(listed(made)) == 5
        assert CliRunner().invoke(main, [*words, "--yes"]).exit_code == 0
        assert len(listed(made)) == 6


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
        ({"interval": r"\core\analytics\time_splitting\upcoming_week"}, "does not work with"),
        ({"interval": "nothing"}, "no interval"),
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
    with pytest.raises(UsageError, match="rule-based"):
        models.edit(workspace, modelid, indicators=SHORT)
    with pytest.raises(UsageError, match="rule-based"):
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


# ---- what deletes something asks first ----


@pytest.fixture(scope="module")
def predicted_folder(trained_folder, site_url, tmp_path_factory):
    """A trained model that has predicted, and of which two predictions were dealt with."""
    folder = tmp_path_factory.mktemp("predicted") / "work"
    shutil.copytree(trained_folder, folder)
    with new_workspace(folder) as made, open_site(site_url) as opened:
        lifecycle.predict(made, opened, TRAINED)
        first, second, *_ = (row["id"] for row in rows(made, PREDICTIONS, PREDICTIONS.c.modelid == TRAINED))
        actions.perform(made, "acknowledge", [first])
        actions.perform(made, "not-useful", [second])
    return folder


@pytest.fixture
def predicted(predicted_folder, tmp_path):
    shutil.copytree(predicted_folder, tmp_path / "predicted")
    with new_workspace(tmp_path / "predicted") as made:
        yield made


@pytest.fixture
def command(predicted, monkeypatch):
    monkeypatch.setenv("MOODLEMLBACKEND_DIRECTORY", str(predicted.folder))

    def run(*arguments, code=0):
        done = CliRunner().invoke(main, arguments)
        assert done.exit_code == code, done.output
        return done.output

    return run


def number(workspace, table, *where):
    return len(rows(workspace, table, table.c.modelid == TRAINED, *where))


def state(workspace):
    return rows(workspace, MODELS), number(workspace, PREDICTIONS), number(workspace, FILES)


def test_what_goes_is_counted(predicted):
    trainings = rows(predicted, FILES, FILES.c.area == "labelled", FILES.c.analysableid.is_not(None))
    counts = {
        "predictions": number(predicted, PREDICTIONS),
        "actions": len(rows(predicted, PREDICTION_ACTIONS)),
        "marks": number(predicted, FEEDBACK),
        "notifications": number(predicted, NOTIFICATIONS),
        "rows": sum(row["numrows"] for row in trainings),
    }
    assert all(counts.values())
    cleared = losses.if_cleared(predicted, TRAINED)
    assert (cleared.counts, cleared.trained) == (counts, True)
    assert cleared.sentence == (
        f"This deletes {counts['predictions']} predictions, 2 actions taken on them, 1 “not useful” mark, "
        f"{counts['notifications']} notifications, {counts['rows']} rows of training data and the trained model."
    )
    removed = losses.if_removed(predicted, TRAINED)
    assert removed.counts == {**counts, "runs": number(predicted, RUNS)}
    assert removed.parts[0] == "the model “Students at risk of dropping out”"
    models.clear(predicted, TRAINED)
    assert losses.if_cleared(predicted, TRAINED) == losses.Losses({})
    assert losses.if_cleared(predicted, TRAINED).sentence == ""


def test_only_what_makes_a_new_version_loses_anything(predicted):
    kept = ({"name": "X"}, {"contexts": [5]}, {"enabled": False}, {"interval": QUARTERS}, {"indicators": SHORT}, {})
    for changes in kept:
        assert not losses.if_edited(predicted, TRAINED, **changes).parts
    for changes in ({"interval": SINGLE_RANGE}, {"indicators": SHORT[:1]}, {"processor": None}, {"interval": None}):
        try:
            lost = losses.if_edited(predicted, TRAINED, **changes)
        except UsageError:  # without an interval it cannot be enabled
            lost = losses.if_edited(predicted, TRAINED, **changes, enabled=False)
        assert lost == losses.if_cleared(predicted, TRAINED)
    with pytest.raises(UsageError, match="at least one indicator"):
        losses.if_edited(predicted, TRAINED, indicators=[])


def test_a_static_model_loses_predictions_alone(workspace, site):
    modelid = model_of(workspace, NO_RECENT_ACCESSES)
    past_week = r"\core\analytics\time_splitting\past_week"
    assert not losses.if_edited(workspace, modelid, interval=past_week).parts
    found = lifecycle.predict(workspace, site, modelid).figures["predictions"]
    lost = losses.if_edited(workspace, modelid, interval=past_week)
    assert (lost.counts["predictions"], lost.trained) == (found, False)
    assert "trained model" not in lost.sentence


@pytest.mark.parametrize(
    "words",
    [
        ("models", "clear", "6"),
        ("models", "delete", "6"),
        ("models", "enable", "6", "--interval", "single_range"),
        ("models", "edit", "6", "--interval", "quarters_accum"),
        ("models", "edit", "6", "--indicator", "read_actions"),
        ("models", "edit", "6", "--site-processor"),
    ],
)
def test_without_a_terminal_a_command_needs_yes(predicted, command, words):
    before = state(predicted)
    refused = command(*words, code=2)
    assert f"this deletes {'the model' if 'delete' in words else number(predicted, PREDICTIONS)}" in refused
    assert refused.startswith("Nothing was changed; add --yes to go ahead: ")
    assert refused.endswith(" and the trained model.\n")
    assert json.loads(command(*words, "--json", code=2).partition("\n}\n")[0] + "}")["errors"] == [refused.strip()]
    assert state(predicted) == before
    command(*words, "--yes")
    assert number(predicted, PREDICTIONS) == 0


def test_what_loses_nothing_is_not_asked_about(predicted, command):
    before = number(predicted, PREDICTIONS)
    command("models", "edit", "6", "--name", "Pilot", "--context", "5", "--interval", "quarters")
    command("models", "enable", "6", "--interval", "quarters")
    command("models", "disable", "6")
    assert number(predicted, PREDICTIONS) == before
    assert "no model 77" in command("models", "delete", "77", code=2)
    assert "does not work with" in command("models", "enable", "6", "--interval", "upcoming_week", code=2)


def test_moodles_tool_does_not_ask_cron_and_says_what_was_deleted(predicted, command):
    lost = losses.if_cleared(predicted, TRAINED)
    done = command("enable-model", "--modelid=6", "--analysisinterval=quarters_accum")
    assert done == f"Success\nDeleted: {lost.text}.\n"
    assert number(predicted, PREDICTIONS) == 0
    assert command("enable-model", "--modelid=6", "--analysisinterval=quarters") == "Success\n"


@posix
def test_at_a_terminal_a_command_asks(predicted, monkeypatch, capsys):
    import pty

    monkeypatch.setenv("MOODLEMLBACKEND_DIRECTORY", str(predicted.folder))
    before, sentence = state(predicted), losses.if_cleared(predicted, TRAINED).sentence
    person, terminal = pty.openpty()
    with os.fdopen(person, "wb", buffering=0) as keys, os.fdopen(terminal) as stdin:
        monkeypatch.setattr("sys.stdin", stdin)
        for words in (
            ["models", "clear", "6"],
            ["models", "enable", "6", "--interval", "quarters_accum"],
            ["enable-model", "--modelid=6", "--analysisinterval=quarters_accum"],
        ):
            for answer in (b"\n", b"n\n"):
                keys.write(answer)
                with pytest.raises(click.Abort):
                    main(words, standalone_mode=False)
                assert f"{sentence} Go ahead? [y/N]" in capsys.readouterr().err
                assert state(predicted) == before
        session = Session(None, None)
        keys.write(b"quarters_accum\nn\n")
        with pytest.raises(click.Abort):
            offer_to_enable(session, TRAINED, [f"{QUARTERS}_accum"])
        session.close()
        assert f"{sentence} Go ahead? [y/N]" in capsys.readouterr().err
        assert state(predicted) == before
        keys.write(b"y\n")
        assert main(["models", "clear", "6"], standalone_mode=False) == 0
    assert number(predicted, PREDICTIONS) == 0


# ---- more of models ----


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
            with pytest.raises(BusyError, match="so this run skips it"):
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
    monkeypatch.setenv("COLUMNS", "200")

    def run(*arguments, code=0):
        done = CliRunner().invoke(main, ["models", *arguments])
        assert done.exit_code == code, done.output
        return done.output

    assert "Students at risk of dropping out" in run("list")
    made = json.loads(run("create", "--target", "course_completion", "--indicator", "read_actions", "--name", "N",
                          "--interval", "quarters", "--enable", "--json"))["model"]  # fmt: skip
    assert (made["id"], made["enabled"], made["indicators"]) == (6, True, [SHORT[0]])
    incomplete = ("--target", "course_completion", "--indicator", "read_actions", "--enable")
    assert "cannot be enabled without an interval" in run("create", *incomplete, code=2)
    assert len(json.loads(run("list", "--json"))["models"]) == 6, "nothing was made"
    assert json.loads(run("show", "6", "--json"))["model"]["name"] == "N"
    assert SHORT[0] in run("show", "6")
    processor = ("--processor", "logistic_regression")
    edited = json.loads(run("edit", "6", "--indicator", "default", *processor, "--yes", "--json"))["model"]
    assert (len(edited["indicators"]), edited["processor"]) == (49, "logistic_regression")
    assert json.loads(run("edit", "6", "--site-processor", "--context", "5", "--json"))["model"]["contexts"] == [5]
    assert "disabled" in run("disable", "6")
    assert "single_range cannot help students in time" in run("enable", "6", "--interval", "single_range", code=2)
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
    assert "matches several indicators" in run(
        "create", "--target", "course_dropout", "--indicator", "cognitive_depth", code=2
    )
    assert "Specify the Moodle site" in run("train", "1", code=2)
