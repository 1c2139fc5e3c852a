"""A pool of workers by itself, without a server."""

from __future__ import annotations

import json

import pytest

from fixtures import operations, pools
from fixtures.backend import MODELID, course_rows, write_labelled
from fixtures.paths import posix
from moodlemlbackend.errors import RequestError
from moodlemlbackend.server.jobs import pool
from moodlemlbackend.server.jobs.job import Job
from moodlemlbackend.storage.model_store import ModelStore

pytestmark = posix

DIRHASH = "a" * 32


@pytest.fixture
def perform(tmp_path, monkeypatch):
    """Have a worker that crashes once a model is in force do a job."""
    monkeypatch.setenv("MOODLEMLBACKEND_PROCESSOR", "logistic_regression")
    monkeypatch.setattr(pool.child, "main", operations.work_and_crash)
    return lambda job: pools.perform(job, tmp_path / "models", 120)


def test_a_worker_that_crashes_once_its_model_is_in_force(perform, tmp_path):
    write_labelled(tmp_path / "dataset", *course_rows(40))
    reply = perform(Job("training", (), MODELID, str(tmp_path), DIRHASH))
    result = json.loads(reply.body)
    assert (reply.code, result["status"]) == (200, 0)
    assert result["info"][0].endswith("A library crashed during the training (SIGSEGV).")
    assert ModelStore(tmp_path / "models" / MODELID / DIRHASH).current().settings["rows"] == 40


def test_a_worker_that_crashes_before_has_failed(perform, tmp_path, monkeypatch):
    """As one whose model another has replaced by then."""
    monkeypatch.setattr(pool.Promise, "kept", lambda *_: None)
    write_labelled(tmp_path / "dataset", *course_rows(40))
    with pytest.raises(RequestError, match="A library crashed during the training") as raised:
        perform(Job("training", (), MODELID, str(tmp_path), DIRHASH))
    assert raised.value.code == 500
