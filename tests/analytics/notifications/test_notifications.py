"""Telling people: kept, by e-mail through a real SMTP server, and to a real webhook."""

from __future__ import annotations

import datetime
import json
import ssl

import pytest

from fixtures.small_site import SmallSite
from fixtures.trained_sites import NOW, TRAINED, at, new_workspace, rows, site, site_url, trained, trained_folder
from fixtures.trickle import trickling_server
from fixtures.webhooks import http_server

pytest.importorskip("aiosmtpd", reason="needs aiosmtpd")

from aiosmtpd.smtp import AuthResult, LoginPassword

from fixtures.mail_server import Inbox, smtp_server
from moodlemlbackend.analytics import lifecycle, models
from moodlemlbackend.analytics.db.schema import DELIVERIES, NOTIFICATIONS
from moodlemlbackend.analytics.notifications import channels, mail, outbox, switch, webhook
from moodlemlbackend.analytics.notifications.attempts import ATTEMPTS, FIRST_DELAY_SECONDS
from moodlemlbackend.analytics.notifications.message import Message, Recipient
from moodlemlbackend.analytics.notifications.webhook import signature
from moodlemlbackend.errors import UsageError

_ = (site, site_url, trained, trained_folder)  # fixtures

TEACHER = Recipient(7, "Ana", "Ana García", "ana@example.org")
SECRET = "only between us"


@pytest.fixture(scope="session")
def certificate(tmp_path_factory):
    """A certificate for 127.0.0.1 and its key, in one file."""
    x509 = pytest.importorskip("cryptography.x509", reason="needs cryptography to make a certificate")
    import ipaddress

    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = datetime.datetime.now(datetime.timezone.utc)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path_factory.mktemp("certificate") / "server.pem"
    pem = serialization.Encoding.PEM
    path.write_bytes(
        key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()) + made.public_bytes(pem)
    )
    return path


def tls(certificate):
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate)
    return context


def message(to=TEACHER, subject="Students at risk", **changes):
    values = {"modelid": 1, "contextid": 3, "courseid": 10, "text": "Hello Ana,\n\nLuz is at risk.\n",
              "html": "<p>Luz is at <b>risk</b>.</p>", "url": "https://moodle.example/course/view.php?id=10",
              "data": {"model": {"id": 1}}}  # fmt: skip
    return Message(to=to, subject=subject, **{**values, **changes})


def put(workspace, *messages):
    switch.follow(workspace)  # as a run does before it predicts
    with workspace.store.write() as connection:
        return outbox.put(connection, workspace, messages or [message()])


# ---- kept ----


def test_notifications_are_kept_where_there_is_nothing_else(tmp_path):
    with new_workspace(tmp_path / "w") as workspace:
        assert put(workspace) == 1
        [kept] = rows(workspace, NOTIFICATIONS)
        assert (kept["useridto"], kept["subject"], kept["timeread"]) == (7, "Students at risk", None)
        assert rows(workspace, DELIVERIES) == []


def test_who_wants_nothing_gets_nothing(tmp_path):
    with new_workspace(tmp_path / "w", smtp_host="127.0.0.1") as workspace:
        with workspace.store.write() as connection:
            channels.choose(connection, 7, {"kept": False, "email": False})
        assert put(workspace) == 0
        with workspace.store.write() as connection:
            channels.choose(connection, 7, {"email": True})
        assert put(workspace) == 1
        [only_sent] = rows(workspace, NOTIFICATIONS)
        assert only_sent["timeread"] == NOW
        with pytest.raises(UsageError, match="no channel"), workspace.store.write() as connection:
            channels.choose(connection, 7, {"pigeon": True})


# ---- e-mail ----


def test_an_email_arrives_whole(tmp_path):
    inbox = Inbox()
    with smtp_server(inbox) as port:
        chosen = {
            "smtp_host": "127.0.0.1",
            "smtp_port": port,
            "smtp_security": "none",
            "digest": "off",
            "mail_from": "m@moodle.example",
        }
        with new_workspace(tmp_path / "w", **chosen) as workspace:
            put(workspace, message(subject="Estudiantes en riesgo: Álgebra\nBcc: all@example.org"))
            assert outbox.deliver(workspace, None).sent == {"email": 1}
            assert outbox.deliver(workspace, None).sent == {}
    [(sender, recipients, found, _)] = inbox.messages
    assert (sender, recipients) == ("m@moodle.example", ["ana@example.org"])
    assert found["Subject"] == "Estudiantes en riesgo: Álgebra Bcc: all@example.org"
    assert found["Bcc"] is None
    assert found["Auto-Submitted"] == "auto-generated"
    assert found["Message-ID"].endswith("@moodle.example>")
    assert found.get_body(("plain",)).get_content().startswith("Hello Ana,")
    assert "<b>risk</b>" in found.get_body(("html",)).get_content()


@pytest.mark.filterwarnings("ignore:Requiring AUTH while not requiring TLS")
@pytest.mark.parametrize("security", ["starttls", "tls"])
def test_an_encrypted_login(tmp_path, certificate, monkeypatch, security):
    def authenticate(server, session, envelope, mechanism, data):
        right = isinstance(data, LoginPassword) and data.password == b"pass word"
        return AuthResult(success=right, handled=False, auth_data=data)

    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    inbox = Inbox()
    options = {"tls_context": tls(certificate)} if security == "starttls" else {"ssl_context": tls(certificate)}
    with smtp_server(
        inbox, authenticator=authenticate, auth_required=True, auth_require_tls=security == "starttls",
        require_starttls=security == "starttls", **options,
    ) as port:  # fmt: skip
        chosen = {
            "smtp_host": "127.0.0.1",
            "smtp_port": port,
            "digest": "off",
            "smtp_security": security,
            "smtp_user": "moodle",
        }
        with new_workspace(tmp_path / "w", **chosen, smtp_password="pass word") as workspace:
            put(workspace)
            assert outbox.deliver(workspace, None).sent == {"email": 1}
        with new_workspace(tmp_path / "x", **chosen, smtp_password="wrong") as workspace:
            put(workspace)
            delivered = outbox.deliver(workspace, None)
            assert delivered.sent == {}
            assert "refused the login" in delivered.problems[0]
            assert "wrong" not in delivered.problems[0]
    assert inbox.messages[0][3].login == b"moodle"


def test_a_server_without_a_trusted_certificate_gets_nothing(tmp_path, certificate):
    inbox = Inbox()
    with smtp_server(inbox, tls_context=tls(certificate)) as port:
        chosen = {"smtp_host": "127.0.0.1", "smtp_port": port, "smtp_security": "starttls", "digest": "off"}
        with new_workspace(tmp_path / "w", **chosen) as workspace:
            put(workspace)
            delivered = outbox.deliver(workspace, None)
    assert (delivered.sent, delivered.waiting) == ({}, 1)
    assert "is not trusted" in delivered.problems[0]
    assert inbox.messages == []


def test_no_password_is_sent_unencrypted(tmp_path):
    chosen = {
        "smtp_host": "127.0.0.1",
        "smtp_security": "none",
        "digest": "off",
        "smtp_user": "moodle",
        "smtp_password": "x",
    }
    with new_workspace(tmp_path / "w", **chosen) as workspace, pytest.raises(UsageError, match="unencrypted"):
        outbox.deliver(workspace, None)


def test_one_refused_address_does_not_stop_the_others(tmp_path):
    inbox = Inbox()
    inbox.finally_, inbox.temporarily = "gone@example.org", "busy@example.org"
    people = [
        Recipient(n, "N", "N", address) for n, address in enumerate((inbox.finally_, inbox.temporarily, "a@b.org"), 1)
    ]
    with smtp_server(inbox) as port:
        chosen = {"smtp_host": "127.0.0.1", "smtp_port": port, "smtp_security": "none", "digest": "off"}
        with new_workspace(tmp_path / "w", **chosen) as workspace:
            put(workspace, *map(message, people))
            first = outbox.deliver(workspace, None)
            assert (first.sent, first.waiting, first.given_up) == ({"email": 1}, 1, 1)
            assert outbox.deliver(workspace, None).sent == {}  # it is not time yet
            inbox.temporarily = ""
            assert outbox.deliver(at(workspace, NOW + FIRST_DELAY_SECONDS), None).sent == {"email": 1}
            assert outbox.deliver(at(workspace, NOW + 10**6), None).waiting == 0


def test_a_server_that_is_away_is_tried_again_and_given_up_at_last(tmp_path):
    with new_workspace(
        tmp_path / "w", smtp_host="127.0.0.1", smtp_port=1, smtp_security="none", digest="off", quiet_hours="none"
    ) as workspace:
        put(workspace, message(), message())
        when = NOW
        first = outbox.deliver(workspace, None)
        assert first.waiting == 2
        assert [row["attempts"] for row in rows(workspace, DELIVERIES)] == [1, 0]  # one try tells enough
        for _ in range(3 * ATTEMPTS):
            when += FIRST_DELAY_SECONDS * 2**ATTEMPTS
            last = outbox.deliver(at(workspace, when), None)
        assert last.waiting == 0
        assert all("cannot be used" in row["error"] for row in rows(workspace, DELIVERIES))


# ---- webhook ----


def test_a_webhook_is_told_and_can_check_who_tells(tmp_path):
    with http_server() as (url, posts), new_workspace(
        tmp_path / "w", webhook_url=url, webhook_secret=SECRET
    ) as workspace:  # fmt: skip
        put(workspace)
        assert outbox.deliver(workspace, None).sent == {"webhook": 1}
    [(headers, body)] = posts
    assert headers["X-Moodlemlbackend-Signature"] == signature(SECRET, NOW, body)
    assert headers["X-Moodlemlbackend-Timestamp"] == str(NOW)
    assert headers["Idempotency-Key"] == f"insight-1-{NOW}"
    content = json.loads(body)
    assert (content["event"], content["subject"], content["model"]) == ("insight", "Students at risk", {"id": 1})
    assert content["recipient"]["email"] == "ana@example.org"


@pytest.mark.parametrize(("status", "waiting"), [(500, 1), (404, 1), (401, 1), (302, 1), (422, 0)])
def test_a_webhook_that_does_not_take_it(tmp_path, status, waiting):
    with http_server() as (elsewhere, stolen), http_server(status, elsewhere) as (url, posts):
        with new_workspace(tmp_path / "w", webhook_url=url) as workspace:
            put(workspace)
            delivered = outbox.deliver(workspace, None)
        assert (delivered.sent, delivered.waiting) == ({}, waiting)
        assert str(status) in delivered.problems[0]
        assert len(posts) == 1
        assert stolen == []


def test_a_post_that_is_repeated_has_the_same_key(tmp_path):
    with http_server(500) as (url, posts), new_workspace(tmp_path / "w", webhook_url=url) as workspace:
        put(workspace)
        for now in (NOW, NOW + FIRST_DELAY_SECONDS):
            outbox.deliver(at(workspace, now), None)
    assert [headers["Idempotency-Key"] for headers, _ in posts] == [f"insight-1-{NOW}"] * 2
    assert [int(headers["X-Moodlemlbackend-Timestamp"]) - NOW for headers, _ in posts] == [0, FIRST_DELAY_SECONDS]


def test_a_webhook_that_answers_a_byte_at_a_time_holds_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr(webhook, "CALL_SECONDS", 1.0)
    with trickling_server(b"HTTP/1.1 200 ") as port:
        url = f"http://127.0.0.1:{port}/hook"
        with new_workspace(tmp_path / "w", webhook_url=url) as workspace:
            put(workspace)
            delivered = outbox.deliver(workspace, None)
    assert (delivered.sent, delivered.waiting) == ({}, 1)
    assert delivered.problems == [
        f"The webhook {url} cannot be reached (no answer within 1 seconds); check webhook_url."
    ]


def test_a_mail_server_that_answers_a_byte_at_a_time_holds_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr(mail, "CALL_SECONDS", 1.0)
    with trickling_server(b"220 ") as port:
        chosen = {"smtp_host": "127.0.0.1", "smtp_port": port, "smtp_security": "none", "digest": "off"}
        with new_workspace(tmp_path / "w", **chosen) as workspace:
            put(workspace)
            delivered = outbox.deliver(workspace, None)
    assert (delivered.sent, delivered.waiting) == ({}, 1)
    assert "no answer within 1 seconds" in delivered.problems[0]


def test_a_webhook_that_speaks_no_http(tmp_path):
    with trickling_server(b"SSH-2.0-OpenSSH\r\n") as port, new_workspace(
        tmp_path / "w", webhook_url=f"http://127.0.0.1:{port}/hook"
    ) as workspace:  # fmt: skip
        put(workspace)
        [problem] = outbox.deliver(workspace, None).problems
    assert "cannot be reached (SSH-2.0-OpenSSH" in problem


# ---- from a prediction ----


def test_teachers_are_told_of_their_students(trained_folder, site, tmp_path):
    import shutil

    shutil.copytree(trained_folder, tmp_path / "w")
    inbox = Inbox()
    with smtp_server(inbox) as port, http_server() as (url, posts):
        chosen = {"smtp_host": "127.0.0.1", "smtp_port": port, "smtp_security": "none", "digest": "off",
                  "webhook_url": url, "pages_url": "https://insights.example"}  # fmt: skip
        with new_workspace(tmp_path / "w", **chosen) as workspace:
            told = lifecycle.predict(workspace, site, TRAINED).figures["notifications"]
            assert told > 0
            assert outbox.deliver(workspace, None).sent == {"email": told, "webhook": told}
            kept = rows(workspace, NOTIFICATIONS)
            models.clear(workspace, TRAINED)
            assert rows(workspace, DELIVERIES) == []
    assert len(inbox.messages) == len(posts) == len(kept) == told
    text = inbox.messages[0][2].get_body(("plain",)).get_content()
    predictions = json.loads(posts[0][1])["predictions"]
    assert all(one["user"]["name"] in text for one in predictions[:20])
    assert "at risk of dropping out" in text
    assert f"?model={TRAINED}" in text.partition("https://insights.example/courses/")[2][:20]
    assert predictions[0]["reasons"]


# ---- those who have changed their minds ----


def test_what_was_switched_off_since_is_not_sent(tmp_path):
    """Messages wait for the servers while their recipients switch them off, in Moodle and here."""
    small = SmallSite(tmp_path / "site.sqlite")
    users = [small.user(email="a@b.org") for _ in range(8)]
    wanting, stopped, suspended, deleted, barred, silent, unmailed, choosy = users
    small.set(f"UPDATE mdl_user SET emailstop = 1 WHERE id = {stopped}")
    small.set(f"UPDATE mdl_user SET suspended = 1 WHERE id = {suspended}")
    small.set(f"UPDATE mdl_user SET deleted = 1 WHERE id = {deleted}")
    small.set(f"UPDATE mdl_user SET auth = 'nologin' WHERE id = {barred}")
    preference = "message_provider_moodle_insights_enabled"
    small.add("user_preferences", userid=silent, name=preference, value="none")
    small.add("user_preferences", userid=unmailed, name=preference, value="popup")
    inbox = Inbox()
    with smtp_server(inbox) as port, http_server() as (url, posts), small.open() as asked:
        chosen = {
            "smtp_host": "127.0.0.1",
            "smtp_port": port,
            "smtp_security": "none",
            "digest": "off",
            "webhook_url": url,
        }
        with new_workspace(tmp_path / "w", **chosen) as workspace:
            put(workspace, *(message(Recipient(user, "N", "N", f"u{user}@b.org")) for user in users))
            with workspace.store.write() as connection:
                channels.choose(connection, choosy, {"email": False})
            delivered = outbox.deliver(workspace, asked)
            assert delivered.sent == {"email": 1, "webhook": 4}
            assert (delivered.waiting, delivered.given_up, delivered.unwanted, delivered.problems) == (0, 0, 11, [])
            later = outbox.deliver(at(workspace, NOW + 10**6), asked)
            assert (later.sent, later.unwanted) == ({}, 0)
            written = {row["id"]: row["useridto"] for row in rows(workspace, NOTIFICATIONS)}
            sent = rows(workspace, DELIVERIES)
    reasons = {(written[row["notificationid"]], row["channel"]): row["error"] for row in sent}
    assert [to for _, to, _, _ in inbox.messages] == [[f"u{wanting}@b.org"]]
    assert {json.loads(body)["recipient"]["id"] for _, body in posts} == {wanting, stopped, unmailed, choosy}
    assert {pair: reason for pair, reason in reasons.items() if reason} == {
        (stopped, "email"): f"User {stopped} has turned off e-mail in Moodle.",
        **{(user, channel): f"User {user} can no longer log in to Moodle."
           for user in (suspended, deleted, barred) for channel in ("email", "webhook")},
        **{(silent, channel): f"User {silent} has switched off insights by {channel} in Moodle."
           for channel in ("email", "webhook")},
        (unmailed, "email"): f"User {unmailed} has switched off insights by email in Moodle.",
        (choosy, "email"): f"User {choosy} has switched off email.",
    }  # fmt: skip
