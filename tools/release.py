"""Make in ``dist/`` what is published of the last commit, ``make release``; whoever repeats it gets the same bytes.

A wheel, a source distribution, a CycloneDX list of everything that the wheel runs with, and their checksums. Before
they stand in ``dist/``, twine has checked the metadata, and the wheel has worked in an environment of its own.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Mapping
from email.parser import HeaderParser
from pathlib import Path
from types import MappingProxyType

from packaging.requirements import Requirement

ROOT = Path(__file__).parents[1]
DEPENDENCIES = ROOT / "requirements-all-hashed.txt"
_BUILD = "import sys; from setuptools import build_meta; getattr(build_meta, sys.argv[1])(sys.argv[2])"


def main() -> int:
    """Make and check everything; the exit code."""
    if changed := _git("status", "--porcelain").strip():
        sys.exit(f"Only what is committed can be released; commit or remove these first:\n{changed}")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        source, wheel = build(folder / "dist")
        check_metadata(source, wheel)
        python = make_environment(folder / "environment")
        pip = (sys.executable, "-m", "pip", "--python", python, "install", "--quiet", "--disable-pip-version-check")
        _run(*pip, "--only-binary", ":all:", "--require-hashes", "-r", DEPENDENCIES)
        write_components(wheel, python, folder / "dist")
        install(wheel, python)
        use(python, folder / "use")
        write_checksums(folder / "dist")
        target = ROOT / "dist"
        shutil.rmtree(target, ignore_errors=True)
        shutil.copytree(folder / "dist", target)
    for path in sorted(target.iterdir()):
        print(path.relative_to(ROOT))
    return 0


def build(target: Path) -> tuple[Path, Path]:
    """Build the last commit; where the source distribution and the wheel are."""
    target.mkdir(parents=True)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        archive = folder / "commit.tar"
        _git("archive", "--output", str(archive), "HEAD")
        _unpack(archive, folder / "commit")
        _build("build_sdist", folder / "commit", target)
        (source,) = target.glob("*.tar.gz")
        _make_repeatable(source)
        _unpack(source, folder / "source")
        (unpacked,) = (folder / "source").iterdir()
        _build("build_wheel", unpacked, target)
    (wheel,) = target.glob("*.whl")
    return source, wheel


def commit_time() -> int:
    """Unix time of the last commit."""
    return int(_git("log", "-1", "--format=%ct"))


def _build(step: str, source: Path, target: Path) -> None:
    """A step of the build with what could differ from one machine to another fixed."""
    variables = {**os.environ, "SOURCE_DATE_EPOCH": str(commit_time()), "PYTHONHASHSEED": "0", "TZ": "UTC"}
    _run(sys.executable, "-c", _BUILD, step, target, cwd=source, env=variables, umask=0o022)


def _unpack(archive: Path, target: Path) -> None:
    with tarfile.open(archive) as file:
        file.extractall(target, filter="data")


def _make_repeatable(source: Path) -> None:
    """Pack a source distribution anew: in order of names, all of one time, owned by nobody."""
    moment, parts = commit_time(), []
    with tarfile.open(source) as archive:
        for member in sorted(archive.getmembers(), key=lambda one: one.name):
            content = archive.extractfile(member) if member.isfile() else None
            member.mtime, member.mode = moment, 0o644 if member.isfile() else 0o755
            member.uid = member.gid = 0
            member.uname = member.gname = ""
            member.pax_headers = {}
            parts.append((member, content.read() if content else b""))
    plain = io.BytesIO()
    with tarfile.open(fileobj=plain, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for member, content in parts:
            archive.addfile(member, io.BytesIO(content))
    source.write_bytes(gzip.compress(plain.getvalue(), mtime=moment))


def check_metadata(*files: Path) -> None:
    """Have twine check what an index would show."""
    _run(sys.executable, "-m", "twine", "--no-color", "check", "--strict", *files)


def make_environment(folder: Path) -> Path:
    """An environment without anything, not even pip; where its Python is."""
    _run(sys.executable, "-m", "venv", "--without-pip", folder)
    return folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


def install(wheel: Path, python: Path) -> None:
    """Install the wheel alone."""
    _run(sys.executable, "-m", "pip", "--python", python, "install", "--quiet", "--no-deps", "--no-index", wheel)


def use(python: Path, folder: Path, *demo: str, variables: Mapping[str, str] = MappingProxyType({})) -> None:
    """Do with what is installed what people begin with: version, the first step of the demo, train, predict."""
    folder.mkdir()
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("MOODLEMLBACKEND_", "PYTHON"))}
    environment = {**kept, **variables}

    def answer(*words: str | Path) -> str:
        return _run(*words, cwd=folder, env=environment)

    command = python.with_name("moodlemlbackend")
    where = Path(answer(python, "-c", "import moodlemlbackend; print(moodlemlbackend.__file__)").strip())
    if python.parents[1] not in where.parents:
        sys.exit(f"The wheel was not used, but {where}.")
    versions = {answer(python, "-m", "moodlemlbackend.version"), answer(command, "version")}
    if versions != {f"{_version()}\n"}:
        sys.exit(f"The wheel says {versions} for version {_version()}.")
    answer(command, "demo", "demo", *demo)
    answer(command, "train", "trial", "trained", Path("demo", "data", "training.csv"))
    predicted = answer(command, "predict", "trial", "trained", Path("demo", "data", "prediction.csv"), "--json")
    if not json.loads(predicted)["predictions"]:
        sys.exit("The wheel predicts nothing.")


def write_components(wheel: Path, python: Path, folder: Path, *, validate: bool = True) -> Path:
    """Write which packages, of which versions and licences, the wheel finds there, and which needs which.

    To validate it against CycloneDX's schema takes a quarter of a minute.
    """
    path = folder / f"moodlemlbackend-{_version()}.cdx.json"
    with tempfile.TemporaryDirectory() as name:
        described = Path(name, "pyproject.toml")
        described.write_text(_describe(wheel), "utf-8")
        _run(
            sys.executable, "-m", "cyclonedx_py", "environment", "--output-reproducible", "--pyproject", described,
            "--output-format", "JSON", "--output-file", path, "--validate" if validate else "--no-validate", python,
            env={**os.environ, "SOURCE_DATE_EPOCH": str(commit_time())},
        )  # fmt: skip
    return path


def _describe(wheel: Path) -> str:
    """What the wheel says of itself and of what it needs with all extras, as a pyproject.toml."""
    with zipfile.ZipFile(wheel) as file:
        (name,) = (name for name in file.namelist() if name.endswith(".dist-info/METADATA"))
        metadata = HeaderParser().parsestr(file.read(name).decode("utf-8"))
    needs = map(Requirement, metadata.get_all("Requires-Dist", []))
    here = ("", "all")
    used = {
        one.name for one in needs if one.marker is None or any(one.marker.evaluate({"extra": extra}) for extra in here)
    }
    fields = {
        "name": metadata["Name"],
        "version": metadata["Version"],
        "description": metadata["Summary"],
        "license": metadata["License-Expression"] or metadata["License"],
        "dependencies": sorted(used),
    }
    return "[project]\n" + "".join(f"{key} = {json.dumps(value)}\n" for key, value in fields.items())


def write_checksums(folder: Path) -> None:
    """Write the SHA-256 of each file, as ``sha256sum --check`` reads them."""
    lines = [f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}\n" for path in sorted(folder.iterdir())]
    (folder / "SHA256SUMS").write_text("".join(lines), "ascii")


def _version() -> str:
    """The version of the last commit."""
    text = _git("show", "HEAD:moodlemlbackend/__init__.py")
    return next(line.split('"')[1] for line in text.splitlines() if line.startswith("__version__ = "))


def _git(*arguments: str) -> str:
    return _run("git", *arguments, cwd=ROOT)


def _run(*command: str | Path, cwd: Path | None = None, env: Mapping[str, str] | None = None, umask: int = -1) -> str:
    """What a command prints; the release ends when it fails."""
    done = subprocess.run(command, cwd=cwd, env=env, umask=umask, capture_output=True, encoding="utf-8")
    if done.returncode:
        sys.exit(f"{' '.join(map(str, command))} failed:\n{done.stdout}{done.stderr}")
    return done.stdout


if __name__ == "__main__":
    sys.exit(main())
