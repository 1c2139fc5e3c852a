"""A site that upgrades: the model that the reference package 3.0.5 left goes on without training again."""

from __future__ import annotations

import csv
import gzip
import json
import shutil

import numpy as np
import pytest

from fixtures.backend import MODELID, QUICK, Backend, answer, environment, run, sentence, snapshot
from fixtures.paths import SHARED, needs_shared
from moodlemlbackend.dataset.data_set import read_labelled, read_unlabelled
from moodlemlbackend.metrics import matthews_correlation
from moodlemlbackend.storage.model_store import ModelStore

pytestmark = needs_shared

DATA = SHARED / "data"
REFERENCE = DATA / "reference-model"
UNLABELLED = DATA / "split-evaluation-predict.csv.gz"
LABELLED = DATA / "split-evaluation-train.csv.gz"
LIMITS = (0.7, 0.05, 10)


@pytest.fixture
def outputdir(tmp_path):
    """An output directory as the reference left it."""
    shutil.copytree(REFERENCE / "classifier", tmp_path / "execution" / "classifier")
    for path in (tmp_path / "execution").rglob("*"):
        path.chmod(0o755)
    return tmp_path / "execution"


@pytest.fixture(scope="module")
def answers():
    """The true classes of the rows to predict, by sample id."""
    with (DATA / "split-evaluation-answers.csv").open() as file:
        return {row[0]: row[1] for row in csv.reader(file)}


@pytest.fixture(scope="module")
def some_rows(tmp_path_factory):
    """A small labelled data set of the same model: every seventh row."""
    with gzip.open(LABELLED, "rt") as file:
        lines = file.readlines()
    path = tmp_path_factory.mktemp("data") / "new"
    path.write_text("".join(lines[:3] + lines[3::7]))
    return path


def matthews(predictions, answers):
    predicted = np.array([int(label) for _, label, _ in predictions])
    labels = np.array([int(answers[sample_id]) for sample_id, _, _ in predictions])
    return matthews_correlation(predicted, labels)


def predict(outputdir, modelid=MODELID):
    return answer(run("prediction", modelid, outputdir, UNLABELLED))["predictions"]


def test_it_predicts_at_once_what_the_reference_predicted(outputdir):
    before = snapshot(outputdir)
    given = json.loads((REFERENCE / "predictions.json").read_text())["predictions"]
    predictions = predict(outputdir)
    assert [(sample_id, label) for sample_id, label, _ in predictions] == [tuple(one[:2]) for one in given]
    differences = [abs(float(one[2]) - float(other[2])) for one, other in zip(predictions, given, strict=True)]
    assert max(differences) <= 1e-4
    assert snapshot(outputdir) == before


def test_it_is_exported_and_imported(outputdir, tmp_path):
    predictions = predict(outputdir)
    exported = run("export", MODELID, outputdir, tmp_path / "export")
    assert (exported.stdout.decode(), exported.stderr) == (f"{tmp_path / 'export'}\n", b"")
    assert sorted(path.name for path in (tmp_path / "export").iterdir()) == ["arrays.safetensors", "manifest.json"]
    for source in (tmp_path / "export", outputdir / "classifier", outputdir):
        target = tmp_path / "imported" / source.name
        assert run("import", "other", target, source).stdout == b"Ok\nOk\n"  # as the former package
        assert predict(target, "other") == predictions
        assert not (target / "classifier" / "classifier.pkl").exists()


def test_it_is_rated_as_a_trained_model(outputdir, tmp_path):
    before = snapshot(outputdir)
    reply = answer(run("evaluation", MODELID, tmp_path / "evaluation", LABELLED, *LIMITS, outputdir))
    assert reply["status"] == 0
    assert reply["score"] > 0.8
    assert reply["auc"] > 0.95
    assert reply["score_deviation"] == 0
    assert snapshot(outputdir) == before


@pytest.mark.parametrize("processor", ["neural_network", "logistic_regression"])
def test_it_goes_on_learning_and_keeps_what_it_knew(outputdir, answers, some_rows, processor):
    reference = matthews(predict(outputdir), answers)
    env = environment(**QUICK | {"MOODLEMLBACKEND_PROCESSOR": processor})
    assert answer(run("training", MODELID, outputdir, some_rows, env=env)) | {"runid": ""} == {
        "status": 0,
        "info": [],
        "runid": "",
    }
    stored = ModelStore(outputdir).current()
    assert stored is not None
    assert stored.processor == processor
    assert matthews(predict(outputdir), answers) > reference - 0.05


def test_new_rows_may_lack_a_class(tmp_path, outputdir, answers):
    """The reference's model knows both; rows of class 0 alone, which predict nothing, must not undo that."""
    data = read_labelled(LABELLED)
    backend = Backend(tmp_path, "neural_network")
    backend.outputdir("model").mkdir()
    shutil.copytree(outputdir / "classifier", backend.classifier())
    columns, rows = list(data.header.columns), np.flatnonzero(data.labels == 0)[::10]
    assert backend.train(data.features[rows], data.labels[rows], columns=columns)["status"] == 0
    unlabelled = read_unlabelled(UNLABELLED)
    predictions = backend.predict(unlabelled.features, columns=columns)
    assert {label for _, label, _ in predictions} == {"0", "1"}


def test_columns_or_classes_that_it_does_not_have(outputdir, tmp_path):
    narrow = tmp_path / "narrow"
    narrow.write_text('nfeatures,targettype,targetclasses\n2,discrete,"[0,1]"\na,b,t\n1,0,1\n0,1,0\n')
    three = tmp_path / "three"
    with gzip.open(LABELLED, "rt") as file:
        three.write_text("".join(file.readlines()[:20]).replace("[0,1]", "[0,1,2]"))
    for dataset, expected in ((narrow, "2 feature columns"), (three, "classes 0, 1, but targetclasses")):
        for result in (
            run("training", MODELID, outputdir, dataset),
            run("evaluation", MODELID, tmp_path / "evaluation", dataset, *LIMITS, outputdir),
        ):
            assert expected in sentence(result, 1)


@pytest.mark.parametrize("damage", ["classifier.pkl", "model.ckpt/variables/variables.data-00000-of-00001"])
def test_a_damaged_one_is_named_and_never_used(outputdir, damage, some_rows):
    path = outputdir / "classifier" / damage
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    for result in (run("prediction", MODELID, outputdir, UNLABELLED), run("training", MODELID, outputdir, some_rows)):
        assert str(outputdir / "classifier") in sentence(result, 1)
    path.unlink()
    assert f"{path}, a part of the stored model, is missing" in sentence(
        run("prediction", MODELID, outputdir, UNLABELLED), 1
    )
