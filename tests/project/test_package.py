"""The distribution: what a wheel holds, what it needs, and that it works from where pip puts it."""

from __future__ import annotations

import ast
import re
import shutil
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Iterator
from email.parser import HeaderParser
from pathlib import Path

import pytest
from packaging.markers import default_environment
from packaging.requirements import Requirement

import moodlemlbackend
import moodlemlbackend.cli
from fixtures.paths import ROOT

PYTHONS = ("3.10", "3.11", "3.12", "3.13")
PLATFORMS = {
    "linux-x86_64": {"sys_platform": "linux", "platform_machine": "x86_64"},
    "linux-aarch64": {"sys_platform": "linux", "platform_machine": "aarch64"},
    "darwin-arm64": {"sys_platform": "darwin", "platform_machine": "arm64"},
    "darwin-x86_64": {"sys_platform": "darwin", "platform_machine": "x86_64"},
    "win-amd64": {"sys_platform": "win32", "platform_machine": "AMD64"},
}
CORE = {
    "click",
    "filelock",
    "jinja2",
    "matplotlib",
    "numpy",
    "pyarrow",
    "rich",
    "safetensors",
    "scikit-learn",
    "scipy",
    "tensorboard",
}
BUILD = "import sys; from setuptools import build_meta; getattr(build_meta, sys.argv[1])(sys.argv[2])"


@pytest.fixture(scope="session")
def wheel(tmp_path_factory) -> Path:
    """A wheel built from the source distribution, as pip builds one."""
    folder = tmp_path_factory.mktemp("package")
    source = folder / "checkout"
    for name in ("moodlemlbackend", "cli"):
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("setup.py", "pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    _build("build_sdist", source, folder)
    (archive,) = folder.glob("*.tar.gz")
    with tarfile.open(archive) as file:
        file.extractall(folder / "sdist", filter="data")
    (unpacked,) = (folder / "sdist").iterdir()
    _build("build_wheel", unpacked, folder)
    (built,) = folder.glob("*.whl")
    return built


def _build(step: str, source: Path, target: Path) -> None:
    built = subprocess.run([sys.executable, "-c", BUILD, step, target], cwd=source, capture_output=True, text=True)
    assert built.returncode == 0, built.stderr


@pytest.fixture(scope="session")
def metadata(wheel):
    with zipfile.ZipFile(wheel) as file:
        (name,) = (name for name in file.namelist() if name.endswith(".dist-info/METADATA"))
        return HeaderParser().parsestr(file.read(name).decode("utf-8"))


@pytest.fixture(scope="session")
def requirements(metadata) -> list[Requirement]:
    return [Requirement(line) for line in metadata.get_all("Requires-Dist")]


def needed(requirements, *, extra: str = "", **environment: str) -> list[Requirement]:
    """The requirements of an environment, without or with those of an extra."""
    where = {**default_environment(), **environment, "extra": extra}
    return [one for one in requirements if one.marker is None or one.marker.evaluate(where)]


def test_the_wheel_holds_the_package_and_nothing_beside_it(wheel):
    with zipfile.ZipFile(wheel) as file:
        names = set(file.namelist())
    version = moodlemlbackend.__version__
    assert {name.partition("/")[0] for name in names} == {"moodlemlbackend", f"moodlemlbackend-{version}.dist-info"}
    sources = {path.relative_to(ROOT).as_posix() for path in (ROOT / "moodlemlbackend").rglob("*.py")}
    sources |= {f"moodlemlbackend/{path.relative_to(ROOT).as_posix()}" for path in (ROOT / "cli").rglob("*.py")}
    package = ROOT / "moodlemlbackend"
    folders = (*package.rglob("templates/**/*"), *package.rglob("static/*"))
    others = [*(path for path in folders if path.is_file()), *package.rglob("*.po")]
    data = {"moodlemlbackend/py.typed", *(path.relative_to(ROOT).as_posix() for path in others)}
    assert {name for name in names if name.startswith("moodlemlbackend/")} == sources | data
    assert any(name.endswith("/LICENSE") for name in names)


def test_metadata(metadata):
    assert metadata["Name"] == "moodlemlbackend"
    assert metadata["Version"] == moodlemlbackend.__version__
    assert metadata["Requires-Python"] == ">=3.10"
    assert "GPL-3.0-or-later" in (metadata["License-Expression"] or metadata["License"])
    pythons = {name.rpartition(" ")[2] for name in metadata.get_all("Classifier") if "Python :: 3." in name}
    assert pythons == set(PYTHONS)
    assert metadata.get_payload().startswith("# moodlemlbackend")


def test_extras(metadata, requirements):
    extras = set(metadata.get_all("Provides-Extra"))
    assert extras == {
        "server",
        "analytics",
        "postgresql",
        "mysql",
        "s3",
        "lti",
        "cluster",
        "lake",
        "all",
        "test",
        "develop",
    }
    core = {str(one) for one in needed(requirements)}

    def of(extra: str) -> set[tuple[str, str]]:
        added = (one for one in needed(requirements, extra=extra) if str(one) not in core)
        return {(one.name, str(one.specifier)) for one in added}

    assert of("all") == set().union(*(of(extra) for extra in extras - {"all", "test", "develop"}))
    assert {name for name, _ in of("analytics")} == {"Babel", "SQLAlchemy", "alembic", "joblib"}


@pytest.mark.parametrize("platform", PLATFORMS)
def test_core_requirements_are_few_and_have_one_tensorflow(requirements, platform):
    names = [one.name for one in needed(requirements, **PLATFORMS[platform])]
    tensorflow = "tensorflow-cpu" if platform in ("linux-x86_64", "win-amd64") else "tensorflow"
    assert sorted(names) == sorted(CORE | {tensorflow})


@pytest.mark.parametrize("file", ["requirements.txt", "requirements-all.txt"])
@pytest.mark.parametrize("python", PYTHONS)
@pytest.mark.parametrize("platform", PLATFORMS)
def test_every_requirement_is_pinned_once(requirements, file, python, platform):
    environment = {"python_version": python, "python_full_version": f"{python}.0", **PLATFORMS[platform]}
    pins = needed(list(read_pins(file)), **environment)
    extra = "all" if file == "requirements-all.txt" else ""
    wanted = {one.name: one.specifier for one in needed(requirements, extra=extra, **environment)}
    assert sorted(pin.name for pin in pins) == sorted(wanted)
    for pin in pins:
        (exact,) = pin.specifier
        assert exact.operator == "=="
        assert exact.version in wanted[pin.name]


def read_pins(file: str) -> Iterator[Requirement]:
    for line in (ROOT / file).read_text().splitlines():
        if line.startswith("-r "):
            yield from read_pins(line.removeprefix("-r "))
        elif not line.startswith("#"):
            yield Requirement(line)


def test_the_sessions_of_the_forge_are_those_of_nox(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT))
    noxfile = pytest.importorskip("noxfile", reason="needs nox")
    assert tuple(noxfile.PYTHONS) == PYTHONS
    sessions = re.findall(r"\{session: ([^,]+),", (ROOT / ".github/workflows/test.yml").read_text())
    assert sessions == [*(f"tests-{python}" for python in PYTHONS), "lowest"]
    assert {name for name in ("tests", "lowest") if callable(getattr(noxfile, name))} == {"tests", "lowest"}


def test_an_installed_wheel_works_without_the_checkout(wheel, python, tmp_path):
    with zipfile.ZipFile(wheel) as file:
        file.extractall(tmp_path / "site")
    env = {"PYTHONPATH": str(tmp_path / "site")}
    where = python("-c", "import moodlemlbackend.cli as cli; print(cli.__file__)", cwd=tmp_path, env=env)
    assert where.stdout == f"{tmp_path / 'site' / 'moodlemlbackend' / 'cli' / '__init__.py'}\n"
    for module in ("moodlemlbackend", "moodlemlbackend.version"):
        told = python("-m", module, *(["version"] if module == "moodlemlbackend" else []), cwd=tmp_path, env=env)
        assert (told.stdout, told.stderr) == (f"{moodlemlbackend.__version__}\n", "")
    missing = python("-m", "moodlemlbackend.training", cwd=tmp_path, env=env)
    assert "Missing arguments" in missing.stdout


def test_the_entry_point_names_the_command(wheel):
    with zipfile.ZipFile(wheel) as file:
        (name,) = (name for name in file.namelist() if name.endswith("entry_points.txt"))
        assert "moodlemlbackend = moodlemlbackend.cli:main" in file.read(name).decode()


def test_the_tests_run_on_this_checkout():
    assert Path(moodlemlbackend.__file__).parent == ROOT / "moodlemlbackend"
    assert Path(moodlemlbackend.cli.__file__).parent == ROOT / "cli"


def test_a_public_class_has_a_name_of_its_own():
    where: dict[str, list[str]] = {}
    for folder in (ROOT / "moodlemlbackend", ROOT / "cli"):
        for path in folder.rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text("utf-8"))):
                if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                    where.setdefault(node.name, []).append(path.relative_to(ROOT).as_posix())
    assert len(where) > 100
    assert {name: paths for name, paths in where.items() if len(paths) > 1} == {}
