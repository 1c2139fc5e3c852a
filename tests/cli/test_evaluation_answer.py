"""What ``models evaluate`` and ``evaluate-model`` print of an evaluation."""

from __future__ import annotations

import pytest

pytest.importorskip("sqlalchemy", reason="needs the extra analytics")

from moodlemlbackend.analytics.lifecycle.run_result import Evaluated, RunResult
from moodlemlbackend.cli.models.shared import evaluation_answer
from moodlemlbackend.errors import Status

FIGURES = {"score": 0.7871, "mcc": 0.5742, "auc": 0.8651}


@pytest.mark.parametrize(("seen", "shown"), [({"seen": {"score": 0.8123}}, ["0.787", "0.812"]), ({}, ["0.787"])])
def test_both_scores_of_an_interval_stand_side_by_side(capsys, seen, shown):
    judged = Evaluated("quarters", Status.OK, 0.7871, [], "logs", 3292, 1, {**FIGURES, **seen})
    evaluation_answer(RunResult("evaluate", 1, "Students at risk", evaluations=[judged])).show()
    lines = capsys.readouterr().out.splitlines()
    [head] = [line for line in lines if "Interval" in line]
    [row] = [line for line in lines if "quarters" in line]
    assert head.split()[1:-4] == ["Score", *(["In", "seen", "courses"] if seen else [])], "no column without a value"
    assert row.split() == ["quarters", *shown, "0.574", "0.865", "3292", "logs"]
