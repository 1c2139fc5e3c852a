"""A worker's share of a prediction: its upload is read once, its answer written once, and neither names a path."""

from __future__ import annotations

import gzip
import json
import os
from pathlib import Path

import pytest

pytest.importorskip("prometheus_client", reason="needs the extra server")

from fixtures.backend import MODELID, course_rows, write_labelled, write_unlabelled
from fixtures.paths import posix
from moodlemlbackend.server import limits
from moodlemlbackend.server.hidden_paths import HiddenPaths
from moodlemlbackend.server.jobs.job import Job, WorkerSettings
from moodlemlbackend.server.jobs.worker import Worker
from moodlemlbackend.server.limits import DataSetCheck
from moodlemlbackend.settings.server import Limits

pytestmark = posix
DIRHASH = "a" * 32


@pytest.fixture
def perform(tmp_path, monkeypatch):
    """Have a job done here, in a scratch folder of its own; gives its reply and the folder."""
    monkeypatch.setenv("MOODLEMLBACKEND_PROCESSOR", "logistic_regression")
    monkeypatch.chdir(tmp_path)

    def call(kind: str, dataset: Path, allowed: Limits | None = None):
        folder = tmp_path / f"scratch-{len(list(tmp_path.iterdir()))}"
        folder.mkdir()
        (folder / "dataset").write_bytes(dataset.read_bytes())
        worker = Worker(WorkerSettings(str(tmp_path / "models"), allowed or Limits(), trains=False))
        return worker.perform(Job(kind, (), MODELID, str(folder), DIRHASH)), folder

    return call


@pytest.fixture
def unlabelled(perform, tmp_path) -> Path:
    """Samples for a model that has been trained."""
    features, labels = course_rows(60)
    reply, _ = perform("training", write_labelled(tmp_path / "labelled", features, labels))
    assert (reply.code, reply.status) == (200, 0)
    return write_unlabelled(tmp_path / "unlabelled", features)


def bytes_so_far() -> tuple[int, int]:
    """What this process has read and written, of files and of pipes."""
    counts = dict(line.split(": ") for line in Path("/proc/self/io").read_text().splitlines())
    return int(counts["rchar"]), int(counts["wchar"])


@pytest.mark.skipif(not os.access("/proc/self/io", os.R_OK), reason="needs /proc")
def test_an_upload_is_read_once_and_a_large_answer_written_once(perform, unlabelled, monkeypatch):
    monkeypatch.setattr(limits, "INLINE_BYTES", 100)
    perform("prediction", unlabelled)
    lines = unlabelled.read_text().splitlines()
    samples = [line.partition(",")[2] for line in lines[3:]]
    many = "\n".join([*lines[:3], *(f"{i},{samples[i % len(samples)]}" for i in range(20_000))]) + "\n"
    unlabelled.write_text(many)
    before = bytes_so_far()
    reply, folder = perform("prediction", unlabelled)
    read, written = (now - then for now, then in zip(bytes_so_far(), before, strict=True))
    assert (reply.code, reply.rows, reply.file) == (200, 20_000, "answer")
    answer = (folder / "answer").read_bytes()
    assert len(json.loads(answer)["predictions"]) == 20_000
    copied = len(many)  # by this test, to the scratch folder
    assert copied + len(many) <= read < copied + 1.1 * len(many) + 100_000
    assert copied + len(answer) <= written < copied + 1.1 * len(answer) + 10_000


@pytest.mark.parametrize("kind", ["prediction", "training"])
@pytest.mark.parametrize(
    ("allowed", "word"),
    [(Limits(rows=59), "59 rows"), (Limits(columns=1), "columns"), (Limits(uncompressed_bytes=300), "unpacked")],
)
def test_what_is_too_large_has_no_answer_but_a_refusal(perform, unlabelled, kind, allowed, word):
    reply, _ = perform(kind, unlabelled, allowed)
    assert reply.code == 413
    assert word in reply.body.decode()
    assert reply.file is None


def test_as_many_rows_as_are_allowed(perform, unlabelled):
    reply, _ = perform("prediction", unlabelled, Limits(rows=60))
    assert (reply.code, reply.rows) == (200, 60)


def test_a_compressed_upload_counts_as_what_it_unpacks_to(perform, unlabelled):
    size = unlabelled.stat().st_size
    unlabelled.write_bytes(gzip.compress(unlabelled.read_bytes()))
    assert perform("prediction", unlabelled, Limits(uncompressed_bytes=size))[0].code == 200
    assert perform("prediction", unlabelled, Limits(uncompressed_bytes=size - 1))[0].code == 413


def test_an_error_in_the_last_row_is_all_that_is_answered(perform, unlabelled):
    lines = unlabelled.read_text().splitlines()
    unlabelled.write_text("\n".join([*lines[:-1], lines[-1] + ",1"]) + "\n")
    reply, _ = perform("prediction", unlabelled)
    answer = json.loads(reply.body)
    assert (reply.status, answer["status"]) == (1, 1)
    assert "Row 63 of dataset" in answer["errors"][0]
    assert "predictions" not in answer


def test_ids_of_samples_come_back_as_they_were_sent(perform, unlabelled, tmp_path):
    text = unlabelled.read_text().splitlines()
    text[3] = f"{tmp_path}/models/x," + text[3].partition(",")[2]
    unlabelled.write_text("\n".join(text) + "\n")
    reply, _ = perform("prediction", unlabelled)
    assert json.loads(reply.body)["predictions"][0][0] == f"{tmp_path}/models/x"


def test_a_check_reads_a_file_that_is_no_data_set_to_its_end(tmp_path):
    path = tmp_path / "dataset"
    path.write_bytes(gzip.compress(b"x\n" * 1000)[:-9])
    check = DataSetCheck(Limits())
    check.read(path)
    assert check.refusal is None


def test_folders_are_hidden_in_every_text(tmp_path):
    inner = tmp_path / "a & b" / "inner"
    inner.mkdir(parents=True)
    (tmp_path / "link").symlink_to(inner)
    hidden = HiddenPaths(
        {str(tmp_path): "outer", str(tmp_path / "link"): "inner", "s3://bucket/x": "bucket", "/": "root"}
    )
    assert hidden.hide(f"{inner}/file, {tmp_path}/x") == "inner/file, outer/x"
    assert hidden.hide(str(inner / "file").replace("&", "&amp;")) == "inner/file"
    assert hidden.hide("s3://bucket/x /etc") == "s3://bucket/x /etc"
    items = iter([str(inner)])
    shown = hidden.hide_in({"info": [f"in {inner}"], "pair": (1, None), "items": items})
    assert shown == {"info": ["in inner"], "pair": [1, None], "items": items}
