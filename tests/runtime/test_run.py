"""Runs: a folder of its own for each, whatever happens at the same time."""

from __future__ import annotations

import calendar
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

from fixtures.paths import ROOT
from moodlemlbackend.errors import NotTrainedError, StorageError
from moodlemlbackend.runtime.run import Run


def test_a_run_has_a_folder_named_by_the_time_in_milliseconds(tmp_path):
    before = time.time_ns() // 1_000_000
    run = Run.start(tmp_path / "new" / "outputdir")
    assert before <= run.runid <= time.time_ns() // 1_000_000
    assert run.dir == tmp_path / "new" / "outputdir" / "logs" / str(run.runid)
    assert run.dir.is_dir()
    assert run.tensor_dir == run.dir / "tensor"


@pytest.fixture
def far_from_utc(monkeypatch):
    if not hasattr(time, "tzset"):
        pytest.skip("the time zone of a process cannot be changed here")
    with monkeypatch.context() as patch:
        patch.setenv("TZ", "XXX-9")
        time.tzset()
        yield
    time.tzset()


def test_the_log_is_of_this_run_alone_and_in_utc(tmp_path, caplog, far_from_utc):
    with Run.start(tmp_path) as run, Run.start(tmp_path) as other:
        run.log.info("näher %d \udcff", 7)
        run.add_info("All is well: 100 %.")
        other.log.info("elsewhere")
    run.log.info("too late")
    assert run.info == ["All is well: 100 %."]
    assert not caplog.records
    text = run.log_file.read_text(encoding="utf-8")
    assert "INFO näher 7 \\udcff\n" in text
    assert "INFO All is well: 100 %.\n" in text
    assert "elsewhere" not in text
    assert "too late" not in text
    for line in text.splitlines():
        stamp = re.match(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", line)
        assert abs(calendar.timegm(time.strptime(stamp[0], "%Y-%m-%dT%H:%M:%SZ")) - time.time()) < 60


def test_what_ends_a_run_is_recorded_once(tmp_path):
    error = ValueError("inside")
    with pytest.raises(ValueError), Run.start(tmp_path) as run:
        raise error
    run.fail(error)
    text = run.log_file.read_text()
    assert text.count("Traceback") == 1
    assert text.count("ERROR ValueError: inside") == 1


def test_a_lazy_run_makes_its_folder_at_the_first_record(tmp_path):
    run = Run.start(tmp_path, lazy=True)
    run.fail(NotTrainedError("Nothing to predict with."))
    assert not any(tmp_path.iterdir())
    run.log.warning("worth writing")
    assert run.log_file.read_text().endswith("WARNING worth writing\n")


def test_a_directory_that_cannot_be_written(tmp_path):
    occupied = tmp_path / "file"
    occupied.write_text("")
    for directory in (occupied, Path("/proc/nowhere")):
        with pytest.raises(StorageError, match=re.escape(str(directory))):
            Run.start(directory)
        run = Run.start(directory, lazy=True)
        run.add_info("Still told.")
        run.fail(ValueError("and recorded nowhere"))
        assert run.info == ["Still told."]
        assert not run.log_file.exists()


def test_a_log_that_vanishes_does_not_end_the_run(tmp_path):
    run = Run.start(tmp_path)
    run.log_file.unlink()
    run.dir.rmdir()
    run.log.info("lost")
    assert not run.dir.exists()


@pytest.mark.skipif(sys.platform == "win32", reason="needs fork")
def test_fifty_processes_in_the_same_millisecond(tmp_path):
    code = """
import os, sys, time
from pathlib import Path
from moodlemlbackend.runtime.run import Run
now = time.time_ns()
time.time_ns = lambda: now
gate, opener = os.pipe()
for number in range(50):
    if os.fork() == 0:
        os.close(opener)
        os.read(gate, 1)
        run = Run.start(Path(sys.argv[1]), lazy=number % 2 == 0)
        run.log.info("mine is %d in %d", number, run.runid)
        os._exit(0)
os.close(opener)
assert all(os.wait()[1] == 0 for _ in range(50))
"""
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], cwd=ROOT, check=True)
    folders = sorted(int(folder.name) for folder in (tmp_path / "logs").iterdir())
    assert folders == list(range(folders[0], folders[0] + 50))
    texts = [(tmp_path / "logs" / str(folder) / "info.log").read_text() for folder in folders]
    numbers = [re.findall(r"mine is (\d+)", text) for text in texts]
    assert sorted(int(number) for (number,) in numbers) == list(range(50))
