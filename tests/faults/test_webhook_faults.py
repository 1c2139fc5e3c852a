"""Webhooks whose posts are at fault at any step or message: none is lost, one that is sent again has the same key."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import pytest

pytest.importorskip("alembic", reason="needs the extra analytics")

from fixtures.fault_states import SET, environment, small_site
from fixtures.faults import Commands, Ended, at_fault, give_faults, is_told_in_a_sentence
from fixtures.paths import posix
from fixtures.proxy import CONNECTION_FAULTS, Proxy
from fixtures.trained_sites import NOW, new_workspace, rows
from fixtures.webhooks import http_server
from moodlemlbackend.analytics.db.schema import DELIVERIES
from moodlemlbackend.analytics.notifications import outbox, switch
from moodlemlbackend.analytics.notifications.message import Message, Recipient

_ = small_site  # a fixture
pytestmark = posix

HOUR = 3600
SUBJECTS = ("Botany", "Algebra", "Physics")


@dataclass
class Hook:
    """A web server behind a proxy, and what it was posted."""

    url: str
    proxy: Proxy
    posts: list[tuple[dict[str, str], bytes]]

    def received(self) -> Counter[tuple[str, str]]:
        """Each post by its key and subject, and how often."""
        return Counter((headers["Idempotency-Key"], json.loads(body)["subject"]) for headers, body in self.posts)


@pytest.fixture(scope="module")
def hook() -> Iterator[Hook]:
    with http_server() as (url, posts):
        behind = Proxy("127.0.0.1", int(urlsplit(url).port or 0))
        yield Hook(f"http://127.0.0.1:{behind.port}/hook", behind, posts)
        behind.close()


@pytest.fixture(scope="module")
def post_office(hook, tmp_path_factory, copies, fault_hosts, small_site) -> Callable[[], Commands]:
    """A function that makes a site's folder in which posts wait, and clears what was received."""
    template = tmp_path_factory.mktemp("posting")
    with new_workspace(template / "work", NOW, webhook_url=hook.url) as workspace:
        switch.follow(workspace)
        insights = [
            Message(Recipient(4, "Ana", "Ana Nowak", ""), 1, 1, 0, subject, f"{subject} has students at risk",
                    "<p>At risk</p>", "https://moodle.example")
            for subject in SUBJECTS
        ]  # fmt: skip
        with workspace.store.write() as connection:
            assert outbox.put(connection, workspace, insights) == len(SUBJECTS)

    def make() -> Commands:
        hook.posts.clear()
        hook.proxy.fail("", 0)
        folder = copies(template)
        given = {**environment(folder, small_site), "MOODLEMLBACKEND_WEBHOOK_URL": hook.url}
        return Commands(fault_hosts, folder, given, **SET)

    return make


def words(hours: int = 0) -> list[str]:
    return ["moodlemlbackend", "insights", "send", "--now", str(NOW + hours * HOUR)]


def send_again(commands: Commands, hook: Hook, expected: Counter[tuple[str, str]], about: str, *, twice: int) -> None:
    """Nothing is wrong any more: all that is left is posted, and of what was posted only so many once more."""
    hook.proxy.fail("", 0)
    for hours in (1, 2):
        assert commands.run(words(hours)).code == 0, about
        found = hook.received()
        assert set(found) == set(expected), about
        assert sum((found - expected).values()) <= twice, about
    with new_workspace(commands.folder / "work", NOW) as workspace:
        assert all(row["timesent"] is not None for row in rows(workspace, DELIVERIES)), about


def run_whole(commands: Commands, hook: Hook) -> tuple[Ended, Counter[tuple[str, str]], int]:
    ended = commands.run(words())
    assert ended.code == 0, ended
    expected, messages = hook.received(), hook.proxy.messages
    assert sorted(subject for _, subject in expected.elements()) == sorted(SUBJECTS)
    return ended, expected, messages


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "connection_fault" in metafunc.fixturenames:
        given = CONNECTION_FAULTS if metafunc.config.getoption("every_fault") else ["answer lost"]
        metafunc.parametrize("connection_fault", given)
    else:
        give_faults(metafunc, "command", ["insights send"])


def test_posting_at_fault(command, fault, hook, post_office, chosen):
    whole, expected, _ = run_whole(post_office(), hook)
    for step in chosen(len(whole.steps)):
        commands = post_office()
        ended, about = at_fault(commands, words(), fault, step, Path(commands.folder / "work"))
        send_again(commands, hook, expected, about, twice=int(ended.code != 0))


def test_a_webhook_at_fault(connection_fault, hook, post_office, chosen):
    _, expected, messages = run_whole(post_office(), hook)
    for at in chosen(messages):
        commands = post_office()
        hook.proxy.fail(connection_fault, at)
        ended = commands.run(words())
        about = f"{connection_fault} at message {at} of {messages}: {ended}"
        is_told_in_a_sentence(ended, about)
        assert ended.code == 0, about
        send_again(commands, hook, expected, about, twice=int(connection_fault == "answer lost"))
