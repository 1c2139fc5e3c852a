"""Equal to Moodle, cell by cell, from every database: the oracle's data sets, refusals, ranges and predictions."""

from __future__ import annotations

import csv
import io
from collections import Counter, defaultdict

import numpy as np
import pytest

from fixtures.oracle import (
    LOG_ELSEWHERE,
    NOW,
    ORACLE,
    WHOLE,
    Recalled,
    analysis,
    calculations,
    compare_by_id,
    load_sqlite,
    open_oracle,
    read_lines,
    read_with_ids,
    table,
)
from fixtures.paths import needs_shared
from moodlemlbackend.analytics.features import course_dates
from moodlemlbackend.analytics.features.analysables import Courses
from moodlemlbackend.analytics.features.analysis import NO_RANGES, WRONG_DATES, AnalysisStatus, analyse
from moodlemlbackend.analytics.features.datasets import write_dataset
from moodlemlbackend.analytics.features.static_predictions import predict_static
from moodlemlbackend.analytics.features.targets import enrolments
from moodlemlbackend.analytics.site import open_site

pytestmark = needs_shared

FOLDER = ORACLE / "datasets/evaluation"
NAMES = sorted({path.name.partition(".")[0] for path in FOLDER.glob("*.csv.gz")}) if FOLDER.is_dir() else []
MOVING_END = "ten_percent_after_start"
"""Ends now, which went on while Moodle ran."""

MESSAGES = {
    "Completion is not enabled": enrolments.NO_COMPLETION,
    "Course already finished": enrolments.FINISHED,
    "Hidden from students": enrolments.HIDDEN,
    "No competencies": enrolments.NO_COMPETENCIES,
    "No course sections": enrolments.NO_SECTIONS,
    "No students": enrolments.NO_STUDENTS,
    "does not have an end time": enrolments.NO_END,
    "has not yet finished": enrolments.NOT_YET_FINISHED,
    "has not yet started": enrolments.NOT_YET_STARTED,
    "is too long": enrolments.TOO_LONG,
    "is before the course start": enrolments.END_BEFORE_START,
    "grade to pass": enrolments.NO_GRADE_TO_PASS,
    "cannot be analysed using": WRONG_DATES,
    "No predictions yet": NO_RANGES,
}
"""Part of Moodle's message for each reason."""

MODELS = {"course_dropout": "m1", "course_completion": "m6", "course_gradetopass": "m7", "course_competencies": "m8"}


def refusals():
    if not ORACLE.is_dir():
        return []
    with (ORACLE / "expected/invalid_analysables.csv").open(newline="") as file:
        return [(row["run"], row["model"], row["message"]) for row in csv.DictReader(file)]


RUNS_REFUSED = {run for run, _, _ in refusals()}


@pytest.fixture(scope="session")
def sqlite_url(tmp_path_factory):
    return load_sqlite(tmp_path_factory.mktemp("oracle") / "site.sqlite")


@pytest.fixture(scope="module", params=WHOLE)
def site(request, tmp_path_factory):
    with open_oracle(request.param, tmp_path_factory.mktemp("site")) as opened:
        yield opened


@pytest.fixture(scope="module", params=LOG_ELSEWHERE)
def site_with_log_elsewhere(request, tmp_path_factory):
    with open_oracle(request.param, tmp_path_factory.mktemp("site")) as opened:
        yield opened


@pytest.fixture(scope="module")
def one_site(sqlite_url):
    with open_site(sqlite_url) as opened:
        yield opened


def refused(run, model=""):
    """Reasons for which Moodle refused courses in a run, by name."""
    return {
        message.split()[1]: next(reason for part, reason in MESSAGES.items() if part in message)
        for one, title, message in refusals()
        if (one, title) == (run, model)
    }


@pytest.mark.parametrize("name", NAMES)
def test_every_cell_range_line_and_refusal_is_moodles(site, name):
    compare(site, name)


@pytest.mark.parametrize("name", ["course_dropout--quarters", "course_completion--quarters_accum"])
def test_the_log_may_be_anywhere(site_with_log_elsewhere, name):
    compare(site_with_log_elsewhere, name)


def compare(site, name):
    target, method = name.split("--")
    plan, file, results = analysis(target, method), io.BytesIO(), []
    write_dataset(file, site, plan, progress=results.append)
    lines = file.getvalue().decode().splitlines()
    if (FOLDER / f"{name}.csv.gz").is_file():
        moodles = read_lines(FOLDER / f"{name}.csv.gz")
        assert lines[:3] == moodles[:3]
        assert Counter(lines[3:]) == Counter(moodles[3:])
    if run := [run for run in RUNS_REFUSED if run == f"eval_{MODELS[target]}_{method}"]:
        found = {one.analysable.name: one.reason for one in results if one.status is not AnalysisStatus.OK}
        assert found == refused(run[0])
    if (FOLDER / f"{name}.with-ids.rows.csv.gz").is_file():
        compare_by_id(read_with_ids(name), results, lines[3:], moves=method == MOVING_END)


# The runs of the scheduled tasks: what was stored before each, and when it ran.
RUNS = [
    ("course_competencies--deciles--train-1795366357", 1795366282, 1795366282),
    ("course_gradetopass--quarters--train-1795366426", 1795366370, 1795366369),
    ("course_completion--quarters_accum--train-1795366478", 1795366435, 1795366430),
    ("course_competencies--deciles--predict-1795366489", 1795366487, 1795366487),
    ("course_gradetopass--quarters--predict-1795366497", 1795366493, 1795366492),
    ("course_completion--quarters_accum--predict-1795366503", 1795366501, 1795366500),
    ("course_dropout--quarters--train-1795366759", 1795366704, 1795366704),
    ("course_dropout--quarters--predict-1795366773", 1795366770, 1795366770),
]


@pytest.mark.parametrize(("name", "now", "before"), RUNS)
def test_scheduled_runs_send_what_moodle_sent(one_site, name, now, before):
    """Stored calculations come back rounded to two decimals, binary ones as texts, and means are of the rounded."""
    from moodlemlbackend.analytics.features.datasets import metadata
    from moodlemlbackend.analytics.features.feature_matrix import headers
    from moodlemlbackend.dataset import data_set

    target, method, kind, _ = name.replace("--train-", "--train--").replace("--predict-", "--predict--").split("--")
    plan = analysis(target, method, now, training=kind == "train")
    columns = headers(plan.indicators, plan.methods[0].range_columns)
    header = metadata(one_site, plan.target, plan.indicators, plan.methods[0])
    file = io.BytesIO()
    with data_set.writing(file, header, columns, labelled=plan.training) as add:
        for result in analyse(one_site, plan, Recalled(before)):
            if result.status is AnalysisStatus.OK:
                add(result.features.cells(), result.labels.astype(int) if plan.training else result.unique_ids)
    ours, moodles = file.getvalue().decode().splitlines(), read_lines(ORACLE / "datasets/execution" / f"{name}.csv.gz")
    assert ours[:3] == moodles[:3]
    assert Counter(ours[3:]) == Counter(moodles[3:])


def test_calculated_values_are_those_that_moodle_stored(one_site):
    ours = defaultdict(dict)
    for name, now, _ in RUNS:
        target, method, rest = name.split("--", 2)
        hooks = Recalled()
        list(analyse(one_site, analysis(target, method, now, training=rest.startswith("train"), keeps=True), hooks))
        for key, values in hooks.kept.items():
            ours[key].update(values)
    compared, different, missing = 0, [], []
    for (start, end, context, origin), indicators in calculations().items():
        for indicator, (ids, values, _) in indicators.items():
            mine = ours.get((start, end, context, origin, indicator))
            if mine is None:
                missing.append((start, end, context, origin, indicator))
                continue
            for sample, value in zip(ids.tolist(), values.tolist(), strict=True):
                compared += 1
                if sample not in mine or not np.array_equal(mine[sample], value, equal_nan=True):
                    different.append((start, end, context, indicator, sample, mine.get(sample), value))
    assert different == []
    assert {key[3:] for key in missing} <= {
        ("user_enrolments", r"\core\analytics\indicator\any_course_access"),
        ("course", r"\core_course\analytics\indicator\no_teacher"),
        ("course", r"\core_course\analytics\indicator\no_student"),
    }
    assert compared > 465_000


@pytest.mark.parametrize("run", sorted({(run, model) for run, model, _ in refusals() if model}), ids="-".join)
def test_scheduled_runs_refuse_courses_for_moodles_reasons(one_site, run):
    from moodlemlbackend.analytics.features import registry

    name, title = run
    target = next(one for one in registry.list_targets() if one.title == title)
    methods = {r"\core_course\analytics\target\course_competencies": "deciles"}
    method = target.time_splitting or methods.get(target.id, "quarters")
    training = name.startswith("train")
    plan = analysis(target.id, method, NOW if training else 1795366506, training=training)
    found = {one.analysable.name: one.reason for one in analyse(one_site, plan) if one.status is not AnalysisStatus.OK}
    assert found == refused(name, title)


STATIC = [
    (2, "no_teaching", 1795366487),
    (4, "no_access_since_course_start", 1795366506),
    (5, "no_recent_accesses", 1795366506),
]


@pytest.mark.parametrize(("model", "target", "now"), STATIC)
def test_static_predictions_are_moodles(site, model, target, now):
    from moodlemlbackend.analytics.features import registry

    plan = analysis(target, registry.get_target(target).time_splitting, now, training=False)
    found = {}
    for predicted in predict_static(plan.target, list(analyse(site, plan))):
        result = predicted.result
        for row, value in zip(predicted.rows, predicted.classes, strict=True):
            sample, number = result.features.samples[row], result.features.ranges[row]
            if value == 1:
                key = (int(result.samples.ids[sample]), int(result.ranges.indexes[number]))
                context = int(result.samples.contexts[sample])
                found[key] = (context, int(result.ranges.starts[number]), int(result.ranges.ends[number]))
    assert found == {
        (int(row["sampleid"]), int(row["rangeindex"])): tuple(
            int(row[key]) for key in ("contextid", "timestart", "timeend")
        )
        for row in table("analytics_predictions")
        if row["modelid"] == str(model)
    }


def test_upcoming_activities_are_moodles(site):
    """Moodle analysed the users over eight seconds, each with its own now."""
    expected = {
        int(row["sampleid"]): int(row["timestart"]) for row in table("analytics_predictions") if row["modelid"] == "3"
    }
    analysed = {int(row["analysableid"]) for row in table("analytics_predict_samples") if row["modelid"] == "3"}
    found = {}
    for now in sorted(set(expected.values())):
        plan = analysis("upcoming_activities_due", "upcoming_week", now, training=False)
        results = list(analyse(site, plan))
        assert {result.analysable.id for result in results} == analysed
        for predicted in predict_static(plan.target, results):
            user = predicted.result.analysable.id
            if expected.get(user, now) == now and 1 in predicted.classes:
                found[user] = now
    assert found == expected


def test_dates_are_guessed_as_moodle_guesses(site):
    with (ORACLE / "expected/guess_raw.csv").open(newline="") as file:
        expected = {
            int(row["courseid"]): (int(row["guess_start"]), int(row["guess_end"]), int(row["n_students"]))
            for row in csv.DictReader(file)
        }
    found = {
        course.id: (course_dates.guess_start(course), course_dates.guess_end(course), len(course.students))
        for course in Courses(site, site.courses, 1795365574)
    }
    assert found == expected
