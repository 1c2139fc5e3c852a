"""Messages to students: written for each, sent by a real mail server or by Moodle's web services, never twice."""

from __future__ import annotations

import subprocess
import sys
import threading
from dataclasses import replace

import pytest

from fixtures.databases import KINDS, new_database
from fixtures.mail_server import Inbox, smtp_server
from fixtures.moodle_services import TOKEN, moodle_services, reply
from fixtures.paths import TESTS
from fixtures.trained_sites import DAY, NOW, new_workspace, rows, site, site_url
from moodlemlbackend.analytics.db import follow_ups
from moodlemlbackend.analytics.db import messages as stored
from moodlemlbackend.analytics.db.schema import FOLLOW_UPS, MESSAGES
from moodlemlbackend.analytics.notifications import moodle
from moodlemlbackend.analytics.notifications.mail import Mailer
from moodlemlbackend.analytics.notifications.switch import ATTEMPTS
from moodlemlbackend.analytics.students import follow_up, messages, templates
from moodlemlbackend.analytics.students.course_facts import read_course_facts
from moodlemlbackend.analytics.students.follow_up import Known
from moodlemlbackend.analytics.students.messages import CLAIM_SECONDS, EMAIL, MOODLE, OWN, Sender
from moodlemlbackend.analytics.students.student import Student
from moodlemlbackend.errors import DeliveryError, RefusedError

_ = (site, site_url)  # fixtures

COURSE, TEACHER = 7, 3
SENDER = Sender(TEACHER, "Ana Nowak", "ana@school.example", COURSE, "Botany")
PEOPLE = [Student(n, (), f"S{n}", "Long", f"s{n}@school.example", True) for n in (11, 12, 13)]


def put(workspace, way, people=PEOPLE, text="Hello {name}, how is {course}?", batch=""):
    """Write messages; returns their batch."""
    written = [messages.write(SENDER, student, "About {course}", text, []) for student in people]
    batch = batch or follow_up.new_batch()
    known = {student.userid: Known(student.userid * 10, 0.75) for student in people}
    assert messages.put(workspace, SENDER, written, known, way, batch)
    return batch


def at(workspace, now):
    return replace(workspace, clock=lambda: now)


def mail(port):
    return {
        "smtp_host": "127.0.0.1",
        "smtp_port": port,
        "smtp_security": "none",
        "mail_from": "Moodle <m@site.example>",
    }


def services(server, token=TOKEN):
    return {"wwwroot": server.url, "moodle_token": token}


# ---- what is written ----


def test_what_is_filled_in_is_never_looked_at_again():
    student = Student(1, (), "{teacher}", "x", "x@y.example", True)
    written = messages.write(
        SENDER, student, "To {name}\r\nBcc: all@x.example", "{name}: {due}\n\n\n\n{{name}}", ["a", "b"]
    )
    assert written.subject == "To {teacher} Bcc: all@x.example"
    assert written.text == "{teacher}: a\nb\n\n{{teacher}}"


@pytest.mark.parametrize("text", ["{nam}", "{Name}", "{name }", "a {0} b", "{}", "{name.email}", "{name!r}"])
def test_what_is_no_placeholder_is_named(text):
    assert templates.unknown_placeholder("Hello {name}", text) in text != ""


def test_braces_alone_and_placeholders_are_fine():
    assert templates.unknown_placeholder("{name} {course} {due} {teacher}", "if (a) { b(); }\n} { x\n}", "{") == ""


def test_the_templates_from_the_start_use_known_placeholders_only():
    for name in templates.BUILT_IN:
        template = templates.built_in(name)
        assert templates.unknown_placeholder(template.subject, template.text) == ""
        assert {"name", "course", "teacher"} <= templates.used(template.subject, template.text)
        for word in ("predict", "risk"):
            assert word not in f"{template.subject} {template.text}".lower()


def test_activities_that_are_due_and_not_done_are_listed(site):
    facts = {row.id: read_course_facts(site, row, NOW) for row in site.courses}
    missing = {
        (course, user): due
        for course, known in facts.items()
        for user in known.enrolled
        if (due := known.missing(user))
    }
    course, user = max(missing, key=lambda pair: len(missing[pair]))
    due = missing[course, user]
    assert len(due) > 1, "the site has something that is due"
    listed = messages.due_by_student(site, facts[course], [user])[user]
    assert len(listed) == min(len(due), messages.MOST_DUE + 1)
    assert due[0][1].name in listed[0]
    [row] = [row for row in site.courses if row.id == course]
    assert messages.due_by_student(site, read_course_facts(site, row, row.start), [user])[user] == []


# ---- e-mail ----


def test_each_student_gets_one_mail_that_the_teacher_gets_the_answer_to(tmp_path):
    inbox = Inbox()
    with smtp_server(inbox) as port, new_workspace(tmp_path / "w", userid=TEACHER, **mail(port)) as workspace:
        put(workspace, EMAIL)
        done = messages.deliver(workspace)
        assert (done.sent, done.waiting, done.given_up, done.problems) == (3, 0, 0, [])
        assert messages.deliver(at(workspace, NOW + DAY)).sent == 0
        kept, noted = rows(workspace, MESSAGES), rows(workspace, FOLLOW_UPS)
    received = inbox.by_address()
    assert sorted(received) == [student.email for student in PEOPLE]
    assert len(inbox.messages) == 3
    first = received["s11@school.example"]
    assert (first["From"], first["Reply-To"], first["To"]) == (
        "Moodle <m@site.example>", "ana@school.example", "s11@school.example",
    )  # fmt: skip
    assert first["Subject"] == "About Botany"
    assert first.get_content().strip() == "Hello S11, how is Botany?"
    assert first["Auto-Submitted"] is None
    assert len({message["Message-ID"] for message in received.values()}) == 3
    assert all(row["timesent"] == NOW and row["text"] == row["address"] == row["replyto"] == "" for row in kept)
    assert [(row["studentid"], row["kind"], row["predictionid"], row["probability"], row["text"]) for row in noted] == [
        (n, "message", n * 10, 0.75, f"Hello S{n}, how is Botany?") for n in (11, 12, 13)
    ]


def test_an_address_that_is_refused_does_not_count_as_contact_and_the_others_go(tmp_path):
    inbox = Inbox()
    inbox.finally_, inbox.temporarily = PEOPLE[0].email, PEOPLE[1].email
    with smtp_server(inbox) as port, new_workspace(tmp_path / "w", userid=TEACHER, **mail(port)) as workspace:
        put(workspace, EMAIL)
        done = messages.deliver(workspace)
        assert (done.sent, done.waiting, done.given_up) == (1, 1, 1)
        with workspace.store.read() as connection:
            assert sorted(follow_ups.listed(connection, COURSE)) == [12, 13]
            [failed] = [one for one in stored.progress(connection, COURSE, most=9) if one.attempts >= ATTEMPTS]
        assert failed.studentid == 11
        assert "550" in failed.error
        inbox.temporarily = ""
        assert messages.deliver(workspace).sent == 0  # it is not time yet
        assert messages.deliver(at(workspace, NOW + DAY)).sent == 1
    assert sorted(inbox.by_address()) == ["s12@school.example", "s13@school.example"]


def test_a_mail_server_that_is_away_is_tried_again_and_given_up_at_last(tmp_path):
    with new_workspace(tmp_path / "w", userid=TEACHER, **mail(1)) as workspace:
        put(workspace, EMAIL)
        assert messages.deliver(workspace).waiting == 3
        assert [row["attempts"] for row in rows(workspace, MESSAGES)] == [1, 0, 0]  # one try tells enough
        when = NOW
        for _ in range(4 * ATTEMPTS):
            when += 20 * DAY
            last = messages.deliver(at(workspace, when))
        assert last.waiting == 0
        assert all("cannot be used" in row["error"] for row in rows(workspace, MESSAGES))
        with workspace.store.read() as connection:
            assert follow_ups.listed(connection, COURSE) == {}


# ---- Moodle ----


def test_moodle_sends_and_the_text_says_who_wrote_it(tmp_path):
    with (
        moodle_services() as server,
        new_workspace(tmp_path / "w", userid=TEACHER, **services(server)) as workspace,
    ):
        server.blocked = {12}
        put(workspace, MOODLE)
        done = messages.deliver(workspace)
        assert (done.sent, done.given_up) == (2, 1)
        assert done.problems == ["Moodle did not deliver the message: The user has blocked you."]
        assert sorted(server.texts()) == [11, 13]
        assert server.sent[0][2] == "2"
        assert server.texts()[11] == (
            "Hello S11, how is Botany?\n\nAna Nowak wrote this to you as your teacher in Botany. To answer Ana Nowak, "
            f"open {server.url}/message/index.php?id=3"
        )
        assert set(server.paths) == {"/webservice/rest/server.php"}
        with workspace.store.read() as connection:
            assert sorted(follow_ups.listed(connection, COURSE)) == [11, 13]


def test_a_wrong_token_sends_nothing_is_never_named_and_waits(tmp_path):
    with moodle_services() as server:
        with new_workspace(tmp_path / "w", userid=TEACHER, **services(server, "wrong-secret")) as workspace:
            put(workspace, MOODLE)
            done = messages.deliver(workspace)
            assert (done.sent, done.waiting, server.sent, len(server.paths)) == (0, 3, [], 1)
            [problem] = done.problems
            assert "Invalid token" in problem
            assert "moodle_token" in problem
            assert "wrong-secret" not in problem
            right = replace(workspace, settings=replace(workspace.settings, moodle_token=TOKEN))
            assert messages.deliver(at(right, NOW + DAY)).sent == 3
            with pytest.raises(DeliveryError, match="Invalid token"):
                moodle.check(workspace.settings)
            moodle.check(right.settings)
        assert len(server.sent) == 3


@pytest.mark.parametrize(
    ("code", "body", "final"),
    [
        (200, b"<html>", True), (200, b"[]", True), (200, b"null", True), (200, b'[{"msgid": "x"}]', True),
        (500, b"", True), (502, b"", True), (503, b"", None),
        (404, b"", None), (302, b"", None), (200, b'{"exception": "x", "errorcode": "servicenotavailable"}', None),
        (200, b'[{"msgid": -1, "errormessage": "No\\u0007. https://x.example/' + b"a" * 900 + b'"}]', True),
    ],
)  # fmt: skip
def test_what_moodle_may_have_sent_is_not_sent_again(tmp_path, code, body, final):
    """``final`` is None where nothing can have been sent."""
    with moodle_services() as server, new_workspace(tmp_path / "w", **services(server)) as workspace:
        server.instead = lambda handler: reply(handler, code, body)
        with pytest.raises(DeliveryError) as caught:
            moodle.send(workspace.settings, 5, "x")
        assert isinstance(caught.value, RefusedError) is (final is True)
        assert str(caught.value).endswith(".")
        assert len(str(caught.value)) < 400
        assert str(caught.value).isprintable()


def test_a_moodle_that_does_not_answer_has_a_time_limit_and_its_messages_are_not_repeated(tmp_path, monkeypatch):
    ended = threading.Event()
    monkeypatch.setattr(moodle, "CALL_SECONDS", 0.2)
    with moodle_services() as server, new_workspace(tmp_path / "w", userid=TEACHER, **services(server)) as workspace:
        server.instead = lambda _: ended.wait(30)
        put(workspace, MOODLE, PEOPLE[:1])
        done = messages.deliver(workspace)
        ended.set()
        assert (done.sent, done.given_up) == (0, 1)
        assert "look at the conversation in Moodle" in done.problems[0]
        assert messages.deliver(at(workspace, NOW + 30 * DAY)).given_up == 0
        assert len(server.paths) == 1


def test_a_moodle_that_cannot_be_reached_has_sent_nothing(tmp_path):
    chosen = {"wwwroot": "http://127.0.0.1:1", "moodle_token": TOKEN}
    with new_workspace(tmp_path / "w", userid=TEACHER, **chosen) as workspace:
        put(workspace, MOODLE)
        done = messages.deliver(workspace)
        assert (done.waiting, done.given_up) == (3, 0)
        assert "cannot be reached" in done.problems[0]


# ---- at once, killed, undone ----

VICTIM = """
import os, signal, sys
from pathlib import Path
from fixtures.trained_sites import new_workspace
from moodlemlbackend.analytics.notifications import moodle
from moodlemlbackend.analytics.notifications.mail import Mailer
from moodlemlbackend.analytics.students import messages

folder, way, url, moment, token = sys.argv[1:]
owner, name = (moodle, "send") if way == "moodle" else (Mailer, "send")
real = getattr(owner, name)


def send(*arguments):
    if moment == "before":
        os.kill(os.getpid(), signal.SIGKILL)
    real(*arguments)
    os.kill(os.getpid(), signal.SIGKILL)


setattr(owner, name, send)
chosen = {"wwwroot": url, "moodle_token": token} if way == "moodle" else {
    "smtp_host": "127.0.0.1", "smtp_port": int(url), "smtp_security": "none", "mail_from": "m@site.example"
}
with new_workspace(Path(folder), **chosen) as workspace:
    messages.deliver(workspace)
"""


def kill(folder, way, url, moment):
    arguments = [str(folder), way, str(url), moment, TOKEN]
    done = subprocess.run([sys.executable, "-c", VICTIM, *arguments], cwd=TESTS, capture_output=True, text=True)
    assert done.returncode == -9, done.stderr


@pytest.mark.skipif(sys.platform == "win32", reason="needs SIGKILL")
@pytest.mark.parametrize("moment", ["before", "after"])
def test_a_sender_that_is_killed_loses_nothing_and_mails_the_same_under_the_same_id(tmp_path, moment):
    inbox = Inbox()
    with smtp_server(inbox) as port, new_workspace(tmp_path / "w", userid=TEACHER, **mail(port)) as workspace:
        put(workspace, EMAIL)
        kill(tmp_path / "w", EMAIL, port, moment)
        assert messages.deliver(workspace).sent == 2  # the first is claimed for some minutes
        assert messages.deliver(at(workspace, NOW + CLAIM_SECONDS)).sent == 1
        assert messages.deliver(at(workspace, NOW + DAY)).sent == 0
    again = [message["Message-ID"] for _, to, message, _ in inbox.messages if to == [PEOPLE[0].email]]
    assert len(again) == (1 if moment == "before" else 2)
    if moment == "after":
        assert again[0].split("@")[0] == again[1].split("@")[0]
    assert len(inbox.messages) == len(again) + 2


@pytest.mark.skipif(sys.platform == "win32", reason="needs SIGKILL")
@pytest.mark.parametrize("moment", ["before", "after"])
def test_what_moodle_got_from_a_sender_that_was_killed_is_not_sent_twice(tmp_path, moment):
    with moodle_services() as server, new_workspace(tmp_path / "w", userid=TEACHER, **services(server)) as workspace:
        put(workspace, MOODLE)
        kill(tmp_path / "w", MOODLE, server.url, moment)
        assert messages.deliver(workspace).sent == 2
        last = messages.deliver(at(workspace, NOW + CLAIM_SECONDS))
        assert (last.sent, last.given_up, last.problems) == (0, 1, [messages.KILLED])
        assert [user for user, _, _ in server.sent].count(11) == (0 if moment == "before" else 1)


@pytest.mark.parametrize("kind", KINDS)
def test_a_batch_is_written_down_once_however_often_and_from_wherever_it_comes(tmp_path, kind):
    with (
        new_database(kind, tmp_path) as url,
        new_workspace(tmp_path / "w", userid=TEACHER, store=url, **mail(1)) as workspace,
    ):
        written = [messages.write(SENDER, student, "s", "t", []) for student in PEOPLE]
        batch, results = follow_up.new_batch(), []
        at_once(4, lambda: results.append(messages.put(workspace, SENDER, written, {}, EMAIL, batch)))
        assert sorted(results) == [False, False, False, True]
        assert len(rows(workspace, MESSAGES)) == len(rows(workspace, FOLLOW_UPS)) == 3


@pytest.mark.parametrize("kind", KINDS)
def test_senders_at_once_send_each_message_once(tmp_path, kind):
    inbox = Inbox()
    people = [Student(n, (), f"S{n}", "L", f"s{n}@school.example", True) for n in range(1, 21)]
    with (
        new_database(kind, tmp_path) as url,
        smtp_server(inbox) as port,
        new_workspace(tmp_path / "w", store=url, **mail(port)) as workspace,
    ):
        put(workspace, EMAIL, people)
        at_once(3, lambda: messages.deliver(workspace))
        assert len(inbox.messages) == len(inbox.by_address()) == 20
        assert all(row["timesent"] for row in rows(workspace, MESSAGES))


def at_once(number, do):
    barrier = threading.Barrier(number)
    threads = [threading.Thread(target=lambda: (barrier.wait(), do())) for _ in range(number)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def test_undoing_stops_what_has_not_been_sent_and_leaves_what_has(tmp_path):
    inbox = Inbox()
    inbox.temporarily = PEOPLE[2].email
    with smtp_server(inbox) as port, new_workspace(tmp_path / "w", userid=TEACHER, **mail(port)) as workspace:
        batch = put(workspace, EMAIL)
        messages.deliver(workspace)
        assert follow_up.undo(replace(workspace, userid=4), COURSE, batch) == 0
        assert follow_up.undo(workspace, COURSE + 1, batch) == 0
        assert follow_up.undo(workspace, COURSE, batch) == 1
        inbox.temporarily = ""
        assert messages.deliver(at(workspace, NOW + DAY)).sent == 0
        with workspace.store.read() as connection:
            assert sorted(follow_ups.listed(connection, COURSE)) == [11, 12]
        own = put(workspace, OWN)
        assert follow_up.undo(workspace, COURSE, own) == 3


@pytest.mark.parametrize("accepted", [True, False])
def test_what_is_stopped_while_it_is_being_sent_is_not_tried_again(tmp_path, monkeypatch, accepted):
    inbox = Inbox()
    inbox.temporarily = "" if accepted else PEOPLE[0].email
    real = Mailer.send
    with smtp_server(inbox) as port, new_workspace(tmp_path / "w", userid=TEACHER, **mail(port)) as workspace:
        batch = put(workspace, EMAIL, PEOPLE[:1])

        def stop_and_send(mailer, email):
            assert follow_up.undo(workspace, COURSE, batch) == 1
            real(mailer, email)

        monkeypatch.setattr(Mailer, "send", stop_and_send)
        assert messages.deliver(workspace).sent == accepted
        monkeypatch.undo()
        inbox.temporarily = ""
        last = messages.deliver(at(workspace, NOW + DAY))
        assert (last.sent, last.waiting) == (0, 0)
        assert len(inbox.messages) == accepted
        [message] = rows(workspace, MESSAGES)
        assert message["text"] == message["address"] == ""
        with workspace.store.read() as connection:
            assert sorted(follow_ups.listed(connection, COURSE)) == ([11] if accepted else [])


def test_undoing_keeps_what_failed_for_good_on_record(tmp_path):
    inbox = Inbox()
    inbox.finally_, inbox.temporarily = PEOPLE[0].email, PEOPLE[1].email
    with smtp_server(inbox) as port, new_workspace(tmp_path / "w", userid=TEACHER, **mail(port)) as workspace:
        batch = put(workspace, EMAIL)
        messages.deliver(workspace)
        assert follow_up.undo(workspace, COURSE, batch) == 1
        with workspace.store.read() as connection:
            kept = {one.studentid: one for one in stored.progress(connection, COURSE, most=9)}
        assert sorted(kept) == [11, 13]
        assert "550" in kept[11].error


@pytest.mark.parametrize("way", [EMAIL, OWN])
def test_what_was_undone_can_be_sent_again_and_nothing_else_is(tmp_path, way):
    inbox = Inbox()
    inbox.temporarily = PEOPLE[0].email
    with smtp_server(inbox) as port, new_workspace(tmp_path / "w", userid=TEACHER, **mail(port)) as workspace:
        batch = put(workspace, way)
        messages.deliver(workspace)
        assert follow_up.undo(workspace, COURSE, batch) == (3 if way == OWN else 1)
        inbox.temporarily = ""
        put(workspace, way, batch=batch)
        assert messages.deliver(workspace).sent == (0 if way == OWN else 1)
        assert len(inbox.messages) == (0 if way == OWN else 3)
        with workspace.store.read() as connection:
            assert {student: len(done) for student, done in follow_ups.listed(connection, COURSE).items()} == {
                11: 1, 12: 1, 13: 1,
            }  # fmt: skip


def test_a_message_waits_while_its_channel_is_switched_off(tmp_path):
    inbox = Inbox()
    with smtp_server(inbox) as port, new_workspace(tmp_path / "w", userid=TEACHER, **mail(port)) as workspace:
        put(workspace, EMAIL)
        off = replace(workspace, settings=replace(workspace.settings, smtp_host=""))
        assert (messages.deliver(off).sent, messages.deliver(off).waiting) == (0, 3)
        assert messages.deliver(workspace).sent == 3


def test_ways_are_those_that_are_set_up_and_that_the_site_allows(tmp_path, site):
    with new_workspace(tmp_path / "w") as workspace:
        assert messages.ways(workspace.settings, site) == [OWN]
        full = replace(workspace.settings, moodle_token="x", smtp_host="mail")
        assert messages.ways(full, site) == [MOODLE, EMAIL, OWN]
        assert messages.ways(replace(full, wwwroot=""), site) == [EMAIL, OWN]
        site.config = {**site.config, "messaging": "0"}
        assert messages.ways(full, site) == [EMAIL, OWN]
    nobody = Student(1, (), "A", "A", "", True)
    assert [messages.hindrance(way, nobody) for way in (MOODLE, EMAIL, OWN)] == ["", "no address", "no address"]
    stopped = Student(1, (), "A", "A", "a@b.example", False)
    assert [messages.hindrance(way, stopped) for way in (MOODLE, EMAIL, OWN)] == ["", "no email", ""]
