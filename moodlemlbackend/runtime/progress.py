"""Who hears of an operation while it runs: a person at a terminal, another process, or nobody."""

from __future__ import annotations

import io
import os
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable

    from rich.progress import Progress, Task
    from rich.text import Text

    from moodlemlbackend.runtime.promise import Promise
    from moodlemlbackend.runtime.reply import Reply
    from moodlemlbackend.runtime.run import Run


READING = "Reading the data set"
WRITING = "Writing the report"


class Reporter(Protocol):
    """Hears of an operation while it runs; what it does with that never fails the operation."""

    def started(self, run: Run) -> None:
        """The operation's run has begun: its folder and log are known."""

    def promise(self, promise: Promise) -> None:
        """The operation is about to put a model in force."""

    def progress(self, stage: str, done: int, total: int) -> None:
        """So many steps of a stage, such as ``Training``, are done, of ``total``: 0 where nobody knows."""

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

    def close(self) -> None:
        """Leave the screen to others; more may come."""


class TerminalReporter(QuietReporter):
    """Shows a person at a terminal, by its descriptor, a bar for each stage and a line for each message."""

    def __init__(self, terminal: int, reply: Reply | None = None) -> None:
        super().__init__(reply)
        self._terminal = terminal
        self._stage = ""
        self._bar: Progress | None = None

    def started(self, run: Run) -> None:
        """Begin a new stage."""
        super().started(run)
        self.close()

    def progress(self, stage: str, done: int, total: int) -> None:
        """Move the bar of the stage; one for another stage takes its place below."""
        if stage != self._stage or self._bar is None:
            self.close()
            self._stage, self._bar = stage, self._new_bar()
            self._bar.add_task(stage, total=None, known=bool(total))
            self._bar.start()
        self._bar.update(self._bar.task_ids[0], completed=done, total=total or None)

    def message(self, text: str) -> None:
        """Write a line below what there is."""
        self.close()
        _Terminal(self._terminal).write(f"{text}\n")

    def close(self) -> None:
        """End the bar of the last stage, which stays."""
        if self._bar is not None:
            task = self._bar.tasks[0]
            if not task.total:
                self._bar.update(task.id, completed=task.completed or 1, total=task.completed or 1)
            self._bar.stop()
            self._bar = None

    def _new_bar(self) -> Progress:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
        from rich.text import Text

        class Share(TextColumn):
            """The percentage, where it is known how much there is to do."""

            def render(self, task: Task) -> Text:
                return Text(f"{task.percentage:3.0f}%" if task.fields["known"] else "")

        class Screen(Console):
            """A console whose cursor stays: a process that is killed could not show it again."""

            def show_cursor(self, show: bool = True) -> bool:  # noqa: ARG002
                return False

        terminal = Screen(file=_Terminal(self._terminal), highlight=False, markup=False)  # type: ignore[arg-type]
        columns = (TextColumn("{task.description}", markup=False), BarColumn(), Share(""), TimeElapsedColumn())
        return Progress(*columns, console=terminal, redirect_stdout=False, redirect_stderr=False)


class _Terminal(io.TextIOBase):
    """A terminal that may have gone: then what is written to it is lost."""

    encoding = getattr(sys.__stderr__, "encoding", None) or "utf-8"

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def write(self, text: str) -> int:
        """Write at once."""
        with suppress(OSError):
            os.write(self._descriptor, text.encode(self.encoding, "replace"))
        return len(text)

    def fileno(self) -> int:
        """The terminal's descriptor."""
        return self._descriptor

    def isatty(self) -> bool:
        """It is one."""
        return True


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
