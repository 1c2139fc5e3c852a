"""The command ``moodlemlbackend``: the same results as Moodle gets, and help for people."""

from __future__ import annotations

import json
import os
import shlex
import signal
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

from fixtures.paths import posix
from moodlemlbackend import __version__, metrics
from moodlemlbackend.cli import COMMANDS

HEAVY = {"numpy", "pyarrow", "tensorflow", "sklearn", "scipy", "matplotlib", "rich", "tensorboard", "joblib"}
QUICK = ("--processor", "logistic_regression", "--seed", "1")


def result_of(finished):
    """The JSON object or text on the last line of a command that has nothing else to say."""
    assert finished.stderr == ""
    line = finished.stdout.removesuffix("\n")
    assert "\n" not in line
    result = json.loads(line) if line.startswith("{") else line
    assert finished.returncode == (result["status"] if isinstance(result, dict) else 0)
    return result


@pytest.fixture(scope="module")
def trained(command, courses, tmp_path_factory):
    """Directory of a trained model."""
    folder = tmp_path_factory.mktemp("trained")
    assert result_of(command("train", "dropout", folder, courses.training, *QUICK))["status"] == 0
    return folder


# ---- help ----


def test_help_lists_every_command(command):
    shown = command("--help")
    assert shown.returncode == 0
    for name in COMMANDS:
        assert f"\n  {name} " in shown.stdout
    assert command("-h").stdout == shown.stdout


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help_and_its_examples_can_be_parsed(name):
    command = import_module(f"moodlemlbackend.cli.{name.replace('-', '_')}").command
    assert command.name == name
    assert command.help.strip().endswith(".")
    assert all(option.help for option in command.params if option.param_type_name == "option")
    if name == "version":
        return
    examples = command.epilog.splitlines()
    assert examples
    for example in examples:
        words = shlex.split(example)
        start = next(i for i, word in enumerate(words) if word.endswith("moodlemlbackend") and words[i + 1] == name)
        arguments = words[start + 2 :]
        if "<" in arguments:
            arguments = arguments[: arguments.index("<")]
        with command.make_context(name, arguments):
            pass


def test_wrong_usage_is_explained_on_standard_error(command):
    for arguments in (["train", "m"], ["evaluate", "m", "d", "f", "--minimum-score", "2"], ["nonsense"], ["--no"]):
        finished = command(*arguments)
        assert finished.returncode == 2
        assert finished.stdout == ""
        assert finished.stderr.startswith("Usage: moodlemlbackend")


# ---- start-up ----


@pytest.mark.parametrize(
    "module", ["moodlemlbackend.cli", *(f"moodlemlbackend.cli.{name.replace('-', '_')}" for name in COMMANDS)]
)
def test_starting_loads_no_large_library(python, module):
    finished = python("-c", f"import importlib, sys; importlib.import_module('{module}'); print(*sys.modules)")
    loaded = set(finished.stdout.split())
    assert module in loaded
    assert not loaded & HEAVY


def test_version_is_the_one_that_moodle_is_told(command, python):
    assert result_of(command("version")) == __version__
    env = {"MOODLEMLBACKEND_REPORTED_VERSION": "2"}
    told = command("version", env=env)
    assert told.stdout == python("-m", "moodlemlbackend.version", env=env).stdout == "2.9.0\n"
    assert command("--version", env=env).stdout == f"moodlemlbackend {__version__}\n"


def test_the_script_is_installed():
    script = Path(sys.executable).with_name("moodlemlbackend")
    assert subprocess.check_output([script, "--version"], encoding="utf-8") == f"moodlemlbackend {__version__}\n"


# ---- the commands ----


def test_predictions_are_those_of_the_module(command, python, trained, courses):
    said = result_of(command("predict", "dropout", trained, courses.prediction))
    assert said["predictions"]
    assert said == result_of(python("-m", "moodlemlbackend.prediction", "dropout", trained, courses.prediction))


def test_a_dash_is_standard_input(command, trained, courses, tmp_path):
    text = courses.training.read_text()
    result_of(command("train", "dropout", tmp_path, "-", *QUICK, text=text))
    piped = command("predict", "dropout", tmp_path, "-", text=courses.prediction.read_text())
    assert result_of(piped) == result_of(command("predict", "dropout", trained, courses.prediction))


def test_an_exported_model_predicts_the_same_where_it_is_imported(command, trained, courses, tmp_path):
    exported, imported = tmp_path / "exported", tmp_path / "imported"
    assert result_of(command("export", "dropout", trained, exported)) == str(exported)
    assert result_of(command("import", "other", imported, exported)) == "Ok"
    here, there = (
        result_of(command("predict", *model, courses.prediction))
        for model in (("dropout", trained), ("other", imported))
    )
    assert here == there
    before = (imported / "classifier" / "current").read_bytes()
    for words in (("import", "other", imported, exported), ("train", "other", imported, courses.training, "--afresh")):
        refused = command(*words)
        assert refused.returncode == 2
        assert refused.stderr.endswith(
            f"add --yes to go ahead: this replaces the trained model in {imported} and what it has learned.\n"
        )
        assert (imported / "classifier" / "current").read_bytes() == before
    assert result_of(command("import", "other", imported, exported, "--yes")) == "Ok"
    assert (imported / "classifier" / "current").read_bytes() != before


def test_the_options_of_an_evaluation(command, courses, tmp_path):
    def evaluate(*options):
        told = result_of(command("evaluate", "dropout", tmp_path, courses.evaluation, *QUICK, *options))
        return {key: value for key, value in told.items() if key not in ("runid", "dir")}

    two = evaluate("--iterations", "2", "--accepted-deviation", "1")
    assert two == evaluate("--iterations", "2", "--accepted-deviation", "1")
    assert two["score"] == pytest.approx((two["mcc"] + 1) / 2)
    three = evaluate("--iterations", "3", "--minimum-score", "1", "--accepted-deviation", "0", "--score", "f1")
    assert three["score"] == three["f1_score"] != two["f1_score"]
    assert (three["min_score"], three["accepted_deviation"], three["status"]) == (1, 0, 12)


def test_a_trained_model_is_rated(command, trained, courses, tmp_path):
    rated = result_of(
        command("evaluate", "dropout", tmp_path, courses.evaluation, "--trained-model", trained, "--seed", "1")
    )
    assert rated["score_deviation"] == 0
    assert rated["mcc"] > 0.3
    assert not (tmp_path / "classifier").exists()


def test_a_failure_is_told_as_moodle_is_told(command, courses, tmp_path):
    untrained = result_of(command("predict", "dropout", tmp_path, courses.prediction))
    assert untrained["info"] == ["Provided model have not been trained yet"]
    for option in ("--seed", "--processor"):
        refused = result_of(command("train", "dropout", tmp_path, courses.training, option, "No!"))
        assert refused["info"][0].startswith(f"The option {option} is 'No!'; allowed: ")


@posix
def test_progress_is_shown_on_a_terminal_only(courses, tmp_path):
    import pty

    ours, theirs = pty.openpty()
    arguments = ["train", "dropout", tmp_path, courses.training, *QUICK]
    with subprocess.Popen(
        [sys.executable, "-m", "moodlemlbackend", *arguments], stdout=subprocess.PIPE, stderr=theirs
    ) as process:
        os.close(theirs)
        shown = b""
        while True:
            try:
                part = os.read(ours, 4096)
            except OSError:
                break
            if not part:
                break
            shown += part
        os.close(ours)
        line = process.stdout.read()
    assert b"100%" in shown
    assert json.loads(line)["status"] == 0


# ---- the demo ----


def test_the_demo_goes_through_everything_and_names_what_it_made(command, tmp_path):
    env = {"MOODLEMLBACKEND_PROCESSOR": "logistic_regression", "MOODLEMLBACKEND_SEED": "1"}
    words = ("demo", "here", "--courses", "8", "--students", "20")
    folders = [str(Path("here", name)) for name in ("data", "evaluation", "execution", "exported", "imported")]
    for folder in folders:
        (tmp_path / folder).mkdir(parents=True)
        (tmp_path / folder / "of-yesterday").touch()
    refused = command(*words, cwd=tmp_path, env=env)
    assert refused.returncode == 2
    assert refused.stderr.endswith(f"add --yes to go ahead: this overwrites what is in {', '.join(folders)}.\n")
    done = command(*words, "--yes", cwd=tmp_path, env=env)
    assert (done.returncode, done.stderr) == (0, "")
    for step in ("Simulate", "Evaluate", "Train", "Predict", "Export", "Import"):
        assert f"\n{step}" in f"\n{done.stdout}"
    named = dict(line.split(maxsplit=1) for line in done.stdout.splitlines() if " " in line)
    picture = tmp_path / named["Pictures"]
    assert picture.name == "roc-curve.png"
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert (tmp_path / named["Model"] / "current").is_file()
    *tensorboard, option, logs = named["TensorBoard"].split()
    assert tensorboard == [sys.executable, "-m", "tensorboard.main"]
    assert option == "--logdir"
    assert list((tmp_path / logs).rglob("events.out.tfevents.*"))
    correlation = float(named["Prediction"].rpartition("correlation ")[2].partition(",")[0])
    assert correlation == pytest.approx(_correlation(command, tmp_path / "here"), abs=0.005)


def _correlation(command, folder):
    said = result_of(command("predict", "demo", folder / "execution", folder / "data" / "prediction.csv"))
    answers = dict(line.split(",") for line in (folder / "data" / "answers.csv").read_text().splitlines()[1:])
    labels = [int(answers[sample_id]) for sample_id, _, _ in said["predictions"]]
    return metrics.matthews_correlation([int(label) for _, label, _ in said["predictions"]], labels)


@posix
def test_the_calls_of_a_demo_end_with_it(tmp_path):
    """The demo is killed while its first call starts; that call, on its way, finds that nobody waits for it."""
    (tmp_path / "sitecustomize.py").write_text(
        "import os, sys\n"
        "if any('moodlemlbackend.evaluation' in argument for argument in sys.orig_argv):\n"
        f"    alive = os.open({str(tmp_path / 'alive')!r}, os.O_WRONLY)\n"
        f"    open({str(tmp_path / 'go')!r}).close()\n"
    )
    for name in ("alive", "go"):
        os.mkfifo(tmp_path / name)
    call = [sys.executable, "-m", "moodlemlbackend", "demo", "here", "--courses", "2", "--students", "5"]
    demo = subprocess.Popen(
        call, cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(tmp_path)}, stdout=subprocess.DEVNULL
    )
    with (tmp_path / "alive").open("rb") as alive:
        demo.kill()
        assert demo.wait() == -signal.SIGKILL
        (tmp_path / "go").open("w").close()
        assert alive.read() == b"", "the call has ended"
    assert not (tmp_path / "here" / "evaluation").exists()


def test_a_demo_that_fails_says_where(command, tmp_path):
    (tmp_path / "file").write_text("")
    within = command("demo", tmp_path / "file" / "demo")
    assert within.returncode == 1
    assert within.stderr.startswith(f"The demo cannot be written to {tmp_path / 'file'}")
    refused = command(
        "demo", tmp_path / "demo", "--courses", "2", "--students", "5", env={"MOODLEMLBACKEND_SCORE": "none"}
    )
    assert refused.returncode == 1
    assert "moodlemlbackend.evaluation failed" in refused.stderr
    assert "environment variable MOODLEMLBACKEND_SCORE is 'none'" in refused.stderr
    assert "Traceback" not in refused.stderr
