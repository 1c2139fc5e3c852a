"""What the tests of models share: a simulated site, workspaces in fresh folders, and the core models by name."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("sqlalchemy", reason="needs the extra analytics")

from sqlalchemy import func, select

from moodlemlbackend.analytics import lifecycle
from moodlemlbackend.analytics.db import models
from moodlemlbackend.analytics.lifecycle.workspace import Workspace, open_workspace
from moodlemlbackend.analytics.site import Site, open_site
from moodlemlbackend.settings.analytics import AnalyticsSettings
from moodlemlbackend.simulation.site.build import write_site

PROCESSOR = "logistic_regression"
"""The quick one; what differs between processors has tests of its own."""

NOW = 1_795_366_777
DAY = 86_400
COURSES, STUDENTS = 14, 20
TRAINED = 6
"""Id of the first model that is made beside the core ones."""

DROPOUT = r"\core_course\analytics\target\course_dropout"
NO_TEACHING = r"\core_course\analytics\target\no_teaching"
NO_RECENT_ACCESSES = r"\core_course\analytics\target\no_recent_accesses"
QUARTERS = r"\core\analytics\time_splitting\quarters"
SINGLE_RANGE = r"\core\analytics\time_splitting\single_range"

SHORT = (
    r"\core\analytics\indicator\read_actions",
    r"\core\analytics\indicator\any_write_action_in_course",
    r"\mod_quiz\analytics\indicator\cognitive_depth",
)


def make_site(folder: Path) -> str:
    """Simulate a site; returns its URL."""
    url = f"sqlite:///{folder / 'site.sqlite'}"
    write_site(url, courses=COURSES, students=STUDENTS, seed=1, now=NOW)
    return url


@pytest.fixture(scope="module")
def site_url(tmp_path_factory) -> str:
    return make_site(tmp_path_factory.mktemp("site"))


@pytest.fixture
def site(site_url) -> Iterator[Site]:
    with open_site(site_url) as opened:
        yield opened


@pytest.fixture
def workspace(tmp_path) -> Iterator[Workspace]:
    with new_workspace(tmp_path / "work") as made:
        yield made


@contextmanager
def new_workspace(folder: Path, now: int = NOW, userid: int = 0, **settings: Any) -> Iterator[Workspace]:
    chosen = AnalyticsSettings(**{"directory": str(folder), "wwwroot": "https://moodle.example", **settings})
    made = open_workspace(chosen, now=now, userid=userid)
    try:
        yield made
    finally:
        made.store.close()


def at(workspace: Workspace, now: int, userid: int = 0) -> Workspace:
    """The same workspace at another time, or of another user."""
    from dataclasses import replace

    return replace(workspace, clock=lambda: now, userid=userid)


def model_of(workspace: Workspace, target: str) -> int:
    with workspace.store.read() as connection:
        [model] = models.listed(connection, target=target)
    return model.id


def enabled(workspace: Workspace, indicators: tuple[str, ...] = SHORT, interval: str = QUARTERS) -> int:
    """A model of dropping out with few indicators, enabled."""
    made = models.create(workspace, DROPOUT, indicators, interval=interval, processor=PROCESSOR)
    models.enable(workspace, made.id)
    return made.id


@pytest.fixture(scope="module")
def trained_folder(site_url, tmp_path_factory) -> Path:
    """The folder of a workspace whose model :data:`TRAINED` has been trained; to be copied."""
    folder = tmp_path_factory.mktemp("trained") / "work"
    with new_workspace(folder) as made, open_site(site_url) as opened:
        assert enabled(made) == TRAINED
        assert lifecycle.train(made, opened, TRAINED).status == 0
    return folder


@pytest.fixture
def trained(trained_folder, tmp_path) -> Iterator[Workspace]:
    """A copy of the workspace with the trained model, for one test."""
    shutil.copytree(trained_folder, tmp_path / "trained")
    with new_workspace(tmp_path / "trained") as made:
        yield made


def rows(workspace: Workspace, table: Any, *where: Any) -> list[dict[str, Any]]:
    with workspace.store.read() as connection:
        return [row._asdict() for row in connection.execute(select(table).where(*where).order_by(table.c.id))]


def size(workspace: Workspace, table: Any) -> int:
    with workspace.store.read() as connection:
        return int(connection.execute(select(func.count()).select_from(table)).scalar() or 0)
