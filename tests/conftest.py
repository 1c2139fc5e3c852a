"""What several test files use: small simulated courses, and processes like those that Moodle and people start."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from moodlemlbackend.simulation.courses import DemoFiles, write_demo

Finished = subprocess.CompletedProcess[str]


@pytest.fixture(scope="session")
def courses(tmp_path_factory) -> DemoFiles:
    """Data sets of eight courses a term."""
    return write_demo(tmp_path_factory.mktemp("courses"), courses=8, students=20)


@pytest.fixture(scope="session")
def python() -> Callable[..., Finished]:
    """Return a function that runs this Python with arguments, under no settings but those given as ``env``."""

    def run(
        *arguments: str | Path, cwd: Path | None = None, text: str | None = None, env: dict[str, str] | None = None
    ) -> Finished:
        clean = {name: value for name, value in os.environ.items() if not name.startswith("MOODLEMLBACKEND_")}
        return subprocess.run(
            [sys.executable, *map(str, arguments)],
            cwd=cwd,
            env={**clean, **(env or {})},
            input=text,
            stdin=subprocess.DEVNULL if text is None else None,
            capture_output=True,
            encoding="utf-8",
        )

    return run


@pytest.fixture(scope="session")
def command(python) -> Callable[..., Finished]:
    """Return a function that runs the command ``moodlemlbackend``."""
    return lambda *arguments, **where: python("-m", "moodlemlbackend", *arguments, **where)


@pytest.fixture(scope="session")
def prepared(tmp_path_factory):
    """A simulated Moodle site whose models have predicted."""
    from paging import prepare

    return prepare(tmp_path_factory.mktemp("prepared"))


@pytest.fixture(scope="session")
def pages_server(prepared, tmp_path_factory):
    """A server that shows the pages of that site, and the files of its own copies of the store and the site."""
    from paging import pages

    folder = tmp_path_factory.mktemp("pages")
    with pages(prepared, folder) as server:
        server.store = folder / "work" / "store.sqlite"
        server.site = folder / "site.sqlite"
        yield server


@pytest.fixture(scope="module")
def browser():
    """Chromium, without a window; a new one for each file, which may change its settings."""
    selenium = pytest.importorskip("selenium.webdriver", reason="needs selenium")
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    driver = shutil.which("chromedriver")
    if not chromium or not driver:
        pytest.skip("needs Chromium and its driver")
    options = selenium.ChromeOptions()
    options.binary_location = chromium
    for argument in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    browser = selenium.Chrome(options=options, service=selenium.ChromeService(driver))
    yield browser
    browser.quit()
