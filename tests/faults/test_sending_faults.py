"""E-mails whose sending is at fault at any step or message: none is lost, and one that is sent again is recognised."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import pytest

pytest.importorskip("alembic", reason="needs the extra analytics")
pytest.importorskip("aiosmtpd", reason="needs aiosmtpd")

from fixtures.fault_states import SET, environment, small_site
from fixtures.faults import Commands, Ended, at_fault, give_faults, is_told_in_a_sentence
from fixtures.mail_server import Inbox, smtp_server
from fixtures.paths import posix
from fixtures.proxy import CONNECTION_FAULTS, Proxy
from fixtures.trained_sites import DAY, NOW, new_workspace, rows
from moodlemlbackend.analytics.db import choices
from moodlemlbackend.analytics.db.schema import DELIVERIES, MESSAGES
from moodlemlbackend.analytics.notifications import outbox, switch
from moodlemlbackend.analytics.notifications.mailing import DIGEST
from moodlemlbackend.analytics.notifications.message import Message, Recipient
from moodlemlbackend.analytics.students import follow_up, messages
from moodlemlbackend.analytics.students.student import Student

_ = small_site  # a fixture
pytestmark = posix

COMMANDS = {"insights send": ("insights", "send"), "tasks cleanup": ("tasks", "cleanup")}
"""The second one sends teachers' messages, too."""

MOMENT, HOUR = NOW + 2 * DAY, 3600
"""When e-mails are due, and after what time all that failed is tried again."""

TEACHERS = {4: "daily", 5: "off"}
"""Users of the site, and whether one e-mail has all that is new for them."""

STUDENTS = (7, 11)
SYSTEM_CONTEXT, COURSE = 1, 5


@dataclass
class PostOffice:
    """A site's folder with messages to be sent, the mail server that gets them, and commands that send them."""

    commands: Commands
    words: tuple[str, ...]
    inbox: Inbox = field(default_factory=Inbox)

    def arguments(self, hours: int = 0) -> list[str]:
        return ["moodlemlbackend", *self.words, "--now", str(MOMENT + hours * HOUR)]

    def run(self, hours: int = 0) -> Ended:
        return self.commands.run(self.arguments(hours))

    def mails(self) -> Counter[tuple[str, str, str]]:
        """What was received: to whom, the subject and the text; the Message-ID tells apart what is not the same."""
        found: dict[tuple[str, str, str], list[str]] = {}
        for _, [address], mail, _ in self.inbox.messages:
            text = mail.get_body(("plain",)).get_content()
            found.setdefault((address, mail["Subject"], text), []).append(mail["Message-ID"])
        assert all(len(set(ids)) == 1 for ids in found.values()), found
        assert len({ids[0] for ids in found.values()}) == len(found), found
        return Counter({mail: len(ids) for mail, ids in found.items()})

    def waiting(self) -> int:
        with new_workspace(self.commands.folder / "work", MOMENT) as workspace:
            return sum(row["timesent"] is None for table in (DELIVERIES, MESSAGES) for row in rows(workspace, table))

    def send_again(self, expected: Counter[tuple[str, str, str]], about: str, *, twice: int) -> None:
        """Nothing is wrong any more: all that is left is sent, and of what was sent only so many once more."""
        assert self.run(1).code == 0, about
        found = self.mails()
        assert set(found) == set(expected), about
        assert sum((found - expected).values()) <= twice, about
        assert self.waiting() == (0 if self.words[0] == "tasks" else len(STUDENTS)), about
        assert self.run(2).code == 0, about
        assert self.mails() == found, about


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "smtp_fault" in metafunc.fixturenames:
        every = [(command, fault) for command in COMMANDS for fault in CONNECTION_FAULTS]
        few = [("insights send", "answer lost")]
        given = every if metafunc.config.getoption("every_fault") else few
        metafunc.parametrize(("command", "smtp_fault"), given)
    else:
        give_faults(metafunc, "command", COMMANDS, seldom=("tasks cleanup",))


@pytest.fixture(scope="module")
def template(tmp_path_factory) -> Path:
    """A site's folder with insights for two teachers that wait, and messages from one of them to students."""
    folder = tmp_path_factory.mktemp("sending")
    sender = messages.Sender(4, "Ana Nowak", "ana@school.example", COURSE, "Botany")
    with new_workspace(folder / "work", NOW, userid=4, smtp_host="127.0.0.1") as workspace:
        switch.follow(workspace)
        insights = [
            Message(Recipient(user, "Ana", "Ana Nowak", f"{user}@school.example"), 1, SYSTEM_CONTEXT, 0, subject,
                    f"{subject} has students at risk", "<p>At risk</p>", "https://moodle.example")
            for user in TEACHERS
            for subject in ("Botany", "Algebra")
        ]  # fmt: skip
        with workspace.store.write() as connection:
            assert outbox.put(connection, workspace, insights) == len(insights)
            for user, digest in TEACHERS.items():
                choices.write(connection, user, DIGEST, digest)
        written = [
            messages.write(sender, Student(user, (), "S", "T", f"{user}@school.example", True), "Hello", "{name}?", [])
            for user in STUDENTS
        ]
        assert messages.put(workspace, sender, written, {}, messages.EMAIL, follow_up.new_batch())
    return folder


@pytest.fixture(scope="module")
def post_office(template, copies, fault_hosts, small_site) -> Callable[..., PostOffice]:
    """A function that makes a post office, for a command and a mail server's port."""

    def make(command: str, port: int, inbox: Inbox) -> PostOffice:
        folder = copies(template)
        given = {
            **environment(folder, small_site),
            "MOODLEMLBACKEND_SMTP_HOST": "127.0.0.1",
            "MOODLEMLBACKEND_SMTP_PORT": str(port),
            "MOODLEMLBACKEND_SMTP_SECURITY": "none",
        }
        return PostOffice(Commands(fault_hosts, folder, given, **SET), COMMANDS[command], inbox)

    return make


@contextmanager
def opened(post_office: Callable[..., PostOffice], command: str) -> Iterator[tuple[PostOffice, Proxy]]:
    """A post office whose mail server is behind a proxy."""
    inbox = Inbox()
    with smtp_server(inbox) as port:
        proxy = Proxy("127.0.0.1", port)
        try:
            yield post_office(command, proxy.port, inbox), proxy
        finally:
            proxy.close()


@dataclass(frozen=True)
class Clean:
    """A command without a fault: how many steps it has, what is received, and of how many messages to the server."""

    steps: int
    mails: Counter[tuple[str, str, str]]
    messages: int


@pytest.fixture(scope="module")
def clean(post_office) -> Callable[[str], Clean]:
    @cache
    def run(command: str) -> Clean:
        with opened(post_office, command) as (whole, proxy):
            ended = whole.run()
            assert ended.code == 0, ended
            expected, messages = whole.mails(), proxy.messages
            assert len(expected) == sum(expected.values()) == (5 if command == "tasks cleanup" else 3), expected
            whole.send_again(expected, "", twice=0)
            return Clean(len(ended.steps), expected, messages)

    return run


def test_sending_at_fault(command, fault, clean, post_office, chosen):
    whole = clean(command)
    for step in chosen(whole.steps):
        with opened(post_office, command) as (tried, _):
            ended, about = at_fault(tried.commands, tried.arguments(), fault, step, tried.commands.folder / "work")
            tried.send_again(whole.mails, about, twice=int(ended.code != 0))


def test_a_mail_server_at_fault(command, smtp_fault, clean, post_office, chosen):
    whole = clean(command)
    for at in chosen(whole.messages):
        with opened(post_office, command) as (tried, proxy):
            proxy.fail(smtp_fault, at)
            ended = tried.run()
            about = f"{command}, {smtp_fault} at message {at} of {whole.messages}: {ended}"
            is_told_in_a_sentence(ended, about)
            assert ended.code == 0, about
            proxy.fail("", 0)
            tried.send_again(whole.mails, about, twice=int(smtp_fault == "answer lost"))
