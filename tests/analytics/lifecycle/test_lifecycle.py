"""Training, prediction and evaluation of models on a simulated site."""

from __future__ import annotations

import json
import re
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from fixtures.paths import TESTS
from fixtures.small_site import SmallSite
from fixtures.trained_sites import (
    DAY,
    DROPOUT,
    NO_RECENT_ACCESSES,
    NOW,
    PROCESSOR,
    QUARTERS,
    SHORT,
    SINGLE_RANGE,
    TRAINED,
    at,
    enabled,
    in_this_process,
    model_of,
    new_workspace,
    rows,
    site,
    site_url,
    size,
    trained,
    trained_folder,
    workspace,
)
from moodlemlbackend.analytics import lifecycle, models
from moodlemlbackend.analytics.db import history
from moodlemlbackend.analytics.db.schema import (
    EXPLANATIONS,
    FILES,
    INDICATOR_CALC,
    MODELS_LOG,
    NOTIFICATIONS,
    PREDICT_SAMPLES,
    PREDICTIONS,
    TRAIN_SAMPLES,
    USED_ANALYSABLES,
    USED_FILES,
)
from moodlemlbackend.analytics.features.analysis import AnalysisStatus, analyse
from moodlemlbackend.analytics.features.refusal import NOT_MEASURED
from moodlemlbackend.analytics.lifecycle.analysing import analysis_of
from moodlemlbackend.analytics.lifecycle.evaluation import REUSE_SECONDS, TRAINED_MODEL
from moodlemlbackend.analytics.site import open_site
from moodlemlbackend.errors import NotTrainedError, Status, UsageError
from moodlemlbackend.processor.logistic_regression import LogisticClassifier
from moodlemlbackend.storage.model_store import ModelStore

_ = (in_this_process, site, site_url, trained, trained_folder, workspace)  # fixtures


def get(workspace, modelid):
    with workspace.store.read() as connection:
        return models.get(connection, modelid)


def learned_rows(workspace, modelid) -> float:
    """How many rows the processor has learned from."""
    return ModelStore(workspace.executiondir(get(workspace, modelid))).current().settings["rows"]


def samples_of(workspace, table) -> dict[tuple, set[str]]:
    found: dict[tuple, set[str]] = {}
    for row in rows(workspace, table, table.c.modelid == TRAINED):
        key = (row["analysableid"], row.get("rangeindex"))
        ids = set(json.loads(row["sampleids"]))
        assert not ids & found.get(key, set()), "a sample is registered twice"
        found.setdefault(key, set()).update(ids)
    return found


# ---- training ----


def test_training_registers_what_it_used(trained, trained_folder):
    registered = samples_of(trained, TRAIN_SAMPLES)
    files = rows(trained, FILES)
    parts = [file for file in files if file["analysableid"] is not None]
    [merged] = [file for file in files if file["analysableid"] is None]
    assert {file["analysableid"] for file in parts} == {analysable for analysable, _ in registered}
    assert {file["mergedinto"] for file in parts} == {merged["id"]}
    assert [(one["fileid"], one["action"]) for one in rows(trained, USED_FILES)] == [(merged["id"], "trained")]
    assert learned_rows(trained, TRAINED) == merged["numrows"] == sum(file["numrows"] for file in parts)
    assert get(trained, TRAINED).trained
    analysed = rows(trained, USED_ANALYSABLES)
    assert len(analysed) > len(parts)  # those that the target refuses were looked at, too
    assert {(one["action"], one["firstanalysis"], one["timeanalysed"]) for one in analysed} == {("training", NOW, NOW)}


def test_a_course_of_plugin_activities_only_is_named_in_the_runs_info(workspace, tmp_path):
    small = SmallSite(tmp_path / "site.sqlite")
    small.course_of_plugins()
    modelid = model_of(workspace, DROPOUT)
    models.edit(workspace, modelid, enabled=True, interval=QUARTERS, processor=PROCESSOR)
    with small.open() as opened:
        run = lifecycle.train(workspace, opened, modelid)
    assert run.info[0] == f"C1 is not used. {NOT_MEASURED.text}"


def test_nothing_is_trained_twice(trained, site):
    outcome = lifecycle.train(trained, site, TRAINED)
    assert (outcome.status, outcome.figures) == (Status.NO_DATASET, {})
    assert len(rows(trained, USED_FILES)) == 1
    assert "nonewdata" in {one.identifier for one in outcome.analysables}


def test_new_samples_join_what_was_learned(trained, site):
    before = learned_rows(trained, TRAINED)
    later = at(trained, NOW + 120 * DAY)
    outcome = lifecycle.train(later, site, TRAINED)  # courses that went on are finished by now
    assert outcome.status == 0
    assert outcome.figures["rows"] > 0
    assert learned_rows(trained, TRAINED) == before + outcome.figures["rows"]
    samples_of(trained, TRAIN_SAMPLES)


def test_a_refused_file_waits_for_new_data(workspace, site_url, tmp_path):
    path = tmp_path / "site.sqlite"
    shutil.copy(site_url.removeprefix("sqlite:///"), path)
    modelid = enabled(workspace)
    analysis = analysis_of(workspace, get(workspace, modelid), [QUARTERS], training=True, keeps=False)
    with open_site(f"sqlite:///{path}") as before:
        course = next(course for course in before.courses if course.shortname == "FINISHED-4")
        [found] = [one for one in analyse(before, analysis) if one.analysable.id == course.id]
    at_risk = found.samples.ids[found.features.samples[found.labels == 1]].tolist()
    with closing(sqlite3.connect(path)) as database, database:  # and so nobody of this course drops out
        database.executemany("DELETE FROM mdl_user_enrolments WHERE id = ?", [(one,) for one in set(at_risk)])
    with open_site(f"sqlite:///{path}") as site:
        models.edit(workspace, modelid, contexts=[course.context])
        first = lifecycle.train(workspace, site, modelid)
        assert first.status == Status.NOT_ENOUGH_DATA
        assert not get(workspace, modelid).trained
        assert lifecycle.train(workspace, site, modelid).status == Status.NO_DATASET
        models.edit(workspace, modelid, contexts=None)
        second = lifecycle.train(workspace, site, modelid)
    assert second.status == 0
    assert learned_rows(workspace, modelid) == first.figures["rows"] + second.figures["rows"]


def test_the_time_limit_ends_a_run_after_an_analysable(tmp_path, site):
    with new_workspace(tmp_path / "w", model_time_limit=0.0) as limited:
        modelid = model_of(limited, NO_RECENT_ACCESSES)
        seen: list[int] = []
        for _ in range(3):
            outcome = lifecycle.predict(limited, site, modelid)
            [one] = outcome.analysables
            assert any("time limit" in sentence for sentence in outcome.info)
            seen.append(one.id)
        assert len(set(seen)) == 3


def test_a_static_model_needs_no_training(workspace, site):
    outcome = lifecycle.train(workspace, site, model_of(workspace, NO_RECENT_ACCESSES))
    assert outcome.status == 0
    assert "rule-based" in outcome.info[0]


@pytest.mark.parametrize("run", [lifecycle.train, lifecycle.predict])
def test_a_disabled_model_does_nothing(workspace, site, run):
    with pytest.raises(UsageError, match="disabled"):
        run(workspace, site, model_of(workspace, DROPOUT))


# ---- prediction ----


def test_predictions_are_kept_with_all_that_belongs_to_them(trained, site):
    outcome = lifecycle.predict(trained, site, TRAINED)
    assert outcome.status == 0
    found = rows(trained, PREDICTIONS)
    assert len(found) == outcome.figures["predictions"] > 0
    registered = samples_of(trained, PREDICT_SAMPLES)
    courses = {course.context: course for course in site.courses}
    for row in found:
        course = courses[row["contextid"]]
        assert (row["prediction"], row["modelid"]) == (1, TRAINED)
        assert 0.6 <= row["predictionscore"] <= 1
        assert str(row["sampleid"]) in registered[course.id, row["rangeindex"]]
        assert course.start <= row["timestart"] < row["timeend"] <= NOW
        values = json.loads(row["calculations"])
        assert [key for key in values if not key.startswith("range/") and "/" not in key] == list(SHORT)
        assert sum(values[f"range/{number}"] for number in range(4)) == 1
    explained = rows(trained, EXPLANATIONS)
    assert [row["predictionid"] for row in explained] == [row["id"] for row in found]
    for row in explained:
        reasons = json.loads(row["reasons"])
        assert {reason["indicator"] for reason in reasons} <= {*SHORT, "range"}
        sizes = [abs(reason["contribution"]) for reason in reasons]
        assert sizes == sorted(sizes, reverse=True)
    assert {one["action"] for one in rows(trained, USED_FILES)} == {"trained", "predicted"}


def test_predictions_are_kept_when_their_explanation_fails(trained, site, monkeypatch):
    def fail(*_arguments):
        raise ValueError("no luck")

    monkeypatch.setattr(LogisticClassifier, "contributions", fail)
    outcome = lifecycle.predict(trained, site, TRAINED)
    assert outcome.status == 0
    assert "The processor logistic_regression failed in explanation (no luck)" in " ".join(outcome.info)
    assert len(rows(trained, PREDICTIONS)) == outcome.figures["predictions"] > 0


def test_nothing_is_predicted_twice_in_a_range(trained, site):
    first = lifecycle.predict(trained, site, TRAINED)
    told = size(trained, NOTIFICATIONS)
    again = lifecycle.predict(trained, site, TRAINED)
    assert again.status == Status.NO_DATASET
    assert not any(one.status == 0 for one in again.analysables)
    assert len(rows(trained, PREDICTIONS)) == first.figures["predictions"]
    assert size(trained, NOTIFICATIONS) == told


def test_the_next_range_is_predicted_anew(trained, site):
    lifecycle.predict(trained, site, TRAINED)
    before = samples_of(trained, PREDICT_SAMPLES)
    lifecycle.predict(at(trained, NOW + 45 * DAY), site, TRAINED)
    after = samples_of(trained, PREDICT_SAMPLES)
    assert before.items() <= after.items()
    assert set(after) > set(before)


def test_a_model_that_has_learned_nothing_predicts_nothing(workspace, site):
    with pytest.raises(NotTrainedError, match="train it first"):
        lifecycle.predict(workspace, site, enabled(workspace))


def test_a_prediction_loads_no_tensorflow(trained, site_url):
    lookup = (
        "import sys; from fixtures.trained_sites import at, new_workspace; from pathlib import Path\n"
        "from moodlemlbackend.analytics import lifecycle; from moodlemlbackend.analytics.site import open_site\n"
        f"with new_workspace(Path({str(trained.folder)!r})) as w, open_site({site_url!r}) as s:\n"
        f"    assert lifecycle.predict(w, s, {TRAINED}).figures['predictions']\n"
        "print(sorted({name.partition('.')[0] for name in sys.modules} & {'tensorflow', 'keras', 'matplotlib'}))"
    )
    done = subprocess.run([sys.executable, "-c", lookup], capture_output=True, text=True, cwd=TESTS)
    assert done.stdout == "[]\n", done.stderr


# ---- evaluation ----


def test_an_evaluation_is_logged_with_its_report(workspace, site):
    modelid = enabled(workspace)
    outcome = lifecycle.evaluate(workspace, site, modelid, interval=SINGLE_RANGE)
    [one] = outcome.evaluations
    [logged] = rows(workspace, MODELS_LOG)
    assert (one.logid, one.interval) == (logged["id"], SINGLE_RANGE)
    assert one.score == pytest.approx(logged["score"], abs=1e-5)
    assert logged["evaluationmode"] == "configuration"
    folder = workspace.evaluationdir(get(workspace, modelid), SINGLE_RANGE)
    assert Path(workspace.absolute(logged["dir"])).is_relative_to(folder)
    assert not Path(logged["dir"]).is_absolute()
    assert outcome.status == one.status
    assert not rows(workspace, TRAIN_SAMPLES)
    assert not rows(workspace, USED_ANALYSABLES)
    assert not get(workspace, modelid).trained
    with workspace.store.read() as connection:
        [run] = history.runs(connection, modelid)
        assert (run["task"], run["status"]) == ("evaluate", outcome.status)

    again = lifecycle.evaluate(at(workspace, NOW + DAY), site, modelid, interval=SINGLE_RANGE)
    assert again.figures["reused"] > 0
    assert again.evaluations[0].rows == one.rows
    files = rows(workspace, FILES)
    assert len(files) == len({row["analysableid"] for row in files}) == again.figures["reused"]


def test_all_months_of_a_course_are_on_one_side_of_a_split(workspace, site):
    """The data set does not tell one course from the next, nor in training; the site does."""
    interval = r"\core\analytics\time_splitting\past_month"
    modelid = enabled(workspace, interval=interval)
    outcome = lifecycle.evaluate(workspace, site, modelid, interval=interval)
    counted = re.search(r"from a total of (\d+) courses:", " ".join(outcome.evaluations[0].info))
    files = rows(workspace, FILES)
    assert counted
    assert int(counted[1]) == len(files) == len({row["analysableid"] for row in files})
    assert lifecycle.train(workspace, site, modelid).status == Status.OK
    stored = ModelStore(workspace.executiondir(get(workspace, modelid))).current()
    assert stored is not None
    assert len(np.unique(stored.array("memory.courses"))) == len(files)


@pytest.mark.parametrize(("age", "kept"), [(REUSE_SECONDS - 1, True), (REUSE_SECONDS, False)])
def test_courses_of_the_last_week_are_used_again(trained, site, age, kept):
    lifecycle.evaluate(trained, site, TRAINED, mode=TRAINED_MODEL)
    later = lifecycle.evaluate(at(trained, NOW + age), site, TRAINED, mode=TRAINED_MODEL)
    assert ("reused" in later.figures) == kept
    if kept:
        fresh = lifecycle.evaluate(at(trained, NOW + age), site, TRAINED, mode=TRAINED_MODEL, reuse=False)
        assert "reused" not in fresh.figures


def test_the_trained_model_is_judged_with_stored_calculations(trained, site):
    stored = rows(trained, INDICATOR_CALC)
    assert {row["indicator"] for row in stored} == set(SHORT)
    assert all(round(row["value"], 2) == row["value"] for row in stored)
    outcome = lifecycle.evaluate(trained, site, TRAINED, mode=TRAINED_MODEL)
    [one] = outcome.evaluations
    assert (one.interval, rows(trained, MODELS_LOG)[0]["evaluationmode"]) == (QUARTERS, TRAINED_MODEL)
    assert one.rows == learned_rows(trained, TRAINED)
    assert rows(trained, INDICATOR_CALC) == stored  # an evaluation stores nothing
    with pytest.raises(UsageError, match="its own interval"):
        lifecycle.evaluate(trained, site, TRAINED, mode=TRAINED_MODEL, interval=QUARTERS)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"mode": "guess"}, "no mode"),
        ({"interval": r"\core\analytics\time_splitting\upcoming_week"}, "cannot be used"),
        ({"mode": TRAINED_MODEL}, "not been trained"),
    ],
)
def test_what_cannot_be_evaluated(workspace, site, options, said):
    with pytest.raises((UsageError, NotTrainedError), match=said):
        lifecycle.evaluate(workspace, site, enabled(workspace), **options)


def test_an_interval_that_cannot_help_in_time_is_not_recommended(workspace, site):
    modelid = models.create(workspace, DROPOUT, SHORT, processor=PROCESSOR).id
    outcome = lifecycle.evaluate(workspace, site, modelid)
    judged = {one.interval: one for one in outcome.evaluations}
    assert set(judged) > {QUARTERS, SINGLE_RANGE}
    others = [one for name, one in judged.items() if name != SINGLE_RANGE]
    best = max(others, key=lambda one: one.past["in_time_f1"])
    assert (outcome.status, outcome.info[: len(best.info)]) == (best.status, best.info)
    said = "The interval single_range cannot help students in time"
    assert [name for name, one in judged.items() if any(text.startswith(said) for text in one.info)] == [SINGLE_RANGE]
    assert not any(text.startswith(said) for text in outcome.info)


def test_a_static_model_is_not_evaluated(workspace, site):
    outcome = lifecycle.evaluate(workspace, site, model_of(workspace, NO_RECENT_ACCESSES))
    assert outcome.status == Status.NO_DATASET


def test_a_run_and_what_it_analysed_have_states_of_their_own(workspace, site):
    """Both know a 2: of a run it is "no data set", which is not what came of a course that the target refused."""
    outcome = lifecycle.evaluate(at(workspace, 1), site, enabled(workspace), interval=SINGLE_RANGE)
    assert isinstance(outcome.status, Status)
    assert [one.status for one in outcome.evaluations] == [outcome.status] == [Status.NO_DATASET]
    assert {type(one.status) for one in outcome.evaluations} == {Status}
    assert {(type(one.status), one.status) for one in outcome.analysables} == {
        (AnalysisStatus, AnalysisStatus.INVALID_FOR_TARGET)
    }
    assert len(outcome.refused) == len(site.courses)
