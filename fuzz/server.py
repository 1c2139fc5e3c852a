"""The server: raw requests to the whole application, uploads, and what a platform of LTI sends."""

from __future__ import annotations

import asyncio
import base64
import json
import logging
import re
import time
from functools import cache
from pathlib import Path
from typing import Any

from fuzz.target import SEPARATOR, own_folder, target

WWWROOT = "https://moodle.example"
NOW = 1_795_366_777


@cache
def _loop() -> asyncio.AbstractEventLoop:
    return asyncio.new_event_loop()


@target
def multipart(data: bytes, folder: Path) -> None:
    """A form with a file: in pieces of any size the same as in one. An empty one is as good as none."""
    from moodlemlbackend.errors import RequestError

    found = []
    for number, size in enumerate((len(data) or 1, 7)):
        try:
            form = _loop().run_until_complete(_receive(data, folder / str(number), size))
            found.append((form.values, form.files) if form.values or form.files else (400, {}))
        except RequestError as error:
            found.append((error.code, {}))
    assert found[0] == found[1], found
    if isinstance(found[0][0], int):
        raise RequestError("refused", found[0][0])


async def _receive(data: bytes, folder: Path, size: int) -> Any:
    from starlette.requests import Request

    from moodlemlbackend.server.api.uploads import Scratch, receive
    from moodlemlbackend.settings.server import Limits

    folder.mkdir()
    chunks = [data[start : start + size] for start in range(0, len(data), size)] or [b""]

    async def body() -> dict[str, Any]:
        chunk = chunks.pop(0)
        return {"type": "http.request", "body": chunk, "more_body": bool(chunks)}

    scope = {
        "type": "http", "method": "POST", "path": "/", "query_string": b"", "state": {},
        "headers": [(b"content-type", b"multipart/form-data; boundary=here")],
    }  # fmt: skip
    scratch = Scratch(folder)
    form = await receive(Request(scope, body), scratch, files=("dataset",), allowed=Limits())
    assert {name: (scratch.folder / name).stat().st_size for name in form.files} == form.files
    return form


# ---- LTI ----


@cache
def _platform_key() -> Any:
    from cryptography.hazmat.primitives.asymmetric import rsa

    return rsa.generate_private_key(65537, 2048)


@target
def launch(data: bytes, _folder: Path) -> None:
    """A message whose header and claims are anything, rightly signed; ``NOW`` in it stands for the time."""
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import padding

    from moodlemlbackend.errors import RequestError
    from moodlemlbackend.server.auth.registrations import read_registrations
    from moodlemlbackend.server.lti.messages import UntrustedMessageError, read_launch

    class Keys:
        async def get(self, kid: str) -> Any:
            return _platform_key().public_key() if kid == "1" else None

    [registration] = read_registrations(f"{WWWROOT} client 1").values()
    moment = str(int(time.time())).encode()
    parts = [part.replace(b"NOW", moment) for part in (*data.split(SEPARATOR, 1), b"")[:2]]
    signed = b".".join(base64.urlsafe_b64encode(part).rstrip(b"=") for part in parts)
    signature = _platform_key().sign(signed, padding.PKCS1v15(), hashes.SHA256())
    token = f"{signed.decode()}.{base64.urlsafe_b64encode(signature).rstrip(b'=').decode()}"
    try:
        read = _loop().run_until_complete(read_launch(token, registration, "nonce", Keys()))  # type: ignore[arg-type]
    except UntrustedMessageError as error:
        raise RequestError(str(error), 403) from error
    claims = json.loads(parts[1])
    assert read.userid > 0
    assert claims["nonce"] == "nonce"
    assert claims["iss"] == WWWROOT
    assert "client" in claims["aud"]


@target
def keys(data: bytes, _folder: Path) -> None:
    """The keys of a platform: those that are taken are long enough, and public."""
    from unittest import mock

    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

    from moodlemlbackend.errors import RequestError
    from moodlemlbackend.server.lti import keys as reader

    async def read(_address: str) -> bytes:
        return data

    with mock.patch.object(reader, "_read", read):
        try:
            found = _loop().run_until_complete(reader._fetch(""))
        except reader.KeysLostError as error:
            raise RequestError(str(error), 503) from error
    assert found
    assert all(isinstance(key, RSAPublicKey) and key.key_size >= reader.KEY_BITS for key in found.values())


# ---- the whole application ----


class _Transport(asyncio.Transport):
    """The other end of a connection, which keeps what it is sent."""

    def __init__(self) -> None:
        super().__init__({"peername": ("127.0.0.1", 1), "sockname": ("127.0.0.1", 2)})
        self.sent = bytearray()
        self.closed = False

    def write(self, data: bytes) -> None:  # type: ignore[override]
        self.sent += data

    def is_closing(self) -> bool:
        return self.closed

    def close(self) -> None:
        self.closed = True

    abort = close

    def pause_reading(self) -> None:
        pass

    resume_reading = pause_reading

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        pass


class _Faults(logging.Handler):
    """Keeps what the server logs as unexpected."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.seen: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.seen.append(self.format(record))


class Application:
    """The application with the pages of a simulated site; workers and runs, which are processes, are out of reach."""

    def __init__(self) -> None:
        import uvicorn
        from uvicorn.server import ServerState

        from moodlemlbackend.analytics import lifecycle, models
        from moodlemlbackend.analytics.lifecycle.opening import open_workspace
        from moodlemlbackend.analytics.site import open_site
        from moodlemlbackend.server import limits
        from moodlemlbackend.server.app import create_app
        from moodlemlbackend.settings.analytics import AnalyticsSettings
        from moodlemlbackend.settings.server import ServerSettings
        from moodlemlbackend.simulation.site.build import write_site

        limits.FAILED_LOGIN_SECONDS = limits.KNOWN_LOGIN_SECONDS = limits.LONGEST_DELAY_SECONDS = 0
        self.folder = own_folder("fuzz-server-")
        url = f"sqlite:///{self.folder / 'site.sqlite'}"
        write_site(url, courses=3, students=6, seed=1, now=NOW)
        analytics = AnalyticsSettings(site=url, directory=str(self.folder / "work"), wwwroot=WWWROOT)
        workspace = open_workspace(analytics, now=NOW)
        with open_site(url) as site, workspace.store.read() as connection:
            for model in [one for one in models.listed(connection, enabled=True) if one.static]:
                lifecycle.predict(workspace, site, model.id)
            [(teacher, self.course)] = site.database.rows(
                "SELECT u.username, c.instanceid FROM {user} u JOIN {role_assignments} a ON a.userid = u.id "
                "JOIN {role} r ON r.id = a.roleid JOIN {context} c ON c.id = a.contextid "
                "WHERE r.archetype = 'editingteacher' LIMIT 1"
            )
        workspace.store.close()
        server = ServerSettings(
            directory=str(self.folder / "models"), users="moodle:secret", people=f"{teacher}:secret,admin:secret",
            lti=f"{WWWROOT} client 1", scratch=str(self.folder),
        )  # fmt: skip
        self.app = create_app(server, analytics)
        self.faults = _Faults()
        for name in ("moodlemlbackend.server", "uvicorn.error"):
            logging.getLogger(name).addHandler(self.faults)
            logging.getLogger(name).propagate = False
        _loop().run_until_complete(self._start())
        self.config = uvicorn.Config(self.app, log_config=None, access_log=False, proxy_headers=True)
        self.config.load()
        self.state = ServerState()
        state = self.app.state
        self.words = {}
        for name, user in ((b"TEACHER", teacher), (b"ADMIN", "admin")):
            session = state.sessions.begin(user)
            self.words[name + b"_COOKIE"] = f"moodlemlbackend={state.sessions.cookie(session)}".encode()
            self.words[name + b"_TOKEN"] = state.form_tokens.make(user, session.id).encode()
        self.words[b"MOODLE_LOGIN"] = b"Basic " + base64.b64encode(b"moodle:secret")
        self.words[b"COURSE"] = str(self.course).encode()

    async def _start(self) -> None:
        from moodlemlbackend.errors import RequestError
        from moodlemlbackend.server.jobs.queue import Jobs
        from moodlemlbackend.server.pages.site.request_context import RequestContexts

        async def busy(*_: Any, **__: Any) -> Any:
            raise RequestError("The server has too much to do.", 503)

        def no_run(*_: Any, **__: Any) -> Any:
            raise RequestError("The server has too much to do.", 503)

        state = self.app.state
        state.scratch, state.loop = self.folder, asyncio.get_running_loop()
        state.jobs = Jobs(state.settings, state.metrics, state.authenticator.users)
        state.jobs.perform = busy
        state.request_contexts = RequestContexts(state.settings, state.analytics, state.authenticator.is_person)
        state.request_contexts.runs.start = no_run

    async def answer(self, data: bytes) -> bytes:
        """What the server sends to a client that sends this and then nothing more."""
        from moodlemlbackend.server.connections import Connection

        protocol = Connection(self.config, self.state, {}, asyncio.get_running_loop())
        transport = _Transport()
        protocol.connection_made(transport)
        if data:
            protocol.data_received(data)
        while self.state.tasks:
            if protocol.cycle is not None and protocol.cycle.more_body and not protocol.cycle.response_started:
                protocol.connection_lost(None)
            await asyncio.wait(list(self.state.tasks), timeout=0.01)
        if not transport.closed:
            protocol.connection_lost(None)
        return bytes(transport.sent)


@cache
def _application() -> Application:
    return Application()


@target
def http(data: bytes, _folder: Path) -> None:
    """Requests as they come from the network; words such as ``TEACHER_COOKIE`` stand for a login. Nothing fails."""

    application = _application()
    for word, value in application.words.items():
        data = data.replace(word, value)
    sent = _loop().run_until_complete(application.answer(data))
    faults, application.faults.seen = application.faults.seen, []
    assert not faults, faults
    assert b"Traceback" not in sent
    for code in re.findall(rb"^HTTP/1\.1 (\d+)", sent, re.MULTILINE):
        assert int(code) < 500 or code == b"503", sent[:2000]
    if sent and b"Invalid HTTP request" not in sent:
        assert b"x-content-type-options: nosniff" in sent.lower(), sent[:2000]
