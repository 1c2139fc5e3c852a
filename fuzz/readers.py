"""Coverage-guided fuzzing of everything that reads what came from outside.

``python fuzz/readers.py --seconds 600`` gives every reader its share of ten minutes, ``--target NAME`` one reader all
of it; needs ``atheris``. A reader may take its input or refuse it with a :class:`BackendError`: whatever else it
raises, and whatever it leaves outside its folder, is a fault, whose input is kept in ``--faults``.

Checksums would keep every changed input from getting far, so the harness seals its inputs again (models) or lets any
checksum pass (tensor bundles).
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import importlib
import io
import json
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

SEPARATOR = b"\n--and--\n"
MOST_BYTES = 1 << 20
LENGTH = 16_384


def data_set(data: bytes, folder: Path) -> None:
    from moodlemlbackend.dataset.courses import CourseFinder
    from moodlemlbackend.dataset.data_set import read_batches

    path = folder / "dataset.csv"
    path.write_bytes(data)
    header, batches = read_batches(path, labelled=None)
    finder = CourseFinder(header.columns)
    for batch in batches:
        finder.add(batch.features)


def archive(data: bytes, folder: Path) -> None:
    from moodlemlbackend.storage import archives

    path, target = folder / "in.zip", folder / "out"
    path.write_bytes(data)
    try:
        archives.unpack(path, target, entries=20, unpacked_bytes=MOST_BYTES)
    finally:
        written = [one for one in folder.rglob("*") if one != path and one.is_file()]
        assert sum(one.stat().st_size for one in written) <= MOST_BYTES + 65_536, "more than was allowed"
        assert not any(one.is_symlink() for one in folder.rglob("*")), "a link"
        assert {one.name for one in folder.iterdir()} <= {"in.zip", "out"}, "outside of its folder"


def model(data: bytes, folder: Path) -> None:
    from moodlemlbackend.operations.trained_models import processor_of
    from moodlemlbackend.storage import stored_model
    from moodlemlbackend.storage.layout import ARRAYS, MANIFEST

    text, _, arrays = data.partition(SEPARATOR)
    try:
        manifest: Any = json.loads(text)
        if isinstance(manifest, dict):
            manifest["sha256"] = stored_model._checksum(manifest)
            text = json.dumps(manifest).encode("ascii")
    except (ValueError, RecursionError):
        pass
    (folder / MANIFEST).write_bytes(text)
    (folder / ARRAYS).write_bytes(arrays)
    stored = stored_model.read_model(folder)
    processor = processor_of(stored)
    processor.load(stored).prove(str(folder))


def record(data: bytes, folder: Path) -> None:
    from moodlemlbackend.report.record import ARRAYS_NAME, JSON_NAME, read_record

    text, _, arrays = data.partition(SEPARATOR)
    (folder / JSON_NAME).write_bytes(text)
    (folder / ARRAYS_NAME).write_bytes(arrays)
    read_record(folder)


def package(data: bytes, folder: Path) -> None:
    from moodlemlbackend.analytics.lifecycle import packages
    from moodlemlbackend.storage import archives

    text, _, rest = data.partition(SEPARATOR)
    path = folder / "in.zip"
    if rest:
        with zipfile.ZipFile(path, "w") as file:
            file.writestr("model-config.json", text)
            file.writestr("dependencies.json", rest)
    else:
        path.write_bytes(data)
    archives.unpack(path, folder / "out", entries=20, unpacked_bytes=MOST_BYTES)
    configuration = packages._read_configuration(folder / "out")
    packages._check(configuration, {}, ignore_versions=False)


def pickled(data: bytes, folder: Path) -> None:
    from moodlemlbackend.reference.pickled import read_attributes

    path = folder / "classifier.pkl"
    path.write_bytes(data)
    read_attributes(path)


class _AnyChecksum:
    """Equal to whatever checksum a file has."""

    def __eq__(self, other: object) -> bool:
        return True

    def __ne__(self, other: object) -> bool:
        return False

    __hash__ = None  # type: ignore[assignment]


def bundle(data: bytes, folder: Path) -> None:
    from moodlemlbackend.reference import tensorbundle

    tensorbundle.masked_crc32c = lambda _: _AnyChecksum()  # type: ignore[assignment,return-value]
    index, _, content = data.partition(SEPARATOR)
    (folder / "variables.index").write_bytes(index)
    (folder / "variables.data-00000-of-00001").write_bytes(content)
    read = tensorbundle.TensorBundle(folder / "variables")
    for name in read.entries:
        read.floats(name)


def multipart(data: bytes, folder: Path) -> None:
    from starlette.requests import Request

    from moodlemlbackend.server.api.uploads import Scratch, receive
    from moodlemlbackend.settings.server import Limits

    chunks = [data[start : start + 512] for start in range(0, len(data), 512)] or [b""]

    async def body() -> dict[str, Any]:
        chunk = chunks.pop(0)
        return {"type": "http.request", "body": chunk, "more_body": bool(chunks)}

    scope = {
        "type": "http", "method": "POST", "path": "/", "query_string": b"", "state": {},
        "headers": [(b"content-type", b"multipart/form-data; boundary=here")],
    }  # fmt: skip
    scratch = Scratch(folder)
    asyncio.run(receive(Request(scope, body), scratch, files=("dataset",), allowed=Limits()))


TARGETS: dict[str, Callable[[bytes, Path], None]] = {
    "data_set": data_set,
    "archive": archive,
    "model": model,
    "record": record,
    "package": package,
    "pickled": pickled,
    "bundle": bundle,
    "multipart": multipart,
}

READERS = (
    "dataset.data_set", "dataset.courses", "storage.archives", "storage.stored_model", "processor.neural_network",
    "processor.logistic_regression", "report.record", "analytics.lifecycle.packages", "reference.pickled",
    "reference.tensorbundle", "server.api.uploads",
)  # fmt: skip
"""Modules whose coverage leads the fuzzer."""


# ---- seeds ----


def seeds(name: str, folder: Path) -> list[bytes]:
    """Inputs to begin with, all of them good."""
    if name == "data_set":
        return _data_sets(folder)
    if name in ("archive", "package"):
        return _archives()
    if name in ("model", "record"):
        return _trained(folder, name)
    if name == "multipart":
        head = b'--here\r\nContent-Disposition: form-data; name="dataset"; filename="x"\r\n\r\nrows\r\n'
        return [head + b'--here\r\nContent-Disposition: form-data; name="uniqueid"\r\n\r\n1\r\n--here--\r\n']
    shared = Path(__file__).resolve().parents[2] / "shared" / "data" / "reference-model" / "classifier"
    if name == "pickled":
        return [path.read_bytes() for path in shared.glob("classifier.pkl")] + [b"\x80\x04}."]
    index, content = (
        shared / "model.ckpt" / "variables" / f"variables.{end}" for end in ("index", "data-00000-of-00001")
    )
    return [index.read_bytes() + SEPARATOR + content.read_bytes()[:4096]] if index.is_file() else [b""]


def _data_sets(folder: Path) -> list[bytes]:
    from moodlemlbackend.simulation.courses import write_demo

    files = write_demo(folder / "courses", courses=2, students=4)
    return [path.read_bytes()[:LENGTH] for path in (files.training, files.prediction)]


def _archives() -> list[bytes]:
    made = []
    for method in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA):
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w", method) as file:
            file.writestr("model-config.json", json.dumps({"target": "x", "indicators": ["y"], "version": 1}))
            file.writestr("mlbackend/classifier/manifest.json", "{}" * 50)
        made.append(buffer.getvalue())
    return [*made, b'{"target": "x"}' + SEPARATOR + b"{}"]


def _trained(folder: Path, name: str) -> list[bytes]:
    from moodlemlbackend.simulation.courses import write_demo
    from moodlemlbackend.storage.layout import ARRAYS, MANIFEST

    files = write_demo(folder / "courses", courses=4, students=8)
    output = folder / "model"
    command = [sys.executable, "-m", "moodlemlbackend", "train", "--processor", "logistic_regression", "fuzz"]
    subprocess.run([*command, str(output), str(files.training)], check=True, capture_output=True)
    first, second = ("report.json", "report.npz") if name == "record" else (MANIFEST, ARRAYS)
    return [path.read_bytes() + SEPARATOR + path.with_name(second).read_bytes() for path in sorted(output.rglob(first))]


# ---- running ----


def run_one(name: str, seconds: int, faults: Path) -> None:
    """Fuzz one reader in this process, which atheris ends."""
    import atheris

    with atheris.instrument_imports(include=["moodlemlbackend"]):
        for module in READERS:
            importlib.import_module(f"moodlemlbackend.{module}")
    from moodlemlbackend.errors import BackendError

    work = Path(tempfile.mkdtemp(prefix=f"fuzz-{name}-"))
    corpus = work / "corpus"
    corpus.mkdir()
    for seed in seeds(name, work):
        (corpus / hashlib.sha256(seed).hexdigest()[:16]).write_bytes(seed)
    target, here = TARGETS[name], work / "here"

    def test_one(data: bytes) -> None:
        here.mkdir()
        try:
            target(data, here)
        except BackendError:
            pass
        finally:
            shutil.rmtree(here, ignore_errors=True)

    faults.mkdir(parents=True, exist_ok=True)
    options = [f"-max_total_time={seconds}", f"-artifact_prefix={faults}/{name}-", "-print_final_stats=1"]
    options += ["-timeout=20", "-rss_limit_mb=3000", f"-max_len={LENGTH * 2}", "-verbosity=0"]
    atheris.Setup([sys.argv[0], *options, str(corpus)], test_one)
    atheris.Fuzz()


def main() -> int:
    parser = argparse.ArgumentParser(description="Fuzz the readers of what comes from outside.")
    parser.add_argument("--target", choices=TARGETS)
    parser.add_argument("--seconds", type=int, default=600)
    parser.add_argument("--faults", type=Path, default=Path("fuzz-faults"))
    given = parser.parse_args()
    if given.target:
        run_one(given.target, given.seconds, given.faults.absolute())
        return 0
    share, bad = max(1, given.seconds // len(TARGETS)), 0
    for name in TARGETS:
        command = [sys.executable, __file__, "--target", name, f"--seconds={share}", f"--faults={given.faults}"]
        done = subprocess.run(command, capture_output=True, encoding="utf-8", errors="replace")
        inputs = re.search(r"number_of_executed_units:\s*(\d+)", done.stderr)
        bad += done.returncode != 0
        print(f"{name}: {int(inputs[1]) if inputs else 0:,} inputs, exit code {done.returncode}", flush=True)
        if done.returncode:
            print(done.stderr[-3000:], flush=True)
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
