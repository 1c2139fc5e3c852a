"""Databases whose machine is cut off in the middle of a query: a sentence after some time, and not hours later."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from contextlib import closing
from threading import Timer

import pytest

pytest.importorskip("alembic", reason="needs the extra analytics")

from sqlalchemy import text

from fixtures.databases import KINDS, new_database
from fixtures.networks import PULL_CABLE, hosts, listener_at
from fixtures.paths import posix
from fixtures.proxy import proxy_of
from moodlemlbackend.analytics import databases
from moodlemlbackend.analytics.db import open_store
from moodlemlbackend.analytics.site.database import Database
from moodlemlbackend.errors import SiteError, StorageError

pytestmark = posix

LONG = {"postgresql": "SELECT CAST(pg_sleep(30) AS text)", "mariadb": "SELECT SLEEP(30)"}


def ask_store(url: str, query: str, pull_cable: Callable[[], object]) -> None:
    with closing(open_store(url)) as store, store.read() as connection:
        pull_cable()
        connection.execute(text(query))


def ask_site(url: str, query: str, pull_cable: Callable[[], object]) -> None:
    site = Database(url, "mdl_")
    pull_cable()
    site.rows(query)


@pytest.mark.parametrize("ask", [ask_store, ask_site])
@pytest.mark.parametrize("kind", KINDS[1:])
def test_a_query_ends_when_the_server_is_cut_off(kind, ask, tmp_path, monkeypatch):
    monkeypatch.setattr(databases, "CUT_OFF_SECONDS", 4)
    sentence = r"^The (store|site's database) .* cannot be (used|read): .*\.$"
    with new_database(kind, tmp_path) as url, hosts(1) as [host], proxy_of(url, listener_at(host)) as (_, behind):
        pull = Timer(1, subprocess.run, [host.run(*PULL_CABLE)])
        mend = Timer(60, subprocess.run, [host.run("ip", "link", "set", "cable", "up")])
        mend.start()
        with pytest.raises((StorageError, SiteError), match=sentence):
            ask(behind, LONG[kind], pull.start)
        mend.cancel()
        pull.join()
