"""Intervals are ranked by what they would have given in the site's past; the score decides where there is none."""

from __future__ import annotations

import json

import pytest

from fixtures.trained_sites import (
    DROPOUT,
    NOW,
    PROCESSOR,
    QUARTERS,
    SHORT,
    SINGLE_RANGE,
    in_this_process,  # noqa: F401
    new_workspace,
    rows,
    site,  # noqa: F401
    site_url,  # noqa: F401
)
from moodlemlbackend.analytics import lifecycle, models
from moodlemlbackend.analytics.db import facts, history
from moodlemlbackend.analytics.db.schema import MODELS_LOG
from moodlemlbackend.analytics.features import definitions
from moodlemlbackend.analytics.lifecycle import backend, evaluation
from moodlemlbackend.analytics.lifecycle.backtesting.figures import f1_score, overloads, rank
from moodlemlbackend.cli.models.shared import evaluation_answer
from moodlemlbackend.errors import Status

DECILES = r"\core\analytics\time_splitting\deciles"


@pytest.fixture
def judged(monkeypatch):
    """Scores and statuses that evaluations shall find, by interval."""
    found = {QUARTERS: (0.8, Status.OK), SINGLE_RANGE: (0.9, Status.OK), DECILES: (0.7, Status.OK)}

    def evaluate(_workspace, _model, interval, _path, *, parts, trained):
        score, status = found[interval]
        assert not trained
        return backend.Verdict(status, [f"The score is {score}."], score)

    monkeypatch.setattr(evaluation.backend, "evaluate", evaluate)
    return found


def evaluated(folder, site, intervals, now=NOW, **options):  # noqa: F811
    """The result of an evaluation of these intervals, its workspace, and its model."""
    with new_workspace(folder, now, intervals=intervals) as space:
        model = models.create(space, DROPOUT, SHORT, processor=PROCESSOR)
        return lifecycle.evaluate(space, site, model.id, **options), rows(space, MODELS_LOG), rows_of_facts(space)


def rows_of_facts(workspace):
    with workspace.store.read() as connection:
        return facts.starting_with(connection, "backtest ")


def past(f1=0.5, flagged=0, courses=4):
    """Figures of a backtest."""
    load = {"courses_flagged_by_more_than_half": flagged, "warnings_a_teacher_and_week": 1.25}
    bounds = {"in_time_f1": (f1 - 0.1, f1 + 0.1)}
    return {
        "sentence": f"Had it run: {f1}.", "in_time": 0.4, "precision": 0.6, "in_time_f1": f1, "courses": courses,
        "bounds": bounds, "load": load, "by_range": [], "by_course": [],
    }  # fmt: skip


def go_through(monkeypatch, **figures):
    """Have backtests find these figures, by the last part of the interval."""

    def go_through_past(_workspace, _site, _model, intervals, result, _shown):
        result.intervals = {one: figures[definitions.last_part(one)] for one in intervals}

    monkeypatch.setattr(evaluation, "go_through_past", go_through_past)


def test_an_interval_that_flags_everybody_is_the_last(site, tmp_path, judged, monkeypatch):  # noqa: F811
    """Though its score, its share in time and its F1 score are the highest, and nothing else speaks against it."""
    monkeypatch.setattr(definitions, "cannot_help", lambda _target, _interval: "")
    heard = []
    result, log, kept = evaluated(
        tmp_path, site, [QUARTERS, SINGLE_RANGE], shown_past=lambda *course: heard.append(course)
    )
    best, last = result.evaluations
    assert (best.interval, last.interval) == (QUARTERS, SINGLE_RANGE)
    assert last.score > best.score
    assert last.past["in_time"] > best.past["in_time"]
    assert last.past["in_time_f1"] > best.past["in_time_f1"] > 0
    assert (overloads(best.past), overloads(last.past)) == (False, True)
    assert (result.status, result.info[0]) == (best.status, "The score is 0.8.")
    assert result.info[-1].startswith("Of these intervals quarters is recommended: ")
    by_interval = {row["timesplitting"]: json.loads(row["info"]) for row in log}
    assert by_interval[QUARTERS] == ["The score is 0.8.", best.past["sentence"]]
    [(name, fact)] = kept.items()
    assert name == models.backtest_fact(result.modelid)
    assert [*fact["intervals"]] == [QUARTERS, SINGLE_RANGE]
    assert {"by_range", "by_course"} <= set(fact["intervals"][QUARTERS])
    assert fact["time"] == NOW
    courses = heard[0][2]
    assert [number for _, number, _ in heard] == [*range(1, courses + 1)]
    assert json.dumps(result.summary()["evaluations"][0]["past"]["load"])


def test_the_score_decides_where_there_is_no_past(site, tmp_path, judged):  # noqa: F811
    ends = sorted(course.end for course in site.courses if course.end)
    judged[DECILES] = (0.85, Status.OK)
    result, _, kept = evaluated(tmp_path, site, [QUARTERS, DECILES], now=ends[2] + 1)
    assert [one.interval for one in result.evaluations] == [DECILES, QUARTERS]
    assert [one.past for one in result.evaluations] == [{}, {}]
    assert (
        "The intervals are ranked by score, not by how early they flag students: too few "
        "courses have finished to test the model on past courses." in result.info
    )
    assert result.info[-1].endswith("is recommended: of those that can help in time, it has the best score.")
    assert not kept


def test_of_good_scores_the_most_in_time_is_best(site, tmp_path, judged, monkeypatch):  # noqa: F811
    go_through(monkeypatch, quarters=past(0.4), deciles=past(0.5), single_range=past(0.9))
    every = [QUARTERS, SINGLE_RANGE, DECILES]
    result, _, _ = evaluated(tmp_path / "a", site, every)
    assert [one.interval for one in result.evaluations] == [DECILES, QUARTERS, SINGLE_RANGE]
    assert result.info[-1] == (
        "Of these intervals deciles is recommended: of those that score well enough, it would have flagged "
        "students best in time "
        "(F1 score 0.50; with other courses 0.40 to 0.60)."
    )
    judged[DECILES] = (0.6, Status.LOW_SCORE)
    result, _, _ = evaluated(tmp_path / "b", site, every)
    assert [one.interval for one in result.evaluations] == [QUARTERS, DECILES, SINGLE_RANGE]
    assert result.status == Status.OK
    judged[QUARTERS] = (0.5, Status.LOW_SCORE)
    result, _, _ = evaluated(tmp_path / "c", site, every)
    assert [one.interval for one in result.evaluations] == [DECILES, QUARTERS, SINGLE_RANGE]
    assert result.status == Status.LOW_SCORE
    assert not any("recommended" in text for text in result.info)


def test_none_is_recommended_when_each_flags_most(site, tmp_path, judged, monkeypatch):  # noqa: F811
    go_through(monkeypatch, quarters=past(0.4, flagged=3), deciles=past(0.5, flagged=4))
    result, _, _ = evaluated(tmp_path, site, [QUARTERS, DECILES])
    assert result.info[-1].startswith(
        "No interval is recommended: those that can help in time would flag more than half"
    )
    assert result.status == Status.OK


def test_a_past_of_one_course_has_no_bounds(site, tmp_path, judged, monkeypatch):  # noqa: F811
    go_through(monkeypatch, quarters={**past(0.4), "bounds": {}}, deciles=past(0.3))
    result, _, _ = evaluated(tmp_path, site, [QUARTERS, DECILES])
    assert result.info[-1].endswith("it would have flagged students best in time (F1 score 0.40).")


def test_one_interval_is_not_tested_on_the_past(site, tmp_path, judged):  # noqa: F811
    result, _, kept = evaluated(tmp_path, site, [QUARTERS])
    assert result.evaluations[0].past == {}
    assert not kept
    assert "past" not in result.seconds


def test_what_an_interval_gives_in_time_stands_beside_its_score(site, tmp_path, judged, monkeypatch, capsys):  # noqa: F811
    go_through(monkeypatch, quarters=past(0.4), deciles=past(0.5))
    result, _, _ = evaluated(tmp_path, site, [QUARTERS, DECILES])
    evaluation_answer(result).show()
    lines = capsys.readouterr().out.splitlines()
    head, row = (next(line for line in lines if name in line) for name in ("Interval", "deciles"))
    assert {"Right", "time"} <= set(head.split())  # the names of columns that a narrow screen breaks
    assert row.split()[:6] == ["deciles", "0.700", "40%", "60%", "0.500", "1.2"]
    assert "  deciles: The score is 0.7. Had it run: 0.5." in lines
    assert lines.index("  deciles: The score is 0.7. Had it run: 0.5.") > lines.index(row)
    assert lines[-1].startswith("  Of these intervals deciles is recommended: ")


def test_figures_of_a_backtest_go_with_the_model(site, tmp_path):  # noqa: F811
    with new_workspace(tmp_path) as space:
        model = models.create(space, DROPOUT, SHORT, processor=PROCESSOR)
        result = lifecycle.backtest(space, site, model.id, intervals=["single_range"])
        [(name, kept)] = rows_of_facts(space).items()
        assert (name, kept["time"], kept["version"]) == (models.backtest_fact(model.id), NOW, model.version)
        assert kept["intervals"] == json.loads(json.dumps(result.intervals))
        with space.store.read() as connection:
            [run] = history.runs(connection, model.id)
        assert (run["task"], run["status"], run["info"]) == ("backtest", 0, result.info)
        models.remove(space, model.id)
        assert not rows_of_facts(space)


def test_rank():
    assert f1_score(0.5, 0.25) == pytest.approx(1 / 3)
    assert f1_score(0.0, 0.0) == 0
    assert sorted([past(0.9, flagged=3), {}, past(0.2, flagged=2), past(0.3)], key=rank, reverse=True) == [
        past(0.3), past(0.2, flagged=2), {}, past(0.9, flagged=3),
    ]  # fmt: skip
