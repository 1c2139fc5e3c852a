"""A base in S3: moto's server as a process of its own, and several processes that use it at once."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from fixtures import object_stores
from fixtures.backend import Backend, course_rows
from fixtures.object_stores import BUCKET, MODEL, make_bucket, needs_moto, s3_server
from fixtures.paths import ROOT, posix
from moodlemlbackend.errors import StorageError
from moodlemlbackend.operations.train import train as train_model
from moodlemlbackend.runtime.progress import QuietReporter
from moodlemlbackend.storage import lease, remote
from moodlemlbackend.storage.model_store import ModelStore

pytestmark = needs_moto

WEIGHTS = np.arange(2000, dtype=np.float32)
LEASE_SECONDS, SKEW_SECONDS, SETTLE_SECONDS = 1.5, 0.3, 0.4

PREAMBLE = f"""
import os, signal, sys, time
from pathlib import Path
import numpy as np
from moodlemlbackend.errors import BackendError
from moodlemlbackend.storage import lease, object_store, open_storage
from moodlemlbackend.storage.model_store import ModelStore
lease.LEASE_SECONDS, lease.SKEW_SECONDS, lease.SETTLE_SECONDS = {LEASE_SECONDS}, {SKEW_SECONDS}, {SETTLE_SECONDS}
base, cache, *arguments = sys.argv[1:]
storage = open_storage(base, cache=Path(cache), wait=60)
MODEL = {MODEL}

def train(number):
    with storage.checkout(MODEL, write=True) as folder:
        store = ModelStore(folder)
        with store.lock():
            before = store.current()
            number = number or (before.settings["number"] if before else 0) + 1
            store.publish("tester", {{"number": number}}, {{"weights": np.arange(2000, dtype=np.float32) * number}})
            (folder / "logs" / str(number)).mkdir(parents=True)
            (folder / "logs" / str(number) / "info.log").write_text("trained")
"""


@pytest.fixture
def base(s3, request, monkeypatch) -> str:
    """A base of its own for each test, with leases that end soon."""
    monkeypatch.setattr(lease, "LEASE_SECONDS", LEASE_SECONDS)
    monkeypatch.setattr(lease, "SKEW_SECONDS", SKEW_SECONDS)
    monkeypatch.setattr(lease, "SETTLE_SECONDS", SETTLE_SECONDS)
    return f"s3://{BUCKET}/{re.sub(r'[^a-z0-9]+', '-', request.node.name)}"


@pytest.fixture
def server(tmp_path):
    return object_stores.servers(tmp_path)


def start(code: str, base: str, cache: Path, *arguments: object, **environment: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", PREAMBLE + code, base, str(cache), *map(str, arguments)]
    return subprocess.Popen(
        command, cwd=ROOT, env={**os.environ, **environment}, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def train(storage, number: int) -> None:
    with storage.checkout(MODEL, write=True) as folder:
        object_stores.publish(folder, number, WEIGHTS)


def number(storage) -> int | None:
    return object_stores.number_in_force(storage, WEIGHTS)


# ---- what servers see of each other ----


def test_a_model_trained_by_one_server_is_used_by_another(base, server, tmp_path):
    backend = Backend(tmp_path, "logistic_regression")
    features, labels = course_rows(30)
    backend.train(features, labels, model="local")
    expected = backend.predict(features, model="local")
    with server(base).checkout(MODEL, write=True) as folder:
        result = train_model(
            QuietReporter(), "model", str(folder), str(tmp_path / "training"), settings=backend.settings
        )
        assert result["status"] == 0
    other = server(base)
    for _ in range(2):
        with other.checkout(MODEL, write=False) as folder:
            (folder.parent / "model").unlink(missing_ok=True)
            predicted = Backend(folder.parent, "logistic_regression").predict(features, model=folder.name)
        assert predicted == expected
    assert other.listing((*MODEL, "logs")) == [result["runid"]]
    with other.checkout((*MODEL, "logs", result["runid"]), write=False) as run:
        assert "Training model with logistic_regression" in (run / "info.log").read_text()


def test_another_server_sees_every_training_at_once_and_asks_once_where_there_is_none(base, server, s3):
    one, other = server(base), server(base)
    assert number(other) is None
    for count in (1, 2, 3):
        train(one, count)
        assert number(other) == count
    before = (s3 / "log").read_bytes().count(b"HTTP/1.1")
    start = time.monotonic()
    for _ in range(10):
        assert number(other) == 3
    assert (s3 / "log").read_bytes().count(b"HTTP/1.1") - before == 10
    assert time.monotonic() - start < 5
    other.remove(MODEL[:1])
    other.remove(MODEL[:1])
    assert number(one) is None
    assert (one.listing(()), one.exists(MODEL)) == ([], False)


@posix
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_storage_survives_a_fork(base, server):
    storage = server(base)
    train(storage, 1)
    child = os.fork()
    if child == 0:
        code = 1
        try:
            code = 0 if number(storage) == 1 else 2
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert number(storage) == 1


def test_a_large_model_goes_up_in_parts(base, server, s3):
    weights = np.arange(27_000_000, dtype=np.float32)  # s3fs sends files from 100 MB on in parts
    with server(base).checkout(MODEL, write=True) as folder:
        store = ModelStore(folder)
        with store.lock():
            store.publish("tester", {}, {"weights": weights})
    assert b"uploadId=" in (s3 / "log").read_bytes()
    with server(base).checkout(MODEL, write=False) as folder:
        np.testing.assert_array_equal(ModelStore(folder).current().array("weights"), weights)


# ---- crashes and races ----

KILLED = """
steps, last = 0, int(arguments[0])
def counted(function):
    def call(self, key, *rest, **options):
        global steps
        if not str(key).startswith(".probe"):
            steps += 1
            if steps == last:
                os.kill(os.getpid(), signal.SIGKILL)
        return function(self, key, *rest, **options)
    return call
lease.Lease._keep = lambda self, done: done.wait()  # a renewal on a slow machine would be a step more
for name in ("upload", "_put_if"):
    setattr(object_store.S3Objects, name, counted(getattr(object_store.S3Objects, name)))
train(2)
print(steps)
"""


@posix
def test_killed_at_any_step_of_publishing_the_former_model_stays_and_the_next_training_works(base, server, tmp_path):
    train(server(base), 1)
    whole = start(KILLED, f"{base}-whole", tmp_path / "whole", 0)
    steps = int(whole.communicate(timeout=60)[0])
    assert steps == 6, "lease, number of the version, arrays and runs, manifest, lease, pointer"
    bases = {step: f"{base}-{step}" for step in range(2, steps + 1)}
    for here in bases.values():
        train(server(here), 1)
    killed = [start(KILLED, here, tmp_path / "killed", step) for step, here in bases.items()]
    for process, here in zip(killed, bases.values(), strict=True):
        process.communicate(timeout=60)
        assert process.returncode == -signal.SIGKILL
        assert number(server(here)) == 1
    begin = time.monotonic()
    train(server(here), 3)
    assert time.monotonic() - begin < 10
    assert number(server(here)) == 3
    assert server(here).listing((*MODEL, "classifier")) == ["current", "v00000001", "v00000002", "v00000003"]


@posix
def test_killed_while_it_sends_a_large_file(base, server, tmp_path, s3):
    train(server(base), 1)
    code = """
with storage.checkout(MODEL, write=True) as folder:
    store = ModelStore(folder)
    with store.lock():
        store.publish("tester", {}, {"weights": np.arange(14_000_000)})  # large enough to go in parts
"""
    process = start(code, base, tmp_path / "killed")
    wanted, seen = b"v00000002/arrays.safetensors?uploads", (s3 / "log").read_bytes
    deadline = time.monotonic() + 60
    while seen().count(wanted) == 0 and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.002)
    process.kill()
    process.communicate()
    assert number(server(base)) == 1
    train(server(base), 2)
    assert number(server(base)) == 2


RACE = """
if arguments[0] == "unconditional":
    object_store.S3Objects.conditional = property(lambda self: False)
for _ in range(int(arguments[1])):
    train(None)
"""


@pytest.mark.parametrize(("kind", "rounds"), [("conditional", 4), ("unconditional", 2)])
def test_two_processes_train_one_model_one_after_the_other(base, server, tmp_path, kind, rounds):
    racing = [start(RACE, base, tmp_path / f"racing{cache}", kind, rounds) for cache in range(2)]
    for process in racing:
        output, errors = process.communicate(timeout=120)
        assert (process.returncode, output, errors) == (0, "", "")
    assert number(server(base)) == 2 * rounds
    assert len(server(base).listing((*MODEL, "logs"))) == 2 * rounds


def test_readers_in_other_processes_find_whole_models_only(base, server, tmp_path):
    code = """
seen = []
while not seen or seen[-1] < 6:
    with storage.checkout(MODEL, write=False) as folder:
        found = ModelStore(folder).read(lambda model: (model.settings["number"], model.array("weights")))
    if found:
        assert (found[1] == np.arange(2000, dtype=np.float32) * found[0]).all()
        seen.append(found[0])
assert seen == sorted(seen)
print(len(seen))
"""
    readers = [start(code, base, tmp_path / "shared") for _ in range(2)]
    writer = server(base)
    for count in range(1, 7):
        train(writer, count)
    for process in readers:
        output, errors = process.communicate(timeout=60)
        assert (process.returncode, errors) == (0, "")
        assert int(output) > 0


def test_a_server_that_lost_its_lease_cannot_put_its_model_in_force(base, server, monkeypatch):
    slow, quick = server(base), server(base)
    train(slow, 1)
    monkeypatch.setattr(lease.Lease, "_keep", lambda self, done: done.wait())

    put_in_force = remote._Publication._put_in_force

    def stall(publication, pointer) -> None:
        """Between the last look at the lease and the pointer, sleep until another has the lease and is done."""
        monkeypatch.setattr(remote._Publication, "_put_in_force", put_in_force)
        train(quick, 3)
        put_in_force(publication, pointer)

    monkeypatch.setattr(remote._Publication, "_put_in_force", stall)
    with pytest.raises(StorageError, match=r"^Another server has since published a new version of .*\.$"):
        train(slow, 2)
    assert (number(slow), number(quick)) == (3, 3)


# ---- stores that cannot be used: one sentence each ----


def told(storage) -> str:
    """The sentence of every call, which must be the same."""
    calls = [
        storage.describe,
        lambda: number(storage),
        lambda: train(storage, 1),
        lambda: storage.listing(()),
        lambda: storage.exists(MODEL),
        lambda: storage.remove(MODEL),
    ]
    sentences = set()
    for call in calls:
        with pytest.raises(StorageError) as error:
            call()
        sentences.add(str(error.value))
    (sentence,) = sentences
    assert "secret" not in sentence
    assert "testing" not in sentence
    return sentence


def test_a_missing_bucket(s3, server):
    assert told(server("s3://missing/models")) == (
        "Cannot use s3://missing/models: there is no such bucket; create it, or correct the base."
    )


def test_wrong_credentials(s3, server, tmp_path, monkeypatch):
    with s3_server(tmp_path, INITIAL_NO_AUTH_ACTION_COUNT="1") as address:
        monkeypatch.setenv("AWS_ENDPOINT_URL", address)
        make_bucket(BUCKET)
        assert told(server(f"s3://{BUCKET}")) == (
            "Cannot use s3://models: access is denied; check this server's credentials and permissions."
        )


def test_no_credentials(s3, server, monkeypatch):
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    assert "access is denied" in told(server(f"s3://{BUCKET}"))


def test_a_store_that_does_not_answer(s3, server, tmp_path, monkeypatch):
    with s3_server(tmp_path) as address:
        monkeypatch.setenv("AWS_ENDPOINT_URL", address)
    begin = time.monotonic()
    assert told(server(f"s3://{BUCKET}")) == (
        "Cannot use s3://models: it does not answer; check that it is running, its address and the network, "
        "then try again."
    )
    assert time.monotonic() - begin < 30


def test_a_store_that_goes_away_while_a_model_is_trained(s3, server, tmp_path, monkeypatch):
    storage = server(f"s3://{BUCKET}")

    def train_meanwhile() -> None:
        with s3_server(tmp_path) as address:
            monkeypatch.setenv("AWS_ENDPOINT_URL", address)
            make_bucket(BUCKET)
            checkout = storage.checkout(MODEL, write=True)
            folder = checkout.__enter__()
        (folder / "logs" / "1").mkdir(parents=True)
        (folder / "logs" / "1" / "info.log").touch()
        checkout.__exit__(None, None, None)

    with pytest.raises(StorageError, match="does not answer"):
        train_meanwhile()
    assert not list((tmp_path / "cache0").rglob("info.log"))
