"""What became of students at high risk who were contacted, beside those who were not; and the commands."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner

from fixtures.trained_sites import DAY, NOW, TRAINED, at, new_workspace, site, site_url, trained, trained_folder
from moodlemlbackend.analytics.db import follow_ups, risks
from moodlemlbackend.analytics.db.schema import RISKS
from moodlemlbackend.analytics.site.people import ENROLMENTS, describe
from moodlemlbackend.analytics.students.outcomes import CAUTION, DAYS, ContactOutcome, outcomes
from moodlemlbackend.cli import main

_ = (site, site_url, trained, trained_folder)  # fixtures


@pytest.fixture
def cases(trained, site):
    """Four students of a course at high risk, predicted twice: one at .9 and .5, the next .8 and .95, two .7 and none.

    The log has actions of the second and the third within the days after the first prediction.
    """
    [course, *_] = [
        course for course in site.courses
        if site.database.rows("SELECT id FROM {enrol} WHERE courseid = :course", course=course.id)
    ]  # fmt: skip
    begin = NOW - 100 * DAY
    pairs = site.database.rows(
        "SELECT r.id, r.userid FROM {user_enrolments} r JOIN {enrol} e ON e.id = r.enrolid WHERE e.courseid = :course "
        "ORDER BY r.id",
        course=course.id,
    )
    active = {
        user
        for (user,) in site.database.rows(
            "SELECT DISTINCT userid FROM {logstore_standard_log} WHERE courseid = :course AND timecreated > :begin "
            "AND timecreated <= :end",
            course=course.id, begin=begin, end=begin + DAYS * DAY,
        )
    }  # fmt: skip
    quiet = [pair for pair in pairs if pair[1] not in active][:2]
    busy = [pair for pair in pairs if pair[1] in active][:2]
    chosen = [quiet[0], *busy, quiet[1]] if len(busy) == 2 else pairs[:4]
    rows = []
    for (sample, _user), (first, second) in zip(
        chosen, [(0.9, 0.5), (0.8, 0.95), (0.7, None), (0.7, None)], strict=True
    ):
        for index, value in enumerate((first, second)):
            if value is not None:
                created = begin + index * 30 * DAY
                rows.append(
                    {"modelid": TRAINED, "contextid": course.context, "sampleid": sample, "rangeindex": index,
                     "probability": value, "threshold": 0.5, "timestart": 0, "timeend": 0, "timecreated": created}
                )  # fmt: skip
    with trained.store.write() as connection:
        risks.insert(connection, rows)
    return course, chosen, begin, active


def contact(workspace, course, student, when, kind="contacted", batch="b"):
    with workspace.store.write() as connection:
        follow_ups.insert(connection, courseid=course.id, studentid=student, userid=3, kind=kind, batch=batch, now=when)


def test_cases_are_told_apart_by_contact_between_two_predictions(trained, site, cases):
    course, chosen, begin, active = cases
    (_, first), (_, second), (_, third), (_, fourth) = chosen
    contact(trained, course, first, begin)
    contact(trained, course, second, begin + 31 * DAY)  # after the next prediction: of its second case, not the first
    contact(trained, course, third, begin + DAY, kind="note")
    contact(trained, course, fourth, begin + DAY, batch="undone")
    with trained.store.write() as connection:
        follow_ups.undo(connection, "undone", course.id, 3, NOW)
    contacted, others = outcomes(trained, site, course.id)
    assert (contacted.contacted, contacted.cases, contacted.predicted_again) == (True, 2, 1)
    assert (contacted.before, contacted.after, contacted.lower) == (0.9, 0.5, 1.0)
    assert (others.contacted, others.cases, others.predicted_again) == (False, 3, 1)
    assert (others.before, others.after, others.lower) == (0.8, 0.95, 0.0)
    assert others.observed == 3
    assert others.active == pytest.approx(sum(user in active for user in (second, third, fourth)) / 3)
    assert outcomes(trained, site, 10**9) == [
        ContactOutcome(flag, 0, 0, None, None, None, 0, None) for flag in (True, False)
    ]


def test_days_that_are_not_over_are_not_counted(trained, site, cases):
    course, _, begin, _ = cases
    early = outcomes(at(trained, begin + DAY), site, course.id)[1]
    assert (early.cases, early.observed, early.active) == (5, 0, None)


def test_the_next_prediction_is_that_made_next_whatever_its_range(trained, site, cases):
    """A course whose end is moved to a later date is in an earlier range than before."""
    course, *_ = cases
    with trained.store.write() as connection:
        connection.execute(RISKS.update().values(rangeindex=1 - RISKS.c.rangeindex))
    others = outcomes(trained, site, course.id)[1]
    assert (others.cases, others.predicted_again, others.lower) == (5, 2, 0.5)


def test_commands(trained, site, site_url, cases):
    course, chosen, begin, _ = cases
    contact(trained, course, chosen[0][1], begin)
    where = ["--site", site_url, "--directory", str(trained.folder), "--now", str(NOW)]
    told = CliRunner().invoke(main, ["students", "outcomes", *where])
    assert told.exit_code == 0, told.output
    assert CAUTION in " ".join(told.output.split())
    answer = json.loads(CliRunner().invoke(main, ["students", "outcomes", *where, "--json"]).output)
    assert answer["caution"] == CAUTION
    assert [one["contacted"] for one in answer["outcomes"]] == [True, False]
    assert CliRunner().invoke(main, ["students", "outcomes", *where, "--course", "99999"]).exit_code == 2
    listed = json.loads(CliRunner().invoke(main, ["students", "list", str(course.id), *where, "--json"]).output)
    known = {info.userid for info in describe(site, ENROLMENTS, [sample for sample, _ in chosen]).values()}
    ids = {one["id"] for one in listed["students"]}
    assert known & ids
    shares = {one["id"]: one["probability"] for one in listed["students"] if one["probability"] is not None}
    latest = dict(zip((user for _, user in chosen), (0.5, 0.95, 0.7, 0.7), strict=True))
    assert shares == {user: share for user, share in latest.items() if user in ids}
    bands = [one["band"] for one in listed["students"]]
    assert bands == sorted(bands, key=["high", "medium", "low", "none"].index)
    of_model = ["students", "list", str(course.id), "--model", str(TRAINED), "--json", *where]
    assert json.loads(CliRunner().invoke(main, of_model).output) == listed
    assert CliRunner().invoke(main, ["students", "list", "99999", *where]).exit_code == 2


def test_a_site_where_nothing_was_predicted_has_no_cases(tmp_path, site):
    with new_workspace(tmp_path / "w") as workspace:
        assert [one.cases for one in outcomes(workspace, site)] == [0, 0]
