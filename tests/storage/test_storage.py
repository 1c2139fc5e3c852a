"""Bases of a server: what holds for every one of them, and what a store without conditional writes still gives."""

from __future__ import annotations

import json
import os
import pickle
import re
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

import numpy as np
import pytest

from fixtures import object_stores
from fixtures.object_stores import MODEL
from fixtures.paths import ROOT, posix
from moodlemlbackend.errors import ModelError, StorageError, UsageError
from moodlemlbackend.storage import base_of_reference, lease, open_storage, remote
from moodlemlbackend.storage.model_store import ModelStore

pytest.importorskip("fsspec", reason="the extra [server] is not installed")

WEIGHTS = np.arange(12, dtype=np.float32).reshape(3, 4)


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    """Leases that end soon."""
    monkeypatch.setattr(lease, "POLL_SECONDS", 0.02)
    monkeypatch.setattr(lease, "SETTLE_SECONDS", 0.02)


@pytest.fixture(params=["directory", "memory", "file"])
def base(request, tmp_path):
    """A new base of each kind."""
    if request.param == "memory":
        from fsspec.implementations.memory import MemoryFileSystem

        MemoryFileSystem.store.clear()
        MemoryFileSystem.pseudo_dirs[:] = [""]
        return "memory://base"
    return tmp_path / "base" if request.param == "directory" else f"file://{tmp_path}/base"


@pytest.fixture
def memory():
    """The objects of memory://base by their path from there."""
    from fsspec.implementations.memory import MemoryFileSystem

    MemoryFileSystem.store.clear()
    MemoryFileSystem.pseudo_dirs[:] = [""]

    class Memory:
        def names(self) -> list[str]:
            return sorted(path.removeprefix("/base/") for path in MemoryFileSystem.store)

        def put(self, name: str, content: bytes) -> None:
            from fsspec.implementations.memory import MemoryFile

            path = f"/base/{name}"
            MemoryFileSystem.store[path] = MemoryFile(MemoryFileSystem(), path, content)

        def get(self, name: str) -> bytes:
            return MemoryFileSystem.store[f"/base/{name}"].getvalue()

        def remove(self, name: str) -> None:
            del MemoryFileSystem.store[f"/base/{name}"]

    return Memory()


@pytest.fixture
def server(tmp_path):
    return object_stores.servers(tmp_path)


def train(storage, number: int, parts=MODEL, *, runid: str | None = None, then: Callable[[], Any] = int) -> None:
    with storage.checkout(parts, write=True) as folder:
        publish(folder, number)
        then()
        if runid:
            (folder / "logs" / runid / "tensor").mkdir(parents=True)
            (folder / "logs" / runid / "info.log").write_text(f"trained {number}")
            (folder / "logs" / runid / "tensor" / "events").write_bytes(b"\0" * number)


def publish(folder, number: int) -> None:
    object_stores.publish(folder, number, WEIGHTS)


def number(storage, parts=MODEL) -> int | None:
    return object_stores.number_in_force(storage, WEIGHTS, parts)


# ---- every base ----


def test_what_one_server_trains_the_next_reads(base, server):
    one, other = server(base), server(base)
    assert number(one) is None
    assert (one.listing(()), one.exists(MODEL), one.exists(MODEL[:1])) == ([], False, False)
    for count in (1, 2, 3):
        train(one if count % 2 else other, count, runid=f"{count}00")
        assert (number(one), number(other)) == (count, count)
    assert one.listing(()) == [MODEL[0]]
    assert one.listing(MODEL[:1]) == [MODEL[1]]
    assert one.listing(MODEL) == ["classifier", "logs"]
    assert other.listing((*MODEL, "logs")) == ["100", "200", "300"]
    assert other.exists(MODEL)
    assert not other.exists(("other",))


def test_runs_are_checked_out_one_by_one(base, server):
    train(server(base), 3, runid="1700000000000")
    other = server(base)
    for _ in range(2):
        with other.checkout((*MODEL, "logs", "1700000000000"), write=False) as folder:
            assert (folder / "info.log").read_text() == "trained 3"
            assert (folder / "tensor" / "events").read_bytes() == b"\0\0\0"
    with other.checkout((*MODEL, "logs", "17"), write=False) as folder:
        assert not folder.exists()


def test_removing(base, server):
    one, other = server(base), server(base)
    train(one, 1, runid="1")
    train(one, 2, (MODEL[0], "second"))
    train(one, 3, ("third", "model"))
    assert (number(other), number(other, (MODEL[0], "second"))) == (1, 2)
    one.remove(MODEL[:1])
    one.remove(MODEL[:1])
    one.remove(("never", "there"))
    assert not one.exists(MODEL)
    assert (number(one), number(other), number(other, (MODEL[0], "second"))) == (None, None, None)
    assert one.listing(()) == ["third"]
    assert number(other, ("third", "model")) == 3
    train(other, 4)
    assert (number(one), number(other)) == (4, 4)


def test_an_error_publishes_nothing(base, server):
    one = server(base)
    train(one, 1)
    with pytest.raises(KeyError), one.checkout(MODEL, write=True):
        raise KeyError
    if isinstance(base, str):
        with pytest.raises(ZeroDivisionError):
            train(one, 2, then=lambda: 1 // 0)
        assert one.listing((*MODEL, "classifier")) == ["current", "v00000001"]
    assert (number(one), number(server(base))) == (1, 1)


def test_a_run_without_a_model(base, server):
    with server(base).checkout(MODEL, write=True) as folder:
        (folder / "logs" / "5").mkdir(parents=True)
        (folder / "logs" / "5" / "info.log").write_text("evaluated")
    assert server(base).listing(MODEL) == ["logs"]
    assert number(server(base)) is None


@pytest.mark.parametrize(
    "parts",
    [("..",), ("a", ".."), ("a", "."), ("",), ("a/b",), ("a\\b",), ("/etc",), (".lease",), ("a\0",), ("*",),
     ("a" * 256,), ("c:",), ("ü",), ("a\n",), (7,)],
)  # fmt: skip
def test_a_part_that_is_no_plain_name(base, server, parts, tmp_path):
    storage = server(base)
    calls = [storage.exists, storage.listing, storage.remove]
    calls += [lambda given, write=write: storage.checkout(given, write=write).__enter__() for write in (True, False)]
    for call in calls:
        with pytest.raises(StorageError, match=r"^.* cannot be the name of a directory in the base; .*\.$"):
            call(("id", *parts))
    assert not (tmp_path / "base").exists()


def test_the_base_itself_is_no_model(base, server):
    for call in (server(base).remove, lambda parts: server(base).checkout(parts, write=False).__enter__()):
        with pytest.raises(StorageError, match="The base itself"):
            call(())


def test_a_storage_is_pickled(base, server):
    storage = server(base)
    train(storage, 1)
    assert number(pickle.loads(pickle.dumps(storage))) == 1


def test_describe(base, server):
    told = server(base).describe()
    assert told == (f"the directory {base}" if not isinstance(base, str) else base)


# ---- directories ----


def test_a_directory_is_used_in_place(tmp_path):
    with open_storage(tmp_path).checkout(MODEL, write=True) as folder:
        assert folder == tmp_path.joinpath(*MODEL)


@posix
def test_a_link_that_leads_out_of_the_base(tmp_path):
    (tmp_path / "base").mkdir()
    (tmp_path / "outside" / "model").mkdir(parents=True)
    (tmp_path / "base" / "id").symlink_to(tmp_path / "outside")
    storage = open_storage(tmp_path / "base")
    for call in (storage.remove, storage.listing, lambda parts: storage.checkout(parts, write=True).__enter__()):
        with pytest.raises(StorageError, match="is outside the base"):
            call(("id", "model"))
    assert (tmp_path / "outside" / "model").is_dir()


def test_a_base_that_is_a_file(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(StorageError, match="is not a directory"):
        open_storage(tmp_path / "file").describe()


def test_a_directory_needs_no_fsspec(tmp_path):
    code = """
import sys
from moodlemlbackend.storage import open_storage
storage = open_storage(sys.argv[1])
storage.describe(), storage.listing(()), storage.exists(("a", "b")), storage.remove(("a", "b"))
with storage.checkout(("a", "b"), write=True):
    print(*sorted({name.partition(".")[0] for name in sys.modules} & {"fsspec", "s3fs", "numpy", "asyncio"}))
"""
    done = subprocess.run([sys.executable, "-c", code, tmp_path], cwd=ROOT, capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("\n", "")


# ---- choosing a base ----


@pytest.mark.parametrize(
    ("bucket", "directory", "base"),
    [("", "", None), ("", " /srv/models ", "/srv/models"), ("moodle-models", "/srv/models", "s3://moodle-models")],
)
def test_settings_of_the_reference(bucket, directory, base):
    given = {"MOODLE_MLBACKEND_PYTHON_S3_BUCKET_NAME": bucket, "MOODLE_MLBACKEND_PYTHON_DIR": directory}
    assert base_of_reference(given) == base
    assert base_of_reference({}) is None


def test_a_bucket_that_cannot_be_one():
    with pytest.raises(UsageError, match=r"S3_BUCKET_NAME is 'a/\.\./b'"):
        base_of_reference({"MOODLE_MLBACKEND_PYTHON_S3_BUCKET_NAME": "a/../b"})


@pytest.mark.parametrize("url", ["s3://bucket/*", "s3://bucket?x=1", "simplecache::s3://bucket", "s3://b/#", ""])
def test_a_base_that_cannot_be_used(url, tmp_path):
    with pytest.raises(UsageError, match=r"^The base .*\.$"):
        open_storage(url, cache=tmp_path).describe()


@pytest.mark.parametrize(
    ("url", "reason"),
    [("nosuch://me:secret@host/x", "the file system"), ("http://me:secret@127.0.0.1:9/", "does not answer")],
)
def test_no_secret_is_told(url, reason, tmp_path):
    with pytest.raises(StorageError, match=reason) as told:
        open_storage(url, cache=tmp_path).describe()
    assert re.match(r"^Cannot use \w+://(host|127.0.0.1:9)/?x?: [^.]*\.$", str(told.value))


def test_the_usual_cache_is_private(tmp_path, monkeypatch, memory):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    storage = open_storage("memory://base")
    train(storage, 1)
    assert number(storage) == 1
    (folder,) = tmp_path.iterdir()
    assert os.name == "nt" or folder.stat().st_mode & 0o777 == 0o700


# ---- publishing ----


def test_the_version_before_and_what_readers_may_be_fetching_stay(memory, server, monkeypatch):
    storage = server("memory://base")
    for count in (1, 2, 3, 4):
        train(storage, count)
    classifier = (*MODEL, "classifier")
    assert storage.listing(classifier) == ["current", *(f"v0000000{count}" for count in (1, 2, 3, 4))]
    monkeypatch.setattr(remote, "GRACE_SECONDS", 0.0)
    train(storage, 5)
    assert storage.listing(classifier) == ["current", "v00000004", "v00000005"]
    (cache,) = storage._cache.joinpath(*MODEL).iterdir()
    assert sorted(path.name for path in cache.iterdir()) == ["current", "v00000004", "v00000005"]


def test_what_a_killed_publication_left_is_neither_read_nor_mixed_with_another(memory, server, monkeypatch):
    one = server("memory://base")
    train(one, 1)
    key = "/".join(MODEL) + "/classifier"
    memory.put(f"{key}/v00000002/arrays.safetensors", b"half")
    assert number(server("memory://base")) == 1
    train(one, 2)
    assert (number(one), number(server("memory://base"))) == (2, 2)
    assert memory.get(f"{key}/current")[:9] == b"v00000003"
    monkeypatch.setattr(remote, "GRACE_SECONDS", 0.0)
    train(one, 3)
    assert one.listing((*MODEL, "classifier")) == ["current", "v00000003", "v00000004"]


def test_damage_on_the_base_is_told(memory, server):
    one = server("memory://base")
    train(one, 1)
    key = "/".join(MODEL) + "/classifier"
    for name in ("v00000001/arrays.safetensors", "v00000001/manifest.json", "current"):
        whole = memory.get(f"{key}/{name}")
        for damage in (whole[:-3] + b"abc", whole[:-3], b""):
            memory.put(f"{key}/{name}", damage)
            with pytest.raises(ModelError, match=r"^The trained model \S+ in memory://base is damaged; .*\.$"):
                number(server("memory://base"))
        if name != "current":
            memory.remove(f"{key}/{name}")
            with pytest.raises(ModelError, match="is damaged"):
                number(server("memory://base"))
        memory.put(f"{key}/{name}", whole)
    assert number(server("memory://base")) == 1


def test_another_model_under_a_known_number_is_fetched(memory, server):
    one, other = server("memory://base"), server("memory://base")
    train(one, 1)
    assert number(other) == 1
    server("memory://base").remove(MODEL)
    train(one, 7)
    assert memory.get("/".join(MODEL) + "/classifier/current")[:9] == b"v00000001"
    assert (number(one), number(other)) == (7, 7)


@pytest.mark.parametrize("error", [StorageError("The bucket is closed."), OSError(5, "Input/output error")])
def test_a_model_is_in_force_though_nothing_can_be_tidied_after_it(memory, server, monkeypatch, error):
    def fail(*_: Any) -> None:
        raise error

    storage = server("memory://base")
    train(storage, 1)
    with monkeypatch.context() as patched:
        patched.setattr(remote._Publication, "_prune", fail)
        train(storage, 2)
    assert number(storage) == number(server("memory://base")) == 2
    train(storage, 3)
    assert number(storage) == 3


def test_models_of_the_reference_package_are_fetched(memory, server):
    key = "/".join(MODEL) + "/classifier"
    memory.put(f"{key}/classifier.pkl", b"pickled")
    memory.put(f"{key}/model.ckpt/variables/variables.index", b"index")
    memory.put(f"{key}/unrelated", b"")
    storage = server("memory://base")
    for write in (False, True, False):
        with storage.checkout(MODEL, write=write) as folder:
            found = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
            assert found == {"classifier/classifier.pkl", "classifier/model.ckpt/variables/variables.index"}
    train(storage, 1)
    assert number(server("memory://base")) == 1


def test_an_object_whose_name_leads_elsewhere(memory, server, tmp_path):
    memory.put("/".join(MODEL) + "/logs/1/../../../../../../outside", b"x")
    with pytest.raises(StorageError, match="has an object named"):
        server("memory://base").checkout((*MODEL, "logs", "1"), write=False).__enter__()
    assert not list(tmp_path.rglob("outside"))


def test_work_folders_of_killed_processes_are_swept(memory, server):
    storage = server("memory://base")
    left = storage._cache / ".work" / "abandoned"
    left.mkdir(parents=True)
    (left / "file").touch()
    left.with_suffix(".lock").touch()
    with storage.checkout(MODEL, write=True):
        train(storage, 1, ("another", "model"))
        assert len(list((storage._cache / ".work").glob("*.lock"))) == 1
    assert [path.name for path in (storage._cache / ".work").iterdir()] in ([".sweep"], [])


@posix
def test_a_killed_trainer_of_this_machine_is_not_waited_for(tmp_path):
    code = """
import os, sys, time
from pathlib import Path
from moodlemlbackend.storage import lease, open_storage
lease.SETTLE_SECONDS = 0.02
with open_storage(sys.argv[1], cache=Path(sys.argv[2])).checkout(("id", "model"), write=True):
    print("training", flush=True)
    time.sleep(60)
"""
    base, cache = f"file://{tmp_path}/base", tmp_path / "cache"
    command = [sys.executable, "-c", code, base, cache]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE) as trainer:
        assert trainer.stdout.readline() == b"training\n"
        with pytest.raises(StorageError, match="Another server has been training"):
            train(open_storage(base, cache=cache, wait=0.1), 1, ("id", "model"))
        trainer.kill()
        trainer.wait()
        train(open_storage(base, cache=cache, wait=0.1), 1, ("id", "model"))


def test_readers_in_threads_while_models_are_replaced(memory, server):
    writer, reader = server("memory://base"), server("memory://base")
    train(writer, 1)
    seen, errors = [], []

    def read() -> None:
        try:
            while not seen or seen[-1] < 12:
                seen.append(number(reader))
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=read) for _ in range(3)]
    for thread in threads:
        thread.start()
    for count in range(2, 13):
        train(writer, count)
    for thread in threads:
        thread.join()
    assert not errors
    assert set(seen) <= set(range(1, 13))


# ---- leases ----


def hold(url: str, server, *, wait: float = 0.0, parts=MODEL) -> ExitStack:
    """Check out for writing until the stack is closed."""
    stack = ExitStack()
    stack.enter_context(server(url, wait=wait).checkout(parts, write=True))
    return stack


@pytest.mark.parametrize("url", ["memory://base", "file"])
def test_one_trainer_at_a_time(memory, server, tmp_path, url):
    url = f"file://{tmp_path}/base" if url == "file" else url
    with hold(url, server):
        with pytest.raises(StorageError, match=r"^Another server has been training \S+ in \S+ for more than 0.1 s"):
            hold(url, server, wait=0.1)
        hold(url, server, parts=("another", "model")).close()
        assert number(server(url)) is None
        assert server(url).listing(MODEL) == []
    hold(url, server).close()


def test_the_second_trainer_begins_where_the_first_ended(memory, server):
    one, other = server("memory://base"), server("memory://base")
    began = []

    def second() -> None:
        with other.checkout(MODEL, write=True) as folder:
            began.append(ModelStore(folder).current().settings["number"])
            publish(folder, 2)

    with one.checkout(MODEL, write=True) as folder:
        thread = threading.Thread(target=second)
        thread.start()
        time.sleep(0.2)
        publish(folder, 1)
        assert not began
    thread.join()
    assert (began, number(one)) == ([1], 2)


def test_a_lease_is_renewed_while_it_is_held_and_ends_when_it_is_not(memory, server, monkeypatch):
    monkeypatch.setattr(lease, "LEASE_SECONDS", 0.3)
    monkeypatch.setattr(lease, "SKEW_SECONDS", 0.1)
    with hold("memory://base", server), pytest.raises(StorageError, match="Another server"):
        hold("memory://base", server, wait=1.0)
    memory.put("/".join(MODEL) + "/.lease", json.dumps({"owner": "x", "expires": time.time(), "version": 4}).encode())
    start = time.monotonic()
    train(server("memory://base", wait=5), 1)
    assert time.monotonic() - start > 0.05
    assert memory.get("/".join(MODEL) + "/classifier/current")[:9] == b"v00000005", "4 may still be being written"


@pytest.mark.parametrize("content", [b'{"owner": "x", "expires": 1e18, "version": 0}', b"half", b""])
def test_a_lease_that_never_changes_ends_too(memory, server, monkeypatch, content):
    monkeypatch.setattr(lease, "LEASE_SECONDS", 0.3)
    monkeypatch.setattr(lease, "SKEW_SECONDS", 0.1)
    memory.put("/".join(MODEL) + "/.lease", content)
    with pytest.raises(StorageError, match="Another server"):
        hold("memory://base", server, wait=0.1)
    hold("memory://base", server, wait=5.0).close()


def test_a_training_whose_model_is_removed_publishes_nothing(memory, server):
    storage = server("memory://base")
    train(storage, 1)
    with pytest.raises(StorageError, match=r"^Nothing was published, because the model has since been removed, .*\.$"):
        train(storage, 2, then=lambda: server("memory://base").remove(MODEL[:1]))
    assert number(storage) is None
    assert memory.names() == []


def test_a_training_that_lost_its_lease_publishes_nothing(memory, server, monkeypatch):
    monkeypatch.setattr(lease, "SKEW_SECONDS", 0.0)
    slow, quick = server("memory://base"), server("memory://base")
    train(slow, 1)

    def sleep_past_the_end() -> None:
        memory.put("/".join(MODEL) + "/.lease", b'{"owner": "x", "expires": 0, "version": 0}')
        train(quick, 3)

    with pytest.raises(StorageError, match="another server has started to train it"):
        train(slow, 2, then=sleep_past_the_end)
    assert (number(slow), number(quick)) == (3, 3)
