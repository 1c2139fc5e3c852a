"""The command ``explain``: a table, JSON or a figure for people, and one sentence where there is none."""

from __future__ import annotations

import json
import os
import re
import struct
import subprocess
import sys
from xml.etree import ElementTree

import pytest

from fixtures.paths import posix
from moodlemlbackend.processor.explanation import Contribution, Explanation

SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture(scope="module")
def trained(command, courses, tmp_path_factory):
    """Directory of a trained model."""
    folder = tmp_path_factory.mktemp("trained")
    finished = command("train", "m", folder, courses.training, "--processor", "logistic_regression", "--seed", "1")
    assert finished.returncode == 0
    return folder


@pytest.fixture(scope="module")
def first_id(courses):
    return courses.prediction.read_text().splitlines()[3].partition(",")[0]


def number(text: str) -> float:
    return float(text.replace("−", "-"))


def test_the_table_adds_up_and_begins_with_the_largest(command, trained, courses, first_id):
    finished = command("explain", trained, courses.prediction, first_id, "--top", "5")
    assert (finished.returncode, finished.stderr) == (0, "")
    assert "\x1b" not in finished.stdout
    sentences, table = finished.stdout.split("\n\n")
    assert sentences.startswith(f"Sample {first_id}: class ")
    rows = [line.split(None, 1) for line in table.splitlines()]
    assert rows[0][0] == "Log-odds"
    baseline, *changes, logit = (number(row[0]) for row in rows[1:])
    assert len(changes) == 6
    assert re.match(r"\d+ others together", rows[-2][1])
    assert baseline + sum(changes) == pytest.approx(logit, abs=0.005 * len(rows))
    assert [*map(abs, changes[:5])] == sorted(map(abs, changes[:5]), reverse=True)


def test_json_holds_everything(command, trained, courses, first_id):
    by_id = json.loads(command("explain", trained, courses.prediction, first_id, "--json", "--top", "1").stdout)
    by_row = json.loads(command("explain", trained, courses.prediction, "--row", "4", "--json").stdout)
    assert by_id == by_row
    assert by_id["sample"] == first_id
    assert by_id["exact"]
    assert len(by_id["reasons"]) > 10
    total = by_id["baseline"] + sum(reason["contribution"] for reason in by_id["reasons"])
    assert total == pytest.approx(by_id["logit"])
    predicted = json.loads(command("predict", "m", trained, courses.prediction).stdout)["predictions"][0]
    assert [by_id["sample"], by_id["predicted"]] == predicted[:2]
    assert by_id["score"] == pytest.approx(float(predicted[2]))


def test_a_labelled_sample_is_named_by_its_row(command, trained, courses):
    finished = command("explain", trained, courses.training, "--row", "10")
    assert finished.stdout.startswith("Row 10: class ")
    piped = command("explain", trained, "-", "--row", "10", text=courses.training.read_text())
    assert piped.stdout == finished.stdout


def test_figures(command, trained, courses, first_id, tmp_path):
    png, svg = tmp_path / "why.png", tmp_path / "why.SVG"
    png.write_bytes(b"former")
    (tmp_path / "seen").hardlink_to(png)
    for path in (png, svg):
        finished = command("explain", trained, courses.prediction, first_id, "--figure", path, "--top", "4")
        assert (finished.returncode, finished.stderr) == (0, "")
    assert (tmp_path / "seen").read_bytes() == b"former", "a command that is interrupted leaves what was there"
    data = png.read_bytes()
    assert data.startswith(b"\x89PNG")
    width, height = struct.unpack(">II", data[16:24])
    assert width > 900
    assert height > 400
    assert ElementTree.parse(svg).getroot().tag == f"{SVG}svg"


def test_labels_of_figures_are_text_and_never_mathematics():
    from moodlemlbackend.report.explanation import draw

    reason = Contribution("a$b", r"cost $\frac{", "a very long value " * 9, -0.5)
    figure = draw(Explanation("1-$0", "0", "1", 0.2, 0.4, 0.7, -0.9, -1.4, "the average", True, (reason,)))
    figure.canvas.draw()
    plain = figure.get_size_inches()[1]
    (label,) = [text.get_text() for text in figure.axes[0].get_yticklabels()]
    assert label.startswith(r"cost $\frac{")
    assert label.endswith("…")
    long = Explanation("1-0", "0", "a name " * 20, 0.2, 0.4, 0.7, -0.9, -1.4, "the average " * 20, True, (reason,), 0.8)
    assert "(10% to 36% in 8 of 10 courses)" in " ".join(long.sentences())
    figure = draw(long)
    lines = figure.get_suptitle().split("\n")
    assert max(map(len, lines)) <= 102, "sentences are wrapped, and have room"
    assert not any(line.startswith("%") for line in lines)
    assert figure.get_size_inches()[1] > plain


def test_a_terminal_obeys_no_file(command, trained, courses, tmp_path):
    rows = courses.prediction.read_text().splitlines(keepends=True)
    path = tmp_path / "prediction.csv"
    path.write_text("".join([*rows[:3], "\x1b[2J" + rows[3]]))
    finished = command("explain", trained, path, "--row", "4")
    assert finished.returncode == 0
    assert "\x1b" not in finished.stdout
    assert finished.stdout.startswith("Sample \ufffd[2J")


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["{model}", "{prediction}", "nobody"], "has no sample with the id 'nobody'"),
        (["{model}", "{prediction}"], "Specify one sample: its id, or its row in the file (--row)."),
        (["{model}", "{prediction}", "1-0", "--row", "4"], "Specify one sample"),
        (
            ["{model}", "{training}", "1-0"],
            "is a labelled data set, so its samples have no ids; specify a sample by its row",
        ),
        (["{model}", "{training}", "--row", "3"], "has no sample in row 3; its samples are in rows 4 to "),
        (
            ["{model}", "{training}", "--row", "999999"],
            "has no sample in row 999999; its samples are in rows 4 to ",
        ),
        (["{empty}", "{prediction}", "1-0"], "There is no trained model in {empty}; train it first."),
        (["{model}", "{empty}/nothing.csv", "1-0"], "nothing.csv"),
        (["{model}", "{other}", "1-0"], "The model was trained on 98 columns but {other} has 1"),
        (["{model}", "{classes}", "1-0"], "The model was trained for the classes 0, 1, but targetclasses of"),
        (["{model}", "{prediction}", "1-0", "--figure", "why.pdf"], "its name must end in .png or .svg."),
        (
            ["{model}", "{prediction}", "--row", "4", "--figure", "{empty}/no/why.png"],
            "Cannot use {empty}/no: No such file or directory; check that it exists",
        ),
    ],
)
def test_what_cannot_be_explained_is_said_in_one_sentence(command, trained, courses, tmp_path, arguments, sentence):
    text = courses.prediction.read_text()
    (tmp_path / "other.csv").write_text('nfeatures,targetclasses\n1,"[0,1]"\nsampleid,a\n1-0,0\n')
    (tmp_path / "classes.csv").write_text(text.replace('"[0,1]"', '"[0,2]"'))
    (tmp_path / "empty").mkdir()
    places = {
        "model": trained,
        "prediction": courses.prediction,
        "training": courses.training,
        "empty": tmp_path / "empty",
        "other": tmp_path / "other.csv",
        "classes": tmp_path / "classes.csv",
    }
    finished = command("explain", *(argument.format(**places) for argument in arguments))
    assert finished.returncode == (
        2 if sentence.startswith(("Specify one", "There is no trained", "nothing", "its name")) else 1
    )
    assert finished.stdout == ""
    assert finished.stderr.count("\n") == 1
    assert finished.stderr.endswith(".\n")
    assert sentence.format(**places) in finished.stderr


def test_explaining_loads_numpy_and_pyarrow_but_nothing_slow(python, trained, courses, first_id):
    arguments = ["explain", str(trained), str(courses.prediction), first_id, "--json"]
    script = (
        f"import sys; from moodlemlbackend.cli import main; main({arguments!r}, standalone_mode=False);"
        "print(*sys.modules, file=sys.stderr)"
    )
    loaded = set(python("-c", script).stderr.split())
    assert {"numpy", "pyarrow"} <= loaded
    assert not loaded & {"tensorflow", "sklearn", "scipy", "matplotlib", "tensorboard", "pandas", "polars", "rich"}


@posix
def test_a_terminal_has_colours(trained, courses, first_id):
    import pty
    import subprocess
    import sys

    parent, child = pty.openpty()
    arguments = ["explain", str(trained), str(courses.prediction), first_id]
    env = {**os.environ, "TERM": "xterm-256color", "COLUMNS": "100"}
    env.pop("NO_COLOR", None)
    process = subprocess.Popen([sys.executable, "-m", "moodlemlbackend", *arguments], stdout=child, env=env)
    os.close(child)
    shown = b""
    try:
        while part := os.read(parent, 65536):
            shown += part
    except OSError:  # how Linux tells of the end
        pass
    os.close(parent)
    assert process.wait() == 0
    assert b"\x1b[" in shown


@pytest.mark.parametrize("encoding", ["latin-1", "cp1252", "cp437"])
def test_an_output_of_another_encoding(trained, courses, first_id, encoding):
    """The sign of a negative number is one that none of these encodings has."""
    arguments = [sys.executable, "-m", "moodlemlbackend", "explain", trained, courses.prediction, first_id]
    env = {**os.environ, "PYTHONIOENCODING": encoding, "PYTHONUTF8": "0"}
    done = subprocess.run([*map(str, arguments)], env=env, capture_output=True)
    assert (done.returncode, done.stderr) == (0, b"")
    shown = done.stdout.decode(encoding)
    assert re.search(r"^ *-\d\.\d\d ", shown, re.MULTILINE)
    assert f"Sample {first_id}: class " in shown
