"""What one client does keeps no other from the server."""

from __future__ import annotations

import asyncio
import contextlib
import resource
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPResponse

import pytest
from starlette.requests import Request

from fixtures.backend import write_courses
from fixtures.paths import posix
from fixtures.servers import LOGIN, OTHER, basic, httpx, sentence, served, train, wait_for
from moodlemlbackend.errors import RequestError
from moodlemlbackend.server import limits
from moodlemlbackend.server.api import uploads
from moodlemlbackend.server.auth.login import cookies_of

pytestmark = posix
PROXY = "127.0.0.11"
UPLOAD = (
    f"POST /training HTTP/1.1\r\nHost: x\r\nAuthorization: {basic(*LOGIN)}\r\nContent-Length: 100000\r\n"
    "Content-Type: multipart/form-data; boundary=b\r\n\r\n--b\r\n"
)


def test_a_cookie_of_quotes_is_read_at_once():
    """Python before 3.11.10 takes seconds to remove them, before any login."""
    cookie = 'a="' + '\\"' * 30_000 + '"; moodlemlbackend=mine'
    began = time.process_time()
    cookies = cookies_of(Request({"type": "http", "headers": [(b"cookie", cookie.encode())]}))
    assert time.process_time() - began < 1
    assert cookies["moodlemlbackend"] == "mine"


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with served(tmp_path_factory.mktemp("server"), WAITING_TRAININGS="3", PROXIES=PROXY) as server:
        yield server


@pytest.fixture
def connect(server):
    host, port = server.url.removeprefix("http://").split(":")
    with contextlib.ExitStack() as stack:

        def open_one(text: str) -> socket.socket:
            connection = stack.enter_context(socket.create_connection((host, int(port)), timeout=60))
            connection.sendall(text.encode())
            return connection

        yield open_one


@pytest.fixture
def many_files():
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = limits.CONNECTIONS + 500
    if hard != resource.RLIM_INFINITY and hard < wanted:
        pytest.skip("needs more open files")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, wanted), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_unfinished_headers_keep_nobody_out(server, connect, many_files):
    """Those of a connection's second request have no more time than those of the first."""
    waiting = [connect("GET /version HTTP/1.1\r\nHost: x\r\nX-") for _ in range(limits.CONNECTIONS + 50)]
    for _ in range(5):
        assert httpx.get(f"{server.url}/version", auth=LOGIN, timeout=60).status_code == 200
    second = connect("GET /health/live HTTP/1.1\r\nHost: x\r\n\r\n")
    with HTTPResponse(second) as response:
        response.begin()
        assert response.status == 200
        response.read()
    second.sendall(b"GET /health/live HTTP/1.1\r\nHost")
    began = time.monotonic()
    assert_closed(waiting[0])
    assert_closed(waiting[-1])
    assert_closed(second)
    assert time.monotonic() - began > limits.HEADERS_SECONDS / 2


def assert_closed(connection):
    with contextlib.suppress(ConnectionResetError):
        assert connection.recv(1) == b""


@pytest.mark.parametrize(
    ("pause", "size", "refused"),
    [(0.04, 1, "too slow"), (0.02, 1000, None), (1, 1, "The upload stopped for 0.5 seconds")],
)
def test_an_upload_has_to_bring_a_little(monkeypatch, pause, size, refused):
    monkeypatch.setattr(limits, "IDLE_SECONDS", 0.5)
    sent = 0

    async def receive():
        nonlocal sent
        await asyncio.sleep(pause)
        sent += size
        return {"type": "http.request", "body": b"x" * size, "more_body": sent < 60 * size}

    async def read():
        request = Request({"type": "http", "headers": [], "state": {}}, receive)
        return [chunk async for chunk in uploads._chunks(request, 1 << 20)]

    if refused is None:
        assert len(asyncio.run(read())) == 60
        return
    with pytest.raises(RequestError, match=refused) as error:
        asyncio.run(read())
    assert error.value.code == 408


def test_slow_uploads_of_one_user_leave_places_to_others(server, connect, tmp_path):
    labelled, _ = write_courses(tmp_path, 30)
    for _ in range(2):
        connect(UPLOAD)
    wait_for(lambda: 'moodlemlbackend_queue{pool="training",state="uploading"} 2.0' in server.metrics())
    with server.client() as client, server.client(OTHER) as other:
        assert "half of what the server accepts" in sentence(train(client, labelled), 503)
        assert train(other, labelled).json()["status"] == 0


def test_wrong_passwords_lock_nobody_out(server):
    assert httpx.get(f"{server.url}/metrics", auth=LOGIN).status_code == 200
    with (
        httpx.Client(transport=httpx.HTTPTransport(local_address="127.0.0.9"), timeout=60) as client,
        ThreadPoolExecutor(12) as threads,
    ):
        url = f"{server.url}/metrics"
        wrong = [threads.submit(client.get, url, auth=(LOGIN[0], f"wrong{number}")) for number in range(12)]
        wait_for(lambda: any(one.done() for one in wrong))
        for login in (LOGIN, OTHER, LOGIN):
            assert client.get(url, auth=login).status_code == 200
        codes = [one.result().status_code for one in wrong]
    assert set(codes) == {401, 429}
    assert codes.count(401) >= limits.FAILED_LOGINS_AT_ONCE


def test_only_named_proxies_are_believed(server):
    """Whose address a client has, and whether its cookie may be sent without TLS."""
    forged = {"X-Forwarded-For": "192.0.2.7", "X-Forwarded-Proto": "https"}
    form = dict(zip(("user", "password"), LOGIN, strict=True))
    for address, client_address, name in (
        ("127.0.0.10", "127.0.0.10", "moodlemlbackend"),
        (PROXY, "192.0.2.7", "__Host-moodlemlbackend"),
    ):
        with httpx.Client(transport=httpx.HTTPTransport(local_address=address), headers=forged, timeout=60) as client:
            sentence(client.get(f"{server.url}/metrics", auth=("nobody", "x")), 401)
            cookie = client.post(f"{server.url}/login", data=form).headers["set-cookie"]
        assert server.record("Failed login", client=client_address)
        assert cookie.partition("=")[0] == name
        assert ("; Secure" in cookie) == name.startswith("__Host-")
