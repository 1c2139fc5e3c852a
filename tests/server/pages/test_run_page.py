"""What the page of a run says while it goes on, and what came of it."""

from __future__ import annotations

import json
import re
from types import SimpleNamespace

import pytest

pytest.importorskip("jinja2", reason="needs the extra server")

from moodlemlbackend.server.jobs.page_runs import PageRun, Step, _apply_event
from moodlemlbackend.server.pages.rendering import render

QUARTERS, DECILES = (f"\\core\\analytics\\time_splitting\\{name}" for name in ("quarters", "deciles"))


def shown(run: PageRun, *events: dict) -> str:
    """The page of a run after these events of its process."""
    for event in events:
        _apply_event(run, json.dumps(event).encode())
    values = {
        "model": SimpleNamespace(id=1, name="Students at risk"), "run": run, "info": run.info, "refreshes": True,
        "log_out": "", "minimum": 0.7, "now": 1_075.0,
        "dates": SimpleNamespace(minute=lambda _seconds: "now", zone="UTC"),
    }  # fmt: skip
    page = render("site/run.html", user="Ada", links=[], token="t", **values)
    return page.body.decode()


def test_each_stage_is_named_with_how_far_it_has_come():
    run = PageRun("evaluate", 1, 2, state="running")
    run.begin(Step("site"))
    text = shown(run)
    assert "Reading the site" in text
    assert '<progress id="progress"></progress>' in text
    analysed = {"event": "progress", "done": 3, "total": 8, "name": "A"}
    text = shown(run, {"event": "stage", "stage": "analysis"}, analysed)
    assert "<title>Calculating indicators 38% · " in text
    assert '<progress id="progress" value="3" max="8">' in text
    assert "Last: A" in text
    assert re.search(r'role="status">\s*<p><strong>Calculating indicators</strong>', text)
    assert "<li>Reading the site" in text
    text = shown(run, {"event": "stage", "stage": "past"}, {"event": "progress", "done": 2, "total": 5, "name": "B"})
    assert "<title>Reading the history of courses 40%" in text


def test_an_evaluation_says_which_interval_and_training_of_how_many():
    run = PageRun("evaluate", 1, 2, state="running")
    text = shown(run, {"event": "stage", "stage": "evaluation", "interval": DECILES, "number": 2, "of": 3})
    assert "Evaluating: tenths of the course (interval 2 of 3)</strong>: waiting for the processor to start" in text
    text = shown(run, {"event": "progress", "done": 4, "total": 16, "name": ""})
    assert "4 of 16 training runs (25%)" in text
    assert "the data set" not in text
    text = shown(run, {"event": "progress", "done": 16, "total": 16, "name": ""}, {"event": "phase", "phase": "writes"})
    assert "(interval 2 of 3)</strong>: writing the report" in text
    assert 'value="16" max="16"' in text


def test_time_goes_on_until_the_end():
    run = PageRun("train", 1, 2, state="running", began=1_000.0)
    assert "Time so far</dt><dd>1 min 15 s" in shown(run)
    run.end("done")
    run.ended = 1_012.4
    text = shown(run)
    assert "Duration</dt><dd>12 s" in text
    assert "<title>Done · Training" in text


def test_an_evaluation_shows_what_intervals_give_in_time():
    past = {"in_time": 0.231, "precision": None, "load": {"warnings_a_teacher_and_week": 2.38}}
    evaluations = [
        {"interval": DECILES, "score": 0.71, "past": past}, {"interval": QUARTERS, "score": 0.6, "past": {}}
    ]  # fmt: skip
    done = {"event": "done", "info": ["Choose deciles."], "figures": {}, "evaluations": evaluations, "failed": False}
    text = shown(PageRun("evaluate", 1, 2), done)
    assert text.index("tenths of the course: 0.710") < text.index("quarters of the course: 0.600")
    assert text.count("Flagged in time: 23%. Right: –. Warnings per teacher per week: 2.4.") == 1
    assert 'href="/analytics/models/1/backtest"' in text


def test_an_evaluation_without_a_past_leads_nowhere_else():
    evaluations = [{"interval": QUARTERS, "score": 0.8, "past": {}}]
    done = {"event": "done", "info": [], "figures": {}, "evaluations": evaluations, "failed": False}
    assert "/backtest" not in shown(PageRun("evaluate", 1, 2), done)
