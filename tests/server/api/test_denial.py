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

pytestmark = posix
UPLOAD = (
    f"POST /training HTTP/1.1\r\nHost: x\r\nAuthorization: {basic(*LOGIN)}\r\nContent-Length: 100000\r\n"
    "Content-Type: multipart/form-data; boundary=b\r\n\r\n--b\r\n"
)


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with served(tmp_path_factory.mktemp("server"), WAITING_TRAININGS="3") as server:
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
    waiting = [connect("GET /version HTTP/1.1\r\nHost: x\r\nX-") for _ in range(limits.CONNECTIONS + 50)]
    for _ in range(5):
        assert httpx.get(f"{server.url}/version", auth=LOGIN, timeout=60).status_code == 200
    assert_closed(waiting[0])
    assert_closed(waiting[-1])


def test_a_second_request_has_no_more_time_for_its_headers(connect):
    connection = connect("GET /health/live HTTP/1.1\r\nHost: x\r\n\r\n")
    with HTTPResponse(connection) as response:
        response.begin()
        assert response.status == 200
        response.read()
    connection.sendall(b"GET /health/live HTTP/1.1\r\nHost")
    began = time.monotonic()
    assert_closed(connection)
    assert time.monotonic() - began > limits.HEADERS_SECONDS / 2


def assert_closed(connection):
    with contextlib.suppress(ConnectionResetError):
        assert connection.recv(1) == b""


@pytest.mark.parametrize(("pause", "size", "refused"), [(0.04, 1, "too slow"), (0.02, 1000, None), (1, 1, "Nothing")])
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


@pytest.mark.parametrize("proxies", [None, "127.0.0.0/8"])
def test_a_forwarded_address_is_believed_of_named_proxies_only(server, tmp_path, proxies):
    with contextlib.ExitStack() as stack:
        if proxies is not None:
            server = stack.enter_context(served(tmp_path, PROXIES=proxies))
        client = stack.enter_context(
            httpx.Client(transport=httpx.HTTPTransport(local_address="127.0.0.10"), timeout=60)
        )
        for number in range(2):
            forged = {"X-Forwarded-For": f"192.0.2.{number}"}
            sentence(client.get(f"{server.url}/metrics", auth=("nobody", "x"), headers=forged), 401)
    clients = [one["client"] for one in server.log if one["event"] == "Failed login"][-2:]
    assert clients == (["127.0.0.10"] * 2 if proxies is None else ["192.0.2.0", "192.0.2.1"])
