"""Figures: all are there, as PNG and SVG, of the right size, with the names of what they show and nothing cut off."""

from __future__ import annotations

import os
import xml.etree.ElementTree as ET

import matplotlib.image
import numpy as np
import pytest

from fixtures.reports import HOSTILE, record
from moodlemlbackend.report import curves, style
from moodlemlbackend.report.figures import FIGURES, draw_all
from moodlemlbackend.report.record import RATING, TRAINING, Held, Importance

SEVEN = {
    "roc-curve",
    "precision-recall",
    "calibration",
    "learning-curve",
    "score-distribution",
    "confusion-matrix",
    "importance",
}
NAMES = tuple(f"a class with the name {number} and more" for number in range(5))


def texts(path) -> list[str]:
    return ["".join(one.itertext()) for one in ET.parse(path).iter("{http://www.w3.org/2000/svg}text")]


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    folder = tmp_path_factory.mktemp("figures")
    assert set(draw_all(record(), folder)) == SEVEN
    return folder


def test_every_figure_is_there_in_both_formats(drawn):
    assert {path.name for path in drawn.iterdir()} == {
        f"{name}.{ending}" for name in SEVEN for ending in ("png", "svg")
    }
    for name in SEVEN:
        pixels = matplotlib.image.imread(drawn / f"{name}.png")
        assert pixels.shape[1] == round(style.WIDTH * style.DOTS_PER_INCH)
        assert (drawn / f"{name}.svg").stat().st_size < 100_000, "light enough for a page"


@pytest.mark.parametrize("kind", ["two", "many", "few", "hostile"])
def test_nothing_is_cut_off(kind, tmp_path):
    made = {
        "two": lambda: record(),
        "many": lambda: record(classes=NAMES),
        "few": lambda: record(rows=12, splits=3),
        "hostile": lambda: record(classes=(HOSTILE, "_hidden")),
    }[kind]()
    for name in draw_all(made, tmp_path):
        pixels = matplotlib.image.imread(tmp_path / f"{name}.png")[..., :3]
        edge = np.concatenate([pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]])
        assert (edge > 0.99).all(), f"{name} touches its edge"


def test_lines_are_told_apart_without_colours():
    assert len(set(style.COLOURS)) == len(style.DASHES) == len(style.MARKERS) == len(style.HATCHES) == 7


def test_indicators_are_named_and_ordered(drawn):
    labels = texts(drawn / "importance.svg")
    assert "forum: cognitive depth" in labels
    assert labels.index("forum: cognitive depth") < labels.index("any write")


def test_indicators_that_only_harm_are_shown_where_there_are_no_others(tmp_path):
    made = record()
    made.importances[:] = [Importance("a", "noise", (-0.02, -0.01))]
    assert "importance" in draw_all(made, tmp_path)
    assert "noise" in texts(tmp_path / "importance.svg")


def test_text_from_outside_stays_text(tmp_path):
    draw_all(record(classes=(HOSTILE, "$y$")), tmp_path)
    content = "".join(path.read_text("utf-8") for path in tmp_path.glob("*.svg"))
    assert "<script" not in content
    assert "\x00" not in content
    assert any("$y$" in text for text in texts(tmp_path / "confusion-matrix.svg"))


def test_more_than_two_classes_have_a_curve_each(tmp_path):
    draw_all(record(classes=("early", "late", "never")), tmp_path)
    for name in ("roc-curve", "precision-recall", "calibration", "score-distribution"):
        shown = " ".join(texts(tmp_path / f"{name}.svg"))
        assert all(one in shown for one in ("early", "late", "never")), name


def test_what_a_run_has_no_data_for_is_not_drawn(tmp_path):
    assert set(draw_all(record(kind=TRAINING), tmp_path)) == {
        "score-distribution",
        "calibration",
        "confusion-matrix",
        "course-of-training",
    }
    rated = record(kind=RATING, splits=1)
    rated.curve.clear()
    assert set(draw_all(rated, tmp_path)) == SEVEN - {"learning-curve"}
    rated.importances.clear()
    assert "importance" not in draw_all(rated, tmp_path)
    nothing = record(kind=TRAINING)
    nothing.held.clear()
    assert draw_all(nothing, tmp_path) == ["course-of-training"]


def test_rows_of_one_class_are_drawn_too(tmp_path):
    one = record(splits=1)
    labels = np.zeros_like(one.held[0].labels)
    one.held[0] = Held(labels, one.held[0].probabilities, one.held[0].weights, 0.5)
    assert "roc-curve" in draw_all(one, tmp_path)


def test_the_same_record_gives_the_same_files(drawn, tmp_path):
    draw_all(record(), tmp_path, ["roc-curve", "importance"])
    for path in tmp_path.iterdir():
        assert path.read_bytes() == (drawn / path.name).read_bytes()
    assert set(FIGURES) > SEVEN


def test_calibration_of_true_probabilities_lies_on_the_diagonal():
    found = curves.calibration(record(rows=2000), 1)
    np.testing.assert_allclose(found.observed, found.predicted, atol=0.05)
    assert found.counts.sum() == pytest.approx(2000)


def test_warned_students_are_counted_as_by_hand():
    made = record(splits=3)
    for one in curves.warned(made):
        right, found = [], []
        for held in made.held:
            said = held.probabilities[:, 1] >= (held.threshold if one.chosen else one.threshold)
            right.append((held.labels[said] == 1).mean() if said.any() else np.nan)
            found.append(said[held.labels == 1].mean())
        assert one.right[0] == pytest.approx(np.nanmean(right))
        assert one.recalled == pytest.approx((np.mean(found), np.std(found)), abs=1e-6)
    assert sum(one.chosen for one in curves.warned(made)) == 1


def test_weights_count_as_repeated_rows():
    made = record(splits=1, rows=100)
    held = made.held[0]
    twice = np.concatenate([np.arange(100), np.arange(50)])
    weights = np.where(np.arange(100) < 50, 2, 1).astype(np.float32)
    repeated = Held(held.labels[twice], held.probabilities[twice], np.ones(150, np.float32), 0.5)
    weighted = Held(held.labels, held.probabilities, weights, 0.5)
    assert curves.figures_of(weighted) == pytest.approx(curves.figures_of(repeated))


@pytest.mark.skipif(os.name == "nt", reason="Windows lets nobody replace a file that is open")
def test_a_figure_that_is_drawn_again_takes_the_place_of_the_former_one(tmp_path):
    (tmp_path / "roc-curve.svg").write_text("former")
    with (tmp_path / "roc-curve.svg").open() as reader:
        draw_all(record(), tmp_path, ["roc-curve"])
        assert reader.read() == "former"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["roc-curve.png", "roc-curve.svg"]
