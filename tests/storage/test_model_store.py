"""The trained model on disk: whole or not at all, and nothing from outside is trusted."""

from __future__ import annotations

import hashlib
import io
import json
import os
import pickle
import re
import subprocess
import sys
import tempfile
import tracemalloc
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.numpy import load_file

from fixtures.paths import ROOT, posix
from moodlemlbackend import __version__
from moodlemlbackend.errors import BackendError, ModelError, StorageError
from moodlemlbackend.storage.layout import ARRAYS
from moodlemlbackend.storage.model_store import ModelStore
from moodlemlbackend.storage.stored_model import DTYPES, FORMAT, HEADER_BYTES, read_model, write_model

ARRAYS_WRITTEN = {"weights.0": np.arange(12, dtype=np.float32).reshape(3, 4), "memory_x": np.arange(5, dtype=np.int16)}


def publish(store: ModelStore, number: int = 1, arrays=None):
    with store.lock():
        return store.publish("tester", {"number": number}, ARRAYS_WRITTEN if arrays is None else arrays)


def versions(store: ModelStore) -> list[str]:
    return sorted(path.name for path in store.folder.glob("v*"))


def script(code: str, *arguments: object, **options) -> subprocess.CompletedProcess[str]:
    preamble = "import os, sys, time\nimport numpy as np, filelock\nfrom pathlib import Path\n"
    preamble += "from moodlemlbackend.errors import *\nfrom moodlemlbackend.storage.model_store import ModelStore\n"
    preamble += "from moodlemlbackend.storage.stored_model import read_model\n"
    command = [sys.executable, "-c", preamble + code, *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=60, **options)


# ---- publishing and reading ----


def test_nothing_trained(tmp_path):
    assert ModelStore(tmp_path / "not there").current() is None
    assert ModelStore(tmp_path).current() is None
    with ModelStore(tmp_path).lock():
        assert ModelStore(tmp_path).current() is None


def test_what_is_published_is_read_back(tmp_path):
    given_settings = {"columns": ["a", "ü"], "nested": {"x": [1.5, None, True]}, "tuple": (1, 2), 7: "int key"}
    with ModelStore(tmp_path).lock() as nothing:
        assert nothing is None
    store = ModelStore(tmp_path)
    with store.lock():
        published = store.publish("tester", given_settings, ARRAYS_WRITTEN)
    model = ModelStore(tmp_path).current()
    assert model == published
    assert (model.processor, model.package) == ("tester", __version__)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+00:00", model.created)
    assert model.settings == {
        "columns": ["a", "ü"],
        "nested": {"x": [1.5, None, True]},
        "tuple": [1, 2],
        "7": "int key",
    }
    for name, array in model.arrays("memory_x", "weights.0").items():
        assert array.dtype == ARRAYS_WRITTEN[name].dtype
        np.testing.assert_array_equal(array, ARRAYS_WRITTEN[name])
    assert model.arrays() == {}
    with pytest.raises(ModelError, match="has no array 'bias'"):
        model.array("bias")


def test_every_kind_of_array(tmp_path):
    arrays = {name: np.array([[0, 1], [1, 0], [1, 1]]).astype(name) for name in sorted(DTYPES)}
    arrays |= {
        "scalar": np.float64(np.nan).reshape(()),
        "empty": np.empty((0, 3), np.float32),
        "fortran": np.asfortranarray(np.arange(6.0).reshape(2, 3)),
        "strided": np.arange(20)[::3],
        "big-endian": np.arange(3, dtype=">i4"),
    }
    publish(ModelStore(tmp_path), arrays=arrays)
    for name, array in ModelStore(tmp_path).current().arrays(*arrays).items():
        assert array.shape == arrays[name].shape
        assert array.dtype == arrays[name].dtype.newbyteorder("=")
        assert array.flags.c_contiguous
        assert array.flags.writeable
        np.testing.assert_array_equal(array, arrays[name])
        mapped = replace(ModelStore(tmp_path).current(), mapped=True).array(name)
        assert (mapped.dtype, mapped.shape) == (array.dtype, array.shape)
        np.testing.assert_array_equal(mapped, array)
        assert not mapped.flags.writeable or not mapped.size


@pytest.mark.parametrize(
    ("name", "array", "error"),
    [
        ("../x", np.zeros(1), ValueError),
        ("Weights", np.zeros(1), ValueError),
        ("", np.zeros(1), ValueError),
        ("x" * 65, np.zeros(1), ValueError),
        ("x", np.array(["text"]), TypeError),
        ("x", np.array([object()]), TypeError),
        ("x", np.zeros(1, np.complex64), TypeError),
        ("x", np.zeros(1, [("a", "i4")]), TypeError),
    ],
)
def test_what_the_format_does_not_know_is_not_written(tmp_path, name, array, error):
    store = ModelStore(tmp_path)
    publish(store)
    with pytest.raises(error):
        publish(store, arrays={"fine": np.zeros(1), name: array})
    with pytest.raises(ValueError, match="JSON"), store.lock():
        store.publish("tester", {"x": float("nan")}, {})
    assert versions(store) == ["v00000001"]
    assert store.current().settings == {"number": 1}


def test_the_version_before_stays_and_older_ones_and_leftovers_go(tmp_path):
    store = ModelStore(tmp_path)
    publish(store, 1)
    old = store.current()
    publish(store, 2)
    np.testing.assert_array_equal(old.array("weights.0"), ARRAYS_WRITTEN["weights.0"])
    (store.folder / "v00000009").mkdir()
    (store.folder / "v00000009" / ARRAYS).write_bytes(b"half")
    (store.folder / ".new-current").write_bytes(b"v0000")
    assert store.current().settings == {"number": 2}
    publish(store, 3)
    assert versions(store) == ["v00000002", "v00000010"]
    assert sorted(path.name for path in store.folder.iterdir()) == ["current", "lock", *versions(store)]
    with pytest.raises(ModelError):
        old.array("weights.0")


def test_publishing_needs_the_lock(tmp_path):
    store = ModelStore(tmp_path)
    with pytest.raises(RuntimeError):
        store.publish("tester", {}, {})
    with store.lock(), store.lock():
        pass
    with pytest.raises(RuntimeError):
        store.publish("tester", {}, {})


def test_a_reader_whose_model_is_replaced_reads_again(tmp_path):
    store, seen = ModelStore(tmp_path), []
    publish(store, 0)

    def use(model):
        seen.append(model.settings["number"])
        if len(seen) < 3:
            publish(store, len(seen) * 2 - 1)
            publish(store, len(seen) * 2)
        return model.array("weights.0")

    np.testing.assert_array_equal(ModelStore(tmp_path).read(use), ARRAYS_WRITTEN["weights.0"])
    assert seen == [0, 2, 4]


def test_clear(tmp_path):
    store = ModelStore(tmp_path)
    store.clear()
    assert not store.folder.exists()
    publish(store)
    (store.folder / "classifier.pkl").write_bytes(b"")
    (store.folder / "model.ckpt").mkdir()
    (store.folder / "model.ckpt" / "saved_model.pb").write_bytes(b"")
    (store.folder / "notes.txt").write_text("mine")
    store.clear()
    assert sorted(path.name for path in store.folder.iterdir()) == ["lock", "notes.txt"]


# ---- export and import ----


def test_a_model_travels_through_a_folder(tmp_path):
    store = ModelStore(tmp_path / "here")
    publish(store, 5)
    exported = store.current().copy_to(tmp_path / "export", without={"memory_x"})
    assert sorted(path.name for path in (tmp_path / "export").iterdir()) == [ARRAYS, "manifest.json"]
    arrived = read_model(tmp_path / "export")
    assert arrived == exported
    assert arrived.created == store.current().created
    other = ModelStore(tmp_path / "there")
    with other.lock():
        other.publish(arrived.processor, arrived.settings, arrived.arrays(*arrived.specs))
    assert other.current().settings == {"number": 5}
    assert list(other.current().specs) == ["weights.0"]


def test_a_folder_without_a_model(tmp_path):
    with pytest.raises(ModelError, match="it is missing"):
        read_model(tmp_path)


# ---- damage ----


def damaged(data: bytes, position: int) -> bytes:
    return data[:position] + bytes([data[position] ^ 1]) + data[position + 1 :]


def load_all(store: ModelStore):
    model = store.current()
    return model, model.arrays(*model.specs)


@pytest.mark.parametrize("file", ["current", "manifest.json", ARRAYS])
def test_any_damaged_byte_is_found(tmp_path, file):
    store = ModelStore(tmp_path)
    publish(store, 1)
    publish(store, 2)
    path = store.folder / file if file == "current" else store.folder / "v00000002" / file
    data, intact = path.read_bytes(), store.current()
    for position in range(len(data)):
        path.write_bytes(damaged(data, position))
        try:
            model, _ = load_all(store)
        except ModelError as error:
            assert str(store.folder) in str(error)  # noqa: PT017
        else:
            assert model == intact, f"byte {position} changed the model unnoticed"
            assert file == "current" or (file == "manifest.json" and data[position : position + 1] == b" ")
    for changed in (data[:-2], data + b"12", b"", None):
        path.unlink(missing_ok=True)
        if changed is not None:
            path.write_bytes(changed)
        elif file == "current":
            continue
        with pytest.raises(ModelError, match=re.escape(file)):
            load_all(store)


def test_damage_in_what_is_not_read_does_no_harm(tmp_path):
    store = ModelStore(tmp_path)
    publish(store)
    path = store.folder / "v00000001" / ARRAYS
    content = path.read_bytes()
    numbers = ARRAYS_WRITTEN["memory_x"].tobytes()
    path.write_bytes(content.replace(numbers, bytes(len(numbers))))
    with pytest.raises(ModelError, match="the checksum of its array memory_x differs"):
        store.current().array("memory_x")
    np.testing.assert_array_equal(store.current().array("weights.0"), ARRAYS_WRITTEN["weights.0"])


def test_a_damaged_model_can_be_replaced(tmp_path):
    store = ModelStore(tmp_path)
    publish(store, 1)
    (store.folder / "current").write_text("nonsense")
    publish(store, 2)
    assert store.current().settings == {"number": 2}


# ---- models made by somebody else ----


def forge(folder: Path, change) -> None:
    """Change a model's manifest and give it the right checksum again, as somebody with ill intent would."""
    path = folder / "manifest.json"
    manifest = json.loads(path.read_text())
    del manifest["sha256"]
    manifest = change(manifest) or manifest
    if isinstance(manifest, dict):
        manifest["sha256"] = hashlib.sha256(json.dumps(manifest, sort_keys=True).encode()).hexdigest()
    path.write_text(json.dumps(manifest))


def change_array(**values):
    def change(manifest):
        for key, value in values.items():
            if value is None:
                del manifest["arrays"]["x"][key]
            else:
                manifest["arrays"]["x"][key] = value

    return change


@pytest.mark.parametrize(
    "change",
    [
        change_array(dtype="object"),
        change_array(dtype="float16"),
        change_array(dtype=["float32"]),
        change_array(dtype="float64"),
        change_array(shape=[3, 4]),
        change_array(shape=[-1, -4]),
        change_array(shape=[2, True, 2]),
        change_array(shape=[1 << 62, 1 << 62]),
        change_array(shape=[1 << 61, 0]),
        change_array(shape=[1] * 100 + [4]),
        change_array(shape=4),
        change_array(shape=[4.0]),
        change_array(sha256="0" * 64),
        change_array(sha256=5),
        lambda manifest: manifest["arrays"].update({"../../x": manifest["arrays"].pop("x")}),
        lambda manifest: manifest["arrays"].update({"X": manifest["arrays"].pop("x")}),
        lambda manifest: manifest.update(arrays=[1]),
        lambda manifest: manifest.update(settings=[1]),
        lambda manifest: manifest.update(processor=None),
        lambda manifest: manifest.update(format="1"),
        lambda manifest: manifest.update(format=0),
        lambda manifest: manifest["arrays"].update(x="arrays.safetensors"),
        lambda manifest: manifest.pop("created") and None,
        lambda manifest: [manifest],
        lambda manifest: "text",
    ],
)
def test_a_forged_manifest_is_refused(tmp_path, change):
    write_model(tmp_path / "in", "tester", {}, {"x": np.zeros((2, 2), np.float32), "y": np.ones((2, 2), np.float32)})
    forge(tmp_path / "in", change)
    with pytest.raises(ModelError):
        read_model(tmp_path / "in").array("x")


@pytest.mark.parametrize("text", ["[" * 100_000, "{", '{"format": NaN}', "\ud800", '{"format": 1' + "0" * 5000 + "}"])
def test_a_manifest_that_is_no_json_is_refused(tmp_path, text):
    (tmp_path / "manifest.json").write_bytes(text.encode(errors="surrogatepass"))
    with pytest.raises(ModelError):
        read_model(tmp_path)


def test_a_newer_format_asks_for_a_newer_package(tmp_path):
    write_model(tmp_path, "tester", {}, {})
    forge(tmp_path, lambda manifest: manifest.update(format=FORMAT + 1, arrays="otherwise"))
    with pytest.raises(ModelError, match="upgrade moodlemlbackend"):
        read_model(tmp_path)


class Malice:
    def __reduce__(self):
        return (os.mkdir, (str(Malice.target),))


def replace_arrays(folder: Path, data: bytes) -> None:
    """Put another file in place of the arrays, and in the manifest the checksum of its last bytes for the array x."""
    (folder / ARRAYS).write_bytes(data)
    size = read_model(folder).specs["x"].nbytes
    forge(folder, change_array(sha256=hashlib.sha256(data[len(data) - size :]).hexdigest()))


def container(header: object, numbers: bytes, length: int | None = None) -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return (len(text) if length is None else length).to_bytes(8, "little") + text + numbers


def test_a_pickle_is_neither_read_nor_run(tmp_path):
    write_model(tmp_path, "tester", {}, {"x": np.zeros(4)})
    Malice.target = tmp_path / "executed"
    buffer = io.BytesIO()
    np.save(buffer, np.array([Malice(), 2], object), allow_pickle=True)
    pickled = pickle.dumps(Malice())
    for data in (buffer.getvalue(), pickled, container(pickled, bytes(32)), container({"x": "pickle"}, pickled)):
        for size in (4, len(data) // 8 - 1):
            forge(tmp_path, change_array(shape=[max(0, size)]))
            replace_arrays(tmp_path, data)
            with pytest.raises(ModelError):
                read_model(tmp_path).array("x")
    assert not Malice.target.exists()


FITTING = {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]}


@pytest.fixture(scope="module")
def model_folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("model")
    write_model(folder, "tester", {}, {"x": np.zeros((2, 3), np.float32)})
    return folder


@pytest.mark.parametrize("mapped", [False, True])
@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"1234567",
        container(FITTING, bytes(24)),
        container({"x": FITTING}, bytes(23)),
        container({"x": FITTING}, bytes(25)),
        container({"x": FITTING}, bytes(24), length=0),
        container({"x": FITTING}, bytes(24), length=1 << 40),
        container({"x": FITTING}, bytes(24), length=(1 << 64) - 24),
        container({"y": FITTING}, bytes(24)),
        container({"x": [FITTING]}, bytes(24)),
        container({"x": {**FITTING, "dtype": "F64"}}, bytes(24)),
        container({"x": {**FITTING, "dtype": ["F32"]}}, bytes(24)),
        container({"x": {**FITTING, "shape": [3, 2]}}, bytes(24)),
        container({"x": {**FITTING, "shape": None}}, bytes(24)),
        *(
            container({"x": {**FITTING, "data_offsets": offsets}}, bytes(24))
            for offsets in ([24, 48], [-24, 0], [0, 25], [24, 0], [0], [0, 24, 48], "024", None, [0, "a"], [0, 1e400])
        ),
        container(b"[" * 100_000, bytes(24)),
        container(b'{"x": ' + b"1" * 5000 + b"}", bytes(24)),
        container(b"\xff", bytes(24)),
        container(b" " * (HEADER_BYTES + 1), bytes(24)),
    ],
)
def test_a_forged_arrays_file_is_refused(model_folder, data, mapped):
    replace_arrays(model_folder, data)
    with pytest.raises(ModelError, match=re.escape(str(model_folder / ARRAYS))):
        replace(read_model(model_folder), mapped=mapped).array("x")


@settings(max_examples=300, deadline=None)
@given(position=st.integers(0, 80), junk=st.binary(max_size=6), cut=st.integers(0, 6))
def test_a_damaged_header_gives_the_array_or_an_error(model_folder, position, junk, cut):
    header = container({"x": FITTING}, b"")
    replace_arrays(model_folder, header[:position] + junk + header[position + cut :] + bytes(24))
    try:
        array = read_model(model_folder).array("x")
    except ModelError:
        return
    assert array.shape == (2, 3)
    assert array.dtype == np.float32
    assert not array.any()


def test_a_header_that_claims_more_than_there_is_takes_no_memory(tmp_path):
    write_model(tmp_path, "tester", {}, {"x": np.zeros(4)})
    forge(tmp_path, change_array(shape=[1 << 40]))
    entry = {"dtype": "F64", "shape": [1 << 40], "data_offsets": [0, 8 << 40]}
    (tmp_path / ARRAYS).write_bytes(container({"x": entry}, bytes(32)))
    tracemalloc.start()
    with pytest.raises(ModelError, match="its size does not match"):
        read_model(tmp_path).array("x")
    assert tracemalloc.get_traced_memory()[1] < 1 << 20
    tracemalloc.stop()


def test_a_bool_that_is_none_is_refused(tmp_path):
    write_model(tmp_path, "tester", {}, {"x": np.array([True])})
    replace_arrays(tmp_path, (tmp_path / ARRAYS).read_bytes()[:-1] + b"\x02")
    with pytest.raises(ModelError, match="not Boolean"):
        read_model(tmp_path).array("x")


def test_other_tools_read_the_arrays(tmp_path):
    write_model(tmp_path, "tester", {}, ARRAYS_WRITTEN)
    found = load_file(tmp_path / ARRAYS)
    assert set(found) == set(ARRAYS_WRITTEN)
    for name, array in ARRAYS_WRITTEN.items():
        np.testing.assert_array_equal(found[name], array)


@posix
@pytest.mark.parametrize("name", ["manifest.json", ARRAYS])
def test_links_and_pipes_are_refused(tmp_path, name):
    write_model(tmp_path / "in", "tester", {}, {"x": np.zeros(4)})
    path = tmp_path / "in" / name
    path.rename(tmp_path / name)
    for make in (lambda: path.symlink_to(tmp_path / name), lambda: os.mkfifo(path), path.mkdir):
        make()
        with pytest.raises(ModelError, match="not a regular file"):
            read_model(tmp_path / "in").array("x")
        path.rmdir() if path.is_dir() else path.unlink()


def test_foreign_files(tmp_path):
    store = ModelStore(tmp_path)
    store.folder.mkdir()
    (store.folder / ".nfs000001").write_text("")
    assert store.current() is None
    (store.folder / "model.onnx").write_text("")
    with pytest.raises(ModelError, match=r"model\.onnx"):
        store.current()


def test_a_model_of_the_reference_package_is_left_alone(tmp_path):
    store = ModelStore(tmp_path)
    store.folder.mkdir()
    (store.folder / "classifier.pkl").write_bytes(b"theirs")
    (store.folder / "model.ckpt").mkdir()
    assert store.current() is None
    publish(store, 1)
    assert store.current().settings == {"number": 1}
    assert (store.folder / "classifier.pkl").read_bytes() == b"theirs"
    assert (store.folder / "model.ckpt").is_dir()


# ---- locks, kills, full and read-only disks ----


def test_two_trainers_of_one_model(tmp_path):
    code = """
with ModelStore(Path(sys.argv[1])).lock():
    print("held", flush=True)
    time.sleep(60)
"""
    preamble = (
        "import sys, time; from pathlib import Path; from moodlemlbackend.storage.model_store import ModelStore\n"
    )
    holder = subprocess.Popen([sys.executable, "-c", preamble + code, tmp_path], cwd=ROOT, stdout=subprocess.PIPE)
    try:
        assert holder.stdout.readline() == b"held\n"
        store = ModelStore(tmp_path)
        with pytest.raises(StorageError, match=r"lock for more than 0\.2 seconds"), store.lock(wait=0.2):
            pass
        assert store.current() is None
    finally:
        holder.kill()
        holder.wait()
        holder.stdout.close()
    publish(store)
    assert store.current() is not None


@posix
def test_killed_at_any_moment_a_reader_gets_a_whole_model(tmp_path):
    code = """
import random, signal
store = ModelStore(Path(sys.argv[1]))
names = [f"a{i}" for i in range(6)]
def publish(number):
    with store.lock():
        store.publish("tester", {"number": number}, {name: np.full((200, 100), number) for name in names})
def whole(model):
    number = model.settings["number"]
    assert all((array == number).all() for array in model.arrays(*names).values())
    return number
begin = time.monotonic()
publish(0)
publish(0)
pace = time.monotonic() - begin
seen, half, kills = [0], 0, 0
while kills < 40 or len(set(seen)) < 10 or half < 3:
    kills, known = kills + 1, len(set(seen))
    assert kills < 1000, (len(set(seen)), half)
    publisher = os.fork()
    if publisher == 0:
        store, number = ModelStore(store.folder.parent), seen[-1]
        while True:
            number += 1
            publish(number)
    end = time.monotonic() + random.uniform(0, pace)
    while time.monotonic() < end:
        seen.append(store.read(whole))
    os.kill(publisher, signal.SIGKILL)
    os.waitpid(publisher, 0)
    half += any(not (folder / "manifest.json").exists() for folder in store.folder.glob("v*"))
    seen.append(store.read(whole))
    pace *= 1.1 if len(set(seen)) == known else 0.97
assert seen == sorted(seen), "a reader went back in time"
publish(seen[-1] + 1)
assert len(list(store.folder.glob("v*"))) == 2
"""
    result = script(code, tmp_path)
    assert result.returncode == 0, result.stderr


FULL = """
store = ModelStore(Path(sys.argv[1]))
with store.lock():
    store.publish("tester", {"number": 1}, {"x": np.zeros(1000)})
    LIMIT
    for _ in range(2):
        try:
            store.publish("tester", {"number": 2}, {"x": np.ones(1000), "y": np.random.rand(400_000)})
        except StorageError as error:
            print(error)
        else:
            sys.exit("published")
    assert [path.name for path in store.folder.glob("v*")] == ["v00000001"]
    assert store.current().settings == {"number": 1} and not store.current().array("x").any()
    store.publish("tester", {"number": 3}, {"x": np.ones(1000)})
    assert store.current().settings == {"number": 3}
"""


@posix
def test_a_full_disk_leaves_the_old_model(tmp_path):
    mounted = ["unshare", "--mount", "sh", "-c", 'mount -t tmpfs -o size=1m tmpfs "$0" && exec "$@"', str(tmp_path)]
    try:
        possible = subprocess.run([*mounted, "true"], capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        possible = False
    if not possible:
        pytest.skip("this user cannot mount a small file system")
    preamble = "import os, sys, time\nimport numpy as np\nfrom pathlib import Path\n"
    preamble += "from moodlemlbackend.errors import *\nfrom moodlemlbackend.storage.model_store import ModelStore\n"
    code = preamble + FULL.replace("LIMIT", "pass")
    result = subprocess.run(
        [*mounted, sys.executable, "-c", code, str(tmp_path)], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr
    assert result.stdout.count("No space left on device; free some space") == 2


@posix
def test_a_file_size_limit_leaves_the_old_model(tmp_path):
    limit = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))"
    result = script(FULL.replace("LIMIT", limit), tmp_path)
    assert result.returncode == 0, result.stderr
    assert result.stdout.count("File too large; raise the file size limit") == 2


@posix
def test_a_read_only_directory_can_be_read_and_says_why_it_is_not_written(tmp_path):
    folder = Path(tempfile.mkdtemp(dir="/tmp"))
    try:
        publish(ModelStore(folder))
        for path in [folder, *folder.rglob("*")]:
            path.chmod(0o555 if path.is_dir() else 0o444)
        code = """
if os.geteuid() == 0:
    os.setuid(65534)
store = ModelStore(Path(sys.argv[1]))
assert store.current().array("weights.0").shape == (3, 4)
for write in (lambda: store.lock().__enter__(), lambda: store.clear(), lambda: store.current().copy_to(store.folder)):
    try:
        write()
    except StorageError as error:
        print(error)
"""
        result = script(code, folder)
        assert result.returncode == 0, result.stderr
        lines = result.stdout.splitlines()
        assert len(lines) == 3
        assert all("Permission denied; give the user who runs this command access" in line for line in lines)
        assert all(str(folder) in line for line in lines)
    finally:
        subprocess.run(["rm", "-rf", folder], check=True)


@posix
@pytest.mark.parametrize("where", ["a file", "under a file", "/proc"])
def test_a_directory_that_cannot_be(tmp_path, where):
    (tmp_path / "file").write_text("")
    outputdir = {"a file": tmp_path / "file", "under a file": tmp_path / "file" / "x", "/proc": Path("/proc/nowhere")}
    store = ModelStore(outputdir[where])
    with pytest.raises(StorageError, match=re.escape(str(outputdir[where]))), store.lock():
        pass
    if where != "/proc":
        with pytest.raises(StorageError, match="there is a file where a directory is needed"):
            store.current()
        with pytest.raises(BackendError):
            write_model(outputdir[where], "tester", {}, {})
