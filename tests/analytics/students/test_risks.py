"""The risk of every student, its band, and where students stand with their teachers."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from fixtures.trained_sites import NOW, TRAINED, rows, site, site_url, trained, trained_folder
from moodlemlbackend.analytics import lifecycle, models
from moodlemlbackend.analytics.db import choices, follow_ups, messages, risks, templates
from moodlemlbackend.analytics.db.risks import Risk
from moodlemlbackend.analytics.db.schema import EXPLANATIONS, MESSAGES, PREDICT_SAMPLES, PREDICTIONS, RISKS, TEMPLATES
from moodlemlbackend.analytics.features.targets.enrolments import CourseDropout
from moodlemlbackend.analytics.features.targets.target import PREDICTION_MIN_SCORE
from moodlemlbackend.analytics.lifecycle import tasks
from moodlemlbackend.analytics.lifecycle.prediction import rehearse
from moodlemlbackend.analytics.site.people import existing_users
from moodlemlbackend.analytics.students.bands import Band, band_of, probability_at
from moodlemlbackend.analytics.students.standing import State, flagged_since, standing_of

_ = (site, site_url, trained, trained_folder)  # fixtures


def risk(probability, threshold):
    return Risk(1, 2, 0, probability, None, None, threshold, 0, 0, 0)


@pytest.mark.parametrize("ignored", [0, 1])
def test_every_predicted_student_has_a_risk_that_agrees_with_the_insight(trained, site, monkeypatch, ignored):
    """The class that is news is the risk, be it 1 or 0."""
    monkeypatch.setattr(CourseDropout, "ignored_classes", (ignored,))
    lifecycle.predict(trained, site, TRAINED)
    kept = rows(trained, RISKS)
    registered = rows(trained, PREDICT_SAMPLES, PREDICT_SAMPLES.c.modelid == TRAINED)
    predicted = {(int(sample), row["rangeindex"]) for row in registered for sample in json.loads(row["sampleids"])}
    assert {(row["sampleid"], row["rangeindex"]) for row in kept} == predicted
    assert len(kept) == len(predicted)
    flagged = {(row["sampleid"], row["rangeindex"]): row for row in rows(trained, PREDICTIONS)}
    flagged = {key: row for key, row in flagged.items() if row["modelid"] == TRAINED}
    assert 0 < len(flagged) < len(kept)
    explained = {row["predictionid"]: row["probability"] for row in rows(trained, EXPLANATIONS)}
    for row in kept:
        key = row["sampleid"], row["rangeindex"]
        known = Risk(
            row["modelid"], row["sampleid"], row["rangeindex"], row["probability"], row["low"], row["high"],
            row["threshold"], row["timestart"], row["timeend"], row["timecreated"],
        )  # fmt: skip
        assert (band_of(known) is Band.HIGH) is (key in flagged)
        if key in flagged:
            assert row["probability"] == pytest.approx(explained[flagged[key]["id"]], abs=1e-5)
            assert row["contextid"] == flagged[key]["contextid"]
        if row["low"] is not None:
            assert row["low"] <= row["probability"] <= row["high"]


def test_risks_by_student_and_range_go_with_their_model(trained, site):
    lifecycle.predict(trained, site, TRAINED)
    with trained.store.read() as connection:
        context = min(risks.contexts(connection))
        by_sample = risks.in_context(connection, context, TRAINED)
        assert risks.models_in(connection, context) == [TRAINED]
        some = [*by_sample][:2]
        assert risks.in_context(connection, context, TRAINED, some) == {sample: by_sample[sample] for sample in some}
    for listed in by_sample.values():
        indexes = [known.rangeindex for known in listed]
        assert indexes == sorted(set(indexes))
    models.clear(trained, TRAINED)
    assert rows(trained, RISKS) == []


def test_the_current_risk_is_that_predicted_last(trained):
    """Also where the course's end was moved, so that an earlier range than before is ready."""
    row = {"modelid": TRAINED, "contextid": 8, "sampleid": 7, "threshold": 0.5, "timestart": 0, "timeend": 0}
    with trained.store.write() as connection:
        for time, index in enumerate((2, 3, 1, 2)):
            risks.insert(connection, [{**row, "rangeindex": index, "probability": time / 10, "timecreated": time}])
        [listed] = risks.in_context(connection, 8, TRAINED).values()
        assert [(known.rangeindex, known.probability) for known in listed] == [(3, 0.1), (1, 0.2), (2, 0.3)]
        assert risks.latest(connection, TRAINED, [8]) == {8: {7: listed[-1:]}}


def test_a_dry_run_keeps_no_risk(trained, site):
    rehearse(trained, site, TRAINED)
    assert rows(trained, RISKS) == []


@pytest.mark.parametrize("threshold", [0.05, 0.3, 0.5, 0.9])
def test_bands_follow_the_decision_score(threshold):
    high, low = probability_at(PREDICTION_MIN_SCORE, threshold), probability_at(1 - PREDICTION_MIN_SCORE, threshold)
    assert low < threshold < high
    assert [band_of(risk(p, threshold)) for p in (high, threshold, low)] == [Band.HIGH, Band.MEDIUM, Band.LOW]
    assert band_of(None) is Band.NONE
    assert sorted(Band, key=lambda band: band.rank) == [Band.HIGH, Band.MEDIUM, Band.LOW, Band.NONE]


def test_where_a_student_stands(trained):
    with trained.store.write() as connection:
        for kind, when, until in (("note", 1, None), ("message", 2, None), ("snoozed", 3, 50), ("note", 4, None)):
            follow_ups.insert(
                connection,
                courseid=7,
                studentid=9,
                userid=3,
                kind=kind,
                batch=f"b{when}",
                now=when,
                until=until,
                text="x",
            )
        [done] = follow_ups.listed(connection, 7).values()
    standing = standing_of(done, 49)
    assert (standing.state, standing.until, standing.contact.kind, standing.last.kind) == (
        State.SNOOZED, 50, "message", "note",
    )  # fmt: skip
    assert standing_of(done, 50).state is State.OPEN
    with trained.store.write() as connection:
        assert follow_ups.undo(connection, "b3", 7, 4, 60) == 0
        assert follow_ups.undo(connection, "b3", 8, 3, 60) == 0
        assert follow_ups.undo(connection, "b3", 7, 3, 60) == 1
        assert follow_ups.undo(connection, "b3", 7, 3, 60) == 0
        assert standing_of(follow_ups.listed(connection, 7, [9])[9], 49).state is State.WAITING
        assert follow_ups.listed(connection, 7, [10]) == {}
    assert standing_of([], 1).state is State.OPEN


def done(kind, when, until=None):
    return follow_ups.FollowUp(1, 7, 9, 3, kind, "", until, None, None, "b", when)


@pytest.mark.parametrize("kind", ["resolved", "snoozed"])
def test_who_is_flagged_again_later_is_open_again(kind):
    settled = [done("message", 5), done(kind, 10, until=99), done("note", 30)]
    assert standing_of(settled, 40, None).state.value == kind
    assert standing_of(settled, 40, 10).state.value == kind
    again = standing_of(settled, 40, 20)
    assert (again.state, again.again, again.until, again.contact.timecreated) == (State.OPEN, True, None, 5)
    assert not standing_of([*settled, done("reopened", 35)], 40, 20).again
    assert standing_of([*settled, done("contacted", 35)], 40, 36).state is State.WAITING


def test_flagged_is_whom_the_last_range_has_at_high_risk():
    ranges = [risk(probability, 0.5) for probability in (0.9, 0.1)]
    assert flagged_since(ranges) is None
    assert flagged_since([]) is None
    assert flagged_since([*ranges, replace(ranges[0], created=77)]) == 77


def test_cleanup_forgets_what_belongs_to_courses_and_people_that_are_gone(trained, site):
    there, gone = next(iter(site.courses)).id, 10**9
    person = min(existing_users(site))
    with trained.store.write() as connection:
        for course, student in ((there, person), (gone, person), (there, gone)):
            of = {"courseid": course, "studentid": student, "userid": person, "batch": "b", "now": NOW}
            key = follow_ups.insert(connection, kind="message", text="x", **of)
            what = {"channel": "moodle", "address": "", "replyto": "", "subject": "s", "text": "t"}
            messages.insert(connection, key, now=NOW, **what)
        for course, owner in ((None, None), (there, None), (gone, None), (None, person), (None, gone)):
            values = {"name": "n", "subject": "s", "text": "t", "by": person, "now": NOW}
            templates.insert(connection, courseid=course, userid=owner, **values)
        for owner in (person, gone):
            choices.write(connection, owner, "columns", "a")
    summary = tasks.clean_up(trained, site)
    assert {name: summary.removed[name] for name in ("follow-ups", "templates", "choices")} == {
        "follow-ups": 2, "templates": 2, "choices": 1,
    }  # fmt: skip
    with trained.store.read() as connection:
        assert follow_ups.courses(connection) == {there}
        assert follow_ups.students(connection) == {person}
    assert len(rows(trained, MESSAGES)) == 1
    assert [(row["courseid"], row["userid"]) for row in rows(trained, TEMPLATES)] == [
        (None, None), (there, None), (None, person),
    ]  # fmt: skip
    again = tasks.clean_up(trained, site).removed
    assert (again["follow-ups"], again["templates"], again["choices"]) == (0, 0, 0)


def test_choices_are_kept_by_person(trained):
    with trained.store.write() as connection:
        choices.write(connection, 1, "columns", "a")
        choices.write(connection, 1, "columns", "b")
        choices.write(connection, 2, "columns", "c")
        assert choices.read(connection, 1) == {"columns": "b"}
        assert choices.of_users(connection, "columns", [1, 2, 3]) == {1: "b", 2: "c"}
        choices.forget(connection, 1, "columns")
        assert choices.read(connection, 1) == {}
