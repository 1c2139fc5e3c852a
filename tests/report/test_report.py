"""The report of a run: what it says, that it needs nothing beside it, and that it can be made again."""

from __future__ import annotations

import base64
import json
import re
import shlex
import shutil
import struct
import subprocess
import sys
import tracemalloc
import zipfile
from html.parser import HTMLParser
from importlib import metadata
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from click.testing import CliRunner

from fixtures.backend import Backend, course_rows, end, names, samples_of, simulated, start, write_labelled
from fixtures.paths import ROOT, posix
from fixtures.reports import HOSTILE, record
from moodlemlbackend.cli.report import command
from moodlemlbackend.errors import ModelError, StorageError, UsageError
from moodlemlbackend.operations.train import train
from moodlemlbackend.processor import splits as split_kinds
from moodlemlbackend.report import curves, importance, run_report
from moodlemlbackend.report.diagnostics import diagnostics
from moodlemlbackend.report.facts import facts_of, kinds_of, repeated
from moodlemlbackend.report.figures import FIGURES, draw_all
from moodlemlbackend.report.page import render, write_page
from moodlemlbackend.report.record import RATING, TRAINING, read_record, write_record
from moodlemlbackend.report.render_process import RenderProcess, make
from moodlemlbackend.runtime.progress import QuietReporter
from moodlemlbackend.settings.backend import Settings
from moodlemlbackend.storage import model_store
from moodlemlbackend.storage.model_store import ModelStore


class Page(HTMLParser):
    """What a page consists of: its text, and every address in it."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags, self.addresses, self.text = [], [], ""
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.addresses += [value for name, value in attrs if name in ("src", "href", "action", "srcset")]

    def handle_data(self, data):
        self.text += data


def page_of(made, folder: Path) -> str:
    return write_page(made, draw_all(made, folder), folder).read_text("utf-8")


@pytest.fixture(scope="module")
def evaluated(tmp_path_factory):
    """The folder of an evaluation of simulated students."""
    backend = Backend(tmp_path_factory.mktemp("run"), "logistic_regression")
    data = simulated()
    result = backend.evaluate(data.features, data.labels, iterations=5, columns=list(data.columns))
    assert "figures" not in " ".join(result["info"])
    return Path(result["dir"]), result


# ---- the page ----


def test_a_page_needs_nothing_beside_it(evaluated):
    folder, _ = evaluated
    page = Page((folder / "report.html").read_text("utf-8"))
    assert {address.partition(",")[0] for address in page.addresses} <= {"data:", "data:image/svg+xml;base64"}
    assert "script" not in page.tags
    assert page.tags.count("img") == 7
    pictures = [address.partition(",")[2] for address in page.addresses if "svg" in address]
    files = {(folder / f"{name}.svg").read_bytes() for name in FIGURES if (folder / f"{name}.svg").exists()}
    assert {base64.b64decode(picture) for picture in pictures} == files


def test_a_page_says_what_the_evaluation_came_to(evaluated):
    folder, result = evaluated
    text = Page((folder / "report.html").read_text("utf-8")).text
    data = simulated()
    assert f"the score is {result['score']:.3f} ± {result['score_deviation']:.3f} over 5 splits" in text
    assert f"{len(data.labels)}, " in text
    assert "49 in 98 columns" in text
    assert r"\core\analytics\time_splitting\quarters" in text
    assert re.search(
        r"\d+ of 100 flagged students are really at risk, and \d+ of 100 students at risk are " "flagged", text
    )
    assert "moodlemlbackend evaluate model" in text
    assert "--seed 7" in text
    assert "Samples that belong together" in text, "of one course, and of one student"


@pytest.mark.parametrize("kind", ["evaluation", RATING, TRAINING])
def test_every_kind_of_run_has_a_page(kind, tmp_path):
    made = record(kind=kind, splits=1 if kind == RATING else 10)
    text = page_of(made, tmp_path)
    assert "nan" not in Page(text).text
    assert {RATING: "This is a trained model", TRAINING: "predicts class 1 from a probability of 0.50 upwards"}.get(
        kind, "10 splits"
    ) in text


def test_three_classes(tmp_path):
    text = page_of(record(classes=("early", "late", "never")), tmp_path)
    assert "of 100 samples predicted as class never" in text
    assert text.count('<tr><th scope="row">late') == 1


def test_names_from_outside_are_text(tmp_path):
    made = record(classes=(HOSTILE, "1"), **{"model": HOSTILE, "data set": HOSTILE, "target": HOSTILE})
    text = page_of(made, tmp_path)
    assert "<script" not in text
    assert "&lt;script&gt;" in text
    assert "script" not in Page(text).tags


def test_the_command_can_be_run_as_it_stands(tmp_path):
    backend = Backend(tmp_path / "a folder's name", "logistic_regression")
    backend.folder.mkdir()
    made = read_record(Path(backend.evaluate(*course_rows(60), iterations=2)["dir"]))
    words = shlex.split(made.about["command"])
    assert words[:3] == ["moodlemlbackend", "evaluate", "model"]
    assert words[4] == str(backend.folder / "evaluation")
    from moodlemlbackend.cli.evaluate import command as evaluate

    evaluate.make_parser(evaluate.make_context("evaluate", words[2:])).parse_args(words[2:])


@pytest.mark.parametrize("afresh", [False, True])
def test_the_command_of_a_training_says_whether_it_was_afresh(tmp_path, afresh):
    path = str(write_labelled(tmp_path / "data", *course_rows(40)))
    settings = Settings(processor="logistic_regression", seed=7)
    result = train(QuietReporter(), "model", str(tmp_path / "m"), path, settings=settings, afresh=afresh)
    made = read_record(tmp_path / "m" / "logs" / result["runid"])
    words = ["moodlemlbackend", "train", "model", str(tmp_path / "m"), path]
    options = ["--processor", "logistic_regression", "--seed", "7"]
    assert shlex.split(made.about["command"]) == [*words, *options, *(["--afresh"] if afresh else [])]


def test_a_run_of_something_else_has_its_title_and_command(tmp_path):
    path = str(write_labelled(tmp_path / "data", *course_rows(40)))
    origin = ("Students at risk (model 3)", ["moodlemlbackend", "models", "train", "3"])
    settings = Settings(processor="logistic_regression", seed=7)
    result = train(QuietReporter(), "model", str(tmp_path / "m"), path, settings=settings, origin=origin)
    text = (tmp_path / "m" / "logs" / result["runid"] / "report.html").read_text("utf-8")
    assert "<h1>Training: Students at risk (model 3)</h1>" in text
    assert "<pre>MOODLEMLBACKEND_SEED=7 moodlemlbackend models train 3</pre>" in text
    assert str(tmp_path) not in text
    assert re.search(r"Run \d+ of [-0-9]+ [:0-9]+ UTC<", text)


@posix
@pytest.mark.parametrize("width", [1200, 360])
def test_in_a_browser(browser, tmp_path, width):
    page_of(record(classes=(HOSTILE, "1" * 40), **{"data set": "a" * 200}), tmp_path)
    browser.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride", {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False}
    )
    browser.get((tmp_path / "report.html").as_uri())
    assert browser.execute_script("return document.documentElement.scrollWidth") <= width
    images = browser.find_elements("css selector", "figure img")
    assert len(images) == 7
    assert all(int(image.get_property("naturalWidth")) > 100 for image in images)
    assert [entry for entry in browser.get_log("browser") if entry["level"] == "SEVERE"] == []


# ---- what a careful statistician says ----


def titles(made) -> set[str]:
    return {caution.title for caution in diagnostics(made)}


def test_nothing_to_warn_of():
    assert titles(record()) == set()


@pytest.mark.parametrize(
    ("title", "changes"),
    [
        ("Too few samples of a class", {"facts": {"classes": {"0": 1000, "1": 12}}}),
        ("One column predicts the class by itself", {"facts": {"alone": {"final grade": 0.99}}}),
        ("Known only after the end", {"facts": {"after_end": ["came back"]}}),
        ("Left out of training", {"facts": {"masked": ["came back"]}}),
        (
            "The same samples in training and test",
            {"facts": {"held_out_repeats": {"share": 0.5, "auc of the others": 0.6}}},
        ),
        ("Too good to be true", {"skill": 6.0}),
        ("No better than chance", {"skill": 0.001, "seed": 1}),
        ("Results vary too much", {"rows": 12, "skill": 1.0}),
        ("Poor calibration", {"distortion": 4.0, "skill": 1.0}),
        ("Few splits", {"splits": 2}),
        ("Samples no model can tell apart", {"facts": {"contradicted": 0.3}}),
        ("Samples that belong together", {"facts": {"course_means": True}}),
        ("A rare class", {"facts": {"classes": {"0": 9900, "1": 100}}}),
        ("Many columns are constant", {"facts": {"constant": 9}}),
        ("Many empty cells", {"facts": {"empty": 0.9}}),
    ],
)
def test_each_warning_where_it_is_due(title, changes):
    assert title in titles(record(**changes))


def test_warnings_come_before_notes(tmp_path):
    made = record(facts={"empty": 0.9, "classes": {"0": 1000, "1": 12}})
    assert [caution.grave for caution in diagnostics(made)] == sorted(
        (c.grave for c in diagnostics(made)), reverse=True
    )
    assert "1 warning below" in page_of(made, tmp_path)


def test_facts_of_a_data_set():
    random = np.random.default_rng(0)
    labels = random.integers(2, size=300)
    told = np.where(labels == 1, 0.5, -0.5)
    noise = random.integers(-100, 101, size=300) / 100
    features = np.column_stack([np.ones(300), noise, noise, told, np.full(300, np.nan)])
    found = facts_of(samples_of(features, labels))
    assert (found.rows, found.columns, found.constant, found.repeated) == (300, 5, 2, 1)
    assert found.empty == pytest.approx(0.2)
    assert found.alone == {names(5)[3]: 1.0}, "noise with many values is none"
    assert found.classes == {"0": int((labels == 0).sum()), "1": int((labels == 1).sum())}
    assert found.digest == facts_of(samples_of(features, labels)).digest
    assert found.digest != facts_of(samples_of(features, 1 - labels)).digest


def test_rows_that_repeat_and_contradict():
    samples = samples_of([[0.0], [0.0], [0.5], [1.0]], [0, 1, 0, 1])
    kinds = kinds_of(samples)
    assert repeated(kinds, np.array([0, 2]), np.array([1, 3])).tolist() == [True, False]
    found = facts_of(samples)
    assert (found.distinct_rows, found.contradicted) == (3, 0.5)


# ---- learning curve ----


@pytest.mark.parametrize(
    ("few", "splits", "sizes"), [(4000, 10, [40, 80, 160] * 3), (0, 10, [40, 112] * 2), (0, 4, [])]
)
def test_parts_of_the_training_rows(monkeypatch, few, splits, sizes):
    """Three splits where there are few samples; else so few that they cost a third more time at the most."""
    monkeypatch.setattr(split_kinds, "FEW_SAMPLES", few)
    features, labels = course_rows(400)
    samples = samples_of(features, labels)
    drawn = split_kinds.row_splits(samples, splits, 1)
    parts = split_kinds.smaller_splits(samples, "row", drawn, 1)
    assert [len(rows) for _, rows in parts] == sizes
    for number, rows in parts:
        assert set(rows) < set(drawn[number].training)
        assert abs(labels[rows].mean() - 0.5) < 0.01


def test_a_learning_curve_is_no_part_of_the_verdict(evaluated):
    folder, result = evaluated
    made = read_record(folder)
    assert len(made.curve) == 9
    assert [one.rows for one in made.curve[:3]] == sorted(one.rows for one in made.curve[:3])
    assert len(made.held) == 5
    scores = [(verdict["mcc"] + 1) / 2 for verdict in map(curves.figures_of, made.held)]
    assert np.mean(scores) == pytest.approx(result["score"], abs=1e-6)


# ---- importance ----


@pytest.mark.parametrize("processor", ["neural_network", "logistic_regression"])
def test_what_the_class_depends_on_is_important(processor, tmp_path):
    features, labels = course_rows(200)
    columns = [
        "always",
        "never",
        r"\mod_x\analytics\indicator\noise",
        r"\a\analytics\indicator\it/0",
        r"\a\analytics\indicator\it/1",
    ]
    result = Backend(tmp_path, processor).evaluate(features, labels, iterations=3, columns=columns)
    found = {one.label: one.falls for one in read_record(Path(result["dir"])).importances}
    assert list(found) == ["a: it", "x: noise"], "columns of an indicator together; those that never vary left out"
    assert np.mean(found["a: it"]) == pytest.approx(0.5, abs=0.1)
    assert abs(np.mean(found["x: noise"])) < 0.05
    assert all(len(falls) == 3 for falls in found.values())


def test_a_network_takes_the_short_way_to_the_same_probabilities():
    from moodlemlbackend.model.codes import code
    from moodlemlbackend.processor.neural_network import NeuralNetwork
    from moodlemlbackend.processor.processor import Classifier

    data = simulated()
    coded = code([data.features], data.features.shape[1])
    classifier = NeuralNetwork().fit(samples_of(data.features, data.labels), seed=1).classifier
    few, order = coded.take(np.arange(40)), np.random.default_rng(0).permutation(40)
    groups = [np.array([4]), np.arange(4), np.array([10, 11, 12]), np.array([0])]
    short = classifier.permuted_probabilities(few, groups, order)
    np.testing.assert_allclose(short, Classifier.permuted_probabilities(classifier, few, groups, order), atol=1e-5)


def test_areas_count_ties_half():
    probabilities = np.array([[[0.5, 0.5], [0.5, 0.5], [0.2, 0.8]]])
    assert importance._areas(probabilities, np.array([0, 1, 1])) == pytest.approx([0.75])


# ---- made again ----


def test_a_record_is_read_as_it_was_written(tmp_path):
    made = record(facts={"empty": float("nan")})
    write_record(made, tmp_path)
    found = read_record(tmp_path)
    assert found.facts["empty"] is None
    assert (found.about, found.result, found.classes) == (made.about, made.result, made.classes)
    assert (found.importances, found.curve, found.histories) == (made.importances, made.curve, made.histories)
    for one, other in zip(found.held, made.held, strict=True):
        np.testing.assert_array_equal(one.probabilities, other.probabilities)
        assert one.rows == other.rows


def test_the_command_makes_the_same_report_again(evaluated, tmp_path):
    folder, _ = evaluated
    copy = tmp_path / "run"
    copy.mkdir()
    for name in ("report.json", "report.npz"):
        shutil.copy(folder / name, copy)
    done = CliRunner().invoke(command, [str(copy)])
    assert (done.exit_code, done.output) == (0, f"{copy / 'report.html'}\n")
    made = {path.name: path.read_bytes() for path in folder.iterdir() if path.suffix in (".html", ".png", ".svg")}
    assert {path.name: path.read_bytes() for path in copy.iterdir() if path.suffix in (".html", ".png", ".svg")} == made


def test_a_folder_without_a_record(tmp_path):
    with pytest.raises(UsageError, match=r"has no report\.json"):
        read_record(tmp_path)
    done = CliRunner().invoke(command, [str(tmp_path)])
    assert done.exit_code == 1
    assert "Give the folder of a training run or evaluation" in done.output


@pytest.mark.parametrize(
    "damage",
    [
        lambda folder: (folder / "report.json").write_text("{"),
        lambda folder: (folder / "report.json").write_text("[" * 100_000),
        lambda folder: (folder / "report.npz").write_bytes(b"PK\x03\x04no zip"),
        lambda folder: _change(folder, lambda content: content.update(format=99)),
        lambda folder: _change(folder, lambda content: content.update(kind="other")),
        lambda folder: _change(folder, lambda content: content.update(classes=["0", "1", "2"])),
        lambda folder: _change(folder, lambda content: content.pop("held")),
        lambda folder: _change(folder, lambda content: content["held"][0].update(threshold=10**400)),
        lambda folder: _change(folder, lambda content: content["classes"].clear()),
        lambda folder: (folder / "report.npz").unlink(),
        lambda folder: np.savez(folder / "report.npz", **{"labels-0": np.array([object()])}),
        lambda folder: np.savez_compressed(folder / "report.npz", **{"labels-0": np.zeros(1 << 20, np.int32)}),
        lambda folder: _claim(folder, "{'descr': '<i4', 'fortran_order': False, 'shape': (1099511627776,)}"),
        lambda folder: _claim(folder, "{'descr': '<i4', 'fortran_order': False, 'shape': (-4,)}"),
        lambda folder: _claim(folder, "{'descr': '<i4', 'fortran_order': False, 'shape': (" + "(" * 5000),
        lambda folder: _claim(
            folder, "{'descr': '<i4', 'fortran_order': False, 'shape': (4,)}", method=zipfile.ZIP_LZMA
        ),
        lambda folder: _alter_archive(folder, -6, struct.pack("<I", 0xFFFF_FFF0)),  # where the list of entries begins
        lambda folder: _alter_archive(folder, -10, struct.pack("<I", 0xFFFF_FFF0)),  # how long it is
    ],
)
def test_a_damaged_record_is_named(tmp_path, damage):
    write_record(record(splits=1), tmp_path)
    damage(tmp_path)
    with pytest.raises(ModelError, match="cannot be used"):
        read_record(tmp_path)


def test_an_array_that_claims_more_than_there_is_takes_no_memory(tmp_path):
    write_record(record(splits=1), tmp_path)
    _claim(tmp_path, "{'descr': '<f4', 'fortran_order': False, 'shape': (50000000,)}")
    tracemalloc.start()
    with pytest.raises(ModelError, match=r"the shape \(50000000,\)"):
        read_record(tmp_path)
    assert tracemalloc.get_traced_memory()[1] < 10_000_000
    tracemalloc.stop()


def _claim(folder: Path, header: str, method: int = zipfile.ZIP_STORED) -> None:
    """An array whose header says this, with 16 bytes of content."""
    content = b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header) + 1) + header.encode() + b"\n" + bytes(16)
    with zipfile.ZipFile(folder / "report.npz", "w", method) as archive:
        archive.writestr("labels-0.npy", content)


def _alter_archive(folder: Path, place: int, value: bytes) -> None:
    content = bytearray((folder / "report.npz").read_bytes())
    content[place : place + len(value) or None] = value
    (folder / "report.npz").write_bytes(content)


def _change(folder: Path, change) -> None:
    content = json.loads((folder / "report.json").read_text())
    change(content)
    (folder / "report.json").write_text(json.dumps(content))


# ---- the artist, and runs that must not fail ----


@posix
def test_a_command_leaves_its_report(tmp_path):
    """In a process of its own, where nothing is loaded yet, an artist draws."""
    data = write_labelled(tmp_path / "data", *course_rows(40))
    done = end(start("evaluation", "model", tmp_path / "out", data, 0.7, 0.05, 2))
    result = json.loads(done.stdout)
    assert "figures" not in " ".join(result["info"])
    folder = Path(result["dir"])
    assert {"report.html", "importance.svg", "roc-curve.png"} <= {path.name for path in folder.iterdir()}
    before = (folder / "report.html").read_bytes()
    assert make(folder) is None
    assert (folder / "report.html").read_bytes() == before


def test_without_a_process_the_run_draws_for_itself(tmp_path, monkeypatch):
    monkeypatch.setattr("sys.executable", "")
    write_record(record(splits=2), tmp_path)
    artist = RenderProcess()
    artist.begin(tmp_path)
    artist.complete()
    assert artist.finish() is None
    assert (tmp_path / "report.html").exists()


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), ZeroDivisionError("nothing")])
def test_a_report_never_fails_a_run(tmp_path, monkeypatch, error):
    def fail(*_):
        raise error

    monkeypatch.setattr(run_report, "write_record", fail)
    result = Backend(tmp_path, "logistic_regression").evaluate(*course_rows(60), iterations=2)
    assert result["score"] == 1
    assert "Some figures of this run are missing." in " ".join(result["info"])


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), ZeroDivisionError("nothing"), SystemExit(3)])
@pytest.mark.parametrize(
    "place", ["write_record", "_versions", "facts_of", "RenderProcess.begin", "RenderProcess.close"]
)  # fmt: skip
def test_a_report_never_fails_a_training(tmp_path, monkeypatch, place, error):
    def fail(*_):
        raise error

    monkeypatch.setattr(f"moodlemlbackend.report.run_report.{place}", fail)
    backend = Backend(tmp_path, "logistic_regression")
    features, labels = course_rows(40)
    result = backend.train(features, labels)
    assert result["status"] == 0
    assert "Some figures of this run are missing." in " ".join(result["info"])
    assert len(backend.classes(features)) == 40


def test_a_module_that_is_being_imported_is_left_alone(monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn", ModuleType("sklearn"))
    assert f"scikit-learn {metadata.version('scikit-learn')}" in run_report._versions()


@posix
def test_constant_columns_are_trained_on_before_tensorflow_is_there(tmp_path):
    data = write_labelled(tmp_path / "data", np.full((20, 3), 0.5, np.float32), np.arange(20) % 2)
    done = end(start("training", "model", tmp_path / "out", data))
    assert (json.loads(done.stdout)["status"], done.returncode) == (0, 0), done.stdout
    assert ModelStore(tmp_path / "out").current() is not None


STOPPED = """
import os, signal, sys
from moodlemlbackend.operations.train import train
from moodlemlbackend.report import run_report
from moodlemlbackend.runtime.supervisor import run_command
from moodlemlbackend.settings.backend import Settings

run_report.write_record = lambda *_: os.kill(os.getpid(), signal.SIGTERM)
settings = Settings(processor="logistic_regression")
sys.exit(run_command("training", lambda reporter: train(reporter, "model", *sys.argv[1:], settings=settings)))
"""


@posix
def test_a_signal_after_the_model_is_in_force(tmp_path):
    data = write_labelled(tmp_path / "data", *course_rows(40))
    done = subprocess.run(
        [sys.executable, "-c", STOPPED, tmp_path / "out", data], cwd=ROOT, capture_output=True, text=True
    )
    result = json.loads(done.stdout)
    assert (result["status"], done.returncode) == (0, 0), done
    assert "is trained and in use" in result["info"][-1]
    assert "a signal stopped the run" in result["info"][-1]
    assert ModelStore(tmp_path / "out").current().settings["rows"] == 40


@pytest.mark.parametrize("switched", [True, False])
def test_what_is_in_force_is_the_answer(tmp_path, monkeypatch, switched):
    """A disk fails right after, or before, the one step that puts a model in force."""

    def replace(path: Path, content: bytes) -> None:
        if switched:
            path.write_bytes(content)
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(model_store, "replace_file", replace)
    backend = Backend(tmp_path, "logistic_regression")
    features, labels = course_rows(40)
    if switched:
        result = backend.train(features, labels)
        assert result["status"] == 0
        assert "in use, but the steps after training are incomplete: Cannot use" in result["info"][-1]
        assert len(backend.classes(features)) == 40
    else:
        with pytest.raises(StorageError, match="Input/output error"):
            backend.train(features, labels)


def test_a_model_of_unknown_target_is_described_in_general_words(tmp_path):
    text = render(record(target="TARGET"), [], tmp_path)
    assert "students" not in text.partition("Who would be flagged")[2].partition("</section>")[0]
