"""Figures in new courses beside those in courses that the model has seen, wherever people look."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner

from fixtures.backend import Backend, course_rows, simulated
from fixtures.reports import record
from moodlemlbackend.cli.compare import command
from moodlemlbackend.errors import ModelError
from moodlemlbackend.report.both_splits import SEEN, both_splits, expectation
from moodlemlbackend.report.comparison import compare
from moodlemlbackend.report.diagnostics import diagnostics
from moodlemlbackend.report.page import render
from moodlemlbackend.report.record import Record, read_record, read_result, write_record

SEEN_FIGURES = {"score": 0.9123, "mcc": 0.8246, "auc": 0.9456}


def judged(split: str, **changes) -> Record:
    made = record(**changes)
    seen = {} if split == "row" else {"seen": SEEN_FIGURES}
    return replace(made, result={**made.result, "split": split, **seen})


@pytest.mark.parametrize(("split", "new"), [("course", "In new courses"), ("time", "In later courses")])
def test_the_page_has_both_in_one_table(split, new, tmp_path):
    write_record(judged(split), tmp_path)
    made = read_record(tmp_path)
    text = render(made, [], tmp_path)
    table = text.partition('id="new-and-seen"')[2].partition("</section>")[0]
    assert table.index(f">{new}<") < table.index(f">{SEEN}<")
    assert table.index(f">{made.result['score']:.3f}<") < table.index(">0.912<")
    assert expectation(made.result) in table
    assert "Trained on 80%" not in text


def test_the_table_needs_no_arrays(tmp_path):
    made = judged("course")
    write_record(made, tmp_path)
    (tmp_path / "report.npz").unlink()
    assert both_splits(read_result(tmp_path)) == both_splits(made.result)
    with pytest.raises(ModelError):
        read_record(tmp_path)
    (tmp_path / "report.json").write_text("[]")
    with pytest.raises(ModelError):
        read_result(tmp_path)


def test_the_page_of_single_rows_says_what_they_are(tmp_path):
    text = render(judged("row"), [], tmp_path)
    assert 'id="new-and-seen"' not in text
    assert "Expect lower figures in new courses: single rows were held out" in text
    assert "Trained on 80% of the samples" in text


def test_what_was_not_judged_by_splits_promises_nothing():
    for result in ({}, {"split": "course"}, {"split": "course", "seen": {"score": None}}, {"split": [], "seen": []}):
        assert both_splits(result) is None
    assert expectation({}) == ""


def test_samples_that_belong_together_matter_where_rows_are_dealt():
    def titles(split: str) -> set[str]:
        return {one.title for one in diagnostics(judged(split, facts={"course_means": True}))}

    assert "Samples that belong together" in titles("row")
    assert "Samples that belong together" not in titles("course") | titles("time")


def test_an_evaluation_leaves_both_in_its_record(tmp_path):
    data = simulated(courses=10)
    backend = Backend(tmp_path, "logistic_regression")
    result = backend.evaluate(data.features, data.labels, iterations=3, columns=list(data.columns))
    made = read_record(Path(result["dir"]))
    both = both_splits(made.result)
    assert both.rows[0] == ("Score", result["score"], result["seen"]["score"])
    assert made.facts["courses"] >= 5
    assert both.sentence in " ".join(result["info"])
    assert both.sentence in (Path(result["dir"]) / "report.html").read_text("utf-8")


def test_rows_of_unknown_courses_have_one_figure(tmp_path):
    result = Backend(tmp_path, "logistic_regression").evaluate(*course_rows(60), iterations=2)
    assert (result["split"], both_splits(result)) == ("row", None)


def test_a_comparison_shows_both_and_tests_equal_splits_only(tmp_path):
    folders = []
    for split in ("course", "course", "row"):
        folders.append(tmp_path / f"run{len(folders)}")
        folders[-1].mkdir()
        write_record(judged(split), folders[-1])
    first, second, third = compare(folders)
    assert (first.held_out, first.seen, third.seen) == ("whole courses", SEEN_FIGURES, {})
    assert second.difference.p == 1
    assert third.why_not == (
        "it holds out single rows, but the first run holds out whole courses; "
        "evaluate both with the same --evaluation-split"
    )
    shown = CliRunner().invoke(command, [str(folder) for folder in folders]).output
    assert "whole courses" in shown
    assert "0.825" in shown
    assert "Run 3 cannot be tested against run 1: it holds out single rows" in shown
    found = json.loads(CliRunner().invoke(command, ["--json", *map(str, folders)]).output)
    assert found["runs"][0]["seen"] == SEEN_FIGURES
