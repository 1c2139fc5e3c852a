"""The six modules as Moodle runs them: real processes, their line, their exit code and what they leave on disk."""

from __future__ import annotations

import json
import os
import pty
import re
import signal
import subprocess
from pathlib import Path

import numpy as np
import pytest

from fixtures.backend import (
    MODELID,
    QUICK,
    answer,
    course_rows,
    end,
    environment,
    run,
    sentence,
    simulated,
    snapshot,
    start,
    write_labelled,
    write_unlabelled,
)
from fixtures.paths import ROOT
from moodlemlbackend import __version__
from moodlemlbackend.errors import InterruptedRunError
from moodlemlbackend.operations.evaluate import evaluate_all
from moodlemlbackend.operations.train import seed_of
from moodlemlbackend.processor.training_rows import read_samples
from moodlemlbackend.runtime.progress import QuietReporter
from moodlemlbackend.settings.backend import Settings
from moodlemlbackend.storage.model_store import ModelStore

OTHER_ID = "4be2fdb15598ad36c96f022fae7fd0652dfaaf21"
LIMITS = (0.7, 0.05, 10)
EVALUATION_KEYS = {
    "status",
    "info",
    "score",
    "score_deviation",
    "min_score",
    "accepted_deviation",
    "auc",
    "auc_deviation",
    "accuracy",
    "balanced accuracy",
    "precision",
    "recall",
    "f1_score",
    "mcc",
    "mcc_deviation",
    "dir",
    "runid",
}


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Data sets by name."""
    folder = tmp_path_factory.mktemp("data sets")
    features, labels = course_rows(60)
    data = simulated(courses=16, students=40)
    half = len(data.labels) // 2
    return {
        "separable": write_labelled(folder / "separable", features, labels),
        "unseen": write_unlabelled(folder / "unseen", course_rows(20, seed=5)[0]),
        "random": write_labelled(folder / "random", *course_rows(100, separable=False)),
        "simulated": write_labelled(folder / "simulated", data.features, data.labels),
        "first": write_labelled(folder / "first", data.features[:half], data.labels[:half]),
        "second": write_labelled(folder / "second", data.features[half:], data.labels[half:]),
        "ongoing": write_unlabelled(folder / "ongoing", simulated(seed=2).features),
    }


def paths(folder):
    """The directories that Moodle names."""
    version = folder / "models" / "1" / "1795364037"
    return {
        "execution": version / "execution",
        "evaluation": version / "evaluation" / "coreanalyticstime_splittingquarters",
        "export": folder / "request" / "export",
        "imported": folder / "models" / "9" / "1795366674" / "execution",
    }


@pytest.fixture(scope="module", params=[None, "logistic_regression"])
def site(request, files, tmp_path_factory):
    """All calls of Moodle in a row, on separable courses: results by name, and the directories."""
    where = paths(tmp_path_factory.mktemp("moodledata"))
    changes = {"MOODLEMLBACKEND_SEED": "7", "MOODLEMLBACKEND_PROCESSOR": request.param}
    calls = {
        "training": ("training", MODELID, where["execution"], files["separable"]),
        "prediction": ("prediction", MODELID, where["execution"], files["unseen"]),
        "evaluation": ("evaluation", MODELID, where["evaluation"], files["separable"], *LIMITS),
        "export": ("export", MODELID, where["execution"], where["export"]),
        "import": ("import", OTHER_ID, where["imported"], where["export"]),
        "other prediction": ("prediction", OTHER_ID, where["imported"], files["unseen"]),
        "rating": ("evaluation", OTHER_ID, where["evaluation"], files["separable"], *LIMITS, where["imported"]),
    }
    results = {name: run(*call, env=environment(**changes)) for name, call in calls.items()}
    return results, where


def test_training(site):
    results, where = site
    reply = answer(results["training"])
    assert (reply["status"], reply["info"]) == (0, [])
    assert reply["runid"].isdigit()
    assert {path.name for path in where["execution"].iterdir()} == {"classifier", "logs"}
    log = where["execution"] / "logs" / reply["runid"]
    assert re.search(r"Training \w+ with \w+, seed 7, on .*separable: 60 rows", (log / "info.log").read_text())
    assert list((log / "tensor").glob("*tfevents*"))


def test_prediction(site):
    reply = answer(site[0]["prediction"])
    assert (reply["status"], reply["info"]) == (0, [])
    assert [(sample_id, label) for sample_id, label, _ in reply["predictions"]] == [
        (f"{row + 1}-0", str(row % 2)) for row in range(20)
    ]
    assert all(isinstance(score, str) and 0.5 <= float(score) <= 1 for _, _, score in reply["predictions"])


def test_evaluation(site):
    results, where = site
    reply = answer(results["evaluation"])
    assert reply.keys() == EVALUATION_KEYS | {"split"}
    assert (reply["score"], reply["status"], reply["split"]) == (1.0, 0, "row")
    assert [note.partition(",")[0] for note in reply["info"]] == ["Single rows were held out"]
    log = Path(reply["dir"])
    assert log == where["evaluation"] / "logs" / str(reply["runid"])
    for picture in ("roc-curve.png", "precision-recall.png"):
        assert (log / picture).read_bytes().startswith(b"\x89PNG")
    assert len(list((log / "tensor").glob("split-*/*tfevents*"))) == 10
    assert "10 splits" in (log / "info.log").read_text()
    assert "Result: score 1.0000" in (log / "info.log").read_text()


def test_export_and_import(site):
    results, where = site
    assert results["export"].stdout == f"{where['export']}\n".encode()
    assert results["import"].stdout == b"Ok\nOk\n"
    assert all((results[name].returncode, results[name].stderr) == (0, b"") for name in ("export", "import"))
    assert answer(results["other prediction"]) == answer(results["prediction"])


def test_rating_a_trained_model(site):
    reply = answer(site[0]["rating"])
    assert reply.keys() == EVALUATION_KEYS
    assert (reply["score"], reply["score_deviation"], reply["status"]) == (1.0, 0, 0)


def test_an_unexpected_error_leaves_the_other_data_sets_their_results(monkeypatch):
    error: Exception = ZeroDivisionError("division by zero")

    def judge(_reporter, _modelid, _outputdir, dataset, **_options):
        if dataset == "odd":
            raise error
        return {"status": 0, "info": [], "score": 0.8}

    monkeypatch.setattr("moodlemlbackend.operations.evaluate.evaluate", judge)
    answered = evaluate_all(QuietReporter(), MODELID, "dir", ["one", "odd", "two"])
    text = "An unexpected error ended the evaluation: ZeroDivisionError: division by zero."
    assert (answered["status"], answered["best"]) == (0, "one")
    assert answered["evaluations"] == [
        {"dataset": "one", "status": 0, "info": [], "score": 0.8},
        {"dataset": "odd", "status": 1, "info": [text], "errors": [text]},
        {"dataset": "two", "status": 0, "info": [], "score": 0.8},
    ]
    error = InterruptedRunError("stopped")
    with pytest.raises(InterruptedRunError):
        evaluate_all(QuietReporter(), MODELID, "dir", ["one", "odd", "two"])


def test_version():
    result = run("version", env=environment(PYTHONWARNINGS="always"), stderr=subprocess.STDOUT)
    assert (result.stdout.decode(), result.returncode) == (f"{__version__}\n", 0)
    older = run("version", env=environment(MOODLEMLBACKEND_REPORTED_VERSION="2.6.5"))
    assert older.stdout == b"2.6.5\n"


@pytest.mark.parametrize("module", ["training", "prediction", "evaluation", "export", "import"])
@pytest.mark.parametrize("arguments", [(), (MODELID, "/tmp")])
def test_missing_arguments(module, arguments):
    assert sentence(run(module, *arguments), 1).startswith("Missing arguments")


@pytest.mark.parametrize(
    ("position", "given", "named"),
    [(3, "high", "minscore"), (4, "nan", "accepteddeviation"), (5, "-1", "iterations"), (5, "0", "iterations is 0")],
)
def test_numbers_that_are_none(tmp_path, files, position, given, named):
    arguments = [MODELID, tmp_path, files["separable"], *LIMITS]
    arguments[position] = given
    assert named in sentence(run("evaluation", *arguments), 1)


def test_a_low_score_is_the_exit_code(tmp_path, files):
    reply = answer(run("evaluation", MODELID, tmp_path, files["random"], *LIMITS))
    assert reply["status"] in (4, 12)
    assert "does not predict well enough" in reply["info"][0]


def test_a_prediction_writes_nothing(tmp_path, files):
    answer(run("training", MODELID, tmp_path, files["separable"]))
    before = snapshot(tmp_path)
    answer(run("prediction", MODELID, tmp_path, files["unseen"]))
    assert snapshot(tmp_path) == before


def test_an_untrained_model(tmp_path, files):
    reply = answer(run("prediction", MODELID, tmp_path, files["unseen"]))
    assert (reply["status"], reply["info"]) == (2, ["Provided model have not been trained yet"])


def test_standard_input(tmp_path, files):
    with files["separable"].open("rb") as file:
        assert answer(run("training", MODELID, tmp_path, "-", stdin=file))["status"] == 0
    with files["unseen"].open("rb") as file:
        assert len(answer(run("prediction", MODELID, tmp_path, "-", stdin=file))["predictions"]) == 20


# ---- several at once ----


@pytest.fixture(scope="module")
def trained(files, tmp_path_factory):
    """The directory of a trained network."""
    folder = tmp_path_factory.mktemp("trained")
    answer(run("training", MODELID, folder, files["first"], env=environment(MOODLEMLBACKEND_SEED="7")))
    return folder


def test_run_ids_never_collide(trained, tmp_path, files):
    runs = [start("evaluation", MODELID, tmp_path, files["first"], *LIMITS, trained) for _ in range(3)]
    replies = [answer(end(one)) for one in runs]
    assert len({reply["runid"] for reply in replies}) == 3
    for reply in replies:
        assert (Path(reply["dir"]) / "info.log").read_text().count("Evaluating the trained model") == 1


def test_two_trainers_at_once_train_one_after_the_other(tmp_path, files):
    rows = {name: len(files[name].read_text().splitlines()) - 3 for name in ("first", "second")}
    trainers = [start("training", MODELID, tmp_path, files[name]) for name in rows]
    for trainer in trainers:
        assert answer(end(trainer))["status"] == 0
    stored = ModelStore(tmp_path).current()
    assert stored is not None
    assert stored.settings["rows"] == sum(rows.values())
    at_once = tmp_path / "at once"
    answer(run("training", MODELID, at_once, files["simulated"]))
    predictions = [answer(run("prediction", MODELID, where, files["ongoing"])) for where in (tmp_path, at_once)]
    assert predictions[0] == predictions[1]


def test_a_trainer_that_may_not_wait(tmp_path, files):
    with ModelStore(tmp_path).lock():
        changes = {**QUICK, "MOODLEMLBACKEND_LOCK_WAIT": "0.1"}
        result = run("training", MODELID, tmp_path, files["separable"], env=environment(**changes))
    assert re.search(r"Another run has held .*lock for more than 0.1 seconds; .* lock_wait", sentence(result, 1))


# ---- stopped ----


def stop_in_training(folder, dataset, number):
    """Train, watch the progress as a person at a terminal does, and stop the process in the middle."""
    terminal, stderr = pty.openpty()
    try:
        process = start("training", MODELID, folder, dataset, env=environment(), stderr=stderr)
        os.close(stderr)
        shown = b""
        while not re.search(rb"Training[^\r]* [1-9]\d%", shown):
            shown += os.read(terminal, 1000)
        process.send_signal(number)
        return end(process)
    finally:
        os.close(terminal)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_a_stopped_training_leaves_the_former_model(trained, files, number):
    before = snapshot(trained / "classifier")
    result = stop_in_training(trained, files["simulated"], number)
    if number == signal.SIGTERM:
        reply = json.loads(result.stdout)
        assert result.returncode == reply["status"] == 1
        assert "Signal SIGTERM stopped" in reply["errors"][0]
        log = trained / "logs" / reply["runid"] / "info.log"
        assert "ERROR" in log.read_text()
    else:
        assert (result.stdout, result.returncode) == (b"", -9)
    assert answer(run("prediction", MODELID, trained, files["ongoing"]))["status"] == 0
    with ModelStore(trained).lock(5):
        assert snapshot(trained / "classifier") == before


# ---- a third party's processor ----


def test_a_processor_that_another_package_registers(tmp_path, files):
    package = tmp_path / "site-packages"
    about = package / "coin-1.0.dist-info"
    about.mkdir(parents=True)
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: coin\nVersion: 1.0\n")
    (about / "entry_points.txt").write_text("[moodlemlbackend.processors]\ncoin = coin:Coin\n")
    (package / "coin.py").write_text(
        "import numpy as np\n"
        "from moodlemlbackend.processor.processor import Classifier, Fitted, Processor\n"
        "class Shares(Classifier):\n"
        "    def __init__(self, shares): self.shares = shares\n"
        "    def probabilities(self, features): return np.tile(self.shares, (len(features), 1))\n"
        "    def state(self): return {}, {'shares': self.shares}\n"
        "class Coin(Processor):\n"
        "    name = 'coin'\n"
        "    def fit(self, samples, *, seed, progress=None):\n"
        "        return Fitted(Shares(samples.class_counts / len(samples)))\n"
        "    def restore(self, settings, array): return Shares(array('shares'))\n"
    )
    changes = {"PYTHONPATH": f"{ROOT}{os.pathsep}{package}", "MOODLEMLBACKEND_PROCESSOR": "coin"}
    assert answer(run("training", MODELID, tmp_path / "m", files["separable"], env=environment(**changes))) | {
        "runid": ""
    } == {"status": 0, "info": [], "runid": ""}
    changes.pop("MOODLEMLBACKEND_PROCESSOR")
    reply = answer(run("prediction", MODELID, tmp_path / "m", files["unseen"], env=environment(**changes)))
    assert {tuple(prediction[1:]) for prediction in reply["predictions"]} == {("1", "0.5")}
    text = sentence(run("prediction", MODELID, tmp_path / "m", files["unseen"]), 1)
    assert "needs another processor. There is no processor 'coin'" in text


def test_without_a_seed_the_same_rows_give_the_same_model(command, courses, tmp_path):
    for name in ("a", "b"):
        command("train", "m", tmp_path / name, courses.training, "--processor", "logistic_regression")
    first, second = (command("predict", "m", tmp_path / name, courses.prediction).stdout for name in ("a", "b"))
    assert first == second != ""
    samples = read_samples(courses.training)
    fewer = samples.take(np.arange(len(samples) - 1))
    seeds = [seed_of(Settings(), rows) for rows in (samples, read_samples(courses.training), fewer)]
    assert seeds[0] == seeds[1] != seeds[2]
    assert all(0 <= seed < 10**9 for seed in seeds)
    assert seed_of(Settings(seed=7), samples) == 7
