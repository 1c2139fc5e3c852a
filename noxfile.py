"""The suite on every Python, and with the lowest versions that the package admits: ``make test-all``."""

from __future__ import annotations

from pathlib import Path

import nox

PYTHONS = ["3.10", "3.11", "3.12", "3.13"]

nox.needs_version = ">=2024.4"
nox.options.default_venv_backend = "venv"
nox.options.error_on_missing_interpreters = True
nox.options.reuse_venv = "yes"


@nox.session(python=PYTHONS)
def tests(session: nox.Session) -> None:
    """With the files whose hashes we have; arguments after ``--`` are pytest's."""
    hashed = ("--only-binary", ":all:", "--require-hashes", "-r", "requirements-develop-hashed.txt")
    session.install("--quiet", *hashed)
    session.install("--quiet", "--no-deps", "--no-build-isolation", "-e", ".")
    _test(session)


@nox.session(python=PYTHONS[0])
def lowest(session: nox.Session) -> None:
    """With the lowest versions of ``setup.py``."""
    constraints = str(Path(session.create_tmp(), "lowest.txt"))
    session.install("--quiet", "uv")  # pip does not come to an end with the oldest of everything
    session.run(
        "uv", "pip", "compile", "--quiet", "--resolution", "lowest-direct", "--extra", "all", "setup.py",
        "--output-file", constraints,
    )  # fmt: skip
    session.install("--quiet", "-c", constraints, "-e", ".[all,test]", "setuptools<81")  # for TensorBoard 2.16
    _test(session)


def _test(session: nox.Session) -> None:
    session.run(
        "python", "-m", "pytest", *(session.posargs or ("-n", "auto", "--dist", "loadfile", "--no-loadscope-reorder"))
    )
