"""Passwords, users and settings of the server, and its two commands."""

from __future__ import annotations

import hashlib
import os
import re
import socket
import sys

import pytest

from moodlemlbackend.errors import UsageError
from moodlemlbackend.server.auth import passwords
from moodlemlbackend.server.auth.passwords import make_entry, read_users


def test_the_three_forms_of_a_password(monkeypatch):
    monkeypatch.setattr(passwords, "LOG_N", 10)
    digest = hashlib.sha256(b"saltpass").hexdigest()
    users = read_users(f"a:pass, b:sha256:salt:{digest},{make_entry('c', 'pass')},d:pa:ss")
    for name, password in (("a", "pass"), ("b", "pass"), ("c", "pass"), ("d", "pa:ss")):
        assert users[name].matches(password)
        assert not users[name].matches(password + "x")
        assert not users[name].matches("")
    assert [users[name].kind for name in "abcd"] == ["plain", "sha256", "scrypt", "plain"]
    assert "pass'" not in repr(users)


def test_an_entry_has_a_salt_of_its_own(monkeypatch):
    monkeypatch.setattr(passwords, "LOG_N", 10)
    assert make_entry("a", "pass") != make_entry("a", "pass")


@pytest.mark.parametrize(
    "users",
    [
        "",
        ",",
        "a",
        "a:",
        ":b",
        "a:b,A:c",
        "a:b,a:b",
        "../x:y",
        "a b:c",
        "a:sha256:salt:12",
        "a:scrypt:15:8:1:x:y",
        "a:scrypt:60:8:1:c2FsdHNhbHQ:a2V5a2V5a2V5a2V5a2V5a2V5",
        "a:scrypt:x",
        "x" * 70 + ":secret",
    ],
)
def test_entries_that_cannot_be_used(users):
    with pytest.raises(UsageError) as caught:
        read_users(users)
    assert "secret" not in str(caught.value)


def test_nobody_is_a_user_and_a_person():
    from moodlemlbackend.server.auth.authenticator import Authenticator

    gate = Authenticator("moodle:secret", "ana:secret")
    assert [gate.is_person(name) for name in ("moodle", "ana", "nobody")] == [False, True, False]
    for people in ("Moodle:secret", "ana:secret,ana:secret", "ana", ","):
        with pytest.raises(UsageError, match="people") as caught:
            Authenticator("moodle:secret", people)
        assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("module", "lti", "part", "extras", "otherwise"),
    [
        ("sqlalchemy", "", "The pages of the Moodle site need", "server,analytics", "set no site"),
        ("jwt", "https://moodle.example client 1", "The lti setting needs", "server,analytics,lti", "remove lti"),
    ],
)
def test_pages_without_their_extra_are_one_sentence(python, tmp_path, module, lti, part, extras, otherwise):
    without = f"import sys; sys.modules['{module}'] = None"
    code = f"{without}; from moodlemlbackend.cli import main; main(['serve', '--port', '0'])"
    given = {"DIRECTORY": str(tmp_path), "USERS": "a:b", "LTI": lti}
    env = {f"MOODLEMLBACKEND_SERVER_{name}": value for name, value in given.items()}
    done = python("-c", code, env={**env, "MOODLEMLBACKEND_SITE": "sqlite:///site.db"})
    assert done.returncode == 2
    assert done.stderr.strip().splitlines()[-1] == (
        f"{part} the package {module}: in the clone of this package, run "
        f"{sys.executable} -m pip install '.[{extras}]', or {otherwise}."
    )


def test_an_unknown_user_costs_as_much_as_a_known_one():
    assert not passwords.unusable(slow=False).slow
    nobody = passwords.unusable(slow=True)
    assert nobody.slow
    assert nobody.cost == (passwords.LOG_N, passwords.R, passwords.P)
    assert not nobody.matches("x")


@pytest.fixture
def load(tmp_path, monkeypatch):
    """Return a function that loads the settings from a file of this content."""
    pytest.importorskip("fsspec")
    from moodlemlbackend.settings.server import load_server_settings

    for name in os.environ:
        if name.startswith(("MOODLEMLBACKEND_", "MOODLE_MLBACKEND_")):
            monkeypatch.delenv(name)

    def from_file(content, **overrides):
        (tmp_path / "s.ini").write_text(content)
        monkeypatch.setenv("MOODLEMLBACKEND_SETTINGS", str(tmp_path / "s.ini"))
        return load_server_settings(**overrides)

    return from_file


def test_the_section_of_the_settings_file(load):
    from moodlemlbackend.settings.backend import load_settings

    text = "[moodlemlbackend]\nscore = f1\n[server]\ndirectory = d\nnamespaces = on\nport = 8000\nrows = 7\n"
    found = load(text, port="9000")
    assert (found.directory, found.namespaces, found.port, found.limits.rows) == ("d", True, 9000, 7)
    assert found.host == "127.0.0.1"
    assert load_settings().score == "f1"


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("", "directory"),
        ("[server]\ndirectory = d\nport = 70000\n", "70000"),
        ("[server]\ndirectory = d\nnamespaces = maybe\n", "on or off"),
        ("[server]\ncolour = red\n", "colour"),
        ("[server]\ndirectory = d\nzip_entries = 65535\n", "zip_entries"),
        ("[server]\ndirectory = d\ntime_limit = soon\n", "seconds"),
        ("[servant]\n", "[server]"),
    ],
)
def test_settings_that_cannot_be_used(load, content, told):
    with pytest.raises(UsageError, match=re.escape(told)):
        load(content)


def test_a_secret_is_not_shown_even_when_it_is_wrong(load):
    with pytest.raises(UsageError) as caught:
        load("[server]\ndirectory = d\nusers = a:hor\x01se\n")
    assert "users" in str(caught.value)
    assert "hor" not in str(caught.value)


def test_passwd_prints_an_entry(command):
    made = command("passwd", "moodle", text="correct horse\n")
    assert (made.returncode, made.stderr) == (0, "")
    assert read_users(made.stdout.strip())["moodle"].matches("correct horse")
    assert "horse" not in made.stdout
    refused = command("passwd", "no good", text="x\n")
    assert (refused.returncode, refused.stdout, refused.stderr.count("\n")) == (2, "", 1)
    assert command("passwd", "moodle", text="\n").returncode == 2


def test_serve_says_in_one_sentence_why_it_does_not_start(command, tmp_path):
    pytest.importorskip("uvicorn")
    users = {"MOODLEMLBACKEND_SERVER_USERS": "a:b"}
    cases = [
        ((), users, "directory"),
        (("--directory", str(tmp_path)), {}, "moodlemlbackend passwd"),
        (("--directory", str(tmp_path), "--port", "x"), users, "--port"),
    ]
    with socket.create_server(("127.0.0.1", 0)) as taken:
        cases.append((("--directory", str(tmp_path), "--port", str(taken.getsockname()[1])), users, "cannot listen"))
        for arguments, variables, told in cases:
            done = command("serve", *arguments, env={"MOODLE_MLBACKEND_PYTHON_DIR": "", **variables})
            assert done.returncode == 2
            last = done.stderr.splitlines()[-1]
            assert told in last
            assert "Traceback" not in done.stderr


def test_small_answers_leave_at_once():
    pytest.importorskip("uvicorn", reason="needs uvicorn, of the extra server")
    from moodlemlbackend.server.main import listen

    with listen("127.0.0.1", 0) as listener, socket.create_connection(listener.getsockname()):
        accepted, _ = listener.accept()
        with accepted:
            assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
