"""A real small disk that fills up while a command writes to it, at every size."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from fixtures.backend import MODELID, QUICK, Backend, course_rows, environment, write_labelled
from fixtures.faults import Ended, is_told_in_a_sentence
from fixtures.paths import posix
from moodlemlbackend.storage.model_store import ModelStore

pytestmark = posix

KILOBYTES = range(0, 260, 8)
"""What is free when the command begins; with the most it completes."""

SCRIPT = """
disk=$1 kilobytes=$2 results=$3; shift 3
mount -t tmpfs -o size=$((kilobytes + 4096))k tmpfs "$disk" && cp -a "$results"/before/. "$disk" || exit 90
used=$(df -k --output=used "$disk" | tail -n 1)
mount -o remount,size=$((used + kilobytes))k "$disk" || exit 90
"$@" >"$results/output" 2>"$results/errors"; echo $? >"$results/code"
cp -a "$disk" "$results/after"
mount -o remount,size=65536k "$disk"
"$@" >"$results/output-again" 2>"$results/errors-again"; echo $? >"$results/code-again"
cp -a "$disk" "$results/again"
"""


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    every = metafunc.config.getoption("every_fault")
    metafunc.parametrize("kilobytes", KILOBYTES if every else KILOBYTES[3:4])


def in_force(folder: Path) -> int:
    """How many rows the model has learned, read whole."""
    stored = ModelStore(folder / "model").current()
    assert stored is not None
    stored.arrays(*stored.specs)
    return int(stored.settings["rows"])


def test_a_training_that_fills_the_disk(kilobytes, tmp_path):
    disk, results = tmp_path / "disk", tmp_path / "results"
    disk.mkdir()
    (results / "before").mkdir(parents=True)
    Backend(results / "before", "logistic_regression").train(*course_rows(40))
    dataset = write_labelled(tmp_path / "labelled", *course_rows(60, seed=2))
    command = [sys.executable, "-m", "moodlemlbackend.training", MODELID, disk / "model", dataset]
    script = ["unshare", "--mount", "sh", "-c", SCRIPT, "sh", disk, kilobytes, results, *command]
    if shutil.which("unshare") is None:
        pytest.skip("needs unshare, to mount a small file system")
    done = subprocess.run(list(map(str, script)), env=environment(**QUICK), capture_output=True, text=True)
    if done.returncode in (1, 90):
        pytest.skip("this user cannot mount a small file system")
    assert done.returncode == 0, done.stderr
    said = [(results / name).read_text() for name in ("output", "errors")]
    ended = Ended(int((results / "code").read_text()), said[0], said[1], [])
    about = f"{kilobytes} kB free: {ended}"
    is_told_in_a_sentence(ended, about)
    assert in_force(results / "after") == (100 if ended.code == 0 else 40), about
    assert (results / "code-again").read_text() == "0\n", about
    assert in_force(results / "again") == (160 if ended.code == 0 else 100), about
