"""Logging in and out by the form: sessions, their ends, and what a hostile cookie, form or address cannot do."""

from __future__ import annotations

import asyncio
import html
import json
import logging
import re
from pathlib import Path

import pytest

from fixtures.paths import posix
from fixtures.servers import HASH, LOGIN, OTHER, USERS, httpx, sentence
from moodlemlbackend.server import limits
from moodlemlbackend.server.app import create_app
from moodlemlbackend.server.auth import sessions, shared
from moodlemlbackend.server.auth.login import local_address
from moodlemlbackend.server.auth.passwords import make_entry
from moodlemlbackend.settings.server import ServerSettings

pytestmark = posix
PAGE = f"/models/none/{HASH}"
"""Whoever is logged in is answered 404 there."""
PLAIN, TLS = "http://localhost:5000", "https://analytics.example.org"


class Browser:
    """A browser of a server in this process; a request follows no redirect."""

    def __init__(self, app, url: str = PLAIN) -> None:
        self.app, self.cookies = app, {}
        self._url = url

    def request(self, method: str, path: str, **more):
        async def once():
            transport = httpx.ASGITransport(self.app, client=("192.0.2.7", 1))
            async with httpx.AsyncClient(transport=transport, base_url=self._url, headers=sent) as client:
                return await client.request(method, path, **more)

        sent = {"Cookie": "; ".join(f"{name}={value}" for name, value in self.cookies.items())} if self.cookies else {}
        answer = asyncio.run(once())
        for line in answer.headers.get_list("set-cookie"):
            name, _, value = line.partition(";")[0].partition("=")
            self.cookies = {name: value} if value else {}
        return answer

    def get(self, path: str, **more):
        return self.request("GET", path, **more)

    def post(self, path: str, **data: str):
        return self.request("POST", path, data=data)

    def log_in(self, user: str = LOGIN[0], password: str = LOGIN[1], **more: str):
        answer = self.post("/login", user=user, password=password, **more)
        assert answer.status_code == 303, answer.text
        return answer

    def log_out(self):
        [token] = re.findall(r'name="token" value="([^"]+)"', self.get("/docs").text)
        return self.post("/logout", token=token)

    @property
    def inside(self) -> bool:
        answer = self.get(PAGE)
        if answer.status_code == 404:
            return True
        assert answer.status_code == 303
        assert "www-authenticate" not in answer.headers
        assert answer.headers["location"] == f"/login?next={PAGE.replace('/', '%2F')}"
        return False


def server(folder: Path, users: str = USERS):
    return create_app(ServerSettings(directory=str(folder), users=users))


@pytest.fixture(autouse=True)
def no_delay(monkeypatch):
    monkeypatch.setattr(limits, "FAILED_LOGIN_SECONDS", 0.0)


@pytest.fixture
def app(tmp_path):
    return server(tmp_path)


@pytest.fixture
def browser(app):
    return Browser(app)


@pytest.fixture
def later(monkeypatch):
    """Have so many seconds pass for sessions."""
    passed = 0.0
    real = sessions.time.time

    def go_on(seconds: float) -> None:
        nonlocal passed
        passed += seconds

    clock = type("Clock", (), {"time": staticmethod(lambda: real() + passed), "monotonic": sessions.time.monotonic})
    monkeypatch.setattr(sessions, "time", clock)
    monkeypatch.setattr(shared, "time", clock)
    return go_on


def trouble(answer, code: int) -> str:
    """What the form says is wrong."""
    assert answer.status_code == code, answer.text
    assert "www-authenticate" not in answer.headers
    assert not answer.cookies
    [text] = re.findall(r'role="alert">([^<]+)<', answer.text)
    return html.unescape(text)


# ---- in, and out ----


def test_the_form_leads_to_the_page_and_the_button_out_of_it(browser, caplog):
    caplog.set_level(logging.INFO)
    assert not browser.inside
    form = browser.get(f"/login?next={PAGE}")
    assert form.status_code == 200
    assert f'name="next" value="{PAGE}"' in form.text
    assert 'autocomplete="username"' in form.text
    assert 'autocomplete="current-password"' in form.text
    assert form.headers["cache-control"] == "no-store"
    assert "form-action 'self'" in form.headers["content-security-policy"]
    assert "Log out" not in form.text
    assert browser.log_in(next=PAGE).headers["location"] == PAGE
    assert browser.inside
    assert browser.get(f"/login?next={PAGE}").headers["location"] == PAGE, "who is in needs no form"
    copied = dict(browser.cookies)
    left = browser.log_out()
    assert left.headers["location"] == "/login?done=out"
    assert not browser.cookies
    assert "You are logged out." in browser.get("/login?done=out").text
    browser.cookies = copied
    assert not browser.inside, "a cookie that was copied ends, too"
    events = {record.message: record for record in caplog.records if record.message != "Request"}
    assert events["Logged in"].user == events["Logged out"].user == LOGIN[0]
    assert events["Logged in"].client == "192.0.2.7"
    assert len(events["Logged in"].session) == 8
    requests = [vars(record) for record in caplog.records if record.message == "Request"]
    assert requests[-1]["no_session"] == "logged out"
    secrets = (LOGIN[1], *copied.values())
    assert not any(secret in str(vars(record)) for record in caplog.records for secret in secrets)


def test_the_cookie_of_plain_http_and_of_tls(app):
    plain, tls = Browser(app).log_in().headers["set-cookie"], Browser(app, TLS).log_in().headers["set-cookie"]
    assert re.fullmatch(r"moodlemlbackend=[\w.-]+; Path=/; HttpOnly; SameSite=Lax", plain)
    assert re.fullmatch(r"__Host-moodlemlbackend=[\w.-]+; Path=/; HttpOnly; SameSite=Lax; Secure", tls)
    browser = Browser(app, TLS)
    browser.cookies = {"moodlemlbackend": plain.split("=", 1)[1].partition(";")[0]}
    assert not browser.inside, "another host of the domain could have set it"


@pytest.mark.parametrize(("url", "warns"), [(PLAIN, False), (TLS, False), ("http://10.0.0.7:5000", True)])
def test_the_form_warns_where_the_connection_is_not_encrypted(app, url, warns):
    assert ("This connection is not encrypted" in Browser(app, url).get("/login").text) is warns


def test_every_login_begins_another_session_and_ends_the_former(browser):
    browser.log_in()
    former = dict(browser.cookies)
    browser.log_in(*OTHER)
    assert browser.cookies != former
    assert browser.inside
    browser.cookies = former
    assert not browser.inside


def test_a_session_is_renewed_while_it_is_used_and_ends(browser, later):
    browser.log_in()
    first = dict(browser.cookies)
    later(5)
    assert browser.inside
    assert browser.cookies == first
    for _ in range(6):
        later(limits.SESSION_IDLE_SECONDS - 10)
        assert browser.inside
    assert browser.cookies != first
    assert not Browser(browser.app).inside
    last, browser.cookies = browser.cookies, first
    assert not browser.inside, "a cookie that was not used for so long"
    browser.cookies = last
    assert browser.inside
    later(60)
    assert not browser.inside, "the session is as old as one can be"


def test_an_unused_session_ends(browser, later):
    browser.log_in()
    later(limits.SESSION_IDLE_SECONDS + 1)
    assert not browser.inside


def test_all_servers_of_a_directory_know_a_session_and_its_end(tmp_path, app, browser, later):
    """Also one that is started later: the key is in the directory."""
    other = Browser(server(tmp_path))
    browser.log_in()
    other.cookies = dict(browser.cookies)
    assert other.inside
    assert Browser(server(tmp_path / "elsewhere")).log_in().cookies != browser.cookies
    browser.log_out()
    assert not other.inside
    ended = tmp_path / ".logins" / "ended"
    assert len(list(ended.iterdir())) == 1
    later(limits.SESSION_SECONDS + 1)
    other.log_in()
    other.log_out()
    assert len(list(ended.iterdir())) == 1, "what would have ended by now is forgotten"


def test_a_changed_password_or_a_user_who_is_removed_ends_sessions(app, browser):
    other = Browser(app)
    browser.log_in()
    other.log_in(*OTHER)
    app.state.authenticator.replace_users(f"{':'.join(LOGIN)},other:new")
    assert browser.inside
    assert not other.inside
    app.state.authenticator.replace_users("other:new")
    assert not browser.inside


# ---- wrong passwords ----


def test_a_wrong_password_says_so_and_keeps_the_name(browser, app):
    wrong = [
        browser.post("/login", user=user, password="wrong", next=PAGE) for user in (LOGIN[0], "nobody", '"><script>')
    ]
    assert {trouble(one, 401) for one in wrong} == {"Wrong user name or password."}
    assert 'name="user" value="moodle"' in wrong[0].text
    assert f'name="next" value="{PAGE}"' in wrong[0].text
    assert 'aria-describedby="trouble"' in wrong[0].text
    assert "<script>" not in wrong[2].text
    shown = {re.sub(r'value="[^"]*"', "", one.text) for one in wrong}
    assert len(shown) == 1, "nothing says which users there are"
    assert trouble(browser.post("/login", user="", password=""), 401)
    assert trouble(browser.post("/login", user="moodle", password="x" * 5000), 401)
    assert b"failed_logins_total 5" in app.state.metrics.text()
    assert browser.log_in()


def test_many_failed_logins_at_a_time_have_to_wait(app, monkeypatch):
    monkeypatch.setattr(limits, "FAILED_LOGINS_AT_ONCE", 0)
    monkeypatch.setattr(limits, "LONGEST_DELAY_SECONDS", 0.0)
    browser = Browser(app)
    browser.post("/login", user=LOGIN[0], password="wrong")
    refused = browser.post("/login", user=LOGIN[0], password="wrong")
    assert "Wait a minute" in trouble(refused, 429)
    assert refused.headers["retry-after"].isdecimal()
    assert browser.log_in()


def test_a_password_that_changes_while_it_is_checked_lets_nobody_in(tmp_path):
    app = server(tmp_path, make_entry(*LOGIN))

    async def change() -> None:
        authenticator = app.state.authenticator
        check = asyncio.ensure_future(authenticator.check(*LOGIN, "192.0.2.7"))
        await asyncio.sleep(0)
        authenticator.replace_users("moodle:another")
        await check

    with pytest.raises(Exception, match="Wrong user name or password"):
        asyncio.run(change())


# ---- hostile ----


def signed(folder: Path, *values: object) -> str:
    """A cookie with the key of another directory."""
    made = shared.SharedLogins(server(folder).state.sessions._shared._objects)
    return str(made.signer("session").dumps(values))


def test_cookies_that_are_no_session(app, browser, tmp_path, caplog):
    caplog.set_level(logging.INFO)
    browser.log_in()
    [(name, good)] = browser.cookies.items()
    payload, _, signature = good.rpartition(".")
    session = app.state.sessions.read(good)
    form = app.state.form_tokens.make(LOGIN[0], session.id)
    mark, now = session.mark, session.begun
    for cookie in (
        "x", ".", "..", good[:-1], good + "x", f"{payload}.", f".{signature}", f"{good}.{signature}", "%00", "a" * 5000,
        signed(tmp_path / "other", session.id, *LOGIN[:1], mark, now, now), form, json.dumps([session.id]),
        payload.swapcase() + "." + signature,
    ):  # fmt: skip
        browser.cookies = {name: cookie}
        assert not browser.inside, cookie
        assert browser.get("/docs").status_code == 200
    browser.cookies = {}
    for header in (b"\xff\xfe\xe9", b"a=b; moodlemlbackend=\xe2\x82\xac.x", b"moodlemlbackend=\x01", b"=" * 3000):
        assert browser.get(PAGE, headers={"Cookie": header}).status_code == 303
        browser.cookies = {}
    reasons = {vars(record).get("no_session") for record in caplog.records if record.message == "Request"}
    assert reasons == {None, "not ours", "too long"}
    browser.cookies = {name: good}
    assert browser.inside


def test_an_address_after_the_login_is_of_this_server(browser):
    for good in ("/", "/insights?context=5&page=2", "/analytics/models/1/log", "/a%2F%2Fb"):
        assert local_address(good) == good
    for evil in (
        "", "//evil.example", "/\\evil.example", "https://evil.example", "javascript:alert(1)", "evil.example",
        "/\t/evil", "/ /evil", "/a\r\nSet-Cookie: x=y", "\\\\evil", "/é", "/" + "a" * 5000, "/a\\b", "/\0",
    ):  # fmt: skip
        assert local_address(evil) == "/", evil
        assert browser.log_in(next=evil).headers["location"] == "/"
        assert browser.get("/login", params={"next": evil}).headers["location"] == "/"


@pytest.mark.parametrize(
    "headers",
    [{"Sec-Fetch-Site": "cross-site"}, {"Origin": "https://evil.example"}, {"Origin": "null"}, {"Origin": "http://["}],
)
def test_a_page_of_another_site_logs_nobody_in_or_out(browser, headers):
    data = dict(zip(("user", "password"), LOGIN, strict=True))
    assert "another" not in trouble(browser.request("POST", "/login", data=data, headers=headers), 403)
    browser.log_in()
    sentence(browser.request("POST", "/logout", data={"token": "x"}, headers=headers), 403)
    assert browser.inside


def test_a_form_is_of_its_user_and_session(app, browser):
    browser.log_in()
    [cookie] = browser.cookies.values()
    session = app.state.sessions.read(cookie)
    tokens = app.state.form_tokens
    for user, made_in in ((LOGIN[0], ""), (LOGIN[0], "another"), (OTHER[0], session.id)):
        assert "has expired" in sentence(browser.post("/logout", token=tokens.make(user, made_in)), 403)
    for token in ("", "x", "é", cookie, "1." + "0" * 64):
        sentence(browser.post("/logout", token=token), 403)
    assert browser.inside
    assert browser.post("/logout", token=tokens.make(LOGIN[0], session.id)).status_code == 303
    assert browser.post("/logout", token="x").headers["location"] == "/login?done=out", "nothing to end"


def test_what_is_no_form_is_refused_in_the_form(browser):
    trouble(browser.request("POST", "/login", content=b"{}", headers={"Content-Type": "application/json"}), 415)
    kind = {"Content-Type": "application/x-www-form-urlencoded"}
    trouble(browser.request("POST", "/login", content=b"\xff", headers=kind), 400)
    trouble(browser.request("POST", "/login", content=b"a" * (limits.FORM_BYTES + 1), headers=kind), 413)


def test_a_damaged_key_is_one_sentence(app, browser, tmp_path, monkeypatch):
    monkeypatch.setattr(shared, "_WAIT_SECONDS", 0.0)
    (tmp_path / ".logins").mkdir()
    (tmp_path / ".logins" / "key").write_bytes(b"short")
    sentence(browser.post("/login", user=LOGIN[0], password=LOGIN[1]), 500)


# ---- programs ----


def test_programs_log_in_by_the_header_and_moodles_calls_know_no_session(browser):
    assert browser.get(PAGE, auth=LOGIN).status_code == 404
    assert not browser.cookies
    sentence(browser.get(PAGE, auth=(LOGIN[0], "wrong")), 401)
    browser.log_in()
    assert browser.inside
    for answer in (browser.get("/export"), browser.get("/metrics"), browser.post("/deletemodel", uniqueid="x")):
        sentence(answer, 401)
        assert answer.headers["www-authenticate"].startswith("Basic ")
    document = browser.get("/openapi.json").json()
    assert [scheme["scheme"] for scheme in document["components"]["securitySchemes"].values()] == ["basic"]
    assert not {"/login", "/logout"} & set(document["paths"])
