"""What one server carries: ``python benchmarks/server.py [--minutes M] [--quick]``.

Starts ``moodlemlbackend serve`` on a free loopback port with a trained model and measures

* trainings of a warm worker, beside the command;
* what takes no work, version and health, while every worker for trainings is busy;
* 200 predictions of 1,000 rows that all come at once: requests a second, seconds, none lost. The reference takes 3.5 s
  a prediction as a command, one after the other on each core;
* with ``--minutes``, a mixed load for so long: predictions, trainings, evaluations, exports and pages, and the memory
  of the server and its workers over time (proportional set size, so that shared pages count once).

Clients and server share the machine, so that a server of its own carries more.
"""

from __future__ import annotations

import argparse
import asyncio
import gzip
import hashlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import contextmanager
from pathlib import Path

import httpx
from data import SPLIT_EVALUATION, SPLIT_EVALUATION_ASKED, TEST_366

from moodlemlbackend.simulation.courses import write_demo

ROOT = Path(__file__).resolve().parents[1]
AT_ONCE, ROWS = 200, 1_000
REFERENCE_SECONDS = 3.5
MODEL, HASH = "benchmark", hashlib.md5(b"execution", usedforsecurity=False).hexdigest()
LOGIN = ("moodle", "benchmark")
WARM_TRAININGS = 3
BOUNDARY = "benchmark"
SAMPLE_SECONDS = 15.0


def data_files(folder: Path, *, quick: bool) -> tuple[bytes, bytes]:
    """Labelled rows, and 1,000 unlabelled ones of the same columns: real ones where they are, else simulated."""
    if SPLIT_EVALUATION.is_file() and SPLIT_EVALUATION_ASKED.is_file() and not quick:
        labelled = gzip.decompress(SPLIT_EVALUATION.read_bytes())
        asked = gzip.decompress(SPLIT_EVALUATION_ASKED.read_bytes())
    else:
        demo = write_demo(folder / "demo", courses=4 if quick else 60, students=20)
        labelled, asked = demo.training.read_bytes(), demo.prediction.read_bytes()
    lines = asked.splitlines(keepends=True)
    rows = [line.partition(b",") for line in lines[3:]]
    many = [b"%d-0,%s" % (number, rows[number % len(rows)][2]) for number in range(ROWS)]
    return labelled, b"".join([*lines[:3], *many])


def form(file: bytes, **fields: str) -> dict[str, object]:
    """A body as Moodle sends it, made once."""
    parts = [
        f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'.encode()
        for name, value in fields.items()
    ]
    head = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="dataset"; filename="data.csv"\r\n\r\n'.encode()
    body = b"".join([*parts, head, file, f"\r\n--{BOUNDARY}--\r\n".encode()])
    return {"content": body, "headers": {"Content-Type": f"multipart/form-data; boundary={BOUNDARY}"}}


@contextmanager
def serving(folder: Path):
    """A server process; gives its number and address."""
    env = {**os.environ, "MOODLEMLBACKEND_SERVER_USERS": ":".join(LOGIN), "TMPDIR": str(folder)}
    command = [sys.executable, "-m", "moodlemlbackend", "serve", "--directory", str(folder / "models"), "--port", "0"]
    with (folder / "log").open("w+b") as log:
        server = subprocess.Popen(command, env=env, cwd=ROOT, stderr=log, stdin=subprocess.DEVNULL)
        try:
            url = None
            while url is None:
                time.sleep(0.1)
                assert server.poll() is None, (folder / "log").read_text()
                for line in (folder / "log").read_text().splitlines():
                    record = json.loads(line)
                    url = f"http://127.0.0.1:{record['port']}" if record["event"] == "Listening" else url
            while httpx.get(f"{url}/health/ready").status_code != 200:
                time.sleep(0.2)
            yield server.pid, url
        finally:
            server.terminate()
            server.wait(60)


def memory(server: int) -> float:
    """MiB of the server and its workers."""
    tasks = Path(f"/proc/{server}/task")
    children = {int(child) for task in tasks.iterdir() for child in (task / "children").read_text().split()}
    total = 0
    for process in (server, *children):
        try:
            lines = Path(f"/proc/{process}/smaps_rollup").read_text().splitlines()
        except OSError:
            continue
        total += sum(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
    return total / 1024


def table(title: str, rows: dict[str, str]) -> None:
    print(f"\n{title}\n\n| | |\n|---|---|")
    for name, value in rows.items():
        print(f"| {name} | {value} |")


def warm_trainings(client: httpx.Client, labelled: bytes, folder: Path, trainings: int) -> None:
    """Seconds of trainings in a warm worker, and of the command."""
    seconds = []
    for number in range(trainings):
        began = time.perf_counter()
        answer = client.post("/training", **form(labelled, uniqueid=f"warm{number}", dirhash=HASH))
        seconds.append(time.perf_counter() - began)
        assert answer.json()["status"] == 0, answer.text
    (folder / "labelled").write_bytes(labelled)
    command = [sys.executable, "-m", "moodlemlbackend.training", "cold", str(folder / "cold"), str(folder / "labelled")]
    began = time.perf_counter()
    subprocess.run(command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, check=True)
    cold = time.perf_counter() - began
    median = statistics.median(seconds)
    rows = {"warm worker, seconds": f"{median:.2f}", "command, seconds": f"{cold:.2f}"}
    table("Training", {**rows, "saved": f"{cold - median:.2f}"})


async def light(url: str, labelled: bytes, iterations: int) -> None:
    """Milliseconds of the calls that take no work, beside evaluations in every worker for trainings."""
    seconds: dict[str, list[float]] = {path: [] for path in ("/version", "/health/live", "/health/ready")}
    judged = {"minscore": "0.7", "maxdeviation": "0.05", "niterations": str(iterations)}
    workers = range(max(1, (os.cpu_count() or 1) // 2))
    async with httpx.AsyncClient(base_url=url, auth=LOGIN, timeout=600) as client:
        body = [form(labelled, uniqueid=f"busy{number}", dirhash=HASH, **judged) for number in workers]
        busy = [asyncio.ensure_future(client.post("/evaluation", **request)) for request in body]
        await asyncio.sleep(0.1)
        while not (all(seconds.values()) and any(task.done() for task in busy)):
            for path, took in seconds.items():
                began = time.perf_counter()
                answer = await client.get(path)
                took.append(time.perf_counter() - began)
                assert answer.status_code == 200, answer.text
            await asyncio.sleep(0.02)
        for answer in await asyncio.gather(*busy):
            assert answer.status_code == 200, answer.text
    rows = {}
    for path, took in seconds.items():
        took.sort()
        figures = (statistics.median(took), took[int(0.95 * (len(took) - 1))], took[-1])
        rows[f"{path}, {len(took)} times"] = " / ".join(f"{1000 * figure:.1f}" for figure in figures)
    table("While every worker trains: median / 95th percentile / longest, milliseconds", rows)


async def at_once(url: str, asked: bytes, count: int) -> None:
    """All predictions at the same time, a connection each."""
    limits = httpx.Limits(max_connections=count, max_keepalive_connections=0)
    body = form(asked, uniqueid=MODEL, dirhash=HASH)
    async with httpx.AsyncClient(base_url=url, auth=LOGIN, timeout=600, limits=limits) as client:

        async def timed() -> tuple[bool, float]:
            began = time.perf_counter()
            try:
                answer = await client.post("/prediction", **body)
                right = answer.status_code == 200 and len(answer.json()["predictions"]) == ROWS
            except (httpx.HTTPError, KeyError, ValueError):
                right = False
            return right, time.perf_counter() - began

        await timed()
        began = time.perf_counter()
        results = await asyncio.gather(*(timed() for _ in range(count)))
        took = time.perf_counter() - began
    seconds = sorted(second for _, second in results)
    cores = os.cpu_count() or 1
    table(
        f"{count} simultaneous predictions of {ROWS:,} rows",
        {
            "lost": str(sum(not right for right, _ in results)),
            "requests a second": f"{count / took:.1f}",
            "median, seconds": f"{statistics.median(seconds):.2f}",
            "95th percentile, seconds": f"{seconds[int(0.95 * (count - 1))]:.2f}",
            "all, seconds": f"{took:.2f}",
            "the reference's commands, requests a second": f"{cores / REFERENCE_SECONDS:.1f}",
            "the reference's commands, all, seconds": f"{count * REFERENCE_SECONDS / cores:.0f}",
        },
    )


async def mixed(url: str, server: int, labelled: bytes, asked: bytes, minutes: float) -> None:
    """Everything at once for some minutes; prints memory as it goes."""
    end = time.monotonic() + 60 * minutes
    counts: Counter[str] = Counter()
    where = {"uniqueid": MODEL, "dirhash": HASH}
    judged = {"minscore": "0.7", "maxdeviation": "0.05", "niterations": "2"}
    prediction, number = form(asked, **where), 0

    async with httpx.AsyncClient(base_url=url, auth=LOGIN, timeout=600) as client:

        async def train() -> httpx.Response:
            nonlocal number
            number += 1
            await client.post("/deletemodel", data={"uniqueid": f"mixed{number - 2}"})
            return await client.post("/training", **form(labelled, uniqueid=f"mixed{number}", dirhash=HASH))

        work: dict[str, Callable[[], Awaitable[httpx.Response]]] = {
            "prediction": lambda: client.post("/prediction", **prediction),
            "another prediction": lambda: client.post("/prediction", **prediction),
            "training": train,
            "evaluation": lambda: client.post(
                "/evaluation", **form(labelled, uniqueid="judged", dirhash=HASH, **judged)
            ),
            "export": lambda: client.get("/export", params=where),
            "page": lambda: client.get("/"),
        }

        async def repeat(name: str, once: Callable[[], Awaitable[httpx.Response]]) -> None:
            while time.monotonic() < end:
                try:
                    answer = await once()
                    counts[f"{name}: {answer.status_code}"] += 1
                except httpx.HTTPError as error:
                    counts[f"{name}: {type(error).__name__}"] += 1
                await asyncio.sleep(0.05)

        async def watch() -> None:
            print("\nMemory under mixed load\n\n| minutes | MiB | requests |\n|---|---|---|")
            began = time.monotonic()
            while time.monotonic() < end:
                await asyncio.sleep(min(SAMPLE_SECONDS, 60 * minutes / 4))
                passed = (time.monotonic() - began) / 60
                print(f"| {passed:.2f} | {memory(server):.0f} | {sum(counts.values())} |", flush=True)

        await asyncio.gather(watch(), *(repeat(name, once) for name, once in work.items()))
    table("Requests by status", {name: str(count) for name, count in sorted(counts.items())})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--minutes", type=float, default=0.0, help="of mixed load; none unless given")
    parser.add_argument("--quick", action="store_true", help="a few generated rows, to see that it works")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as name:
        folder = Path(name)
        labelled, asked = data_files(folder, quick=options.quick)
        print(f"{len(labelled.splitlines()) - 3:,} labelled rows")
        print(f"load of the machine at the start: {os.getloadavg()[0]:.2f}")
        with serving(folder) as (server, url), httpx.Client(base_url=url, auth=LOGIN, timeout=600) as client:
            small = gzip.decompress(TEST_366.read_bytes()) if TEST_366.is_file() and not options.quick else labelled
            warm_trainings(client, small, folder, 1 if options.quick else WARM_TRAININGS)
            answer = client.post("/training", **form(labelled, uniqueid=MODEL, dirhash=HASH))
            assert answer.json()["status"] == 0, answer.text
            asyncio.run(light(url, small, 3 if options.quick else 100))
            asyncio.run(at_once(url, asked, 20 if options.quick else AT_ONCE))
            if options.minutes:
                asyncio.run(mixed(url, server, small, asked, options.minutes))


if __name__ == "__main__":
    main()
