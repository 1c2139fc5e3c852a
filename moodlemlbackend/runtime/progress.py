"""Who hears of an operation while it runs: a person at a terminal, another process, or nobody."""

from __future__ import annotations

import os
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable

    from moodlemlbackend.runtime.promise import Promise
    from moodlemlbackend.runtime.reply import Reply
    from moodlemlbackend.runtime.run import Run


class Reporter(Protocol):
    """Hears of an operation while it runs; what it does with that never fails the operation."""

    def started(self, run: Run) -> None:
        """The operation's run has begun: its folder and log are known."""

    def promise(self, promise: Promise) -> None:
        """The operation is about to put a model in force."""

    def progress(self, stage: str, done: int, total: int) -> None:
        """So many steps of a stage, such as ``Training``, are done."""

    def message(self, text: str) -> None:
        """Something worth a line has happened."""


class QuietReporter:
    """Keeps the run and shows nothing; leaves word of the run, and of what it promises, in a reply."""

    def __init__(self, reply: Reply | None = None) -> None:
        self.run: Run | None = None
        self._reply = reply

    def stage(self, name: str, **about: Any) -> None:
        """A run of many operations has come to a stage; ``about`` says which of several."""

    def started(self, run: Run) -> None:
        """Keep the run, and leave word of it."""
        self.run = run
        if self._reply is not None:
            self._reply.note_run(run)

    def promise(self, promise: Promise) -> None:
        """Leave word of it."""
        if self._reply is not None:
            self._reply.note_promise(promise)

    def progress(self, stage: str, done: int, total: int) -> None:
        """Show nothing."""

    def message(self, text: str) -> None:
        """Show nothing."""


class TerminalReporter(QuietReporter):
    """Writes a line for every message, and for every tenth of a stage, to a terminal's descriptor."""

    def __init__(self, terminal: int, reply: Reply | None = None) -> None:
        super().__init__(reply)
        self._terminal = terminal
        self._tenths: dict[str, int] = {}

    def started(self, run: Run) -> None:
        """Begin to count anew."""
        super().started(run)
        self._tenths.clear()

    def progress(self, stage: str, done: int, total: int) -> None:
        """Write a line when another tenth is done."""
        tenth = done * 10 // total
        if tenth > self._tenths.get(stage, 0):
            self._tenths[stage] = tenth
            self.message(f"{stage}: {tenth * 10} %")

    def message(self, text: str) -> None:
        """Write a line, if the terminal is still there."""
        with suppress(OSError):
            os.write(self._terminal, f"{text}\n".encode(errors="backslashreplace"))


def reporter_at(terminal: int | None, reply: Reply | None = None) -> QuietReporter:
    """A reporter to the person at a terminal, None where there is none."""
    return QuietReporter(reply) if terminal is None else TerminalReporter(terminal, reply)


_OF_PROCESS: list[QuietReporter] = []


def report_to(reporter: QuietReporter) -> None:
    """Have another reporter hear of this process's runs than the person at its terminal."""
    _OF_PROCESS[:] = [reporter]


def reporter_of_process() -> QuietReporter:
    """Who hears of this process's runs: the person at its standard error, if that is a terminal."""
    if not _OF_PROCESS:
        _OF_PROCESS.append(reporter_at(2 if os.isatty(2) else None))
    return _OF_PROCESS[0]


def stage(reporter: Reporter, name: str) -> Callable[[int, int], None]:
    """How the steps of a stage are reported, as processors do it: with those done and those in all."""
    return lambda done, total: reporter.progress(name, done, total)
