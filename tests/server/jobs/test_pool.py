"""A pool of workers by itself, without a server."""

from __future__ import annotations

import asyncio
import json
from concurrent.futures import ThreadPoolExecutor

import pytest

from fixtures import operations
from fixtures.backend import MODELID, course_rows, write_labelled
from fixtures.paths import posix
from moodlemlbackend.errors import RequestError
from moodlemlbackend.server.jobs import pool as pools
from moodlemlbackend.server.jobs.job import Job, WorkerReply, WorkerSettings
from moodlemlbackend.settings.server import Limits
from moodlemlbackend.storage.model_store import ModelStore

pytestmark = posix

DIRHASH = "a" * 32


@pytest.fixture
def perform(tmp_path, monkeypatch):
    """Have a worker that crashes once a model is in force do a job."""
    monkeypatch.setenv("MOODLEMLBACKEND_PROCESSOR", "logistic_regression")
    monkeypatch.setattr(pools.child, "main", operations.work_and_crash)

    async def answer(job: Job) -> WorkerReply:
        settings = WorkerSettings(str(tmp_path / "models"), Limits(), trains=False)
        with ThreadPoolExecutor(2) as threads:
            pool = pools.Pool("training", 1, settings, threads, jobs_a_worker=9)
            pool.start()
            try:
                return await pool.perform(job, 120, lambda: None)
            finally:
                await pool.close()

    return lambda job: asyncio.run(answer(job))


def test_a_worker_that_crashes_once_its_model_is_in_force(perform, tmp_path):
    write_labelled(tmp_path / "dataset", *course_rows(40))
    reply = perform(Job("training", (), MODELID, str(tmp_path), DIRHASH))
    result = json.loads(reply.body)
    assert (reply.code, result["status"]) == (200, 0)
    assert result["info"][0].endswith("A library crashed during the training (SIGSEGV).")
    assert ModelStore(tmp_path / "models" / MODELID / DIRHASH).current().settings["rows"] == 40


def test_a_worker_that_crashes_before_has_failed(perform, tmp_path, monkeypatch):
    """As one whose model another has replaced by then."""
    monkeypatch.setattr(pools.Promise, "kept", lambda *_: None)
    write_labelled(tmp_path / "dataset", *course_rows(40))
    with pytest.raises(RequestError, match="A library crashed during the training") as raised:
        perform(Job("training", (), MODELID, str(tmp_path), DIRHASH))
    assert raised.value.code == 500
