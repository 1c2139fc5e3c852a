"""What a hostile client, or a careless administrator, must not be able to do."""

from __future__ import annotations

import gzip
import io
import os
import signal
import socket
import stat
import struct
import time
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from fixtures.backend import MODELID, course_rows, write_labelled, write_unlabelled
from fixtures.paths import posix
from fixtures.servers import HASH, LOGIN, OTHER, basic, httpx, predict, send, sentence, served, train
from moodlemlbackend.server.auth.passwords import make_entry

pytestmark = posix
LIMITS = {"ROWS": "1000", "COLUMNS": "50", "UPLOAD_BYTES": "3000000", "UNCOMPRESSED_BYTES": "8000000"}
HEADER = 'nfeatures,targetclasses,targettype\n2,"[0,1]",discrete\na,b,target\n'


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    folder = tmp_path_factory.mktemp("server")
    (folder / "secret").write_text("secret")
    with served(folder, NAMESPACES="on", ZIP_ENTRIES="20", **LIMITS) as server:
        yield server


@pytest.fixture(scope="module")
def client(server):
    with server.client() as client:
        yield client


@pytest.fixture(autouse=True)
def nothing_outside(server):
    """Nothing is written but below the base and the scratch folder."""
    before = everything(server)
    yield
    assert everything(server) == before


def everything(server) -> set[str]:
    found = set()
    for parent, folders, names in os.walk(server.base.parent):
        found |= {str(Path(parent, name)) for name in (*folders, *names)}
        folders[:] = [name for name in folders if Path(parent, name) not in (server.base, server.scratch)]
    return found - {str(server.base)}


def archive(*entries: tuple[str | zipfile.ZipInfo, bytes]) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as made, pytest.MonkeyPatch.context() as patch:
        patch.setattr("warnings.warn", lambda *_, **__: None)
        for name, content in entries:
            made.writestr(name, content)
    return file.getvalue()


def entry(name: str, mode: int) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name)
    info.external_attr = mode << 16
    return info


def import_zip(client, content: bytes):
    return send(client, "import", content, "importzip", uniqueid=MODELID, dirhash=HASH)


# ---- archives ----

HOSTILE = {
    "slip": [("../../../secret", b"x")],
    "slip inside": [("a/../../secret", b"x")],
    "absolute": [("/tmp/secret", b"x")],
    "drive": [("C:/secret", b"x")],
    "backslash": [("..\\secret", b"x")],
    "link": [(entry("link", stat.S_IFLNK | 0o777), b"/etc/passwd")],
    "device": [(entry("device", stat.S_IFCHR | 0o666), b"")],
    "twice": [("manifest.json", b"1"), ("manifest.json", b"2")],
    "twice but for case": [("a", b"1"), ("A", b"2")],
    "file and folder": [("a", b"1"), ("a/b", b"2")],
    "control character": [("a\nb", b"1")],
    "long name": [("a" * 300, b"1")],
    "empty part": [("a//b", b"1")],
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_archives_that_lead_elsewhere(client, kind):
    sentence(import_zip(client, archive(*HOSTILE[kind])), 400)


def test_a_zip_bomb(client):
    assert "unpacked" in sentence(import_zip(client, archive(("bomb", bytes(50_000_000)))), 413)


def test_a_zip_bomb_that_lies_about_its_size(client):
    content = archive(("bomb", bytes(50_000_000)))
    lying = content.replace(struct.pack("<L", 50_000_000), struct.pack("<L", 1000))
    sentence(import_zip(client, lying), 400)


def test_too_many_entries(client):
    assert "entries" in sentence(import_zip(client, archive(*((f"file{i}", b"") for i in range(21)))), 413)


@pytest.mark.parametrize(
    "content",
    [b"", b"PK\3\4", b"no archive" * 100, archive(("a", b"x"))[:-30], b"PK\5\6" + bytes(18)],
    ids=["nothing", "magic number", "text", "cut off", "no entry"],
)
def test_what_is_no_archive(client, content):
    sentence(import_zip(client, content), 400)


def test_an_archive_without_a_model(client):
    assert "manifest.json" in sentence(import_zip(client, archive(("readme", b"x"))), 400)


# ---- data sets and bodies ----


@pytest.mark.parametrize("more", [b"", b"0123456789" * 10])
def test_a_declared_length_of_ten_gigabytes(server, more):
    head = (
        f"POST /training HTTP/1.1\r\nHost: x\r\nAuthorization: {basic(*LOGIN)}\r\nContent-Length: 10737418240\r\n"
        "Content-Type: multipart/form-data; boundary=b\r\n\r\n"
    )
    host, port = server.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=10) as connection:
        connection.sendall(head.encode() + more)
        told = b"".join(iter(lambda: connection.recv(65536), b"")).decode()
    assert told.startswith("HTTP/1.1 413 ")
    assert told.endswith("the most this server accepts.")


def test_a_body_without_a_declared_length(client):
    def endless():
        yield b'--b\r\nContent-Disposition: form-data; name="dataset"; filename="x"\r\n\r\n'
        for _ in range(100):
            yield b"0" * 65536

    found = client.post("/training", content=endless(), headers={"Content-Type": "multipart/form-data; boundary=b"})
    sentence(found, 413)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (",".join(["name"] * 100_000), "columns"),
        ("nfeatures\n" + "1," * 100_000, "columns"),
        (HEADER + "1,1,1\n" * 2000, "rows"),
    ],
)
def test_endless_headers_and_rows(client, text, told):
    assert told in sentence(train(client, text.encode()), 413)


def test_a_compressed_data_set_that_unpacks_too_large(client):
    bomb = gzip.compress(HEADER.encode() + b"1" * 50_000_000)
    assert len(bomb) < 3_000_000
    assert "unpacked" in sentence(train(client, bomb), 413)


def test_a_header_row_without_end(client):
    assert "dataset" in train(client, b"x" * 2_900_000).json()["errors"][0]


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"", 400),
        (b"--b\r\n", 400),
        (b"--b\r\nno header\r\n\r\nx\r\n--b--\r\n", 400),
        (b'--b\r\nContent-Disposition: form-data; name="x"\r\n\r\nx', 400),
        (b'--b\r\nContent-Disposition: form-data; name="x"\r\n\r\n' + b"x" * 5000 + b"\r\n--b--\r\n", 413),
        (b"--b\r\nContent-Disposition: " + b"x" * 100_000 + b"\r\n\r\n\r\n--b--\r\n", 400),
        (b"--b\r\nContent-Disposition: form-data\r\n\r\nx\r\n--b--\r\n", 400),
        (b'--b\r\nContent-Disposition: form-data; name="x"; filename="y"\r\n\r\nx\r\n--b--\r\n', 400),
        (b"".join(b'--b\r\nContent-Disposition: form-data; name="x%d"\r\n\r\n\r\n' % i for i in range(30)), 413),
        (b'--b\r\nContent-Disposition: form-data; name="x"\r\n\r\n\xff\r\n--b--\r\n', 400),
        (b'--b\r\nContent-Disposition: form-data; name="x"\r\n\r\n1\r\n' * 2 + b"--b--\r\n", 400),
        (b'--b\r\nContent-Disposition: form-data; name="dataset"; filename="y"\r\n\r\n1\r\n' * 2 + b"--b--\r\n", 400),
    ],
)
def test_damaged_forms(client, body, code):
    headers = {"Content-Type": "multipart/form-data; boundary=b"}
    sentence(client.post("/training", content=body, headers=headers), code)


@pytest.mark.parametrize(
    "kind", ["text/plain", "multipart/form-data", "application/json", "application/x-www-form-urlencoded"]
)
def test_what_is_no_form(client, kind):
    sentence(client.post("/training", content=b"{}", headers={"Content-Type": kind}), 415)


PATHS = ["../x", "..", ".", "/etc", "a/b", "a\\b", "%2e%2e", "a\0b", "", " ", "é", "a" * 200, "~", "con:", "\n", "x\n"]


@pytest.mark.parametrize("value", PATHS)
def test_paths_in_every_field(client, value):
    for name in ("uniqueid", "dirhash"):
        fields = {"uniqueid": MODELID, "dirhash": HASH, name: value}
        assert repr(name) in sentence(send(client, "training", b"x", **fields), 400)
        for path in ("/export", "/evaluationlog"):
            sentence(client.get(path, params={**fields, "runid": "1"}), 400)
    for name in ("minscore", "maxdeviation", "niterations"):
        numbers = {"minscore": "0.7", "maxdeviation": "0.05", "niterations": "1", name: value}
        sentence(send(client, "evaluation", b"x", uniqueid=MODELID, dirhash=HASH, **numbers), 400)
    numbers = {"minscore": "0.7", "maxdeviation": "0.05", "niterations": "1"}
    if value:  # left empty, it is not given
        trained = {"trainedmodeldirhash": value, **numbers}
        sentence(send(client, "evaluation", b"x", uniqueid=MODELID, dirhash=HASH, **trained), 400)
    sentence(send(client, "deletemodel", uniqueid=value), 400)
    sentence(client.get("/evaluationlog", params={"uniqueid": MODELID, "dirhash": HASH, "runid": value}), 400)


@pytest.mark.parametrize(
    "path", ["/models/../secret", f"/models/{MODELID}/..%2f..", f"/models/{MODELID}/{HASH}/runs/1/..%2finfo.log"]
)
def test_paths_in_addresses(client, path):
    found = client.get(path)
    assert found.status_code in (400, 404)
    assert "secret" not in found.text


def test_a_link_in_the_store_leads_nowhere(server, client):
    outside = server.base.parent / "outside"
    place = server.base / LOGIN[0]
    place.mkdir(parents=True, exist_ok=True)
    outside.mkdir()
    (place / "linked").symlink_to(outside)
    try:
        result = train(client, (HEADER + "1,1,1\n0,0,0\n" * 5).encode(), uniqueid="linked")
        assert result.json()["status"] == 1
        assert not list(outside.iterdir())
    finally:
        (place / "linked").unlink()
        outside.rmdir()


# ---- users ----


def test_users_do_not_reach_each_others_models(server, client, tmp_path):
    features, labels = course_rows(30)
    trained = train(client, write_labelled(tmp_path / "l", features, labels), uniqueid="mine")
    assert trained.json()["status"] == 0
    assert (server.base / LOGIN[0] / "mine" / HASH / "classifier").is_dir()
    unlabelled = write_unlabelled(tmp_path / "u", features)
    with server.client(OTHER) as other:
        assert predict(other, unlabelled, uniqueid="mine").json()["status"] == 2
        assert other.get("/export", params={"uniqueid": "mine", "dirhash": HASH}).status_code == 404
        assert send(other, "deletemodel", uniqueid="mine").text == "Ok"
        assert "mine" not in other.get("/").text
        assert other.get(f"/models/mine/{HASH}").status_code == 404
    assert predict(client, unlabelled, uniqueid="mine").json()["status"] == 0
    assert "mine" in client.get("/").text


@pytest.mark.parametrize("header", ["Basic !!!", "Bearer x", basic("other", "")])
def test_logins_that_are_none(server, header):
    # Each from an address of its own, lest the delays add up.
    number = len(header) + 10
    with httpx.Client(transport=httpx.HTTPTransport(local_address=f"127.0.0.{number}")) as client:
        found = client.get(f"{server.url}/metrics", headers={"Authorization": header})
        sentence(found, 401)


@pytest.fixture(scope="module")
def settings_file(tmp_path_factory):
    return tmp_path_factory.mktemp("settings") / "moodlemlbackend.ini"


@pytest.fixture(scope="module")
def server_of_file(settings_file, tmp_path_factory):
    """A server whose users are in a settings file."""
    settings_file.write_text(f"[server]\nusers = scrypt:{OTHER[1]},{make_entry('moodle', LOGIN[1])}\n")
    variables = {"USERS": "", "MOODLEMLBACKEND_SETTINGS": str(settings_file)}
    with served(tmp_path_factory.mktemp("server"), **variables) as server:
        yield server


def test_scrypt_is_paid_once(server_of_file):
    """Many first requests at once with one password are one check; later ones none; others' guesses are slow."""
    server = server_of_file
    with ThreadPoolExecutor(20) as threads:
        began = time.monotonic()
        codes = list(threads.map(lambda _: httpx.get(f"{server.url}/metrics", auth=LOGIN).status_code, range(20)))
        assert codes == [200] * 20
        assert time.monotonic() - began < 10
        sentence(httpx.get(f"{server.url}/metrics", auth=("nobody", "x")), 401)


def test_users_are_added_and_removed_without_a_restart(server_of_file, settings_file):
    server = server_of_file
    users = settings_file.read_text()
    settings_file.write_text(users + "people = moodle:twice\n")
    server.process.send_signal(signal.SIGHUP)
    assert (
        "'moodle' is in both users and people"
        in server.record("Users not read; the previous ones may still log in", level="error")["reason"]
    )
    assert httpx.get(f"{server.url}/metrics", auth=LOGIN).status_code == 200
    settings_file.write_text("[server]\nusers = added:by hand,another:by hand\npeople = ana:by hand\n")
    server.process.send_signal(signal.SIGHUP)
    assert server.record("Users read")["users"] == 2
    assert httpx.get(f"{server.url}/metrics", auth=("added", "by hand")).status_code == 200
    assert httpx.get(f"{server.url}/metrics", auth=("ana", "by hand")).status_code == 403
    sentence(httpx.get(f"{server.url}/metrics", auth=LOGIN), 401)


def test_failed_logins_get_slower(server):
    seconds = []
    with httpx.Client(transport=httpx.HTTPTransport(local_address="127.0.0.9"), timeout=30) as client:
        for _ in range(2):
            began = time.monotonic()
            sentence(client.get(f"{server.url}/metrics", auth=(LOGIN[0], "wrong")), 401)
            seconds.append(time.monotonic() - began)
        began = time.monotonic()
        assert client.get(f"{server.url}/metrics", auth=LOGIN).status_code == 200
        assert time.monotonic() - began < seconds[1]
    assert seconds[0] > 0.9
    assert seconds[1] > 1.9
    assert "moodlemlbackend_failed_logins_total" in server.metrics()


def test_nothing_secret_is_in_the_log(server, client):
    train(client, b"a cell of the data set")
    text = str(server.log)
    for secret in (LOGIN[1], OTHER[1], "a cell of", str(server.base), "Traceback", str(Path.cwd())):
        assert secret not in text
    assert "plain text" in server.log[0]["event"]
    assert server.log[0]["users"] == [LOGIN[0]]
