"""Model packages and training data: what goes out, that nothing in it tells whose it is, and what is let in."""

from __future__ import annotations

import csv
import errno
import io
import json
import re
import sqlite3
import stat
import zipfile
from contextlib import closing

import numpy as np
import pytest
from click.testing import CliRunner

from fixtures.trained_sites import (
    DROPOUT,
    NO_TEACHING,
    QUARTERS,
    SHORT,
    TRAINED,
    enabled,
    in_this_process,
    model_of,
    new_workspace,
    rows,
    site,
    site_url,
    trained,
    trained_folder,
    workspace,
)
from moodlemlbackend.analytics import lifecycle, models
from moodlemlbackend.analytics.db import facts
from moodlemlbackend.analytics.db.schema import MODELS
from moodlemlbackend.analytics.lifecycle import packages
from moodlemlbackend.cli import main
from moodlemlbackend.errors import (
    ArchiveError,
    BackendError,
    ModelError,
    NotTrainedError,
    PackageError,
    StorageError,
    UsageError,
)
from moodlemlbackend.operations.trained_models import trained_model
from moodlemlbackend.processor.memory import MEMORY
from moodlemlbackend.storage.model_store import ModelStore
from moodlemlbackend.storage.stored_model import read_model

_ = (in_this_process, site, site_url, trained, trained_folder, workspace)  # fixtures

CONFIGURATION = {
    "target": DROPOUT,
    "timesplitting": QUARTERS,
    "indicators": [*SHORT],
    "processor": packages.PYTHON_PROCESSOR,
    "dependencies": {"core": 2023042403},
}


def entries(path) -> dict[str, bytes]:
    with zipfile.ZipFile(path) as file:
        return {name: file.read(name) for name in file.namelist()}


def package(path, configuration=CONFIGURATION, **more):
    """Write a package; further entries by name."""
    with zipfile.ZipFile(path, "w") as file:
        if configuration is not None:
            text = configuration if isinstance(configuration, (str, bytes)) else json.dumps(configuration)
            file.writestr(packages.CONFIGURATION, text)
        for name, content in more.items():
            file.writestr(name, content)
    return path


def probabilities(workspace, modelid, features):
    with workspace.store.read() as connection:
        model = models.get(connection, modelid)
    found, _ = trained_model(ModelStore(workspace.executiondir(model)))
    return found.classifier.probabilities(features)


# ---- out and in again ----


def test_a_package_is_as_moodle_has_it(trained, tmp_path):
    packages.export_model(trained, TRAINED, tmp_path / "model.zip")
    found = entries(tmp_path / "model.zip")
    configuration = json.loads(found[packages.CONFIGURATION])
    assert list(configuration) == ["target", "timesplitting", "indicators", "processor", "dependencies"]
    assert configuration["target"] == DROPOUT
    assert configuration["indicators"] == [*SHORT]
    assert configuration["processor"] == r"\mlbackend_python\processor"
    assert set(configuration["dependencies"]) == {"core", "mod_quiz"}
    assert {name.partition("/")[0] for name in found} == {packages.CONFIGURATION, "mlbackend"}
    assert "mlbackend/manifest.json" in found


def test_an_imported_model_predicts_the_same(trained, tmp_path):
    packages.export_model(trained, TRAINED, tmp_path / "model.zip")
    features = np.random.default_rng(0).choice([-1, -0.33, 0.33, 1, np.nan], (50, 9)).astype(np.float32)
    with new_workspace(tmp_path / "elsewhere") as elsewhere:
        imported = packages.import_model(elsewhere, tmp_path / "model.zip", name="From a partner")
        model = imported.model
        assert (model.name, model.enabled, model.trained) == ("From a partner", False, True)
        assert (model.target, model.indicators, model.interval) == (DROPOUT, SHORT, QUARTERS)
        same = probabilities(elsewhere, model.id, features)
        assert np.array_equal(same, probabilities(trained, TRAINED, features))
        with elsewhere.store.read() as connection:
            assert not models.trained_locally(connection, model)


def test_an_imported_model_goes_on_learning(trained, tmp_path, site):
    packages.export_model(trained, TRAINED, tmp_path / "model.zip")
    with new_workspace(tmp_path / "elsewhere") as elsewhere:
        model = packages.import_model(elsewhere, tmp_path / "model.zip").model
        models.enable(elsewhere, model.id)
        assert lifecycle.predict(elsewhere, site, model.id).figures["predictions"] > 0
        assert lifecycle.train(elsewhere, site, model.id).status == 0
        with elsewhere.store.read() as connection:
            assert models.trained_locally(connection, models.get(connection, model.id))


def test_the_configuration_alone(workspace, tmp_path):
    modelid = enabled(workspace)
    with pytest.raises(NotTrainedError, match="has not been trained"):
        packages.export_model(workspace, modelid, tmp_path / "model.zip")
    packages.export_model(workspace, modelid, tmp_path / "model.zip", weights=False)
    assert list(entries(tmp_path / "model.zip")) == [packages.CONFIGURATION]
    assert not packages.import_model(workspace, tmp_path / "model.zip").model.trained


def test_what_cannot_be_exported(workspace, tmp_path):
    for modelid, said in (
        (model_of(workspace, NO_TEACHING), "rule-based"),
        (model_of(workspace, DROPOUT), "interval"),
    ):
        with pytest.raises(UsageError, match=said):
            packages.export_model(workspace, modelid, tmp_path / "model.zip", weights=False)
    assert not (tmp_path / "model.zip").exists()


# ---- nothing tells whose it is ----


def test_nothing_in_what_goes_out_tells_whose_it_is(trained, tmp_path, site_url):
    packages.export_model(trained, TRAINED, tmp_path / "model.zip")
    packages.export_training_data(trained, TRAINED, tmp_path / "data.csv")
    with zipfile.ZipFile(tmp_path / "model.zip") as file:
        assert {entry.date_time for entry in file.infolist()} == {(1980, 1, 1, 0, 0, 0)}
        assert {(entry.comment, entry.extra) for entry in file.infolist()} == {(b"", b"")}
        assert file.comment == b""
    everything = {**entries(tmp_path / "model.zip"), "data.csv": (tmp_path / "data.csv").read_bytes()}
    texts = {name: content for name, content in everything.items() if not name.endswith(".safetensors")}
    with closing(sqlite3.connect(site_url.removeprefix("sqlite:///"))) as database, database:
        people = database.execute("SELECT firstname, lastname, email, username FROM mdl_user").fetchall()
        courses = database.execute("SELECT shortname, fullname FROM mdl_course").fetchall()
    secret = {word for row in (*people, *courses) for word in row if word and len(word) > 3}
    secret |= {"moodle.example", str(trained.folder), "sqlite"}
    with trained.store.read() as connection:
        secret.add(trained.unique_id(models.get(connection, TRAINED)))
    for name, content in texts.items():
        text = content.decode()
        assert not [word for word in secret if word in text], name
        assert "://" not in text, name
        assert not re.search(r"\b1[5-9]\d{8}\b", text), f"{name} holds a time"
        assert not re.search(r"20\d\d-\d\d-\d\d", text), f"{name} holds a date"
    manifest = json.loads(everything["mlbackend/manifest.json"])
    assert manifest["created"].startswith("1970-01-01")
    header = everything["mlbackend/arrays.safetensors"]
    assert not any(name.encode() in header for name in MEMORY), "rows that were learned from"


@pytest.mark.parametrize("export", [packages.export_model, packages.export_training_data])
def test_a_file_is_replaced_whole_or_not_at_all(trained, tmp_path, monkeypatch, export):
    target = tmp_path / "exported"
    target.write_text("former")
    with monkeypatch.context() as patched:

        def fail(*_):
            raise OSError(errno.ENOSPC, "No space left on device")

        patched.setattr(zipfile.ZipFile, "writestr", fail)
        patched.setattr(packages.dataset_files, "append_rows", fail)
        with pytest.raises(StorageError, match="No space left on device"):
            export(trained, TRAINED, target)
    assert target.read_text() == "former"
    assert [path.name for path in tmp_path.glob("*exported*")] == ["exported"]
    assert list(tmp_path.glob(".*")) == []
    export(trained, TRAINED, target)
    assert target.stat().st_size > len("former")


def test_training_data_are_indicators_and_classes(trained, tmp_path):
    number = packages.export_training_data(trained, TRAINED, tmp_path / "data.csv")
    names, values, columns, *found = csv.reader(io.StringIO((tmp_path / "data.csv").read_text()))
    about = dict(zip(names, values, strict=True))
    assert set(about) == {"timesplitting", "nfeatures", "moodleversion", "targetcolumn", "targettype", "targetclasses"}
    assert columns[-1] == DROPOUT
    assert "sampleid" not in columns
    assert len(found) == number
    assert all(cell == "" or -1 <= float(cell) <= 1 for row in found for cell in row)
    with pytest.raises(NotTrainedError, match="no training data"):
        packages.export_training_data(trained, 1, tmp_path / "none.csv")
    with pytest.raises(UsageError, match="rule-based"):
        packages.export_training_data(trained, model_of(trained, NO_TEACHING), tmp_path / "none.csv")


# ---- what is let in ----


@pytest.mark.parametrize(
    ("configuration", "said"),
    [
        (None, "not a model package"),
        ("no JSON", "cannot be used"),
        ("[]", "not an object"),
        ("[" * 100_000, "cannot be used"),
        (b"\xff", "cannot be used"),
        (json.dumps({"x": "y" * (1 << 20)}), "too large"),
        ({**CONFIGURATION, "target": ""}, "target is missing"),
        ({**CONFIGURATION, "timesplitting": None}, "timesplitting is missing"),
        ({**CONFIGURATION, "indicators": []}, "indicators are missing"),
        ({**CONFIGURATION, "indicators": [1]}, "indicators are missing"),
        ({**CONFIGURATION, "indicators": [r"\mod_nothing\analytics\indicator\x"]}, "not installed here: .mod_nothing"),
        ({**CONFIGURATION, "target": r"\local_x\target"}, "not installed here"),
    ],
)
def test_what_is_no_package_of_a_model(workspace, tmp_path, configuration, said):
    with pytest.raises(PackageError, match=said):
        packages.import_model(workspace, package(tmp_path / "model.zip", configuration))
    assert len(rows(workspace, MODELS)) == 5


def test_components_are_compared(workspace, tmp_path):
    path = package(tmp_path / "model.zip", {**CONFIGURATION, "dependencies": {"core": 5, "mod_quiz": 6, "local_x": 7}})
    assert packages.import_model(workspace, path).notes == [
        "The versions of the package's components were not compared, because no site has been read yet."
    ]
    with workspace.store.write() as connection:
        facts.write(connection, "components", {"core": 5, "mod_quiz": 7})
    with pytest.raises(PackageError, match=r"does not have: local_x \(7\)"):
        packages.import_model(workspace, path)
    with workspace.store.write() as connection:
        facts.write(connection, "components", {"core": 4, "mod_quiz": 7, "local_x": 7})
    with pytest.raises(PackageError, match=r"Moodle \(5\), mod_quiz \(6\)"):
        packages.import_model(workspace, path)
    assert packages.import_model(workspace, path, ignore_versions=True).notes == []
    path = package(tmp_path / "model.zip", {**CONFIGURATION, "dependencies": {"core": 10**400, "mod_quiz": "new"}})
    assert packages.import_model(workspace, path).notes == []


def test_weights_of_the_php_processor_are_refused(workspace, tmp_path):
    configuration = {**CONFIGURATION, "processor": packages.PHP_PROCESSOR}
    path = package(tmp_path / "model.zip", configuration, **{"mlbackend/model.ser": "x"})
    with pytest.raises(PackageError, match="PHP processor"):
        packages.import_model(workspace, path)
    model = packages.import_model(workspace, path, weights=False).model
    assert (model.processor, model.trained) == ("logistic_regression", False)


def test_weights_that_cannot_be_used_leave_no_model(workspace, tmp_path):
    path = package(tmp_path / "model.zip", CONFIGURATION, **{"mlbackend/manifest.json": "{}"})
    with pytest.raises(ModelError):
        packages.import_model(workspace, path)
    assert len(rows(workspace, MODELS)) == 5


def test_a_changed_weight_is_noticed(trained, workspace, tmp_path):
    packages.export_model(trained, TRAINED, tmp_path / "model.zip")
    found = entries(tmp_path / "model.zip")
    array = next(name for name in found if name.endswith(".safetensors"))
    found[array] = found[array][:-1] + bytes([found[array][-1] ^ 1])
    changed = package(tmp_path / "changed.zip", None, **found)
    with pytest.raises(ModelError, match="checksum"):
        packages.import_model(workspace, changed)


def _link() -> zipfile.ZipInfo:
    entry = zipfile.ZipInfo("mlbackend/link")
    entry.external_attr = (stat.S_IFLNK | 0o777) << 16
    return entry


@pytest.mark.parametrize("hostile", ["../../slipped", "/tmp/slipped", "mlbackend/../../slipped", _link()])
def test_an_archive_that_leads_elsewhere_is_refused(workspace, tmp_path, hostile):
    path = tmp_path / "in" / "model.zip"
    path.parent.mkdir()
    with zipfile.ZipFile(package(path), "a") as file:
        file.writestr(hostile, b"/etc/passwd")
    before = {one for one in tmp_path.rglob("*") if workspace.folder not in one.parents}
    with pytest.raises(ArchiveError):
        packages.import_model(workspace, path)
    assert {one for one in tmp_path.rglob("*") if workspace.folder not in one.parents} == before
    assert len(rows(workspace, MODELS)) == 5


@pytest.mark.parametrize("content", [b"", b"PK", b"no archive" * 99])
def test_what_is_no_archive(workspace, tmp_path, content):
    (tmp_path / "model.zip").write_bytes(content)
    with pytest.raises(ArchiveError, match="not a zip archive"):
        packages.import_model(workspace, tmp_path / "model.zip")
    with pytest.raises(BackendError, match=r"nothing\.zip"):
        packages.import_model(workspace, tmp_path / "nothing.zip")


def test_a_zip_bomb_is_refused(workspace, tmp_path, monkeypatch):
    monkeypatch.setattr(
        "moodlemlbackend.storage.archives.unpack.__kwdefaults__", {"entries": 9, "unpacked_bytes": 1 << 20}
    )
    path = package(tmp_path / "model.zip", CONFIGURATION)
    with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as file:
        file.writestr("mlbackend/arrays.safetensors", bytes(2 << 20))
    with pytest.raises(ArchiveError, match="unpacked"):
        packages.import_model(workspace, path)


# ---- commands ----


def test_commands(trained, site_url, tmp_path, monkeypatch):
    monkeypatch.setenv("MOODLEMLBACKEND_DIRECTORY", str(trained.folder))
    monkeypatch.setenv("MOODLEMLBACKEND_SITE", site_url)

    def run(*arguments, code=0):
        done = CliRunner().invoke(main, ["models", *arguments])
        assert done.exit_code == code, done.output
        return done.output

    assert "has been exported to" in run("export", str(TRAINED), str(tmp_path / "m.zip"))
    refused = run("import", str(tmp_path / "m.zip"), code=2)
    alike = "the same target, indicators and interval as model 6 (Students at risk of dropping out)"
    assert refused == f"Nothing was changed; add --yes to go ahead: this adds a model with {alike}.\n"
    assert "no model 7" in run("show", "7", code=2)
    assert "Model 7 is created" in run("import", str(tmp_path / "m.zip"), "--name", "Copy", "--yes")
    plain = ("import", str(tmp_path / "m.zip"), "--no-weights", "--yes", "--json")
    assert json.loads(run(*plain))["model"]["trained"] is False
    assert json.loads(run("export-data", str(TRAINED), str(tmp_path / "d.csv"), "--json"))["rows"] > 0
    for word, path in (("export", tmp_path / "m.zip"), ("export-data", tmp_path / "d.csv")):
        before = path.read_bytes()
        refused = run(word, str(TRAINED), str(path), code=2)
        assert refused == f"Nothing was changed; add --yes to go ahead: this overwrites {path}.\n"
        assert path.read_bytes() == before
        run(word, str(TRAINED), str(path), "--yes")
    (tmp_path / "empty.zip").touch()
    assert "has been exported to" in run("export", str(TRAINED), str(tmp_path / "empty.zip"))
    (tmp_path / "bad.zip").write_bytes(b"x")
    assert "not a zip archive" in run("import", str(tmp_path / "bad.zip"), code=1)


def test_a_stored_model_keeps_when_it_was_made(trained):
    with trained.store.read() as connection:
        model = models.get(connection, TRAINED)
    stored = ModelStore(trained.executiondir(model)).current()
    assert not read_model(stored.folder).created.startswith("1970")
