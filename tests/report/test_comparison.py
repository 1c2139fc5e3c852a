"""Comparing runs: the corrected resampled t-test, and when there is none."""

from __future__ import annotations

import json

import numpy as np
import pytest
from click.testing import CliRunner
from scipy import stats

from fixtures.reports import record
from moodlemlbackend.cli.compare import command
from moodlemlbackend.errors import UsageError
from moodlemlbackend.report.comparison import compare, corrected_t_test, holm
from moodlemlbackend.report.record import RATING, write_record


@pytest.fixture
def runs(tmp_path):
    """Return a function that writes runs and gives their folders."""

    def write(*records):
        folders = []
        for number, one in enumerate(records):
            folder = tmp_path / f"run{number}"
            folder.mkdir()
            write_record(one, folder)
            folders.append(folder)
        return folders

    return write


def test_the_test_is_that_of_nadeau_and_bengio():
    differences = [0.02, 0.01, 0.03, -0.01, 0.02, 0.015, 0.0, 0.01, 0.02, 0.01]
    found = corrected_t_test(differences)
    statistic = np.mean(differences) / np.sqrt((1 / 10 + 0.2 / 0.8) * np.var(differences, ddof=1))
    assert found.p == pytest.approx(2 * stats.t.sf(statistic, 9))
    assert found.p > stats.ttest_1samp(differences, 0).pvalue, "the usual test is too sure"
    assert found.low < found.mean < found.high


def test_what_cannot_be_tested():
    assert corrected_t_test([0.1, float("nan")]) is None
    assert corrected_t_test([0.0, 0.0]).p == 1
    assert corrected_t_test([0.1, 0.1]).p == 0


def test_p_values_of_several_comparisons():
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([0.9, 0.8]) == pytest.approx([1.0, 1.0])
    assert holm([]) == []


def test_a_better_run_is_found_and_an_equal_one_is_not(runs):
    worse, same = record(skill=1.0), record(skill=2.0)
    _, second, third = compare(runs(record(), worse, same))
    assert second.difference.high < 0
    assert second.difference.p < 0.001
    assert third.difference.mean == 0
    assert third.difference.p == 1


def test_a_lower_brier_score_is_better(runs):
    _, second = compare(runs(record(skill=1.0), record(skill=2.0)), "Brier score")
    assert second.difference.low > 0


@pytest.mark.parametrize(
    ("other", "reason"),
    [
        (lambda: record(seed=1), "a different data set"),
        (lambda: record(splits=9), "same seed and iterations"),
        (lambda: record(kind=RATING, splits=1), "only evaluations"),
    ],
)
def test_runs_that_are_not_comparable_say_why(runs, other, reason):
    _, second = compare(runs(record(), other()))
    assert second.difference is None
    assert reason in second.why_not


def test_wrong_arguments(runs, tmp_path):
    (folder,) = runs(record())
    for folders, metric in (([folder], "mcc"), ([folder, folder], "luck"), ([folder, tmp_path], "mcc")):
        with pytest.raises(UsageError):
            compare(folders, metric)


def test_the_command(runs):
    folders = [str(folder) for folder in runs(record(), record(skill=1.0), record(seed=1))]
    shown = CliRunner().invoke(command, folders)
    assert shown.exit_code == 0, shown.output
    assert "Run 2 is worse than run 1: mcc −0." in shown.output
    assert "Run 3 cannot be tested against run 1: it uses a different data set" in shown.output
    found = json.loads(CliRunner().invoke(command, ["--json", *folders]).output)
    assert [run["splits"] for run in found["runs"]] == [10, 10, 10]
    assert found["runs"][1]["difference"]["p"] < 0.001
    alone = CliRunner().invoke(command, folders[:1])
    assert alone.exit_code == 2
    assert "needs at least two runs" in alone.output
