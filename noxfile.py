"""The suite on every Python, and with the lowest versions that the package admits: ``make test-all``."""

from __future__ import annotations

import re
from pathlib import Path

import nox
from setuptools.dist import Distribution

PYTHONS = ["3.10", "3.11", "3.12", "3.13"]

nox.needs_version = ">=2024.4"
nox.options.default_venv_backend = "venv"
nox.options.error_on_missing_interpreters = True
nox.options.reuse_venv = "yes"


@nox.session(python=PYTHONS)
def tests(session: nox.Session) -> None:
    """With the versions of ``requirements-all.txt``; arguments after ``--`` are pytest's."""
    _test_with(session, "requirements-all.txt")


@nox.session(python=PYTHONS[0])
def lowest(session: nox.Session) -> None:
    """With the lowest versions of ``setup.py``."""
    constraints = Path(session.create_tmp(), "lowest.txt")
    constraints.write_text("\n".join(re.sub(r"\[.+?\]", "", one).replace(">=", "==") for one in _requirements()))
    _test_with(session, str(constraints))


def _test_with(session: nox.Session, constraints: str) -> None:
    session.install("--quiet", "-c", constraints, "-e", ".[all,test]")
    session.run("python", "-m", "pytest", *(session.posargs or ("-n", "auto", "--dist", "loadfile")))


def _requirements() -> list[str]:
    """What the package needs with all extras but that for tests."""
    from distutils.core import run_setup

    package: Distribution = run_setup("setup.py", stop_after="init")
    return sorted({*package.install_requires, *package.extras_require["all"]})
