"""The oracle's site: the same samples, refusals, static predictions, registers and recipients as Moodle recorded."""

from __future__ import annotations

import csv
import json
import re
from collections import Counter
from pathlib import Path
from urllib.parse import unquote

import pytest

from fixtures.oracle import ORACLE, load_sqlite, table
from fixtures.paths import needs_shared
from fixtures.trained_sites import PROCESSOR, new_workspace, operations_here
from moodlemlbackend.analytics import lifecycle, models
from moodlemlbackend.analytics.db.schema import (
    NOTIFICATIONS,
    PREDICT_SAMPLES,
    PREDICTIONS,
    TRAIN_SAMPLES,
    USED_ANALYSABLES,
)
from moodlemlbackend.analytics.features import course_dates
from moodlemlbackend.analytics.features.analysables import Courses
from moodlemlbackend.analytics.features.invalid import invalid_elements
from moodlemlbackend.analytics.insights.capabilities import Capabilities
from moodlemlbackend.analytics.site import open_site
from moodlemlbackend.analytics.site.moodle_models import predicting_targets

pytestmark = needs_shared

START = 1_795_366_281
TRAINED_AT = {8: 1_795_366_283, 7: 1_795_366_370, 6: 1_795_366_435, 1: 1_795_366_704}
PREDICTED_AT = {
    2: 1_795_366_487, 8: 1_795_366_487, 7: 1_795_366_492, 6: 1_795_366_500, 5: 1_795_366_506, 4: 1_795_366_506,
    3: 1_795_366_506, 1: 1_795_366_770,
}  # fmt: skip
"""When Moodle ran each model, by id, in its order."""

GUESSED_AT = 1_795_365_574

SAYS = {
    "The course is too long": "coursetoolong",
    "The course has not yet finished": "coursenotyetfinished",
    "The course has not yet started": "coursenotyetstarted",
    "The course does not have an end time": "nocourseendtime",
    "No course sections": "nocoursesections",
    "No students": "nocoursestudents",
    "The end date ({$a}) is before the course start date.": "errorendbeforestart",
    "Course already finished": "coursealreadyfinished",
    "Hidden from students": "hiddenfromstudents",
    "Completion is not enabled for this course": "completionnotenabledforcourse",
    "No competencies have been linked to this course.": "nocompetenciesincourse",
    "This course does not have a grade to pass set. It may be set in the grade item of the course (Gradebook setup).": (
        "gradetopassnotset"
    ),
}
"""Names of Moodle's reasons by its English text."""


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    with open_site(load_sqlite(tmp_path_factory.mktemp("oracle") / "site.sqlite")) as opened:
        yield opened


@pytest.fixture(scope="module")
def lived(site, tmp_path_factory):
    """A workspace after all that Moodle did, and the outcomes by task and model; models have Moodle's ids."""
    folder = tmp_path_factory.mktemp("lived")
    outcomes = {}
    with new_workspace(folder, START, wwwroot="http://127.0.0.1:8080") as workspace:
        for row in table("analytics_models"):
            modelid, indicators = int(row["id"]), json.loads(row["indicators"])
            if modelid > 5:
                assert models.create(workspace, row["target"], indicators).id == modelid
            processor = {} if modelid in (2, 3, 4, 5) else {"processor": PROCESSOR}
            made = models.edit(workspace, modelid, interval=row["timesplitting"], enabled=True, **processor)
            assert (made.target, [*made.indicators]) == (row["target"], indicators)
    for task, times in (("train", TRAINED_AT), ("predict", PREDICTED_AT)):
        for modelid, now in times.items():
            with operations_here(), new_workspace(folder, now, wwwroot="http://127.0.0.1:8080") as workspace:
                outcomes[task, modelid] = getattr(lifecycle, task)(workspace, site, modelid)
    with new_workspace(folder) as workspace:
        yield workspace, outcomes


def ours(workspace, of):
    from sqlalchemy import select

    with workspace.store.read() as connection:
        return [row._asdict() for row in connection.execute(select(of))]


def registered(rows, *keys):
    """Number of times that each sample is registered."""
    return Counter(
        (*(str(row[key]) for key in keys), int(sample)) for row in rows for sample in json.loads(row["sampleids"])
    )


def test_the_core_models_are_moodles(tmp_path):
    with new_workspace(tmp_path / "new") as workspace, workspace.store.read() as connection:
        made = {model.target: model for model in models.listed(connection)}
    for row in table("analytics_models")[:5]:
        model = made[row["target"]]
        assert [*model.indicators] == json.loads(row["indicators"])
        assert model.id == int(row["id"])


def test_the_same_samples_are_trained(lived):
    keys = ("modelid", "analysableid", "timesplitting")
    mine, moodles = (
        registered(ours(lived[0], TRAIN_SAMPLES), *keys),
        registered(table("analytics_train_samples"), *keys),
    )
    assert mine == moodles
    assert len(mine) == 2066


def test_the_same_samples_are_predicted(lived):
    keys = ("modelid", "analysableid", "timesplitting", "rangeindex")
    mine = registered(ours(lived[0], PREDICT_SAMPLES), *keys)
    assert mine == registered(table("analytics_predict_samples"), *keys)
    assert len(mine) == 1315


def test_the_same_analysables_are_registered(lived):
    keys = ("modelid", "action", "analysableid")
    mine = Counter(tuple(str(row[key]) for key in keys) for row in ours(lived[0], USED_ANALYSABLES))
    assert mine == Counter(tuple(row[key] for key in keys) for row in table("analytics_used_analysables"))


@pytest.mark.parametrize(("modelid", "number"), [(2, 3), (3, 141), (4, 10), (5, 31)])
def test_static_predictions_are_equal(lived, modelid, number):
    def facts(row):
        values = (row["contextid"], row["sampleid"], row["rangeindex"], row["prediction"], row["predictionscore"])
        bounds = (
            () if modelid == 3 else (int(row["timestart"]), int(row["timeend"]))
        )  # Moodle's clock went on meanwhile
        return (*map(float, values), row["calculations"], *bounds)

    mine = sorted(facts(row) for row in ours(lived[0], PREDICTIONS) if row["modelid"] == modelid)
    assert mine == sorted(facts(row) for row in table("analytics_predictions") if row["modelid"] == str(modelid))
    assert len(mine) == number


def test_the_same_courses_are_refused_for_the_same_reasons(lived):
    names = {outcome.name: modelid for (_, modelid), outcome in lived[1].items()}
    moodles: dict[tuple[str, int], Counter] = {}
    with (ORACLE / "expected" / "invalid_analysables.csv").open(newline="") as file:
        for row in csv.DictReader(file):
            if not row["model"]:
                continue
            found = re.fullmatch(r"Analysable (\S+) is not valid for this target: (.*)", row["message"])
            if found is None:  # a valid course that gave nothing
                continue
            key = "train" if row["run"].startswith("train") else "predict", names[row["model"]]
            moodles.setdefault(key, Counter())[found[1], SAYS[found[2]]] += 1
    assert len(moodles) == 8
    for key, expected in moodles.items():
        mine = Counter((one.name, one.identifier) for one in lived[1][key].analysables if one.status == 16)
        assert mine == expected, key


def test_moodle_itself_predicts_there(site):
    assert predicting_targets(site) == [row["target"] for row in table("analytics_models")]


def test_the_same_people_are_told(lived, site):
    """Of every context in which Moodle had predictions; and of each user's own."""
    capabilities = Capabilities(site, PREDICTED_AT[5])
    predictions = {row["id"]: row for row in table("analytics_predictions")}
    by_context: dict[int, set[int]] = {int(row["contextid"]): set() for row in predictions.values()}
    for row in table("notifications"):
        found = re.search(r"contextid=(\d+)|predictionid=(\d+)", row["contexturl"])
        context = found[1] or predictions[found[2]]["contextid"]
        by_context[int(context)].add(int(row["useridto"]))
    assert len(by_context) == 148
    for context, users in by_context.items():
        assert set(capabilities.recipients(context)) == users, context


def test_as_often_as_moodle_tells_them(lived):
    """Of the static models, whose predictions are the same."""
    predictions = {row["id"]: row for row in ours(lived[0], PREDICTIONS)}

    def mine(row):
        sample = predictions[row["predictionid"]]["sampleid"] if row["predictionid"] else 0
        return row["modelid"], row["contextid"], sample, row["useridto"]

    told = Counter(mine(row) for row in ours(lived[0], NOTIFICATIONS) if 2 <= row["modelid"] <= 5)
    of_moodle = {row["id"]: row for row in table("analytics_predictions")}
    expected: Counter = Counter()
    for row in table("notifications"):
        if found := re.search(r"modelid=([2-5])&contextid=(\d+)", row["contexturl"]):
            expected[int(found[1]), int(found[2]), 0, int(row["useridto"])] += 1
        elif found := re.search(r"predictionid=(\d+)", row["contexturl"]):
            one = of_moodle[found[1]]
            expected[int(one["modelid"]), int(one["contextid"]), int(one["sampleid"]), int(row["useridto"])] += 1
    assert told == expected
    assert sum(told.values()) == 159


def test_who_has_something_to_do_is_told_what(lived):
    """Moodle names the first activity; here all of the week are named."""
    of_moodle = {row["id"]: int(row["sampleid"]) for row in table("analytics_predictions")}
    own = {row["useridto"]: row["fullmessage"] for row in ours(lived[0], NOTIFICATIONS) if row["modelid"] == 3}
    named = 0
    for row in table("notifications"):
        found = re.search(r"predictionid=(\d+)&forwardurl=(\S+)", row["contexturl"])
        if found and "view.php" in unquote(found[2]) and "calendar" not in found[2]:
            assert unquote(found[2]) in own[of_moodle[found[1]]]
            named += 1
    assert named > 100


def test_invalid_elements(lived, site):
    with lived[0].store.read() as connection:
        model = models.get(connection, 1)
    found = {
        one.name: (one.training.identifier, one.prediction.identifier) for one in invalid_elements(site, model, START)
    }
    assert found["INVLONG"] == ("coursetoolong", "coursetoolong")
    assert found["INVNOEND"] == ("nocourseendtime", "nocourseendtime")
    assert found["FIN20"] == ("nocoursestudents", "nocoursestudents")
    assert found["ONG06"] == ("coursenotyetfinished", "hiddenfromstudents")
    assert "FIN01" not in found
    assert "ONG01" not in found


def test_guessed_dates_are_moodles(site):
    with (ORACLE / "expected" / "guess_raw.csv").open(newline="") as file:
        expected = {row["shortname"]: (int(row["guess_start"]), int(row["guess_end"])) for row in csv.DictReader(file)}
    courses = Courses(site, site.courses, GUESSED_AT)
    assert {
        course.name: (course_dates.guess_start(course), course_dates.guess_end(course)) for course in courses
    } == expected


def test_proposed_dates_are_those_of_moodles_tool(site):
    """Its start dates; and the end dates that it withholds as too long, for its comparison is inverted."""
    says = {"Can't guess the start date": course_dates.UNKNOWN, "Can't guess the end date": course_dates.UNKNOWN}
    text = Path(ORACLE, "expected", "guess_all.txt").read_text()
    told = dict(re.findall(r"^(\w+) \(id = \d+\): \n((?:  .*\n)+)", text, re.MULTILINE))
    found = {one.name: one for one in course_dates.propose(site, 1_795_365_564, everything=True)}
    assert set(told) == set(found)
    for name, lines in told.items():
        start, end = (line.strip() for line in lines.splitlines())
        one = found[name]
        assert (one.new_start is not None) == start.startswith("Course start date"), name
        if start in says:
            assert one.start_note == says[start]
        if end == "The course is too long":
            assert one.new_end is not None, name
        else:
            assert (one.new_end, one.end_note) == (None, says[end]), name
