"""What fuzzing has found stays mended: every reader of outside input reads or refuses all that is in its corpus."""

from __future__ import annotations

import re

import pytest

from fixtures.paths import ROOT, posix

pytestmark = posix

CORPUS = ROOT / "fuzz" / "corpus"
CORPORA_BYTES = 300_000


def test_every_input_is_read_or_refused(python):
    """Those whose name begins with ``good`` are read, so that the corpora keep up with the formats."""
    done = python("-m", "fuzz", "--replay", cwd=ROOT)
    assert done.returncode == 0, done.stdout + done.stderr
    replayed = {name: int(count) for name, count in re.findall(r"^(\w+): (\d+) inputs", done.stdout, re.M)}
    assert replayed == {folder.name: len(list(folder.iterdir())) for folder in CORPUS.iterdir()}
    assert all(list(folder.glob("good*")) for folder in CORPUS.iterdir() if folder.name not in ("browser", "pointer"))


@pytest.mark.parametrize(
    "code",
    [
        "open(folder.parent / 'outside', 'w')",
        "os.mkdir(folder.parent / 'outside')",
        "os.rename(folder, folder.parent / 'outside')",
        "subprocess.Popen(['true'])",
        "pickle.loads(b'cos\\nsystem\\n.')",
        "socket.create_connection(('127.0.0.1', 9))",
        "[0][1]",
        "assert not data",
    ],
)
def test_what_no_input_may_do_is_found(python, code):
    """Also where a reader catches whatever is raised."""
    program = f"""
import os, pickle, socket, subprocess
from fuzz.target import guarded, takes, target

@target
def careless(data, folder):
    {code}

with guarded() as folder:
    takes("careless", b"x", folder)
"""
    assert re.search(r"^(fuzz.target.Fault|IndexError|AssertionError)\b", python("-c", program, cwd=ROOT).stderr, re.M)
    caught = program.replace(f"    {code}", f"    try:\n        {code}\n    except BaseException:\n        pass")
    found = python("-c", caught, cwd=ROOT)
    assert ("fuzz.target.Fault" in found.stderr) == ("(" in code), found.stderr


def test_the_corpora_stay_small():
    assert sum(path.stat().st_size for path in CORPUS.rglob("*") if path.is_file()) < CORPORA_BYTES
