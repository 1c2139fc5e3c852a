"""What is known only after a course has ended: in data sets as Moodle has it, and nothing that a model learns from."""

from __future__ import annotations

from pathlib import Path

import pytest

from fixtures.trained_sites import QUARTERS, SHORT, enabled, in_this_process, new_workspace, site, site_url, workspace
from moodlemlbackend.analytics import lifecycle, models
from moodlemlbackend.analytics.db import dataset_files
from moodlemlbackend.analytics.db.dataset_files import LABELLED, PREDICTED
from moodlemlbackend.analytics.features import registry
from moodlemlbackend.dataset.columns import AFTER_END
from moodlemlbackend.dataset.data_set import read_labelled
from moodlemlbackend.operations.trained_models import trained_in
from moodlemlbackend.report.diagnostics import diagnostics
from moodlemlbackend.report.record import read_record

_ = (in_this_process, site, site_url, workspace)  # fixtures


def test_the_core_indicator_says_that_it_is_known_late():
    late = [one.id for one in registry.list_indicators() if not one.known_in_time]
    assert late == [AFTER_END]


@pytest.mark.parametrize("learns", [False, True])
def test_a_model_learns_from_it_only_where_it_is_told_to(tmp_path, site, learns):
    with new_workspace(tmp_path / "work", learn_after_end=learns) as workspace:
        modelid = enabled(workspace, (*SHORT, AFTER_END))
        lifecycle.train(workspace, site, modelid)
        with workspace.store.read() as connection:
            model = models.get(connection, modelid)
            [merged] = dataset_files.pending(connection, workspace, model, LABELLED, QUARTERS, PREDICTED)
        data = read_labelled(merged.path)
        column = data.header.columns.index(AFTER_END)
        assert set(data.features[:, column]) == {-1, 1}, "the data set is Moodle's"
        trained, _ = trained_in(str(workspace.executiondir(model)))
        assert trained.masked == (() if learns else (AFTER_END,))
        other = data.features.copy()
        other[:, column] *= -1
        same = trained.classifier.probabilities(trained.seen(data.features))
        changed = trained.classifier.probabilities(trained.seen(other))
        assert (same == changed).all() != learns


def test_an_evaluation_promises_nothing_by_it(workspace, site):
    modelid = enabled(workspace, (*SHORT, AFTER_END))
    [evaluated] = lifecycle.evaluate(workspace, site, modelid, interval=QUARTERS).evaluations
    record = read_record(Path(evaluated.dir))
    assert (record.facts["masked"], record.facts["after_end"]) == ([AFTER_END], [])
    assert "Left out of training" in {one.title for one in diagnostics(record)}
