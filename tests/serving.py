"""A server as an administrator starts it, on a loopback port, and Moodle's calls to it."""

from __future__ import annotations

import base64
import hashlib
import json
import queue
import signal
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from helpers import MODELID, QUICK, environment

httpx = pytest.importorskip("httpx", reason="needs httpx")
for package in ("fastapi", "jinja2", "prometheus_client", "python_multipart", "uvicorn"):
    pytest.importorskip(package, reason=f"needs {package}, of the extra server")

LOGIN = ("moodle", "correct horse")
USERS = "moodle:correct horse,other:sha256:salt:" + hashlib.sha256(b"saltbattery").hexdigest()
OTHER = ("other", "battery")
HASH = hashlib.md5(b"/moodledata/models/1/1795364037/execution").hexdigest()
EVALUATION = hashlib.md5(b"/moodledata/models/1/1795364037/evaluation/quarters").hexdigest()
START_SECONDS = 120


class Server:
    """A server process; ``log`` are its records so far."""

    def __init__(self, folder: Path, *arguments: str, **settings: str) -> None:
        self.base = folder / "models"
        self.scratch = folder / "scratch"
        self.scratch.mkdir(parents=True, exist_ok=True)
        given = {"DIRECTORY": str(self.base), "USERS": USERS, "SCRATCH": str(self.scratch), "PORT": "0"}
        given |= {"TRAINING_WORKERS": "1", "PREDICTION_WORKERS": "1"} | settings
        own = ("MOODLEMLBACKEND_", "AWS_", "TMPDIR")
        variables = {f"MOODLEMLBACKEND_SERVER_{name}": given[name] for name in given if not name.startswith(own)}
        variables |= {name: value for name, value in settings.items() if name.startswith(own)}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "moodlemlbackend", "serve", *arguments],
            env=environment(**{**QUICK, **variables}),
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            encoding="utf-8",
        )
        self.log: list[dict[str, Any]] = []
        self._clients: list[Any] = []
        self._lines: queue.Queue[dict[str, Any]] = queue.Queue()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        self.url = f"http://127.0.0.1:{self.record('Listening')['port']}"

    def _read(self) -> None:
        assert self.process.stderr is not None
        with self.process.stderr as lines:
            for line in lines:
                record = json.loads(line)
                self.log.append(record)
                self._lines.put(record)

    def record(self, event: str, **facts: Any) -> dict[str, Any]:
        """The next record of this event."""
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            try:
                found = self._lines.get(timeout=0.2)
            except queue.Empty:
                assert self.process.poll() is None, self.log
                continue
            if found["event"] == event and facts.items() <= found.items():
                return found
        raise AssertionError(f"no record {event}: {self.log}")

    def wait_ready(self) -> Server:
        wait_for(lambda: httpx.get(f"{self.url}/health/ready").status_code == 200, START_SECONDS)
        return self

    def worker(self, pool: str = "training") -> int:
        """Number of the last process of this pool that came up."""
        pids = [one["worker"] for one in list(self.log) if one["event"] == "Worker ready" and one["pool"] == pool]
        return int(pids[-1])

    def client(self, login: tuple[str, str] | None = LOGIN, timeout: float = 120) -> Any:
        """A client, closed with the server if not before."""
        client = httpx.Client(base_url=self.url, auth=login, timeout=timeout)
        self._clients.append(client)
        return client

    def metrics(self) -> str:
        with self.client() as client:
            return str(client.get("/metrics").text)

    def stop(self, number: int = signal.SIGTERM, timeout: float = 60) -> int:
        if self.process.poll() is None:
            self.process.send_signal(number)
        return self.process.wait(timeout)

    def end(self) -> None:
        """Kill what is left; the workers end with their server."""
        for client in self._clients:
            client.close()
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(10)
        self._reader.join(10)


@contextmanager
def served(folder: Path, *arguments: str, **settings: str):
    server = Server(folder, *arguments, **settings)
    try:
        yield server.wait_ready()
    finally:
        server.end()


def wait_for(true, seconds: float = 30.0) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, "waited too long"
        time.sleep(0.02)


# ---- Moodle's calls ----


def send(client: Any, kind: str, file: Path | bytes | None = None, name: str = "dataset", **fields: str) -> Any:
    """Send a form as Moodle does: every field, and the file."""
    content = file.read_bytes() if isinstance(file, Path) else file
    parts: dict[str, Any] = {key: (None, value) for key, value in fields.items()}
    if content is not None:
        parts[name] = ("1795365967.3031.csv", content, "application/octet-stream")
    return client.post(f"/{kind}", files=parts)


def train(client: Any, file: Path | bytes, uniqueid: str = MODELID, dirhash: str = HASH) -> Any:
    return send(client, "training", file, uniqueid=uniqueid, dirhash=dirhash)


def predict(client: Any, file: Path | bytes, uniqueid: str = MODELID, dirhash: str = HASH) -> Any:
    return send(client, "prediction", file, uniqueid=uniqueid, dirhash=dirhash)


def evaluate(client: Any, file: Path | bytes, iterations: int = 2, uniqueid: str = MODELID, **more: str) -> Any:
    return send(
        client, "evaluation", file,
        uniqueid=uniqueid, minscore="0.7", maxdeviation="0.05", niterations=str(iterations),
        **{"dirhash": EVALUATION, **more},
    )  # fmt: skip


def sentence(answer: Any, code: int) -> str:
    """The one sentence of an answer that is not 200: plain, with no path of the server and no trace of its code."""
    assert answer.status_code == code, answer.text
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"
    text: str = answer.text
    assert text.endswith(".")
    assert "\n" not in text
    assert len(text) < 300
    for secret in ("Traceback", "/tmp", "site-packages", str(Path.cwd()), str(Path(__file__).parents[1])):
        assert secret not in text
    return text


def basic(user: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()
