"""Launches from Moodle: a platform with keys of its own on a loopback port, and what hostile ones are answered."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import html
import http.server
import json
import re
import shutil
import sqlite3
import subprocess
import sys
import threading
import time
from contextlib import closing
from types import SimpleNamespace
from urllib.parse import parse_qs, urlsplit

import pytest

pytest.importorskip("jwt", reason="needs the extra lti")

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from fixtures.pages import WWWROOT
from fixtures.paths import ROOT, posix
from fixtures.servers import USERS, httpx
from fixtures.web_servers import Quiet, serving
from moodlemlbackend.errors import UsageError
from moodlemlbackend.server import limits
from moodlemlbackend.server.app import create_app
from moodlemlbackend.server.auth.registrations import read_registrations
from moodlemlbackend.server.lti import keys as platform_keys
from moodlemlbackend.server.lti import routes
from moodlemlbackend.server.pages.site.request_context import RequestContexts
from moodlemlbackend.settings.analytics import AnalyticsSettings
from moodlemlbackend.settings.server import ServerSettings

pytestmark = posix
TOOL, CLIENT, DEPLOYMENT = "https://analytics.example.org", "cl13nt", "1"
TARGET = f"{TOOL}/lti/launch"
CLAIM = "https://purl.imsglobal.org/spec/lti/claim/"
SESSION, FLOW = "__Host-moodlemlbackend-lti", "__Host-moodlemlbackend-launch"
KEY, OTHER_KEY = (rsa.generate_private_key(65537, 2048) for _ in range(2))


def jwk(key, kid: str, **more) -> dict:
    made = json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(key.public_key()))
    return {**made, "kid": kid, "alg": "RS256", "use": "sig", **more}


class Moodle(http.server.ThreadingHTTPServer):
    """The keys of the platform, as its address says: usual, too large, slow, or elsewhere."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Answer)
        self.keys, self.asked, self.go_on = [jwk(KEY, "k1")], 0, threading.Event()
        self.url = f"http://127.0.0.1:{self.server_port}"


class Answer(Quiet, http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.server.asked += 1
        if self.path == "/slow":
            self.server.go_on.wait(30)
        body = json.dumps({"keys": self.server.keys, "more": "x" * 70_000 if self.path == "/large" else ""}).encode()
        self.send_response(302 if self.path == "/elsewhere" else 200)
        self.send_header("Location", "/keys")
        self.end_headers()
        try:
            self.wfile.write(body)
        except OSError:
            assert self.path in ("/slow", "/large")


@pytest.fixture(scope="module")
def moodle():
    server = Moodle()
    with serving(server):
        yield server
        server.go_on.set()


@pytest.fixture(scope="module")
def site(prepared, tmp_path_factory):
    """Copies of the site and of its store; the ids of a course and of people."""
    folder = tmp_path_factory.mktemp("lti")
    shutil.copytree(prepared.folder / "work", folder / "work")
    shutil.copy(prepared.folder / "site.sqlite", folder)
    with closing(sqlite3.connect(folder / "site.sqlite")) as database:
        ids = dict(database.execute("SELECT username, id FROM mdl_user WHERE username IN ('ana', 'sam', 'gone')"))
        [(course,)] = database.execute("SELECT instanceid FROM mdl_context WHERE id = ?", (prepared.course,))
        [(admin,)] = database.execute("SELECT id FROM mdl_user WHERE username = 'admin'")
    return SimpleNamespace(folder=folder, course=course, context=prepared.course, admin=admin, **ids)


@pytest.fixture(scope="module")
def settings(site):
    url = f"sqlite:///{site.folder / 'site.sqlite'}"
    return AnalyticsSettings(site=url, directory=str(site.folder / "work"), wwwroot=WWWROOT)


def entry(moodle, keys: str = "/keys", deployments: str = DEPLOYMENT) -> str:
    return f"{WWWROOT} {CLIENT} {deployments} keys={moodle.url}{keys}"


def tool(folder, settings, lti: str):
    app = create_app(ServerSettings(directory=str(folder), users=USERS, lti=lti), settings)

    async def start():
        app.state.request_contexts = RequestContexts(app.state.settings, settings, app.state.authenticator.is_person)

    asyncio.run(start())
    return app


@pytest.fixture(scope="module")
def app(site, settings, moodle):
    app = tool(site.folder / "models", settings, entry(moodle))
    yield app
    asyncio.run(app.state.request_contexts.close())


class Browser:
    """A browser with cookies by name, whether in a frame of Moodle or in a window."""

    def __init__(self, app, url: str = TOOL) -> None:
        self.app, self.url, self.cookies, self.set = app, url, {}, {}

    def request(self, method: str, path: str, **more):
        async def once():
            transport = httpx.ASGITransport(self.app, client=("192.0.2.7", 1))
            async with httpx.AsyncClient(transport=transport, base_url=self.url) as client:
                return await client.request(method, path, **more)

        sent = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        more["headers"] = {**({"Cookie": sent} if sent else {}), **more.get("headers", {})}
        answer = asyncio.run(once())
        for line in answer.headers.get_list("set-cookie"):
            name, _, value = line.partition(";")[0].partition("=")
            self.set[name] = line
            self.cookies.pop(name, None)
            if value:
                self.cookies[name] = value
        return answer

    def get(self, path: str, **more):
        return self.request("GET", path, **more)

    def begin(self, **changes) -> dict[str, str]:
        """Have Moodle's login begin, and return what Moodle is asked."""
        answer = self.get("/lti/login", params=login(**changes))
        assert answer.status_code == 303, answer.text
        if answer.headers["location"].startswith("/"):
            answer = self.get(answer.headers["location"])
        assert answer.headers["location"].startswith(f"{WWWROOT}/mod/lti/auth.php?")
        asked = parse_qs(urlsplit(answer.headers["location"]).query)
        return {name: value for name, [value] in asked.items()}

    def send(self, **data: str):
        """Moodle's form, sent by the browser from a page of Moodle."""
        headers = {"Sec-Fetch-Site": "cross-site", "Origin": WWWROOT}
        return self.request("POST", "/lti/launch", data=data, headers=headers)

    def launch(self, user: int, course: int, **changes):
        asked = self.begin()
        return self.send(state=asked["state"], id_token=token(claims(user, course, asked["nonce"], **changes)))


def login(**changes) -> dict[str, str]:
    usual = {
        "iss": WWWROOT,
        "login_hint": "5",
        "target_link_uri": TARGET,
        "client_id": CLIENT,
        "lti_message_hint": "{}",
    }
    return {name: value for name, value in {**usual, **changes}.items() if value is not None}


def claims(user: int, course: int, made: str, **changes) -> dict:
    now = int(time.time())
    usual = {
        "iss": WWWROOT, "aud": CLIENT, "sub": str(user), "iat": now, "exp": now + 60, "nonce": made,
        f"{CLAIM}version": "1.3.0", f"{CLAIM}message_type": "LtiResourceLinkRequest",
        f"{CLAIM}deployment_id": DEPLOYMENT, f"{CLAIM}target_link_uri": TARGET, f"{CLAIM}context": {"id": str(course)},
        f"{CLAIM}roles": ["http://purl.imsglobal.org/vocab/lis/v2/membership#Instructor"],
    }  # fmt: skip
    named = {CLAIM + name if CLAIM + name in usual else name: value for name, value in changes.items()}
    return {name: value for name, value in {**usual, **named}.items() if value is not None}


def token(values: dict, key=KEY, alg: str = "RS256", kid: str = "k1") -> str:
    return str(jwt.encode(values, key, algorithm=alg, headers={"kid": kid}))


def text(answer, code: int) -> str:
    """The sentence of a page that a page of Moodle can frame, and that signs nobody in."""
    assert answer.status_code == code, answer.text
    assert f"frame-ancestors {WWWROOT};" in answer.headers["content-security-policy"]
    assert SESSION not in "".join(answer.headers.get_list("set-cookie"))
    return html.unescape(re.search(r"<p>(.*?)</p>", answer.text, re.DOTALL)[1])


def change(site, statement: str, *values: object) -> None:
    with closing(sqlite3.connect(site.folder / "site.sqlite")) as database, database:
        database.execute(statement, values)


# ---- what a teacher does ----


def test_a_launch_leads_to_the_insights_of_the_course_in_a_frame_and_in_a_window(app, site):
    teacher = Browser(app)
    asked = teacher.begin()
    assert {**asked, "state": "", "nonce": ""} == {
        "scope": "openid", "response_type": "id_token", "response_mode": "form_post", "prompt": "none", "state": "",
        "nonce": "", "client_id": CLIENT, "redirect_uri": TARGET, "login_hint": "5", "lti_message_hint": "{}",
    }  # fmt: skip
    there = teacher.send(state=asked["state"], id_token=token(claims(site.ana, site.course, asked["nonce"])))
    assert (there.status_code, there.headers["location"]) == (303, f"/courses/{site.course}")
    for name in (SESSION, FLOW):
        assert re.fullmatch(rf"{name}=[\w.-]+; Path=/; HttpOnly; SameSite=None; Secure; Partitioned", teacher.set[name])
    page = teacher.get(there.headers["location"], headers={"Sec-Fetch-Dest": "iframe"})
    assert page.status_code == 200
    assert "students at high risk" in page.text
    assert f"frame-ancestors {WWWROOT};" in page.headers["content-security-policy"]
    assert ">Ana " in page.text, "signed in as the Moodle user"
    style = re.search(r"/static/\w+/style.css", page.text)[0]
    assert "immutable" in teacher.get(style).headers["cache-control"]

    cookies = dict(teacher.cookies)
    again = teacher.request("POST", "/lti/login", data=login(), headers={"Sec-Fetch-Site": "cross-site"})
    assert again.headers["location"].startswith(WWWROOT), "the form of the older versions works, and needs no trial"
    assert teacher.launch(site.ana, site.course).status_code == 303
    assert teacher.cookies == cookies, "another launch leaves the forms of the first in force"
    assert Browser(app, "http://localhost:5000").begin(target_link_uri="http://localhost:5000/lti/launch")


def test_a_launch_near_the_end_of_a_session_begins_another(app, site, monkeypatch):
    teacher = Browser(app)
    teacher.launch(site.ana, site.course)
    former = teacher.cookies[SESSION]
    monkeypatch.setattr(limits, "SESSION_SECONDS", limits.SESSION_IDLE_SECONDS - 60)
    page = teacher.launch(site.ana, site.course).headers["location"]
    assert teacher.cookies[SESSION] != former
    assert teacher.get(page).status_code == 200


def test_forms_of_a_launched_session_work_and_those_from_elsewhere_do_not(app, site):
    teacher = Browser(app)
    teacher.launch(site.ana, site.course)
    [value] = set(re.findall(r'name="token" value="([^"]+)"', teacher.get("/notifications").text))
    foreign = teacher.request(
        "POST", "/logout", data={"token": value}, headers={"Sec-Fetch-Site": "cross-site", "Origin": WWWROOT}
    )
    assert foreign.status_code == 403
    out = teacher.request("POST", "/logout", data={"token": value}, headers={"Sec-Fetch-Site": "same-origin"})
    assert "open the activity in your Moodle course again" in text_of(out, 200)
    assert SESSION not in teacher.cookies
    assert "next=%2Finsights" in teacher.get("/insights").headers["location"], "a window is led to the form"
    framed = teacher.get("/insights", headers={"Sec-Fetch-Dest": "iframe"})
    assert "open the activity in your Moodle course again" in text_of(framed, 403)


def text_of(answer, code: int) -> str:
    assert answer.status_code == code, answer.text
    assert f"frame-ancestors {WWWROOT};" in answer.headers["content-security-policy"]
    return str(answer.text)


def test_where_the_browser_keeps_no_cookie_a_link_opens_a_window(app):
    stubborn = Browser(app)
    led = stubborn.get("/lti/login", params=login())
    assert led.headers["location"].startswith("/lti/login?")
    stubborn.cookies = {}
    shown = stubborn.get(led.headers["location"])
    assert "cookie" in text(shown, 200)
    [link] = re.findall(r'<a class="button" href="([^"]+)" target="_blank"', shown.text)
    window = Browser(app)
    first = window.get(html.unescape(link))
    assert window.get(first.headers["location"]).headers["location"].startswith(f"{WWWROOT}/mod/lti/auth.php?")


def test_a_course_without_insights_says_so(app, site):
    teacher = Browser(app)
    nowhere = teacher.launch(site.ana, 999_999)
    assert nowhere.headers["location"] == "/insights"
    there = teacher.launch(site.ana, site.course, context=None)
    assert there.headers["location"] == "/insights"
    student = Browser(app)
    led = student.launch(site.sam, site.course)
    assert "There is no such course" in text_of(student.get(led.headers["location"]), 404)


# ---- who may what ----


def test_a_role_of_the_message_grants_nothing_and_one_taken_away_counts_at_once(app, site):
    teacher = Browser(app)
    page = teacher.launch(site.ana, site.course).headers["location"]
    assert teacher.get(page).status_code == 200
    change(site, "UPDATE mdl_role_assignments SET userid = -userid WHERE userid = ?", site.ana)
    try:
        assert teacher.get(page).status_code == 404
        assert Browser(app).launch(site.ana, site.course).status_code == 303, "the page says the rest"
    finally:
        change(site, "UPDATE mdl_role_assignments SET userid = -userid WHERE userid = ?", -site.ana)
    assert teacher.get(page).status_code == 200
    admin = Browser(app)
    admin.launch(site.admin, site.course)
    assert admin.get("/analytics").status_code == 200
    assert admin.get("/docs").status_code == 200
    assert admin.get("/").headers["location"] == "/insights"
    assert admin.get("/models/none/" + "0" * 32).status_code == 403, "the models of server mode are for users"
    assert admin.get("/metrics").status_code == 401


def test_people_whom_the_site_does_not_know_or_has_suspended(app, site):
    for user in (site.gone, 999_999):
        assert "not active" in text(Browser(app).launch(user, site.course), 403)
    teacher = Browser(app)
    page = teacher.launch(site.ana, site.course).headers["location"]
    change(site, "UPDATE mdl_user SET suspended = 1 WHERE id = ?", site.ana)
    try:
        assert "not active" in html.unescape(teacher.get(page).text)
    finally:
        change(site, "UPDATE mdl_user SET suspended = 0 WHERE id = ?", site.ana)


def test_a_registration_that_is_removed_ends_its_sessions(site, settings, moodle, tmp_path):
    app = tool(tmp_path, settings, entry(moodle))
    teacher = Browser(app)
    page = teacher.launch(site.ana, site.course).headers["location"]
    asked = teacher.begin()
    app.state.authenticator.replace_users(USERS, "", entry(moodle, deployments="2"))
    assert teacher.get(page).status_code == 403
    assert SESSION not in teacher.cookies
    gone = teacher.send(state=asked["state"], id_token=token(claims(site.ana, site.course, asked["nonce"])))
    assert "not registered" in text(gone, 403)
    asyncio.run(app.state.request_contexts.close())


# ---- hostile ----

HOSTILE = {
    "another audience": ({"aud": "another"}, "verified"),
    "several audiences without azp": ({"aud": [CLIENT, "another"]}, "verified"),
    "another party": ({"azp": "another"}, "verified"),
    "another issuer": ({"iss": "https://evil.example"}, "verified"),
    "expired": ({"exp": 1_700_000_000}, "verified"),
    "without an end": ({"exp": None}, "verified"),
    "of the future": ({"iat": 4_000_000_000, "exp": 4_000_000_060}, "verified"),
    "unknown deployment": ({"deployment_id": "7"}, "not registered"),
    "deployment that is no text": ({"deployment_id": None}, "not registered"),
    "no nonce": ({"nonce": None}, "verified"),
    "another nonce": ({"nonce": "x"}, "verified"),
    "another version": ({"version": "1.1"}, "verified"),
    "another message": ({"message_type": "LtiDeepLinkingRequest"}, "verified"),
    "nobody": ({"sub": None}, "verified"),
    "a user that is no id": ({"sub": "1 OR 1=1"}, "verified"),
    "a course that is no id": ({"context": {"id": "../1"}}, "verified"),
    "a context that is none": ({"context": ["1"]}, "verified"),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_messages_that_let_nobody_in(app, site, case):
    changes, part = HOSTILE[case]
    assert part in text(Browser(app).launch(site.ana, site.course, **changes), 403)


def test_signatures_that_let_nobody_in(app, site, moodle):
    public = KEY.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    hostile = Browser(app)
    asked = hostile.begin()
    values = claims(site.ana, site.course, asked["nonce"])
    good = token(values)
    head, body, signature = good.split(".")
    header, payload = (jwt.utils.base64url_encode(json.dumps(part).encode()).decode() for part in (
        {"alg": "HS256", "kid": "k1", "typ": "JWT"}, values
    ))  # fmt: skip
    digest = hmac.digest(public, f"{header}.{payload}".encode(), hashlib.sha256)
    by_secret = f"{header}.{payload}.{jwt.utils.base64url_encode(digest).decode()}"
    forged = [
        token(values, None, "none"), by_secret, token(values, OTHER_KEY), token(values, alg="RS512"),
        token(values, kid="new"), f"{head}.{body}.", f"{head}.{body}", f"{head}.{payload[:-2]}.{signature}", "",
        "x.y.z", "." * 70_000,
    ]  # fmt: skip
    for forgery in forged:
        assert "could not be verified" in text(hostile.send(state=asked["state"], id_token=forgery), 403), forgery
    assert hostile.send(state=asked["state"], id_token=good).status_code == 303, "none of these used the state up"


def test_a_launch_is_for_one_browser_and_for_one_time(app, site, moodle, settings):
    teacher, thief = Browser(app), Browser(app)
    asked = teacher.begin()
    thief.begin()
    sent = {"state": asked["state"], "id_token": token(claims(site.ana, site.course, asked["nonce"]))}
    assert "another browser" in text(thief.send(**sent), 403)
    assert teacher.send(**sent).status_code == 303
    assert "already been used" in text(teacher.send(**sent), 403)
    other = tool(site.folder / "models", settings, entry(moodle))  # another server of the directory
    teacher.app = other
    assert "already been used" in text(teacher.send(**sent), 403)
    asyncio.run(other.state.request_contexts.close())
    fresh = Browser(app)
    replayed = {"state": fresh.begin()["state"], "id_token": sent["id_token"]}
    assert "could not be verified" in text(fresh.send(**replayed), 403), "the token of another launch"
    for state in ("", "x", app.state.form_tokens.make("ana", "x"), sent["state"][:-1]):
        assert "another browser" in text(fresh.send(**{**sent, "state": state}), 403)
    unsent = {"state": fresh.begin()["state"], "id_token": sent["id_token"]}
    assert "Open the activity in your Moodle course again." in text(fresh.get("/lti/launch", params=unsent), 403)


def test_a_state_is_good_for_ten_minutes(app, site, monkeypatch):
    monkeypatch.setattr(routes, "LAUNCH_SECONDS", -1)
    assert "has expired" in text(Browser(app).launch(site.ana, site.course), 403)


def test_logins_that_are_not_begun(app, site):
    for changes, code, part in (
        ({"iss": "https://evil.example"}, 403, "not registered"),
        ({"iss": None}, 403, "not registered"),
        ({"client_id": "another"}, 403, "not registered"),
        ({"lti_deployment_id": "7"}, 403, "not registered"),
        ({"target_link_uri": "https://evil.example/lti/launch"}, 400, f"enter {TARGET}."),
        ({"target_link_uri": f"{TOOL}.evil.example/lti/launch"}, 400, f"enter {TARGET}."),
        ({"target_link_uri": "https://["}, 400, f"enter {TARGET}."),
        ({"target_link_uri": None}, 400, f"enter {TARGET}."),
        ({"login_hint": None}, 400, "incomplete"),
        ({"login_hint": "x" * 3000}, 400, "incomplete"),
    ):
        assert part in text(Browser(app).get("/lti/login", params=login(**changes)), code)
    foreign = Browser(app).launch(site.ana, site.course, target_link_uri="https://evil.example/lti/launch")
    assert f"enter {TARGET}." in text(foreign, 400)
    assert "starts with https" in text(Browser(app, "http://analytics.example.org").get("/lti/login"), 400)
    denied = Browser(app)
    assert "did not sign you in" in text(denied.send(state=denied.begin()["state"], error="login_required"), 403)


# ---- Moodle's keys ----


def test_a_new_key_of_moodle_is_fetched_once(site, settings, moodle, tmp_path, monkeypatch):
    app = tool(tmp_path, settings, entry(moodle))
    assert Browser(app).launch(site.ana, site.course).status_code == 303
    moodle.asked = 0
    assert Browser(app).launch(site.ana, site.course).status_code == 303
    assert moodle.asked == 0
    small = rsa.generate_private_key(65537, 1024)
    rejected = [
        {"kty": "oct", "k": "c2VjcmV0", "kid": "k3"}, jwk(small, "k4"), jwk(OTHER_KEY, "k5", use="enc"),
        *(jwk(OTHER_KEY, "k6", **odd) for odd in ({"n": 5}, {"n": None}, {"e": [1]}, {"d": 7})),
    ]  # fmt: skip
    monkeypatch.setattr(moodle, "keys", [*rejected, jwk(OTHER_KEY, "k2")])

    def rotated(key, kid):
        browser = Browser(app)
        asked = browser.begin()
        return browser.send(
            state=asked["state"], id_token=token(claims(site.ana, site.course, asked["nonce"]), key, kid=kid)
        )

    assert "verified" in text(rotated(OTHER_KEY, "k2"), 403), "asked a moment ago"
    monkeypatch.setattr(platform_keys, "AGAIN_SECONDS", 0.0)
    assert rotated(OTHER_KEY, "k2").status_code == 303
    assert moodle.asked == 1
    assert "verified" in text(rotated(KEY, "k1"), 403), "a key that Moodle has given up"
    assert "verified" in text(rotated(OTHER_KEY, "k5"), 403)
    asyncio.run(app.state.request_contexts.close())


@pytest.mark.parametrize("keys", ["/large", "/slow", "/elsewhere", "unreachable"])
def test_keys_that_cannot_be_had(site, settings, moodle, tmp_path, monkeypatch, keys):
    monkeypatch.setattr(platform_keys, "FETCH_SECONDS", 0.3 if keys == "/slow" else 5.0)
    lti = entry(moodle, keys) if keys.startswith("/") else f"{WWWROOT} {CLIENT} {DEPLOYMENT} keys=http://127.0.0.1:1/"
    app = tool(tmp_path, settings, lti)
    for _ in range(2):
        refused = Browser(app).launch(site.ana, site.course)
        assert "can't get Moodle's keys" in text(refused, 503)
        assert refused.headers["retry-after"].isdecimal()
    asyncio.run(app.state.request_contexts.close())


# ---- settings ----


def test_without_a_registration_there_is_nothing(site, settings, tmp_path):
    app = create_app(ServerSettings(directory=str(tmp_path), users=USERS), settings)
    assert Browser(app).get("/lti/login", params=login()).status_code == 404
    assert Browser(app).send(state="x", id_token="x").status_code == 404
    with pytest.raises(UsageError, match="needs the pages of a Moodle site; set site, or remove lti"):
        create_app(ServerSettings(directory=str(tmp_path), users=USERS, lti=f"{WWWROOT} a 1"))
    code = (
        "import sys; from moodlemlbackend.server.app import create_app; "
        "from moodlemlbackend.settings.analytics import AnalyticsSettings; "
        "from moodlemlbackend.settings.server import ServerSettings; "
        f"create_app(ServerSettings(directory={str(tmp_path)!r}, users='a:b'), AnalyticsSettings(site='sqlite:///x')); "
        "assert not {'jwt', 'httpx', 'moodlemlbackend.server.lti'} & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_registrations():
    [usual] = read_registrations("https://a.example/moodle cl 1 2").values()
    assert usual.deployments == {"1", "2"}
    assert usual.origin == "https://a.example"
    assert usual.auth == "https://a.example/moodle/mod/lti/auth.php"
    assert usual.keys == "https://a.example/moodle/mod/lti/certs.php"
    assert len(read_registrations("https://a.example cl 1, https://a.example other 1")) == 2
    for wrong, why in {
        "https://a.example cl": "Entry 1 of lti is not of the form wwwroot client-id deployment-id",
        "http://a.example cl 1": "Entry 1 of lti has an address that is not of the form https",
        "https://a.example/ cl 1": "without a slash at the end",
        "https://a.example;x cl 1": "has an address",
        "https://a.example cl 1 keys=http://a.example": "has an address",
        "https://a.example cl 1,https://a.example cl 2": "Entry 2 of lti has the client id of another entry",
    }.items():
        with pytest.raises(UsageError, match=why):
            read_registrations(wrong)
