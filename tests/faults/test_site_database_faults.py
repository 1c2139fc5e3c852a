"""A site's database whose connection is cut at any message: one sentence, nothing half, and the next run completes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("alembic", reason="needs the extra analytics")

from fixtures.databases import KINDS, new_database
from fixtures.fault_states import COURSES, CREATE, SET, SHORT, check_nothing_twice, environment, small_site, state
from fixtures.faults import Commands, is_told_in_a_sentence
from fixtures.paths import posix
from fixtures.proxy import CONNECTION_FAULTS, Proxy, proxy_of
from fixtures.trained_sites import NOW
from moodlemlbackend.simulation.site.build import write_site

_ = small_site  # a fixture
pytestmark = posix

DATA_SET = ("site", "dataset", "--target", "course_dropout", *SHORT, "--interval", "quarters", "--yes", "-o")
COMMANDS = {"train": ("tasks", "train"), "predict": ("tasks", "predict"), "data set": DATA_SET}


@dataclass(frozen=True)
class SiteOnServer:
    """The small site on a server of a kind, behind a proxy."""

    kind: str
    url: str
    proxy: Proxy


@pytest.fixture(scope="module")
def site_on_server(request, tmp_path_factory) -> Iterator[SiteOnServer]:
    with new_database(request.param, tmp_path_factory.mktemp("site")) as url, proxy_of(url) as (proxy, behind):
        write_site(url, courses=COURSES, students=12, seed=1, now=NOW)
        yield SiteOnServer(request.param, behind, proxy)


@pytest.fixture(scope="module")
def templates(tmp_path_factory, copies, fault_hosts, small_site) -> dict[str, Path]:
    """Folders of the site's models before each command."""
    folder = tmp_path_factory.mktemp("models")
    commands = Commands(fault_hosts, folder, environment(folder, small_site), **SET)
    (folder / "data.csv").write_text("former")
    made = {}
    for before, words in (("train", CREATE), ("predict", ("tasks", "train"))):
        assert commands.run(["moodlemlbackend", *words]).code == 0
        made[before] = copies(folder)
    return {**made, "data set": made["train"]}


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    every = [(kind, command, fault) for kind in KINDS[1:] for command in COMMANDS for fault in CONNECTION_FAULTS]
    few = [("postgresql", "predict", "cut"), ("postgresql", "data set", "answer lost")]
    given = every if metafunc.config.getoption("every_fault") else few
    metafunc.parametrize(("site_on_server", "command", "fault"), given, indirect=["site_on_server"], scope="module")


def test_a_site_at_fault(site_on_server, command, fault, templates, copies, fault_hosts, chosen):
    proxy = site_on_server.proxy

    def begin() -> tuple[Commands, list[Any]]:
        folder = copies(templates[command])
        output = [folder / "data.csv"] * (command == "data set")
        commands = Commands(fault_hosts, folder, environment(folder, site_on_server.url), **SET)
        return commands, ["moodlemlbackend", *COMMANDS[command], *output]

    former = state(copies(templates[command]))
    commands, given = begin()
    proxy.fail("", 0)
    assert commands.run(given).code == 0
    new, messages = state(commands.folder), proxy.messages
    for message in chosen(messages):
        commands, given = begin()
        proxy.fail(fault, message)
        ended = commands.run(given)
        proxy.fail("", 0)
        about = f"{site_on_server.kind}, {command}, {fault} at message {message} of {messages}: {ended}"
        is_told_in_a_sentence(ended, about)
        found = state(commands.folder)
        check_nothing_twice(found)
        if ended.code == 0:
            assert found == new, about
        elif command == "data set":
            assert found == former, about
        for _again in range(2):
            again = commands.run(given)
            assert again.code == 0, (about, again)
            assert state(commands.folder) == new, about
