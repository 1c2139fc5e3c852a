"""The queue: how much is let in, in which order it is worked on, and how it ends early.

A request takes a place in its queue before its upload is read, so that what cannot be worked on is refused at once and
takes neither disk nor memory. Trainings, imports and deletions of one model follow each other.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from moodlemlbackend.errors import RequestError
from moodlemlbackend.server import limits
from moodlemlbackend.server.jobs.job import WorkerSettings
from moodlemlbackend.server.jobs.pool import Pool

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from moodlemlbackend.server.jobs.job import Job, Parts, WorkerReply
    from moodlemlbackend.server.metrics import Metrics
    from moodlemlbackend.settings.server import ServerSettings

log = logging.getLogger("moodlemlbackend.server")

QUEUE_OF_KIND = {
    "training": "training",
    "evaluation": "training",
    "prediction": "prediction",
    "evaluationlog": "prediction",
    "export": "prediction",
    "import": "prediction",
    "deletemodel": "prediction",
}
"""Kinds of jobs, and the workers that do them."""

ALONE = frozenset({"training", "import", "deletemodel"})
"""Kinds of which one model has only one at a time."""

STATES = ("uploading", "waiting", "running")
"""Of a request that has been let in."""

_STOPPING = "The server is being stopped; try again in a minute."


@dataclass(eq=False)
class Ticket:
    """One request's place in a queue; ``state`` is one of :data:`STATES`."""

    kind: str
    user: str
    name: str
    began: float = field(default_factory=time.monotonic)
    state: str = "uploading"
    ended: asyncio.Event = field(default_factory=asyncio.Event)


class WorkQueue:
    """The requests for one pool of workers."""

    def __init__(self, pool: Pool, waiting: int) -> None:
        self.pool = pool
        self.most = pool.size + waiting
        self.most_of_user = -(-self.most // 2)
        self.tickets: list[Ticket] = []

    def count(self, state: str) -> int:
        """How many requests are in this state."""
        return sum(ticket.state == state for ticket in self.tickets)


class Jobs:
    """All work of one server process; of several users none takes more than half of the places."""

    def __init__(self, settings: ServerSettings, metrics: Metrics, users: int = 1) -> None:
        self.users = users
        self._settings = settings
        self._metrics = metrics
        self._threads = ThreadPoolExecutor(2 * (settings.training_workers + settings.prediction_workers) + 2, "worker")
        self._alone: dict[Parts, list[asyncio.Lock | int]] = {}
        self.stopping = False
        self.queues = {
            "training": self._make_queue("training", settings.training_workers, settings.waiting_trainings),
            "prediction": self._make_queue("prediction", settings.prediction_workers, settings.waiting_predictions),
        }

    def _make_queue(self, name: str, size: int, waiting: int) -> WorkQueue:
        trains = name == "training"
        pool = Pool(
            name,
            size,
            WorkerSettings(self._settings.directory, self._settings.limits, trains),
            self._threads,
            jobs_a_worker=limits.JOBS_A_TRAINING_WORKER if trains else limits.JOBS_A_PREDICTION_WORKER,
            replaced=lambda reason: self._metrics.replaced.labels(name, reason).inc(),
        )
        return WorkQueue(pool, waiting)

    @property
    def ready(self) -> bool:
        """Whether every kind of work has a worker, and more is taken."""
        return not self.stopping and all(queue.pool.ready for queue in self.queues.values())

    def start(self) -> None:
        """Start the workers."""
        for queue in self.queues.values():
            queue.pool.start()

    def count_requests(self) -> None:
        """Bring the metrics of what goes on up to date."""
        for queue in self.queues.values():
            self._metrics.show_pool(queue.pool.name, queue.pool.ready, {state: queue.count(state) for state in STATES})

    async def stop(self) -> None:
        """Take nothing more and refuse what waits; let go on what runs, for ``stop_wait`` seconds."""
        self.stopping = True
        for ticket in self._tickets():
            if ticket.state != "running":
                ticket.ended.set()
        deadline = time.monotonic() + self._settings.stop_wait
        while self._tickets() and time.monotonic() < deadline:
            await asyncio.sleep(0.05)
        for ticket in self._tickets():
            ticket.ended.set()

    async def close(self) -> None:
        """End all workers."""
        await asyncio.gather(*(queue.pool.close() for queue in self.queues.values()))
        self._threads.shutdown(wait=False)

    @contextmanager
    def admit(self, kind: str, user: str, name: str = "") -> Iterator[Ticket]:
        """Take a place for a request; RequestError (503) when there is none."""
        queue = self.queues[QUEUE_OF_KIND[kind]]
        if self.stopping:
            raise RequestError(_STOPPING, 503, retry_after=limits.RETRY_SECONDS)
        if len(queue.tickets) >= queue.most:
            self._metrics.jobs.labels(kind, "refused").inc()
            raise RequestError(
                f"The server has too much to do: {queue.count('running')} running and "
                f"{len(queue.tickets) - queue.count('running')} waiting; try again later.",
                503,
                retry_after=limits.RETRY_SECONDS,
            )
        of_user = sum(ticket.user == user for ticket in queue.tickets)
        if self.users > 1 and of_user >= queue.most_of_user:
            self._metrics.jobs.labels(kind, "refused").inc()
            raise RequestError(
                f"{of_user} requests from this user are running or waiting, which is half of what the server accepts; "
                "try again later.",
                503,
                retry_after=limits.RETRY_SECONDS,
            )
        ticket = Ticket(kind, user, name)
        queue.tickets.append(ticket)
        try:
            yield ticket
        finally:
            queue.tickets.remove(ticket)

    async def perform(self, ticket: Ticket, job: Job, gone: Callable[[], Awaitable[None]]) -> WorkerReply:
        """Have a job done; ``gone`` returns when the client has.

        Raises
        ------
        RequestError
            503 when the server stops, 499 when the client has gone, and those of :meth:`.pool.Pool.perform`.
        """
        ticket.state, ticket.name, ticket.began = "waiting", job.uniqueid, time.monotonic()
        work = asyncio.ensure_future(self._work(ticket, job))
        left = asyncio.ensure_future(gone())
        ended = asyncio.ensure_future(ticket.ended.wait())
        try:
            await asyncio.wait({work, left, ended}, return_when=asyncio.FIRST_COMPLETED)
            if not work.done() and not ended.done() and ticket.state == "running":
                await asyncio.wait({work, ended}, timeout=limits.ABANDON_SECONDS, return_when=asyncio.FIRST_COMPLETED)
            if work.done():
                return self._count(job, work)
            self._metrics.jobs.labels(job.kind, "abandoned").inc()
            if ended.done():
                raise RequestError(_STOPPING, 503, retry_after=limits.RETRY_SECONDS)
            raise RequestError("The client has disconnected.", 499)
        finally:
            for task in (work, left, ended):
                task.cancel()
            await asyncio.wait({work, left, ended})

    def _count(self, job: Job, work: asyncio.Future[WorkerReply]) -> WorkerReply:
        try:
            reply = work.result()
        except RequestError as error:
            self._metrics.jobs.labels(job.kind, "timeout" if error.code == 504 else "crash").inc()
            raise
        result = "ok" if reply.code == 200 and reply.status & 3 == 0 else "error"
        self._metrics.jobs.labels(job.kind, result).inc()
        self._metrics.rows.labels(job.kind).inc(reply.rows)
        return reply

    async def _work(self, ticket: Ticket, job: Job) -> WorkerReply:
        pool = self.queues[QUEUE_OF_KIND[job.kind]].pool
        if job.kind in ALONE:
            async with self._only((*job.owner, job.uniqueid)):
                return await self._in_pool(pool, ticket, job)
        return await self._in_pool(pool, ticket, job)

    async def _in_pool(self, pool: Pool, ticket: Ticket, job: Job) -> WorkerReply:
        began = 0.0

        def begin() -> None:
            nonlocal began
            began = time.monotonic()
            self._metrics.waited.labels(pool.name).observe(began - ticket.began)
            ticket.state, ticket.began = "running", began

        try:
            return await pool.perform(job, self._settings.time_limit, begin)
        finally:
            if began:
                self._metrics.seconds.labels(job.kind).observe(time.monotonic() - began)

    @asynccontextmanager
    async def _only(self, name: Parts) -> AsyncIterator[None]:
        """Keep others that change this model waiting, in their order."""
        entry = self._alone.setdefault(name, [asyncio.Lock(), 0])
        lock = entry[0]
        assert isinstance(lock, asyncio.Lock)
        entry[1] += 1  # type: ignore[operator]
        try:
            async with lock:
                yield
        finally:
            entry[1] -= 1  # type: ignore[operator]
            if not entry[1]:
                self._alone.pop(name, None)

    def _tickets(self) -> list[Ticket]:
        return [ticket for queue in self.queues.values() for ticket in queue.tickets]
