"""What one may choose is listed, a typo names the nearest, and a model goes by its id, name or target."""

from __future__ import annotations

import csv
import io
import json
import os
import re

import click
import pytest
from click.testing import CliRunner

from moodlemlbackend.cli import main

pytest.importorskip("sqlalchemy", reason="needs the extra analytics")

from moodlemlbackend.analytics.features import registry


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """Return a function that runs a command on a new store."""
    clean = {name: None for name in os.environ if name.startswith("MOODLEMLBACKEND_")}
    env = {**clean, "MOODLEMLBACKEND_DIRECTORY": str(tmp_path_factory.mktemp("work"))}
    return lambda *words: CliRunner().invoke(main, words, env=env, prog_name="moodlemlbackend")


@pytest.mark.parametrize(
    ("what", "known"),
    [
        ("targets", lambda: registry.list_targets()),
        ("intervals", lambda: registry.list_time_splittings()),
        ("indicators", lambda: registry.list_indicators()),
    ],
)
def test_everything_that_one_may_choose_is_listed(run, what, known):
    listed = json.loads(run("models", what, "--json").stdout)[what]
    assert [one["id"] for one in listed] == [one.id for one in known()]
    assert all(one["meaning"] and one["name"] for one in listed)
    find = {
        "targets": registry.get_target,
        "intervals": registry.get_time_splitting,
        "indicators": lambda name: registry.get_indicator(name if "\\" not in name else f"\\{name}"),
    }[what]
    assert [find(one["name"]).id for one in listed] == [one["id"] for one in listed]
    rows = [*csv.reader(io.StringIO(run("models", what, "--csv").stdout))]
    assert [row[-1] for row in rows[1:]] == [one["id"] for one in listed]
    shown = run("models", what).stdout
    assert all(len(line) <= 80 for line in shown.splitlines())
    assert all(one["name"] in shown for one in listed)


def test_a_target_narrows_what_is_listed(run):
    listed = json.loads(run("models", "intervals", "--target", "no_teaching", "--json").stdout)["intervals"]
    assert [one["name"] for one in listed] == ["single_range"]
    core = json.loads(run("models", "indicators", "--target", "no_teaching", "--json").stdout)["indicators"]
    assert {one["name"] for one in core} == {"no_teacher", "no_student"}


def test_processors_are_listed_with_the_one_in_use(run):
    listed = json.loads(run("models", "processors", "--json").stdout)["processors"]
    assert [(one["name"], one["default"]) for one in listed][:2] == [
        ("neural_network", True), ("logistic_regression", False),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("modles", "list"), "There is no command 'modles'; did you mean models?"),
        (("models", "lst"), "There is no command 'lst'; did you mean list?"),
        (("models", "zzzz"), "There is no command 'zzzz'; moodlemlbackend models --help lists them."),
        (("models", "list", "--jsno"), "--json"),
        (("models", "create", "--target", "course_dropot"), "no target 'course_dropot'; did you mean course_dropout?"),
        (("models", "create", "--target", "course_dropout", "--interval", "quaters"),
         "There is no interval 'quaters'; did you mean quarters?"),
        (("models", "create", "--target", "course_dropout", "--indicator", "read_action"),
         "There is no indicator 'read_action'; did you mean read_actions?"),
        (("models", "create", "--target", "course_dropout", "--processor", "neural"),
         "There is no processor 'neural'; did you mean neural_network?"),
        (("models", "create", "--target", r"\core_course\analytics\target\course_dropot"),
         r"did you mean \core_course\analytics\target\course_dropout?"),
        (("models", "create", "--target", "zzzz"), "There is no target 'zzzz'; moodlemlbackend models targets lists"),
        (("models", "show", "course_dropot"), "There is no model 'course_dropot'; did you mean course_dropout?"),
        (("models", "show", "99"), "There is no model 99"),
        (("models", "show", "9" * 30), "There is no model '999"),
        (("models", "list", "--json", "--csv"), "Choose either --json or --csv."),
    ],
)  # fmt: skip
def test_a_typo_names_the_nearest(run, words, sentence):
    done = run(*words)
    assert done.exit_code == 2
    assert sentence in done.stderr
    assert "Traceback" not in done.stderr


def test_a_model_goes_by_its_id_name_or_target(run):
    def shown(name):
        return json.loads(run("models", "show", name, "--json").stdout)["model"]

    model = shown("course_dropout")
    for name in (str(model["id"]), model["name"], model["name"].upper(), model["target"]):
        assert shown(name)["id"] == model["id"]
    made = run("models", "create", "--target", "course_dropout", "--name", "Pilot", "--json")
    pilot = json.loads(made.stdout)["model"]["id"]
    assert shown("pilot")["id"] == pilot
    several = run("models", "show", "course_dropout")
    assert several.exit_code == 2
    assert several.stderr == (
        f"The name 'course_dropout' matches several models: {model['id']} ({model['name']}), {pilot} (Pilot); "
        "give the id of one.\n"
    )
    assert run("enable-model", "--modelid", "Pilot", "--analysisinterval", "quarters").exit_code == 0
    assert json.loads(run("models", "delete", "pilot", "--yes", "--json").stdout)["deleted"] == pilot


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_shell_completes_commands_and_options(shell):
    def completed(*words):
        line = " ".join(("moodlemlbackend", *words))
        position = words[-1] if shell == "fish" else str(len(words))
        env = {"_MOODLEMLBACKEND_COMPLETE": f"{shell}_complete", "COMP_WORDS": line, "COMP_CWORD": position}
        return CliRunner().invoke(main, (), env=env, prog_name="moodlemlbackend").output

    script = CliRunner().invoke(
        main, (), env={"_MOODLEMLBACKEND_COMPLETE": f"{shell}_source"}, prog_name="moodlemlbackend"
    )
    assert "_moodlemlbackend_completion" in script.output
    assert "models" in completed("mod")
    assert {"edit", "enable", "evaluate", "export-data"} <= set(re.split(r"[\n\t,]", completed("models", "e")))
    assert "--interval" in completed("models", "evaluate", "--int")


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("site", "dataset", "--target", "course_dropout", "-o", "x.parquet"),
         "'x.parquet': a data set is written as .csv; use that ending."),
        (("models", "export-data", "1", "x.xlsx"),
         "'x.xlsx': training data is written as .csv; use that ending."),
        (("models", "export", "1", "x.tar"), "'x.tar': a model package is written as .zip; use that ending."),
    ],
)  # fmt: skip
def test_a_file_name_that_promises_another_format_is_refused(run, words, sentence):
    done = run(*words)
    assert done.exit_code == 2
    assert sentence in done.stderr


def test_every_argument_is_explained():
    from moodlemlbackend.cli.command import _ABOUT_ARGUMENTS, CommandGroup

    def commands(command):
        if not isinstance(command, CommandGroup):
            return [command]
        context = click.Context(command)
        return [one for name in command.list_commands(context) for one in commands(command.get_command(context, name))]

    for command in commands(main):
        context = click.Context(command)
        for parameter in command.params:
            if isinstance(parameter, click.Argument):
                assert parameter.make_metavar(context) in _ABOUT_ARGUMENTS, command.name
