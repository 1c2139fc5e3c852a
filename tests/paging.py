"""What the tests of the pages of a Moodle site share: a simulated site with insights, logins, a browser that looks."""

from __future__ import annotations

import base64
import re
import shutil
import sqlite3
from contextlib import contextmanager
from dataclasses import dataclass
from html import unescape
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("sqlalchemy", reason="needs the extra analytics")
pytest.importorskip("alembic", reason="needs the extra analytics")

from serving import served

from moodlemlbackend.analytics import lifecycle
from moodlemlbackend.analytics.db import models
from moodlemlbackend.analytics.lifecycle.workspace import open_workspace
from moodlemlbackend.analytics.site import open_site
from moodlemlbackend.settings.analytics import AnalyticsSettings
from moodlemlbackend.simulation.site.build import write_site

NOW = 1_795_366_777
PASSWORD = "correct horse"
WWWROOT = "https://moodle.example"
DROPOUT = r"\core_course\analytics\target\course_dropout"
QUARTERS = r"\core\analytics\time_splitting\quarters"
HOSTILE = "<script>alert('x')</script>\"><img src=//evil.example onerror=alert(1)>"

USERS = ("moodle", "manager", "admin")
"""Those that may call the server as Moodle does; ``moodle`` is no user of the site."""

PEOPLE = ("ana", "bert", "sam", "gone")
"""Those that may see the pages only: the teachers of one course and of the other, a student, and one suspended."""


@dataclass(frozen=True)
class Prepared:
    """A site whose models have predicted.

    Attributes
    ----------
    course, other
        contexts of courses with insights on students at risk; the first one's name and a student's are hostile.
    """

    folder: Path
    dropout: int
    static: int
    course: int
    other: int


def prepare(folder: Path) -> Prepared:
    """Simulate a site, train the model of students at risk, and have all models predict."""
    url = f"sqlite:///{folder / 'site.sqlite'}"
    write_site(url, courses=16, students=16, seed=1, now=NOW)
    settings = AnalyticsSettings(site=url, directory=str(folder / "work"), wwwroot=WWWROOT)
    workspace = open_workspace(settings, now=NOW)
    with open_site(url) as opened, workspace.store.read() as connection:
        found = {model.target: model for model in models.listed(connection)}
        dropout = found.pop(DROPOUT).id
    models.edit(workspace, dropout, enabled=True, interval=QUARTERS, processor="logistic_regression")
    with open_site(url) as opened:
        assert lifecycle.train(workspace, opened, dropout).status == 0
        for modelid in (dropout, *(model.id for model in found.values())):
            lifecycle.predict(workspace, opened, modelid)
    workspace.store.close()
    return _named(folder, dropout, next(iter(found.values())).id)


def add_like(database: sqlite3.Connection, table: str, **changes: Any) -> int:
    """Add a row like the last one, with some values of its own; returns its id."""
    found = database.execute(f"SELECT * FROM {table} ORDER BY id DESC LIMIT 1")
    columns = [one[0] for one in found.description]
    row = dict(zip(columns, found.fetchone(), strict=True))
    row |= {"id": row["id"] + 1, **changes}
    database.execute(f"INSERT INTO {table} VALUES ({', '.join('?' * len(row))})", [*row.values()])
    return int(row["id"])


def _named(folder: Path, dropout: int, static: int) -> Prepared:
    with sqlite3.connect(folder / "work" / "store.sqlite") as store:
        counted = store.execute(
            "SELECT contextid FROM analytics_predictions WHERE modelid = ? GROUP BY 1 HAVING COUNT(*) > 1 ORDER BY 1",
            (dropout,),
        ).fetchall()
    store.close()
    course, other = counted[0][0], counted[1][0]
    with sqlite3.connect(folder / "site.sqlite") as site:
        instance = "(SELECT instanceid FROM mdl_context WHERE id = ?)"
        site.execute(f"UPDATE mdl_course SET fullname = ? WHERE id = {instance}", (HOSTILE, course))
        site.execute(
            "UPDATE mdl_user SET firstname = ? WHERE id IN (SELECT a.userid FROM mdl_role_assignments a "
            "JOIN mdl_role r ON r.id = a.roleid WHERE a.contextid = ? AND r.archetype = 'student')",
            (HOSTILE, course),
        )
        roles = dict(site.execute("SELECT archetype, id FROM mdl_role").fetchall())
        for name, role, place in (
            ("ana", "editingteacher", course),
            ("bert", "teacher", other),
            ("sam", "student", course),
        ):
            user = add_like(
                site, "mdl_user", username=name, firstname=name.title(), suspended=0, deleted=0, confirmed=1
            )
            add_like(site, "mdl_role_assignments", roleid=roles[role], contextid=place, userid=user)
        add_like(site, "mdl_user", username="gone", suspended=1)
    site.close()
    return Prepared(folder, dropout, static, course, other)


@contextmanager
def pages(prepared: Prepared, folder: Path, **settings: str):
    """A server for the site, on copies of its store and of the site."""
    shutil.copytree(prepared.folder / "work", folder / "work")
    shutil.copy(prepared.folder / "site.sqlite", folder)
    given = {
        "MOODLEMLBACKEND_SITE": f"sqlite:///{folder / 'site.sqlite'}",
        "MOODLEMLBACKEND_DIRECTORY": str(folder / "work"),
        "MOODLEMLBACKEND_WWWROOT": WWWROOT,
        "USERS": ",".join(f"{name}:{PASSWORD}" for name in USERS),
        "PEOPLE": ",".join(f"{name}:{PASSWORD}" for name in PEOPLE),
    }
    with served(folder / "server", **{**given, **settings}) as server:
        yield server


def reader(server: Any, user: str) -> Any:
    """A client of a user."""
    return server.client((user, PASSWORD))


def token(client: Any, path: str) -> str:
    """The token of the forms of a page."""
    found = re.search(r'name="token" value="([^"]+)"', client.get(path).text)
    assert found, path
    return found[1]


def post(client: Any, path: str, page: str, headers: dict[str, str] | None = None, **fields: Any) -> Any:
    """Send a form as the page has it."""
    return client.post(path, data={"token": token(client, page), **fields}, headers=headers)


def told(answer: Any, code: int) -> str:
    """The sentence of a page that refuses: no path of the server, no trace of its code."""
    assert answer.status_code == code, answer.text
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    found = re.search(r"</h1>\s*<p>(.*?)</p>", answer.text, re.DOTALL)
    assert found, answer.text
    text = unescape(found[1])
    assert text.endswith(".")
    for secret in ("Traceback", "/tmp", "site-packages", "sqlite"):
        assert secret not in answer.text
    return text


def ids(text: str) -> list[int]:
    """The insights of a page of a course, in their order."""
    return [int(one) for one in re.findall(r'name="id" value="(\d+)"', text)]


# ---- a browser ----


def axe() -> str:
    """The script of axe, for a page."""
    package = pytest.importorskip("axe_core_python", reason="needs axe-core-python")
    return (Path(package.__file__).parent / "axe.min.js").read_text("utf-8")


def log_in(browser: Any, user: str) -> None:
    """Have the browser send this login with each request."""
    value = "Basic " + base64.b64encode(f"{user}:{PASSWORD}".encode()).decode()
    browser.execute_cdp_cmd("Network.enable", {})
    browser.execute_cdp_cmd("Network.setExtraHTTPHeaders", {"headers": {"Authorization": value}})


def log_out(browser: Any) -> None:
    """Undo all that other tests of this browser do not expect."""
    browser.execute_cdp_cmd("Network.setExtraHTTPHeaders", {"headers": {}})
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})
    browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": False})


def show(browser: Any, width: int, *, dark: bool) -> None:
    """A window of this width, in one of the two modes."""
    browser.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride", {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False}
    )
    mode = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [mode]})


def violations(browser: Any, script: str) -> list[str]:
    """What axe finds in the page that is shown; it must have looked at something."""
    found = browser.execute_script(
        f"{script}\nreturn axe.run({{runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'best-practice']}})"
    )
    assert len(found["passes"]) > 10
    return [f"{one['id']}: {one['nodes'][0]['html'][:200]}" for one in found["violations"]]
