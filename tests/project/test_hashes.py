"""The files of hashes match setup.py, name no registry, and have hashes of all that they name."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from fixtures.paths import ROOT

FILES = ("requirements-all-hashed.txt", "requirements-develop-hashed.txt")
INPUTS = ("setup.py", "README.md", "requirements.txt", "requirements-all.txt", *FILES)


@pytest.fixture
def checkout(tmp_path) -> Path:
    """A copy of what the hashes are made from, and of the check."""
    for name in (*INPUTS, "tools/hashes.py", "moodlemlbackend/__init__.py"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    return tmp_path


def check(folder: Path) -> tuple[int, list[str]]:
    """The exit code of the check and its sentences."""
    pytest.importorskip("packaging")
    done = subprocess.run(
        [sys.executable, "-W", "error", folder / "tools" / "hashes.py", "--check"], capture_output=True, text=True
    )
    assert done.stderr == ""
    return done.returncode, done.stdout.splitlines()


def change(path: Path, old: str, new: str) -> None:
    text = path.read_text("utf-8")
    assert old in text
    path.write_text(text.replace(old, new), "utf-8")


def test_the_hashes_match_setup_py(checkout):
    assert check(checkout) == (0, [])


def test_a_dependency_without_hashes_is_named(checkout):
    change(checkout / "setup.py", "TEST = [\n", 'TEST = [\n    "left-out>=1",\n')
    sentence = "requirements-develop-hashed.txt lacks left-out, which setup.py names: run make hashes."
    assert check(checkout) == (1, [sentence])


def test_a_dependency_that_is_no_longer_needed_is_named(checkout):
    change(checkout / "setup.py", '    "psutil>=5.9",\n', "")
    sentence = "requirements-develop-hashed.txt has psutil, which setup.py no longer names: run make hashes."
    assert check(checkout) == (1, [sentence])


def test_a_version_that_differs_is_named(checkout):
    (rich,) = re.findall(r'"rich>=[^"]+"', (ROOT / "setup.py").read_text())
    change(checkout / "setup.py", rich, '"rich>=999"')
    (pinned,) = re.findall(r"^alembic==(\S+)$", (ROOT / "requirements-all.txt").read_text(), re.MULTILINE)
    change(checkout / "requirements-all.txt", f"alembic=={pinned}", "alembic==1.0")
    code, sentences = check(checkout)
    assert code == 1
    for file in FILES:
        assert f"{file} has alembic {pinned}, but requirements-all.txt has 1.0: run make hashes." in sentences
        assert any(
            re.fullmatch(rf"{file} has rich \S+, but setup\.py wants >=999: run make hashes\.", one)
            for one in sentences
        )
    assert len(sentences) == 4


@pytest.mark.parametrize("file", FILES)
def test_everything_has_hashes_and_nothing_names_a_registry(file):
    text = (ROOT / file).read_text("utf-8")
    assert not re.search(r"://|--(?:extra-)?index|--find-links|@ |-e ", text)
    assert "# via" in text
    blocks = re.split(r"^(?=[^\s#])", text, flags=re.MULTILINE)[1:]
    assert len(blocks) > 80
    for block in blocks:
        first, *rest = block.splitlines()
        assert re.fullmatch(r"[\w.-]+==[\w.]+(?: ; .+)? \\", first), first
        assert any(re.fullmatch(r" +--hash=sha256:[0-9a-f]{64}(?: \\)?", line) for line in rest), first


def test_only_what_has_hashes_is_installed_and_nothing_else_is_built():
    for name, file in (("Makefile", FILES[1]), ("noxfile.py", FILES[1]), ("Dockerfile", FILES[0])):
        text = re.sub(r'[",]', "", (ROOT / name).read_text("utf-8"))
        assert re.search(rf"--only-binary :all: --require-hashes -r (?:/src/)?{re.escape(file)}", text), name
        assert "--no-deps --no-build-isolation" in text, name
