"""What comes of a cluster is what comes of one machine, to the byte, and no data goes through the scheduler."""

from __future__ import annotations

import json
import pickle
import threading

import pytest

from fixtures.paths import posix

pytest.importorskip("distributed", reason="needs the extra cluster")

from fixtures.clusters import machines
from fixtures.small_site import SmallSite
from fixtures.trained_sites import (
    DROPOUT,
    NOW,
    PROCESSOR,
    QUARTERS,
    SHORT,
    SINGLE_RANGE,
    enabled,
    model_of,
    new_workspace,
    operations_here,
    rows,
    site_url,
)
from moodlemlbackend import evaluate, fit, read_dataset, use_cluster
from moodlemlbackend.analytics import lifecycle, models
from moodlemlbackend.analytics.db.schema import INDICATOR_CALC, PREDICTIONS
from moodlemlbackend.analytics.features.refusal import NOT_MEASURED
from moodlemlbackend.analytics.lifecycle import backend, tasks
from moodlemlbackend.analytics.site import open_site
from moodlemlbackend.cluster.backend import Backend

_ = site_url  # a fixture

pytestmark = posix

MOST_BYTES = 10_000
"""What a task or its answer may have, whatever the data."""


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    with machines(tmp_path_factory.mktemp("pair")) as made:
        yield made


@pytest.fixture
def messages(monkeypatch):
    """The sizes of what goes to workers and comes back."""
    sizes: list[int] = []
    submit, answer = Backend.submit, Backend._answer

    def counted_submit(self, func, callback=None):
        sizes.append(len(pickle.dumps([(task[0], task[1], task[2]) for task in func.items])))
        return submit(self, func, callback)

    def counted_answer(self, future, result):
        sizes.append(len(pickle.dumps(result)))
        answer(self, future, result)

    monkeypatch.setattr(Backend, "submit", counted_submit)
    monkeypatch.setattr(Backend, "_answer", counted_answer)
    return sizes


@pytest.mark.parametrize("processor", ["logistic_regression", "neural_network"])
def test_an_evaluation_and_a_model(pair, courses, messages, processor):
    data, students = read_dataset(courses.evaluation), read_dataset(courses.prediction)
    one = evaluate(data, processor=processor, iterations=4, seed=3), fit(data, processor=processor, seed=3)
    with use_cluster(pair.address, str(pair.files)):
        two = evaluate(data, processor=processor, iterations=4, seed=3), fit(data, processor=processor, seed=3)
    for name, values in one[0].figures.items():
        assert values.tobytes() == two[0].figures[name].tobytes(), name
    for rating, other in zip(one[0].ratings, two[0].ratings, strict=True):
        assert rating.probabilities.tobytes() == other.probabilities.tobytes()
    assert one[1].predict_proba(students).tobytes() == two[1].predict_proba(students).tobytes()
    assert one[1].threshold == two[1].threshold
    assert len(messages) > 2
    assert max(messages) < MOST_BYTES < courses.evaluation.stat().st_size


def test_a_data_set(pair, site_url, command, tmp_path):
    for labelled in ("--labelled", "--unlabelled"):
        written = []
        for env in ({}, pair.environment):
            output = tmp_path / f"{labelled}-{len(written)}.csv"
            words = ["--target", "course_dropout", "--interval", "quarters", labelled, "--now", str(NOW)]
            done = command("site", "dataset", "--site", site_url, *words, "-o", output, env=env)
            assert (done.returncode, done.stderr) == (0, "")
            written.append(output.read_bytes())
        assert written[0] == written[1]
        assert written[0].count(b"\n") > 10


def life(site_url, folder, **where):
    """What a model's evaluation with its backtest, training and prediction give, and what they leave in the store."""
    with new_workspace(folder) as workspace, open_site(site_url) as site, use_cluster(**where):
        modelid = enabled(workspace)
        evaluated = lifecycle.evaluate(workspace, site, modelid, interval=None)
        trained = lifecycle.train(workspace, site, modelid)
        predicted = lifecycle.predict(workspace, site, modelid)
        again = lifecycle.predict(workspace, site, modelid)
        [judged_again] = lifecycle.evaluate(workspace, site, modelid, interval=QUARTERS).evaluations
        with workspace.store.read() as connection:
            model = models.get(connection, modelid)
        [arrays] = workspace.executiondir(model).rglob("arrays.safetensors")
        listed = sorted(path.relative_to(folder).parent.as_posix() for path in folder.rglob("*.csv"))
        evaluations = [
            {name: value for name, value in judged.result.items() if name not in ("dir", "runid")}
            for judged in evaluated.evaluations
        ]
        return json.loads(
            json.dumps(
                {
                    "evaluations": evaluations,
                    "evaluated again": (judged_again.score, judged_again.rows),
                    "order": [judged.interval for judged in evaluated.evaluations],
                    "past": [judged.past for judged in evaluated.evaluations],
                    "figures": [run.figures for run in (evaluated, trained, predicted, again)],
                    "analysables": [vars(one) for run in (evaluated, trained, predicted) for one in run.analysables],
                    "calculations": rows(workspace, INDICATOR_CALC),
                    "predictions": rows(workspace, PREDICTIONS),
                    "files": listed,
                    "data": sorted(path.read_text("utf-8") for path in folder.rglob("*.csv")),
                    "model": arrays.read_bytes().hex(),
                },
                default=str,
            )
        )


def test_a_model_on_a_site(pair, site_url, tmp_path, messages):
    with operations_here():
        one = life(site_url, tmp_path / "one", address="")
    assert not messages
    two = life(site_url, tmp_path / "two", address=pair.address, files=str(pair.files))
    assert len(one["predictions"]) >= 5
    assert any("in_time_f1" in past for past in one["past"])
    assert len(one["evaluations"]) == 3
    assert one["evaluated again"][1]
    for name, value in one.items():
        assert value == two[name], name
    assert max(messages) < MOST_BYTES
    assert not list(pair.files.glob("moodlemlbackend-*"))


def test_a_course_that_is_not_used_is_named(pair, tmp_path):
    small = SmallSite(tmp_path / "site.sqlite")
    small.course_of_plugins()
    small.course_of_plugins()
    said = []
    for folder, address in (("one", ""), ("two", pair.address)):
        with (
            new_workspace(tmp_path / folder) as workspace, small.open() as site,
            use_cluster(address, str(pair.files)),
        ):  # fmt: skip
            modelid = model_of(workspace, DROPOUT)
            models.edit(workspace, modelid, enabled=True, interval=QUARTERS, processor=PROCESSOR)
            said.append(lifecycle.train(workspace, site, modelid).info)
    assert said[0][:2] == [f"C{number} is not used. {NOT_MEASURED.text}" for number in (1, 2)]
    assert said[1] == said[0]


def trained_models(site_url, folder, **where):
    """What the task trains of three models, of which the second fails, and what it does when it is run again."""
    with new_workspace(folder) as workspace, open_site(site_url) as site, use_cluster(**where):
        made = [enabled(workspace, SHORT[:2]), enabled(workspace, SHORT), enabled(workspace, SHORT, SINGLE_RANGE)]
        results = tasks.train_models(workspace, site).results
        [again] = [run for run in tasks.train_models(workspace, site).results if run.modelid == made[0]]
        with workspace.store.read() as connection:
            of_models = [models.get(connection, modelid) for modelid in made]
        arrays = [[*workspace.executiondir(model).rglob("arrays.safetensors")] for model in of_models]
        told = [(run.modelid, run.status, run.info, run.figures) for run in [*results, again]]
        calculations = rows(workspace, INDICATOR_CALC)
        return made, told, calculations, [[path.read_bytes() for path in paths] for paths in arrays]


def test_trainings_side_by_side(site_url, tmp_path, monkeypatch):
    """The first training waits for the third, a worker dies meanwhile, and the second model fails."""
    train, third = backend.train, threading.Event()
    workers = []

    def watched(workspace, model, dataset, **options):
        if len(model.indicators) == len(SHORT) and model.interval != SINGLE_RANGE:
            raise ZeroDivisionError("of the code")
        if model.interval == SINGLE_RANGE:
            third.set()
        elif workers:
            workers.pop().kill()
            assert third.wait(3600), "the third model waits for the first"
        return train(workspace, model, dataset, **options)

    monkeypatch.setattr(backend, "train", watched)
    with operations_here():
        one = trained_models(site_url, tmp_path / "one", address="")
    third.clear()
    with machines(tmp_path / "two") as made:
        workers.append(made.workers[0])
        two = trained_models(site_url, tmp_path / "two", address=made.address, files=str(made.files))
        assert not list(made.files.iterdir())
    ids, told, calculations, arrays = one
    assert [modelid for modelid, *_ in told] == [*ids, ids[0]]
    assert [status for _, status, *_ in told] == [0, 1, 0, 2]
    assert [len(files) for files in arrays] == [1, 0, 1]
    assert "ZeroDivisionError" in told[1][2][0]
    assert str(tmp_path) in told[1][2][0]
    told[1][2].clear()
    two[1][1][2].clear()
    assert two == one
    assert calculations
