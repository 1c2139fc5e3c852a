"""A server with a cluster: its jobs and the runs that its pages start calculate there."""

from __future__ import annotations

import re

import pytest

from fixtures.paths import posix

pytest.importorskip("distributed", reason="needs the extra cluster")

from fixtures.backend import write_courses
from fixtures.clusters import WAIT, machines
from fixtures.pages import pages, post, reader
from fixtures.servers import evaluate, predict, served, train, wait_for

pytestmark = posix


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    return write_courses(tmp_path_factory.mktemp("data"), 40)


def errors_of(answer) -> list[str]:
    """What came of a job, as Moodle is told."""
    assert answer.status_code == 200, answer.text
    told = answer.json()
    assert (told["status"] == 0) == (not told.get("errors")), told
    return told.get("errors", [])


def test_what_moodle_asks_for_needs_the_cluster(files, tmp_path):
    with (
        machines(tmp_path / "machines", 1) as made,
        served(tmp_path / "server", **made.environment, **{WAIT: "8s"}) as server,
        server.client() as client,
    ):
        assert not errors_of(train(client, files[0]))
        assert not errors_of(evaluate(client, files[0]))
        assert not list(made.files.iterdir())
        made.scheduler.kill()
        made.scheduler.wait()
        assert predict(client, files[1]).status_code == 200
        [error] = errors_of(train(client, files[0]))
        assert error.startswith(f"The scheduler {made.address} does not answer; ")


def test_processes_of_the_same_machine(files, tmp_path):
    with served(tmp_path, MOODLEMLBACKEND_CLUSTER="local:1") as server, server.client() as client:
        assert not errors_of(train(client, files[0]))


@pytest.mark.parametrize("cluster", ["local:1", "tcp://127.0.0.1:1"])
def test_a_run_that_a_page_starts(prepared, tmp_path, cluster):
    place = tmp_path / "files"
    place.mkdir()
    settings = {"MOODLEMLBACKEND_CLUSTER": cluster, "MOODLEMLBACKEND_CLUSTER_FILES": str(place)}
    if cluster != "local:1":
        settings[WAIT] = "2s"
    address = f"/analytics/models/{prepared.dropout}"
    with pages(prepared, tmp_path, **settings) as server:
        manager = reader(server, "manager")
        assert post(manager, f"{address}/predict", address).status_code == 303
        wait_for(lambda: "refresh" not in manager.get(f"{address}/run").headers, 600)
        text = re.sub(r"\s+", " ", manager.get(f"{address}/run").text)
        assert ("The scheduler tcp://127.0.0.1:1 does not answer" in text) == (cluster != "local:1")
        assert ("There is nothing new to predict" in text) == (cluster == "local:1")
    assert not list(place.iterdir())
