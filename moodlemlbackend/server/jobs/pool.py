"""Worker processes, as the server sees them: taken for one job at a time, killed and replaced when need be."""

from __future__ import annotations

import asyncio
import logging
import multiprocessing
from contextlib import suppress
from typing import TYPE_CHECKING, Any, TypeVar

from moodlemlbackend.errors import RequestError
from moodlemlbackend.runtime.promise import Promise
from moodlemlbackend.runtime.reply import encode
from moodlemlbackend.runtime.supervisor import describe_end
from moodlemlbackend.server.jobs import worker as child
from moodlemlbackend.server.jobs.job import JSON, WorkerReply

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from concurrent.futures import Executor

    from moodlemlbackend.server.jobs.job import Job, WorkerSettings

log = logging.getLogger("moodlemlbackend.server")

START_SECONDS = 120.0
"""For a worker to load its libraries."""
FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 1.0, 30.0
"""Before another worker is started after one that did not come up."""

T = TypeVar("T")

_SPAWN = multiprocessing.get_context("spawn")


class WorkerEndedError(Exception):
    """A worker ended before it had an answer; ``code`` is its exit code, negative for a signal."""

    def __init__(self, code: int | None) -> None:
        super().__init__(code)
        self.code = code


class WorkerProcess:
    """One process; its methods block, but for :meth:`kill`, and belong into threads."""

    def __init__(self, name: str, settings: WorkerSettings) -> None:
        self._connection, theirs = _SPAWN.Pipe()
        self._process = _SPAWN.Process(target=child.main, args=(theirs, settings), name=name, daemon=True)
        self._process.start()
        theirs.close()
        self.jobs = 0
        self._promise: Promise | None = None
        if not self._connection.poll(START_SECONDS):
            self.kill()
        self._receive()

    @property
    def pid(self) -> int | None:
        """Number of the process."""
        return self._process.pid

    @property
    def alive(self) -> bool:
        """Whether the process is there; does not block."""
        return self._process.is_alive()

    def perform(self, job: Job) -> WorkerReply:
        """Have a job done; WorkerEndedError when the process ends over it."""
        self.jobs += 1
        self._promise = None
        with suppress(OSError):
            self._connection.send(job)
        while isinstance(answer := self._receive(), Promise):
            self._promise = answer
        reply: WorkerReply = answer
        return reply

    def kept(self, end: str) -> WorkerReply | None:
        """The reply to a job over which the process ended, where its model is in force all the same."""
        result = self._promise and self._promise.kept(end)
        if isinstance(result, dict):
            return WorkerReply(200, encode(result), JSON)
        return WorkerReply(200, encode(result)) if result else None

    def kill(self) -> None:
        """End the process at once; whoever waits for its answer is told."""
        self._process.kill()

    def close(self) -> None:
        """End the process and forget it."""
        self._process.kill()
        self._process.join(10)
        self._connection.close()

    def _receive(self) -> Any:
        try:
            return self._connection.recv()
        except (EOFError, OSError):
            self._process.join(10)
            raise WorkerEndedError(self._process.exitcode) from None


class Pool:
    """A number of equal workers; jobs get one in the order in which they ask."""

    def __init__(
        self,
        name: str,
        size: int,
        settings: WorkerSettings,
        threads: Executor,
        *,
        jobs_a_worker: int,
        replaced: Callable[[str], None] = lambda _: None,
    ) -> None:
        self.name = name
        self.size = size
        self._settings = settings
        self._threads = threads
        self._jobs_a_worker = jobs_a_worker
        self._replaced = replaced
        self._idle: asyncio.Queue[WorkerProcess] = asyncio.Queue()
        self._workers: set[WorkerProcess] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._closed = False

    @property
    def ready(self) -> int:
        """How many workers are up, busy or not."""
        return len(self._workers)

    def start(self) -> None:
        """Start the workers in the background."""
        for _ in range(self.size):
            self._in_background(self._add())

    async def close(self) -> None:
        """Kill all workers."""
        self._closed = True
        for worker in list(self._workers):
            worker.kill()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=10)  # one that is starting joins the others first
        await asyncio.gather(*(self._run(worker.close) for worker in list(self._workers)))
        self._workers.clear()

    async def perform(self, job: Job, limit: float, began: Callable[[], None]) -> WorkerReply:
        """Have a job done; ``began`` is called when a worker takes it. Cancelling kills the worker.

        Raises
        ------
        RequestError
            504 when it took longer than ``limit`` seconds, 500 when the worker ended over it.
        """
        worker = await self._idle.get()
        while not worker.alive:
            self._replace(worker, None, "crash")
            worker = await self._idle.get()
        began()
        done = asyncio.ensure_future(self._run(worker.perform, job))
        try:
            reply: WorkerReply = await asyncio.wait_for(asyncio.shield(done), limit)
        except asyncio.TimeoutError:
            self._replace(worker, done, "time limit")
            await asyncio.wait({done})
            text = (
                f"The {job.kind} took longer than {limit:g} seconds and was stopped; "
                "the server's administrator can raise time_limit."
            )
            if kept := worker.kept(text):
                return kept
            raise RequestError(text, 504) from None
        except WorkerEndedError as error:
            self._replace(worker, None, "crash")
            text = describe_end(f"the {job.kind}", error.code)
            if kept := worker.kept(text):
                return kept
            raise RequestError(text, 500) from None
        except BaseException:
            self._replace(worker, done, "cancelled")
            raise
        if worker.jobs >= self._jobs_a_worker:
            self._replace(worker, None, "retired")
        else:
            self._idle.put_nowait(worker)
        return reply

    def _replace(self, worker: WorkerProcess, done: asyncio.Future[WorkerReply] | None, reason: str) -> None:
        worker.kill()
        self._workers.discard(worker)
        self._replaced(reason)
        log.info("Worker replaced", extra={"pool": self.name, "worker": worker.pid, "reason": reason})
        self._in_background(self._renew(worker, done))

    async def _renew(self, worker: WorkerProcess, done: asyncio.Future[WorkerReply] | None) -> None:
        if done is not None:
            await asyncio.wait({done})
            done.exception()
        await self._run(worker.close)
        await self._add()

    async def _add(self) -> None:
        """Start a worker, again and again until one is up."""
        pause = FIRST_PAUSE_SECONDS
        while not self._closed:
            try:
                worker = await self._run(WorkerProcess, f"moodlemlbackend-{self.name}", self._settings)
            except (WorkerEndedError, OSError) as error:
                code = error.code if isinstance(error, WorkerEndedError) else error.strerror
                log.error("Worker did not start", extra={"pool": self.name, "code": code})
                await asyncio.sleep(pause)
                pause = min(2 * pause, LONGEST_PAUSE_SECONDS)
                continue
            self._workers.add(worker)
            self._idle.put_nowait(worker)
            log.info("Worker ready", extra={"pool": self.name, "worker": worker.pid})
            return

    def _in_background(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _run(self, function: Callable[..., T], *arguments: Any) -> asyncio.Future[T]:
        return asyncio.get_running_loop().run_in_executor(self._threads, function, *arguments)
