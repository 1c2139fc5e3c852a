"""What the page of a run says while it goes on, and what came of it."""

from __future__ import annotations

import json
from types import SimpleNamespace

import pytest

pytest.importorskip("jinja2", reason="needs the extra server")

from moodlemlbackend.server.jobs.page_runs import PageRun, _apply_event
from moodlemlbackend.server.pages.rendering import render

QUARTERS, DECILES = (f"\\core\\analytics\\time_splitting\\{name}" for name in ("quarters", "deciles"))


def shown(run: PageRun, *events: dict) -> str:
    """The page of a run after these events of its process."""
    for event in events:
        _apply_event(run, json.dumps(event).encode())
    values = {
        "model": SimpleNamespace(id=1, name="Students at risk"), "run": run, "info": run.info, "refreshes": True,
        "minimum": 0.7, "dates": SimpleNamespace(minute=lambda _seconds: "now", zone="UTC"),
    }  # fmt: skip
    page = render("site/run.html", user="Ada", links=[], token="t", **values)
    return page.body.decode()


def test_an_evaluation_tells_of_the_past_that_it_reads():
    run = PageRun("evaluate", 1, 2, state="running")
    analysed = {"event": "analysed", "analysed": 3, "name": "A"}
    assert "3 of 8 analysed" in shown(run, {"event": "total", "total": 8}, analysed)
    text = shown(run, {"event": "past", "total": 5, "read": 2, "name": "B"})
    assert "The past of 2 of 5 courses has been read" in text
    assert "Last: B" in text
    assert "The processor is working now" in shown(run, {"event": "past", "total": 5, "read": 5, "name": "C"})


def test_an_evaluation_shows_what_intervals_give_in_time():
    past = {"in_time": 0.231, "precision": None, "load": {"warnings_a_teacher_and_week": 2.38}}
    evaluations = [
        {"interval": DECILES, "score": 0.71, "past": past}, {"interval": QUARTERS, "score": 0.6, "past": {}}
    ]  # fmt: skip
    done = {"event": "done", "info": ["Choose deciles."], "figures": {}, "evaluations": evaluations, "failed": False}
    text = shown(PageRun("evaluate", 1, 2), done)
    assert text.index("tenths of the course: 0.710") < text.index("quarters of the course: 0.600")
    assert text.count("Flagged in time: 23%. Right: –. Warnings per teacher and week: 2.4.") == 1
    assert 'href="/analytics/models/1/backtest"' in text


def test_an_evaluation_without_a_past_leads_nowhere_else():
    evaluations = [{"interval": QUARTERS, "score": 0.8, "past": {}}]
    done = {"event": "done", "info": [], "figures": {}, "evaluations": evaluations, "failed": False}
    assert "/backtest" not in shown(PageRun("evaluate", 1, 2), done)
