"""A cluster of real processes on loopback: what it calculates, and what comes of it when a part of it fails."""

from __future__ import annotations

import json
import os
import pickle
import signal
import subprocess
import sys
import threading
from contextlib import contextmanager

import numpy as np
import pytest

from fixtures.networks import PULL_CABLE, hosts
from fixtures.paths import posix

pytest.importorskip("distributed", reason="needs the extra cluster")

import dask

from fixtures.clusters import (
    WAIT,
    die,
    die_once,
    double,
    kill_both,
    kill_scheduler,
    machines,
    pull_cable_once,
    python_with_version,
    python_without,
    refuse,
    wait_for_others,
    who_does_parts,
)
from moodlemlbackend import __version__
from moodlemlbackend.cluster import Files, current, using
from moodlemlbackend.errors import ClusterError, StorageError, UsageError

pytestmark = [posix, pytest.mark.filterwarnings("ignore::distributed.versions.VersionMismatchWarning")]


def impatient():
    """For a block in which something is not there: wait a few seconds only. What is there is waited for longer."""
    return dask.config.set({"distributed.comm.timeouts.connect": "4s"})


@pytest.fixture
def pair(tmp_path):
    with machines(tmp_path / "pair") as made:
        yield made
        assert not list(made.files.glob("moodlemlbackend-*")), "files are left"


def test_parts_come_back_in_order_and_from_both_workers(pair):
    with using(pair.address, str(pair.files)) as cluster:
        assert current() is cluster
        done = list(cluster.each(double, range(40)))
    assert current() is None
    assert [value for value, _ in done] == [2 * number for number in range(40)]
    assert {pid for _, pid in done} == {worker.pid for worker in pair.workers}


def test_a_task_is_done_by_its_worker_alone(pair):
    with using(pair.address, str(pair.files)) as cluster:
        for parts, whole in cluster.each(who_does_parts, range(8)):
            assert parts == [whole] * 20


def test_a_worker_that_is_killed_in_the_middle_costs_nothing(pair):
    with using(pair.address, str(pair.files)) as cluster:
        assert [value for value, _ in cluster.each(die_once, range(12))] == [2 * number for number in range(12)]
    assert sum(worker.poll() is not None for worker in pair.workers) == 1


def test_others_take_over_from_a_slow_worker(pair):
    with using(pair.address, str(pair.files)) as cluster:
        done = list(cluster.each(wait_for_others, range(12)))
    assert [value for value, _ in done] == [2 * number for number in range(12)]
    assert len({pid for _, pid in done[1:]} | {done[0][1]}) == 2


def test_a_task_that_kills_every_worker_is_given_up(tmp_path):
    with machines(tmp_path / "many", 5) as made, using(made.address, str(made.files)) as cluster:
        with pytest.raises(ClusterError, match=r"its worker died again and again, the last time tcp://127\.0\.0\.1:"):
            list(cluster.each(die, range(6)))
        assert sum(worker.poll() is None for worker in made.workers) == 1
        assert [value for value, _ in cluster.each(double, range(3))] == [0, 2, 4]


def test_a_scheduler_that_goes_away(pair):
    (pair.files / "scheduler").write_text(str(pair.scheduler.pid))
    sentence = f"^The scheduler of the cluster {pair.address} is gone; start it"
    with using(pair.address, str(pair.files)) as cluster, impatient(), pytest.raises(ClusterError, match=sentence):
        list(cluster.each(kill_scheduler, range(12)))


def test_a_scheduler_that_goes_away_once_it_has_been_greeted(pair, monkeypatch):
    from distributed import Client

    wait = Client.wait_for_workers

    def wait_for_none(client, *arguments, **options):
        pair.scheduler.kill()
        pair.scheduler.wait()
        return wait(client, *arguments, **options)

    monkeypatch.setattr(Client, "wait_for_workers", wait_for_none)
    with (
        impatient(), pytest.raises(ClusterError, match=r"^The scheduler of the cluster tcp:.* is gone; start it and"),
        using(pair.address, str(pair.files)),
    ):  # fmt: skip
        pass


@contextmanager
def apart(folder):
    """A scheduler and two workers on hosts of their own, which miss each other after some seconds."""
    wait = "11s"  # Dask takes no less
    with (
        hosts(3) as at, machines(folder, at=at, DASK_DISTRIBUTED__COMM__TIMEOUTS__TCP=wait) as made,
        impatient(), dask.config.set({"distributed.comm.timeouts.tcp": wait}),
    ):  # fmt: skip
        yield made, at


def test_what_a_machine_that_is_cut_off_was_to_do_is_done_by_others(tmp_path):
    with apart(tmp_path / "apart") as (made, _), using(made.address, str(made.files)) as cluster:
        assert [value for value, _ in cluster.each(pull_cable_once, range(12))] == [2 * number for number in range(12)]
        assert cluster.workers() == 1


def test_a_scheduler_whose_machine_is_cut_off(tmp_path):
    with apart(tmp_path / "apart") as (made, at), using(made.address, str(made.files)) as cluster:
        assert len(list(cluster.each(double, range(12)))) == 12
        subprocess.run(at[0].run(*PULL_CABLE), check=True)
        with pytest.raises(ClusterError, match=f"^The scheduler of the cluster {made.address} is gone; start it"):
            list(cluster.each(double, range(12)))


def test_a_scheduler_that_halts_when_all_is_done_costs_nothing(pair):
    with using(pair.address, str(pair.files)) as cluster:
        assert [value for value, _ in cluster.each(double, range(3))] == [0, 2, 4]
        pair.scheduler.send_signal(signal.SIGSTOP)
    assert current() is None


def test_workers_that_all_go_away(pair):
    (pair.files / "workers").write_text(" ".join(str(worker.pid) for worker in pair.workers))
    sentence = f"^The cluster {pair.address} has no worker; start one"
    with using(pair.address, str(pair.files)) as cluster, impatient(), pytest.raises(ClusterError, match=sentence):
        list(cluster.each(kill_both, range(12)))


def test_what_a_task_raises_is_raised_here(pair):
    with using(pair.address, str(pair.files)) as cluster:
        with pytest.raises(UsageError, match=r"^The number 3 cannot be used; choose another\.$"):
            list(cluster.each(refuse, range(12)))
        assert [value for value, _ in cluster.each(double, range(3))] == [0, 2, 4]


def test_nobody_need_take_all_results(pair):
    with using(pair.address, str(pair.files)) as cluster:
        some = cluster.each(double, range(40))
        assert next(some)[0] == 0
        some.close()
        assert [value for value, _ in cluster.each(double, range(3))] == [0, 2, 4]


@pytest.mark.parametrize("address", ["tcp://127.0.0.1:1", "tls://127.0.0.1:1", "tcp://nowhere.invalid:8786"])
def test_an_address_where_no_scheduler_is(tmp_path, address):
    with (
        impatient(),
        pytest.raises(ClusterError, match=f"^The scheduler {address} does not answer; check the address"),
        using(address, str(tmp_path)),
    ):
        pass
    assert current() is None
    assert not list(tmp_path.iterdir())


def test_a_scheduler_without_workers(tmp_path, monkeypatch):
    monkeypatch.setattr("moodlemlbackend.cluster.cluster._patience", lambda: 1.0)  # with workers, not connections
    with machines(tmp_path / "alone", 0) as made:
        with (
            pytest.raises(ClusterError, match=f"^The cluster {made.address} has no worker; start one"),
            using(made.address, str(made.files)),
        ):
            pass
        assert not list(made.files.iterdir())


def test_a_cluster_needs_a_place_for_files(tmp_path):
    with pytest.raises(UsageError, match="set cluster_files to a directory or a URL"), using("tcp://127.0.0.1:1"):
        pass


def test_a_worker_without_the_package(tmp_path):
    worker = python_without("moodlemlbackend", tmp_path)
    with machines(tmp_path / "lacking", 1, worker=worker) as made:
        with (
            pytest.raises(ClusterError, match=r"^The worker tcp://\S+ lacks the package moodlemlbackend; install"),
            using(made.address, str(made.files)),
        ):
            pass
        assert not list(made.files.iterdir())


def test_a_worker_with_another_version(tmp_path):
    worker = python_with_version("2.9.0", tmp_path)
    with machines(tmp_path / "older", 1, worker=worker) as made:
        sentence = rf"has version 2\.9\.0 of moodlemlbackend, but this machine has {__version__}; install the same"
        with pytest.raises(ClusterError, match=sentence), using(made.address, str(made.files)):
            pass


def test_a_place_for_files_that_workers_do_not_reach(pair, tmp_path):
    other = tmp_path / "a file"
    other.touch()
    with pytest.raises(StorageError, match="a file"), using(pair.address, str(other)) as cluster:
        cluster.files.write({}, {})
    with pytest.raises(ClusterError, match=r"is missing from .* on this machine: set cluster_files"):
        Files(str(tmp_path / "elsewhere")).read("0")


def test_files_hold_what_was_written(tmp_path):
    files = Files(str(tmp_path))
    arrays = {
        "codes": np.arange(12, dtype=np.uint8).reshape(3, 4).T, "none": np.empty((0, 3)), "flags": np.array([True]),
        "ids": np.array([1, -(2**62)]), "far": np.array([np.nan, np.inf, -0.0, 5e-324]),
    }  # fmt: skip
    name = files.write({"a": [1, "é"]}, arrays)
    facts, again = pickle.loads(pickle.dumps(files)).read(name, last=True)
    assert facts == {"a": [1, "é"]}
    for key, array in arrays.items():
        assert again[key].dtype == array.dtype
        assert again[key].tobytes() == array.tobytes()
        assert again[key].shape == array.shape
    assert not list(tmp_path.iterdir())


OWN_PROCESSES = """
import os, sys
from fixtures.clusters import double
from moodlemlbackend.cluster import using
if __name__ == "__main__":
    with using("local:2") as cluster:
        assert cluster.address.startswith("tls://127.0.0.1:"), cluster.address
        done = list(cluster.each(double, range(40)))
        print(len({pid for _, pid in done} - {os.getpid()}), sum(value for value, _ in done), cluster.files.location)
"""


def test_processes_of_this_machine_end_with_the_block(tmp_path):
    (tmp_path / "script.py").write_text(OWN_PROCESSES)
    done = subprocess.run(
        [sys.executable, tmp_path / "script.py"], capture_output=True, text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
    )  # fmt: skip
    assert not done.stderr
    workers, total, place = done.stdout.split()
    assert (workers, total) == ("2", str(sum(range(0, 80, 2))))
    assert not os.path.exists(place)  # noqa: PTH110


def test_nobody_else_can_use_the_processes_of_this_machine():
    import distributed

    with using("local:1") as cluster, pytest.raises((OSError, ValueError, TypeError)):
        distributed.Client(cluster.address, security=distributed.Security.temporary(), timeout=2)


def test_a_command_whose_cluster_is_not_there_writes_nothing(command, courses, tmp_path):
    env = {WAIT: "3s", "MOODLEMLBACKEND_CLUSTER_FILES": str(tmp_path)}
    words = ["dropout", tmp_path / "model", courses.evaluation, "--cluster", "tcp://127.0.0.1:1"]
    done = command("evaluate", *words, env=env)
    result = json.loads(done.stdout)
    assert done.returncode == result["status"] == 1
    assert result["errors"] == [
        "The scheduler tcp://127.0.0.1:1 does not answer; check the address, that the scheduler runs, and with tls:// "
        "Dask's certificates."
    ]
    assert not done.stderr
    assert not list(tmp_path.iterdir())


def test_a_cluster_of_this_machine_leaves_the_process_as_it_was():
    before = dict(os.environ)
    with using("local:1"):
        assert os.environ != before
    assert dict(os.environ) == before


def test_processes_started_beside_a_cluster_of_this_machine_use_as_many_blas_threads(python):
    """Or trainings, which are processes, differ in the last digits."""
    code = "import numpy, threadpoolctl; print([pool['num_threads'] for pool in threadpoolctl.threadpool_info()])"
    alone = python("-c", code).stdout
    with using("local:2"):
        assert python("-c", code).stdout == alone


def test_the_event_loop_is_ours_and_no_thread_is_left(pair):
    before = set(threading.enumerate())
    with using(pair.address, str(pair.files)) as cluster:
        assert [value for value, _ in cluster.each(double, range(3))] == [0, 2, 4]
        names = {thread.name for thread in set(threading.enumerate()) - before}
        assert "moodlemlbackend cluster" in names
        assert "IO loop" not in names, "Dask's own, which fails if it has not begun after ten seconds"
    assert set(threading.enumerate()) <= before


def test_processes_of_this_machine_that_cannot_be_started(monkeypatch, tmp_path):
    from multiprocessing import spawn

    monkeypatch.setattr(spawn, "_python_exe", os.fsencode(tmp_path / "no-python"))
    before = set(threading.enumerate())
    with pytest.raises(ClusterError, match=r"^The processes of local:1 could not be started \("), using("local:1"):
        pass
    assert current() is None
    assert set(threading.enumerate()) <= before
