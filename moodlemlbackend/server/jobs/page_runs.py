"""Evaluations, backtests, trainings and predictions that were started from a page, each in a process of its own.

The process reads what to do from its standard input and writes a line of JSON for each thing that happens; it ends when
that input does, so that nothing outlives its server. What came of a run is in the store; here is what goes on, and how
the last run of each model ended, until the server stops.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import signal
import time
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from moodlemlbackend.errors import RequestError
from moodlemlbackend.interpreter import python_command
from moodlemlbackend.language.numbers import number
from moodlemlbackend.server.texts import say
from moodlemlbackend.storage.archives import MIB

if TYPE_CHECKING:
    from collections.abc import Callable

log = logging.getLogger("moodlemlbackend.server")

TASKS = ("evaluate", "backtest", "train", "predict")
STOP_SECONDS = 10.0
OF_PROCESSOR = ("training", "evaluation", "backtest")
"""Stages in which a processor works."""


@dataclass(eq=False)
class Step:
    """What a run does first, next, and so on: ``stage`` is that of :meth:`.RunResult.stage`, or ``site``.

    Attributes
    ----------
    interval, number, of
        which interval of how many an evaluation judges.
    done, total
        how far it has come, in courses or whatever the model's analysables are, or in trainings; ``total`` is 0 as long
        as nothing is known.
    element
        what was done last.
    phase
        what the processor is at: ``waits`` until it has started, ``reads``, ``learns`` or ``writes``; empty for stages
        without one.
    """

    stage: str
    interval: str = ""
    number: int = 0
    of: int = 0
    done: int = 0
    total: int = 0
    element: str = ""
    phase: str = ""
    began: float = field(default_factory=time.time)
    ended: float | None = None


@dataclass(eq=False)
class PageRun:
    """A run: ``state`` is waiting, running, stopping, done, failed or stopped.

    Attributes
    ----------
    steps
        what it has done and does, the last one now.
    info
        sentences on what it came to.
    cause
        says, in the reader's language, why it ended before it was done; None for any other end.
    figures
        what was counted.
    evaluations
        the intervals of an evaluation, the best first: ``interval``, ``score`` and ``past`` as in
        :class:`.run_result.Evaluated`.
    """

    task: str
    modelid: int
    userid: int
    options: dict[str, Any] = field(default_factory=dict)
    state: str = "waiting"
    steps: list[Step] = field(default_factory=list)
    info: list[str] = field(default_factory=list)
    cause: Callable[[], str] | None = None
    figures: dict[str, int] = field(default_factory=dict)
    evaluations: list[dict[str, Any]] = field(default_factory=list)
    began: float = field(default_factory=time.time)
    ended: float | None = None

    @property
    def active(self) -> bool:
        """Whether it has not ended."""
        return self.ended is None

    def end(self, state: str, *info: str, cause: Callable[[], str] | None = None) -> None:
        """Note how it ended, unless that is known."""
        if self.active:
            self.state, self.ended, self.cause = state, time.time(), cause
            self._end_step()
            self.info = [*self.info, *info]

    def begin(self, step: Step) -> None:
        """Note what it does now."""
        self._end_step()
        self.steps.append(step)

    def _end_step(self) -> None:
        if self.steps and self.steps[-1].ended is None:
            self.steps[-1].ended = time.time()


class PageRuns:
    """The runs of this server, made in its event loop; ``latest``, ``start`` and ``stop`` are for threads."""

    def __init__(self, at_once: int, time_limit: float) -> None:
        self._loop = asyncio.get_running_loop()
        self._places = asyncio.Semaphore(at_once)
        self._time_limit = time_limit
        self._latest: dict[int, PageRun] = {}
        self._tasks: dict[int, asyncio.Task[None]] = {}

    def latest(self, modelid: int) -> PageRun | None:
        """The last run of a model, None when there was none."""
        return self._latest.get(modelid)

    def start(self, run: PageRun) -> None:
        """Begin a run; RequestError of 409 when the model has one."""
        asyncio.run_coroutine_threadsafe(self._start(run), self._loop).result()

    def stop(self, modelid: int) -> None:
        """Have the run of a model end, if there is one: what is complete stays, the rest is as before."""
        self._loop.call_soon_threadsafe(self._stop, modelid)

    async def close(self) -> None:
        """End all runs."""
        for modelid in self._latest:
            self._stop(modelid)
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)

    async def _start(self, run: PageRun) -> None:
        latest = self._latest.get(run.modelid)
        if latest is not None and latest.active:
            raise RequestError(say("run there"), 409)
        self._latest[run.modelid] = run
        self._tasks[run.modelid] = asyncio.ensure_future(self._perform(run))

    def _stop(self, modelid: int) -> None:
        run = self._latest.get(modelid)
        if run is not None and run.active and run.state != "stopping":
            run.state = "stopping"
            self._tasks[modelid].cancel()

    async def _perform(self, run: PageRun) -> None:
        try:
            async with self._places:
                run.state = "running"
                run.begin(Step("site"))
                await asyncio.wait_for(_follow_process(run), self._time_limit)
        except asyncio.CancelledError:
            run.end("stopped", cause=lambda: say("run stopped"))
        except asyncio.TimeoutError:
            run.end("failed", cause=lambda: say("run too long", seconds=number(self._time_limit, "g")))
        except OSError as error:
            log.error("A run cannot be started", extra={"fault": type(error).__name__})
            run.end("failed", cause=lambda: say("run ended"))
        log.info("Run", extra={"task": run.task, "model": run.modelid, "user": run.userid, "result": run.state,
                               "seconds": round((run.ended or 0.0) - run.began, 3)})  # fmt: skip


async def _follow_process(run: PageRun) -> None:
    """Have a process do the work, and follow it."""
    process = await asyncio.create_subprocess_exec(
        *python_command("moodlemlbackend.server.jobs.run_worker"),
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL,
        start_new_session=True, limit=MIB,
    )  # fmt: skip
    assert process.stdin is not None
    assert process.stdout is not None
    order = {"task": run.task, "modelid": run.modelid, "userid": run.userid, **run.options}
    try:
        process.stdin.write(json.dumps(order).encode() + b"\n")
        with suppress(ConnectionError):
            await process.stdin.drain()
        async for line in process.stdout:
            _apply_event(run, line)
        await process.wait()
    finally:
        await _end_process(process)
    run.end("failed", cause=lambda: say("run ended"))


def _apply_event(run: PageRun, line: bytes) -> None:
    """Take in an event of the process; other output, of a library for instance, is none."""
    try:
        facts = json.loads(line)
        event = facts["event"]
    except (ValueError, KeyError, TypeError):
        return
    if event == "stage":
        which = {name: facts[name] for name in ("interval", "number", "of") if name in facts}
        run.begin(Step(facts["stage"], phase="waits" if facts["stage"] in OF_PROCESSOR else "", **which))
    elif event == "phase":
        run.steps[-1].phase = facts["phase"]
    elif event == "progress":
        step = run.steps[-1]
        step.done, step.total, step.element = facts["done"], facts["total"], facts["name"]
        step.phase = step.phase and "learns"
    elif event == "done":
        run.figures, run.evaluations = facts["figures"], facts["evaluations"]
        run.end("failed" if facts["failed"] else "done", *facts["info"])
    elif event == "refused":
        run.end("failed", facts["sentence"])
    elif event == "fault":
        log.error("A run failed", extra={"task": run.task, "model": run.modelid, "fault": facts["fault"]})
        run.end("failed", cause=lambda: say("run fault"))


async def _end_process(process: asyncio.subprocess.Process) -> None:
    """End what is left of the process and of those that it started."""
    for signum in (signal.SIGTERM, signal.SIGKILL):
        if process.returncode is not None:
            return
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signum)
        with suppress(asyncio.TimeoutError):
            await asyncio.wait_for(process.wait(), STOP_SECONDS)
