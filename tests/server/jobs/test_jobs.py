"""The queue and the workers: what happens when there is too much, when something breaks, and when the end comes.

A worker that is busy for as long as a test needs is one that the test has stopped with SIGSTOP.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from fixtures.backend import course_rows, write_courses, write_labelled
from fixtures.paths import posix
from fixtures.processes import is_alive
from fixtures.servers import HASH, LOGIN, evaluate, httpx, predict, send, sentence, served, train, wait_for

pytestmark = posix


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    return write_courses(tmp_path_factory.mktemp("data"), 40)


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with served(tmp_path_factory.mktemp("server"), WAITING_TRAININGS="1", USERS=":".join(LOGIN)) as server:
        yield server


@pytest.fixture
def client(server):
    server.wait_ready()
    with server.client() as client:
        yield client


@pytest.fixture
def threads():
    with ThreadPoolExecutor(8) as threads:
        yield threads


def queue(server, pool: str = "training") -> dict[str, int]:
    found = {}
    for line in server.metrics().splitlines():
        if line.startswith(f'moodlemlbackend_queue{{pool="{pool}"'):
            found[line.split('state="')[1].split('"')[0]] = int(float(line.rsplit(" ", 1)[1]))
    return found


def model(server, uniqueid: str) -> bytes:
    return (server.base / uniqueid / HASH / "classifier" / "current").read_bytes()


def test_a_worker_that_is_killed_leaves_the_former_model_in_force(server, client, files, threads):
    assert train(client, files[0], uniqueid="killed").json()["status"] == 0
    former, worker = model(server, "killed"), server.worker()
    os.kill(worker, signal.SIGSTOP)
    training = threads.submit(train, client, files[0], "killed")
    wait_for(lambda: queue(server).get("running") == 1)
    with server.client() as other:
        assert predict(other, files[1], uniqueid="killed").json()["status"] == 0
    os.kill(worker, signal.SIGKILL)
    assert "The operating system killed the training" in sentence(training.result(), 500)
    assert model(server, "killed") == former
    assert predict(client, files[1], uniqueid="killed").json()["status"] == 0
    assert train(client, files[0], uniqueid="killed").json()["status"] == 0
    assert model(server, "killed") != former
    assert 'moodlemlbackend_workers_replaced_total{pool="training",reason="crash"} 1.0' in server.metrics()


def test_an_idle_worker_that_is_killed_fails_nobody(server, client, files):
    os.kill(server.worker("prediction"), signal.SIGKILL)
    time.sleep(0.2)
    assert predict(client, files[1], uniqueid="idle").json()["status"] == 2


def test_everything_light_is_quick_while_every_worker_trains(server, client, files, threads):
    running = threads.submit(evaluate, client, files[0], 60)
    wait_for(lambda: queue(server).get("running") == 1)
    seconds = []
    with server.client(login=None) as other:
        for path in ["/version", "/health/live", "/health/ready"] * 10:
            began = time.perf_counter()
            assert other.get(path).status_code == 200
            seconds.append(time.perf_counter() - began)
    assert running.result().status_code == 200
    assert sorted(seconds)[len(seconds) // 2] < 0.05  # the slower ones may be the machine's


def test_more_than_the_queue_holds_is_refused_at_once(server, client, files, threads):
    worker = server.worker()
    os.kill(worker, signal.SIGSTOP)
    try:
        taken = [threads.submit(train, server.client(), files[0], f"queue{number}") for number in range(2)]
        wait_for(lambda: (queue(server)["running"], queue(server)["waiting"]) == (1, 1))
        began = time.monotonic()
        refused = train(client, b"0" * 1_000_000, uniqueid="queue2")
        assert time.monotonic() - began < 2
        assert "1 running and 1 waiting" in sentence(refused, 503)
        assert int(refused.headers["retry-after"]) > 0
        assert predict(client, files[1], uniqueid="queue2").json()["status"] == 2
    finally:
        os.kill(worker, signal.SIGCONT)
    assert [one.result().json()["status"] for one in taken] == [0, 0]


def test_one_trainer_a_model_at_a_time(tmp_path, files, threads):
    with served(tmp_path, TRAINING_WORKERS="2") as server, server.client() as client:
        wait_for(lambda: sum(one["event"] == "Worker ready" and one["pool"] == "training" for one in server.log) == 2)
        workers = [one["worker"] for one in server.log if one["event"] == "Worker ready" and one["pool"] == "training"]
        for worker in workers:
            os.kill(worker, signal.SIGSTOP)
        same = [threads.submit(train, client, files[0], "same") for _ in range(2)]
        wait_for(lambda: queue(server) == {"uploading": 0, "waiting": 1, "running": 1})
        other = threads.submit(train, client, files[0], "other")
        wait_for(lambda: queue(server) == {"uploading": 0, "waiting": 1, "running": 2})
        for worker in workers:
            os.kill(worker, signal.SIGCONT)
        assert [one.result().json()["status"] for one in (*same, other)] == [0, 0, 0]
        log = (server.base / "same" / HASH / "logs").iterdir()
        assert sum("The previous model remembers" in (run / "info.log").read_text() for run in log) == 1


def test_a_client_that_goes_away_frees_its_worker(server, client, files):
    worker = server.worker()
    os.kill(worker, signal.SIGSTOP)
    with pytest.raises(httpx.ReadTimeout):
        train(server.client(timeout=0.5), files[0], uniqueid="left")
    wait_for(lambda: queue(server).get("running") == 0)
    wait_for(lambda: server.worker() != worker)
    assert train(client, files[0], uniqueid="left").json()["status"] == 0
    assert 'moodlemlbackend_jobs_total{kind="training",result="abandoned"} 1.0' in server.metrics()


def test_a_request_that_waits_can_go_away_too(server, client, files, threads):
    worker = server.worker()
    os.kill(worker, signal.SIGSTOP)
    first = threads.submit(train, client, files[0], "first")
    wait_for(lambda: queue(server).get("running") == 1)
    with pytest.raises(httpx.ReadTimeout):
        train(server.client(timeout=0.5), files[0], uniqueid="second")
    wait_for(lambda: queue(server)["waiting"] == 0)
    os.kill(worker, signal.SIGCONT)
    assert first.result().json()["status"] == 0
    assert not (server.base / "second").exists()


def test_a_deletion_waits_for_the_training(server, client, files, threads):
    worker = server.worker()
    os.kill(worker, signal.SIGSTOP)
    training = threads.submit(train, client, files[0], "deleted")
    wait_for(lambda: queue(server).get("running") == 1)
    deletion = threads.submit(send, client, "deletemodel", uniqueid="deleted")
    wait_for(lambda: queue(server, "prediction").get("waiting") == 1)
    os.kill(worker, signal.SIGCONT)
    assert (training.result().json()["status"], deletion.result().text) == (0, "Ok")
    assert not (server.base / "deleted").exists()


def test_the_time_limit_and_a_server_that_is_killed(tmp_path, files):
    with served(tmp_path, TIME_LIMIT="1") as server, server.client() as client:
        os.kill(server.worker("prediction"), signal.SIGSTOP)
        assert "longer than 1 seconds" in sentence(predict(client, files[1]), 504)
        wait_for(lambda: sum(one["event"] == "Worker ready" and one["pool"] == "prediction" for one in server.log) == 2)
        assert predict(client, files[1]).json()["status"] == 2
        worker = server.worker()
        server.process.kill()
        server.process.wait(10)
        wait_for(lambda: not is_alive(worker))


@pytest.mark.parametrize("finishes", [True, False])
def test_sigterm(tmp_path, files, threads, finishes):
    with served(tmp_path, STOP_WAIT="30" if finishes else "1") as server:
        client, worker = server.client(), server.worker()
        os.kill(worker, signal.SIGSTOP)
        running = threads.submit(train, client, files[0], "running")
        wait_for(lambda: queue(server).get("running") == 1)
        waiting = threads.submit(train, client, files[0], "waiting")
        wait_for(lambda: queue(server).get("waiting") == 1)
        server.process.send_signal(signal.SIGTERM)
        assert "being stopped" in sentence(waiting.result(), 503)
        assert int(waiting.result().headers["retry-after"]) > 0
        if finishes:
            os.kill(worker, signal.SIGCONT)
            assert running.result().json()["status"] == 0
        else:
            assert "being stopped" in sentence(running.result(), 503)
        assert server.stop() == 0
        assert not list(server.scratch.iterdir())
        with pytest.raises(ProcessLookupError):
            os.kill(worker, 0)
        assert (server.base / "running" / HASH / "classifier" / "current").exists() == finishes


def test_two_servers_on_one_store(server, client, tmp_path, files):
    """A model that one trains is seen by the next prediction of the other, which has the former one loaded."""
    with served(tmp_path, DIRECTORY=str(server.base)) as other, other.client() as second:
        assert train(client, files[0], uniqueid="shared").json()["status"] == 0
        before = predict(second, files[1], uniqueid="shared").json()
        assert before["status"] == 0
        features, labels = course_rows(40, seed=5)
        more = write_labelled(tmp_path / "more", features, 1 - labels)
        assert train(client, more, uniqueid="shared").json()["status"] == 0
        after = predict(second, files[1], uniqueid="shared").json()
        assert after["status"] == 0
        assert after != before


def test_many_predictions_at_once(server, client, files, threads):
    assert train(client, files[0], uniqueid="many").json()["status"] == 0
    expected = predict(client, files[1], uniqueid="many").json()
    barrier = threading.Barrier(8)

    def some(_number: int) -> list[bool]:
        with server.client() as own:
            barrier.wait()
            return [predict(own, files[1], uniqueid="many").json() == expected for _ in range(5)]

    assert all(all(found) for found in threads.map(some, range(8)))


def test_what_prometheus_reads(server, client, files):
    predict(client, files[1], uniqueid="counted")
    text = client.get("/metrics")
    assert text.headers["content-type"].startswith("text/plain")
    for name in (
        "jobs_total",
        "job_seconds_bucket",
        "wait_seconds_count",
        "rows_total",
        "queue",
        "workers",
        "requests_total",
    ):
        assert f"moodlemlbackend_{name}{{" in text.text
    assert 'requests_total{code="200",path="/metrics"}' in text.text
    assert httpx.get(f"{server.url}/metrics", auth=LOGIN).status_code == 200


def test_a_warm_training_needs_no_import_of_tensorflow(tmp_path, files):
    with served(tmp_path, MOODLEMLBACKEND_PROCESSOR="neural_network") as server, server.client() as client:
        worker = server.worker("training")
        maps = Path(f"/proc/{worker}/maps")
        assert not maps.exists() or "tensorflow" in maps.read_text()
        assert train(client, files[0]).json()["status"] == 0
        assert server.worker("training") == worker
        assert predict(client, files[1]).json()["status"] == 0
        maps = Path(f"/proc/{server.worker('prediction')}/maps")
        assert not maps.exists() or "tensorflow" not in maps.read_text()
