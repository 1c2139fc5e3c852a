"""Reasons that could not be known when a prediction was made are never shown."""

from __future__ import annotations

import json
import shutil
import sqlite3
from contextlib import closing

import pytest
from click.testing import CliRunner

from fixtures.trained_sites import NOW, SHORT, enabled, in_this_process, new_workspace, rows, site, site_url
from moodlemlbackend.analytics import lifecycle, models
from moodlemlbackend.analytics.db.schema import EXPLANATIONS, NOTIFICATIONS, PREDICTIONS
from moodlemlbackend.analytics.features.definitions import could_be_known
from moodlemlbackend.analytics.insights import listing
from moodlemlbackend.analytics.lifecycle import prediction
from moodlemlbackend.analytics.site import open_site
from moodlemlbackend.cli import main

_ = (in_this_process, site, site_url)  # fixtures

AFTER_END = r"\core\analytics\indicator\any_access_after_end"
READ = r"\core\analytics\indicator\read_actions"


@pytest.fixture(scope="module")
def folder(site_url, tmp_path_factory):
    """The folder of a workspace whose model counts what students do after the end of a course, without predictions."""
    made = tmp_path_factory.mktemp("reasons") / "work"
    with new_workspace(made, learn_after_end=True) as workspace, open_site(site_url) as opened:
        modelid = enabled(workspace, (AFTER_END, *SHORT))
        assert lifecycle.train(workspace, opened, modelid).status == 0
    return made


@pytest.fixture
def workspace(folder, tmp_path):
    shutil.copytree(folder, tmp_path / "work")
    with new_workspace(tmp_path / "work", webhook_url="https://hook.example") as made:
        yield made


@pytest.fixture
def stored_earlier(workspace, site, monkeypatch):
    """Predictions of a release that kept every reason."""
    monkeypatch.setattr(prediction, "could_be_known", lambda *_: True)
    predict(workspace, site)
    assert AFTER_END in reasons_in_store(workspace)
    return workspace


def predict(workspace, site):
    with workspace.store.read() as connection:
        [modelid] = [one.id for one in models.listed(connection, trained=True) if not one.static]
    assert lifecycle.predict(workspace, site, modelid).figures["predictions"] > 0


def log_queries(site, monkeypatch):
    """A list that grows by each query on the logs of the site."""
    queries, rows_of = [], site.database.rows

    def counted(query, **values):
        if "logstore_standard_log" in query and "GROUP BY" in query:
            queries.append(query)
        return rows_of(query, **values)

    monkeypatch.setattr(site.database, "rows", counted)
    return queries


def reasons_in_store(workspace):
    return {reason["indicator"] for row in rows(workspace, EXPLANATIONS) for reason in json.loads(row["reasons"])}


@pytest.mark.parametrize(
    ("indicator", "end", "possible"),
    [
        (AFTER_END, 0, False),
        (AFTER_END, NOW + 1, False),
        (AFTER_END, NOW, True),
        (READ, 0, True),
        (r"\no\such", 0, True),
    ],
)
def test_only_the_end_of_a_course_shows_who_came_after_it(indicator, end, possible):
    assert could_be_known(indicator, end, NOW) is possible


def test_what_is_known_after_the_end_is_no_reason_in_a_running_course(workspace, site):
    predict(workspace, site)
    assert READ in reasons_in_store(workspace)
    assert AFTER_END not in reasons_in_store(workspace)
    told = rows(workspace, NOTIFICATIONS)
    assert told
    for row in told:
        assert "after end" not in row["fullmessage"]
        assert "after_end" not in row["data"]


def test_nor_is_it_shown_of_predictions_stored_earlier(stored_earlier, site, site_url, monkeypatch):
    for insight in listing.listed(stored_earlier, site):
        assert {READ, AFTER_END} & {reason.indicator for reason in insight.reasons} == {READ}
        assert AFTER_END in json.loads(insight.calculations)
        assert AFTER_END not in {value.id for value in insight.indicators}
    monkeypatch.setenv("MOODLEMLBACKEND_SITE", site_url)
    monkeypatch.setenv("MOODLEMLBACKEND_DIRECTORY", str(stored_earlier.folder))
    predictionid = str(rows(stored_earlier, PREDICTIONS)[0]["id"])
    for how in ([], ["--json"]):
        shown = CliRunner().invoke(main, ["insights", "show", predictionid, *how])
        assert shown.exit_code == 0, shown.output
        assert "read actions" in shown.output
        assert "after end" not in shown.output


def test_it_is_a_reason_where_the_course_had_ended(stored_earlier, site_url, tmp_path):
    """As it is of a target that predicts in finished courses."""
    over = shutil.copy(site_url.removeprefix("sqlite:///"), tmp_path / "over.sqlite")
    with closing(sqlite3.connect(over)) as database, database:
        database.execute("UPDATE mdl_course SET enddate = ?", (NOW,))
    with open_site(f"sqlite:///{over}") as site:
        insight = listing.listed(stored_earlier, site)[0]
    assert AFTER_END in {reason.indicator for reason in insight.reasons}
    assert AFTER_END in {value.id for value in insight.indicators}


def test_mails_the_webhook_and_commands_have_the_same_words(workspace, site, site_url, monkeypatch):
    predict(workspace, site)
    monkeypatch.setenv("MOODLEMLBACKEND_SITE", site_url)
    monkeypatch.setenv("MOODLEMLBACKEND_DIRECTORY", str(workspace.folder))
    listed = json.loads(CliRunner().invoke(main, ["insights", "list", "--json"]).output)["insights"]
    plain = {insight["id"]: insight["plain_reasons"] for insight in listed}
    written = rows(workspace, NOTIFICATIONS)
    assert written
    named = set()
    for row in written:
        for one in json.loads(row["data"])["predictions"]:
            assert one["plain_reasons"] == plain[one["id"]] != []
            raising = [reason["text"] for reason in one["plain_reasons"] if reason["raises"]]
            assert not raising or ". ".join(raising) + "." in row["fullmessage"]
            named |= {*raising}
    assert any("; most classmates " in text for text in named)


def test_reasons_cost_one_query_a_course_and_none_without_notifications(folder, site, tmp_path, monkeypatch):
    queries = log_queries(site, monkeypatch)
    numbers = []
    for on in (False, True):
        shutil.copytree(folder, tmp_path / str(on))
        with new_workspace(tmp_path / str(on), notifications=on) as workspace:
            before = len(queries)
            predict(workspace, site)
            numbers.append(len(queries) - before)
            courses = {row["contextid"] for row in rows(workspace, PREDICTIONS)}
    assert numbers[1] - numbers[0] == len(courses) >= 1
