"""Renew the hashes of everything that is installed, ``make hashes``; with ``--check``, say whether they match setup.py.

``requirements-all-hashed.txt`` is what the image is made with, ``requirements-develop-hashed.txt`` what demo, tests and
checks need. Both hold the direct dependencies of ``setup.py`` in the versions of ``requirements-all.txt``, what those
need in turn, and the hashes of all files of each version: for every Python and platform.
"""

from __future__ import annotations

import os
import re
import runpy
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from unittest import mock

from packaging.markers import default_environment
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
VERSIONS = "requirements-all.txt"
FILES = {"requirements-develop-hashed.txt": ("all", "test", "develop"), "requirements-all-hashed.txt": ("all",)}
"""Each file with the extras that it is for; the second has the versions of the first."""

PYTHONS = ("3.10", "3.11", "3.12", "3.13")
PLATFORMS = {
    "x86_64-unknown-linux-gnu": {"sys_platform": "linux", "platform_machine": "x86_64"},
    "aarch64-unknown-linux-gnu": {"sys_platform": "linux", "platform_machine": "aarch64"},
    "aarch64-apple-darwin": {"sys_platform": "darwin", "platform_machine": "arm64"},
    "x86_64-pc-windows-msvc": {"sys_platform": "win32", "platform_machine": "AMD64"},
}
"""Those for which TensorFlow has wheels."""

_PIN = re.compile(
    r"^(?P<requirement>[^\s#].*?==.*?) \\\n(?P<hashes>(?: +--hash=.*\n)+)(?P<via>(?: +#.*\n)*)", re.MULTILINE
)
_DIRECT = "moodlemlbackend (setup.py)"


@dataclass(frozen=True)
class Pin:
    """A version of a package; ``direct`` when setup.py names it."""

    requirement: Requirement
    direct: bool

    @property
    def name(self) -> str:
        """The name as registries compare it."""
        return canonicalize_name(self.requirement.name)


def main() -> int:
    """Renew, or check and print what does not match; the exit code."""
    os.chdir(ROOT)
    if sys.argv[1:] == ["--check"]:
        mismatches = list(dict.fromkeys(find_mismatches()))
        print(*mismatches, sep="\n", end="\n" if mismatches else "")
        return 1 if mismatches else 0
    renew(upgrade="--upgrade" in sys.argv)
    for mismatch in dict.fromkeys(find_mismatches()):
        print(mismatch)
    return 0


def renew(*, upgrade: bool) -> None:
    """Write both files; versions stay where they can, unless ``upgrade``. Every platform must have wheels of all."""
    versions = VERSIONS
    for file, extras in FILES.items():
        wanted = [word for extra in extras for word in ("--extra", extra)]
        _uv(
            "compile", "setup.py", *wanted, "--constraints", versions, "--output-file", file, "--universal",
            "--python-version", PYTHONS[0], "--generate-hashes", "--no-emit-index-url", "--no-emit-find-links",
            *(["--upgrade"] if upgrade else []),
        )  # fmt: skip
        versions = file
        for python, platform in product(PYTHONS, PLATFORMS):
            with tempfile.TemporaryDirectory() as nothing:
                _uv(
                    "install", "--dry-run", "--require-hashes", "--only-binary", ":all:", "--requirements", file,
                    "--python-version", python, "--python-platform", platform, "--target", nothing,
                )  # fmt: skip


def _uv(*arguments: str) -> None:
    uv = Path(sys.executable).parent / "uv"
    environment = {**os.environ, "UV_CUSTOM_COMPILE_COMMAND": "make hashes"}
    done = subprocess.run([uv, "--no-config", "--quiet", "pip", *arguments], env=environment)
    if done.returncode:
        sys.exit(f"The hashes cannot be renewed: see above what uv said about {' '.join(arguments)}.")


def find_mismatches() -> Iterator[str]:
    """Sentences about what differs between setup.py, the versions and the hashes."""
    with mock.patch("setuptools.setup") as setup:
        runpy.run_path("setup.py")
    core, rooms = (setup.call_args.kwargs[key] for key in ("install_requires", "extras_require"))
    versions = [Pin(Requirement(line), True) for line in _lines(VERSIONS)]
    for file, extras in FILES.items():
        wanted = [Requirement(line) for line in (*core, *(line for extra in extras for line in rooms[extra]))]
        pins = list(read_pins(file))
        for pin in pins:
            if pin.direct and pin.name not in {canonicalize_name(one.name) for one in wanted}:
                yield f"{file} has {pin.name}, which setup.py no longer names: run make hashes."
        for python, platform in product(PYTHONS, PLATFORMS.values()):
            environment = {**default_environment(), **platform, "extra": ""}
            environment |= {"python_version": python, "python_full_version": f"{python}.0"}
            yield from _differences(file, _needed(wanted, environment), pins, versions, environment)


def _differences(
    file: str, wanted: list[Requirement], pins: list[Pin], versions: list[Pin], environment: dict[str, str]
) -> Iterator[str]:
    """What differs in an environment."""
    chosen, meant = _chosen(pins, environment), _chosen(versions, environment)
    for one in wanted:
        name = canonicalize_name(one.name)
        if name not in chosen:
            yield f"{file} lacks {name}, which setup.py names: run make hashes."
        elif not one.specifier.contains(chosen[name], prereleases=True):
            yield f"{file} has {name} {chosen[name]}, but setup.py wants {one.specifier}: run make hashes."
        elif meant.get(name, chosen[name]) != chosen[name]:
            yield f"{file} has {name} {chosen[name]}, but {VERSIONS} has {meant[name]}: run make hashes."


def _needed(wanted: list[Requirement], environment: dict[str, str]) -> list[Requirement]:
    return [one for one in wanted if one.marker is None or one.marker.evaluate(environment)]


def _chosen(pins: list[Pin], environment: dict[str, str]) -> dict[str, str]:
    """Versions by name in an environment."""
    here = (pin for pin in pins if pin.requirement.marker is None or pin.requirement.marker.evaluate(environment))
    return {pin.name: next(iter(pin.requirement.specifier)).version for pin in here}


def read_pins(file: str) -> Iterator[Pin]:
    """What a file of hashes holds."""
    for found in _PIN.finditer((ROOT / file).read_text("utf-8")):
        yield Pin(Requirement(found["requirement"]), _DIRECT in found["via"])


def _lines(file: str) -> Iterator[str]:
    """The lines of a file of versions and of those that it includes."""
    for line in (ROOT / file).read_text("utf-8").splitlines():
        if line.startswith("-r "):
            yield from _lines(line.removeprefix("-r "))
        elif not line.startswith("#"):
            yield line


if __name__ == "__main__":
    sys.exit(main())
