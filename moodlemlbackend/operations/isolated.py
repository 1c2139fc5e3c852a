"""An operation in a process of its own, which takes TensorFlow, its memory and whatever may go wrong there with it.

::

    caller  reports what it hears, returns the result
      │ starts            ▲ lines of JSON, through a pipe that nothing else writes to
      └── child  a fresh interpreter, runs the operation

What libraries print in the child goes to the run's log. When the caller ends, so does the child: its input closes.
"""

from __future__ import annotations

import _thread
import faulthandler
import importlib
import json
import os
import subprocess
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, Concatenate, NoReturn, ParamSpec

from moodlemlbackend.files import explain, write_all
from moodlemlbackend.interpreter import python_code
from moodlemlbackend.runtime.captured_output import log_library_output, redirect_to
from moodlemlbackend.runtime.environment import set_library_defaults
from moodlemlbackend.runtime.progress import QuietReporter
from moodlemlbackend.runtime.promise import Promise
from moodlemlbackend.runtime.reply import Reply, scratch_descriptor
from moodlemlbackend.runtime.supervisor import (
    EXIT_SECONDS,
    GRACE_SECONDS,
    describe_end,
    end_with_parent,
    failure,
    leave,
    perform,
)
from moodlemlbackend.settings.backend import Settings

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    from moodlemlbackend.runtime.progress import Reporter
    from moodlemlbackend.runtime.run import Run

    Parameters = ParamSpec("Parameters")

_START = (
    "import json; from moodlemlbackend.operations import isolated; "
    "isolated.main(**json.loads(sys.stdin.buffer.readline()))"
)


def run_isolated(
    name: str,
    operation: Callable[Concatenate[Reporter, Parameters], dict[str, Any]],
    reporter: Reporter,
    *arguments: Parameters.args,
    **options: Parameters.kwargs,
) -> dict[str, Any]:
    """Run one of the operations in a child process; returns its result, for a failure the one that Moodle would get.

    ``name`` is what messages call it, such as ``training``. The arguments are texts, numbers and settings; a data set
    is a file, for the child's standard input is taken. ``reporter`` hears of progress and messages, not of the run.
    """
    about = {"module": operation.__module__, "function": operation.__name__}
    order = {"name": name, **about, "arguments": arguments, "options": options}
    sink = scratch_descriptor()
    try:
        with _Child(json.dumps(order, default=asdict).encode() + b"\n", sink) as child:
            child.listen(reporter)
    except OSError as error:
        return failure(explain(error), None)
    finally:
        if sink is not None:
            os.close(sink)
    if child.result is not None:
        return child.result
    end = describe_end(name, child.code)
    kept = child.promise and child.promise.kept(end)
    return kept if isinstance(kept, dict) else failure(end, child.runid, log=child.log)


class _Child:
    """The child as its caller sees it: what it has told, and how it ended."""

    def __init__(self, order: bytes, sink: int | None) -> None:
        self.result: dict[str, Any] | None = None
        self.runid: int | None = None
        self.log: Path | None = None
        self.promise: Promise | None = None
        self._sink = sink
        self._process = subprocess.Popen(
            python_code(_START),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL if sink is None else sink,
        )
        assert self._process.stdin is not None
        with suppress(OSError):  # it has ended already: there will be no result
            self._process.stdin.write(order)
            self._process.stdin.flush()

    @property
    def code(self) -> int | None:
        """The exit code, that of a signal negative."""
        return self._process.returncode

    def listen(self, reporter: Reporter) -> None:
        """Pass on what the child reports, until its result or its end."""
        assert self._process.stdout is not None
        for line in self._process.stdout:
            kind, *values = json.loads(line)
            if kind == "result":
                [self.result] = values
                break
            if kind == "run":
                self.runid, self.log = values[0], Path(values[1])
            elif kind == "promise":
                self.promise = Promise(**values[0])
            elif kind == "progress":
                reporter.progress(*values)
            else:
                reporter.message(*values)

    def __enter__(self) -> _Child:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Wait for the child, which has told all; stop it when its caller is stopped."""
        process = self._process
        try:
            if error is not None:
                process.terminate()
            process.wait(EXIT_SECONDS + 1 if error is None else GRACE_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        finally:
            for pipe in (process.stdin, process.stdout):
                if pipe is not None:
                    with suppress(OSError):
                        pipe.close()
            if self._sink is not None:
                log_library_output(self._sink, self.log)


class _PipeReporter(QuietReporter):
    """Reports to the caller's process."""

    def __init__(self, pipe: int) -> None:
        super().__init__()
        self._pipe = pipe

    def started(self, run: Run) -> None:
        """Tell which run it is, for its log."""
        super().started(run)
        self._send("run", run.runid, str(run.log_file))

    def promise(self, promise: Promise) -> None:
        """Pass it on."""
        self._send("promise", asdict(promise))

    def progress(self, stage: str, done: int, total: int) -> None:
        """Pass it on."""
        self._send("progress", stage, done, total)

    def message(self, text: str) -> None:
        """Pass it on."""
        self._send("message", text)

    def _send(self, *values: Any) -> None:
        write_all(self._pipe, json.dumps(values).encode() + b"\n")


def main(name: str, module: str, function: str, arguments: list[Any], options: dict[str, Any]) -> NoReturn:
    """Be the child."""
    pipe = os.dup(1)
    redirect_to(2)
    faulthandler.enable(2)
    _thread.start_new_thread(end_with_parent, (0, None if os.name == "nt" else 2))
    set_library_defaults()
    options = {**options, "settings": Settings(**options["settings"])}
    operation = getattr(importlib.import_module(module), function)
    reply, reporter = Reply(), _PipeReporter(pipe)
    code = perform(name, lambda _: operation(reporter, *arguments, **options), reporter, reply)
    write_all(pipe, b'["result", ' + reply.line() + b"]\n")
    leave(code)
