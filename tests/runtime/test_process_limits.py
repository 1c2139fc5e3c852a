"""A run that meets a limit of the system is told which, in its one line."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from fixtures.paths import posix
from moodlemlbackend.runtime import process_limits


def train(limit, courses, folder):
    """Run a training under a limit as the shell sets it; returns the sentence."""
    call = [sys.executable, "-m", "moodlemlbackend.training", "m", folder, courses.training]
    clean = {name: value for name, value in os.environ.items() if not name.startswith("MOODLEMLBACKEND_")}
    shell = ["bash", "-c", f'ulimit {limit}; exec "$@"', "bash"]
    done = subprocess.run([*shell, *call], env=clean, capture_output=True, text=True, timeout=300)
    assert done.stderr == ""
    told = json.loads(done.stdout)
    assert done.returncode == told["status"] == 1
    return told["info"][0]


@posix
@pytest.mark.parametrize(
    ("limit", "words"),
    [
        ("-n 8", "Too few files may be open: the limit on open files is 8 (ulimit -n)"),
        ("-t 1", "not enough processor time for training: the limit on processor time is 1 seconds (ulimit -t)"),
        ("-v 600000", "training ran out of memory: the limit on memory (address space) is 585 MB (ulimit -v)"),
    ],
)
def test_the_limit_is_named(courses, tmp_path, limit, words):
    assert words in train(limit, courses, tmp_path)


@posix
@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="becomes a user for whom limits hold")
def test_too_few_threads_are_no_signal_of_a_person():
    """A library that can start no thread raises SIGINT itself."""
    body = """
import os, resource, signal, sys, threading
import moodlemlbackend.runtime.supervisor as supervisor
def call(_reporter):
    resource.setrlimit(resource.RLIMIT_NPROC, (1, 1))
    os.kill(os.getpid(), signal.SIGINT)
import tempfile, traceback
os.setgid(60123); os.setuid(60123)
sys.exit(supervisor.run_command("training", call))
"""
    done = subprocess.run([sys.executable, "-c", body], capture_output=True, text=True)
    assert "the limit on processes and threads of this user is 1 (ulimit -u)" in json.loads(done.stdout)["info"][0]


def test_without_limits_nothing_is_blamed():
    assert process_limits.limit_of_threads("training") == ""
    assert process_limits.too_few_descriptors() == ""
