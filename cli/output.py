"""What commands print: text that a terminal cannot obey, in whatever encoding it has; and JSON for programs."""

from __future__ import annotations

import codecs
import errno
import io
import json
import os
import re
import shutil
import sys
import textwrap
import time
import unicodedata
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from rich.console import Console

    from moodlemlbackend.analytics.features.analysis import Result
    from moodlemlbackend.analytics.models import AnalyticsModel
    from moodlemlbackend.analytics.site import Site

_WIDEST = 10_000
"""Of what is printed by rich: the widths of columns are settled before."""

_OBEYED = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
"""What a terminal would obey, or shows in another order than it is written, and halves of characters."""

_PLAIN = str.maketrans(
    {"−": "-", "–": "-", "—": "-", "…": "...", "“": '"', "”": '"', "„": '"', "‘": "'", "’": "'", "→": "->", "±": "+-"}
)

_OF_OUTPUT = ("EPIPE", "EBADF", "ENOSPC", "EDQUOT", "EFBIG", "EIO", "EAGAIN", "EINVAL")
"""What comes of writing to an output; what fails for any other reason is no output."""


class OutputError(Exception):
    """Standard output, or standard error, that takes nothing; no text when its reader has simply gone."""


# ---- the streams ----


def prepare_streams() -> None:
    """Let every text be written, whatever the encoding lacks; an output that is closed fails when it is used."""
    codecs.register_error("readable", _readable)
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        stream = getattr(sys, name)
        if stream is None:  # closed by the caller: a file that is opened must not get its number
            os.open(os.devnull, os.O_RDWR)
            if number:
                setattr(sys, name, _Closed())
        elif number and isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="readable")


class _Closed(io.TextIOBase):
    """An output that the caller has closed."""

    def write(self, _text: str) -> int:
        raise OSError(errno.EBADF, "it is closed")

    def fileno(self) -> int:
        raise OSError(errno.EBADF, "it is closed")


def _readable(error: UnicodeError) -> tuple[str, int]:
    """Give what comes nearest to characters that an encoding lacks: a dash for a minus sign, e for é, else ?."""
    assert isinstance(error, UnicodeEncodeError)
    text = error.object[error.start : error.end].translate(_PLAIN)
    plain = "".join(char for char in unicodedata.normalize("NFKD", text) if not unicodedata.combining(char))
    return "".join(char if char.isascii() else "?" for char in plain), error.end


@contextmanager
def writing(stream: str) -> Iterator[None]:
    """Tell of a standard stream (``stdout``, ``stderr``) that cannot be written to in the block: OutputError."""
    try:
        yield
        getattr(sys, stream).flush()
    except OSError as error:
        if error.filename is not None or errno.errorcode.get(error.errno or 0) not in _OF_OUTPUT:
            raise
        if error.errno == errno.EPIPE:
            raise OutputError from error
        name = "Standard output" if stream == "stdout" else "Standard error"
        raise OutputError(f"{name} cannot be written to: {error.strerror}; the output is lost.") from error


# ---- text ----


def safe(text: object) -> str:
    """One line of text that a terminal cannot obey: names of courses and people come from whoever wrote them."""
    return _OBEYED.sub(lambda match: " " if match[0] in "\t\n\r" else "\ufffd", str(text))


def print_line(text: object = "", *, mark: str = "", colour: str | None = None, err: bool = False) -> None:
    """Print one line; the mark before it is in colour on a terminal."""
    import click

    with writing("stderr" if err else "stdout"):
        click.echo((click.style(mark, fg=colour) if mark else "") + safe(text), err=err)


def print_sentence(text: object, *, err: bool = False) -> None:
    """Print a sentence; on a terminal in lines that fit it, broken between words and indented like the first."""
    stream, line = sys.stderr if err else sys.stdout, safe(text)
    if not stream.isatty():
        print_line(line, err=err)
        return
    indent = line[: len(line) - len(line.lstrip())]
    width = shutil.get_terminal_size((80, 24)).columns
    for part in textwrap.wrap(line, width, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False):
        print_line(part, err=err)


def print_json(value: Mapping[str, Any]) -> None:
    """Print an object for programs; its ``status`` is the exit code, its ``info`` are sentences."""
    with writing("stdout"):
        print(json.dumps({"status": 0, "info": [], **value}, indent=2, default=str))  # noqa: T201


def print_rich(table: Any) -> None:
    """Print a table of rich, whose cells must be :func:`safe` and whose columns have their widths."""
    with writing("stdout"):
        screen = console(width=_WIDEST)
        with screen.capture() as captured:
            screen.print(table)
        for line in captured.get().splitlines():
            print(line.rstrip())  # noqa: T201


def print_facts(facts: Sequence[tuple[str, Any]]) -> None:
    """Print names with their values, a line each."""
    width = max(len(name) for name, _ in facts)
    for name, value in facts:
        print_line(f"{name:{width}}  {value}")


def console(*, err: bool = False, width: int | None = None) -> Console:
    """A console that takes text as it is."""
    from rich.console import Console

    return Console(stderr=err, highlight=False, markup=False, width=width)


def moment(seconds: int | None) -> str:
    """A Unix time as people read it, in UTC."""
    return time.strftime("%Y-%m-%d %H:%M", time.gmtime(seconds)) if seconds else ""


def date(seconds: int | None) -> str:
    """The day of a Unix time, in UTC."""
    return moment(seconds)[:10] or "–"


def last_part(name: str | None) -> str:
    """The last part of a class name."""
    return (name or "").rpartition("\\")[2]


# ---- progress ----


@contextmanager
def working(text: str) -> Iterator[Callable[[str], None]]:
    """Show on a terminal that something goes on; yields a function that changes the text."""
    if not sys.stderr.isatty():
        yield lambda _text: None
        return
    with console(err=True).status(text, spinner="line") as status:
        yield lambda text: status.update(safe(text))


def progress(stage: str) -> Callable[[int, int], None] | None:
    """A function that moves the bar of a stage on standard error, where that is a terminal: with those done of all."""
    if not sys.stderr.isatty():
        return None
    from moodlemlbackend.runtime.progress import reporter_of_process

    return lambda done, total: reporter_of_process().progress(stage, done, total)


def progress_of_analysis(analysables: Callable[[], Sequence[Any]]) -> Callable[[Result], None] | None:
    """A bar for an analysis, which goes through these analysables."""
    move = progress("Calculating indicators")
    if move is None:
        return None
    total, seen = len(analysables()), set[int]()

    def show(result: Result) -> None:
        seen.add(result.analysable.id)
        move(len(seen), total)

    return show


def progress_of(site: Site) -> Callable[[AnalyticsModel], Callable[[Result], None] | None]:
    """A function that gives a bar for the analysis that a model asks for, below its name."""

    def begin(model: AnalyticsModel) -> Callable[[Result], None] | None:
        from moodlemlbackend.analytics.features import definitions

        if sys.stderr.isatty():
            from moodlemlbackend.runtime.progress import reporter_of_process

            reporter_of_process().message(safe(f"{model.name} (model {model.id})"))
        return progress_of_analysis(lambda: definitions.analyser(model.target).rows(site, model.contexts or ()))

    return begin


def progress_of_past() -> Callable[[str, int, int], None] | None:
    """A bar for the courses whose past is read."""
    move = progress("Reading the history of courses")
    return None if move is None else lambda _name, number, courses: move(number, courses)
