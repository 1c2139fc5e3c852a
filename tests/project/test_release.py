"""What ``make release`` publishes: the same bytes from every build of a commit, and a wheel that works by itself."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import tarfile
import time
import zipfile
from pathlib import Path
from types import ModuleType

import pytest

from fixtures.paths import ROOT, posix
from moodlemlbackend import __version__


@pytest.fixture(scope="module")
def release() -> ModuleType:
    """The tool; a release is made of a commit."""
    if subprocess.run(["git", "rev-parse", "HEAD"], cwd=ROOT, capture_output=True).returncode:
        pytest.skip("needs a clone")
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(ROOT / "tools")
        import release

        return release


@pytest.fixture(scope="module")
def built(release, tmp_path_factory) -> tuple[Path, Path]:
    """A source distribution and a wheel."""
    return release.build(tmp_path_factory.mktemp("release") / "dist")


@pytest.fixture(scope="module")
def environment(release, built, tmp_path_factory) -> Path:
    """The Python of an environment with the wheel and the libraries of this one, but not the checkout."""
    folder = tmp_path_factory.mktemp("installed")
    python = release.make_environment(folder / "environment")
    (packages,) = folder.rglob("site-packages")
    libraries = [path for path in sys.path if path.endswith("site-packages")]
    (packages / "libraries.pth").write_text("\n".join(libraries))
    release.install(built[1], python)
    return python


@posix
def test_two_builds_are_equal_byte_for_byte(release, built, tmp_path, monkeypatch):
    monkeypatch.setenv("TZ", "Pacific/Auckland")
    monkeypatch.setenv("PYTHONHASHSEED", "7")
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1")
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    former = os.umask(0o077)
    try:
        again = release.build(tmp_path / "elsewhere")
    finally:
        os.umask(former)
    for first, second in zip(built, again, strict=True):
        assert first.name == second.name
        assert first.read_bytes() == second.read_bytes()


def test_everything_in_it_has_the_time_of_the_commit_and_no_owner(release, built):
    source, wheel = built
    moment = release.commit_time()
    with tarfile.open(source) as archive:
        members = archive.getmembers()
    assert {(one.mtime, one.uid, one.gid, one.uname, one.gname) for one in members} == {(moment, 0, 0, "", "")}
    assert {one.mode for one in members} == {0o644, 0o755}
    with zipfile.ZipFile(wheel) as archive:
        times = {info.date_time for info in archive.infolist()}
    assert times == {(*time.gmtime(moment)[:5], time.gmtime(moment).tm_sec // 2 * 2)}


def test_an_index_takes_both(release, built, tmp_path):
    pytest.importorskip("twine", reason="needs the extra develop")
    release.check_metadata(*built)
    broken = tmp_path / built[1].name
    with zipfile.ZipFile(built[1]) as old, zipfile.ZipFile(broken, "w") as new:
        for name in old.namelist():
            content = old.read(name)
            new.writestr(
                name, content.replace(b"Name: moodle", b"Nothing: m") if name.endswith("METADATA") else content
            )
    with pytest.raises(SystemExit, match="twine"):
        release.check_metadata(broken)


def test_the_wheel_works_in_an_environment_of_its_own(release, environment, tmp_path):
    small = ("--courses", "8", "--students", "20")
    release.use(environment, tmp_path / "use", *small, variables={"MOODLEMLBACKEND_PROCESSOR": "logistic_regression"})
    assert (tmp_path / "use" / "demo" / "execution" / "classifier").is_dir()


def test_the_components_are_those_of_the_environment(release, built, tmp_path):
    pytest.importorskip("cyclonedx_py", reason="needs the extra develop")
    python = release.make_environment(tmp_path / "environment")
    (packages,) = tmp_path.rglob("site-packages")
    for library in (path for path in map(Path, sys.path) if path.name == "site-packages"):
        for described in library.glob("*.dist-info"):
            if not described.name.startswith("moodlemlbackend-") and not (packages / described.name).exists():
                (packages / described.name).symlink_to(described)
    first = release.write_components(built[1], python, tmp_path, validate=False)
    content = first.read_bytes()
    components = json.loads(content)
    assert components["bomFormat"] == "CycloneDX"
    root = components["metadata"]["component"]
    assert (root["name"], root["version"]) == ("moodlemlbackend", __version__)
    assert "GPL-3.0-or-later" in json.dumps(root["licenses"])
    purls = {one["name"].lower(): one["purl"] for one in components["components"]}
    assert "moodlemlbackend" not in purls
    import numpy

    assert purls["numpy"] == f"pkg:pypi/numpy@{numpy.__version__}"
    (needs,) = (one["dependsOn"] for one in components["dependencies"] if one["ref"] == root["bom-ref"])
    names = {one.partition("==")[0].lower() for one in needs}
    assert names >= {"numpy", "scikit-learn", "click", "fastapi", "sqlalchemy"}
    assert not names & {"pytest", "ruff"}
    assert str(tmp_path).encode() not in content
    assert str(ROOT).encode() not in content
    release.write_components(built[1], python, tmp_path, validate=False)
    assert first.read_bytes() == content


def test_the_checksums_are_of_the_files(release, tmp_path):
    for name in ("b.whl", "a.tar.gz"):
        (tmp_path / name).write_text(name)
    release.write_checksums(tmp_path)
    expected = [f"{hashlib.sha256(name.encode()).hexdigest()}  {name}" for name in ("a.tar.gz", "b.whl")]
    assert (tmp_path / "SHA256SUMS").read_text().splitlines() == expected


def test_what_is_not_committed_is_not_released(release, tmp_path, monkeypatch):
    clone = tmp_path / "clone"
    subprocess.run(["git", "clone", "--quiet", "--no-local", "--depth", "1", f"file://{ROOT}", clone], check=True)
    (clone / "left.py").touch()
    monkeypatch.setattr(release, "ROOT", clone)
    with pytest.raises(SystemExit, match=r"Only what is committed can be released.*\n\?\? left\.py"):
        release.main()
    assert not (clone / "dist").exists()


def test_the_forge_audits_and_releases():
    workflow = (ROOT / ".github" / "workflows" / "test.yml").read_text("utf-8")
    for target in ("lint", "audit", "release"):
        assert f"      - run: make {target}\n" in workflow
    assert "\n  schedule:\n    - cron: " in workflow
    recipes = (ROOT / "Makefile").read_text("utf-8").partition("\naudit: ")[2].partition("\n\n")[0].splitlines()[1:]
    audit = "\t$(BIN)/pip-audit --strict --disable-pip --require-hashes -r requirements-{}-hashed.txt"
    assert recipes == [audit.format(name) for name in ("all", "develop")]
