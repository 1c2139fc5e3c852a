"""A run's predictions pass through memory by pieces: the result is the same, and their number hardly counts."""

from __future__ import annotations

import shutil
import tracemalloc

import numpy as np
import pytest

from fixtures.trained_sites import NOW, QUARTERS, TRAINED, new_workspace, rows, site, site_url, trained_folder
from moodlemlbackend import spooled
from moodlemlbackend.analytics import lifecycle, models
from moodlemlbackend.analytics.db import dataset_files, risks
from moodlemlbackend.analytics.db.dataset_files import UNLABELLED, DatasetFile
from moodlemlbackend.analytics.db.schema import EXPLANATIONS, INSIGHTS, NOTIFICATIONS, PREDICTIONS, RISKS
from moodlemlbackend.analytics.features.datasets import metadata
from moodlemlbackend.analytics.lifecycle import predicted_samples, prediction
from moodlemlbackend.analytics.lifecycle.analysing import analysis_of
from moodlemlbackend.analytics.lifecycle.predicted_samples import SAMPLE, News, Places
from moodlemlbackend.dataset import data_set
from moodlemlbackend.errors import DataSetError

_ = (site, site_url, trained_folder)  # fixtures

CONTEXT = 426


def test_pieces_give_the_same_result(trained_folder, site, tmp_path, monkeypatch):
    def stored(folder):
        shutil.copytree(trained_folder, folder)
        with new_workspace(folder, notify_when_most_flagged=True) as workspace:
            figures = lifecycle.predict(workspace, site, TRAINED).figures
            tables = (PREDICTIONS, EXPLANATIONS, INSIGHTS, NOTIFICATIONS, RISKS)
            return figures, [rows(workspace, table) for table in tables]

    whole = stored(tmp_path / "whole")
    assert whole[0]["predictions"] > 4
    assert whole[0]["notifications"] > 1
    for module in (spooled, prediction):
        monkeypatch.setattr(module, "ROWS_AT_ONCE", 4)
    monkeypatch.setattr(predicted_samples, "_TOLD_AT_ONCE", 1)
    assert stored(tmp_path / "pieces") == whole


def test_memory_hardly_grows_with_the_predictions(trained_folder, site, tmp_path, monkeypatch):
    for module in (spooled, prediction):
        monkeypatch.setattr(module, "ROWS_AT_ONCE", 100)
    monkeypatch.setitem(data_set.read_batches.__kwdefaults__, "batch_bytes", 1 << 12)
    monkeypatch.setattr(risks, "_AT_ONCE", 100)

    def peak(number):
        shutil.copytree(trained_folder, tmp_path / str(number))
        with new_workspace(tmp_path / str(number), notifications=False) as workspace:
            let_wait(workspace, site, number)
            tracemalloc.start()
            try:
                assert lifecycle.predict(workspace, site, TRAINED).figures["predictions"] > number / 50
                return tracemalloc.get_traced_memory()[1]
            finally:
                tracemalloc.stop()

    peak(100)  # what is loaded once
    few, many = peak(300), peak(1300)
    assert many - few < 1000 * 300


def test_of_two_ranges_that_one_run_predicts_the_later_is_the_current_one(trained_folder, site, tmp_path):
    """Files that wait come behind the new ones, as in Moodle."""
    shutil.copytree(trained_folder, tmp_path / "both")
    with new_workspace(tmp_path / "both", notifications=False) as workspace:
        for index in (2, 1):
            let_wait(workspace, site, 100, index)
        lifecycle.predict(workspace, site, TRAINED)
        with workspace.store.read() as connection:
            listed = risks.in_context(connection, CONTEXT, TRAINED, range(1_000_000, 1_000_100))
            last = risks.latest(connection, TRAINED, [CONTEXT])[CONTEXT]
    assert len(listed) == 100
    for sample, known in listed.items():
        assert [risk.rangeindex for risk in known] == [1, 2]
        assert last[sample] == known[-1:]


def let_wait(workspace, site, number, index=1):
    """Have the model predict so many samples that no site has, with the features of those that it has learned from."""
    with workspace.store.read() as connection:
        model = models.get(connection, TRAINED)
        [learned, *_] = dataset_files.of_analysables(connection, workspace, model, "labelled", QUARTERS)
    known = data_set.read_labelled(learned.path)
    plan = analysis_of(workspace, model, [QUARTERS], training=False, keeps=True)
    about = metadata(site, plan.target, plan.indicators, plan.methods[0])
    drawn = np.random.default_rng(0)
    for first in range(1_000_000, 1_000_000 + number, 100):
        ids = range(first, first + 100)
        path = dataset_files.new_path(workspace, model, UNLABELLED, QUARTERS, 10)
        rows_of_part = known.features[drawn.integers(0, len(known.features), len(ids))]
        data_set.write(
            path, about, known.header.columns, rows_of_part, sample_ids=[f"{sample}-{index}" for sample in ids]
        )
        details = {"ranges": {str(index): [NOW - 100, NOW]}, "contexts": {str(sample): CONTEXT for sample in ids}}
        with workspace.store.write() as connection:
            dataset_files.add(
                connection, workspace, model, UNLABELLED, QUARTERS, path, len(ids), 10, details
            )  # fmt: skip


# ---- what is known of samples ----


def part(ranges, contexts):
    return DatasetFile(0, None, QUARTERS, 1, 0, 0, {"ranges": ranges, "contexts": contexts})


def placed(places, *samples):
    filled = np.zeros(len(samples), SAMPLE)
    filled["sample"], filled["range"] = np.transpose(samples)
    places.fill(filled)
    return [(row["context"], row["start"], row["end"]) for row in filled]


def test_samples_have_the_place_that_the_newest_file_says():
    places = Places([
        part({"0": [1, 5], "2": [5, 9]}, {"7": 70, "3": 30}),
        part({"2": [6, 10]}, {"7": 71, "4": 40}),
    ])  # fmt: skip
    assert placed(places, (7, 0), (3, 2), (7, 2), (4, 2)) == [(70, 1, 5), (30, 5, 9), (71, 6, 10), (40, 6, 10)]


@pytest.mark.parametrize("sample", [(4, 0), (8, 2), (7, 1), (7, 3)])
def test_a_sample_of_no_file_is_named(sample):
    places = Places([part({"0": [1, 5], "2": [5, 9]}, {"7": 70}), part({"2": [5, 9]}, {"4": 40})])
    with pytest.raises(DataSetError, match=f"sample {sample[0]}-{sample[1]} comes from; clear the model"):
        placed(places, sample)


def test_people_are_told_of_whole_contexts(monkeypatch):
    monkeypatch.setattr(predicted_samples, "_TOLD_AT_ONCE", 3)
    news = News()
    assert [*news.by_context(())] == []
    for context in (5, 1, 5, 9, 1, 1, 1, 8, 8):
        news.add({"contextid": context})
    assert [*news.by_context(())] == [[0, 2, 1, 4, 5, 6], [3, 7, 8]]
    assert [*news.by_context({1})] == [[0, 2, 3], [7, 8]]
    assert [*news.by_context({1, 5, 8, 9})] == []
