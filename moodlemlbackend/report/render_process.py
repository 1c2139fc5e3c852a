"""Figures and page of a run, made from its record; beside the computation, in a process of their own.

Libraries for drawing take a while to load. Their process loads them while TensorFlow is being loaded and the network
trained. Then it draws what it can while the importance of indicators is computed, and ends with the page::

    run      reads, trains, rates ──► record ──► importance ──► events ──► images
      │ starts                          │ folder     │ the rest              ▲ done
      └── process loads matplotlib ─────┴──► figures ┴──► figure, page ──────┘

Where matplotlib is loaded already, or no process can be started, the run draws for itself.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from moodlemlbackend.files import explain, write_all
from moodlemlbackend.interpreter import python_command

if TYPE_CHECKING:
    from moodlemlbackend.report.record import Record

SECONDS = 120.0
"""What a drawing may take."""

LIBRARIES = ("matplotlib.figure", "matplotlib.backends.backend_agg", "matplotlib.backends.backend_svg", "jinja2")


class RenderProcess:
    """Who draws: a process of its own, or else the caller in :meth:`finish`."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._folder: Path | None = None
        if not sys.executable or "matplotlib.figure" in sys.modules:
            return
        with suppress(OSError):
            self._process = subprocess.Popen(python_command(__name__), stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def begin(self, folder: Path) -> None:
        """Begin with the figures of the record in a folder."""
        self._folder = folder
        self._send(json.dumps(str(folder.absolute())))

    def complete(self) -> None:
        """Go on with what the record did not hold at the beginning."""
        self._send("")

    def finish(self) -> str | None:
        """Wait until all is there; returns what went wrong, None if nothing did. Nothing to do without a beginning."""
        if self._folder is None:
            return None
        if self._process is None:
            return make(self._folder)
        try:
            answer, _ = self._process.communicate(timeout=SECONDS)
        except subprocess.TimeoutExpired:
            self.close()
            return f"Drawing took more than {SECONDS:.0f} seconds."
        code = self._process.returncode
        self._process = None
        if code:
            return f"The process that draws them ended with exit code {code}."
        return answer.decode(errors="replace").strip() or None

    def _send(self, line: str) -> None:
        if self._process is not None and self._process.stdin is not None:
            try:
                self._process.stdin.write(f"{line}\n".encode())
                self._process.stdin.flush()
            except OSError:
                self.close()

    def close(self) -> None:
        """End the process, if it is still there."""
        if self._process is not None:
            self._process.kill()
            with suppress(OSError):
                self._process.communicate()
            self._process = None


def make(folder: Path) -> str | None:
    """Draw the figures and write the page of the record in a folder; returns what went wrong, None if nothing did."""
    from moodlemlbackend.report.figures import draw_all
    from moodlemlbackend.report.page import write_page
    from moodlemlbackend.report.record import read_record

    def do() -> None:
        record = read_record(folder)
        write_page(record, draw_all(record, folder), folder)

    return _attempt(do, folder)


def main() -> None:
    """Draw, as the process that this module starts."""
    import importlib
    import signal

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    for name in (*LIBRARIES, "moodlemlbackend.report.figures", "moodlemlbackend.report.page"):
        importlib.import_module(name)
    _warm_up()
    from moodlemlbackend.report.figures import FIGURES, LATE, draw_all
    from moodlemlbackend.report.page import write_page
    from moodlemlbackend.report.record import read_record

    def do() -> None:
        drawn = _draw_by_two(read_record(folder), folder, [name for name in FIGURES if name not in LATE])
        if sys.stdin.buffer.readline():
            record = read_record(folder)
            write_page(record, [*drawn, *draw_all(record, folder, LATE)], folder)

    line = sys.stdin.buffer.readline()
    if line:
        folder = Path(json.loads(line))
        sys.stdout.buffer.write((_attempt(do, folder) or "").encode())


def _draw_by_two(record: Record, folder: Path, names: list[str]) -> list[str]:
    """Draw every other figure in a copy of this process, which has all libraries loaded; returns all drawn."""
    from moodlemlbackend.report.figures import draw_all

    if not hasattr(os, "fork"):
        return draw_all(record, folder, names)
    receive, send = os.pipe()
    child = os.fork()
    if not child:
        with suppress(BaseException):
            write_all(send, json.dumps(draw_all(record, folder, names[1::2])).encode())
        os._exit(0)
    os.close(send)
    with os.fdopen(receive, "rb") as answer:
        drawn = draw_all(record, folder, names[::2])
        answered = answer.read()
    os.waitpid(child, 0)
    return drawn + (json.loads(answered) if answered else draw_all(record, folder, names[1::2]))


def _attempt(do: Callable[[], None], folder: Path) -> str | None:
    """Return what an expected error says."""
    from moodlemlbackend.errors import BackendError

    try:
        do()
    except BackendError as error:
        return str(error)
    except OSError as error:
        return explain(error, folder)
    return None


def _warm_up() -> None:
    """Find the font and load what the first figure of a process loads."""
    import io

    from moodlemlbackend.report import page, style

    page.template()
    with style.applied():
        from moodlemlbackend.report.figures import blank

        figure = blank("0123456789 ± …")
        for ending in ("png", "svg"):
            figure.savefig(io.BytesIO(), format=ending)


if __name__ == "__main__":
    main()
