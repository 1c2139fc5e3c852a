"""Insights: who may see them, what they show, and what people do about them."""

from __future__ import annotations

import html
import json
import os
import re
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from dataclasses import replace

import pytest
from click.testing import CliRunner

from fixtures.trained_sites import (
    NOW,
    SHORT,
    TRAINED,
    at,
    in_this_process,
    rows,
    site,
    site_url,
    trained,
    trained_folder,
)
from moodlemlbackend.analytics import lifecycle, models
from moodlemlbackend.analytics.db import feedback, predictions
from moodlemlbackend.analytics.db.insights import OpenInsights, open_insights
from moodlemlbackend.analytics.db.schema import EXPLANATIONS, FEEDBACK, NOTIFICATIONS, PREDICTION_ACTIONS, PREDICTIONS
from moodlemlbackend.analytics.features.targets.target import Tone
from moodlemlbackend.analytics.insights import actions, listing, texts
from moodlemlbackend.analytics.insights.capabilities import (
    LIST_INSIGHTS,
    LIST_OWN_INSIGHTS,
    MANAGE_MODELS,
    Capabilities,
)
from moodlemlbackend.analytics.lifecycle import backend, prediction
from moodlemlbackend.analytics.site import open_site
from moodlemlbackend.analytics.site.people import SampleInfo, describe
from moodlemlbackend.analytics.site.schema import TABLES
from moodlemlbackend.cli import main
from moodlemlbackend.dataset import words
from moodlemlbackend.errors import UsageError

_ = (in_this_process, site, site_url, trained, trained_folder)  # fixtures

TEACHER, OTHER = 900, 901

SYSTEM, CATEGORY, COURSE, MODULE, USER = 1, 2, 3, 4, 5
MANAGER, EDITING, ASSISTANT, STUDENT, ANYBODY = 1, 3, 4, 5, 7
ALLOW, PREVENT, PROHIBIT = 1, -1, -1000

ROLES = """
CREATE TABLE mdl_config (name, value);
INSERT INTO mdl_config VALUES ('siteadmins', '2'), ('defaultuserroleid', '7'), ('version', '2023042403');
CREATE TABLE mdl_course (id INTEGER, shortname, fullname, format, startdate INTEGER, enddate INTEGER, visible INTEGER,
    enablecompletion INTEGER, sortorder INTEGER, category INTEGER);
INSERT INTO mdl_course VALUES (10, 'C', 'Course', 'topics', 1, 0, 1, 0, 1, 1);
CREATE TABLE mdl_context (id INTEGER, contextlevel INTEGER, instanceid INTEGER, path);
INSERT INTO mdl_context VALUES (1, 10, 0, '/1'), (2, 40, 1, '/1/2'), (3, 50, 10, '/1/2/3'), (4, 70, 5, '/1/2/3/4'),
    (5, 30, 20, '/1/5');
CREATE TABLE mdl_role (id INTEGER, archetype);
INSERT INTO mdl_role VALUES (1, 'manager'), (3, 'editingteacher'), (4, 'teacher'), (5, 'student'), (7, 'user');
CREATE TABLE mdl_role_capabilities (contextid INTEGER, roleid INTEGER, capability, permission INTEGER);
CREATE TABLE mdl_role_assignments (roleid INTEGER, contextid INTEGER, userid INTEGER);
CREATE TABLE mdl_enrol (id INTEGER, courseid INTEGER, status INTEGER);
INSERT INTO mdl_enrol VALUES (1, 10, 0), (2, 10, 1);
CREATE TABLE mdl_user_enrolments (id INTEGER, enrolid INTEGER, userid INTEGER, timestart INTEGER, timeend INTEGER,
    timecreated INTEGER, status INTEGER);
CREATE TABLE mdl_user (id INTEGER, username, firstname, lastname, email, deleted INTEGER, suspended INTEGER);
INSERT INTO mdl_user VALUES (1, 'guest', 'G', '', '', 0, 0), (2, 'admin', 'A', '', '', 0, 0),
    (20, 'u20', 'U', '', '', 0, 0), (21, 'u21', 'V', '', '', 0, 0), (22, 'u22', 'W', '', '', 1, 0);
"""
DEFAULTS = [
    (SYSTEM, MANAGER, MANAGE_MODELS, ALLOW),
    (SYSTEM, MANAGER, LIST_INSIGHTS, ALLOW),
    (SYSTEM, EDITING, LIST_INSIGHTS, ALLOW),
    (SYSTEM, ASSISTANT, LIST_INSIGHTS, ALLOW),
    (SYSTEM, ANYBODY, LIST_OWN_INSIGHTS, ALLOW),
]


@pytest.fixture
def people(tmp_path):
    """Return a function that makes a site with permissions, role assignments and enrolments, and its capabilities."""
    opened = []

    def make(permissions=DEFAULTS, assigned=(), enrolled=()):
        path = tmp_path / f"people{len(opened)}.sqlite"
        with closing(sqlite3.connect(path)) as database, database:
            database.executescript(ROLES)
            database.executemany("INSERT INTO mdl_role_capabilities VALUES (?, ?, ?, ?)", permissions)
            database.executemany("INSERT INTO mdl_role_assignments VALUES (?, ?, ?)", assigned)
            database.executemany("INSERT INTO mdl_user_enrolments VALUES (?, ?, ?, ?, ?, 1, ?)", enrolled)
            for name, table in TABLES.items():
                database.execute(f"CREATE TABLE IF NOT EXISTS mdl_{name} ({', '.join(table.columns)})")
        opened.append(open_site(f"sqlite:///{path}"))
        return Capabilities(opened[-1], NOW)

    yield make
    for one in opened:
        one.close()


ENROLLED = (1, 1, 20, 0, 0, 0)


# ---- capabilities ----


@pytest.mark.parametrize("context", [SYSTEM, CATEGORY, COURSE])
def test_a_role_reaches_everything_below_where_it_is_assigned(people, context):
    found = people(assigned=[(EDITING, context, 20)])
    reached = {one for one in (SYSTEM, CATEGORY, COURSE, MODULE) if found.may(20, LIST_INSIGHTS, one)}
    assert reached == {one for one in (SYSTEM, CATEGORY, COURSE, MODULE) if one >= context}
    assert not found.may(20, MANAGE_MODELS, COURSE)
    assert not found.may(21, LIST_INSIGHTS, COURSE)


@pytest.mark.parametrize(
    ("more", "allowed"),
    [
        ([(COURSE, EDITING, LIST_INSIGHTS, PREVENT)], False),
        ([(CATEGORY, EDITING, LIST_INSIGHTS, PREVENT)], False),
        ([(CATEGORY, EDITING, LIST_INSIGHTS, PREVENT), (COURSE, EDITING, LIST_INSIGHTS, ALLOW)], True),
        ([(CATEGORY, EDITING, LIST_INSIGHTS, PROHIBIT), (COURSE, EDITING, LIST_INSIGHTS, ALLOW)], False),
        ([(MODULE, EDITING, LIST_INSIGHTS, PREVENT)], True),
        ([(COURSE, STUDENT, LIST_INSIGHTS, PREVENT)], True),
        ([(COURSE, STUDENT, LIST_INSIGHTS, PROHIBIT)], False),
        ([(COURSE, ANYBODY, LIST_INSIGHTS, PROHIBIT)], False),
    ],
)
def test_the_nearest_permission_counts_and_a_prohibition_everywhere(people, more, allowed):
    found = people([*DEFAULTS, *more], assigned=[(EDITING, COURSE, 20), (STUDENT, COURSE, 20)])
    assert found.may(20, LIST_INSIGHTS, COURSE) == allowed


def test_administrators_may_everything_but_are_told_only_by_their_roles(people):
    found = people(enrolled=[(1, 1, 2, 0, 0, 0)])
    assert found.may(2, MANAGE_MODELS, SYSTEM)
    assert found.recipients(COURSE) == found.recipients(SYSTEM) == []
    assert people(assigned=[(MANAGER, SYSTEM, 2)]).recipients(SYSTEM) == [2]


@pytest.mark.parametrize(
    ("enrolment", "told"),
    [
        (ENROLLED, True),
        ((1, 1, 20, 0, 0, 1), False),  # suspended
        ((1, 2, 20, 0, 0, 0), False),  # by a method that is disabled
        ((1, 1, 20, NOW + 1, 0, 0), False),  # not begun
        ((1, 1, 20, 0, NOW, 0), False),  # over
        ((1, 1, 20, 0, NOW + 1, 0), True),
        ((1, 1, 21, 0, 0, 0), False),  # somebody else
    ],
)
def test_in_a_course_those_are_told_who_are_actively_enrolled(people, enrolment, told):
    found = people(assigned=[(EDITING, COURSE, 20)], enrolled=[enrolment])
    assert found.recipients(COURSE) == found.recipients(MODULE) == ([20] if told else [])


def test_above_courses_whoever_has_the_role_is_told(people):
    found = people(
        assigned=[(MANAGER, CATEGORY, 20), (MANAGER, SYSTEM, 21), (MANAGER, SYSTEM, 22), (EDITING, COURSE, 20)]
    )
    assert found.recipients(CATEGORY) == [20, 21]  # 22 is deleted
    assert found.recipients(SYSTEM) == [21]


def test_of_themselves_users_are_told_if_every_user_may(people):
    assert people().recipients(USER) == [20]
    assert people(DEFAULTS[:-1]).recipients(USER) == []
    assert people().recipients(999) == []


# ---- what is shown ----


@pytest.fixture
def predicted(trained, site):
    assert lifecycle.predict(trained, site, TRAINED).figures["predictions"] > 0
    return trained


def test_an_insight_shows_the_prediction_why_and_what_can_be_done(predicted, site):
    insights = listing.listed(predicted, site, modelid=TRAINED)
    assert [one.id for one in insights] == [
        row["id"] for row in sorted(rows(predicted, PREDICTIONS), key=lambda row: (-row["predictionscore"], -row["id"]))
    ]
    one = insights[0]
    assert one.label == "at risk of dropping out"
    assert one.sample is not None
    assert one.title == f"{one.sample.first_name} {one.sample.last_name}"
    assert 0 < one.probability <= 1
    assert {value.id for value in one.indicators} <= set(SHORT)
    assert one.reasons
    links = {action.name: action.url for action in one.links}
    outline = f"/report/outline/user.php?id={one.sample.userid}&course={one.sample.courseid}&mode=outline"
    assert links["viewoutlinereport"] == f"https://moodle.example{outline}"
    assert links["viewcourse"] == f"https://moodle.example/course/view.php?id={one.sample.courseid}"
    assert links["studentmessage"].startswith(f"mailto:{one.sample.email}?subject=")
    assert [(action.name, action.tone) for action in one.judgements] == [
        ("fixed", Tone.POSITIVE), ("notapplicable", Tone.NEUTRAL), ("incorrectlyflagged", Tone.NEGATIVE),
    ]  # fmt: skip
    assert listing.get(predicted, site, one.id) == one


def test_a_probability_has_its_range_wherever_it_is_told(predicted, site, site_url):
    one = listing.listed(predicted, site, modelid=TRAINED)[0]
    low, high = one.probability_range
    assert low < one.probability < high
    in_words = f"{100 * one.probability:.0f}% ({100 * low:.0f}% to {100 * high:.0f}% in 8 of 10 courses)"
    arguments = ["--directory", str(predicted.folder), "--site", site_url]
    shown = CliRunner().invoke(main, ["insights", "show", str(one.id), *arguments])
    assert f"Probability: {in_words}\n" in shown.output
    shown = CliRunner().invoke(main, ["insights", "show", str(one.id), "--json", *arguments])
    assert json.loads(shown.output)["insight"]["probability_range"] == [low, high]
    messages = rows(predicted, NOTIFICATIONS, NOTIFICATIONS.c.contextid == one.contextid)
    assert messages
    assert f"{one.title}: {one.label}, {in_words}" in messages[0]["fullmessage"]
    facts = {fact["id"]: fact for fact in json.loads(messages[0]["data"])["predictions"]}
    assert facts[one.id]["probability_range"] == [low, high]


def test_a_range_is_that_of_the_predicted_class(trained, site, monkeypatch):
    monkeypatch.setattr(prediction.Prediction, "_is_news", lambda *_: True)
    lifecycle.predict(trained, site, TRAINED)
    classes = {row["id"]: row["prediction"] for row in rows(trained, PREDICTIONS)}
    assert set(classes.values()) == {0, 1}
    for row in rows(trained, EXPLANATIONS):
        assert row["low"] < row["probability"] < row["high"], classes[row["predictionid"]]


def test_a_model_that_does_not_know_how_courses_differ_says_the_probability_alone(trained, site, monkeypatch):
    predict = backend.predict

    def without(*arguments):
        found = predict(*arguments)
        return replace(found, model=replace(found.model, spread=None))

    monkeypatch.setattr(backend, "predict", without)
    lifecycle.predict(trained, site, TRAINED)
    insights = listing.listed(trained, site)
    assert insights
    assert {one.probability_range for one in insights} == {None}
    assert "8 of 10" not in rows(trained, NOTIFICATIONS)[0]["fullmessage"]
    assert words.probability(0.347, None) == "35%"


def test_only_the_last_range_of_a_sample_is_listed(predicted, site):
    lifecycle.predict(at(predicted, NOW + 45 * 86_400), site, TRAINED)
    listed = listing.listed(predicted, site, modelid=TRAINED)
    assert len({one.sampleid for one in listed}) == len(listed)
    last: dict[int, int] = {}
    for row in rows(predicted, PREDICTIONS):
        last[row["sampleid"]] = max(row["rangeindex"], last.get(row["sampleid"], 0))
    assert {one.sampleid: one.rangeindex for one in listed} == last


def test_pages_and_contexts(predicted, site):
    everything = listing.listed(predicted, site)
    assert listing.listed(predicted, site, page=1, perpage=2) == everything[2:4]
    context = everything[0].contextid
    assert {one.contextid for one in listing.listed(predicted, site, contextids=[context])} == {context}
    assert listing.listed(predicted, site, contextids=[]) == []
    of_contexts = {row["contextid"] for row in rows(predicted, PREDICTIONS)}
    with predicted.store.read() as connection:
        found = open_insights(connection, OTHER, of_contexts, actions.HIDING)
    assert sum(one.number for one in found if one.modelid == TRAINED) == len(everything)


def test_a_disabled_models_insights_are_not_shown(predicted, site):
    models.edit(predicted, TRAINED, enabled=False)
    assert listing.listed(predicted, site) == []
    with pytest.raises(UsageError, match="disabled"):
        actions.perform(predicted, "fixed", [1])
    models.enable(predicted, TRAINED)
    assert listing.listed(predicted, site) != []


def test_a_teacher_reads_the_own_courses_insights(predicted, site):
    capabilities = Capabilities(site, NOW)
    with predicted.store.read() as connection:
        model = models.get(connection, TRAINED)
    contexts = {row["contextid"] for row in rows(predicted, PREDICTIONS)}
    told = {(row["useridto"], row["contextid"]) for row in rows(predicted, NOTIFICATIONS)}
    assert told
    for userid, contextid in told:
        assert contextid in listing.readable(capabilities, userid, model.target, contexts)
    student = listing.listed(predicted, site)[0].sample.userid
    assert listing.readable(capabilities, student, model.target, contexts) == set()


def test_samples_that_are_gone_are_left_out(site):
    assert describe(site, "user_enrolments", [10**9]) == {}
    assert describe(site, "nothing", [1]) == {}
    assert {one.title for one in describe(site, "course", [2]).values()} == {
        course.fullname for course in site.courses if course.id == 2
    }


# ---- actions ----


def test_what_a_teacher_has_dealt_with_others_still_see(predicted, site):
    first, second, *rest = (one.id for one in listing.listed(predicted, site))
    teacher = at(predicted, NOW, TEACHER)
    assert actions.perform(teacher, "acknowledge", [first]) == 0
    assert actions.perform(teacher, "not-applicable", [second, second]) == 0
    assert [one.id for one in listing.listed(predicted, site, userid=TEACHER)] == rest
    assert [one.id for one in listing.listed(predicted, site, userid=OTHER)] == [first, second, *rest]
    assert listing.get(predicted, site, first).done == ("fixed",)
    actions.take_back(teacher, [first])
    assert [one.id for one in listing.listed(predicted, site, userid=TEACHER)] == [first, *rest]


def test_what_was_done_is_shown_of_many_insights(predicted, site):
    """Pages of more insights than one page can have, each once and in one order."""
    [first, *_] = listing.listed(predicted, site)
    [row] = rows(predicted, PREDICTIONS, PREDICTIONS.c.id == first.id)
    samples = sorted({one.sampleid for one in listing.listed(predicted, site, perpage=1000)})
    with predicted.store.write() as connection:
        del row["id"]
        for context in range(10**6, 10**6 + 1 + 2500 // len(samples)):
            for sample in samples:
                values = {**row, "contextid": context, "sampleid": sample, "prediction": 1.0}
                predictions.insert(connection, values, None, None, [])
    pages = [listing.listed(predicted, site, page=page, perpage=1000) for page in range(4)]
    ids = [one.id for page in pages for one in page]
    assert len(pages[0]) == len(pages[1]) == 1000
    assert len(ids) == len(set(ids)) > 2500
    actions.perform(at(predicted, NOW, TEACHER), "acknowledge", [ids[0], ids[2100]])
    assert listing.listed(predicted, site, perpage=3)[0].done == ("fixed",)
    assert listing.listed(predicted, site, page=700, perpage=3)[0].done == ("fixed",)
    mine = [
        one.id for page in range(4) for one in listing.listed(predicted, site, userid=TEACHER, page=page, perpage=1000)
    ]
    assert mine == [key for key in ids if key not in (ids[0], ids[2100])]
    assert len(listing.section(predicted, site, first.model, 10**6, userid=TEACHER, page=0, perpage=5)) == 5
    dealt_with = [listing.get(predicted, site, key).contextid for key in (ids[0], ids[2100])]
    with predicted.store.read() as connection:
        [waiting] = open_insights(connection, TEACHER, [10**6], actions.HIDING)
    assert waiting == OpenInsights(first.model.id, 10**6, len(samples) - dealt_with.count(10**6), None)


def test_a_user_reads_no_more_of_a_context_than_each_target_allows(predicted, site):
    """A target without a report of insights is for managers, also where the user reads those of another target."""
    capabilities = Capabilities(site, NOW)
    context = next(iter(listing.listed(predicted, site))).contextid
    teacher = next(one for one in capabilities.recipients(context) if one not in site.administrators)
    theirs = listing.listed(predicted, site, userid=teacher, reader=capabilities, perpage=1000)
    assert theirs
    for one in theirs:
        assert listing.readable(capabilities, teacher, one.model.target, [one.contextid])


def test_a_look_at_a_report_hides_nothing(predicted, site):
    before = listing.listed(predicted, site)
    actions.perform(at(predicted, NOW, TEACHER), "viewoutlinereport", [before[0].id])
    assert [one.id for one in listing.listed(predicted, site, userid=TEACHER)] == [one.id for one in before]


@pytest.mark.parametrize(("name", "ids", "said"), [("explode", [1], "no action"), ("fixed", [10**6], "no prediction")])
def test_what_cannot_be_done(predicted, name, ids, said):
    with pytest.raises(UsageError, match=said):
        actions.perform(predicted, name, ids)
    assert rows(predicted, PREDICTION_ACTIONS) == []


def test_not_useful_is_recorded_once_and_can_be_taken_back(predicted, site):
    first = listing.listed(predicted, site)[0]
    assert actions.perform(at(predicted, NOW, TEACHER), "not-useful", [first.id]) == 1
    assert actions.perform(at(predicted, NOW, OTHER), "incorrectlyflagged", [first.id]) == 0
    [mark] = rows(predicted, FEEDBACK)
    assert (mark["prediction"], mark["label"], mark["weight"], mark["userid"]) == (1, 0, 5, TEACHER)
    assert actions.take_back(at(predicted, NOW, TEACHER), [first.id]) == 0  # the other still says so
    assert actions.take_back(at(predicted, NOW + 1, OTHER), [first.id]) == 1
    [mark] = rows(predicted, FEEDBACK)
    assert mark["timereverted"] == NOW + 1


def test_not_useful_is_learned_and_unlearned(predicted, site):
    first = listing.listed(predicted, site)[0]
    before = probability(predicted, first.id)
    actions.perform(predicted, "not-useful", [first.id])
    outcome = lifecycle.train(predicted, site, TRAINED)
    assert (outcome.status, outcome.figures) == (0, {"marks": 1})
    assert probability(predicted, first.id) < before
    assert lifecycle.train(predicted, site, TRAINED).status == 2  # it is learned once
    actions.take_back(predicted, [first.id])
    assert lifecycle.train(predicted, site, TRAINED).status == 0
    assert probability(predicted, first.id) == pytest.approx(before, abs=1e-3)
    with predicted.store.read() as connection:
        [mark] = feedback.listed(connection, TRAINED)
    assert (mark.trained, mark.reverted) == (None, NOW)


def probability(workspace, predictionid: int) -> float:
    """Of class 1, by the model as it is now, of the row that a prediction was of."""
    import numpy as np

    from moodlemlbackend.operations.trained_models import trained_model
    from moodlemlbackend.storage.model_store import ModelStore

    [row] = rows(workspace, PREDICTIONS, PREDICTIONS.c.id == predictionid)
    with workspace.store.read() as connection:
        model = models.get(connection, row["modelid"])
    found, _ = trained_model(ModelStore(workspace.executiondir(model)))
    values = json.loads(row["calculations"])
    cells = [np.nan if value is None else float(value) for value in values.values()]
    return float(found.classifier.probabilities(np.array([cells], np.float32))[0, 1])


def test_a_message_to_several_students_hides_them_from_each_other():
    people = [SampleInfo(n, "user_enrolments", n, f"N{n}", "", f"n{n}@example.org", 1, "A & B", "AB") for n in (1, 2)]
    assert actions.mail_link(people) == "mailto:?bcc=n1@example.org,n2@example.org&subject=A%20%26%20B"


def test_every_action_and_class_has_a_text():
    from moodlemlbackend.analytics.features import definitions

    for target in definitions.targets().values():
        for action in (*target.actions, *target.bulk_actions):
            assert texts.known(f"action {action.name}"), action
        for label in target.classes:
            assert not texts.class_label(target.id, label).startswith("class"), target.id
        assert texts.known(f"subject {target.id}")
        assert texts.known(f"body {target.id}")


# ---- commands ----


def test_commands(predicted, site_url, site, monkeypatch):
    monkeypatch.setenv("MOODLEMLBACKEND_DIRECTORY", str(predicted.folder))
    monkeypatch.setenv("MOODLEMLBACKEND_SITE", site_url)
    monkeypatch.setenv("MOODLEMLBACKEND_NOTIFICATIONS", "on")
    monkeypatch.setenv("COLUMNS", "800")  # no name is wrapped

    def run(*arguments, code=0):
        done = CliRunner().invoke(main, ["insights", *arguments])
        assert done.exit_code == code, done.output
        return done.output

    [first, second, *_] = listing.listed(predicted, site, modelid=TRAINED)
    assert first.title in run("list", "--model", str(TRAINED))
    found = json.loads(run("list", "--course", str(first.sample.courseid), "--json"))["insights"]
    assert {one["sample"]["courseid"] for one in found} == {first.sample.courseid}
    whole = json.loads(run("show", str(first.id), "--json"))["insight"]
    assert all(reason["text"] and reason["contribution"] and reason["value"] for reason in whole["reasons"])
    assert {reason["text"] for reason in whole["plain_reasons"]} <= {reason["text"] for reason in whole["reasons"]}
    shown = run("show", str(first.id))
    assert "at risk of dropping out" in shown
    assert all(reason["text"] in shown for reason in whole["plain_reasons"])
    [listed] = [one for one in found if one["id"] == first.id]
    assert listed["plain_reasons"] == whole["plain_reasons"] != []
    done = run("act", "not-useful", str(first.id), "--user", "900")
    undo = f"moodlemlbackend insights act take-back {first.id} --user 900"
    assert done == f"Recorded. The model will learn from 1 of these answers.\nTo undo: {undo}\n"
    assert "The model will forget 1 of these answers" in run(*undo.split()[2:])
    done = run("act", "acknowledge", str(second.id), str(first.id))
    assert done == f"Recorded.\nTo undo: moodlemlbackend insights act take-back {second.id} {first.id}\n"
    assert json.loads(run("act", "viewcourse", str(second.id), "--json"))["undo"] == ""
    told = json.loads(run("notifications", "--json"))["notifications"]
    teacher = next(one["useridto"] for one in told)
    assert {one["contextid"] for one in json.loads(run("list", "--user", str(teacher), "--json"))["insights"]}
    assert json.loads(run("list", "--user", str(first.sample.userid), "--json"))["insights"] == []
    assert json.loads(run("notifications", "--user", str(teacher), "--unread", "--read", "--json"))["notifications"]
    assert json.loads(run("notifications", "--user", str(teacher), "--unread", "--json"))["notifications"] == []
    assert json.loads(run("preferences", str(teacher), "--no-email", "--json"))["email"] is False
    chosen = run("preferences", str(teacher), "--digest", "weekly", "--quiet-hours", "18:00-8:00")
    assert chosen.splitlines()[-2:] == ["digest      weekly", "quiet hours 18:00-08:00"]
    chosen = json.loads(run("preferences", str(teacher), "--quiet-hours", "site", "--json"))
    assert (chosen["digest"], chosen["quiet_hours"]) == ("weekly", None)
    back = run("preferences", str(teacher), "--digest", "site")
    assert back.splitlines()[-2:] == [
        "digest      as set for the site (daily)", "quiet hours as set for the site (20:00-07:00)",
    ]  # fmt: skip
    refused = run("preferences", str(teacher), "--quiet-hours", "20-7", code=2)
    assert "'20-7' is not two times such as 20:00-07:00, or none, or site." in refused
    assert "waiting: 0" in run("send")
    assert "no course" in run("list", "--course", "9999", code=2)
    assert "no action" in run("act", "explode", str(first.id), code=2)


# ---- names in several languages ----


def test_names_are_in_the_language_of_whoever_reads_them(trained, site_url, tmp_path):
    """Subject and body of a message in the reader's, ``insights list`` in the site's and in any encoding."""
    spans = '<span lang="en" class="multilang">Maths</span> <span lang="es" class="multilang">Matemáticas</span>'
    name = f"{spans} &amp; {{mlang en}}Law{{mlang}}{{mlang es}}Derecho{{mlang}}"
    path = tmp_path / "names.sqlite"
    shutil.copy(site_url.removeprefix("sqlite:///"), path)
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("UPDATE mdl_course SET fullname = ?", (name,))
        database.execute("UPDATE mdl_user SET lang = CASE id % 2 WHEN 0 THEN 'es' ELSE 'en' END")
        database.execute("DELETE FROM mdl_config WHERE name = 'lang'")
        database.execute("INSERT INTO mdl_config (id, name, value) VALUES (900001, 'lang', 'es')")
    with open_site(f"sqlite:///{path}") as opened:
        lifecycle.predict(trained, opened, TRAINED)
    shown = {"es": "Matemáticas & Derecho", "en": "Maths & Law"}
    told = {("en", "es")[row["useridto"] % 2 == 0]: row for row in rows(trained, NOTIFICATIONS)}
    assert told.keys() == shown.keys()
    for language, row in told.items():
        assert shown[language] in row["subject"]
        assert shown[language] in row["fullmessage"]
        assert html.escape(shown[language]) in row["fullmessagehtml"]
    for row in told.values():
        assert not re.search("mlang|multilang|&amp;amp;", str(row))

    with closing(sqlite3.connect(path)) as database, database:
        database.execute("UPDATE mdl_course SET fullname = fullname || ' \u2212 Zoë \x1b[2J'")
    for encoding in ("latin-1", "cp1252", "cp437"):
        given = {"SITE": str(path), "DIRECTORY": str(trained.folder)}
        done = subprocess.run(
            [sys.executable, "-m", "moodlemlbackend", "insights", "list"],
            env={**os.environ, "PYTHONIOENCODING": encoding, "PYTHONUTF8": "0", "COLUMNS": "300"}
            | {f"MOODLEMLBACKEND_{name}": value for name, value in given.items()},
            capture_output=True,
        )
        assert (done.returncode, done.stderr) == (0, b"")
        assert f"{shown['es']} - Zoë" in done.stdout.decode(encoding)
        assert b"\x1b" not in done.stdout
