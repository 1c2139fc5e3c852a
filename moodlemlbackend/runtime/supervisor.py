"""What surrounds a command that Moodle runs: whatever happens inside, Moodle gets one line and an exit code.

Moodle keeps the last line of standard output and knows nothing else. So the command runs in a child process whose
standard output and error lead to a scratch file, where libraries may print; the parent alone speaks to Moodle:

::

    parent  waits, passes signals on ──► writes the line, exits with the status
      │ fork                                  ▲ reply (a scratch file)
      └── child  runs the command ────────────┘

A child that crashes in C++, runs out of memory or computes on after a signal cannot take the answer with it: the
parent ends it and says so; a model that is in force by then is its result still (:mod:`.promise`). A parent that is
killed takes the child with it. Where there is no fork, the command runs in the one process there is, without that
safety.
"""

from __future__ import annotations

import _thread
import atexit
import errno
import faulthandler
import math
import os
import select
import signal
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from moodlemlbackend.errors import BackendError, InterruptedRunError, Status, UsageError
from moodlemlbackend.files import explain, write_all
from moodlemlbackend.runtime.captured_output import append_to_log, bound, log_library_output, redirect_output
from moodlemlbackend.runtime.environment import set_library_defaults
from moodlemlbackend.runtime.process_limits import (
    limit_behind_error,
    limit_of_threads,
    limit_that_ended,
    too_few_descriptors,
)
from moodlemlbackend.runtime.progress import QuietReporter, reporter_at
from moodlemlbackend.runtime.reply import Reply, Result, encode

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import FrameType

    from moodlemlbackend.runtime.progress import Reporter

GRACE_SECONDS = 1.0  # for a command to end after a signal, before it is killed
LAST_RESORT_SECONDS = 3  # for the parent itself to end after a signal, should nobody read its output
EXIT_SECONDS = 10  # for libraries to shut down once the reply is written
CHECK_SECONDS = 1.0  # between looks at the size of library output
TEXT_CHARACTERS = 500  # of a foreign error's text

_STOP_SIGNALS = [getattr(signal, name) for name in ("SIGTERM", "SIGINT", "SIGHUP") if hasattr(signal, name)]


def take_arguments(
    name: str, arguments: Sequence[str], needed: Sequence[str], optional: Sequence[str] = ()
) -> dict[str, str]:
    """Return a command's arguments by their names; UsageError when some of the ``needed`` are missing."""
    if len(arguments) < len(needed):
        raise UsageError(
            f"Missing arguments: {name} needs {', '.join(needed)}, but got only {len(arguments)} of {len(needed)}."
        )
    return dict(zip((*needed, *optional), arguments, strict=False))


def run_command(
    name: str,
    call: Callable[[Reporter], Result],
    *,
    lines: int = 1,
    present: Callable[[Result], object] | None = None,
) -> int:
    """Run a command as Moodle needs it and return the exit code; the last thing that a process does.

    Standard output gets one line: ``call``'s object as JSON, or its text. Whatever ``call`` raises becomes a JSON
    object with ``status``, ``info``, ``errors`` and ``runid``. Standard error stays empty, unless standard output
    takes nothing. ``lines`` is how often the line of a success is written. ``present`` prints the
    result for a person at a terminal, in place of the line.
    """
    if text := too_few_descriptors():
        with suppress(OSError):
            write_all(1, encode(failure(text, None)) + b"\n")
        return int(Status.GENERAL_ERROR)
    open_output = _is_open(1)
    set_library_defaults()
    _open_missing_descriptors()
    out, errors = os.dup(1), os.dup(2)
    terminal = errors if os.isatty(errors) else None
    sink = redirect_output()
    reply = Reply()
    reporter = reporter_at(terminal, reply)
    code = None
    if reply.shared and hasattr(os, "fork"):
        code = _run_in_child(name, call, reporter, reply, out, sink)
    if code is None:
        code = perform(name, call, reporter, reply)
        log_library_output(sink, reporter.run.log_file if reporter.run else None)
    if present is not None:
        os.dup2(out, 1)
        os.dup2(errors, 2)
        sys.stdout, sys.stderr = sys.__stdout__, sys.__stderr__
        present(reply.result())
        return code
    with suppress(OSError, AttributeError):
        os.set_blocking(out, True)
    try:
        if not open_output:
            raise OSError(errno.EBADF, "it is closed")
        for _ in range(lines if code == Status.OK else 1):
            reply.copy_line(out)
    except OSError as error:
        if error.errno == errno.EPIPE:  # its reader has gone
            return code
        text = f"Standard output cannot be written to: {error.strerror}; the result of {name} is lost."
        with suppress(OSError):
            write_all(errors, f"{text}\n".encode())
        return code or int(Status.GENERAL_ERROR)
    return code


# ---- the command itself ----


def perform(name: str, call: Callable[[Reporter], Result], reporter: QuietReporter, reply: Reply) -> int:
    """Run the command in this process, write its result or failure, and return the exit code."""
    interrupt = _Interrupt()
    try:
        try:
            interrupt.arm()
            return reply.write(call(reporter))
        finally:
            interrupt.armed = False
            reporter.close()
    except BaseException as raised:
        error = interrupt.error or raised  # a library may have made another error of it on its way up
        if isinstance(error, MemoryError):
            _release_memory(error)
        runid, log = None, None
        if reporter.run is not None:
            with suppress(Exception):
                reporter.run.fail(error)
            runid, log = reporter.run.runid, reporter.run.log_file
        if isinstance(error, BackendError):
            return reply.write(failure(str(error) or type(error).__name__, runid, status=error.status))
        return reply.write(failure(describe(name, error), runid, log=log))


class _Interrupt:
    """Raises InterruptedRunError in the command at the first signal to stop; no signal does anything after that."""

    def __init__(self) -> None:
        self.armed = False
        self.error: InterruptedRunError | None = None

    def arm(self) -> None:
        self.armed = True
        _handle_stop_signals(self._receive)

    def _receive(self, number: int, _frame: FrameType | None) -> None:
        if self.armed:
            self.armed = False
            threads = limit_of_threads("this run") if number == signal.SIGINT else ""  # a library's way to say so
            self.error = InterruptedRunError(threads or _stopped_by(number))
            raise self.error


def _handle_stop_signals(handler: Callable[[int, FrameType | None], None]) -> None:
    """Install a handler for those signals to stop that the caller does not want ignored (nohup does)."""
    for number in _STOP_SIGNALS:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, handler)


def _stopped_by(number: int) -> str:
    return f"Signal {signal.Signals(number).name} stopped the run before it was complete; run it again."


def _release_memory(error: BaseException) -> None:
    """Let go of what the failed computation holds, so that it can be reported."""
    import traceback

    traceback.clear_frames(error.__traceback__)


def describe(name: str, error: BaseException) -> str:
    """One sentence for what ended a command and was not expected."""
    if not isinstance(error, OSError) and (limit := limit_behind_error(name)):
        return limit
    if isinstance(error, MemoryError):
        return f"There is not enough memory for {name}; give the process more memory, or use a smaller data set."
    if isinstance(error, OSError):
        return explain(error)
    if isinstance(error, SystemExit):
        return f"A library ended {name} early (exit code {error.code})."
    text = " ".join(str(error).split())[:TEXT_CHARACTERS]
    return f"An unexpected error ended {name}: {type(error).__name__}{': ' if text else ''}{text}."


def failure(
    text: str, runid: int | None, *, status: Status = Status.GENERAL_ERROR, log: Path | None = None
) -> dict[str, Any]:
    """Return the result of a failure; ``log``, if it exists, is told as the file where more is found."""
    if log is not None and os.access(log, os.F_OK):
        text = f"{text} The details are in {log}"
    if runid is None:
        runid = time.time_ns() // 1_000_000
    return {"status": int(status), "info": [text], "errors": [text], "runid": str(runid)}


# ---- the two processes ----


def _run_in_child(
    name: str, call: Callable[[Reporter], Result], reporter: QuietReporter, reply: Reply, out: int, sink: int
) -> int | None:
    """Run the command in a child and return the exit code; None when no process can be made."""
    signals, wakeup = os.pipe()
    os.set_blocking(wakeup, False)
    life, hold = os.pipe()
    signal.set_wakeup_fd(wakeup, warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, _do_nothing)
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    _handle_stop_signals(_arm_last_resort)
    try:
        child = os.fork()
    except OSError:
        signal.set_wakeup_fd(-1)
        return None
    if child == 0:
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        for descriptor in (signals, wakeup, hold, out):
            os.close(descriptor)
        _thread.start_new_thread(end_with_parent, (life,))
        _be_child(name, call, reporter, reply)
    os.close(life)
    ended, stopped = _wait(child, signals, sink)
    code, runid, log, promise = reply.read_notes()
    log_library_output(sink, log)
    if code is not None:
        return code
    text = describe_end(name, ended) if stopped is None else _stopped_by(stopped)
    append_to_log(log, f"{time.strftime('%Y-%m-%dT%H:%M:%SZ', time.gmtime())} ERROR {text}".encode())
    kept = promise and promise.kept(text)
    return reply.write(kept or failure(text, runid, log=log if stopped is None else None))


def _be_child(name: str, call: Callable[[Reporter], Result], reporter: QuietReporter, reply: Reply) -> NoReturn:
    faulthandler.enable(2)
    leave(perform(name, call, reporter, reply))


def leave(code: int) -> NoReturn:
    """End this process once libraries have ended their threads, workers and files, or have had time for it.

    Tearing them down as well would cost TensorFlow 0.5 s.
    """
    if hasattr(signal, "alarm"):
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.alarm(EXIT_SECONDS)
    if "threading" in sys.modules:
        sys.modules["threading"]._shutdown()
    atexit._run_exitfuncs()
    os._exit(code)


def end_with_parent(life: int, sink: int | None = None) -> None:
    """Wait in a thread for the end of the parent, which holds the other end of this pipe; keep a sink bounded."""
    with suppress(OSError):
        while sink is not None and not select.select([life], [], [], CHECK_SECONDS)[0]:
            bound(sink)
        os.read(life, 1)
    os._exit(Status.GENERAL_ERROR)


def _do_nothing(_number: int, _frame: FrameType | None) -> None:
    """Let the signal reach the wakeup pipe."""


def _arm_last_resort(_number: int, _frame: FrameType | None) -> None:
    """Make sure that a stopped parent ends even when nobody reads what it writes."""
    signal.alarm(LAST_RESORT_SECONDS)


def _wait(child: int, signals: int, sink: int) -> tuple[int | None, int | None]:
    """Wait for the child, pass on signals to stop and kill it when it does not; return exit code and signal.

    The exit code, negative for a signal, is None for a child that even killing did not end at once.
    """
    stopped, deadline, killed = None, math.inf, False
    while True:
        pid, ended = os.waitpid(child, os.WNOHANG)
        if pid:
            return os.waitstatus_to_exitcode(ended), stopped
        seconds = min(CHECK_SECONDS, max(0.0, deadline - time.monotonic()))
        if select.select([signals], [], [], seconds)[0]:
            for number in os.read(signals, 512):
                if number in _STOP_SIGNALS and stopped is None:
                    stopped, deadline = number, time.monotonic() + GRACE_SECONDS
                    os.kill(child, number)
        elif time.monotonic() >= deadline:
            if killed:
                return None, stopped
            os.kill(child, signal.SIGKILL)
            killed, deadline = True, time.monotonic() + GRACE_SECONDS
        bound(sink)


def describe_end(name: str, code: int | None) -> str:
    """Say why a process may have ended without a result, from its exit code: that of a signal is negative."""
    if limit := limit_that_ended(name, code):
        return limit
    if code is None or code >= 0:
        return f"A library ended {name} before there was a result{'' if code is None else f' (exit code {code})'}."
    number = -code
    if number == signal.SIGKILL:
        return (
            f"The operating system killed {name}, most likely because memory ran out; give the server more "
            "memory, or use a smaller data set."
        )
    if number == signal.SIGILL:
        return (
            f"This computer's processor lacks instructions that a library needs for {name} (TensorFlow needs "
            "AVX); choose the logistic_regression processor in the settings, or use another computer."
        )
    return f"A library crashed during {name} ({signal.Signals(number).name})."


# ---- descriptors ----


def _is_open(descriptor: int) -> bool:
    try:
        os.fstat(descriptor)
    except OSError:
        return False
    return True


def _open_missing_descriptors() -> None:
    """Open the null device on those of 0, 1, 2 that the caller left closed, lest a data file get such a number."""
    for descriptor in (0, 1, 2):
        if not _is_open(descriptor):
            opened = os.open(os.devnull, os.O_RDWR)
            if opened != descriptor:
                os.dup2(opened, descriptor)
                os.close(opened)
