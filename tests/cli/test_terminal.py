"""What a person at a terminal sees: a bar a stage and sentences; a pipe gets none of it."""

from __future__ import annotations

import json
import os
import re
import struct
import subprocess
import sys

import pytest

from fixtures.paths import posix

QUICK = {"MOODLEMLBACKEND_PROCESSOR": "logistic_regression", "MOODLEMLBACKEND_SEED": "1"}

pytestmark = posix


def at_terminal(*words, env=()):
    """Run a command whose outputs are a terminal of 80 columns; returns the exit code and the lines as they end up."""
    import fcntl
    import pty
    import termios

    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    clean = {name: value for name, value in os.environ.items() if name != "COLUMNS"}
    call = [sys.executable, "-m", "moodlemlbackend", *map(str, words)]
    shown = b""
    env = {**clean, **QUICK, **dict(env), "TERM": "xterm"}
    with subprocess.Popen(call, stdin=subprocess.DEVNULL, stdout=theirs, stderr=theirs, env=env) as process:
        os.close(theirs)
        while part := _read(ours):
            shown += part
    os.close(ours)
    text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", shown.decode())
    assert "\x1b[?25l" not in shown.decode(), "the cursor stays"
    return process.returncode, [
        line.rpartition("\r")[2] for line in text.replace("\r\n", "\n").removesuffix("\n").split("\n")
    ]


def _read(descriptor):
    try:
        return os.read(descriptor, 65536)
    except OSError:
        return b""


def stages(lines):
    """The names of the bars."""
    return [line.partition(" ━")[0] for line in lines if "━" in line]


def test_a_person_reads_sentences_and_a_program_json(courses, tmp_path):
    model, exported = tmp_path / "model", tmp_path / "exported"
    code, lines = at_terminal("train", "dropout", model, courses.training)
    assert code == 0
    assert stages(lines) == ["Reading the data set", "Training", "Writing the report"]
    assert f"The model dropout in {model} is trained." in lines
    [report] = [line for line in lines if line.startswith("The report is in ")]
    assert report.endswith("/report.html.")

    code, lines = at_terminal("predict", "dropout", model, courses.prediction)
    assert code == 0
    assert any(line.split() == ["Sample", "Class", "Probability"] for line in lines)
    assert any(line.startswith("These are the first 100 of ") for line in lines) == (len(lines) > 102)

    code, lines = at_terminal("predict", "dropout", model, courses.prediction, "--json")
    assert code == 0
    assert json.loads(lines[-1])["predictions"]

    code, lines = at_terminal("export", "dropout", model, exported)
    assert (code, lines[-1]) == (0, f"The model has been exported to {exported}.")
    code, lines = at_terminal("import", "dropout", tmp_path / "other", exported)
    assert (code, lines[-1]) == (0, f"The model dropout in {tmp_path / 'other'} is imported and ready to predict.")

    code, lines = at_terminal("evaluate", "dropout", model, courses.evaluation, "--iterations", "2")
    assert code in (0, 4, 8, 12)
    assert stages(lines) == ["Reading the data set", "Evaluating", "Writing the report"]
    assert any(re.fullmatch(r"Score +0\.\d{3}", line) for line in lines)

    code, lines = at_terminal("train", "dropout", model, tmp_path / "nothing.csv")
    assert (code, len([line for line in lines if "There is no data set file" in line])) == (2, 1)
    assert "{" not in "".join(lines)


def test_a_run_on_a_site_shows_a_bar_a_stage_and_no_line_a_course(tmp_path):
    pytest.importorskip("sqlalchemy", reason="needs the extra analytics")
    from moodlemlbackend.simulation.site.build import write_site

    now = "1795366777"
    write_site(f"sqlite:///{tmp_path / 'site.db'}", courses=6, students=10, seed=1, now=int(now))
    env = {"MOODLEMLBACKEND_SITE": str(tmp_path / "site.db"), "MOODLEMLBACKEND_DIRECTORY": str(tmp_path / "work")}
    code, lines = at_terminal("models", "enable", "course_dropout", "--interval", "quarters", env=env)
    assert code == 0
    code, lines = at_terminal("tasks", "train", "--now", now, env=env)
    assert code == 0
    assert lines[0] == "Students at risk of dropping out (model 1)"
    assert stages(lines)[:2] == ["Calculating indicators", "Reading the data set"]
    assert "Training" in stages(lines)
    assert "100%" in lines[1]
    assert len(lines) < 10

    code, lines = at_terminal(
        "site", "dataset", "--target", "no_teaching", "--interval", "single_range", "--now", now,
        "-o", tmp_path / "data.csv", env=env,
    )  # fmt: skip
    assert stages(lines) == ["Calculating indicators"]
