"""Server mode as an unmodified Moodle uses it: every endpoint, method, field, status and body."""

from __future__ import annotations

import gzip
import io
import json
import os
import zipfile

import pytest

from fixtures.backend import MODELID, answer, course_rows, run, write_labelled, write_unlabelled
from fixtures.paths import SHARED, needs_shared, posix
from fixtures.servers import EVALUATION, HASH, LOGIN, OTHER, evaluate, httpx, predict, send, sentence, served, train
from moodlemlbackend import __version__

pytestmark = posix
COPY = "98ae0e05c5722f847892629f1a28b6a97191865b"


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with served(tmp_path_factory.mktemp("server")) as server:
        yield server


@pytest.fixture(scope="module")
def client(server):
    with server.client() as client:
        yield client


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    features, labels = course_rows(40)
    return write_labelled(folder / "labelled", features, labels), write_unlabelled(folder / "unlabelled", features)


def test_the_version_is_bare_and_needs_no_login(server):
    told = httpx.get(f"{server.url}/version")
    assert (told.status_code, told.text) == (200, __version__)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/version"),
        ("GET", "/training"),
        ("GET", "/prediction"),
        ("PUT", "/evaluation"),
        ("POST", "/export"),
        ("POST", "/evaluationlog"),
        ("GET", "/import"),
        ("GET", "/deletemodel"),
        ("DELETE", "/deletemodel"),
    ],
)
def test_other_methods(client, method, path):
    found = client.request(method, path)
    sentence(found, 405)
    assert found.headers["allow"]


@pytest.mark.parametrize("path", ["/training", "/prediction", "/evaluation", "/import", "/deletemodel"])
@pytest.mark.parametrize("login", [None, ("moodle", "wrong")])
def test_no_or_wrong_credentials(server, path, login):
    if login and path != "/training":
        pytest.skip("a failed login is slow; one is enough")
    found = httpx.post(f"{server.url}{path}", auth=login, files={"dataset": b"x" * 500_000})
    sentence(found, 401)
    assert found.headers["www-authenticate"].startswith("Basic ")


@pytest.mark.parametrize("path", ["/export", "/evaluationlog", "/metrics"])
def test_what_is_fetched_needs_a_login(server, path):
    sentence(httpx.get(f"{server.url}{path}"), 401)


def test_train_predict_and_the_command_agree(client, files, tmp_path):
    trained = train(client, files[0])
    assert trained.status_code == 200
    assert trained.headers["content-type"] == "application/json"
    assert trained.json()["status"] == 0
    assert isinstance(trained.json()["info"], list)
    predicted = predict(client, files[1])
    result = predicted.json()
    assert (predicted.status_code, result["status"], result["info"]) == (200, 0, [])
    answer(run("training", MODELID, tmp_path, files[0]))
    assert result == answer(run("prediction", MODELID, tmp_path, files[1]))
    assert all(isinstance(cell, str) for row in result["predictions"] for cell in row)


def test_a_model_lives_at_id_and_dirhash(server, client, files):
    assert train(client, files[0], uniqueid="place").json()["status"] == 0
    assert (server.base / "place" / HASH / "classifier" / "current").is_file()
    assert len(list((server.base / "place" / HASH / "logs").iterdir())) == 1


def test_another_user_has_the_same_models_without_namespaces(server, client, files):
    assert train(client, files[0]).json()["status"] == 0
    with server.client(OTHER) as other:
        assert predict(other, files[1]).json()["status"] == 0


def test_an_untrained_model(client, files):
    result = predict(client, files[1], uniqueid="untrained")
    assert result.status_code == 200
    assert (result.json()["status"], result.json()["info"]) == (2, ["Provided model have not been trained yet"])


def test_evaluation_and_its_log(server, client, files):
    result = evaluate(client, files[0]).json()
    assert {"score", "score_deviation", "min_score", "accepted_deviation", "auc", "mcc", "balanced accuracy"} <= {
        *result
    }
    assert result["status"] == 0
    assert isinstance(result["runid"], int)
    assert result["dir"] == f"{MODELID}/{EVALUATION}/logs/{result['runid']}"
    where = {"uniqueid": MODELID, "dirhash": EVALUATION, "runid": str(result["runid"])}
    log = client.get("/evaluationlog", params=where)
    assert (log.status_code, log.headers["content-type"]) == (200, "application/zip")
    with zipfile.ZipFile(io.BytesIO(log.content)) as archive:
        names = archive.namelist()
        text = archive.read("info.log").decode()
    assert {"info.log", "roc-curve.png"} <= set(names)
    assert any(name.startswith("tensor/") for name in names)
    assert "Result:" in text
    assert str(server.base) not in text
    assert str(server.scratch) not in text


def test_export_import_and_evaluation_of_what_was_imported(client, files):
    assert train(client, files[0]).json()["status"] == 0
    exported = client.get("/export", params={"uniqueid": MODELID, "dirhash": HASH})
    assert (exported.status_code, exported.headers["content-type"]) == (200, "application/zip")
    imported = send(client, "import", exported.content, "importzip", uniqueid=COPY, dirhash=HASH)
    assert (imported.status_code, imported.text) == (200, "Ok")
    assert predict(client, files[1], uniqueid=COPY).json() == predict(client, files[1]).json()
    rated = evaluate(client, files[0], uniqueid=COPY, trainedmodeldirhash=HASH).json()
    assert (rated["score"], rated["status"]) == (1, 0)


def test_what_a_server_keeps_is_for_its_user_alone(server, client, files):
    assert train(client, files[0]).json()["status"] == 0
    modes = {path: path.stat().st_mode & 0o7777 for path in server.base.rglob("*")}
    assert {mode for path, mode in modes.items() if path.is_dir()} == {0o700}
    assert {mode for path, mode in modes.items() if path.is_file()} == {0o600}


def test_nothing_to_export_and_no_such_run(client):
    assert "train it first" in sentence(client.get("/export", params={"uniqueid": "none", "dirhash": HASH}), 404)
    where = {"uniqueid": "none", "dirhash": HASH, "runid": "1"}
    assert "no run" in sentence(client.get("/evaluationlog", params=where), 404)


def test_deletion_removes_every_directory_of_an_id(server, client, files):
    for dirhash in (HASH, EVALUATION):
        assert train(client, files[0], uniqueid="gone", dirhash=dirhash).json()["status"] == 0
    for _ in range(2):
        deleted = send(client, "deletemodel", uniqueid="gone")
        assert (deleted.status_code, deleted.text) == (200, "Ok")
        assert not (server.base / "gone").exists()
    assert predict(client, files[1], uniqueid="gone").json()["status"] == 2
    urlencoded = client.post("/deletemodel", data={"uniqueid": "gone"})
    assert urlencoded.text == "Ok"


@pytest.mark.parametrize("kind", ["training", "prediction", "evaluation", "import"])
@pytest.mark.parametrize("missing", ["uniqueid", "dirhash", "file"])
def test_a_missing_field_is_named(client, kind, missing):
    file = "importzip" if kind == "import" else "dataset"
    fields = {"uniqueid": MODELID, "dirhash": HASH, "minscore": "0.7", "maxdeviation": "0.1", "niterations": "1"}
    content = None if missing == "file" else b"x"
    text = sentence(
        send(client, kind, content, file, **{key: value for key, value in fields.items() if key != missing}), 400
    )
    assert repr(file if missing == "file" else missing) in text


@pytest.mark.parametrize("value", ["", "x", "nan", "-1", "inf", "1e400"])
def test_numbers_of_an_evaluation(client, value):
    sent = send(
        client, "evaluation", b"x", uniqueid=MODELID, dirhash=HASH, minscore=value, maxdeviation="0.05", niterations="2"
    )
    assert "'minscore'" in sentence(sent, 400)


def test_a_bad_data_set_is_the_commands_error(server, client):
    result = train(client, b"no data set", uniqueid="bad")
    assert result.status_code == 200
    assert result.json()["status"] == 1
    (text,) = result.json()["errors"]
    assert text.startswith("dataset ends after row 1")
    assert str(server.base) not in result.text


def test_too_many_iterations_are_told(client, files):
    result = evaluate(client, files[0], iterations=5000).json()
    assert (result["status"], "use 1 to 1000" in result["info"][0]) == (1, True)


def test_a_model_of_other_columns(client, files, tmp_path):
    assert train(client, files[0]).json()["status"] == 0
    other = write_unlabelled(tmp_path / "other", [[1.0, 0.5]])
    result = predict(client, other).json()
    assert result["status"] == 1
    assert "5 columns but dataset has 2" in result["info"][0]


def test_the_scratch_folder_is_empty_between_requests(server, client, files):
    predict(client, files[1])
    (place,) = server.scratch.iterdir()
    for _ in range(100):
        if not list(place.iterdir()):
            break
    assert len(list(place.iterdir())) <= 1


def test_request_ids(server, client):
    given = client.get("/version", headers={"X-Request-ID": "moodle-7"})
    assert given.headers["x-request-id"] == "moodle-7"
    made = client.get("/version", headers={"X-Request-ID": "a\tb" * 50})
    assert made.headers["x-request-id"].isalnum()
    assert server.record("Request", request_id="moodle-7")["path"] == "/version"


def test_the_former_packages_variables(tmp_path, files):
    variables = {
        "MOODLE_MLBACKEND_PYTHON_DIR": str(tmp_path / "old"),
        "MOODLE_MLBACKEND_PYTHON_USERS": "former:secret",
        "MOODLE_MLBACKEND_TEMPDIR": str(tmp_path / "scratch"),
    }
    os_environ = dict(os.environ)
    assert not set(variables) & set(os_environ)
    from moodlemlbackend.settings.server import load_server_settings

    with pytest.MonkeyPatch.context() as patch:
        for name, value in variables.items():
            patch.setenv(name, value)
        settings = load_server_settings()
        assert (settings.directory, settings.users) == (variables["MOODLE_MLBACKEND_PYTHON_DIR"], "former:secret")
        assert settings.scratch == variables["MOODLE_MLBACKEND_TEMPDIR"]
        patch.setenv("MOODLE_MLBACKEND_PYTHON_S3_BUCKET_NAME", "bucket")
        assert load_server_settings().directory == "s3://bucket"
        patch.setenv("MOODLEMLBACKEND_SERVER_DIRECTORY", "here")
        assert load_server_settings().directory == "here"


@needs_shared
def test_moodles_recorded_requests(client):
    """What a Moodle sent to the reference, sent here: the same data, the same fields."""
    folder = SHARED / "oracle"
    calls = [json.loads(path.read_text()) for path in sorted((folder / "calls" / "http").glob("*.json"))]
    data = folder / "datasets" / "execution"
    labelled = gzip.decompress(next(data.glob("course_dropout--quarters--train*")).read_bytes())
    unlabelled = gzip.decompress(next(data.glob("course_dropout--quarters--predict*")).read_bytes())
    content = {"training": labelled, "prediction": unlabelled, "evaluation": labelled}
    exported = b""
    for call in calls:
        kind = call["path"].removeprefix("/")
        fields = {name: value[0] for name, value in call["form"].items()}
        if kind == "evaluationlog":
            continue  # its run is the reference's
        if call["method"] == "POST":
            file = next(iter(call["files"]), "dataset")
            body = exported if kind == "import" else content.get(kind)
            found = send(client, kind, body, file, **fields)
        else:
            found = client.get(f"/{kind}", params=call["query"])
        assert found.status_code == 200, (kind, found.text)
        exported = found.content if kind == "export" else exported
        if kind in content:
            assert found.json()["status"] & 3 == 0
            assert set(json.loads(call["response"]["body"]) if call["response"]["bytes"] < 2000 else {}) <= {
                *found.json()
            }
        elif kind == "import":
            assert found.text == "Ok"
    assert LOGIN[0] == "moodle"
